"""One long job with a model stub, while everything it needs is killed again and again.

    make chaos                      the whole of it: 2,000 items, 20 kills of the worker and more
    make chaos ARGS="--quick"       200 items and one of each

Prints its actions and findings; exit code 1 when a number does not agree.
"""

import argparse
import asyncio
import json
import random
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.sample.report import SampleReport, load_sample
from longhaul.local.ports import HOST, answers
from longhaul.local.processes import Command
from tests.cluster import Cluster, open_cluster
from tests.ports import new_port
from tests.servers import Server
from tests.waiting import until

# Exact lines at which a worker is made to die; see tests/dying_worker.py.
POINTS = ("plan", "sent", "before_commit", "after_commit")

WORKER = "worker"
BACK_WITHIN_SECONDS = 2.0

# A restart takes some time; the job must not end meanwhile.
LATENCY_WHILE_AWAY = 2.0


@dataclass(frozen=True)
class Plan:
    """How much of everything.

    Attributes:
        worker_kills: At any moment with items in flight, in addition to the exact points.
    """

    items: int = 2_000
    latency: float = 0.05
    concurrency: int = 8
    worker_kills: int = 14
    api_kills: int = 5
    temporal_kills: int = 3
    postgres_kills: int = 2
    redis_kills: int = 3
    flushes: int = 3
    seed: int = 1


QUICK = Plan(
    items=200,
    worker_kills=2,
    api_kills=1,
    temporal_kills=1,
    postgres_kills=1,
    redis_kills=1,
    flushes=1,
)


@dataclass
class Findings:
    """What was counted, and what does not agree."""

    in_flight_at_kills: int = 0
    worker_kills: int = 0
    seconds: float = 0.0
    job: dict[str, Any] = field(default_factory=dict)
    ledger: dict[str, int] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)
    attributes_with_rules: int = 0
    rules: int = 0
    repeated_at_the_stub: int = 0
    complaints: list[str] = field(default_factory=list)


async def run(folder: Path, plan: Plan, say: Callable[[str], None]) -> Findings:
    """Run the job to its end through every kill of the plan, and count."""
    stub_port = new_port()
    settings = {
        "LONGHAUL_LLM__PROVIDER": "openai",
        "LONGHAUL_LLM__MODEL": "stub",
        "LONGHAUL_LLM__BASE_URL": f"http://{HOST}:{stub_port}/v1",
        "LONGHAUL_LLM__API_KEY": "none",
        "LONGHAUL_LLM__REQUESTS_PER_MINUTE": "1000000",
    }
    started = time.monotonic()
    async with open_cluster(folder, settings=settings, workers=0, durable=True) as cluster:
        await _run_stub(cluster, stub_port, plan.latency)
        async with PostgresDatabase.open(cluster.dsn, connections=2) as database:
            report = await load_sample(
                database, rows=20, attributes=plan.items, random_seed=plan.seed
            )
        chaos = Chaos(cluster, plan, stub_port, say)
        job = await chaos.run(report)
        findings = chaos.findings
        findings.job = job
        findings.seconds = time.monotonic() - started
        await _count(cluster, stub_port, plan, findings)
    return findings


