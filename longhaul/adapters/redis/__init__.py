"""Redis: fast, shared and disposable. Losing all of it changes no answer."""
