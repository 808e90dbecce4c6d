"""Finds the columns whose names match an attribute's name."""
