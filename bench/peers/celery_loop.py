"""The design that Longhaul replaces: one Celery task walks through the items of a job.

Each result is upserted by itself with a synchronous driver; every tenth item a checkpoint and
the progress go to Redis. Run by `celery -A bench.peers.celery_loop worker --pool=solo`.
"""

import json
import os
import time

import psycopg
from celery import Celery
from redis import Redis

CHECKPOINT_EVERY = 10

_UPSERT = """
INSERT INTO peer_item (job_id, ordinal, state, output, updated_at)
VALUES (%s, %s, 'done', %s, clock_timestamp())
ON CONFLICT (job_id, ordinal)
DO UPDATE SET state = excluded.state, output = excluded.output, updated_at = excluded.updated_at
"""

app = Celery("celery_loop", broker=os.environ.get("LONGHAUL_REDIS__URL"))
app.conf.task_ignore_result = True
app.conf.broker_connection_retry_on_startup = True


@app.task(name="run_job")  # type: ignore[untyped-decorator]  # Celery ships no types
def run_job(job_id: str, items: int, seconds: float) -> None:
    """Do the items of a job, from its checkpoint on."""
    redis = Redis.from_url(os.environ["LONGHAUL_REDIS__URL"])
    with psycopg.connect(os.environ["LONGHAUL_POSTGRES__DSN"], autocommit=True) as connection:
        connection.execute("INSERT INTO peer_run (id) VALUES (%s)", [job_id])
        start = int(redis.get(f"checkpoint:{job_id}") or 0)
        for ordinal in range(start, items):
            output = _do(ordinal, seconds)
            connection.execute(_UPSERT, [job_id, ordinal, output])
            if (ordinal + 1) % CHECKPOINT_EVERY == 0:
                _note_progress(redis, job_id, ordinal + 1, items)
        connection.execute(
            "UPDATE peer_run SET ended_at = clock_timestamp() WHERE id = %s", [job_id]
        )


def _do(ordinal: int, seconds: float) -> str:
    if seconds:
        time.sleep(seconds)
    return json.dumps({"item": ordinal})


def _note_progress(redis: Redis, job_id: str, done: int, items: int) -> None:
    redis.set(f"checkpoint:{job_id}", done)
    redis.hset(f"progress:{job_id}", mapping={"done": done, "total": items, "status": "running"})
