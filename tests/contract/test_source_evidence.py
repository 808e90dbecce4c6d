"""The rows that samples were drawn from, looked up again by their keys, on both engines."""

import asyncio
from pathlib import Path

import pytest

from longhaul.adapters.sources.evidence import SourceEvidence
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.errors import ItemFailed
from longhaul.core.sources import DataSource, SourceAccess, SourceKind
from tests.tables import KINDS, make_table

MONTHS = [f"2024{month:02}" for month in range(1, 13)]
HISTORY = [(str(loan), month, f"{loan}/{month}") for loan in range(1, 101) for month in MONTHS]
# More rows of one key than are read, and one without a month.
ALIKE = [("7", "202507", f"again {number}") for number in range(50)]
UNDATED = ("8", None, "undated")


@pytest.fixture(params=KINDS)
async def history(request: pytest.FixtureRequest, dsn: str, tmp_path: Path) -> DataSource:
    rows = [*HISTORY, *ALIKE, UNDATED]
    return await make_table(
        request.param, dsn, tmp_path, ["loan integer", "month", "balance"], rows
    )


@pytest.fixture
def evidence(dsn: str) -> SourceEvidence:
    sessions = SourceSessions(SourceAccess(own_dsn=dsn))
    return SourceEvidence(sessions=sessions, queries=sessions)


async def test_each_row_is_found_by_all_parts_of_its_key(
    history: DataSource, evidence: SourceEvidence
) -> None:
    wanted = HISTORY[::5]

    found = await asyncio.gather(
        *(
            evidence.rows(history, "t", "balance", {"loan": loan, "month": month})
            for loan, month, _ in wanted
        )
    )

    assert found == [[balance] for _, _, balance in wanted]


async def test_rows_of_the_same_key_leave_room_for_others(
    history: DataSource, evidence: SourceEvidence
) -> None:
    keys = [{"loan": "7", "month": "202507"}, {"loan": "9", "month": "202401"}]

    many, one = await asyncio.gather(*(evidence.rows(history, "t", "balance", key) for key in keys))

    # One more than the limit shows that there are too many.
    assert len(many) == 11
    assert one == ["9/202401"]


async def test_a_missing_part_of_a_key_is_a_part_of_it(
    history: DataSource, evidence: SourceEvidence
) -> None:
    assert await evidence.rows(history, "t", "balance", {"loan": "8", "month": None}) == ["undated"]


async def test_no_row_has_a_key_of_parts_of_others(
    history: DataSource, evidence: SourceEvidence
) -> None:
    key = {"loan": "9", "month": "202507"}

    assert await evidence.rows(history, "t", "balance", key) == []


async def test_a_lookup_that_cannot_be_done_fails_alone(
    history: DataSource, evidence: SourceEvidence
) -> None:
    async def balance(loan: str, column: str = "balance") -> object:
        try:
            return await evidence.rows(history, "t", column, {"loan": loan, "month": "202401"})
        except ItemFailed as failed:
            return failed.item_code

    # In the database loans have numbers; to a file every key is a text.
    strange = "type_mismatch" if history.kind is SourceKind.POSTGRESQL else []
    found = await asyncio.gather(
        *(balance(str(loan)) for loan in range(1, 31)),
        balance("L-31"),
        balance("32", column="gone"),
        *(balance(str(loan)) for loan in range(33, 50)),
    )

    assert found == [
        *([f"{loan}/202401"] for loan in range(1, 31)),
        strange,
        "column_missing",
        *([f"{loan}/202401"] for loan in range(33, 50)),
    ]


async def test_a_table_that_is_not_there_fails_everybody(
    history: DataSource, evidence: SourceEvidence
) -> None:
    found = await asyncio.gather(
        *(evidence.rows(history, "u", "balance", {"loan": str(loan)}) for loan in range(3)),
        return_exceptions=True,
    )

    assert [one.item_code for one in found if isinstance(one, ItemFailed)] == ["table_missing"] * 3
