"""People's answers to steps that wait for them."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from longhaul.adapters.postgres.flows import PostgresFlows
from longhaul.api.schemas import Approvals as ApprovalList
from longhaul.api.schemas import ApprovalView, ApproveRequest
from longhaul.core.approvers import Decision
from longhaul.core.catalog import Catalog
from longhaul.core.errors import Forbidden, TemporalUnavailable, WrongState
from longhaul.core.flows import (
    ApprovalState,
    ApprovalStep,
    Placed,
    Unresolved,
    resolve,
)
from longhaul.core.jobs import Job
from longhaul.core.ports import Approval, Database, JobBoard, Jobs, Transaction, Workflows
from longhaul.core.principals import Principal, is_among, may_control, visible_to
from longhaul.services.approvals import Approvals
from longhaul.services.flow_steps import results_so_far, steps_of

WITHDRAWN = "withdrawn"


class Approving:
    """Accepts decisions: durable before the answer, also while Temporal is down."""

    def __init__(
        self,
        *,
        database: Database,
        jobs: Jobs,
        flows: PostgresFlows,
        catalog: Catalog,
        board: JobBoard,
        workflows: Workflows,
        approvals: Approvals,
    ) -> None:
        self._database = database
        self._jobs = jobs
        self._flows = flows
        self._catalog = catalog
        self._board = board
        self._workflows = workflows
        self._approvals = approvals

    async def decide(self, principal: Principal, job_id: str, body: ApproveRequest) -> Job:
        """Write a decision, and tell the flow.

        Raises:
            NotFound: The caller has no such job.
            Forbidden: The step waits for somebody else.
            WrongState: The job has ended, or the step does not wait.
        """
        async with self._database.begin() as tx:
            flow = visible_to(principal, await self._jobs.lock(tx, job_id))
            if flow.status.is_terminal:
                raise WrongState(f"The job is {flow.status}: nothing can be approved any more.")
            asked = await self._flows.approvals(tx, flow.id, flow.attempt)
            step = body.step or _the_one_that_waits(asked.values())
            _check_may_decide(principal, flow, _find_step(_steps(self._catalog, flow), step))
            flow = await self._approvals.decide(
                tx,
                flow,
                asked,
                step,
                body.decision,
                by=principal.sub,
                reason=body.reason,
                now=await self._flows.now(tx),
            )
        await self.tell([flow])
        return flow

    async def tell(self, flows: Iterable[Job]) -> None:
        """Tell flows that something was decided."""
        for flow in flows:
            await self._board.post(flow)
            # If Temporal is down the decision is stored; the flow finds it at its next look.
            with suppress(TemporalUnavailable):
                await self._workflows.nudge(flow.id)

    async def lock_flows_about(self, tx: Transaction, version_id: str) -> Sequence[Job]:
        """Lock the flows that may wait for this version.

        Before the version, because a step that approves one locks the two in this order.
        """
        ids = await self._flows.that_ask_about(tx, version_id)
        flows = [await self._jobs.lock(tx, job_id) for job_id in ids]
        return [flow for flow in flows if flow is not None and not flow.status.is_terminal]

    async def answer_about(
        self,
        tx: Transaction,
        principal: Principal,
        flows: Iterable[Job],
        version_id: str,
        decision: Decision,
        reason: str,
    ) -> Sequence[Job]:
        """Answer the steps that wait for a version.

        A step that names people or roles is only answered by one of them, or by an Admin. One
        that names nobody is answered by everybody who may decide on the version.

        Returns:
            The flows with an answered step.
        """
        now = await self._flows.now(tx)
        answered = []
        for before in flows:
            flow = before
            asked = await self._flows.approvals(tx, flow.id, flow.attempt)
            for step in await self._steps_about(tx, flow, asked, version_id):
                in_time = now < asked[step.key].deadline
                if in_time and _takes_word_of(principal, flow, step.asked):
                    flow = await self._approvals.decide(
                        tx,
                        flow,
                        asked,
                        step.key,
                        decision,
                        by=principal.sub,
                        reason=reason,
                        now=now,
                    )
            if flow.version > before.version:
                answered.append(flow)
        return answered

    async def _steps_about(
        self, tx: Transaction, flow: Job, asked: Mapping[str, Approval], version_id: str
    ) -> Sequence["_Asking"]:
        steps = _steps(self._catalog, flow)
        rows = {row.key: row for row in await self._flows.steps(tx, flow.id)}
        results = results_so_far(steps, rows)
        return [
            _Asking(one.key, one.step)
            for one in steps
            if isinstance(one.step, ApprovalStep)
            and one.key in asked
            and asked[one.key].state is ApprovalState.WAITING
            and version_id in _filled(one.step.about, results).values()
        ]

    async def list(self, principal: Principal, job_id: str) -> ApprovalList:
        """The approvals of a flow, oldest first.

        Raises:
            NotFound: The caller has no such job.
        """
        async with self._database.begin() as tx:
            flow = visible_to(principal, await self._jobs.read(tx, job_id))
            approvals = await self._flows.every_approval(tx, flow.id)
            rows = {row.key: row for row in await self._flows.steps(tx, flow.id)}
        steps = _steps(self._catalog, flow)
        by_key = {step.key: step for step in steps}
        results = results_so_far(steps, rows)
        return {"approvals": [_approval_object(flow, one, by_key, results) for one in approvals]}


@dataclass(frozen=True, slots=True)
class _Asking:
    """A step that waits for a person."""

    key: str
    asked: ApprovalStep


def _the_one_that_waits(approvals: Iterable[Approval]) -> str:
    waiting = [one.step for one in approvals if one.state is ApprovalState.WAITING]
    if len(waiting) != 1:
        raise WrongState(
            f"{len(waiting)} steps wait for an approval; name one as `step`."
            if waiting
            else "No step waits for an approval."
        )
    return waiting[0]


def _steps(catalog: Catalog, job: Job) -> list[Placed]:
    """The steps of a flow; a job of another type has none."""
    return steps_of(job) if catalog.is_flow(job.job_type) else []


def _find_step(steps: Sequence[Placed], key: str) -> ApprovalStep:
    for one in steps:
        if one.key == key and isinstance(one.step, ApprovalStep):
            return one.step
    raise WrongState(f"The job has no step {key[:80]!r} that asks for an approval.")


def _check_may_decide(principal: Principal, flow: Job, step: ApprovalStep) -> None:
    if principal.is_admin:
        return
    if _names_somebody(step):
        if not is_among(principal, step.approvers, flow.lob):
            raise Forbidden("This step waits for somebody else's approval.")
    elif not may_control(principal, flow):
        raise Forbidden("This step waits for the approval of somebody who may control the job.")


def _names_somebody(step: ApprovalStep) -> bool:
    return bool(step.roles or step.users)


def _takes_word_of(principal: Principal, flow: Job, step: ApprovalStep) -> bool:
    """Whether a decision on the step's version answers the step too."""
    is_asked = is_among(principal, step.approvers, flow.lob)
    return principal.is_admin or is_asked or not _names_somebody(step)


