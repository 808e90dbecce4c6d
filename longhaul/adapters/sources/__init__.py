"""Data sources: PostgreSQL through psycopg, files through DuckDB, both spoken to in Ibis."""
