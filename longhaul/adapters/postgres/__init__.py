"""PostgreSQL: the truth about jobs, items, calls and what they produce."""
