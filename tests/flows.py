"""Flows of the tests' own job types, and access to their results."""

from typing import Any

from longhaul.core.jobs import Job, JobOptions, JobStatus
from longhaul.services.attempts import Attempts
from tests.engine import Engine
from tests.factories import make_new_job
from tests.waiting import until


def echo(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "kind": "job", "job_type": "echo", "parameters": parameters}


def note(name: str, **parameters: Any) -> dict[str, Any]:
    return {"name": name, "kind": "action", "action": "note", "parameters": parameters}


def approval(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "approval", **more}


def group(name: str, *steps: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"name": name, "kind": "group", "steps": list(steps), **more}


async def submit(
    engine: Engine, *steps: dict[str, Any], rolling: bool = False, concurrency: int = 16
) -> str:
    new = make_new_job(
        job_type="rolling_flow" if rolling else "flow",
        parameters={"steps": list(steps)},
        options=JobOptions(concurrency=concurrency),
    )
    async with engine.stores.database.begin() as tx:
        job = await engine.stores.jobs.insert(tx, new)
    assert job is not None
    await engine.start(job)
    return job.id


async def children(engine: Engine, job_id: str) -> dict[str, Job]:
    async with engine.stores.database.begin() as tx:
        rows = await tx.fetch("SELECT id, step FROM job WHERE parent_id = $1", job_id)
    return {row["step"]: await engine.job(str(row["id"])) for row in rows}


async def child(engine: Engine, job_id: str, step: str, *statuses: JobStatus) -> Job:
    found: Job | None = None

    async def is_there() -> bool:
        nonlocal found
        found = (await children(engine, job_id)).get(step)
        return found is not None and (not statuses or found.status in statuses)

    await until(is_there, what=f"the job of {step}")
    assert found is not None
    return found


async def waits_for_approval(engine: Engine, job_id: str) -> Job:
    async def waits() -> bool:
        return (await engine.job(job_id)).waiting_for == "approval"

    await until(waits, what="the approval to be asked for")
    return await engine.job(job_id)


async def check_numbers_agree(engine: Engine, job_id: str) -> None:
    """I8, of a flow and of all its jobs."""
    flow = await engine.job(job_id)
    async with engine.stores.database.begin() as tx:
        counted, _ = await engine.stores.ledger.count(tx, job_id)
    assert flow.counts == counted
    for job in (await children(engine, job_id)).values():
        await engine.check_numbers_agree(job.id)


async def retry(engine: Engine, job_id: str) -> None:
    async with engine.stores.database.begin() as tx:
        job = await engine.stores.jobs.lock(tx, job_id)
        assert job is not None
        attempts = Attempts(jobs=engine.stores.jobs, ledger=engine.stores.ledger)
        await attempts.begin(tx, job, by="u-1")


async def audited(engine: Engine, job_id: str, action: str) -> int:
    async with engine.stores.database.begin() as tx:
        rows = await tx.fetch(
            "SELECT 1 FROM job_audit WHERE job_id = $1 AND action = $2", job_id, action
        )
    return len(rows)


async def notes(engine: Engine, job_id: str) -> int:
    async with engine.stores.database.begin() as tx:
        return len(await tx.fetch("SELECT 1 FROM note WHERE job_id = $1", job_id))
