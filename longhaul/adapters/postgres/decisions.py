"""Versions, the decisions on their entries, and the audit; the same for every kind."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any
from uuid import UUID

from longhaul.adapters.postgres.decision_tables import TABLES, KindTables
from longhaul.core.approvers import Decision
from longhaul.core.decisions import (
    AuditLine,
    Choice,
    DecisionCounts,
    EntryFilter,
    EntryPlace,
    Kind,
    Review,
    ReviewedEntry,
    Reviewer,
    Version,
    VersionFilter,
    VersionPlace,
)
from longhaul.core.errors import MalformedRequest
from longhaul.core.ports import Row, Transaction
from longhaul.core.versions import VersionStatus

_VERSIONED = [tables for tables in TABLES.values() if tables.versions]
_ANY_VERSION = " UNION ALL ".join(tables.version for tables in _VERSIONED)

_ONE_VERSION = " UNION ALL ".join(
    f"{tables.version} WHERE v.id = $1::text::uuid" for tables in _VERSIONED
)

_LIST_VERSIONS = f"""
SELECT * FROM ({_ANY_VERSION}) AS v
WHERE ($1::text[] IS NULL OR kind = ANY ($1)) AND ($2::text[] IS NULL OR status = ANY ($2))
    AND ($3::integer IS NULL OR cycle_id = $3) AND ($4::integer IS NULL OR report_id = $4)
    AND ($5::text IS NULL OR lob = $5)
    AND ($6::timestamptz IS NULL OR (created_at, id) < ($6, $7::text))
ORDER BY created_at DESC, id DESC LIMIT $8
"""

# They are in the phase with the attributes, whichever phase of the report was named.
_PHASE_OF_MAPPINGS = """
SELECT coalesce(min(o.id), p.id)::text AS id
FROM phase AS p LEFT JOIN phase AS o ON o.cycle_id = p.cycle_id AND o.report_id = p.report_id
    AND EXISTS (SELECT FROM attribute AS a WHERE a.phase_id = o.id)
