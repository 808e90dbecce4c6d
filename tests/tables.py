"""The same rows in a database and in a file, for tests that hold for both."""

import csv
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import duckdb

from longhaul.core.sources import DataSource, SourceKind

# On which engines a test of a table is run.
KINDS = (SourceKind.POSTGRESQL, SourceKind.CSV)
# Those whose columns have types.
TYPED = (SourceKind.POSTGRESQL, SourceKind.PARQUET)

Cells = Sequence[str | None]


async def make_table(
    kind: SourceKind,
    dsn: str,
    folder: Path,
    columns: Sequence[str],
    rows: Sequence[Cells],
) -> DataSource:
    """Store rows as a table `t`; columns are `name`, or `name type` where there are types."""
    if kind is SourceKind.CSV:
        path = folder / "t.csv"
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(column.split()[0] for column in columns)
            writer.writerows(["" if cell is None else cell for cell in row] for row in rows)
        return DataSource(id=1, name="t", kind=kind, location=str(path))
    typed = [column if " " in column else f"{column} text" for column in columns]
    if kind is SourceKind.PARQUET:
        path = folder / "t.parquet"
        with duckdb.connect() as file:
            file.execute(f"CREATE TABLE t ({', '.join(typed)})")
            places = ", ".join("?" * len(typed))
            file.executemany(f"INSERT INTO t VALUES ({places})", rows)
            file.table("t").write_parquet(str(path))
        return DataSource(id=1, name="t", kind=kind, location=str(path))
    # Written as texts, and read as the column's type by the database.
    values = (f"${at}::text::{one.split(' ', 1)[1]}" for at, one in enumerate(typed, 1))
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("CREATE SCHEMA landing")
        await connection.execute(f"CREATE TABLE landing.t ({', '.join(typed)})")
        await connection.executemany(f"INSERT INTO landing.t VALUES ({', '.join(values)})", rows)
    finally:
        await connection.close()
    return DataSource(id=1, name="t", kind=kind, location="landing.t")
