"""Statements that wait for what another transaction holds."""

from longhaul.core.ports import Database
from tests.waiting import until


async def until_waiting(database: Database, count: int = 1) -> None:
    """Return once a number of statements of the database wait for a lock."""

    async def are_waiting() -> bool:
        async with database.begin() as tx:
            rows = await tx.fetch(
                "SELECT FROM pg_stat_activity"
                " WHERE datname = current_database() AND wait_event_type = 'Lock'"
            )
        return len(rows) >= count

    await until(are_waiting, what=f"{count} statements to wait for a lock")
