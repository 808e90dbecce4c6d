"""Texts of people and data are shown as they are, never as markup."""

import json
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from longhaul.cli import decision_output, output, schedules
from longhaul.core.decisions import Kind
from tests.job_answers import job

SAID = "see [/docs], ^[a-z]{2}$ [bold] :warning:"


def test_a_job_with_everything_that_people_may_say(capsys: pytest.CaptureFixture[str]) -> None:
    pause = {"mode": "drain", "by": SAID, "reason": SAID, "until": None}
    shown = job(pause=pause, current_step=SAID, error=SAID, result={"is": SAID}, owner=SAID)

    output.print_job(shown)

    said = capsys.readouterr().out
    assert said.count(SAID) == 6
    assert json.dumps({"is": SAID}) in said


def test_lists_of_jobs_items_and_approvals(capsys: pytest.CaptureFixture[str]) -> None:
    item = {
        "ordinal": 0,
        "item_key": SAID,
        "state": "failed",
        "attempts": 1,
        "duration_ms": 2,
        "calls": 0,
        "error": {"code": "bad", "message": SAID},
    }
    asked: dict[str, Any] = dict.fromkeys(("asked_at", "deadline"), "2026-01-02T03:04:05Z")
    answer = {"step": SAID, "about": {"what": SAID}, "state": "rejected", "decided_by": SAID}

    output.print_jobs([job(owner=SAID)])
    output.print_children([job(step=SAID)])
    output.print_items([item])
    output.print_approvals([{**asked, **answer, "reason": SAID}])

    assert capsys.readouterr().out.count(SAID) == 8


def test_the_history_and_the_log(capsys: pytest.CaptureFixture[str]) -> None:
    line = {"time": "2026-01-02T03:04:05Z", "action": "paused", "by": SAID, "details": {"r": SAID}}
    logged = {"time": line["time"], "level": "info", "event": "e", "item_key": SAID, "fields": {}}

    output.print_history({"attempts": [], "audit": [line]})
    output.print_logs([logged | {"fields": {"reason": SAID}}])

    assert capsys.readouterr().out.count(SAID) == 4


def test_rules_and_the_audit_of_decisions(capsys: pytest.CaptureFixture[str]) -> None:
    entry = {
        "id": "1",
        "attribute": SAID,
        "status": "pending",
        "name": SAID,
        "expectation": "x",
        "kwargs": {"regex": "^[a-z]{2}$"},
        "severity": "low",
        "tester_decision": None,
        "report_owner_decision": None,
    }
    line = {"time": "2026-01-02T03:04:05Z", "action": "rejected", "entry_id": "1", "by": SAID}

    decision_output.print_entries(Kind.RULES, [entry])
    decision_output.print_decision_audit([line | {"reviewer": None, "reason": SAID}])

    said = capsys.readouterr().out
    assert said.count(SAID) == 4
    assert "{'regex': '^[a-z]{2}$'}" in said


def test_a_status_has_its_colour_where_there_are_any() -> None:
    screen = Console(file=StringIO(), force_terminal=True, color_system="standard")

    screen.print(output.styled("completed"))

    assert "\x1b[32mcompleted" in screen.file.getvalue()  # type: ignore[attr-defined]


def test_a_schedule(capsys: pytest.CaptureFixture[str]) -> None:
    firing = {"scheduled_at": "2026", "outcome": "refused", "job_id": None, "detail": SAID}
    schedules.print_schedule(
        {
            "schedule_id": "s",
            "job_type": "echo",
            "cron": "0 6 * * *",
            "time_zone": "UTC",
            "paused": False,
            "parameters": {"p": SAID},
            "owner": SAID,
            "last_firing": firing,
            "firings": [firing, firing],
        }
    )

    assert capsys.readouterr().out.count(SAID) == 4
