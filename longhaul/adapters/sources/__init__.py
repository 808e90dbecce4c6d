"""Data sources: PostgreSQL through psycopg, files through DuckDB, both with Ibis."""
