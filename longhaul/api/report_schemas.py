"""Requests and answers about reports, their forms and their data sources."""

from collections.abc import Sequence
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator
from typing_extensions import TypedDict

from longhaul.api.schemas import Request
from longhaul.core.attributes import Obligation
from longhaul.core.formats import DataType
from longhaul.core.forms import (
    MAX_ATTRIBUTES,
    FormAttribute,
    Name,
    Words,
    read_csv,
    read_list,
)
from longhaul.core.sources import DataSource, SourceKind


class ReportRequest(Request):
    """Imports a report into a cycle, with its form as a list or as the text of a CSV file."""

    name: Name
    cycle: Name
    regulation: Words | None = None
    lob: Name | None = Field(None, description="the line of business; the caller's when absent")
    attributes: list[FormAttribute] | None = Field(None, min_length=1, max_length=MAX_ATTRIBUTES)
    form: Annotated[str, StringConstraints(strip_whitespace=False)] | None = Field(
        None, description="CSV; the first line names the columns, which are those of an attribute"
    )

    @model_validator(mode="after")
    def _has_one_form(self) -> Self:
        if (self.attributes is None) == (self.form is None):
            raise ValueError("send exactly one of `attributes` and `form`")
        return self

    def read_form(self) -> Sequence[FormAttribute]:
        """The attributes, from the list or the CSV text.

        Raises:
            InvalidInput: The form cannot be read.
        """
        return read_list(self.attributes) if self.attributes else read_csv(self.form or "")


SecretRef = Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", max_length=200)]


class SourceRequest(Request):
    """Adds a data source to a report."""

    name: Name
    kind: SourceKind
    location: Words = Field(
        "",
        description="a file or a folder, relative to a folder of sources; for PostgreSQL a schema, "
        "a schema.table, or nothing for all that may be read",
    )
    secret_ref: SecretRef | None = Field(
        None, description="for PostgreSQL: the bound variable that holds the DSN"
    )

    @model_validator(mode="after")
    def _says_where(self) -> Self:
        if self.kind is SourceKind.POSTGRESQL:
            if self.secret_ref is None:
                raise ValueError("a database needs a `secret_ref`, the name of a bound variable")
        elif self.secret_ref is not None:
            raise ValueError("files have no `secret_ref`")
        elif not self.location:
            raise ValueError("give the file as `location`")
        return self

    def as_source(self) -> DataSource:
        """The source as core has it."""
        return DataSource(**self.model_dump())


class ImportedView(TypedDict):
    """A report in a cycle; `created` is false if all of it existed before."""

    report_id: int
    name: str
    regulation: str
    lob: str
    cycle_id: int
    cycle: str
    phase_ids: dict[str, int]
    attributes: int
    created: bool


class SourceView(TypedDict):
    """One data source, without the value of its secret."""

    source_id: int
    name: str
    kind: SourceKind
    location: str
    secret_ref: str | None


class AddedSourceView(SourceView):
    """A data source, and the size of what was found in it."""

    tables: int
    columns: int
    created: bool


class SourceList(TypedDict):
    """The data sources of a report."""

    sources: list[SourceView]


class InCycleView(TypedDict):
    """A report in one of its cycles."""

    cycle_id: int
    cycle: str
    phase_ids: dict[str, int]
    attributes: int


class ReportView(TypedDict):
    """One report with its cycles, oldest first, and its data sources."""

    report_id: int
    name: str
    regulation: str
    lob: str
    cycles: list[InCycleView]
    sources: list[SourceView]


class ReportList(TypedDict):
    """One page of reports, oldest first."""

    reports: list[ReportView]
    next_cursor: str | None


class AttributeView(TypedDict):
    """One attribute of a form."""

    attribute_id: int
    name: str
    line_no: int
    mdrm: str
    mandatory: Obligation
    format: str
    data_type: DataType
    description: str
    is_key: bool
    is_cde: bool
    has_issues: bool


class AttributePage(TypedDict):
    """One page of a form, in its order."""

    cycle_id: int
    attributes: list[AttributeView]
    next_cursor: str | None
