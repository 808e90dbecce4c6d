"""`longhaul demo`: the full cycle on the sample report, with two people and a pause."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from rich.text import Text

from longhaul.adapters.data_folder import DataFolder
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.reports import PHASES
from longhaul.adapters.sample.form import read_form
from longhaul.adapters.sample.report import SampleReport, load_sample, write_anomalies
from longhaul.adapters.settings import Settings
from longhaul.cli.client import ApiClient
from longhaul.cli.demo_cycle import (
    TESTER,
    Job,
    People,
    end_earlier_cycles,
    follow_cycle,
    start_cycle,
)
from longhaul.cli.demo_evidence import (
    Statements,
    compare_again,
    give_statements,
    read_cases,
)
from longhaul.cli.demo_table import show_cycle
from longhaul.cli.output import console, print_json
from longhaul.cli.postgres import postgres_dsn, run_on_postgres
from longhaul.core.exit_codes import READY, ExitCode
from longhaul.core.quality_report import QualityReport

FORM = "a1"
ROWS = 5_000
RANDOM_SEED = 7
SAMPLES = 25

# The offline analyst is slowed down so that there is something to watch; the demo says so.
SECONDS_PER_ITEM = 0.3
CONCURRENCY = 16
COMPARED_AT_ONCE = 100
PAUSES_AT = "generate"


def run_demo(settings: Settings, *, as_json: bool) -> ExitCode:
    """Run the demo on the settings' data folder; done only if every step is done.

    Args:
        as_json: Print nothing but the flow's job object on stdout.
    """
    console.stderr = as_json
    with _stack() as is_ready:
        if not is_ready:
            return ExitCode.FAILED
        folder = DataFolder(settings.data_dir)
        sample = run_on_postgres(_load(postgres_dsn(settings)))
        write_anomalies(folder.path / "sample" / "anomalies.csv", sample.anomalies)
        people = People.of(settings)
        flow = _run_cycle(people, sample)
        if as_json:
            print_json(flow)
        if not _is_completed("flow", flow):
            return ExitCode.FAILED
        compared = _compare_with_statements(people.tester, sample, folder)
        if not _is_completed("comparison", compared):
            return ExitCode.FAILED
        where = f"/jobs/{flow['job_id']}/report"
        report = QualityReport.model_validate(people.tester.call("GET", where))
        page = folder.path / "sample" / "report.html"
        page.write_bytes(people.tester.page(where, params={"format": "html"}))
        show_cycle(
            flow,
            report,
            sample.anomalies,
            right_mappings=_right_mappings(people.tester, sample),
            compared=compared["result"],
            cases=list(read_cases(people.tester, sample.cycle_id, sample.report_id)),
        )
    _say_goodbye(folder, people.tester, flow, page)
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
            console.print(f"  {line.rstrip()}", style="dim")
        stack.wait()


def _is_ready(stack: "subprocess.Popen[str]") -> bool:
    for line in stack.stdout or ():
        if line.startswith(READY):
            return True
        console.print(f"  {line.rstrip()}", style="dim")
    return False


async def _load(dsn: str) -> SampleReport:
    async with PostgresDatabase.open(dsn, connections=1) as database:
        return await load_sample(database, rows=ROWS, random_seed=RANDOM_SEED, form=FORM)


def _run_cycle(people: People, sample: SampleReport) -> Job:
    facts = (
        f": {len(sample.attribute_ids)} attributes, {sample.rows:,} rows with "
        f"{sample.anomaly_count} planted anomalies"
    )
    console.print()
    console.print(Text(sample.report_name, style="bold") + Text(facts))
    console.print(
        "The full cycle, by the offline analyst; two people approve what it proposes. It is "
        f"slowed to {SECONDS_PER_ITEM} s an item, so that there is something to see.\n"
    )
    end_earlier_cycles(people)
    flow = start_cycle(
        people,
        sample.cycle_id,
        sample.report_id,
        target_sample_size=SAMPLES,
        concurrency=CONCURRENCY,
    )
    return follow_cycle(people, flow, pause_at=PAUSES_AT)


def _is_completed(what: str, job: Job) -> bool:
    if job["status"] == "completed":
        return True
    console.print(f"The {what} ended as {job['status']}: {job['message']}", style="red")
    if job["error"]:
        console.print(job["error"])
    return False


def _compare_with_statements(client: ApiClient, sample: SampleReport, folder: DataFolder) -> Job:
    """Compare the sampled values with the statements of their loans, which rules cannot do."""
    statements = Statements(read_form(FORM), random_seed=RANDOM_SEED, rows=ROWS)
    cases = read_cases(client, sample.cycle_id, sample.report_id)
    where = folder.path / "sample" / "statements"
    count = give_statements(client, cases, statements, where)
    console.print(f"{TESTER} gives {count} statements of loans as evidence; the tests run again.")
    return compare_again(client, sample.cycle_id, sample.report_id, concurrency=COMPARED_AT_ONCE)


def _right_mappings(client: ApiClient, sample: SampleReport) -> int:
    true = read_form(FORM).columns()
    phase = sample.phase_ids[PHASES[0]]
    where, params = f"/phases/{phase}/mappings", {"limit": 1_000}
    mapped = client.call("GET", where, params=params)["entries"]
    return sum(
        one["column_name"] is not None and one["column_name"] == true.get(one["attribute"])
        for one in mapped
    )


def _say_goodbye(folder: DataFolder, client: ApiClient, flow: Job, page: Path) -> None:
    ui = folder.read_addresses().get("temporal_ui")
    console.print()
    console.print(Text("The quality report: ") + Text(str(page), style="bold"), soft_wrap=True)
    console.print("Everything is stopped; the data stay. To look around: make up")
    console.print(f"  API docs      {client.base_url}/docs")
    if ui:
        where = f"{ui}/namespaces/default/workflows/{flow['job_id']}"
        console.print(f"  this workflow {where}", soft_wrap=True)
    console.print(f"  this flow     longhaul jobs show {flow['job_id']}")
    console.print(f"  its report    longhaul jobs report {flow['job_id']}")
