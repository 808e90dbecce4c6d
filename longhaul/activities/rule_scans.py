"""Lets items that are asked of one table share its scan.

The first rule of a table that an item asks for starts a scan for all open rules of the job
on that table; the others find their verdict there. So 400 rules take one scan however few
of them are in flight at once. Nothing is kept that could not be found again: what a process
forgets is scanned once more.
"""

from dataclasses import dataclass, replace

from longhaul.activities.shared_work import SharedWork
from longhaul.core.errors import ItemFailed
from longhaul.core.jobs import Job
from longhaul.core.ports import Database
from longhaul.core.rule_execution import (
    Judged,
    RuleEvaluator,
    RuleResultStore,
    SampleOf,
    Target,
    Targets,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableJudged:
    """What became of one rule, and where."""

    data_source_id: int | None
    table: str
    rows: int
    judged: Judged


class RuleScans:
    """The scans that this process has under way, or has just ended."""

    def __init__(
        self, *, database: Database, store: RuleResultStore, evaluator: RuleEvaluator
    ) -> None:
        self._database = database
        self._store = store
        self._evaluator = evaluator
        self._targets = SharedWork[Targets]()
        self._scans = SharedWork[dict[str, TableJudged]]()

    async def judge(
        self, job: Job, rule_id: str, sample: SampleOf | None, *, alone: bool = False
    ) -> TableJudged:
        """Judge a rule together with the job's other open ones on its table.

        Args:
            alone: Judge it by itself, because the others may have killed a worker.

        Raises:
            ItemFailed: The rule cannot be judged.
            Unavailable: The source lies in our own database, which did not answer.
        """
        # A pause that is over begins a new generation, and looks at the rows again.
        run = (job.id, job.attempt, job.generation)
        targets = await self._targets.get(run, lambda: self._find(job.id))
        if rule_id in targets.faults:
            fault = targets.faults[rule_id]
            raise ItemFailed(fault.code, fault.sentence)
        target = _home(targets, rule_id)
        if target is None:
            raise ItemFailed("rule_gone", "The rule is gone, or no longer approved by both.")
        if alone:
            only = [rule for rule in target.rules if rule.id == rule_id]
            return (await self._scan(replace(target, rules=only), sample))[rule_id]
        place = (*run, target.source.id, target.table)
        return (await self._scans.get(place, lambda: self._scan(target, sample)))[rule_id]

    async def _find(self, job_id: str) -> Targets:
        async with self._database.begin() as tx:
            return await self._store.targets(tx, job_id)

    async def _scan(self, target: Target, sample: SampleOf | None) -> dict[str, TableJudged]:
        found = await self._evaluator.evaluate(
            target.source, target.table, target.rules, key=target.key, sample=sample
        )
        return {
            judged.rule_id: TableJudged(
                data_source_id=target.source.id, table=found.table, rows=found.rows, judged=judged
            )
            for judged in found.judged
        }


def _home(targets: Targets, rule_id: str) -> Target | None:
    for target in targets.targets:
        if any(rule.id == rule_id for rule in target.rules):
            return target
    return None
