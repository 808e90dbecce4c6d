from contextlib import AbstractAsyncContextManager

import pytest

from longhaul.core.job_types import Queue, Resources
from longhaul.core.ports import Transaction
from longhaul.core.principals import Role
from longhaul.job_types.loading import load_catalog
from longhaul.workflows.rule_generation import RuleGeneration
from tests.unit.loadable import Second

HERE = "tests.unit.loadable"


class NoDatabase:
    def begin(self) -> AbstractAsyncContextManager[Transaction]:
        raise AssertionError("building a type opened a transaction")


class NoRegexes:
    async def refusal(self, pattern: str) -> str | None:
        raise AssertionError("building a type asked about a pattern")


def resources(provider: str = "offline", model: str = "") -> Resources:
    return Resources(
        database=NoDatabase(),
        regexes=NoRegexes(),
        provider=provider,
        model=model,
    )


def test_installed_types_are_found_by_their_entry_points() -> None:
    job_type = load_catalog(resources()).get("rule_generation")

    assert job_type.name == "data_profiling_llm_generation"
    assert job_type.task_name == "app.tasks.data_profiling.generate_rules"
    assert job_type.aliases == ("profiling_rule_generation", "rule_generation")
    assert job_type.workflow is RuleGeneration
    assert job_type.queue is Queue.LLM
    assert Role.DATA_EXECUTIVE in job_type.roles
    assert Role.REPORT_OWNER not in job_type.roles


@pytest.mark.parametrize(
    ("provider", "model", "frozen"),
    [
        ("offline", "", {"provider": "offline", "model": "rules-of-thumb", "prompt_version": "3"}),
        ("openai", "gpt-x", {"provider": "openai", "model": "gpt-x", "prompt_version": "2"}),
    ],
)
def test_a_job_freezes_who_writes_its_rules(
    provider: str, model: str, frozen: dict[str, str]
) -> None:
    job_type = load_catalog(resources(provider, model)).get("rule_generation")

    assert job_type.freeze() == frozen


def test_a_module_brings_every_concrete_type_that_it_defines() -> None:
    catalog = load_catalog(resources(), [HERE])

    assert {"first", "second"} <= {job_type.name for job_type in catalog}
    assert "unfinished" not in catalog


@pytest.mark.parametrize("name", ["Second", "second"])
def test_one_type_is_named_by_its_class_or_its_factory(name: str) -> None:
    catalog = load_catalog(resources("openai"), [f"{HERE}:{name}"])

    found = catalog.get("second")
    assert isinstance(found, Second)
    assert found.provider == "openai"
    assert "first" not in catalog


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ("tests.no_such_module", "--types tests.no_such_module cannot be loaded: ModuleNotFound"),
        (f"{HERE}:nobody", "cannot be loaded: AttributeError"),
        (f"{HERE}:broken", "cannot be loaded: KeyError: 'no such table'"),
        (f"{HERE}:Abstract", "cannot be loaded: TypeError"),
        (f"{HERE}:number", "is not callable"),
        (f"{HERE}:not_a_type", "made a str, which is not a job type"),
        (f"{HERE}:without_workflow", "made a job type without workflow"),
        ("tests.rule_samples", "defines no job type"),
    ],
)
def test_a_type_that_cannot_be_loaded_is_named_with_the_reason(given: str, sentence: str) -> None:
    with pytest.raises(ValueError, match=sentence):
        load_catalog(resources(), [given])


def test_two_types_that_claim_one_name_are_refused() -> None:
    with pytest.raises(ValueError, match="both claim 'second'"):
        load_catalog(resources(), [f"{HERE}:Second", f"{HERE}:second"])
