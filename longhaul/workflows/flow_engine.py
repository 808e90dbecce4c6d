"""The engine of flows: looks at rows, children and approvals; the rest is `ItemJob`'s.

A flow has no chunks. Its main loop looks at the rows whenever something may have changed: the
transaction of the look decides what happens, the workflow does it.
"""

from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from longhaul.activities.flow import FlowActivities
    from longhaul.core.approvers import Decision
    from longhaul.core.controls import Action, Control, clean_text
    from longhaul.core.errors import InvalidInput, WrongState
    from longhaul.core.jobs import JobStatus, RunMode
    from longhaul.core.messages import (
        ApprovalWish,
        ChildStart,
        FlowRequest,
        FlowView,
        JobState,
        Snapshot,
        SteerRequest,
    )
    from longhaul.workflows import policies
    from longhaul.workflows.display import flow_markdown
from longhaul.workflows.engine import AttemptEnd, ItemJob
from longhaul.workflows.step_scheduler import StepScheduler, Wish

# A change of a live workflow: docs/decisions/0008-changing-a-live-workflow.md
_RESTING_ROLLS = "resting-flows-roll"


class FlowJob(ItemJob):
    """Carries out one attempt of a flow. A flow type's workflow is a thin subclass."""

    @workflow.init
    def __init__(self, state: JobState) -> None:
        super().__init__(state)
        self._steps = StepScheduler(state, self._poke)
        self._scheduler = self._steps

    # Messages: these only set state.

    @workflow.signal(name="start_child")
    def start_child(self, start: ChildStart) -> None:
        """Start the workflow of a step's job; the dispatcher asks for it."""
        self._steps.ask_for(start)

    @workflow.signal(name="look")
    def look(self, *_unused: Any) -> None:
        """Look at the rows: they have changed."""
        self._steps.look_again()

    @workflow.signal(name="approve")
    def approve_signal(self, message: Any = None, *_more: Any) -> None:
        """Approve or reject a step; a message that cannot be read is ignored."""
        try:
            self._steps.wishes.append(Wish(_read_wish(message)))
        except InvalidInput as exc:
            workflow.logger.warning("approval not heeded: %s", exc.sentence)

    @workflow.update(name="decide")
    async def decide(self, message: Any = None) -> Snapshot:
        """Approve or reject a step, and answer once the rows say so."""
        wish = Wish(_read_wish(message))
        self._steps.wishes.append(wish)
        await workflow.wait_condition(lambda: wish.answered or self._closing)
        if not wish.answered:
            raise WrongState("The flow is ending.")
        if wish.refusal:
            raise WrongState(wish.refusal)
        return self.progress()

    @decide.validator
    def _check_decide(self, message: Any = None) -> None:
        _read_wish(message)
        if self._closing:
            raise WrongState("The flow is ending.")

    # The attempt.

    async def _step(self) -> AttemptEnd | None:
        self._steps.take_actions()
        self._resume_when_due()
        if self._cancelled or self._is_late():
            return await self._wind_down()
        if self._asked and not await self._settle():
            return await self._finish()
        await self._steps.start_children()
        if self._steps.wishes or (self._status is not JobStatus.PAUSED and self._steps.wants_look):
            end = await self._go_on(await self._look_at_rows())
            if end is not None:
                return end
        rests = self._status is JobStatus.PAUSING and self._scheduler.idle
        if rests and not await self._write(self._pause_mode(), JobStatus.PAUSED):
            return await self._finish()
        return self._rolled()

    async def _go_on(self, view: FlowView) -> AttemptEnd | None:
        if view.stale:
            return self._stale()
        if self._status is not JobStatus.RUNNING or self._asked or self._cancelled:
            return None
        self._steps.run_actions(view.actions, epoch=self._epoch)
        if not view.over:
            return None
        fault = ApplicationError(view.sentence, type=view.code) if view.code else None
        return await self._finish(fault=fault)

    async def _look_at_rows(self) -> FlowView:
        steps = self._steps
        steps.dirty = False
        wishes, steps.wishes = steps.wishes, []
        lost, steps.lost = steps.lost, []
        resting = self._status is not JobStatus.RUNNING or self._closing
        view = await workflow.execute_activity_method(
            FlowActivities.look,
            FlowRequest(
                job_id=self._job.job_id,
                epoch=self._epoch,
                now=workflow.now(),
                starting=not resting,
                wishes=[one.wish for one in wishes],
                lost=lost,
            ),
            **policies.LEDGER,
        )
        for number, wish in enumerate(wishes):
            wish.refusal = view.refusals[number] if view.refusals else ""
            wish.answered = not view.stale
        if not view.stale:
            self._counts = view.counts
            steps.verified = True
            steps.saw(view, resting=resting)
        return view

    # Pause, resume and cancel are passed on to the children.

    async def _settle(self) -> bool:
        # Whether everything is paused is only known after the children have been told.
        self._steps.verified = self._status is JobStatus.PAUSED
        if not await super()._settle():
            return False
        pause = self._pause
        await self._steer(
            Control(
                action=Action.RESUME if pause is None else Action.PAUSE,
                mode=RunMode.DRAIN if pause is None else pause.mode,
                by=pause.by if pause else "",
                reason=pause.reason if pause else "",
                request_id=f"{self._job.job_id}:{self._job.attempt}:{self._generation}",
            )
        )
        self._steps.dirty = True
        return True

    async def _wind_down(self) -> AttemptEnd | None:
        """Stop the children before the flow."""
        self._closing = True
        await self._write(RunMode.NOW, None, cancel=self._cancelled)
        self._scheduler.cancel_all()
        while True:
            await self._steer(None)
            self._steps.take_actions()
            view = await self._look_at_rows()
            if view.stale:
                return self._stale()
            if self._scheduler.idle and not view.children:
                return await super()._wind_down()
            await workflow.wait_condition(lambda: self._steps.dirty or self._scheduler.has_news())
            await self._steps.start_children()
            if (rolled := self._rolled()) is not None:
                return rolled

    async def _steer(self, control: Control | None) -> None:
        await workflow.execute_activity_method(
            FlowActivities.steer,
            SteerRequest(
                job_id=self._job.job_id,
                epoch=self._epoch,
                generation=self._generation,
                control=control,
            ),
            **policies.LEDGER,
        )

    # Continue-as-new, and what the Web UI shows.

    def _may_roll(self) -> bool:
        if not (self._is_long() and self._steps.may_roll and workflow.all_handlers_finished()):
            return False
        if self._closing:
            return workflow.patched(_RESTING_ROLLS)
        if self._asked:
            return False
        # Children may take as long to pause as a provider is down.
        return self._status is not JobStatus.PAUSING or workflow.patched(_RESTING_ROLLS)

    def _show_details(self) -> None:
        workflow.set_current_details(flow_markdown(self.progress(), self._steps.view))


def _read_wish(message: Any) -> ApprovalWish:
    if not isinstance(message, dict) or not isinstance(message.get("step"), str):
        raise InvalidInput('Send {"step": "...", "decision": "approved" or "rejected"}.')
    decision = str(message.get("decision") or Decision.APPROVED)
    if decision not in list(Decision):
        raise InvalidInput('`decision` is "approved" or "rejected".')
    return ApprovalWish(
        step=message["step"],
        decision=decision,
        by=clean_text(message.get("by")),
        reason=clean_text(message.get("reason")),
    )
