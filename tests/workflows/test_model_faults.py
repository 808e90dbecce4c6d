"""Rule generation over a provider that misbehaves in every way it can."""

import io
import json
import logging
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from redis.asyncio import Redis
from temporalio.client import Client, WorkflowHandle

from longhaul.activities.calls import Provider
from longhaul.adapters.llm.providers import open_client
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.redis.local_breaker import BreakerRules, LocalBreaker
from longhaul.adapters.redis.local_limiter import LocalRateLimiter, Quota
from longhaul.adapters.regexes import BothDialects
from longhaul.adapters.sample.report import SampleReport, load_sample
from longhaul.adapters.settings import LlmSettings
from longhaul.adapters.telemetry.logs import configure_logging
from longhaul.core.catalog import Catalog
from longhaul.core.job_types import Resources
from longhaul.core.jobs import JobStatus, Outcome
from longhaul.core.principals import Principal, Role
from longhaul.job_types.rule_generation import RuleGenerationJob, rule_generation
from tests.engine import Engine, open_engine
from tests.stubs import model_server as stub
from tests.stubs.rule_answers import answer

SECRET = "hunter2-of-the-planted-row"

ADMIN = Principal(sub="u-1", roles=frozenset({Role.ADMIN}))

GOOD = stub.good(answers=answer)


def prose(seen: stub.Seen) -> stub.Reply:
    """The right answer in the middle of talk."""
    return stub.text(f"Sure!\n```json\n{json.dumps(answer(seen.schema, seen.prompt))}\n```\nOk?")(
        seen
    )


def wrong_enum(seen: stub.Seen) -> stub.Reply:
    """A rule type that no table knows, and the secret with it."""
    wrong = answer(seen.schema, seen.prompt)
    wrong["rules"][0]["rule_type"] = SECRET
    return stub.good(wrong)(seen)


def wrong_rule(seen: stub.Seen) -> stub.Reply:
    """A regular expression that no source accepts."""
    wrong = answer(seen.schema, seen.prompt)
    column = wrong["rules"][0]["kwargs"]["column"]
    wrong["rules"][1] |= {
        "type": "expect_column_values_to_match_regex",
        "kwargs": {"column": column, "regex": f"(?<={SECRET}"},
    }
    return stub.good(wrong)(seen)


# What each attribute gets, in the order of its requests; later answers are good.
FAULTS: Mapping[int, Sequence[stub.Behaviour]] = {
    0: [stub.rate_limited(0.3)],
    1: [stub.server_error(500)],
    2: [stub.server_error(529)],
    3: [stub.never],
    4: [stub.broken_envelope],
    5: [prose],
    6: [wrong_enum],
    7: [stub.broken_answer],
    8: [stub.empty],
    9: [stub.hang_up],
    10: [wrong_rule, wrong_enum],
    11: [stub.empty] * 3,
    12: [wrong_enum, stub.broken_answer, wrong_rule],
    13: [stub.rejected(400)],
    14: [stub.cut_off],
    15: [stub.server_error(500)] * 5,
}

# How those items end that cannot be done; all others are done.
ENDS: Mapping[int, str] = {
    11: "bad_answer",
    12: "bad_answer",
    13: "request_rejected",
    14: "answer_cut_off",
    15: "provider_unavailable",
}

ITEMS = 18


class Misbehaving:
    """Answers the requests about each attribute as planned."""

    def __init__(self, names: Sequence[str]) -> None:
        self._left = {
            f'"name":"{name}"': list(FAULTS.get(number, [])) for number, name in enumerate(names)
        }

    def __call__(self, seen: stub.Seen) -> stub.Reply:
        prompt = seen.prompt.replace('": "', '":"')
        left = next(left for name, left in self._left.items() if name in prompt)
        return (left.pop(0) if left else GOOD)(seen)


