"""The engine that every job type's workflow shares: chunks, pauses, continue-as-new, the end.

Handlers only set state. The main loop dispatches, cancels and decides, so that nothing is
lost when a completion and a control arrive in the same moment (docs/engine.md).
"""

import asyncio
from dataclasses import replace
from datetime import datetime
from typing import Any, ClassVar, TypeAlias

from temporalio import workflow
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from longhaul.activities.control import ControlActivities
    from longhaul.activities.finish import FinishActivities
    from longhaul.activities.plan import PlanActivities
    from longhaul.core.controls import (
        SYSTEM,
        Action,
        Control,
        read_control,
        remember,
        settle,
    )
    from longhaul.core.errors import InvalidInput, WrongState
    from longhaul.core.jobs import JobStatus, Pause, RunMode
    from longhaul.core.messages import (
        STOPPED_BY_EPOCH,
        STOPPED_BY_LOSS,
        STOPPED_BY_PROVIDER,
        ChunkResult,
        ControlWrite,
        FinishRequest,
        JobResult,
        JobState,
        PlanRequest,
        Snapshot,
        SpansRequest,
    )
    from longhaul.core.stop_loss import FailureWindow
    from longhaul.workflows import policies
    from longhaul.workflows.chunks import ChunkScheduler
    from longhaul.workflows.display import JOB_STATUS, details_markdown

# Internal faults in a row after which a person should look before more money is spent.
MAX_FAULTS = 8

_LATE_STOPS = "late-stops-are-over"
_PLANNED_PAUSE_FIRST = "planned-pause-first"

AttemptEnd: TypeAlias = JobResult | JobState

_LATE = ApplicationError(
    "The deadline passed before every item had ended.", type="deadline_exceeded"
)


