"""Finds the columns whose names say what an attribute's name says."""