def _approval_object(
    flow: Job, one: Approval, steps: Mapping[str, Placed], results: Mapping[str, Any]
) -> ApprovalView:
    placed_step = steps.get(one.step)
    step = placed_step.step if placed_step else None
    asked = step if isinstance(step, ApprovalStep) else None
    is_over = flow.status.is_terminal or one.attempt != flow.attempt
    is_withdrawn = one.state is ApprovalState.WAITING and is_over
    return {
        "step": one.step,
        "title": placed_step.label if placed_step else one.step,
        "message": asked.message if asked else "",
        "about": _filled(asked.about, results) if asked else {},
        "state": WITHDRAWN if is_withdrawn else one.state,
        "attempt": one.attempt,
        "roles": asked.roles if asked else [],
        "users": asked.users if asked else [],
        "asked_at": one.asked_at,
        "deadline": one.deadline,
        "remind_at": one.remind_at,
        "decided_at": one.decided_at,
        "decided_by": one.decided_by,
        "reason": one.reason,
    }


def _filled(about: Mapping[str, Any], results: Mapping[str, Any]) -> dict[str, Any]:
    """What to decide on, with references filled; null for results of failed steps."""
    filled = {}
    for key, value in about.items():
        try:
            filled[key] = resolve(value, results)
        except Unresolved:
            filled[key] = None
    return filled
