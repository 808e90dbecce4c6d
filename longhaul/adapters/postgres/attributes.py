"""The attributes of a report."""

from collections.abc import Sequence

from longhaul.core.attributes import Attribute, Listed, Obligation
from longhaul.core.formats import DataType
from longhaul.core.ports import Row, Transaction

PAGE = 1_000

_OF_REPORT = """
FROM attribute AS a JOIN phase AS p ON p.id = a.phase_id
WHERE p.cycle_id = $1 AND p.report_id = $2 AND a.is_active
"""

_FOREIGN = f"""
SELECT id FROM unnest($3::integer[]) WITH ORDINALITY AS wanted (id, place)
WHERE id NOT IN (SELECT a.id {_OF_REPORT}) ORDER BY place
"""

_PAGE = f"""
SELECT a.id, a.name, a.line_no {_OF_REPORT}
    AND ($3::integer[] IS NULL OR a.id = ANY ($3)) AND (a.line_no, a.id) > ($4, $5)
ORDER BY a.line_no, a.id LIMIT $6
"""

_NAMES = f"SELECT a.name {_OF_REPORT} ORDER BY a.line_no, a.id"

_ATTRIBUTE = """
SELECT a.id, a.name, a.line_no, a.mdrm, a.data_type, a.mandatory, a.description, a.format,
       a.is_key, a.is_cde, a.has_issues, a.sample_values, m.column_name,
       r.name AS report_name, r.regulation
FROM attribute AS a JOIN phase AS p ON p.id = a.phase_id JOIN report AS r ON r.id = p.report_id
    LEFT JOIN pde_mapping AS m ON m.phase_id = a.phase_id AND m.attribute_id = a.id
        AND m.status <> 'rejected'
WHERE a.id = $1 AND a.is_active
"""


class PostgresAttributes:
    """Reads attributes; every method works in the caller's transaction."""

    async def foreign(
        self, tx: Transaction, cycle_id: int, report_id: int, attribute_ids: Sequence[int]
    ) -> Sequence[int]:
        """The ids that are not active attributes of the report in this cycle."""
        rows = await tx.fetch(_FOREIGN, cycle_id, report_id, attribute_ids)
        return [row["id"] for row in rows]

    async def page(
        self,
        tx: Transaction,
        cycle_id: int,
        report_id: int,
        attribute_ids: Sequence[int] | None,
        after: Listed | None,
    ) -> Sequence[Listed]:
        """The next attributes in the order of the form, all or the named; empty at the end."""
        line_no, last_id = (after.line_no, after.id) if after else (-1, -1)
        rows = await tx.fetch(_PAGE, cycle_id, report_id, attribute_ids, line_no, last_id, PAGE)
        return [Listed(**row) for row in rows]

    async def attribute(self, tx: Transaction, attribute_id: int) -> Attribute | None:
        """Read an active attribute."""
        rows = await tx.fetch(_ATTRIBUTE, attribute_id)
        return read_attribute(rows[0]) if rows else None

    async def names(self, tx: Transaction, cycle_id: int, report_id: int) -> Sequence[str]:
        """The names of the report's active attributes, in the order of the form."""
        rows = await tx.fetch(_NAMES, cycle_id, report_id)
        return [row["name"] for row in rows]


def read_attribute(row: Row) -> Attribute:
    """Read an attribute from a row with its columns, the mapped one and the report's name."""
    return Attribute(
        id=row["id"],
        name=row["name"],
        line_no=row["line_no"],
        mdrm=row["mdrm"],
        data_type=DataType(row["data_type"]),
        mandatory=Obligation(row["mandatory"]),
        description=row["description"],
        format=row["format"],
        is_key=row["is_key"],
        is_cde=row["is_cde"],
        has_issues=row["has_issues"],
        sample_values=tuple(row["sample_values"] or ()),
        column=row["column_name"],
        report_name=row["report_name"],
        regulation=row["regulation"],
    )
