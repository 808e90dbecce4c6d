"""Lets the rules of one table share its scan.

The first item of a table starts a scan for all open rules of the job on that table; the others
find their verdict there. So 400 rules take one scan for each table, however few of them are in
flight at once, and in any order. Nothing is lost with a process: the table is scanned again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from longhaul.core.errors import ItemFailed
from longhaul.core.jobs import Job
from longhaul.core.ports import Database
from longhaul.core.rule_execution import (
    Fault,
    Judged,
    RuleEvaluator,
    RuleResultStore,
    SampleOf,
    Target,
)
from longhaul.core.single_flight import SingleFlight

# A job, its attempt, and how often it was paused or resumed.
Run: TypeAlias = tuple[str, int, int]
Place: TypeAlias = tuple[int | None, str | None]

# How many runs' scans are remembered, the last used ones.
_REMEMBERED = 16
_GONE = Fault(code="rule_gone", sentence="The rule is gone, or no longer approved by both.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TableJudged:
    """The result of one rule, and its table."""

    data_source_id: int | None
    table: str
    rows: int
    judged: Judged


@dataclass(frozen=True, slots=True)
class _Run:
    """The tables of a run's rules, and their scans."""

    plan: Mapping[str, Target | Fault]
    scans: SingleFlight[Place, Mapping[str, TableJudged] | Fault]


class RuleScans:
    """The scans that this process runs, or has just ended."""

    def __init__(
        self, *, database: Database, store: RuleResultStore, evaluator: RuleEvaluator
    ) -> None:
        self._database = database
        self._store = store
        self._evaluator = evaluator
        self._runs = SingleFlight[Run, _Run](_REMEMBERED)

    async def judge(
        self, job: Job, rule_id: str, sample: SampleOf | None, *, alone: bool = False
    ) -> TableJudged:
        """Judge a rule together with the job's other open ones on its table.

        Args:
            alone: Judge it alone, because the others may have killed a worker.

        Raises:
            ItemFailed: The rule cannot be judged.
            Unavailable: The source is in our own database, which did not answer.
        """
        # After a pause there is a new generation, which reads the rows again.
        key = (job.id, job.attempt, job.generation)
        run = await self._runs.get(key, lambda: self._begin(job.id))
        target = run.plan.get(rule_id, _GONE)
        if isinstance(target, Fault):
            raise ItemFailed(target.code, target.sentence)
        if alone:
            only = [rule for rule in target.rules if rule.id == rule_id]
            found = await self._scan(replace(target, rules=only), sample)
        else:
            place = (target.source.id, target.table)
            found = await run.scans.get(place, lambda: self._scan(target, sample))
        if isinstance(found, Fault):
            raise ItemFailed(found.code, found.sentence)
        return found[rule_id]

    async def _begin(self, job_id: str) -> _Run:
        async with self._database.begin() as tx:
            targets = await self._store.targets(tx, job_id)
        homes = {rule.id: target for target in targets.targets for rule in target.rules}
        return _Run({**homes, **targets.faults}, SingleFlight(len(targets.targets)))

    async def _scan(
        self, target: Target, sample: SampleOf | None
    ) -> Mapping[str, TableJudged] | Fault:
        try:
            found = await self._evaluator.evaluate(
                target.source, target.table, target.rules, key=target.key, sample=sample
            )
        except ItemFailed as exc:
            if exc.again:
                raise
            # Kept like a result: the other rules need not wait for a locked table again.
            return Fault(code=exc.item_code, sentence=exc.sentence)
        return {
            judged.rule_id: TableJudged(
                data_source_id=target.source.id, table=found.table, rows=found.rows, judged=judged
            )
            for judged in found.judged
        }
