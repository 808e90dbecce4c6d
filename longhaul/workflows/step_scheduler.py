"""The step scheduler of a flow: children to start or running, running actions, decisions."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import Priority
from temporalio.exceptions import ActivityError, TimeoutError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from longhaul.activities.flow_action import ActionActivities
    from longhaul.core.jobs import JobStatus
    from longhaul.core.messages import (
        ActionRequest,
        ApprovalWish,
        ChildStart,
        FlowView,
        JobState,
        Page,
        fairness_key,
    )
    from longhaul.workflows import policies
    from longhaul.workflows.chunks import ChunkScheduler, was_cancelled
    from longhaul.workflows.display import child_attributes

# How long the rows may change without a message to us: by an approval while Temporal was
# away, by the end of a child that is not ours to await.
LOOK_EVERY = timedelta(minutes=5)
LOOK_AT_CHILDREN_EVERY = timedelta(minutes=1)
LOOK_AT_STRANGERS_EVERY = timedelta(seconds=5)

# Children come to rest without a message; the first of them usually at once.
_FIRST_LOOK_AT_REST = timedelta(milliseconds=250)
_LAST_LOOK_AT_REST = timedelta(seconds=15)

_AT_REST = frozenset({JobStatus.PENDING, JobStatus.PAUSED})

# A change of a live workflow: docs/decisions/0008-changing-a-live-workflow.md
_REFUSED_STARTS_WAIT = "refused-starts-wait"


@dataclass(slots=True)
class Wish:
    """A decision that came as a message, and its result."""

    wish: ApprovalWish
    answered: bool = False
    refusal: str = ""


class StepScheduler(ChunkScheduler):
    """Keeps track of what runs in a flow. The truth is in the rows, which it asks again.

    Args:
        poke: Wakes the main loop.
    """

    def __init__(self, state: JobState, poke: Callable[[], None]) -> None:
        super().__init__(state, poke)
        self.dirty = True
        # A run that continues a paused one does not know yet whether everything is paused.
        self.verified = state.status is not JobStatus.PAUSING
        self.view = FlowView()
        self.wishes: list[Wish] = []
        self.lost: list[str] = []
        self._starts: list[ChildStart] = []
        self._refused: dict[str, ChildStart] = {}
        self._ask_again_at: datetime | None = None
        self._handles: dict[str, workflow.ChildWorkflowHandle[Any, Any]] = {}
        self._actions: dict[str, workflow.ActivityHandle[None]] = {}
        self._wake_at: datetime | None = None
        self._alarms: set[asyncio.Task[None]] = set()
        self._looks_at_rest = 0

    # The interface of every scheduler.

    @property
    def idle(self) -> bool:
        """Whether nothing of the flow runs, by the latest look."""
        at_rest = all(child.status in _AT_REST for child in self.view.children)
        return self.verified and at_rest and not self._actions

    @property
    def in_flight(self) -> list[list[int]]:
        """A flow has no chunks."""
        return []

    def has_news(self) -> bool:
        """Whether there is something for the main loop to take."""
        done = any(handle.done() for handle in self._actions.values())
        return done or bool(self._starts) or bool(self.wishes)

    def take_page(self, page: Page) -> None:
        """A flow has no pages of spans."""

    def forget_spans(self) -> None:
        """A flow has none: look at the rows again."""
        self.dirty = True

    def cancel_all(self) -> None:
        """Cancel the running actions; only called from the main loop."""
        for handle in self._actions.values():
            handle.cancel()

    # Looks.

    @property
    def may_roll(self) -> bool:
        """Whether the run may end here: children go on, actions would be lost."""
        return not (self._actions or self._starts or self.wishes or self.lost)

    @property
    def wants_look(self) -> bool:
        """Whether the rows may have changed, and it is not too early to look again."""
        rests = self._not_before is not None and workflow.now() < self._not_before
        return self.dirty and not rests

    def look_again(self) -> None:
        """Look at the rows as soon as possible."""
        self.dirty = True
        self._poke()

    def saw(self, view: FlowView, *, resting: bool) -> None:
        """Take a view, and plan the next look.

        Args:
            resting: The children have been told to pause or to stop.
        """
        self.view = view
        self._looks_at_rest = self._looks_at_rest + 1 if resting else 0
        live = {child.job_id: child for child in view.children}
        for job_id in list(self._refused):
            if job_id not in live or live[job_id].status is not JobStatus.PENDING:
                del self._refused[job_id]
        self._ask_again()
        strangers = any(
            child.job_id not in self._handles and child.status is not JobStatus.PENDING
            for child in view.children
        )
        if resting:
            wait = min(_FIRST_LOOK_AT_REST * 2 ** min(self._looks_at_rest, 8), _LAST_LOOK_AT_REST)
        elif strangers or self._refused:
            wait = LOOK_AT_STRANGERS_EVERY
        else:
            wait = LOOK_AT_CHILDREN_EVERY if live else LOOK_EVERY
        at = workflow.now() + wait
        self._wake(min(at, view.wake_at) if view.wake_at else at)

    def _ask_again(self) -> None:
        """Ask again for what was refused, when it is time and no run blocks it."""
        if self._ask_again_at is not None and workflow.now() < self._ask_again_at:
            return
        for job_id, start in list(self._refused.items()):
            if job_id in self._handles and workflow.patched(_REFUSED_STARTS_WAIT):
                continue
            if start not in self._starts:
                self._starts.append(self._refused.pop(job_id))

    def _wake(self, at: datetime) -> None:
        if self._wake_at is None or at < self._wake_at:
            self._wake_at = at
            alarm = asyncio.create_task(self._look_at(at))
            self._alarms.add(alarm)
            alarm.add_done_callback(self._alarms.discard)

    async def _look_at(self, at: datetime) -> None:
        await asyncio.sleep(max((at - workflow.now()).total_seconds(), 0.0))
        if self._wake_at == at:
            self._wake_at = None
        self.look_again()

    # Children.

    def ask_for(self, start: ChildStart) -> None:
        """Note a job of the flow to start, once its former run has closed."""
        if start.state.job_id in self._handles and workflow.patched(_REFUSED_STARTS_WAIT):
            self._refused[start.state.job_id] = start
        else:
            self._starts.append(start)

    async def start_children(self) -> None:
        """Start the workflows that were asked for, and wait until they have been."""
        starts, self._starts = self._starts, []
        await asyncio.gather(*(self._start(start) for start in starts))

    async def _start(self, start: ChildStart) -> None:
        job_id = start.state.job_id
        try:
            handle = await workflow.start_child_workflow(
                start.workflow,
                start.state,
                id=job_id,
                parent_close_policy=ParentClosePolicy.ABANDON,
                static_summary=start.summary,
                priority=Priority(
                    priority_key=start.priority_key,
                    fairness_key=fairness_key(start.owner) or None,
                ),
                search_attributes=child_attributes(start),
            )
        except WorkflowAlreadyStartedError:
            # It runs already and plans for long, or its former run is still closing.
            self._refused[job_id] = start
            if workflow.patched(_REFUSED_STARTS_WAIT):
                self._ask_again_at = workflow.now() + LOOK_AT_STRANGERS_EVERY
                self._wake(self._ask_again_at)
            else:
                self.dirty = True
            return
        self._handles[job_id] = handle

        def closed(task: "asyncio.Task[Any]") -> None:
            if not task.cancelled():
                task.exception()  # the row has how it ended; it is not needed here
            self._handles.pop(job_id, None)
            self._ask_again_at = None
            self.look_again()

        handle.add_done_callback(closed)

    # Actions.

    def run_actions(self, keys: list[str], *, epoch: int) -> None:
        """Run the actions that are due and not running yet."""
        for key in keys:
            if key not in self._actions:
                self._actions[key] = workflow.start_activity_method(
                    ActionActivities.run,
                    ActionRequest(job_id=self._job.job_id, epoch=epoch, step=key),
                    task_queue=self._job.queue,
                    summary=key,
                    **policies.CHUNK,
                )

    def take_actions(self) -> None:
        """Take the actions that have ended."""
        for key in [key for key, handle in self._actions.items() if handle.done()]:
            handle = self._actions.pop(key)
            self.dirty = True
            try:
                handle.result()
            except asyncio.CancelledError:
                continue
            except ActivityError as exc:
                if was_cancelled(exc):
                    continue
                if isinstance(exc.cause, TimeoutError):
                    self.lost.append(key)
                else:
                    self.back_off(str(exc.cause))
            else:
                self.faults = 0
