"""Order and time. Deterministic; imports nothing heavy."""
