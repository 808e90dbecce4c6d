"""Reads the data sources of reports."""

from collections.abc import Mapping, Sequence

from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource, SourceKind

_SOURCES = """
SELECT report_id, id, name, kind, location, secret_ref FROM data_source
WHERE report_id = ANY ($1) ORDER BY id
"""


async def data_sources(tx: Transaction, report_id: int) -> Mapping[int, DataSource]:
    """The data sources of a report by id, in the order of ids."""
    return (await data_sources_of(tx, [report_id]))[report_id]


async def data_sources_of(
    tx: Transaction, report_ids: Sequence[int]
) -> Mapping[int, Mapping[int, DataSource]]:
    """The data sources of several reports, by report."""
    found: dict[int, dict[int, DataSource]] = {report_id: {} for report_id in report_ids}
    for row in await tx.fetch(_SOURCES, report_ids):
        found[row["report_id"]][row["id"]] = DataSource(
            id=row["id"],
            name=row["name"],
            kind=SourceKind(row["kind"]),
            location=row["location"],
            secret_ref=row["secret_ref"],
        )
    return found
