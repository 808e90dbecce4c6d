"""The demo's full cycle: a flow, the two people that it asks, and a line for each step."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

from longhaul.adapters.settings import Settings
from longhaul.cli.client import ApiClient, open_client_as
from longhaul.cli.output import console
from longhaul.cli.watch import LOOK_EVERY, TERMINAL
from longhaul.core.principals import Role

FULL_CYCLE = "full_cycle"
DESCRIPTION = "demo"

TESTER, REPORT_OWNER = "demo-tester", "demo-owner"

PAUSED_FOR_SECONDS = 2.0

Job = Mapping[str, Any]


@dataclass(frozen=True)
class People:
    """The two people between the jobs, each with a token."""

    tester: ApiClient
    report_owner: ApiClient

    @classmethod
    def of(cls, settings: Settings) -> "People":
        """Sign them in."""
        return cls(
            tester=open_client_as(settings, TESTER, [Role.TESTER]),
            report_owner=open_client_as(settings, REPORT_OWNER, [Role.REPORT_OWNER]),
        )

    def approve(self, version_id: str, kind: str) -> int:
        """Approve all proposals and the version; returns how many there were."""
        version = f"/versions/{version_id}"
        decisions = f"{version}/{kind}/decisions"
        yes = {"decision": "approved", "all": True}
        self.tester.call("POST", decisions, body={**yes, "as": "tester"})
        self.tester.call("POST", f"{version}/submit", body={})
        self.report_owner.call("POST", decisions, body={**yes, "as": "report_owner"})
        approved = self.report_owner.call("POST", f"{version}/approve", body={})
        return int(approved["counts"]["approved"])


def end_earlier_cycles(people: People) -> None:
    """Cancel the flows of earlier demos.

    Without authentication everybody's are listed; ours have the description.
    """
    client = people.tester
    for job in client.call("GET", "/jobs/active")["active_jobs"]:
        if job["job_type"] == FULL_CYCLE and job["description"] == DESCRIPTION:
            client.call("POST", f"/jobs/{job['job_id']}/cancel")
            wait_for_end(client, job["job_id"])


def start_cycle(people: People, cycle_id: int, report_id: int, **parameters: Any) -> Job:
    """Start the flow as the tester."""
    body = {
        "job_type": FULL_CYCLE,
        "parameters": {
            "cycle_id": cycle_id,
            "report_id": report_id,
            "approval_roles": [Role.REPORT_OWNER],
            "approvers": [REPORT_OWNER],
            **parameters,
        },
        "description": DESCRIPTION,
    }
    job: Job = people.tester.call("POST", "/jobs", body=body)
    return job


def follow_cycle(people: People, started: Job, *, pause_at: str) -> Job:
    """Follow a flow to its end, decide on its approvals, and pause it once within a step."""
    client, flow_id, flow = people.tester, str(started["job_id"]), started
    lines = _Lines(started["parameters"]["steps"])
    is_to_pause = True
    for flow, children in _looks(client, flow_id):
        lines.show(children)
        inner = children.get(pause_at)
        if is_to_pause and inner and inner["completed_steps"] * 2 >= inner["total_steps"] > 0:
            is_to_pause = False
            if inner["status"] not in TERMINAL:
                lines.hide()
                _pause_and_resume(client, flow_id, inner["job_id"])
        if flow["waiting_for"] == "approval":
            lines.hide()
            for asked in _asked(client, flow_id):
                step, kind = asked["step"], asked["about"]["kind"]
                count = people.approve(asked["about"]["version_id"], kind)
                lines.approved(step, f"{count:,} {kind} by {TESTER}, then by {REPORT_OWNER}")
    lines.hide()
    return flow


def _looks(client: ApiClient, flow_id: str) -> Iterator[tuple[Job, Mapping[str, Job]]]:
    while True:
        flow = client.call("GET", f"/jobs/{flow_id}")
        listed = client.call("GET", f"/jobs/{flow_id}/children")["jobs"]
        yield flow, {job["step"]: job for job in reversed(listed)}
        if flow["status"] in TERMINAL:
            return
        time.sleep(LOOK_EVERY)


def _asked(client: ApiClient, flow_id: str) -> list[Mapping[str, Any]]:
    approvals = client.call("GET", f"/jobs/{flow_id}/approvals")["approvals"]
    return [one for one in approvals if one["state"] == "waiting"]


def _pause_and_resume(client: ApiClient, flow_id: str, inner_id: str) -> None:
    client.call("POST", f"/jobs/{flow_id}/pause", body={"reason": "the demo shows a pause"})
    paused = _wait(client, inner_id, "paused", *TERMINAL)
    time.sleep(PAUSED_FOR_SECONDS)
    later = client.call("GET", f"/jobs/{inner_id}")
    console.print(
        f"Paused at {paused['completed_steps']} items; {PAUSED_FOR_SECONDS:g} s later still at "
        f"{later['completed_steps']}. Resuming under the same id.",
        style="yellow",
    )
    client.call("POST", f"/jobs/{flow_id}/resume")


def wait_for_end(client: ApiClient, job_id: str) -> Job:
    """Wait until a job has ended."""
    return _wait(client, job_id, *TERMINAL)


def _wait(client: ApiClient, job_id: str, *statuses: str) -> Job:
    while True:
        job: Job = client.call("GET", f"/jobs/{job_id}")
        if job["status"] in statuses:
            return job
        time.sleep(LOOK_EVERY)


class _Lines:
    """A bar for the running step, on a terminal; a line for each that has ended."""

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self._titles = {step["name"]: step["title"] or step["name"] for step in steps}
        self._width = max(map(len, self._titles.values()))
        self._ended: set[str] = set()
        self._bar: Progress | None = None

    def show(self, children: Mapping[str, Job]) -> None:
        running = None
        for step, job in children.items():
            if job["status"] not in TERMINAL:
                running = (step, job)
            elif step not in self._ended:
                self._ended.add(step)
                self.hide()
                self._line(step, _count(job), _seconds(job), _said(step, job))
        if running and console.is_terminal:
            self._draw(*running)

    def approved(self, step: str, what: str) -> None:
        self._line(step, "", "", what)

    def hide(self) -> None:
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _draw(self, step: str, job: Job) -> None:
        if self._bar is None:
            columns = [SpinnerColumn(), TextColumn("{task.description}"), BarColumn()]
            more = [MofNCompleteColumn(), TextColumn("{task.fields[now]}", markup=False)]
            self._bar = Progress(*columns, *more, console=console, transient=True)
            self._bar.add_task(self._titles[step], now="", total=None)
            self._bar.start()
        (task,) = self._bar.task_ids
        self._bar.update(
            task,
            description=self._titles[step],
            completed=job["completed_steps"],
            total=job["total_steps"] or None,
            now=job["current_step"],
        )

    def _line(self, step: str, count: str, seconds: str, what: str) -> None:
        title = f"{self._titles[step]:{self._width}}"
        console.print(f"{title}  {count:>11}  {seconds:>7}  {what}", soft_wrap=True)


def _count(job: Job) -> str:
    return f"{job['completed_steps']:,}/{job['total_steps']:,}"


def _seconds(job: Job) -> str:
    if job["started_at"] is None or job["completed_at"] is None:
        return ""
    started, ended = (datetime.fromisoformat(job[name]) for name in ("started_at", "completed_at"))
    return f"{(ended - started).total_seconds():.1f} s"


def _said(step: str, job: Job) -> str:
    result = job["result"]
    say = _SAYS.get(step)
    if result is None or say is None:
        return str(job["error"] or job["message"])
    return say(result)


_SAYS: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "map": lambda result: (
        f"{result['total_mapped'] + result['already_mapped']} attributes mapped, "
        f"{result['needs_manual_mapping']} need a person"
    ),
    "generate": lambda result: f"{result['rules_generated']} rules proposed",
    "execute": lambda result: (
        f"{result['summary']['total_anomalies_found']:,} failing values, "
        f"{result['summary']['failed_rules']} rules could not run"
    ),
    "scope": lambda result: (
        f"{result['test_recommendations']} to test, {result['skip_recommendations']} to skip"
    ),
    "sample": lambda result: f"{result['samples_generated']} samples drawn",
    "test": lambda result: f"{result['executed']:,} values extracted and compared",
}
