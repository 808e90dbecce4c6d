"""An attribute of a report: one field of the form, as the testing team sees it."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol

from longhaul.core.formats import DataType
from longhaul.core.ports import Transaction


class Obligation(StrEnum):
    """Whether the form requires a value."""

    MANDATORY = "Mandatory"
    CONDITIONAL = "Conditional"
    OPTIONAL = "Optional"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attribute:
    """One field of a report.

    Attributes:
        format: As the form writes it, such as "Character(32)"; may be empty.
        is_cde: Whether it is a critical data element.
        sample_values: The first values of the source, as JSON has them.
        column: The physical column that feeds it; None while it is not mapped.
    """

    id: int
    name: str
    line_no: int
    mdrm: str
    data_type: DataType
    mandatory: Obligation
    description: str = ""
    format: str = ""
    is_key: bool = False
    is_cde: bool = False
    has_issues: bool = False
    sample_values: tuple[Any, ...] = ()
    column: str | None = None
    report_name: str = ""
    regulation: str = ""

    @property
    def reference(self) -> str:
        """Where the form defines it: "FR Y-14M Schedule A.1, line 13 (M154)"."""
        form = self.report_name
        if self.regulation and self.regulation.lower() not in form.lower():
            form = f"{self.regulation} {form}".strip()
        line = f"line {self.line_no}" + (f" ({self.mdrm})" if self.mdrm else "")
        return f"{form}, {line}" if form else line


@dataclass(frozen=True, slots=True, kw_only=True)
class Listed:
    """What is needed to list an attribute and to continue after it."""

    id: int
    name: str
    line_no: int


class AttributeStore(Protocol):
    """The active attributes of a report in a cycle."""

    async def foreign(
        self, tx: Transaction, cycle_id: int, report_id: int, attribute_ids: Sequence[int]
    ) -> Sequence[int]:
        """The ids that are not active attributes of the report in this cycle."""

    async def page(
        self,
        tx: Transaction,
        cycle_id: int,
        report_id: int,
        attribute_ids: Sequence[int] | None,
        after: Listed | None,
    ) -> Sequence[Listed]:
        """The next attributes in the order of the form, all or the named; empty at the end."""

    async def attribute(self, tx: Transaction, attribute_id: int) -> Attribute | None:
        """Read an active attribute."""

    async def names(self, tx: Transaction, cycle_id: int, report_id: int) -> Sequence[str]:
        """The names of the report's active attributes, in the order of the form."""
