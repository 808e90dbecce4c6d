"""How many workers poll a task queue, as far as Temporal has seen lately."""

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from longhaul.adapters.temporal.workflows import RPC_TIMEOUT
from longhaul.core.errors import TemporalUnavailable


async def count_workers(client: Client, queue: str) -> int:
    """Count the worker processes of a queue; those that left within five minutes count too.

    Raises:
        TemporalUnavailable: Temporal cannot be asked.
    """
    request = DescribeTaskQueueRequest(
        namespace=client.namespace,
        task_queue=TaskQueue(name=queue),
        task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
    )
    try:
        answer = await client.workflow_service.describe_task_queue(request, timeout=RPC_TIMEOUT)
    except RPCError as exc:
        raise TemporalUnavailable("Temporal cannot be asked for its workers.") from exc
    return max(len({poller.identity for poller in answer.pollers}), 1)
