"""Versions of one kind; each kind has its own table."""

from longhaul.core.errors import Unavailable
from longhaul.core.ports import Row, Transaction
from longhaul.core.versions import ReportVersion, VersionStatus

_TRIES = 5

_VERSION = """
SELECT v.id, v.cycle_id, v.report_id, v.phase_id, v.status, r.name AS report_name, r.lob
FROM {table} AS v JOIN report AS r ON r.id = v.report_id
"""

_KNOWN = "SELECT 1 FROM cycle_report WHERE cycle_id = $1 AND report_id = $2"

_ENSURE_PHASE = """
INSERT INTO phase (cycle_id, report_id, name) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""

# Without a conflict target, so that losing the race for the number is not an error.
_CREATE_DRAFT = """
INSERT INTO {table} (id, cycle_id, report_id, phase_id, number, created_by, created_at)
SELECT gen_random_uuid(), p.cycle_id, p.report_id, p.id,
       1 + coalesce((SELECT max(number) FROM {table}
                     WHERE cycle_id = p.cycle_id AND report_id = p.report_id), 0),
       $4, clock_timestamp()
FROM phase AS p WHERE p.cycle_id = $1 AND p.report_id = $2 AND p.name = $3
ON CONFLICT DO NOTHING
"""


class PostgresVersions:
    """Keeps versions; every method works in the caller's transaction.

    Args:
        table: The table of this kind of version.
        phase: The phase of the report in which such versions are made.
    """

    def __init__(self, table: str, phase: str) -> None:
        self._phase = phase
        version = _VERSION.format(table=table)
        self._one = f"{version} WHERE v.id = $1"
        self._draft = f"{version} WHERE v.cycle_id = $1 AND v.report_id = $2 AND v.status = 'draft'"
        self._create = _CREATE_DRAFT.format(table=table)
        self._hold = f"SELECT status FROM {table} WHERE id = $1 FOR SHARE"

    async def version(self, tx: Transaction, version_id: str) -> ReportVersion | None:
        """Read a version."""
        rows = await tx.fetch(self._one, version_id)
        return _version(rows[0]) if rows else None

    async def draft(
        self, tx: Transaction, cycle_id: int, report_id: int, by: str
    ) -> ReportVersion | None:
        """The report's draft version, created if there is none."""
        if not await tx.fetch(_KNOWN, cycle_id, report_id):
            return None
        for _ in range(_TRIES):
            rows = await tx.fetch(self._draft, cycle_id, report_id)
            if rows:
                return _version(rows[0])
            # The second one waits here for the first one's commit.
            await tx.execute(_ENSURE_PHASE, cycle_id, report_id, self._phase)
            await tx.execute(self._create, cycle_id, report_id, self._phase, by)
        raise Unavailable("The report's draft version keeps changing; try again.")

    async def hold_draft(self, tx: Transaction, version_id: str) -> bool:
        """Keep the version as it is until the transaction ends; False when it is not a draft."""
        rows = await tx.fetch(self._hold, version_id)
        return bool(rows) and rows[0]["status"] == VersionStatus.DRAFT


def _version(row: Row) -> ReportVersion:
    return ReportVersion(
        id=str(row["id"]),
        cycle_id=row["cycle_id"],
        report_id=row["report_id"],
        phase_id=row["phase_id"],
        status=VersionStatus(row["status"]),
        report_name=row["report_name"],
        lob=row["lob"],
    )
