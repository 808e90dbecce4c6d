"""Steps that wait for a person: asked, reminded, decided, or timed out."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from longhaul.core.approvers import Decision
from longhaul.core.controls import SYSTEM
from longhaul.core.errors import InvalidInput, WrongState
from longhaul.core.flows import (
    APPROVAL_REJECTED,
    APPROVAL_TIMED_OUT,
    ApprovalState,
    ApprovalStep,
    Placed,
)
from longhaul.core.items import Done, Failed, Item, ItemOutcome, ItemResult
from longhaul.core.jobs import Job
from longhaul.core.notices import Event
from longhaul.core.ports import Approval, Flows, LogTail, Stores, Transaction
from longhaul.core.times import rfc3339
from longhaul.services.parents import end_steps

MAX_REASON = 500

_REQUESTED = "approval_requested"
_REMINDER = "approval_reminder"


class Approvals:
    """Writes approvals, always under the lock of the flow's row."""

    def __init__(self, *, stores: Stores, flows: Flows, logs: LogTail) -> None:
        self._jobs = stores.jobs
        self._ledger = stores.ledger
        self._flows = flows
        self._logs = logs

    async def ask(self, tx: Transaction, flow: Job, step: Placed, asked: ApprovalStep) -> Approval:
        """Begin to wait; this sets the absolute deadline."""
        remind = asked.remind_after_seconds
        approval = await self._flows.ask(
            tx,
            flow,
            step.key,
            wait=timedelta(seconds=asked.timeout_seconds),
            remind=timedelta(seconds=remind) if remind else None,
        )
        await self._tell(tx, flow, _REQUESTED, asked, approval)
        self._logs.write(flow.id, "info", _REQUESTED, item_key=step.key)
        return approval

    async def remind(
        self, tx: Transaction, flow: Job, asked: ApprovalStep, approval: Approval, now: datetime
    ) -> datetime | None:
        """Send a due reminder; returns when the next one is due."""
        interval = timedelta(seconds=asked.remind_after_seconds or 0)
        again_at: datetime | None = now + interval
        if not interval or now + interval >= approval.deadline:
            again_at = None
        await self._flows.remind(tx, flow, approval.step, again_at)
        await self._tell(tx, flow, _REMINDER, asked, approval)
        self._logs.write(flow.id, "warning", _REMINDER, item_key=approval.step)
        return again_at

    async def _tell(
        self, tx: Transaction, flow: Job, action: str, asked: ApprovalStep, approval: Approval
    ) -> None:
        details = {"step": approval.step, "deadline": rfc3339(approval.deadline)}
        await self._jobs.audit(tx, flow, action, SYSTEM, details)
        told = {**details, "is_reminder": action == _REMINDER}
        await self._jobs.announce(tx, flow, Event.APPROVAL_NEEDED, told, asked.approvers)

    async def time_out(self, tx: Transaction, flow: Job, approval: Approval) -> Job:
        """End a step without an answer."""
        await self._flows.decide(tx, flow, approval.step, ApprovalState.TIMED_OUT)
        await self._jobs.audit(tx, flow, "approval_timed_out", SYSTEM, {"step": approval.step})
        failure = Failed(APPROVAL_TIMED_OUT, "Nobody approved or rejected this step in time.")
        return await self._end(tx, flow, approval, failure)

    async def decide(
        self,
        tx: Transaction,
        flow: Job,
        approvals: Mapping[str, Approval],
        step: str,
        decision: str,
        *,
        by: str,
        reason: str,
        now: datetime,
    ) -> Job:
        """Write a person's decision; repeating it changes nothing.

        Raises:
            InvalidInput: The decision is neither of the two words.
            WrongState: The step does not wait for one.
        """
        wanted = read_decision(decision)
        approval = approvals.get(step)
        if approval is None:
            raise WrongState(f"Step {step[:80]!r} does not wait for an approval.")
        if approval.state is ApprovalState(wanted):
            return flow
        if approval.state is not ApprovalState.WAITING:
            raise WrongState(f"Step {step!r} is already {approval.state}.")
        if now >= approval.deadline:
            raise WrongState(f"The time to decide on step {step!r} is over.")
        reason = reason[:MAX_REASON]
        await self._flows.decide(tx, flow, step, ApprovalState(wanted), by=by, reason=reason)
        await self._jobs.audit(tx, flow, wanted, by, {"step": step, "reason": reason})
        self._logs.write(flow.id, "info", wanted, item_key=step, by=by)
        return await self._end(tx, flow, approval, _result(wanted, by, reason))

    async def _end(self, tx: Transaction, flow: Job, approval: Approval, result: ItemResult) -> Job:
        item = await self._ledger.find(tx, flow.id, approval.step)
        if item is None:
            return flow
        ended = ItemOutcome(Item(ordinal=item.ordinal, key=item.key), result)
        return await end_steps(tx, self._jobs, self._ledger, flow, [ended])


def read_decision(decision: str) -> Decision:
    """Read a person's decision.

    Raises:
        InvalidInput: It is neither of the two words.
    """
    try:
        return Decision(decision)
    except ValueError:
        raise InvalidInput('`decision` is "approved" or "rejected".') from None


def _result(decision: Decision, by: str, reason: str) -> ItemResult:
    if decision is Decision.REJECTED:
        return Failed(APPROVAL_REJECTED, f"Rejected by {by or 'unknown'}.")
    return Done({"result": {"decision": decision, "by": by, "reason": reason}})
