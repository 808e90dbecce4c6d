"""Reads where the rows of a report are kept."""

from collections.abc import Mapping

from longhaul.core.ports import Transaction
from longhaul.core.sources import DataSource, SourceKind

_SOURCES = """
SELECT id, name, kind, location, secret_ref FROM data_source WHERE report_id = $1 ORDER BY id
"""


async def data_sources(tx: Transaction, report_id: int) -> Mapping[int, DataSource]:
    """The data sources of a report by their ids, in the order of these."""
    return {
        row["id"]: DataSource(
            id=row["id"],
            name=row["name"],
            kind=SourceKind(row["kind"]),
            location=row["location"],
            secret_ref=row["secret_ref"],
        )
        for row in await tx.fetch(_SOURCES, report_id)
    }
