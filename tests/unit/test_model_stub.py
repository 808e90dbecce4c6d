"""The stub of a model provider: its answers are valid, and it can be controlled from outside."""

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any, Literal

import httpx2
import pytest
from pydantic import BaseModel, Field

from longhaul.core.rules import RuleAnswer, read_rules
from tests.rule_samples import make_attribute
from tests.stubs.fake_answers import fake_answer
from tests.stubs.rule_answers import answer


class Part(BaseModel):
    kind: Literal["b", "a"]
    exactly: Literal[7]
    low: Annotated[int, Field(gt=3, multiple_of=5)]
    between: Annotated[float, Field(ge=0.5, lt=0.75)]
    name: Annotated[str, Field(min_length=3, max_length=4)]


class Whole(BaseModel):
    parts: Annotated[list[Part], Field(min_length=2, max_length=3)]
    maybe: Part | None
    pair: tuple[int, str]
    anything: dict[str, Any]
    optional: str = "left out"


def test_a_made_up_answer_satisfies_its_schema() -> None:
    made_up = Whole.model_validate(fake_answer(Whole.model_json_schema()))

    assert len(made_up.parts) == 2
    assert made_up.maybe is not None
    assert made_up.parts[0].kind == "b"


def test_made_up_rules_fit_the_attribute_of_the_prompt() -> None:
    attribute = make_attribute(name="Loan {Number}")
    prompt = f'About <data>\n{{"attribute": {{"name": "{attribute.name}"}}}}\n</data>, say {{x}}.'
    made_up = answer(RuleAnswer.model_json_schema(), prompt)

    assert len(read_rules(RuleAnswer.model_validate(made_up), attribute, [])) == 3


@asynccontextmanager
async def stub_process(log: Path) -> AsyncIterator[httpx2.AsyncClient]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "tests.stubs.model_server", "--port", "0", "--log", str(log)),
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    base_url = (await process.stdout.readline()).decode().split()[-1]
    async with httpx2.AsyncClient(base_url=base_url) as http:
        yield http
    process.terminate()
    await process.communicate()


async def test_a_stub_process_mixes_faults_as_told_and_remembers_what_it_saw(
    tmp_path: Path,
) -> None:
    question = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
    async with stub_process(tmp_path / "seen.jsonl") as http:
        await http.post("/control", json={"faults": {"overloaded": 1.0}})
        for _ in range(2):
            assert (await http.post("/v1/chat/completions", json=question)).status_code == 529
        await http.post("/control", json={"faults": {}})
        assert (await http.post("/v1/messages", json=question)).status_code == 200
        summary = (await http.get("/requests")).json()

    assert summary["total"] == 3
    assert list(summary["repeated"].values()) == [3]
    lines = (tmp_path / "seen.jsonl").read_text().splitlines()
    assert [json.loads(line)["status"] for line in lines] == [529, 529, 200]


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_mix_of_faults_is_the_same_for_the_same_seed(tmp_path: Path, seed: int) -> None:
    question = {"model": "m", "messages": [{"role": "user", "content": "?"}]}
    rounds = []
    async with stub_process(tmp_path / "seen.jsonl") as http:
        for _ in range(2):
            await http.post("/control", json={"faults": {"server_error": 0.5}, "seed": seed})
            answers = [await http.post("/v1/messages", json=question) for _ in range(20)]
            rounds.append([answer.status_code for answer in answers])

    assert rounds[0] == rounds[1]
    assert set(rounds[0]) == {200, 500}
