"""Rules for tables: the table of each, and how its attributes are read there.

Everything that judges rows by rules uses this, so that the results agree.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from longhaul.core.formats import DataType, UnknownFormat, parse_format
from longhaul.core.ports import Row, Transaction
from longhaul.core.rule_execution import Fault, TableRule, columns_of
from longhaul.core.sources import DataSource

# A data source and, if it has more than one, the table in it.
Place: TypeAlias = tuple[int, str | None]

_ATTRIBUTES = """
SELECT a.id, a.name, a.data_type, a.format, a.mandatory, a.is_key, a.is_cde, m.data_source_id,
       m.table_name, m.column_name
FROM attribute AS a JOIN phase AS p ON p.id = a.phase_id
    LEFT JOIN pde_mapping AS m ON m.phase_id = a.phase_id AND m.attribute_id = a.id
        AND m.status <> 'rejected'
WHERE p.cycle_id = $1 AND p.report_id = $2 AND a.is_active
ORDER BY a.line_no, a.id
"""

_NO_SOURCE = Fault(
    code="no_source",
    sentence="The attribute is not mapped, and the report does not have exactly one table.",
)
_SCATTERED = Fault(
    code="several_tables", sentence="The rule compares attributes in different tables."
)


@dataclass(frozen=True, slots=True)
class PlacedRules:
    """Rules by table, and those that have none."""

    by_place: dict[Place, list[TableRule]] = field(default_factory=dict)
    faults: dict[str, Fault] = field(default_factory=dict)


async def report_attributes(tx: Transaction, cycle_id: int, report_id: int) -> Mapping[str, Row]:
    """The active attributes of a report by name, each with the column that feeds it."""
    return {row["name"]: row for row in await tx.fetch(_ATTRIBUTES, cycle_id, report_id)}


def place_rules(
    rules: Sequence[Row], attributes: Mapping[str, Row], sources: Mapping[int, DataSource]
) -> PlacedRules:
    """Sort rules by the table that they are evaluated on.

    Args:
        rules: With `id`, `expectation`, `kwargs` and the name of the `attribute`.
    """
    placed = PlacedRules()
    usual = _usual(attributes.values(), sources)
    for row in rules:
        names = [row["attribute"], *columns_of(row["kwargs"])]
        found = {name: attributes[name] for name in names if name in attributes}
        mapped = {place for one in found.values() if (place := _place(one))}
        own = found.get(row["attribute"])
        place = (_place(own) if own else None) or next(iter(mapped), None) or usual
        rule_id = str(row["id"])
        if place is None or place[0] not in sources:
            placed.faults[rule_id] = _NO_SOURCE
        elif len(mapped) > 1:
            placed.faults[rule_id] = _SCATTERED
        else:
            placed.by_place.setdefault(place, []).append(_table_rule(rule_id, row, found))
    return placed


def key_of(attributes: Mapping[str, Row], place: Place) -> Sequence[str]:
    """The columns of a report's key that a table has."""
    return [
        row["column_name"] or name
        for name, row in attributes.items()
        if row["is_key"] and _place(row) in (place, None)
    ]


def written_as(format_text: str) -> str | None:
    """How times of a format are written, such as `%Y%m`; None if it is not a format of times."""
    try:
        return parse_format(format_text).strftime
    except UnknownFormat:
        return None


def _usual(attributes: Iterable[Row], sources: Mapping[int, DataSource]) -> Place | None:
    """The table of an attribute without a mapping, if there is only one."""
    places = {place for one in attributes if (place := _place(one))}
    if len(places) == 1:
        return places.pop()
    if not places and len(sources) == 1:
        return next(iter(sources)), None
    return None


def _place(attribute: Row) -> Place | None:
    if attribute["data_source_id"] is None:
        return None
    return attribute["data_source_id"], attribute["table_name"]


def _table_rule(rule_id: str, row: Row, found: Mapping[str, Row]) -> TableRule:
    return TableRule(
        id=rule_id,
        expectation=row["expectation"],
        kwargs=row["kwargs"],
        columns={name: one["column_name"] or name for name, one in found.items()},
        types={name: DataType(one["data_type"]) for name, one in found.items()},
        written={name: form for name, one in found.items() if (form := written_as(one["format"]))},
    )
