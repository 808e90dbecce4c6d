"""Documents: reading their text."""
