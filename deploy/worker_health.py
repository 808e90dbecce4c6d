"""Whether the worker in this container polls its queues; the health check of `longhaul worker`."""

import asyncio
import socket
import sys
from datetime import UTC, datetime, timedelta

from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client

from longhaul.adapters.settings import Settings
from longhaul.adapters.temporal.connection import connect
from longhaul.core.job_types import Queue

# A poll is answered within a minute, with a task or without.
POLLS_EVERY = timedelta(minutes=2)


async def find_silent() -> list[Queue]:
    """The queues of the settings that nobody in this container has polled of late."""
    client = await connect({})
    return [queue for queue in Settings().worker.queues if not await _is_polled(client, queue)]


async def _is_polled(client: Client, queue: Queue) -> bool:
    answer = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=_kind(queue),
        )
    )
    return any(
        poller.identity.endswith(f"@{socket.gethostname()}")
        and datetime.now(UTC) - poller.last_access_time.ToDatetime(UTC) < POLLS_EVERY
        for poller in answer.pollers
    )


def _kind(queue: Queue) -> TaskQueueType.ValueType:
    if queue is Queue.WORKFLOWS:
        return TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    return TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


if __name__ == "__main__":
    silent = asyncio.run(find_silent())
    if silent:
        sys.exit(f"not polling: {', '.join(silent)}")
