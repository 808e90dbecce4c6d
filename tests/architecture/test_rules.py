"""Rules that import-linter and ruff cannot check."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from longhaul.adapters import settings
from longhaul.api.errors import STATUS, status_of
from longhaul.core import errors
from longhaul.core.job_types import Resources
from longhaul.job_types.loading import load_catalog
from tests.repository import ROOT

PACKAGE = ROOT / "longhaul"
SOURCES = sorted(PACKAGE.rglob("*.py"))

# Modules that start processes pass their own environment on.
READS_ENVIRONMENT = {
    "adapters/settings.py",
    "local/processes.py",
    "local/temporal.py",
    "cli/demo.py",
    "adapters/sources/sessions.py",
}

# Their imports take seconds, and only a worker with such items needs them.
IMPORTS_LATER = {
    "adapters/llm/providers.py",  # a provider's SDK
    "adapters/statistics.py",  # SciPy
    "adapters/sources/evidence.py",  # Ibis, in `lookups`
    "adapters/sources/excel_files.py",  # openpyxl
    "adapters/sources/rule_evaluator.py",  # Ibis, in `table_scan`
    "adapters/sources/sampler.py",  # Ibis, in `table_sampling`
    "adapters/sources/session.py",  # the one backend of Ibis that a source needs
    "adapters/sources/sessions.py",  # Ibis, in `files` and `postgres`
    "cli/main.py",  # Alembic
}

IMPURE = {
    ("datetime", "now"),
    ("datetime", "utcnow"),
    ("datetime", "today"),
    ("time", "time"),
    ("time", "monotonic"),
    ("uuid", "uuid4"),
    ("random", "random"),
}


def calls(file: Path) -> Iterator[tuple[str, str, int]]:
    for node in ast.walk(ast.parse(file.read_text())):
        match node:
            case ast.Call(func=ast.Attribute(value=ast.Name(id=name), attr=attribute)):
                yield name, attribute, node.lineno


def name_of(file: Path) -> str:
    return file.relative_to(PACKAGE).as_posix()


def test_nothing_commits_outside_a_transaction_block() -> None:
    found = [
        f"{name_of(file)}:{line}"
        for file in SOURCES
        for name, attribute, line in calls(file)
        if attribute == "commit" and name not in ("transaction", "savepoint", "connection")
    ]

    assert found == []


def test_the_environment_is_read_in_one_place() -> None:
    found = {
        name_of(file)
        for file in SOURCES
        if re.search(r"\bos\.(environ|getenv)\b", file.read_text())
    }

    assert found <= READS_ENVIRONMENT


@pytest.mark.parametrize("folder", ["core", "workflows"])
def test_no_clock_and_no_chance_where_things_must_be_repeatable(folder: str) -> None:
    found = [
        f"{name_of(file)}:{line} {name}.{attribute}"
        for file in (PACKAGE / folder).rglob("*.py")
        for name, attribute, line in calls(file)
        if (name, attribute) in IMPURE
    ]

    assert found == []


def test_modules_are_imported_at_the_top_of_a_file() -> None:
    found = set()
    for file in SOURCES:
        for function in ast.walk(ast.parse(file.read_text())):
            if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef):
                imports = (ast.Import, ast.ImportFrom)
                if any(isinstance(node, imports) for node in ast.walk(function)):
                    found.add(name_of(file))

    assert found == IMPORTS_LATER


def test_every_error_has_its_status_and_its_line_in_the_docs() -> None:
    documented = re.findall(
        r"^\| `(\w+)` \| (\d+) \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE
    )

    answered = {(kind.code, str(int(status))) for kind, status in STATUS.items()}
    inherited = {(kind.code, str(int(status_of(kind("x"))))) for kind in leaves(errors.Unavailable)}
    assert set(documented) == answered | inherited


def test_every_way_to_refuse_a_caller_has_a_status_of_its_own() -> None:
    assert set(leaves(errors.Rejected)) <= set(STATUS)


def leaves(kind: type[errors.JobError]) -> list[type[errors.JobError]]:
    below = kind.__subclasses__()
    return [leaf for one in below for leaf in leaves(one)] if below else [kind]


def test_the_example_of_the_environment_is_what_the_settings_say() -> None:
    assert (ROOT / ".env.example").read_text() == settings.example()


def test_every_setting_says_what_it_is_for() -> None:
    assert [variable for variable, _, what_for in settings.describe() if not what_for] == []


def test_every_invariant_of_the_docs_has_a_test_that_carries_its_number() -> None:
    documented = re.findall(
        r"^\| (I\d+) \|", (ROOT / "docs/invariants.md").read_text(), re.MULTILINE
    )
    marked = {
        number
        for file in (ROOT / "tests").rglob("*.py")
        for number in re.findall(r'invariant\("(I\d+)"\)', file.read_text())
    }

    assert marked == set(documented)


def test_every_file_that_the_docs_name_exists() -> None:
    pages = [*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "bench/README.md"]
    named = {
        name
        for page in pages
        for name in re.findall(r"`((?:longhaul|tests|docs)/[\w/]+\.\w+)`", page.read_text())
    }

    assert len(named) > 10
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_the_makefile_has_the_targets_that_people_rely_on() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)

    promised = {"demo", "up", "test", "check", "bench", "chaos", "record-history", "help"}
    assert promised <= set(targets)


async def test_the_sandbox_takes_every_workflow_of_the_catalog() -> None:
    from temporalio.workflow import _Definition  # noqa: PLC0415 - as the worker does

    class Nothing:
        """No job type touches its resources before it is used."""

    catalog = load_catalog(Resources(database=Nothing(), regexes=Nothing()))  # type: ignore[arg-type]
    runner = SandboxedWorkflowRunner()

    for job_type in catalog:
        runner.prepare_workflow(_Definition.must_from_class(job_type.workflow))


def test_no_file_names_a_path_of_a_machine_or_a_registry() -> None:
    places = [r"/work/(main|shared)", r"/root/\.\w+env", r"pythonhosted\.org", r"/opt/wheels"]
    forbidden = re.compile("|".join(places))
    folders = ("longhaul", "tests", "docs", "bench", "scripts", "deploy", ".ci")
    files = [file for folder in folders for file in (ROOT / folder).rglob("*") if file.is_file()]
    files += [file for file in ROOT.iterdir() if file.is_file()]
    found = [
        file.relative_to(ROOT).as_posix()
        for file in files
        if not {"__pycache__", ".git"} & set(file.parts) and file != Path(__file__)
        if forbidden.search(file.read_text(errors="ignore"))
    ]

    assert found == []
