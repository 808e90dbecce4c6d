"""Loads a sample report with its source table into the database."""

import csv
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path

from longhaul.adapters.postgres.database import PostgresDatabase, PostgresTransaction
from longhaul.adapters.postgres.reports import store_report, store_source
from longhaul.adapters.sample.anomaly import Anomaly
from longhaul.adapters.sample.form import FormField, is_identifier, read_form
from longhaul.adapters.sample.generator import SampleRow, SampleTable
from longhaul.core.errors import InvalidInput
from longhaul.core.forms import FormAttribute
from longhaul.core.sources import DataSource, SourceKind

SCHEMA = "sample"
CYCLE = "FR Y-14M sample, June 2025"
SAMPLE_VALUES = 5

_STARTS_ON = date(2025, 7, 1)
_REGULATION = "FR Y-14M"
_LOB = "Mortgage"
_SOURCE = "Loan servicing extract"

# A COPY has its connection's statement time-out, so a long one is split: this many values
# take about a second.
_VALUES_PER_COPY = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleReport:
    """What was loaded, and under which ids.

    Attributes:
        table: The source table with its schema.
        phase_ids: By the name of the phase.
        attribute_ids: By the name of the attribute, in the order of the form.
        anomalies: What is wrong in the table, in the order of its rows.
    """

    cycle_id: int
    report_id: int
    report_name: str
    data_source_id: int
    table: str
    rows: int
    phase_ids: Mapping[str, int]
    attribute_ids: Mapping[str, int]
    anomalies: tuple[Anomaly, ...]

    @property
    def anomaly_count(self) -> int:
        """How many anomalies were planted."""
        return len(self.anomalies)


async def load_sample(
    database: PostgresDatabase,
    *,
    rows: int,
    random_seed: int,
    attributes: int | None = None,
    form: str = "a1",
) -> SampleReport:
    """Create a sample report, or reset it to these arguments.

    One transaction replaces the source table and updates the rows around it by their
    natural keys, so that ids stay and nobody sees a half-loaded report. Mappings, rules and
    jobs are left alone.

    Args:
        attributes: How many; those of the form when None, repeated with numbered names beyond.

    Raises:
        InvalidInput: There is no such form, or a negative number of rows, or no attribute.
        Unavailable: The database did not answer.
    """
    if rows < 0:
        raise InvalidInput("The number of rows must not be negative.")
    read = read_form(form, attributes)
    table = SampleTable(read, random_seed=random_seed)
    async with database.begin() as tx:
        # Two loads at once would drop each other's tables.
        await tx.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", SCHEMA)
        filled = await _replace_table(tx, read.table, table, rows)
        stored = await store_report(
            tx,
            name=read.title,
            regulation=_REGULATION,
            lob=_LOB,
            cycle=CYCLE,
            starts_on=_STARTS_ON,
            attributes=[_attribute(field) for field in read.fields],
            sample_values={
                field.name: filled.seen[field.column] for field in read.fields if field.column
            },
        )
        location = f"{SCHEMA}.{read.table}"
        source = DataSource(name=_SOURCE, kind=SourceKind.POSTGRESQL, location=location)
        return SampleReport(
            cycle_id=stored.cycle_id,
            report_id=stored.report_id,
            report_name=read.title,
            data_source_id=await store_source(tx, stored.report_id, source),
            table=location,
            rows=rows,
            phase_ids=stored.phase_ids,
            attribute_ids=stored.attribute_ids,
            anomalies=tuple(filled.anomalies),
        )


def write_anomalies(path: Path, anomalies: Iterable[Anomaly]) -> None:
    """Write anomalies as CSV: row key, column, kind."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("row_key", "column", "kind"))
        writer.writerows((each.row_key, each.column, each.kind) for each in anomalies)


class _Filling:
    """The rows on their way into the table, and facts about them."""

    def __init__(self, columns: Sequence[str], rows: Iterator[SampleRow]) -> None:
        self.seen: dict[str, list[str]] = {column: [] for column in columns}
        self.anomalies: list[Anomaly] = []
        self._wanting = list(enumerate(self.seen.values()))
        self._rows = rows

    async def next(self, count: int) -> AsyncIterator[tuple[object, ...]]:
        for row in islice(self._rows, count):
            if row.anomaly:
                self.anomalies.append(row.anomaly)
            self._remember(row.values)
            yield row.values

    def _remember(self, values: Sequence[str | None]) -> None:
        is_full = False
        for position, seen in self._wanting:
            value = values[position]
            if value is not None and value not in seen:
                seen.append(value)
                is_full = is_full or len(seen) == SAMPLE_VALUES
        if is_full:
            self._wanting = [each for each in self._wanting if len(each[1]) < SAMPLE_VALUES]


async def _replace_table(
    tx: PostgresTransaction, name: str, table: SampleTable, rows: int
) -> _Filling:
    for statement in _table_statements(name, table.columns):
        await tx.execute(statement)
    # COPY takes a table's bare name.
    await tx.execute(f"SET LOCAL search_path TO {SCHEMA}")
    filling = _Filling(table.columns, table.rows(rows))
    batch = max(_VALUES_PER_COPY // len(table.columns), 1)
    for first in range(0, rows, batch):
        await tx.copy(name, table.columns, filling.next(min(batch, rows - first)))
    await tx.execute("SET LOCAL search_path TO DEFAULT")
    return filling


def _table_statements(name: str, columns: Sequence[str]) -> list[str]:
    for identifier in (name, *columns):
        if not is_identifier(identifier):
            raise ValueError(f"{identifier!r} is not a plain SQL name.")
    return [
        f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
        f"DROP TABLE IF EXISTS {SCHEMA}.{name}",
        f"CREATE TABLE {SCHEMA}.{name} ({', '.join(f'{column} text' for column in columns)})",
    ]


def _attribute(field: FormField) -> FormAttribute:
    return FormAttribute(
        name=field.name,
        line_no=field.line_no,
        mdrm=field.mdrm,
        mandatory=field.mandatory,
        format=field.format_text,
        description=field.description,
        is_key=field.is_key,
        is_cde=field.is_cde,
        has_issues=field.has_issues,
    )
