"""One look at a flow: which steps have ended, and which can begin."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import uuid_utils
from pydantic import ValidationError

from longhaul.core.catalog import Catalog
from longhaul.core.controls import SYSTEM
from longhaul.core.errors import JobError, SingletonBusy
from longhaul.core.flows import (
    OWN_CODES,
    STEP_FAILED,
    ActionStep,
    ApprovalState,
    ApprovalStep,
    Frontier,
    JobStep,
    Placed,
    Unresolved,
    fill,
    frontier,
)
from longhaul.core.items import Failed, Item, ItemOutcome
from longhaul.core.jobs import Job, JobStatus
from longhaul.core.messages import FlowRequest, FlowView, LiveChild
from longhaul.core.new_jobs import new_job
from longhaul.core.ports import (
    Approval,
    ErrorReporter,
    Flows,
    JobChanges,
    Jobs,
    Ledger,
    StepRow,
    Transaction,
)
from longhaul.core.principals import check_may_start, owner_of
from longhaul.services.approvals import Approvals
from longhaul.services.attempts import Attempts
from longhaul.services.flow_steps import results_so_far, steps_of
from longhaul.services.parents import Parents, end_steps

APPROVAL = "approval"


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowParts:
    """What a look at a flow needs."""

    jobs: Jobs
    ledger: Ledger
    flows: Flows
    catalog: Catalog
    approvals: Approvals
    attempts: Attempts
    parents: Parents
    errors: ErrorReporter


class Look:
    """Reads the rows of a flow that is locked in this transaction, and moves it on."""

    def __init__(self, parts: FlowParts, tx: Transaction, flow: Job, request: FlowRequest) -> None:
        self.flow = flow
        self._parts = parts
        self._tx = tx
        self._request = request
        self._steps = steps_of(flow)
        self._now = request.now
        self._rows: Mapping[str, StepRow] = {}
        self._children: dict[str, Job] = {}
        self._asked: Mapping[str, Approval] = {}
        self._waiting: list[str] = []
        self._actions: list[str] = []
        self._alarms: list[datetime] = []
        self._running = 0

    async def run(self) -> FlowView:
        """Repeat until nothing more ends at once."""
        self._now = max(self._request.now, await self._parts.flows.now(self._tx))
        await self._read()
        refusals = [await self._take_wish(number) for number in range(len(self._request.wishes))]
        for key in self._request.lost:
            await self._end(
                key, Failed("worker_lost", "The worker died repeatedly while running it.")
            )
        while True:
            before = self.flow.counts.ended
            await self._read()
            here = frontier(self._steps, {key: row.state for key, row in self._rows.items()})
            for step in here.open:
                await self._go_on(step, may_start=self._request.starting and here.failed is None)
            if self.flow.counts.ended == before:
                break
        await self._show(here)
        return self._view(here, refusals)

    async def _read(self) -> None:
        flows, flow = self._parts.flows, self.flow
        self._rows = {row.key: row for row in await flows.steps(self._tx, flow.id)}
        self._children = dict(await flows.children(self._tx, flow.id))
        self._asked = await flows.approvals(self._tx, flow.id, flow.attempt)
        self._waiting, self._actions, self._alarms = [], [], []
        self._running = sum(not child.status.is_terminal for child in self._children.values())

    async def _take_wish(self, number: int) -> str:
        wish = self._request.wishes[number]
        try:
            async with self._tx.nested():
                self.flow = await self._parts.approvals.decide(
                    self._tx,
                    self.flow,
                    self._asked,
                    wish.step,
                    wish.decision,
                    by=wish.by,
                    reason=wish.reason,
                    now=self._now,
                )
        except JobError as exc:
            if exc.retryable:
                raise
            return exc.sentence
        return ""

    async def _go_on(self, step: Placed, *, may_start: bool) -> None:
        match step.step:
            case JobStep():
                await self._go_on_with_job(step, step.step, may_start=may_start)
            case ApprovalStep():
                await self._go_on_with_approval(step, step.step, may_start=may_start)
            case ActionStep():
                if may_start:
                    self._actions.append(step.key)

    # Jobs.

    async def _go_on_with_job(self, step: Placed, wanted: JobStep, *, may_start: bool) -> None:
        child = self._children.get(step.key)
        if child is not None and not child.status.is_terminal:
            return
        if child is not None and child.status is JobStatus.COMPLETED:
            # It ended while the flow was not running.
            self.flow = await self._parts.parents.end_step(self._tx, self.flow, child)
            return
        if not may_start or self._running >= self.flow.options.concurrency:
            return
        try:
            async with self._tx.nested():
                if child is None:
                    child = await self._create(step, wanted)
                else:
                    child = await self._parts.attempts.begin(self._tx, child, by=SYSTEM)
        except Exception as exc:
            failure = self._why_not(step, exc)
            if failure is None:
                raise
            await self._end(step.key, failure)
            return
        self._children[step.key] = child
        self._running += 1

    async def _create(self, step: Placed, wanted: JobStep) -> Job:
        """Make the job of a step; parameters are checked when the step is due."""
        flow, principal = self.flow, owner_of(self.flow)
        job_type = self._parts.catalog.get(wanted.job_type)
        check_may_start(principal, job_type.roles, job_type.title)
        given = fill(wanted.parameters, results_so_far(self._steps, self._rows))
        parameters = job_type.parameters.model_validate(given)
        prepared = await job_type.prepare(self._tx, parameters, principal)
        child = await self._parts.jobs.insert(
            self._tx,
            new_job(
                str(uuid_utils.uuid7()),
                job_type,
                prepared,
                principal,
                options=wanted.options.as_options(),
                priority=flow.priority,
                description=step.step.title,
                metadata={**flow.metadata, "cycle_id": flow.cycle_id, "report_id": flow.report_id},
                parent_id=flow.id,
                step=step.key,
                approvers=flow.approvers,
            ),
        )
        if child is None:
            raise SingletonBusy("Another such job is running for this report.")
        return child

    def _why_not(self, step: Placed, exc: Exception) -> Failed | None:
        """Why a job cannot be made; None if it may succeed when it is tried again."""
        match exc:
            case JobError():
                return None if exc.retryable else Failed(exc.code, exc.sentence)
            case Unresolved():
                return Failed("reference_missing", f"Step {step.key!r} cannot begin: {exc}.")
            case ValidationError():
                where = sorted({".".join(str(part) for part in e["loc"]) for e in exc.errors()})
                sentence = f"The parameters do not fit the job type: {', '.join(where)[:300]}."
                return Failed("invalid_parameters", sentence)
        error_id = self._parts.errors.file(exc, job_id=self.flow.id, step=step.key)
        return Failed("step_error", f"The step could not begin; the log has error {error_id}.")

    # Approvals.

    async def _go_on_with_approval(
        self, step: Placed, asked: ApprovalStep, *, may_start: bool
    ) -> None:
        approvals = self._parts.approvals
        approval = self._asked.get(step.key)
        if approval is None:
            if not may_start:
                return
            approval = await approvals.ask(self._tx, self.flow, step, asked)
        if approval.state is not ApprovalState.WAITING:
            return
        if self._now >= approval.deadline:
            self.flow = await approvals.time_out(self._tx, self.flow, approval)
            return
        remind_at = approval.remind_at
        if remind_at is not None and self._now >= remind_at:
            remind_at = await approvals.remind(self._tx, self.flow, asked, approval, self._now)
        self._waiting.append(step.key)
        self._alarms.append(min(approval.deadline, remind_at or approval.deadline))

    # The result, for the row and for the workflow.

    async def _end(self, key: str, failure: Failed) -> None:
        row = self._rows[key]
        ended = ItemOutcome(Item(ordinal=row.ordinal, key=key), failure)
        self.flow = await end_steps(
            self._tx, self._parts.jobs, self._parts.ledger, self.flow, [ended]
        )

    async def _show(self, here: Frontier) -> None:
        """Write the current steps to the flow's row, if they have changed."""
        live = {key for key, child in self._children.items() if not child.status.is_terminal}
        active = live | set(self._waiting) | set(self._actions)
        labels = [step.label for step in here.open if step.key in active]
        asks = self._waiting or any(
            child.waiting_for == APPROVAL for child in self._children.values()
        )
        changes: JobChanges = {}
        if labels and (shown := _shortened(labels)) != self.flow.current_step:
            changes["current_step"] = shown
        if (waiting_for := APPROVAL if asks else None) != self.flow.waiting_for:
            changes["waiting_for"] = waiting_for
        if changes:
            self.flow = await self._parts.jobs.update(self._tx, self.flow, **changes)

    def _view(self, here: Frontier, refusals: list[str]) -> FlowView:
        children = [
            LiveChild(job_id=child.id, step=key, status=child.status)
            for key, child in self._children.items()
            if not child.status.is_terminal
        ]
        code, sentence = ("", "") if here.failed is None else self._fault(here.failed)
        waiting = [] if here.failed else self._waiting
        over = not (children or self._actions or waiting) and (
            here.failed is not None or not here.open
        )
        return FlowView(
            counts=self.flow.counts,
            children=children,
            actions=self._actions,
            waiting=waiting,
            wake_at=min(self._alarms, default=None) if waiting else None,
            over=over,
            code=code,
            sentence=sentence,
            refusals=refusals,
        )

    def _fault(self, step: Placed) -> tuple[str, str]:
        return fault_of(self._rows[step.key])


def fault_of(row: StepRow) -> tuple[str, str]:
    """Code and sentence with which a flow fails over one of its steps."""
    code = row.code if row.code in OWN_CODES else STEP_FAILED
    return code or STEP_FAILED, f"Step {row.key!r} failed: {row.sentence or 'no reason given.'}"


def _shortened(labels: list[str]) -> str:
    shown = ", ".join(labels[:3])
    return f"{shown} and {len(labels) - 3} more" if len(labels) > 3 else shown  # noqa: PLR2004
