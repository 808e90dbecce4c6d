"""`docs/own_report.md` followed to the letter, as somebody with their own report would."""

import re
from pathlib import Path

from tests.repository import ROOT
from tests.stack import local_stack

PAGE = (ROOT / "docs/own_report.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


async def test_a_report_brought_as_the_page_says_shows_the_faults_that_the_page_says(
    tmp_path: Path,
) -> None:
    up, *commands = blocks("sh")
    (form,) = blocks("csv")
    (expected,) = blocks("text")
    (name,) = re.findall(r"the form, as `(\S+)`", PAGE)
    (tmp_path / name).write_text(form)

    async with local_stack(tmp_path) as stack:
        await stack.start(up.strip(), cwd=tmp_path)
        ran = await stack.run("set -e\n" + "".join(commands), cwd=tmp_path)
        decisions = await stack.fetch(
            "SELECT DISTINCT by, reviewer FROM decision_audit"
            " WHERE reviewer IS NOT NULL AND by NOT LIKE 'automatic-%' ORDER BY 1"
        )
        jobs = await stack.fetch("SELECT job_type, outcome FROM job")
        judged = await stack.fetch(
            "SELECT outcome, test_result FROM test_execution WHERE test_result <> 'pending_review'"
        )

    assert ran.code == 0, ran.output
    found = [line.strip() for line in ran.output.splitlines() if " failing  " in line]
    assert sorted(line for line in found if line[0].isdigit()) == sorted(
        expected.strip().splitlines()
    )
    report = (tmp_path / "report.html").read_text()
    assert [key in report for key in ("A0000077", "A0000150", "A0000151")] == [True, True, False]
    assert [tuple(row) for row in decisions] == [("olga", "report_owner"), ("tess", "tester")]
    assert len({row["job_type"] for row in jobs}) == 7
    assert {row["outcome"] for row in jobs} == {"succeeded"}
    assert [tuple(row) for row in judged] == [("match", "pass")]