class ItemJob:
    """Carries out one attempt of a job. A job type's workflow is a thin subclass."""

    # A cache miss replays about 1,000 events a second.
    roll_after_events: ClassVar[int] = 1_500

    @workflow.init
    def __init__(self, state: JobState) -> None:
        self._job = state
        self._epoch = state.epoch
        self._generation = state.generation
        self._status = state.status
        self._pause = state.pause
        self._counts = state.counts
        self._concurrency = state.concurrency
        self._priority = state.priority
        self._stop_ratio = state.stop_ratio
        self._deadline = state.deadline
        self._cancelled = state.cancel_requested
        self._seen = list(state.seen)
        self._window = FailureWindow(state.failures)
        self._resumed = 0
        self._scheduler = ChunkScheduler(state, self._poke)
        self._asked: list[Control] = []
        self._asked_count = 0
        self._answered_count = 0
        self._poked = False
        self._cancel_came = False
        self._closing = False
        self._alarms: list[asyncio.Task[None]] = []

    # Messages: these only set state.

    @workflow.signal(name="pause")
    def pause_signal(self, message: Any = None, *_more: Any) -> None:
        """Pause the job; values that cannot be read become defaults.

        A signal that the handler rejects would block the workflow for good.
        """
        self._ask(_read_leniently(Action.PAUSE, message))

    @workflow.signal(name="resume")
    def resume_signal(self, message: Any = None, *_more: Any) -> None:
        """Resume the job."""
        self._ask(_read_leniently(Action.RESUME, message))

    @workflow.update(name="control")
    async def control(self, message: Any = None) -> Snapshot:
        """Pause or resume, and answer once the job's row says so."""
        number = self._ask(_read_update(message))
        await workflow.wait_condition(lambda: self._answered_count >= number or self._closing)
        return self.progress()

    @control.validator
    def _check_control(self, message: Any = None) -> None:
        _read_update(message)
        if self._closing:
            raise WrongState("The job is ending.")

    @workflow.query(name="progress")
    def progress(self) -> Snapshot:
        """The progress of the attempt."""
        return Snapshot(
            job_id=self._job.job_id,
            job_type=self._job.job_type,
            attempt=self._job.attempt,
            status=self._status,
            counts=self._counts,
            percentage=self._counts.percentage,
            generation=self._generation,
            in_flight=self._scheduler.in_flight,
            pause=self._pause,
            cancel_requested=self._cancelled,
            last_fault=self._scheduler.last_fault,
        )

    def _ask(self, control: Control) -> int:
        if remember(self._seen, control.request_id):
            self._asked.append(control)
            self._asked_count += 1
        return self._asked_count

    def _poke(self) -> None:
        self._poked = True

    # The attempt.

    async def drive(self) -> JobResult:
        """Carry the attempt out; only called from `run`."""
        body = asyncio.create_task(self._body())
        while not body.done():
            try:
                await workflow.wait_condition(body.done)
            except asyncio.CancelledError:
                # Temporal's cancel is one more request for the main loop.
                self._cancelled = self._cancel_came = True
                self._poke()
        end = body.result()
        if isinstance(end, JobState):
            # A cancel may have come in the same activation that rolls.
            workflow.continue_as_new(replace(end, cancel_requested=self._cancelled))
        self._closing = True
        self._show_details()
        await workflow.wait_condition(workflow.all_handlers_finished)
        return self._close(end)

    async def _body(self) -> AttemptEnd:
        if not self._epoch:
            end = await self._begin()
            if end is not None:
                return end
        self._set_alarm(self._deadline)
        self._set_alarm(self._pause.until if self._pause else None)
        while True:
            self._poked = False
            end = await self._step()
            if end is not None:
                return end
            self._show_details()
            await workflow.wait_condition(self._has_news)

    async def _step(self) -> AttemptEnd | None:
        """Do the next step; returns the end, when there is one."""
        self._take_results()
        self._resume_when_due()
        if self._cancelled or self._is_late():
            return await self._wind_down()
        if self._asked and not await self._settle():
            return await self._finish()
        if self._status is JobStatus.PAUSING and self._scheduler.idle:
            if not await self._write(self._pause_mode(), JobStatus.PAUSED):
                return await self._finish()
            self._scheduler.forget_spans()
        if self._status is JobStatus.RUNNING:
            return await self._advance()
        return self._rolled()

    async def _begin(self) -> AttemptEnd | None:
        info = workflow.info()
        request = PlanRequest(
            job_id=self._job.job_id,
            attempt=self._job.attempt,
            run_id=info.first_execution_run_id,
        )
        try:
            plan = await workflow.execute_activity_method(
                PlanActivities.plan, request, **policies.LEDGER
            )
        except ActivityError as exc:
            return await self._finish(fault=exc.cause)
        if plan.stale or plan.page is None:
            return self._stale()
        self._epoch = plan.epoch
        self._generation = plan.generation
        self._counts = plan.counts
        self._concurrency = plan.concurrency
        self._priority = plan.priority
        self._stop_ratio = plan.stop_ratio
        self._deadline = plan.deadline
        self._cancelled = self._cancelled or plan.cancel_requested
        self._scheduler.take_page(plan.page)
        self._show(JobStatus.RUNNING)
        if plan.pause is not None:
            self._ask_as_planned(plan.pause)
        return None

    def _ask_as_planned(self, pause: Pause) -> None:
        """Ask for the pause that was in the row before the workflow ran."""
        control = Control(
            action=Action.PAUSE,
            mode=pause.mode,
            by=pause.by,
            reason=pause.reason,
            until=pause.until,
        )
        # Requests that came meanwhile are later.
        if self._asked and workflow.patched(_PLANNED_PAUSE_FIRST):
            self._asked.insert(0, control)
            self._asked_count += 1
        else:
            self._ask(control)

    async def _advance(self) -> AttemptEnd | None:
        after = self._scheduler.page_wanted
        if after is not None and not await self._fetch_page(after):
            return self._stale()
        if self._scheduler.empty and self._scheduler.idle:
            return await self._finish()
        if self._is_long():
            return self._rolled()
        self._scheduler.dispatch(
            epoch=self._epoch,
            generation=self._generation,
            concurrency=self._concurrency,
            priority=self._priority,
        )
        return None

    async def _fetch_page(self, after: int) -> bool:
        request = SpansRequest(job_id=self._job.job_id, epoch=self._epoch, after=after)
        answer = await workflow.execute_activity_method(
            PlanActivities.open_spans, request, **policies.LEDGER
        )
        if answer.stale or answer.page is None:
            return False
        self._scheduler.take_page(answer.page)
        self._concurrency = answer.concurrency
        self._priority = answer.priority
        self._counts = answer.counts
        return True

    def _take_results(self) -> None:
        for result in self._scheduler.take_back():
            self._concurrency = result.concurrency or self._concurrency
            if result.priority is not None:
                self._priority = result.priority
            if result.counts.ended >= self._counts.ended:
                self._counts = result.counts
            # A stop from before the last resume does not count: somebody has seen it.
            is_over = result.generation < self._resumed and workflow.patched(_LATE_STOPS)
            if not is_over:
                self._window.extend(result.marks)
                self._pause_by_itself(result)
            if result.stopped == STOPPED_BY_EPOCH:
                self._scheduler.forget_spans()
        if self._scheduler.faults >= MAX_FAULTS and self._pause is None:
            self._scheduler.faults = 0
            self._ask_ourselves("chunk_fault", self._scheduler.last_fault)

    def _pause_by_itself(self, result: ChunkResult) -> None:
        if self._pause is not None:
            return
        if result.stopped in (STOPPED_BY_LOSS, STOPPED_BY_PROVIDER):
            self._ask_ourselves(result.stopped, result.reason)
        elif self._window.exceeds(self._stop_ratio):
            self._ask_ourselves(STOPPED_BY_LOSS, "Too many of the latest items failed.")

    def _ask_ourselves(self, code: str, reason: str) -> None:
        if not self._asked:
            self._ask(Control(action=Action.PAUSE, by=SYSTEM, reason=f"{code}: {reason}"))

    # Pause and resume.

    async def _settle(self) -> bool:
        """Write all requests so far to the row at once; False when the attempt is over."""
        asked, self._asked = self._asked, []
        before, self._pause = self._pause, settle(self._pause, asked)
        if self._pause is None:
            status = JobStatus.RUNNING
        elif self._scheduler.idle:
            status = JobStatus.PAUSED
        else:
            status = JobStatus.PAUSING
        if self._status is JobStatus.PAUSED and status is JobStatus.RUNNING:
            self._scheduler.forget_spans()
        if before is not None and self._pause is None:
            self._window = FailureWindow()
            self._scheduler.reset_back_off()
        alive = await self._write(self._pause_mode(), status, asked)
        if before is not None and self._pause is None:
            self._resumed = self._generation
        self._answered_count += len(asked)
        if self._pause_mode() is RunMode.NOW:
            self._scheduler.cancel_all()
        self._set_alarm(self._pause.until if self._pause else None)
        return alive

    def _pause_mode(self) -> RunMode:
        return self._pause.mode if self._pause else RunMode.RUN

    async def _write(
        self,
        mode: RunMode,
        status: JobStatus | None,
        controls: list[Control] | None = None,
        *,
        cancel: bool = False,
    ) -> bool:
        """Write a new generation; False when there is nothing left to do or it is not ours."""
        self._generation += 1
        written = await workflow.execute_local_activity_method(
            ControlActivities.write_control,
            ControlWrite(
                job_id=self._job.job_id,
                attempt=self._job.attempt,
                epoch=self._epoch,
                generation=self._generation,
                mode=mode,
                status=status,
                pause=self._pause,
                cancel=cancel,
                controls=controls or [],
            ),
            **policies.CONTROL,
        )
        self._counts = written.counts
        self._generation = max(self._generation, written.generation)
        if written.stale or (status is JobStatus.PAUSED and not written.open):
            return False
        self._show(written.status)
        return True

    def _resume_when_due(self) -> None:
        until = self._pause.until if self._pause else None
        if until is not None and workflow.now() >= until and not self._asked:
            self._ask(Control(action=Action.RESUME, by=SYSTEM, reason="until"))

    # The end.

    def _is_late(self) -> bool:
        return self._deadline is not None and workflow.now() >= self._deadline

    async def _wind_down(self) -> AttemptEnd | None:
        """Stop what is in flight and end the attempt with items left open."""
        self._closing = True
        await self._write(RunMode.NOW, None, cancel=self._cancelled)
        self._scheduler.cancel_all()
        while not self._scheduler.idle:
            await workflow.wait_condition(self._scheduler.has_news)
            self._scheduler.take_back()
        if self._cancelled:
            return await self._finish(cancelled=True)
        return await self._finish(fault=_LATE)

    async def _finish(
        self, *, cancelled: bool = False, fault: BaseException | None = None
    ) -> AttemptEnd | None:
        """Ask for the end; None when the ledger still has open items."""
        code, sentence = _fault_of(fault) if fault else ("", "")
        answer = await workflow.execute_activity_method(
            FinishActivities.finish,
            FinishRequest(
                job_id=self._job.job_id,
                attempt=self._job.attempt,
                epoch=self._epoch or None,
                cancelled=cancelled,
                fault_code=code,
                fault_sentence=sentence,
            ),
            **policies.LEDGER,
        )
        self._counts = answer.counts
        if answer.open and not answer.stale:
            self._scheduler.forget_spans()
            self._scheduler.back_off("items were left open")
            return None
        self._show(answer.status)
        return JobResult(
            job_id=self._job.job_id,
            status=answer.status,
            outcome=answer.outcome,
            counts=answer.counts,
            code=answer.code,
            sentence=answer.sentence,
        )

    def _close(self, result: JobResult) -> JobResult:
        """Close the workflow as the row says."""
        if result.status is JobStatus.FAILED:
            raise ApplicationError(result.sentence, type=result.code, non_retryable=True)
        # To Temporal only a run that was asked to cancel is cancelled, any other would fail: one
        # whose cancel stood in the row, or came to an earlier run, closes with its result.
        if result.status is JobStatus.CANCELLED and self._cancel_came:
            raise asyncio.CancelledError
        return result

    def _stale(self) -> JobResult:
        return JobResult(job_id=self._job.job_id, status=self._status, counts=self._counts)

    # Continue-as-new.

    def _is_long(self) -> bool:
        info = workflow.info()
        return (
            info.get_current_history_length() >= self.roll_after_events
            or info.is_continue_as_new_suggested()
        )

    def _may_roll(self) -> bool:
        return (
            self._is_long()
            and self._scheduler.idle
            and self._status in (JobStatus.RUNNING, JobStatus.PAUSED)
            and not self._asked
            and workflow.all_handlers_finished()
        )

    def _rolled(self) -> JobState | None:
        """The state for the next run, once this one's history is long and nothing is in flight."""
        if not self._may_roll():
            return None
        return replace(
            self._job,
            epoch=self._epoch,
            generation=self._generation,
            status=self._status,
            pause=self._pause,
            cancel_requested=self._cancelled,
            cursor=self._scheduler.cursor,
            item_seconds=self._scheduler.item_seconds,
            failures=self._window.marks,
            seen=self._seen,
            counts=self._counts,
            concurrency=self._concurrency,
            priority=self._priority,
            stop_ratio=self._stop_ratio,
            deadline=self._deadline,
            faults=self._scheduler.faults,
        )

    # News.

    def _has_news(self) -> bool:
        return self._poked or bool(self._asked) or self._scheduler.has_news() or self._may_roll()

    def _set_alarm(self, at: datetime | None) -> None:
        if at is not None:
            self._alarms.append(asyncio.create_task(self._poke_at(at)))

    async def _poke_at(self, at: datetime) -> None:
        await asyncio.sleep(max((at - workflow.now()).total_seconds(), 0.0))
        self._poke()

    def _show_details(self) -> None:
        details = details_markdown(self.progress(), self._scheduler.item_seconds)
        workflow.set_current_details(details)

    def _show(self, status: JobStatus) -> None:
        if status is not self._status and self._job.searchable:
            workflow.upsert_search_attributes([JOB_STATUS.value_set(status)])
        self._status = status


def _fault_of(exc: BaseException) -> tuple[str, str]:
    if isinstance(exc, ApplicationError):
        return exc.type or "failed", exc.message
    return "failed", "The job could not be planned."


def _read_update(message: Any) -> Control:
    action = message.get("action", "") if isinstance(message, dict) else ""
    return read_control(action, message)


def _read_leniently(action: Action, message: Any) -> Control:
    """Read a signal: its sender cannot get an error, and the action is clear."""
    try:
        return read_control(action, message)
    except InvalidInput:
        return Control(action=action)