class Chaos:
    """Kills, restarts, and records what was in flight."""

    def __init__(
        self, cluster: Cluster, plan: Plan, stub_port: int, say: Callable[[str], None]
    ) -> None:
        self.findings = Findings()
        self._cluster = cluster
        self._plan = plan
        self._stub = f"http://{HOST}:{stub_port}"
        self._say = say
        self._job_id = ""

    async def run(self, report: SampleReport) -> dict[str, Any]:
        """Create the job and bring it to its end."""
        await self._cluster.run_worker(WORKER)
        self._job_id = await self._cluster.submit(
            "rule_generation",
            concurrency=self._plan.concurrency,
            cycle_id=report.cycle_id,
            report_id=report.report_id,
        )
        await self._kill_worker("after the job's insert", restart=False)
        for point in POINTS:
            await self._die_at(point)
        await self._cluster.start(WORKER)
        await self._kill_around()
        await self._last_items()
        return await self._cluster.ends(self._job_id)

    async def _kill_around(self) -> None:
        """The shuffled part: one event after another, spread over the job's items."""
        plan = self._plan
        events: list[tuple[str, Callable[[], Awaitable[None]]]] = [
            *[("worker", self._kill_busy_worker)] * plan.worker_kills,
            *[("api", lambda: self._bounce("api-0"))] * plan.api_kills,
            *[("temporal", lambda: self._bounce("temporal"))] * plan.temporal_kills,
            *[("postgres", lambda: self._bounce("postgres"))] * plan.postgres_kills,
            *[("redis", lambda: self._bounce("redis"))] * plan.redis_kills,
            *[("flush", self._flush)] * plan.flushes,
        ]
        random.Random(plan.seed).shuffle(events)
        first = await self._ended()
        # The rest is for the worker that must die in its finish, however late its turn comes.
        last = plan.items * 2 // 3
        for number, (name, happen) in enumerate(events):
            await self._wait_for(first + (last - first) * (number + 1) // (len(events) + 1))
            self._say(f"{await self._ended():5} items  {name}")
            await happen()

    async def _last_items(self) -> None:
        """Let the worker that finishes the job die in its finish."""
        await self._answer_after(LATENCY_WHILE_AWAY)
        await self._kill_worker("before the last items", restart=False)
        await self._answer_after(self._plan.latency)
        await self._die_at("finish")
        await self._cluster.start(WORKER)

    async def _die_at(self, point: str) -> None:
        self._say(f"{await self._ended():5} items  worker dies at {point}")
        name = f"dying-{point}"
        await self._cluster.run_worker(name, "tests.dying_worker", LH_TEST_DIE_AT=point)
        await self._cluster.ended(name)
        await self._note_in_flight()

    async def _kill_busy_worker(self) -> None:
        await until(self._is_busy, what="items in flight")
        await self._kill_worker("items in flight", restart=True)

    async def _kill_worker(self, when: str, *, restart: bool) -> None:
        await self._cluster.kill(WORKER)
        await self._note_in_flight()
        self._say(f"{await self._ended():5} items  worker killed: {when}")
        if restart:
            await self._cluster.start(WORKER)

    async def _note_in_flight(self) -> None:
        """Calls that were sent and whose answer will never be journalled."""
        (row,) = await self._cluster.fetch(
            """SELECT count(*) AS n FROM llm_call AS c WHERE job_id = $1 AND state = 'sent'
               AND NOT EXISTS (SELECT FROM llm_call AS later WHERE later.job_id = c.job_id
                   AND later.ordinal = c.ordinal AND later.attempt = c.attempt
                   AND later.step = c.step AND later.try > c.try)""",
            self._job_id,
        )
        self.findings.in_flight_at_kills += row["n"]
        self.findings.worker_kills += 1

    async def _bounce(self, name: str) -> None:
        """Kill a process and restart it within seconds."""
        await self._answer_after(LATENCY_WHILE_AWAY)
        await self._cluster.kill(name)
        await asyncio.sleep(BACK_WITHIN_SECONDS)
        await self._cluster.start(name)
        await self._answer_after(self._plan.latency)

    async def _answer_after(self, latency: float) -> None:
        """Tell the stub how long to take."""
        async with httpx2.AsyncClient() as client:
            await client.post(f"{self._stub}/control", json={"latency": latency})

    async def _flush(self) -> None:
        redis = self._cluster.redis()
        await redis.flushall()
        await redis.aclose()

    async def _is_busy(self) -> bool:
        async with httpx2.AsyncClient() as client:
            answer = (await client.get(f"{self._stub}/requests")).json()
        return bool(answer["in_flight"])

    async def _ended(self) -> int:
        (row,) = await self._cluster.fetch(
            "SELECT done + failed + skipped AS n FROM job WHERE id = $1", self._job_id
        )
        return int(row["n"])

    async def _wait_for(self, count: int) -> None:
        async def reached() -> bool:
            return await self._ended() >= count

        await until(reached, what=f"{count} items", every=0.05)


async def _run_stub(cluster: Cluster, port: int, latency: float) -> None:
    command = Command(
        name="stub",
        argv=[
            sys.executable,
            *("-m", "tests.stubs.model_server"),
            *("--port", str(port), "--latency", str(latency)),
        ],
    )
    await cluster.run("stub", Server(command, lambda: answers(port)))


async def _count(cluster: Cluster, stub_port: int, plan: Plan, findings: Findings) -> None:
    job_id = findings.job["job_id"]
    states = await cluster.fetch(
        "SELECT state, count(*) AS n FROM job_item WHERE job_id = $1 GROUP BY state", job_id
    )
    (rules,) = await cluster.fetch(
        """SELECT count(*) AS rules, count(DISTINCT attribute_id) AS attributes,
                  count(DISTINCT ordinal) AS ordinals
           FROM rule WHERE job_id = $1""",
        job_id,
    )
    async with httpx2.AsyncClient() as client:
        seen = (await client.get(f"http://{HOST}:{stub_port}/requests")).json()
    failed = await cluster.fetch(
        "SELECT ordinal, error_code, error_message FROM job_item WHERE job_id = $1 "
        "AND state = 'failed'",
        job_id,
    )
    findings.errors = [f"{row['ordinal']}: {row['error_message']}" for row in failed]
    findings.errors += cluster.faults()
    findings.ledger = {row["state"]: row["n"] for row in states}
    findings.attributes_with_rules = rules["attributes"]
    findings.rules = rules["rules"]
    findings.repeated_at_the_stub = sum(count - 1 for count in seen["repeated"].values())
    findings.complaints = list(_complaints(plan, findings))


def _complaints(plan: Plan, found: Findings) -> Sequence[str]:
    job, repeated = found.job, found.job["calls"]["repeated"]
    checks = {
        "the job is completed": job["status"] == "completed",
        "every item is done in the ledger": found.ledger == {"done": plan.items},
        "every item has its rows": found.attributes_with_rules == plan.items,
        "the counters say so too": job["progress"]["succeeded"] == plan.items,
        "the result says so too": job["result"]["rules_generated"] == found.rules,
        "repeated at the stub <= calls.repeated": found.repeated_at_the_stub <= repeated,
        "calls.repeated <= in flight at the kills": repeated <= found.in_flight_at_kills,
    }
    return [what for what, is_so in checks.items() if not is_so]


def main() -> int:
    """Run the chaos; 1 when something does not agree."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="200 items, one of each")
    arguments = parser.parse_args()
    plan = QUICK if arguments.quick else Plan()
    with tempfile.TemporaryDirectory() as folder:
        found = asyncio.run(run(Path(folder), plan, lambda line: print(line, flush=True)))
    print(
        json.dumps(
            {
                "items": plan.items,
                "seconds": round(found.seconds, 1),
                "worker_kills": found.worker_kills,
                "ledger": found.ledger,
                "attributes_with_rules": found.attributes_with_rules,
                "calls": found.job["calls"],
                "repeated_at_the_stub": found.repeated_at_the_stub,
                "in_flight_at_kills": found.in_flight_at_kills,
                "errors": found.errors,
                "complaints": found.complaints,
            },
            indent=1,
        )
    )
    return 1 if found.complaints else 0


if __name__ == "__main__":
    sys.exit(main())
