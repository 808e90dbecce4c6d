"""Documents: where their text comes from."""