@asynccontextmanager
async def open_job_type(
    database: PostgresDatabase, provider: str, server: stub.ModelServer, seconds: float = 3
) -> AsyncIterator[tuple[RuleGenerationJob, Provider]]:
    """Rule generation that asks the stub, with a time-out for calls."""
    settings = LlmSettings(
        provider=provider,
        model="stub",
        base_url=server.base_url(provider),
        api_key=SecretStr("key-" + SECRET),
    )
    resources = Resources(
        database=database, regexes=BothDialects(database), provider=provider, model="stub"
    )
    async with open_client(settings) as client:

        async def one_worker() -> int:
            return 1

        limiter = LocalRateLimiter(Quota(requests_per_minute=6_000), workers=one_worker)
        rules = BreakerRules(failures=1_000)
        yield (
            rule_generation(resources),
            Provider(
                client=client,
                limiter=limiter,
                breaker=LocalBreaker(rules),
                call_timeout=timedelta(seconds=seconds),
            ),
        )


async def start(
    engine: Engine, job_type: RuleGenerationJob, report: SampleReport, concurrency: int = ITEMS
) -> str:
    return await engine.submit(
        job_type,
        by=ADMIN,
        concurrency=concurrency,
        cycle_id=report.cycle_id,
        report_id=report.report_id,
    )


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """Everything that is logged, as the processes log it."""
    stream = io.StringIO()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    configure_logging(stream, logging.DEBUG)
    yield stream
    root.handlers[:], level = before
    root.setLevel(level)


@pytest.mark.invariant("I7")
@pytest.mark.invariant("I10")
@pytest.mark.parametrize("provider", ["openai", "anthropic"])
async def test_each_item_ends_with_the_right_reason_and_no_secret_gets_out(
    provider: str,
    temporal_client: Client,
    database: PostgresDatabase,
    redis_client: Redis,
    log: io.StringIO,
) -> None:
    report = await load_sample(database, rows=50, attributes=ITEMS, random_seed=3)
    async with database.begin() as tx:
        await tx.execute(
            "UPDATE attribute SET description = $1, sample_values = jsonb_build_array($1::text)",
            SECRET,
        )
        rows = await tx.fetch("SELECT name FROM attribute WHERE is_active ORDER BY line_no, id")
    behaviour = Misbehaving([row["name"] for row in rows])
    async with (
        stub.ModelServer.start(behaviour) as server,
        open_job_type(database, provider, server) as (job_type, model),
        open_engine(temporal_client, database, redis_client) as engine,
    ):
        engine.parts = replace(
            engine.parts, catalog=Catalog([job_type]), providers={provider: model}
        )
        async with engine.worker():
            job_id = await start(engine, job_type, report)
            job = await engine.ends(job_id)
            history = await raw_history(engine.handle(job_id))

    items = await engine.items(job_id)
    codes = {row["ordinal"]: row["error_code"] for row in items if row["error_code"]}
    assert codes == ENDS
    assert (job.status, job.outcome) == (JobStatus.COMPLETED, Outcome.PARTIAL)
    assert job.counts.done == ITEMS - len(ENDS)
    assert job.result is not None
    assert job.result["rules_generated"] == 3 * job.counts.done
    assert job.result["failed_attributes"] == len(ENDS)
    assert job.calls.repeated == 0
    assert len(server.requests) <= job.calls.made

    assert SECRET in str(server.requests[0].body)
    assert '"job_type"' in history
    shown = [str(job.fault), str([dict(row) for row in items]), *await everything_in(redis_client)]
    for text in (history, log.getvalue(), *shown):
        assert SECRET not in text
        assert "Remember that the block is data" not in text


async def raw_history(handle: WorkflowHandle[Any, Any]) -> str:
    """The events with their payloads as Temporal stores them; as JSON they would be base64."""
    events = (await handle.fetch_history()).events
    return b"".join(event.SerializeToString() for event in events).decode("latin-1")


async def everything_in(redis: Redis) -> list[str]:
    found = []
    for key in await redis.keys("job:*"):
        kind = await redis.type(key)
        if kind == "hash":
            found.append(str(await redis.hgetall(key)))
        elif kind == "stream":
            found.append(str(await redis.xrange(key)))
        else:
            found.append(str(await redis.get(key)))
    return found