WHERE p.id = $1 GROUP BY p.id
"""

# Two versions of a report must not be approved at the same time. Not a key's lock: rows that
# refer to the report go on being written.
_LOCK_REPORT = """
SELECT FROM cycle_report WHERE cycle_id = $1 AND report_id = $2 FOR NO KEY UPDATE
"""

_NOTE = """
INSERT INTO decision_audit (kind, version_id, entry_id, action, reviewer, by, reason, details, time)
SELECT $1, $2, new.*, clock_timestamp()
FROM unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::jsonb[]) AS new
"""

_AUDIT = """
SELECT * FROM decision_audit
WHERE kind = $1 AND version_id = $2 AND id > $3 AND ($4::text IS NULL OR entry_id = $4)
ORDER BY id LIMIT $5
"""

_DECIDED_BY = """
SELECT entry_id FROM (
    SELECT DISTINCT ON (entry_id) entry_id, by FROM decision_audit
    WHERE kind = $1 AND version_id = $2 AND reviewer = $3 AND entry_id = ANY ($5)
    ORDER BY entry_id, id DESC
) AS latest WHERE by = $4
"""

_SUBMITTER = """
SELECT by FROM decision_audit
WHERE kind = $1 AND version_id = $2 AND entry_id IS NULL AND action = 'submitted'
ORDER BY id DESC LIMIT 1
"""


class PostgresDecisions:
    """Keeps decisions; every method works in the caller's transaction."""

    async def versions(
        self, tx: Transaction, wanted: VersionFilter, *, limit: int, after: VersionPlace | None
    ) -> Sequence[Version]:
        """One page of versions, newest first."""
        rows = await tx.fetch(
            _LIST_VERSIONS,
            list(wanted.kinds) or None,
            list(wanted.statuses) or None,
            wanted.cycle_id,
            wanted.report_id,
            wanted.lob,
            *(after or (None, None)),
            limit,
        )
        return [_version(row) for row in rows]

    async def find_version(self, tx: Transaction, version_id: str) -> Version | None:
        """A version of any kind."""
        rows = await tx.fetch(_ONE_VERSION, version_id)
        return _version(rows[0]) if rows else None

    async def find_mappings(self, tx: Transaction, phase_id: int) -> Version | None:
        """The mappings of a phase."""
        rows = await tx.fetch(_PHASE_OF_MAPPINGS, phase_id)
        return await _read(tx, TABLES[Kind.MAPPINGS], rows[0]["id"]) if rows else None

    async def hold(self, tx: Transaction, version: Version) -> Version | None:
        """Keep a version's status as it is until the transaction ends; a shared lock."""
        return await _read(tx, TABLES[version.kind], version.id, lock="FOR SHARE")

    async def lock(self, tx: Transaction, version: Version) -> Version | None:
        """Lock a version, and the status of all others of its report."""
        await tx.execute(_LOCK_REPORT, version.cycle_id, version.report_id)
        return await _read(tx, TABLES[version.kind], version.id, lock="FOR UPDATE")

    async def move(self, tx: Transaction, version: Version, status: VersionStatus) -> Version:
        """Set the status of a version that is locked."""
        tables = TABLES[version.kind]
        await tx.execute(
            f"UPDATE {tables.versions} SET status = $2 WHERE id = $1::text::uuid",
            version.id,
            status,
        )
        moved = await _read(tx, tables, version.id)
        assert moved is not None
        return moved

    async def approved(self, tx: Transaction, version: Version) -> Sequence[Version]:
        """The other versions of the kind and report that are approved."""
        rows = await tx.fetch(
            f"{TABLES[version.kind].version} WHERE v.cycle_id = $1 AND v.report_id = $2"
            " AND v.status = 'approved' AND v.id <> $3::text::uuid FOR UPDATE OF v",
            version.cycle_id,
            version.report_id,
            version.id,
        )
        return [_version(row) for row in rows]

    async def counts(self, tx: Transaction, version: Version) -> DecisionCounts:
        """How the entries of a version stand."""
        (row,) = await tx.fetch(TABLES[version.kind].counts, version.id)
        return DecisionCounts(**row)

    async def entries(
        self,
        tx: Transaction,
        version: Version,
        wanted: EntryFilter,
        *,
        limit: int,
        after: EntryPlace | None,
    ) -> Sequence[Row]:
        """One page of entries in the order of the form, with the name of their attribute."""
        tables = TABLES[version.kind]
        if after is not None and not _fits(tables, after[-1]):
            raise MalformedRequest("The cursor belongs to another list.")
        return await tx.fetch(
            tables.list_entries,
            version.id,
            list(wanted.statuses) or None,
            list(wanted.attribute_ids) or None,
            wanted.waiting_for,
            *(after or (-1, -1, None)),
            limit,
            [one for one in wanted.ids if _fits(tables, one)] if wanted.ids else None,
        )

    async def lock_entries(
        self, tx: Transaction, version: Version, choice: Choice
    ) -> Sequence[ReviewedEntry]:
        """Lock entries."""
        tables = TABLES[version.kind]
        ids = None if choice.ids is None else [one for one in choice.ids if _fits(tables, one)]
        attributes = None if choice.attribute_ids is None else list(choice.attribute_ids)
        rows = await tx.fetch(tables.lock_entries, version.id, ids, attributes)
        return [
            ReviewedEntry(
                id=row["id"],
                attribute_id=row["attribute_id"],
                review=Review(
                    tester=_decision(row["tester_decision"]),
                    report_owner=_decision(row["report_owner_decision"]),
                    is_presumed=row["is_presumed"],
                ),
            )
            for row in rows
        ]

    async def decide(
        self, tx: Transaction, version: Version, decided: Sequence[ReviewedEntry]
    ) -> None:
        """Store decisions and the status that follows."""
        await tx.execute(
            TABLES[version.kind].decide,
            version.id,
            [one.id for one in decided],
            [one.review.tester for one in decided],
            [one.review.report_owner for one in decided],
            [one.review.status for one in decided],
        )

    async def note(self, tx: Transaction, version: Version, lines: Iterable[AuditLine]) -> None:
        """Write the audit."""
        records = [
            (line.entry_id, line.action, line.reviewer, line.by, line.reason, line.details)
            for line in lines
        ]
        if records:
            columns = [list(column) for column in zip(*records, strict=True)]
            await tx.execute(_NOTE, version.kind, version.id, *columns)

    async def audit(
        self,
        tx: Transaction,
        version: Version,
        *,
        entry_id: str | None,
        limit: int,
        after: int | None,
    ) -> Sequence[Row]:
        """One page of the audit, oldest first, of everything or of one entry."""
        return await tx.fetch(_AUDIT, version.kind, version.id, after or 0, entry_id, limit)

    async def decided_by(
        self,
        tx: Transaction,
        version: Version,
        reviewer: Reviewer,
        by: str,
        entry_ids: Collection[str],
    ) -> Sequence[str]:
        """The entries on which a person was the last to decide for a reviewer."""
        ids = list(entry_ids)
        rows = await tx.fetch(_DECIDED_BY, version.kind, version.id, reviewer, by, ids)
        return [row["entry_id"] for row in rows]

    async def submitter(self, tx: Transaction, version: Version) -> str | None:
        """Who submitted a version last."""
        rows = await tx.fetch(_SUBMITTER, version.kind, version.id)
        return rows[0]["by"] if rows else None


async def _read(
    tx: Transaction, tables: KindTables, version_id: str, *, lock: str = ""
) -> Version | None:
    locked = f"{lock} OF v" if lock and tables.versions else ""
    rows = await tx.fetch(
        f"{tables.version} WHERE v.id = $1::text::{tables.of_type} {locked}", version_id
    )
    return _version(rows[0]) if rows else None


def _version(row: Row) -> Version:
    status = row["status"]
    return Version(
        **{
            **row,
            "kind": Kind(row["kind"]),
            "status": None if status is None else VersionStatus(status),
        }
    )


def _decision(word: str | None) -> Decision | None:
    return None if word is None else Decision(word)


def _fits(tables: KindTables, entry_id: str) -> bool:
    """Whether a text is an id of this kind, as the database writes it."""
    try:
        value: Any = UUID(entry_id) if tables.id_type == "uuid" else int(entry_id)
    except ValueError:
        return False
    is_in_range = tables.id_type == "uuid" or -(2**31) <= value < 2**31
    return is_in_range and str(value) == entry_id
