"""The longhaul command."""
