"""Moves flows on for their workflows, and passes controls on to their jobs."""

from temporalio import activity

from longhaul.activities.flow_look import FlowParts, Look
from longhaul.activities.heartbeat import beating
from longhaul.core.controls import SYSTEM, Action, Control
from longhaul.core.jobs import Job, JobStatus, Requested
from longhaul.core.messages import FlowRequest, FlowView, SteerRequest
from longhaul.core.ports import Stores
from longhaul.services.steering import Steering

# A draining job may still be told to stop now.
_PAUSABLE = frozenset({JobStatus.PENDING, JobStatus.RUNNING, JobStatus.RESUMING, JobStatus.PAUSING})
_RESUMABLE = frozenset({JobStatus.PENDING, JobStatus.PAUSING, JobStatus.PAUSED})


class FlowActivities:
    """The activities of a flow's workflow, besides the actions of its steps."""

    def __init__(self, *, stores: Stores, parts: FlowParts, steering: Steering) -> None:
        self._database = stores.database
        self._jobs = stores.jobs
        self._board = stores.board
        self._parts = parts
        self._steering = steering

    @activity.defn(name="look_at_flow")
    async def look(self, request: FlowRequest) -> FlowView:
        """Begin and end what is due, and return the state of the flow.

        One look is one transaction under the lock of the flow's row. After a crash the next look
        goes on from the rows: it ends no step twice and makes no job twice.
        """
        async with beating(), self._database.begin() as tx:
            flow = await self._jobs.lock(tx, request.job_id)
            if flow is None or flow.epoch != request.epoch or flow.status.is_terminal:
                return FlowView(stale=True)
            look = Look(self._parts, tx, flow, request)
            view = await look.run()
        await self._board.post(look.flow)
        return view

    @activity.defn(name="steer_steps")
    async def steer(self, request: SteerRequest) -> None:
        """Pass a pause, a resume or a cancel on to the jobs of a flow that have not ended."""
        async with beating():
            async with self._database.begin() as tx:
                flow = await self._jobs.read(tx, request.job_id)
                if flow is None or flow.epoch != request.epoch:
                    return
                children = await self._parts.flows.children(tx, flow.id)
            for child in children.values():
                if not child.status.is_terminal:
                    await self._steer(child, request.control)

    async def _steer(self, child: Job, control: Control | None) -> None:
        if control is not None:
            if _concerns(control, child):
                await self._steering.control(child, control)
        elif child.requested is not Requested.CANCEL or child.status is JobStatus.PENDING:
            await self._steering.cancel(child, SYSTEM)


def _concerns(control: Control, child: Job) -> bool:
    # An earlier request that is not applied yet would be applied after this one.
    if control.action is Action.PAUSE:
        return child.status in _PAUSABLE or child.requested is Requested.RESUME
    return child.status in _RESUMABLE or child.requested is Requested.PAUSE
