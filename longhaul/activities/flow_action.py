"""Runs one action of a flow; its effects are stored in the transaction that ends its step."""

from functools import partial
from typing import Any

from pydantic import ValidationError
from temporalio import activity

from longhaul.activities.heartbeat import beating
from longhaul.core.catalog import Catalog
from longhaul.core.errors import ItemFailed, JobError
from longhaul.core.flows import ActionStep, Unresolved, fill
from longhaul.core.items import Done, Failed, Item, ItemOutcome, ItemResult, ItemState
from longhaul.core.jobs import Job
from longhaul.core.messages import ActionRequest
from longhaul.core.ports import ErrorReporter, Flows, LogTail, StepRow, Stores
from longhaul.core.principals import owner_of
from longhaul.core.step_actions import ActionContext, AnyAction
from longhaul.services.flow_steps import results_so_far, steps_of
from longhaul.services.parents import end_steps


class ActionActivities:
    """Runs the actions of flows."""

    def __init__(
        self,
        *,
        stores: Stores,
        flows: Flows,
        catalog: Catalog,
        logs: LogTail,
        errors: ErrorReporter,
    ) -> None:
        self._stores = stores
        self._flows = flows
        self._catalog = catalog
        self._logs = logs
        self._errors = errors

    @activity.defn(name="run_action")
    async def run(self, request: ActionRequest) -> None:
        """Run an action and end its step; no-op for a step that has ended.

        Raises:
            Unavailable: It can be tried again.
        """
        async with beating():
            async with self._stores.database.begin() as tx:
                flow = await self._stores.jobs.read(tx, request.job_id)
                if flow is None or not _is_current(flow, request):
                    return
                rows = {row.key: row for row in await self._flows.steps(tx, flow.id)}
            row = rows[request.step]
            if row.state is not ItemState.OPEN:
                return
            await self._run(flow, row, rows)

    async def _run(self, flow: Job, row: StepRow, rows: dict[str, StepRow]) -> None:
        steps = steps_of(flow)
        step = next(one.step for one in steps if one.key == row.key)
        assert isinstance(step, ActionStep)
        context = ActionContext(
            job=flow,
            step=row.key,
            principal=owner_of(flow),
            database=self._stores.database,
            log=partial(self._logs.write, flow.id, "info", item_key=row.key),
        )
        try:
            action = self._catalog.action(step.action)
            given = fill(step.parameters, results_so_far(steps, rows))
            parameters = action.parameters.model_validate(given)
            output = dict(await action.do(context, parameters))
            await self._end(context, row, Done({"result": output}), (action, parameters, output))
        except Exception as exc:
            failure = self._why_not(context, exc)
            if failure is None:
                raise
            await self._end(context, row, failure)

    async def _end(
        self,
        context: ActionContext,
        row: StepRow,
        result: ItemResult,
        save: tuple[AnyAction, Any, dict[str, Any]] | None = None,
    ) -> None:
        item = Item(ordinal=row.ordinal, key=row.key)
        jobs, ledger = self._stores.jobs, self._stores.ledger
        async with self._stores.database.begin() as tx:
            flow = await jobs.lock(tx, context.job.id)
            if flow is None or flow.epoch != context.job.epoch or flow.status.is_terminal:
                return
            ended = await end_steps(tx, jobs, ledger, flow, [ItemOutcome(item, result)])
            if save is not None and ended.version > flow.version:
                action, parameters, output = save
                await action.save(tx, context, parameters, output)
        await self._stores.board.post(ended)

    def _why_not(self, context: ActionContext, exc: Exception) -> Failed | None:
        """Why the action failed; None if it may succeed when it is tried again."""
        match exc:
            case ItemFailed():
                return Failed(exc.item_code, exc.sentence)
            case JobError():
                return None if exc.retryable else Failed(exc.code, exc.sentence)
            case Unresolved():
                return Failed("reference_missing", f"Step {context.step!r} cannot begin: {exc}.")
            case ValidationError():
                return Failed("invalid_parameters", "The parameters do not fit the action.")
        error_id = self._errors.file(exc, job_id=context.job.id, step=context.step)
        return Failed("action_error", f"The action broke; the log has error {error_id}.")


def _is_current(flow: Job, request: ActionRequest) -> bool:
    return flow.epoch == request.epoch and not flow.status.is_terminal
