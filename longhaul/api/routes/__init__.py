"""The routes: they say what; the services decide."""
