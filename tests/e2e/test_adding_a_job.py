"""`docs/adding_a_job.md` followed to the letter, as a new user would."""

import json
import os
import re
from pathlib import Path

import pytest

from tests.repository import ROOT
from tests.stack import local_stack

PAGE = (ROOT / "docs/adding_a_job.md").read_text()

FILE = re.compile(r"^`(wordcount/\S+)`[^\n]*\n\n```\w+\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SHELL = re.compile(r"^```sh\n(.*?)^```$", re.MULTILINE | re.DOTALL)
RESULT = re.compile(r'`(\{"lines".*?\})`')

FILES = dict(FILE.findall(PAGE))


def write_package(folder: Path) -> None:
    for name, text in FILES.items():
        file = folder / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)


def test_the_page_shows_every_file_that_it_names_and_they_are_few() -> None:
    tree = PAGE.partition("```\nwordcount/")[2].partition("```")[0]
    named = set(re.findall(r"── (\S+\.\w+)$", tree, re.MULTILINE))

    assert named == {Path(name).name for name in FILES}
    assert len(FILES) <= 5


@pytest.mark.parametrize("way", ["installed", "named"])
async def test_a_job_type_made_as_the_page_says_runs_as_the_page_says(
    tmp_path: Path, way: str
) -> None:
    start, submit = SHELL.findall(PAGE)
    install, up = start.strip().splitlines()
    up_in_development = re.findall(r"`(longhaul up --types \S+)`", PAGE)[0]
    (expected,) = RESULT.findall(PAGE)
    write_package(tmp_path)
    # Where pip installs to and Python looks, so that the project's own environment stays clean.
    packages = str(tmp_path / "packages")

    async with local_stack(tmp_path, PIP_TARGET=packages, PYTHONPATH=packages) as stack:
        if way == "installed":
            installed = await stack.run(install, cwd=tmp_path)
            assert installed.code == 0, installed.output
            await stack.start(up, cwd=tmp_path)
        else:
            await stack.start(up_in_development, cwd=tmp_path / "wordcount")
        done = await stack.run(submit, cwd=tmp_path)
        shown = await stack.run("longhaul jobs list --json")
        (job,) = json.loads(shown.output)["jobs"]
        items = await stack.run(f"longhaul jobs items {job['job_id']} --json")
        workflow = await (await stack.temporal()).get_workflow_handle(job["job_id"]).describe()

    assert done.code == os.EX_OK, done.output
    assert expected in done.output
    assert job["result"] == json.loads(expected)
    states = {item["item_key"]: item["state"] for item in json.loads(items.output)["items"]}
    assert states == {"line-1": "done", "line-2": "done", "line-3": "failed", "line-4": "done"}
    assert workflow.workflow_type == "WordCount"
