"""The command against the API: every command shows the API's answer, as JSON and to people."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.core import TyperGroup
from typer.main import get_command

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.settings import Settings
from longhaul.cli.main import app
from tests.api.conftest import Terminal, make_settings
from tests.api.test_webhooks import KEY
from tests.conftest import Servers
from tests.decision_samples import rule_ids, seed_rules


@pytest.fixture
def settings(
    monkeypatch: pytest.MonkeyPatch, servers: Servers, dsn: str, tmp_path: Path
) -> Settings:
    folders = str(tmp_path / "sources")
    return make_settings(
        monkeypatch,
        servers,
        dsn,
        LONGHAUL_WEBHOOKS__KEYS=KEY,
        LONGHAUL_SOURCES__FOLDERS=folders,
        LONGHAUL_SOURCES__SECRETS="HERE",
        HERE=dsn,
    )


async def test_a_job_is_submitted_with_everything_that_a_job_may_have(terminal: Terminal) -> None:
    job = await terminal.json(
        *("jobs", "submit", "echo", "-p", "items=3", "--metadata", '{"cycle_id": 7, "mine": "x"}'),
        *("--start-at", "2999-01-01T00:00:00Z", "--deadline", "60", "--stop-loss", "0.5"),
        *("--priority", "0", "--concurrency", "2", "--description", "for [people]"),
    )
    delayed = await terminal.json("jobs", "submit", "echo", "--delay", "3600")
    both = await terminal.run(
        "jobs", "submit", "echo", "--delay", "1", "--start-at", "2999-01-01T00:00:00Z"
    )
    no_object = await terminal.run("jobs", "submit", "echo", "--metadata", "[1]")

    assert job["options"] == {
        "concurrency": 2, "stop_after_failure_ratio": 0.5, "deadline_seconds": 60,
    }  # fmt: skip
    assert (job["waiting_for"], delayed["waiting_for"]) == ("start_time", "start_time")
    assert (job["priority"], delayed["priority"]) == (0, 5)
    assert (job["metadata"]["cycle_id"], job["metadata"]["mine"]) == (7, "x")
    assert both[0] == no_object[0] == 2


async def test_jobs_are_listed_by_what_they_are_filed_under(terminal: Terminal) -> None:
    filed = await terminal.json(
        "jobs", "submit", "echo", "--metadata", '{"cycle_id": 7, "report_id": 8}'
    )
    other = await terminal.json("jobs", "submit", "echo")
    await terminal.json("jobs", "cancel", other["job_id"])

    async def ids(*options: str) -> list[str]:
        answer = await terminal.json("jobs", "list", *options)
        return [job["job_id"] for job in answer["jobs"]]

    assert await ids("--cycle", "7") == await ids("--report", "8") == [filed["job_id"]]
    assert await ids("--active") == [filed["job_id"]]
    assert await ids("--created-after", filed["created_at"]) == [other["job_id"]]
    assert await ids("--created-before", other["created_at"]) == [filed["job_id"]]
    assert await ids("--waiting-for", "approval") == []
    assert (await terminal.run("jobs", "list", "--active", "--status", "failed"))[0] == 2
    assert "more: --cursor" in await terminal.text("jobs", "list", "--limit", "1")


async def test_a_job_is_changed_and_retried(terminal: Terminal) -> None:
    job_id = (await terminal.json("jobs", "submit", "echo"))["job_id"]

    changed = await terminal.json("jobs", "set", job_id, "--priority", "0", "--description", "new")
    nothing = await terminal.run("jobs", "set", job_id)
    await terminal.json("jobs", "cancel", job_id)
    retried = await terminal.json(
        "jobs", "retry", job_id, "--concurrency", "3", "--deadline", "9", "--stop-loss", "0.1"
    )

    assert (changed["priority"], changed["description"]) == (0, "new")
    assert nothing[0] == 2
    assert retried["options"] == {
        "concurrency": 3, "stop_after_failure_ratio": 0.1, "deadline_seconds": 9,
    }  # fmt: skip


async def test_one_item_is_shown_with_its_output_and_calls(
    terminal: Terminal, database: PostgresDatabase
) -> None:
    job_id = (await terminal.json("jobs", "submit", "echo"))["job_id"]
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO job_item (job_id, ordinal, item_key, state, output, error_code,"
            " error_message) VALUES ($1, 0, 'a/b c', 'done', $2, NULL, NULL),"
            " ($1, 1, 'bad', 'failed', NULL, 'no_echo', 'It does not echo.')",
            job_id,
            {"said": "[hello]"},
        )
        await tx.execute(
            "INSERT INTO llm_call (job_id, attempt, ordinal, step, try, token, state, provider,"
            " model, fingerprint, input_tokens, output_tokens, cost_usd, sent_at)"
            " VALUES ($1, 1, 0, 'ask', 1, gen_random_uuid(), 'answered', 'openai', 'gpt', 'f',"
            " 20, 10, 0.5, now())",
            job_id,
        )

    item = await terminal.json("jobs", "item", job_id, "a/b c")
    shown = await terminal.text("jobs", "item", job_id, "a/b c")
    failed = await terminal.json("jobs", "items", job_id, "--error-code", "no_echo")

    assert (item["output"], len(item["call_list"])) == ({"said": "[hello]"}, 1)
    assert '"said": "[hello]"' in shown
    assert "openai gpt" in shown
    assert "0.5000" in shown
    assert [one["item_key"] for one in failed["items"]] == ["bad"]


async def test_a_log_goes_on_where_it_was_read_to(terminal: Terminal) -> None:
    job_id = (await terminal.json("jobs", "submit", "echo"))["job_id"]
    first = await terminal.json("jobs", "logs", job_id)
    await terminal.json("jobs", "cancel", job_id)

    rest = await terminal.json("jobs", "logs", job_id, "--cursor", first["next_cursor"])

    assert [line["event"] for line in first["logs"]] == ["created"]
    assert "created" not in [line["event"] for line in rest["logs"]]
    assert rest["logs"]


async def test_the_catalog_is_listed_and_a_types_parameters_shown(terminal: Terminal) -> None:
    listed = await terminal.text("jobs", "types")
    everything = await terminal.json("jobs", "types")
    schema = json.loads(await terminal.text("jobs", "types", "rule_generation"))
    unknown = await terminal.run("jobs", "types", "nothing")

    assert "data_profiling_llm_generation" in listed
    assert "rule_generation" in listed
    assert {"echo", "flow"} <= {one["job_type"] for one in everything["job_types"]}
    assert "version_id" in schema["properties"]
    assert unknown[0] == 2


async def test_a_rule_of_a_draft_is_changed(terminal: Terminal, database: PostgresDatabase) -> None:
    version = await seed_rules(database)
    first, *_ = await rule_ids(database, version.id)
    tester = replace(terminal, roles=("Tester",))

    edited = await tester.json("rules", "edit", version.id, first, "--severity", "low")
    shown = await tester.text("rules", "edit", version.id, first, "--name", "a [new] name")
    nothing = await tester.run("rules", "edit", version.id, first)

    assert (edited["severity"], edited["tester_decision"]) == ("low", "approved")
    assert "a [new] name" in shown
    assert nothing[0] == 2


async def test_a_webhook_from_its_secret_to_its_end(terminal: Terminal) -> None:
    created = await terminal.json(
        "webhooks", "create", "https://hook.invalid/", "--event", "job.ended"
    )
    webhook_id = created["webhook_id"]
    once = await terminal.text("webhooks", "create", "https://hook.invalid/2")
    shown = await terminal.text("webhooks", "show", webhook_id)
    listed = await terminal.text("webhooks", "list")

    tested = await terminal.json("webhooks", "test", webhook_id)
    delivery_id = tested["delivery_id"]
    again = await terminal.json("webhooks", "redeliver", webhook_id, delivery_id)
    sent = await terminal.text("webhooks", "deliveries", webhook_id)
    deleted = await terminal.json("webhooks", "delete", webhook_id)
    history = await terminal.text("webhooks", "history", webhook_id)
    gone = await terminal.run("webhooks", "show", webhook_id)

    assert created["secret"].startswith("whsec_")
    assert "whsec_" in once
    assert "whsec_" not in shown + listed
    assert (created["events"], "https://hook.invalid/2" in listed) == (["job.ended"], True)
    assert again["delivery_id"] == delivery_id
    assert "webhook.test" in sent
    assert deleted == {"webhook_id": webhook_id, "deleted": True}
    assert [word in history for word in ("created", "tested", "deleted")] == [True] * 3
    assert gone[0] == 2


FORM = """name,format,key,mandatory
Loan [Number],C32,Y,Mandatory
Balance,N12.2,,Optional
"""


async def test_a_report_is_brought_with_its_data_sources(
    terminal: Terminal, tmp_path: Path
) -> None:
    form, data = tmp_path / "form.csv", tmp_path / "sources" / "loans.csv"
    form.write_text(FORM)
    data.parent.mkdir()
    data.write_text("ln_nbr,bal\n1,2.00\n")
    importing = ("reports", "import", str(form), "--name", "Loans", "--cycle", "June")

    made = await terminal.json(*importing, "--regulation", "FR Y-14M", "--source", "loans.csv")
    again = await terminal.text(*importing)
    report_id = str(made["report_id"])
    database = await terminal.json(
        *("reports", "add-source", report_id, "public.report", "--secret-ref", "HERE")
    )
    listed = await terminal.text("reports", "list")
    shown = await terminal.text("reports", "attributes", report_id)
    sources = await terminal.json("reports", "sources", report_id)
    removed = await terminal.json("reports", "remove-source", report_id, str(database["source_id"]))
    left = await terminal.text("reports", "sources", report_id)
    history = await terminal.text("reports", "history", report_id)

    assert (made["created"], made["source"]["name"], made["source"]["columns"]) == (
        True,
        "loans.csv",
        2,
    )
    assert "it existed already" in again
    assert (database["kind"], database["name"], database["tables"]) == (
        "postgresql",
        "public.report",
        1,
    )
    assert "loans.csv, public.report" in listed
    assert "Loan [Number]" in shown
    assert [one["secret_ref"] for one in sources["sources"]] == [None, "HERE"]
    assert removed == {"source_id": database["source_id"], "removed": True}
    assert ("loans.csv" in left, "public.report" in left) == (True, False)
    assert (history.count("source_added"), history.count("source_removed")) == (2, 1)


async def test_a_report_that_cannot_be_brought_is_refused_with_every_reason(
    terminal: Terminal, tmp_path: Path
) -> None:
    form = tmp_path / "form.csv"
    form.write_text(FORM.replace("C32", "DDMM").replace("N12.2", "?"))
    importing = ("reports", "import", str(form), "--name", "Loans", "--cycle", "June")

    code, _, said = await terminal.run(*importing)
    missing = await terminal.run(*importing[:2], str(tmp_path / "none.csv"), *importing[3:])
    unknown = await terminal.run(*importing, "--source", "loans.doc")
    listed = await terminal.json("reports", "list")

    assert code == 2
    assert ("Line 2: format" in said, "Line 3: format" in said) == (True, True)
    assert (missing[0], "cannot be read" in missing[2]) == (2, True)
    assert (unknown[0], "--kind" in unknown[2]) == (2, True)
    assert listed["reports"] == []


async def test_what_has_no_answer_says_in_json_what_was_done(terminal: Terminal) -> None:
    schedule = await terminal.json(
        "schedules", "create", "echo", "--cron", "0 0 29 2 *", "--metadata", '{"mine": 1}'
    )
    schedule_id = schedule["schedule_id"]
    deleted = await terminal.json("schedules", "delete", schedule_id)
    history = await terminal.json("schedules", "history", schedule_id)
    job_id = (await terminal.json("jobs", "submit", "echo"))["job_id"]
    await terminal.json("jobs", "cancel", job_id)
    purged = await terminal.json("jobs", "purge", job_id, "--yes")
    left = await terminal.text("jobs", "history", job_id)

    assert schedule["metadata"] == {"mine": 1}
    assert deleted == {"schedule_id": schedule_id, "deleted": True}
    assert [line["action"] for line in history["audit"]] == ["created", "deleted"]
    assert purged == {"job_id": job_id, "purged": True}
    assert "purged" in left


def test_every_command_that_answers_has_json() -> None:
    group = get_command(app)
    assert isinstance(group, TyperGroup)

    without = {
        path
        for path, command in commands(group)
        if "--json" not in [option for one in command.params for option in one.opts]
    }

    # These become another process, and return nothing.
    assert without == {"up", "api", "worker"}


def commands(group: TyperGroup, *path: str) -> Iterator[tuple[str, Any]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, *path, name)
        else:
            yield " ".join((*path, name)), command
