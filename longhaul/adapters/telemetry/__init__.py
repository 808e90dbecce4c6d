"""Logs, metrics and traces. None of them quotes a prompt, a row or a secret."""
