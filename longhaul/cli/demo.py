"""`longhaul demo`: the main job on the sample report, paused and resumed half-way."""

import asyncio
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from rich.table import Table

from longhaul.adapters.data_folder import DataFolder
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.rules import PostgresRules
from longhaul.adapters.sample.report import SampleReport, load_sample, write_anomalies
from longhaul.adapters.settings import Settings
from longhaul.cli.client import ApiClient, ExitCode, open_client
from longhaul.cli.output import console
from longhaul.cli.watch import watch
from longhaul.core.ports import Row

ROWS = 1_000
RANDOM_SEED = 7
EXAMPLES = 3

# The offline analyst is slowed so that there is something to watch, and the demo says so.
SECONDS_PER_ITEM = 0.8
CONCURRENCY = 8
PAUSED_FOR_SECONDS = 2.0

READY = "Ready."


def run_demo(settings: Settings) -> ExitCode:
    """Run the demo on the settings' data folder; done only if every item is done."""
    with _stack() as is_ready:
        if not is_ready:
            return ExitCode.JOB_FAILED
        folder = DataFolder(settings.data_dir)
        dsn = str(folder.read_addresses().get("postgres_dsn") or settings.postgres.dsn)
        report = asyncio.run(_load(dsn))
        write_anomalies(folder.path / "sample" / "anomalies.csv", report.anomalies)
        client = open_client(settings)
        job = _run_job(client, report)
        if job["progress"]["succeeded"] != len(report.attribute_ids):
            console.print(f"[red]The job ended as {job['status']}: {job['message']}[/red]")
            return ExitCode.JOB_FAILED
        _show_totals(job)
        _show_examples(asyncio.run(_read_examples(dsn, job["job_id"])))
    _say_goodbye(folder, client, job)
    return ExitCode.DONE


@contextmanager
def _stack() -> Iterator[bool]:
    """The whole stack as a child, with a slow analyst; yields whether it came up."""
    setpriv = shutil.which("setpriv")
    guard = [setpriv, "--pdeathsig", "TERM"] if setpriv else []
    stack = subprocess.Popen(
        [*guard, sys.executable, "-m", "longhaul.local"],
        env={**os.environ, "LONGHAUL_OFFLINE__SECONDS_PER_ITEM": str(SECONDS_PER_ITEM)},
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        yield _is_ready(stack)
    finally:
        stack.terminate()
        for line in stack.stdout or ():
            console.print(f"  {line.rstrip()}", style="dim", markup=False)
        stack.wait()


def _is_ready(stack: "subprocess.Popen[str]") -> bool:
    for line in stack.stdout or ():
        if line.startswith(READY):
            return True
        console.print(f"  {line.rstrip()}", style="dim", markup=False)
    return False


async def _load(dsn: str) -> SampleReport:
    async with PostgresDatabase.open(dsn, connections=1) as database:
        return await load_sample(database, rows=ROWS, random_seed=RANDOM_SEED)


async def _read_examples(dsn: str, job_id: str) -> Sequence[Row]:
    async with PostgresDatabase.open(dsn, connections=1) as database, database.begin() as tx:
        return await PostgresRules().examples(tx, job_id, EXAMPLES)


def _run_job(client: ApiClient, report: SampleReport) -> Mapping[str, Any]:
    console.print(
        f"\n[bold]{report.report_name}[/bold]: {len(report.attribute_ids)} attributes, "
        f"{report.rows} rows with {report.anomaly_count} planted anomalies"
    )
    console.print(
        f"Rules for each attribute, by the offline analyst. It is slowed to "
        f"{SECONDS_PER_ITEM} s an attribute, so that there is something to see.\n"
    )
    job = client.call(
        "POST",
        "/jobs",
        body={
            "job_type": "data_profiling_llm_generation",
            "parameters": {
                "cycle_id": report.cycle_id,
                "report_id": report.report_id,
                "force": True,
            },
            "description": "demo",
            "options": {"concurrency": CONCURRENCY},
        },
    )
    job_id = job["job_id"]
    half = len(report.attribute_ids) // 2
    watch(client, job_id, until=lambda seen: seen["completed_steps"] >= half)
    _pause_and_resume(client, job_id)
    return watch(client, job_id)


def _pause_and_resume(client: ApiClient, job_id: str) -> None:
    client.call("POST", f"/jobs/{job_id}/pause", body={"reason": "the demo shows a pause"})
    paused = watch(client, job_id, until=lambda seen: seen["status"] == "paused")
    time.sleep(PAUSED_FOR_SECONDS)
    later = client.call("GET", f"/jobs/{job_id}")
    console.print(
        f"[yellow]Paused[/yellow] at {paused['completed_steps']} items; {PAUSED_FOR_SECONDS:g} s "
        f"later still at {later['completed_steps']}. Resuming under the same id."
    )
    client.call("POST", f"/jobs/{job_id}/resume")


def _show_totals(job: Mapping[str, Any]) -> None:
    result = job["result"]
    table = Table(title=f"{result['rules_generated']} rules", box=None, title_justify="left")
    table.add_column("by type")
    table.add_column(justify="right")
    table.add_column("by severity")
    table.add_column(justify="right")
    types, severities = list(result["by_type"].items()), list(result["by_severity"].items())
    for place in range(max(len(types), len(severities))):
        left = types[place] if place < len(types) else ("", "")
        right = severities[place] if place < len(severities) else ("", "")
        table.add_row(left[0], str(left[1]), right[0], str(right[1]))
    console.print()
    console.print(table)


def _show_examples(rules: Sequence[Row]) -> None:
    for rule in rules:
        console.print(f"\n[bold]{rule['name']}[/bold]  {rule['rule_type']}, {rule['severity']}")
        console.print(f"  attribute   {rule['attribute']}", markup=False)
        console.print(f"  rule        {rule['expectation']} {dict(rule['kwargs'])}", markup=False)
        console.print(f"  because     {rule['rationale']}", markup=False)
        console.print(f"  reference   {rule['regulatory_reference']}", markup=False)
        source = f"{rule['provider']} / {rule['model']}, confidence {rule['confidence']:.2f}"
        console.print(f"  proposed by {source}", markup=False)


def _say_goodbye(folder: DataFolder, client: ApiClient, job: Mapping[str, Any]) -> None:
    ui = folder.read_addresses().get("temporal_ui")
    console.print("\nEverything is stopped; the data stay. To look around: [bold]make up[/bold]")
    console.print(f"  API docs      {client.base_url}/docs", markup=False)
    if ui:
        where = f"{ui}/namespaces/default/workflows/{job['job_id']}"
        console.print(f"  this workflow {where}", markup=False, soft_wrap=True)
    console.print(f"  this job      longhaul jobs show {job['job_id']}", markup=False)
