"""Values that no column can hold: the caller's mistake, not an internal fault."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.errors import InvalidInput

EARLY = datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=14)))


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT $1::integer", 2**31),
        ("SELECT $1::timestamptz", EARLY),
        ("SELECT $1::uuid", "no uuid"),
        ("SELECT $1::text::integer", "many"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused_without_being_quoted(
    database: PostgresDatabase, sql: str, value: object
) -> None:
    with pytest.raises(InvalidInput) as refused:
        async with database.begin() as tx:
            await tx.fetch(sql, value)

    assert refused.value.sentence == "A value is beyond what the database can hold."


async def test_a_value_that_fits_is_none_of_that(database: PostgresDatabase) -> None:
    latest = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)
    async with database.begin() as tx:
        (row,) = await tx.fetch("SELECT $1::timestamptz AS time", latest)

    assert row["time"] == latest
