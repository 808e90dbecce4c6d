"""Remembered Idempotency-Keys: which job a request made, for seven days."""

from dataclasses import dataclass
from datetime import timedelta

from longhaul.core.ports import Transaction

REMEMBERED_FOR = timedelta(days=7)

# An expired key can be taken again. The second user of a held key waits until the first has
# committed, and then sees the job that it made.
_CLAIM = """
INSERT INTO idempotency_key AS known (owner, key, body_hash, job_id, expires_at)
VALUES ($1, $2, $3, $4, clock_timestamp() + $5)
ON CONFLICT (owner, key) DO UPDATE
    SET body_hash = excluded.body_hash, job_id = excluded.job_id, expires_at = excluded.expires_at
    WHERE known.expires_at < clock_timestamp()
RETURNING job_id
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """What a key was used for."""

    job_id: str
    body_hash: str


class PostgresIdempotency:
    """Remembers keys in the transaction that makes their job."""

    async def claim(
        self, tx: Transaction, owner: str, key: str, body_hash: str, job_id: str
    ) -> Remembered | None:
        """Bind a key to a new job; returns what it was bound to before, if it was."""
        if await tx.fetch(_CLAIM, owner, key, body_hash, job_id, REMEMBERED_FOR):
            return None
        (row,) = await tx.fetch(
            "SELECT job_id, body_hash FROM idempotency_key WHERE owner = $1 AND key = $2",
            owner,
            key,
        )
        return Remembered(job_id=str(row["job_id"]), body_hash=row["body_hash"])
