"""The embedded stack: real servers for one machine, started and stopped together."""
