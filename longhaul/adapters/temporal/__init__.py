"""Temporal: executes; it only gets ids, ranges and counters."""
