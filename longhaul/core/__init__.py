"""Words and rules. Pure: no I/O library, no Temporal, no clock, no environment."""
