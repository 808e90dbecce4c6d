"""The audit of what people own besides jobs; it stays after they are deleted."""

from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any

from longhaul.core.ports import Database, Row, Transaction

_NOTE = """
INSERT INTO object_audit (kind, object_id, owner, action, by, details, time)
VALUES ($1, $2, $3, $4, $5, $6, clock_timestamp())
"""

_READ = """
SELECT * FROM object_audit WHERE kind = $1 AND object_id = $2 AND id > $3 ORDER BY id LIMIT $4
"""


class Audited(StrEnum):
    """The kinds of objects with such an audit, by table."""

    SCHEDULE = "schedule"
    WEBHOOK = "webhook"


async def note_change(
    tx: Transaction, what: Audited, row: Row, action: str, by: str, details: Mapping[str, Any]
) -> None:
    """Write the audit of a row, in the same transaction as the change."""
    await tx.execute(_NOTE, what, row["id"], row["owner"], action, by, details)


class PostgresObjectAudit:
    """Reads the audit, also of deleted objects."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owner(self, what: Audited, object_id: str) -> str | None:
        """The owner, also of a deleted one; None when there never was one."""
        async with self._database.begin() as tx:
            rows = await tx.fetch(
                f"SELECT owner FROM {what} WHERE id = $1 UNION ALL (SELECT owner FROM object_audit "
                "WHERE kind = $2 AND object_id = $1 ORDER BY id LIMIT 1) LIMIT 1",
                object_id,
                what,
            )
        return rows[0]["owner"] if rows else None

    async def read(
        self, what: Audited, object_id: str, *, limit: int, after: int | None
    ) -> Sequence[Row]:
        """One page of the audit, oldest first."""
        async with self._database.begin() as tx:
            return await tx.fetch(_READ, what, object_id, after or 0, limit)
