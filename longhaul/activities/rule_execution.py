"""Rule execution: runs every rule that both have approved over the rows of its source."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from longhaul.activities.rule_scans import RuleScans, TableJudged
from longhaul.core.errors import InvalidInput, ItemFailed, NothingApproved
from longhaul.core.items import Done, Item, ItemOutcome, ItemResult, NewItem
from longhaul.core.job_types import ItemContext, JobType, Prepared, Queue
from longhaul.core.jobs import Counts, Job
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, Role, is_visible
from longhaul.core.rule_execution import (
    ApprovedRule,
    Fault,
    NewRuleResult,
    ResultTotals,
    RuleResultStore,
    SampleOf,
    Verdict,
    score,
)
from longhaul.core.rules import RuleStore


class RuleExecutionParameters(BaseModel):
    """Which rules are executed, and over how many rows."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version_id: UUID = Field(description="the rule version; its approved rules are executed")
    sample_size: int | None = Field(
        None, ge=1, le=2**31, description="check at most this many rows of a table; all when absent"
    )
    sample_percentage: float | None = Field(
        None, gt=0, le=100, description="check about this percentage of the rows; all when absent"
    )

    @model_validator(mode="after")
    def _one_sample(self) -> Self:
        if self.sample_size is not None and self.sample_percentage is not None:
            raise ValueError("sample_size and sample_percentage cannot be combined")
        return self

    @property
    def sample(self) -> SampleOf | None:
        """Which rows are read; None for all."""
        if self.sample_size is None and self.sample_percentage is None:
            return None
        return SampleOf(size=self.sample_size, percentage=self.sample_percentage)


class RuleExecutionType(JobType[RuleExecutionParameters]):
    """Judges rules over their sources, all rules of one table in one scan."""

    name = "data_profiling_rule_execution"
    title = "Rule execution"
    task_name = "app.tasks.data_profiling.execute_rules"
    aliases = ("profiling_execution", "rule_execution")
    parameters = RuleExecutionParameters
    queue = Queue.DATA
    # An item takes as long as its table's scan, which has its own time-outs.
    item_timeout = timedelta(hours=6)
    roles = frozenset({Role.TESTER, Role.TEST_EXECUTIVE, Role.DATA_EXECUTIVE, Role.ADMIN})

    def __init__(self, *, rules: RuleStore, results: RuleResultStore, scans: RuleScans) -> None:
        self._rules = rules
        self._results = results
        self._scans = scans

    async def prepare(
        self, tx: Transaction, parameters: RuleExecutionParameters, principal: Principal
    ) -> Prepared[RuleExecutionParameters]:
        """Check that the version has rules that may be executed.

        Raises:
            InvalidInput: There is no such version.
            NothingApproved: Nobody has approved any of its rules.
        """
        version_id = str(parameters.version_id)
        version = await self._rules.version(tx, version_id)
        if version is None or not is_visible(version.lob, principal):
            raise InvalidInput(
                f"There is no rule version {version_id}.", (("/parameters/version_id", "unknown"),)
            )
        if not await self._results.approved(tx, version_id, None):
            raise NothingApproved(
                f"Rule version {version_id} has no rules that both the tester and the report "
                "owner have approved, and only such rules are executed."
            )
        return Prepared(
            parameters=parameters,
            cycle_id=version.cycle_id,
            report_id=version.report_id,
            phase_id=version.phase_id,
            report_name=version.report_name,
        )

    async def items(
        self, tx: Transaction, parameters: RuleExecutionParameters
    ) -> AsyncIterator[NewItem]:
        """List the approved rules in the order of the form."""
        after: ApprovedRule | None = None
        while page := await self._results.approved(tx, str(parameters.version_id), after):
            for one in page:
                yield NewItem(key=f"rule-{one.id}", label=one.name, payload={"rule_id": one.id})
            after = page[-1]

    async def do(self, item: Item, context: ItemContext[RuleExecutionParameters]) -> ItemResult:
        """Judge one rule, in one scan with the others of its table.

        Raises:
            ItemFailed: The rule cannot be judged; the code is the reason.
        """
        found = await self._scans.judge(
            context.job,
            item.payload["rule_id"],
            context.parameters.sample,
            alone=item.losses > 0,
        )
        outcome = found.judged.outcome
        if isinstance(outcome, Fault):
            raise ItemFailed(outcome.code, outcome.sentence)
        return Done(_output(found, outcome), rows=found)

    async def save(self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]) -> None:
        """Store the results of the rules."""
        results = [
            new
            for one in ended
            if isinstance(one.result, Done) and (new := _new(one.item, one.result.rows))
        ]
        await self._results.store(tx, job.parameters["version_id"], job.id, results)

    async def summarise(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any]:
        """Add up what is stored; scores are shares of what was judged."""
        totals = await self._results.totals(tx, job.id)
        dimensions = totals.by_dimension.values()
        return {
            "version_id": job.parameters["version_id"],
            "status": "partial" if counts.failed else "completed",
            "summary": {
                "total_rules": counts.total,
                "successful_rules": counts.done,
                "failed_rules": counts.failed,
                "satisfied_rules": sum(one.satisfied for one in dimensions),
                "violated_rules": sum(one.rules - one.satisfied for one in dimensions),
                "total_records_processed": totals.records,
                "total_anomalies_found": sum(one.failed for one in dimensions),
            },
            "execution_time_seconds": round(totals.seconds, 3),
            "quality": _quality(totals),
        }


def _output(found: TableJudged, verdict: Verdict) -> Mapping[str, Any]:
    return {
        "execution_status": "passed" if verdict.success else "failed",
        "total": verdict.total,
        "considered": verdict.considered,
        "passed": verdict.passed,
        "failed": verdict.failed,
        "pass_rate": verdict.pass_rate,
        "table": found.table,
    }


def _new(item: Item, found: Any) -> NewRuleResult | None:
    if not isinstance(found, TableJudged) or not isinstance(found.judged.outcome, Verdict):
        return None
    return NewRuleResult(
        rule_id=item.payload["rule_id"],
        ordinal=item.ordinal,
        data_source_id=found.data_source_id,
        table=found.table,
        table_rows=found.rows,
        verdict=found.judged.outcome,
        duration_ms=found.judged.duration_ms,
    )


def _quality(totals: ResultTotals) -> Mapping[str, Any]:
    dimensions = totals.by_dimension
    return {
        "overall": score(
            sum(one.passed for one in dimensions.values()),
            sum(one.considered for one in dimensions.values()),
        ),
        "by_dimension": {
            name: score(one.passed, one.considered) for name, one in dimensions.items()
        },
    }
