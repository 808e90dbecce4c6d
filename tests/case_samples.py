"""Test cases of a small report, and executions of them without a job."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from longhaul.adapters.postgres.cases import PostgresCases
from longhaul.adapters.postgres.casework import PostgresCasework
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.cases import Execution, ExecutionOutcome, ExecutionReason
from longhaul.core.comparison import Comparison, Kind
from longhaul.core.extraction import Extraction
from tests.factories import make_job
from tests.loans import Loans, seed_loans


@dataclass(frozen=True)
class SeededCases:
    """Test cases in the order of their ids: sample by sample, each in the order of the form."""

    loans: Loans
    ids: tuple[int, ...]

    async def execute(
        self, case_id: int, outcome: ExecutionOutcome = ExecutionOutcome.MATCH
    ) -> None:
        """Record an execution with this outcome, over the current evidence."""
        async with self.loans.database.begin() as tx:
            (evidence, *_) = await PostgresCasework().evidence(tx, case_id, 1)
            execution = Execution(
                case_id=case_id,
                ordinal=0,
                evidence_id=evidence["id"],
                reason=ExecutionReason.MANUAL_RERUN,
                outcome=outcome,
                extraction=Extraction(
                    value="80.00",
                    keys={},
                    confidence=0.9,
                    rationale="It says so.",
                    provider="query",
                ),
                comparison=Comparison(equal=True, kind=Kind.NUMBER),
                duration_ms=1,
            )
            store = PostgresCases()
            await store.hold(tx, [case_id])
            await store.record(tx, make_job(owner="tess"), [execution])

    async def evidence(self, case_id: int) -> Sequence[Any]:
        """The evidence of a test case, the current one first."""
        async with self.loans.database.begin() as tx:
            return await PostgresCasework().evidence(tx, case_id, 100)


async def seed_cases(database: PostgresDatabase, *, secret_ref: str | None = None) -> SeededCases:
    """Store twelve test cases: three samples of four attributes."""
    loans = await seed_loans(database, secret_ref=secret_ref)
    set_id = await loans.approve_samples()
    async with database.begin() as tx:
        await tx.execute("UPDATE attribute SET line_no = id")
        await PostgresCases().make_cases(tx, set_id)
        rows = await tx.fetch("SELECT id FROM test_case ORDER BY id")
    return SeededCases(loans, tuple(row["id"] for row in rows))
