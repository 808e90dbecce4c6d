"""Temporal: executes; everything it is told are ids, ranges and counters."""
