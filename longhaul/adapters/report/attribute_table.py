"""Every attribute of the report: its column, and the results of its rules."""

from collections.abc import Sequence

from longhaul.adapters.report import figures
from longhaul.adapters.report.markup import Node, tag
from longhaul.adapters.report.tables import Column, table
from longhaul.core.quality_report import AttributeLine


def _flags(attribute: AttributeLine) -> str:
    flags = (("key", attribute.is_key), ("CDE", attribute.is_cde))
    return ", ".join([attribute.mandatory.lower(), *(name for name, is_so in flags if is_so)])


def _physical(attribute: AttributeLine) -> Node:
    if attribute.column is None:
        return tag("span", "none", class_="null")
    if attribute.table is None:
        return tag("code", attribute.column)
    # A line may break after the table's name, and not within a name.
    return tag("code", attribute.table, ".", tag("wbr"), attribute.column)


_ATTRIBUTE_COLUMNS: Sequence[Column[AttributeLine]] = (
    Column("Line", lambda one: str(one.line_no), is_number=True),
    Column("Attribute", lambda one: one.name, is_heading=True),
    Column("Type", lambda one: one.data_type),
    Column("Flags", _flags),
    Column("Physical column", _physical),
    Column("Rules", lambda one: figures.count(one.score.rules), is_number=True),
    Column("Violated", lambda one: figures.count(one.score.violated), is_number=True),
    Column("Could not run", lambda one: figures.count(one.score.not_run), is_number=True),
    Column("Failing", lambda one: figures.count(one.score.failed), is_number=True),
    Column("Pass rate", lambda one: figures.percent(one.score.pass_rate), is_number=True),
)


def attribute_table(attributes: Sequence[AttributeLine]) -> Node:
    """The table, in the order of the form."""
    if not attributes:
        return tag("p", "The report has no attributes.")
    return table(
        _ATTRIBUTE_COLUMNS,
        attributes,
        caption="In the order of the form. Attributes that no rule checked are greyed out",
        is_quiet=lambda one: not one.is_checked,
    )
