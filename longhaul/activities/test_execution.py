"""Test execution: searches the evidence of each test case for the expected value."""

import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from longhaul.activities.report_scope import RowId
from longhaul.core.cases import (
    MOST_ROWS,
    Case,
    CaseReport,
    CaseStore,
    Evidence,
    EvidenceKind,
    EvidenceSources,
    Execution,
    ExecutionOutcome,
    ExecutionReason,
    outcome_of,
)
from longhaul.core.comparison import compare
from longhaul.core.errors import InvalidInput, ItemFailed
from longhaul.core.extraction import Documents, Extraction, Extractor, Question
from longhaul.core.items import Done, Failed, Item, ItemOutcome, ItemResult, NewItem, Skipped
from longhaul.core.job_types import ItemContext, JobType, Prepared, Queue, for_provider
from longhaul.core.jobs import Counts, Job
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, Role, is_visible
from longhaul.core.sentences import some_of

QUERY = "query"

# The confidence when the row that a sample was drawn from is the only evidence.
_OF_ITSELF = 0.5
_ITSELF = "As in the row that the sample was drawn from; no other evidence was given."

_MOST_NAMED = 20


class CaseParameters(BaseModel):
    """Which test cases are executed, and why."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    test_case_ids: list[RowId] | None = Field(
        None, min_length=1, max_length=100_000, description="all of the report when absent"
    )
    cycle_id: RowId | None = Field(None, description="goes with report_id")
    report_id: RowId | None = Field(None, description="goes with cycle_id")
    reason: ExecutionReason = Field(
        ExecutionReason.INITIAL,
        description="initial leaves out cases that were executed before, evidence_updated those "
        "whose evidence is still the same; retry and manual_rerun execute all",
    )

    @field_validator("test_case_ids")
    @classmethod
    def _each_once(cls, ids: list[int] | None) -> list[int] | None:
        return None if ids is None else sorted(set(ids))

    @model_validator(mode="after")
    def _names_cases(self) -> Self:
        if (self.cycle_id is None) != (self.report_id is None):
            raise ValueError("cycle_id and report_id go together")
        if self.test_case_ids is None and self.cycle_id is None:
            raise ValueError("give test_case_ids, or cycle_id and report_id")
        return self


class CaseExecutionType(JobType[CaseParameters]):
    """Extracts and compares without deciding: every result waits for a person.

    Args:
        offline: Reads documents for jobs that were planned with the provider `offline`.
        model: Reads them for all others.
        frozen: Provider, model and prompt version for jobs that are planned from now on.
    """

    name = "test_execution"
    title = "Test execution"
    task_name = "app.tasks.test_execution.execute_tests"
    parameters = CaseParameters
    queue = Queue.LLM
    item_timeout = timedelta(minutes=5)
    roles = frozenset({Role.TESTER, Role.TEST_EXECUTIVE, Role.ADMIN})

    def __init__(
        self,
        *,
        store: CaseStore,
        documents: Documents,
        sources: EvidenceSources,
        offline: Extractor,
        model: Extractor,
        frozen: Mapping[str, Any],
    ) -> None:
        self._store = store
        self._documents = documents
        self._sources = sources
        self._offline = offline
        self._model = model
        self._frozen = frozen

    async def prepare(
        self, tx: Transaction, parameters: CaseParameters, principal: Principal
    ) -> Prepared[CaseParameters]:
        """Find the report, and make its missing test cases.

        Raises:
            InvalidInput: They name something that does not exist or cannot be used.
        """
        report = await self._report(tx, parameters, principal)
        await self._store.make_cases_of_report(tx, report.cycle_id, report.report_id)
        resolved = parameters.model_copy(
            update={"cycle_id": report.cycle_id, "report_id": report.report_id}
        )
        if not await self._store.page(tx, *_place(resolved), resolved.test_case_ids, 0):
            raise InvalidInput(
                "The report has no test cases; approve a sample set first.",
                (("/parameters/report_id", "has no test cases"),),
            )
        return Prepared(
            parameters=resolved,
            cycle_id=report.cycle_id,
            report_id=report.report_id,
            phase_id=report.phase_id,
            report_name=report.report_name,
        )

    def freeze(self) -> Mapping[str, Any]:
        """Provider, model and prompt version."""
        return self._frozen

    async def items(self, tx: Transaction, parameters: CaseParameters) -> AsyncIterator[NewItem]:
        """List the test cases."""
        after = 0
        while page := await self._store.page(
            tx, *_place(parameters), parameters.test_case_ids, after
        ):
            for one in page:
                yield NewItem(
                    key=f"case-{one.id}",
                    label=f"Sample {one.sample}: {one.attribute}",
                    payload={"test_case_id": one.id},
                )
            after = page[-1].id

    async def do(self, item: Item, context: ItemContext[CaseParameters]) -> ItemResult:
        """Extract and compare for one test case.

        Raises:
            ItemFailed: The case is gone, or its evidence cannot be read.
        """
        started = time.monotonic()
        async with context.database.begin() as tx:
            case = await self._store.case(tx, int(item.payload["test_case_id"]))
        if case is None:
            raise ItemFailed("case_missing", "The test case is no longer active.")
        if case.evidence is None:
            raise ItemFailed("no_evidence", "The test case has no evidence.")
        reason = context.parameters.reason
        if reason is ExecutionReason.INITIAL and case.executions:
            return Skipped("The test case has been executed before.")
        if reason is ExecutionReason.EVIDENCE_UPDATED and case.last_evidence_id == case.evidence.id:
            return Skipped("The evidence is the same as before.")
        extraction, was_there = await self._extract(case, case.evidence, context)
        comparison = compare(case.expected, extraction.value, case.attribute.data_type)
        execution = Execution(
            case_id=case.id,
            ordinal=item.ordinal,
            evidence_id=case.evidence.id,
            reason=reason,
            outcome=outcome_of(case.evidence.kind, extraction, comparison, was_there),
            extraction=extraction,
            comparison=comparison,
            duration_ms=round((time.monotonic() - started) * 1000),
        )
        return Done(
            {
                "test_case_id": case.id,
                "outcome": execution.outcome,
                "confidence": extraction.confidence,
                "provider": extraction.provider,
                "test_result": "pending_review",
            },
            rows=execution,
        )

    async def refuse(
        self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]
    ) -> Mapping[int, Failed]:
        """Refuse nothing, but lock the cases so that other jobs do not number the same ones."""
        await self._store.hold(tx, [one.case_id for one in _executions(ended)])
        return {}

    async def save(self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]) -> None:
        """Store executions, each the latest of its case, with its audit."""
        await self._store.record(tx, job, _executions(ended))

    async def summarise(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any]:
        """Count what was stored by outcome."""
        totals = await self._store.totals(tx, job.id)
        executed = sum(totals.values())
        return {
            "test_cases": counts.total,
            "executed": executed,
            "failed": counts.failed,
            "skipped": counts.skipped,
            "by_outcome": {outcome.value: totals.get(outcome, 0) for outcome in ExecutionOutcome},
            "pending_review": executed,
        }

    async def _extract(
        self, case: Case, evidence: Evidence, context: ItemContext[CaseParameters]
    ) -> tuple[Extraction, bool]:
        """The value in the evidence, and whether the evidence has the record."""
        named = {name: value for name, value in case.keys.items() if value}
        if evidence.kind is EvidenceKind.DOCUMENT:
            document = await self._documents.read(evidence.content_hash, evidence.content_type)
            frozen = context.job.frozen
            extractor = for_provider(frozen, offline=self._offline, model=self._model)
            question = Question(attribute=case.attribute, keys=named, identifying=case.identifying)
            return await extractor.extract(question, document, frozen, context.calls), False
        if evidence.source is None:
            raise ItemFailed("source_missing", "The evidence names no data source.")
        if evidence.kind is EvidenceKind.QUERY:
            parameters = {**evidence.parameters, **case.keys}
            rows = await self._sources.query(evidence.source, evidence.query, parameters)
            column = _column(case, rows[0]) if rows else ""
            values: Sequence[str | None] = [row[column] for row in rows]
            keys = _same(named, rows[0]) if rows else {}
            return _read(values, column, keys), bool(values)
        values = await self._sources.rows(
            evidence.source, evidence.table, evidence.column, evidence.keys
        )
        found = _read(values, evidence.column, named)
        if values:
            found = replace(found, confidence=_OF_ITSELF, rationale=_ITSELF)
        return found, bool(values)

    async def _report(
        self, tx: Transaction, parameters: CaseParameters, principal: Principal
    ) -> CaseReport:
        cycle_id, report_id = parameters.cycle_id, parameters.report_id
        report = None
        if cycle_id is not None and report_id is not None:
            report = await self._store.report(tx, cycle_id, report_id)
            if report is None or not is_visible(report.lob, principal):
                raise InvalidInput(
                    f"Cycle {cycle_id} holds no report {report_id}.",
                    (("/parameters/report_id", "unknown in this cycle"),),
                )
        if parameters.test_case_ids is None:
            assert report is not None
            return report
        known = await self._store.reports_of(tx, parameters.test_case_ids)
        visible = {key for key, one in known.items() if is_visible(one.lob, principal)}
        first = report or next((known[key] for key in sorted(visible)), None)
        strange = [
            key
            for key in parameters.test_case_ids
            if key not in visible
            or first is None
            or (known[key].cycle_id, known[key].report_id) != (first.cycle_id, first.report_id)
        ]
        if strange or first is None:
            some = some_of(strange[:_MOST_NAMED], len(strange))
            raise InvalidInput(
                f"No active test cases of one report: {some}.",
                (("/parameters/test_case_ids", "not active test cases of one report"),),
            )
        return first


def _executions(ended: Sequence[ItemOutcome]) -> list[Execution]:
    return [
        one.result.rows
        for one in ended
        if isinstance(one.result, Done) and isinstance(one.result.rows, Execution)
    ]


def _column(case: Case, row: Mapping[str, Any]) -> str:
    """The column of a query's result with the value."""
    if len(row) == 1:
        return next(iter(row))
    for name in (case.attribute.name, case.attribute.column, "value"):
        if name in row and name is not None:
            return name
    raise ItemFailed(
        "evidence_ambiguous",
        "The query returns several columns; name one `value`, or like the attribute.",
    )


def _same(keys: Mapping[str, str], row: Mapping[str, str | None]) -> Mapping[str, str]:
    return {name: value for name, value in keys.items() if row.get(name) == value}


def _read(values: Sequence[str | None], column: str, keys: Mapping[str, str]) -> Extraction:
    if len(set(values)) > 1:
        raise ItemFailed(
            "evidence_ambiguous", "The source has several rows for the record, and they differ."
        )
    if len(values) > MOST_ROWS:
        raise ItemFailed(
            "evidence_ambiguous",
            f"The source has more than {MOST_ROWS} rows for the record, too many to be about one.",
        )
    found = bool(values)
    return Extraction(
        value=values[0] if found else None,
        keys=keys if found else {},
        confidence=1.0 if found else 0.0,
        rationale="As in the source." if found else "The source has no such row.",
        provider=QUERY,
        location={"rows": len(values), "column": column} if found else {},
    )


def _place(parameters: CaseParameters) -> tuple[int, int]:
    if parameters.cycle_id is None or parameters.report_id is None:
        raise InvalidInput("The parameters were not resolved when the job was created.")
    return parameters.cycle_id, parameters.report_id
