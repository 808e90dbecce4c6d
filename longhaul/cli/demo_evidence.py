"""The demo's evidence: a statement of each sampled loan, as if from the bank's archive.

Statements show each loan without the planted faults. Comparing the sampled rows with them
shows what rules alone cannot: which of the values are wrong.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from longhaul.adapters.sample.anomaly import KEY_COLUMN
from longhaul.adapters.sample.form import Form
from longhaul.adapters.sample.generator import SampleTable
from longhaul.cli.client import ApiClient
from longhaul.cli.demo_cycle import Job, wait_for_end
from longhaul.cli.evidence import give_document
from longhaul.core.cases import ExecutionReason

KEY = "Loan Number"

Case = Mapping[str, Any]


def give_statements(
    client: ApiClient, cases: Iterable[Case], statements: "Statements", folder: Path
) -> int:
    """Attach each record's statement to all its test cases; returns how many there are."""
    records = defaultdict(list)
    for case in cases:
        records[case["sample_id"]].append(case)
    folder.mkdir(parents=True, exist_ok=True)
    for of_record in records.values():
        number = loan_of(of_record[0])
        file = folder / f"{number}.txt"
        file.write_text(statements.of(number), encoding="utf-8")
        give_document(
            client,
            [case["id"] for case in of_record],
            file.read_bytes(),
            content_type="text/plain",
            file_name=file.name,
        )
    return len(records)


def compare_again(client: ApiClient, cycle_id: int, report_id: int, *, concurrency: int) -> Job:
    """Execute the test cases whose evidence is new; the job once it has ended."""
    body = {
        "job_type": "test_execution",
        "parameters": {
            "cycle_id": cycle_id,
            "report_id": report_id,
            "reason": ExecutionReason.EVIDENCE_UPDATED,
        },
        "options": {"concurrency": concurrency},
    }
    job = client.call("POST", "/jobs", body=body)
    return wait_for_end(client, job["job_id"])


def read_cases(client: ApiClient, cycle_id: int, report_id: int) -> Iterator[Case]:
    """The active test cases of a report."""
    return client.each("/cases", "cases", {"cycle_id": cycle_id, "report_id": report_id})


def loan_of(case: Case) -> str:
    """The number of the loan that a test case is about."""
    return str(case["keys"][KEY])


class Statements:
    """The loans of a sample table without the planted faults."""

    def __init__(self, form: Form, *, random_seed: int, rows: int) -> None:
        columns = form.columns()
        table = SampleTable(form, random_seed=random_seed, with_anomalies=False)
        place = {column: number for number, column in enumerate(table.columns)}
        self._lines = [(name, place[column]) for name, column in columns.items() if column]
        self._rows = {row.values[place[KEY_COLUMN]]: row.values for row in table.rows(rows)}

    def of(self, number: str) -> str:
        """The statement of a loan, a line for each attribute."""
        values = self._rows[number]
        lines = [f"{name}: {values[place] or ''}" for name, place in self._lines]
        return "\n".join(lines) + "\n"
