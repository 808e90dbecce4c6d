"""The tables of each kind of entries, and the SQL that follows from them.

The kinds share their columns: `tester_decision`, `report_owner_decision` and `status` of an
entry; `status`, `number`, `created_by` and `created_at` of a version.
"""

from dataclasses import dataclass

from longhaul.core.decisions import Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class KindTables:
    """The tables of one kind.

    Attributes:
        entries: The table of entries.
        id: The column that identifies an entry within its version.
        id_type: Its type in SQL.
        of: The column with the version's id.
        of_type: Its type in SQL.
        presumed: Whether an entry counts as approved without a decision; SQL over `e`.
        place: Orders the entries of one attribute; an integer expression over `e`.
        versions: The table of versions; None if a phase replaces them.
    """

    kind: Kind
    entries: str
    id: str
    id_type: str
    of: str
    of_type: str
    presumed: str = "false"
    place: str = "e.attribute_id"
    versions: str | None = None

    @property
    def version(self) -> str:
        """Reads versions of this kind as `v`, without a condition."""
        own = (
            "v.id::text AS id, v.phase_id, v.number, v.status, v.created_by, v.created_at"
            if self.versions
            else "v.id::text AS id, v.id AS phase_id, NULL::integer AS number,"
            " NULL::text AS status, NULL::text AS created_by, NULL::timestamptz AS created_at"
        )
        return (
            f"SELECT '{self.kind}' AS kind, {own}, v.cycle_id, v.report_id,"
            " r.name AS report_name, r.lob"
            f" FROM {self.versions or 'phase'} AS v JOIN report AS r ON r.id = v.report_id"
        )

    @property
    def waits_for_tester(self) -> str:
        """Whether an entry waits for the tester, as `Review` has it."""
        return f"(e.tester_decision IS NULL AND NOT {self.presumed})"

    @property
    def waits_for_report_owner(self) -> str:
        """Whether an entry waits for the report owner, as `Review` has it."""
        return (
            "(e.tester_decision = 'approved' AND e.report_owner_decision IS NULL"
            f" AND NOT {self.presumed})"
        )

    @property
    def list_entries(self) -> str:
        """One page of entries: of a version, filtered, after a place."""
        return f"""
SELECT e.*, e.{self.id}::text AS entry_id, a.name AS attribute,
       coalesce(a.line_no, 0) AS line_no, {self.place} AS place
FROM {self.entries} AS e LEFT JOIN attribute AS a ON a.id = e.attribute_id
WHERE e.{self.of} = $1::text::{self.of_type}
    AND ($2::text[] IS NULL OR e.status = ANY ($2))
    AND ($3::integer[] IS NULL OR e.attribute_id = ANY ($3))
    AND ($9::text[] IS NULL OR e.{self.id} = ANY ($9::text[]::{self.id_type}[]))
    AND ($4::text IS NULL
         OR $4 = 'tester' AND {self.waits_for_tester}
         OR $4 = 'report_owner' AND {self.waits_for_report_owner})
    AND (coalesce(a.line_no, 0), {self.place}, e.{self.id})
        > ($5, $6, coalesce($7::text::{self.id_type}, {_LEAST[self.id_type]}))
ORDER BY coalesce(a.line_no, 0), {self.place}, e.{self.id} LIMIT $8
"""

    @property
    def lock_entries(self) -> str:
        """Locks entries in the order of their ids: the named, those of attributes, or all."""
        return f"""
SELECT e.{self.id}::text AS id, e.attribute_id, e.tester_decision, e.report_owner_decision,
       {self.presumed} AS is_presumed
FROM {self.entries} AS e
WHERE e.{self.of} = $1::text::{self.of_type}
    AND ($2::text[] IS NULL OR e.{self.id} = ANY ($2::text[]::{self.id_type}[]))
    AND ($3::integer[] IS NULL OR e.attribute_id = ANY ($3))
ORDER BY e.{self.id} FOR NO KEY UPDATE
"""

    @property
    def decide(self) -> str:
        """Stores decisions."""
        return f"""
UPDATE {self.entries} AS e
SET tester_decision = new.tester, report_owner_decision = new.report_owner, status = new.status
FROM unnest($2::text[], $3::text[], $4::text[], $5::text[])
    AS new (id, tester, report_owner, status)
WHERE e.{self.of} = $1::text::{self.of_type} AND e.{self.id} = new.id::{self.id_type}
"""

    @property
    def counts(self) -> str:
        """Counts the entries of a version."""
        return f"""
SELECT count(*) AS total,
       count(*) FILTER (WHERE e.status = 'pending') AS pending,
       count(*) FILTER (WHERE e.status = 'approved') AS approved,
       count(*) FILTER (WHERE e.status = 'rejected') AS rejected,
       count(*) FILTER (WHERE {self.waits_for_tester}) AS waiting_for_tester,
       count(*) FILTER (WHERE {self.waits_for_report_owner}) AS waiting_for_report_owner
FROM {self.entries} AS e WHERE e.{self.of} = $1::text::{self.of_type}
"""


_LEAST = {"uuid": "'00000000-0000-0000-0000-000000000000'::uuid", "integer": "-2147483648"}

TABLES = {
    Kind.RULES: KindTables(
        kind=Kind.RULES,
        entries="rule",
        id="id",
        id_type="uuid",
        of="version_id",
        of_type="uuid",
        place="e.execution_order",
        versions="rule_version",
    ),
    Kind.MAPPINGS: KindTables(
        kind=Kind.MAPPINGS,
        entries="pde_mapping",
        id="id",
        id_type="integer",
        of="phase_id",
        of_type="integer",
        presumed="e.auto_approved",
    ),
    Kind.RECOMMENDATIONS: KindTables(
        kind=Kind.RECOMMENDATIONS,
        entries="scoping_recommendation",
        id="attribute_id",
        id_type="integer",
        of="version_id",
        of_type="uuid",
        versions="scoping_version",
    ),
    Kind.SAMPLES: KindTables(
        kind=Kind.SAMPLES,
        entries="sample",
        id="id",
        id_type="uuid",
        of="set_id",
        of_type="uuid",
        place="coalesce(e.ordinal, 0)",
        versions="sample_set",
    ),
}
