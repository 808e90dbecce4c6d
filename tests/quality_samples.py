"""Runs of rules for tests about reports."""

import random
import uuid
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from longhaul.core.expectations import BETWEEN, IN_SET, MATCH_REGEX, NOT_NULL, UNIQUE
from longhaul.core.quality_report import (
    Facts,
    FailingRow,
    Finding,
    Listed,
    RuleOutcome,
    RunFacts,
    Undecided,
)
from longhaul.core.rules import RuleType, Severity
from tests.rule_samples import form_attributes

HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror='alert(2)'>\"&amp;"

NOON = datetime(2025, 7, 14, 12, 0, tzinfo=UTC)

_KINDS = (
    (NOT_NULL, RuleType.COMPLETENESS, "is filled in"),
    (MATCH_REGEX, RuleType.FORMAT, "is written as the form says"),
    (BETWEEN, RuleType.VALIDITY, "lies within its range"),
    (IN_SET, RuleType.ACCURACY, "is one of the form's codes"),
    (UNIQUE, RuleType.UNIQUENESS, "occurs once"),
)


def make_run(**changes: Any) -> RunFacts:
    facts: dict[str, Any] = {
        "job_id": "0192f000-0000-7000-8000-000000000001",
        "job_type": "data_profiling_rule_execution",
        "attempt": 1,
        "status": "completed",
        "outcome": "partial",
        "owner": "u-1",
        "version_id": "0192f000-0000-7000-8000-0000000000aa",
        "version_number": 3,
        "version_status": "approved",
        "report_id": 156,
        "report_name": "FR Y-14M A.1",
        "regulation": "FR Y-14M",
        "cycle_id": 58,
        "cycle_name": "June 2025",
        "proposed_by": ("offline / analyst 1",),
        "records": 1_000,
        "created_at": NOON,
        "started_at": NOON + timedelta(seconds=1),
        "completed_at": NOON + timedelta(seconds=9.5),
        "generated_at": NOON + timedelta(seconds=10),
    }
    return RunFacts(**facts | changes)


def make_outcome(
    *, checked: int = 0, failed: int = 0, finding: Finding | None = None, **changes: Any
) -> RuleOutcome:
    if finding is None:
        finding = Finding.VIOLATED if failed else Finding.HELD
    facts: dict[str, Any] = {
        "rule_id": str(uuid.uuid4()),
        "name": "A rule",
        "attribute": "Loan Number",
        "expectation": NOT_NULL,
        "rule_type": RuleType.COMPLETENESS,
        "severity": Severity.HIGH,
        "finding": finding,
        "checked": checked,
        "passed": checked - failed,
        "failed": failed,
    }
    return RuleOutcome(**facts | changes)


def make_facts(
    rules: Sequence[RuleOutcome] = (),
    *,
    undecided: Sequence[Undecided] = (),
    attributes: Sequence[Listed] = (),
    **run: Any,
) -> Facts:
    return Facts(
        run=make_run(**run),
        rules=tuple(rules),
        undecided=tuple(undecided),
        attributes=tuple(attributes),
    )


def make_listed(name: str = "Loan Number", **changes: Any) -> Listed:
    facts = {"line_no": 1, "data_type": "String", "mandatory": "Mandatory", "column": "ln_nbr"}
    return Listed(name=name, **facts | changes)


def form_facts(random_seed: int = 1) -> Facts:
    """A made-up run over a whole form."""
    dice = random.Random(random_seed)
    attributes = form_attributes("a1")
    rules = [
        _drawn(dice, attribute.name, attribute.column or "", kind, number)
        for number, attribute in enumerate(attributes)
        for kind in dice.sample(range(len(_KINDS)), dice.choice((0, 2, 3, 3, 4)))
    ]
    undecided = [
        Undecided(
            name=f"{one.name} lies within its range",
            attribute=one.name,
            tester=dice.choice(("approved", "rejected", None)),
            report_owner=None,
        )
        for one in dice.sample(attributes, 9)
    ]
    listed = [
        Listed(
            name=one.name,
            line_no=one.line_no,
            mdrm=one.mdrm,
            data_type=one.data_type,
            mandatory=one.mandatory,
            is_key=one.is_key,
            is_cde=one.is_cde,
            table="sample.fry14m_a1" if one.column else None,
            column=one.column,
        )
        for one in attributes
    ]
    return make_facts(rules, undecided=undecided, attributes=listed)


def _drawn(dice: random.Random, attribute: str, column: str, kind: int, number: int) -> RuleOutcome:
    expectation, rule_type, says = _KINDS[kind]
    shared: dict[str, Any] = {
        "name": f"{attribute} {says}",
        "description": f"Checks that {attribute} {says}.",
        "attribute": attribute,
        "expectation": expectation,
        "rule_type": rule_type,
        "severity": dice.choice(list(Severity)),
        "source": "sample.fry14m_a1",
    }
    if not column:
        reason = "The attribute is mapped to no column, and no column has its name."
        return make_outcome(
            finding=Finding.NOT_RUN, reason_code="column_missing", reason=reason, **shared
        )
    failed = dice.choice((0, 0, 0, 0, 1, 1, 2, 5, dice.randint(6, 90)))
    failing = [
        FailingRow(
            key={"ln_nbr": f"{4_711_000_000 + number * 977 + place:010}"},
            values={column: dice.choice((None, "N/A", "20251399", "-4711", ""))},
        )
        for place in range(min(failed, 20))
    ]
    return make_outcome(
        checked=dice.choice((1_000, 1_000, 934)), failed=failed, failing=failing, **shared
    )
