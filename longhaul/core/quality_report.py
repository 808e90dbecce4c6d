"""The quality report of one run of rules: counts, the scores that follow from them, and gaps.

A report is a document: built once from what is stored, kept as JSON, and shown as a page. All
scores are arithmetic on counts: the values that passed over the values that were checked.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, computed_field

from longhaul.core import rule_execution
from longhaul.core.jobs import Job
from longhaul.core.ports import Transaction
from longhaul.core.rules import RuleType, Severity

LAYOUT = 1

# A cell may hold megabytes; a report shows what a person can read.
MOST_TEXT = 300
MOST_KEYS = 20

_WORST_FIRST = tuple(reversed(Severity))


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


class Finding(StrEnum):
    """The result of a rule."""

    HELD = "held"
    VIOLATED = "violated"
    NOT_RUN = "not_run"
    NOT_REACHED = "not_reached"


class FailingRow(_Part):
    """One row that broke a rule.

    Attributes:
        key: Identifies the row in its source, by column.
        values: What the rule looked at, by column.
    """

    key: Mapping[str, Any]
    values: Mapping[str, Any]


class RuleOutcome(_Part):
    """One rule and the result of its run.

    Attributes:
        checked: Values that the rule judged, without those that it ignores.
        failing: Some of the rows that broke it.
        reason: Why it could not run, in a sentence.
    """

    rule_id: str
    name: str
    description: str = ""
    attribute: str
    expectation: str
    rule_type: RuleType
    severity: Severity
    finding: Finding
    source: str = ""
    checked: int = 0
    passed: int = 0
    failed: int = 0
    failing: tuple[FailingRow, ...] = ()
    reason_code: str = ""
    reason: str = ""
    duration_ms: int | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def pass_rate(self) -> float | None:
        """0-100; None when nothing was checked."""
        return rule_execution.score(self.passed, self.checked)

    @property
    def title(self) -> str:
        """The rule's name, and the attribute's if the name does not have it."""
        if self.attribute.casefold() in self.name.casefold():
            return self.name
        return f"{self.attribute}: {self.name}"


class Score(_Part):
    """The results of the rules of a group."""

    name: str
    held: int = 0
    violated: int = 0
    not_run: int = 0
    checked: int = 0
    passed: int = 0
    failed: int = 0
    pass_rate: float | None = None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def rules(self) -> int:
        """How many rules the group has."""
        return self.held + self.violated + self.not_run


class Undecided(_Part):
    """A rule of the version that did not run: it was not approved when the run began."""

    name: str
    attribute: str
    tester: str | None
    report_owner: str | None

    @property
    def is_rejected(self) -> bool:
        """Whether somebody has rejected it."""
        return "rejected" in (self.tester, self.report_owner)

    @property
    def is_late(self) -> bool:
        """Whether it has been approved since."""
        return self.tester == self.report_owner == "approved"


class Listed(_Part):
    """An attribute of the report, as its form and its mapping have it."""

    name: str
    line_no: int
    mdrm: str = ""
    data_type: str
    mandatory: str
    is_key: bool = False
    is_cde: bool = False
    table: str | None = None
    column: str | None = None


class AttributeLine(Listed):
    """An attribute and the results of its rules.

    Attributes:
        waiting: Rules of it that wait for a decision.
        rejected: Rules of it that were rejected.
        late: Rules of it that were approved after the run began.
    """

    score: Score
    waiting: int = 0
    rejected: int = 0
    late: int = 0

    @computed_field  # type: ignore[prop-decorator]
    @property
    def is_checked(self) -> bool:
        """Whether any rule of it ran."""
        return self.score.held + self.score.violated > 0


class RunFacts(_Part):
    """The run that the report is about."""

    job_id: str
    job_type: str
    attempt: int
    status: str
    outcome: str | None
    owner: str
    parent_id: str | None = None
    run_id: str | None = None
    version_id: str
    version_number: int
    version_status: str
    report_id: int
    report_name: str
    regulation: str
    cycle_id: int
    cycle_name: str
    proposed_by: tuple[str, ...] = ()
    sampled: str = ""
    records: int | None = None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    generated_at: datetime


class QualityReport(_Part):
    """The whole document.

    Attributes:
        layout: Raised when older readers would misread a document.
        rules: Every rule of the run, those with most failing values first.
        undecided: Rules of the version that did not run.
    """

    layout: int = LAYOUT
    run: RunFacts
    overall: Score
    by_dimension: tuple[Score, ...]
    by_severity: tuple[Score, ...]
    rules: tuple[RuleOutcome, ...]
    undecided: tuple[Undecided, ...]
    attributes: tuple[AttributeLine, ...]

    @property
    def violated(self) -> Sequence[RuleOutcome]:
        """The rules with failing values, the worst first."""
        return [rule for rule in self.rules if rule.finding is Finding.VIOLATED]

    @property
    def not_run(self) -> Sequence[RuleOutcome]:
        """The rules that could not run."""
        return [
            rule for rule in self.rules if rule.finding in (Finding.NOT_RUN, Finding.NOT_REACHED)
        ]


class Facts(_Part):
    """The stored facts about a run, before adding up."""

    run: RunFacts
    rules: tuple[RuleOutcome, ...]
    undecided: tuple[Undecided, ...]
    attributes: tuple[Listed, ...]


def score(name: str, rules: Iterable[RuleOutcome]) -> Score:
    """Add up the outcomes of some rules."""
    findings: Counter[Finding] = Counter()
    checked = passed = failed = 0
    for rule in rules:
        findings[rule.finding] += 1
        checked += rule.checked
        passed += rule.passed
        failed += rule.failed
    return Score(
        name=name,
        held=findings[Finding.HELD],
        violated=findings[Finding.VIOLATED],
        not_run=findings[Finding.NOT_RUN] + findings[Finding.NOT_REACHED],
        checked=checked,
        passed=passed,
        failed=failed,
        pass_rate=rule_execution.score(passed, checked),
    )


def build_report(facts: Facts) -> QualityReport:
    """Add up a run."""
    rules = sorted(
        facts.rules, key=lambda rule: (-rule.failed, _rank(rule), rule.attribute, rule.rule_id)
    )
    return QualityReport(
        run=facts.run,
        overall=score("overall", rules),
        by_dimension=_scores(rules, RuleType, lambda rule: rule.rule_type),
        by_severity=_scores(rules, _WORST_FIRST, lambda rule: rule.severity),
        rules=tuple(_readable(rule) for rule in rules),
        undecided=facts.undecided,
        attributes=_attribute_lines(facts, rules),
    )


class QualityReportStore(Protocol):
    """Reads runs, and stores their reports."""

    async def runs_of(self, tx: Transaction, job: Job) -> Sequence[Job]:
        """The run that the job is, or the newest two of those below it."""

    async def facts(self, tx: Transaction, run: Job) -> Facts:
        """What is stored about a run."""

    async def read(self, tx: Transaction, run: Job) -> QualityReport | None:
        """The stored report of this attempt."""

    async def keep(self, tx: Transaction, run: Job, report: QualityReport) -> None:
        """Store a report; the first one of an attempt stays."""


def _rank(rule: RuleOutcome) -> int:
    return _WORST_FIRST.index(rule.severity)


def _scores(
    rules: Sequence[RuleOutcome], names: Iterable[str], of: Callable[[RuleOutcome], str]
) -> tuple[Score, ...]:
    groups: defaultdict[str, list[RuleOutcome]] = defaultdict(list)
    for rule in rules:
        groups[of(rule)].append(rule)
    return tuple(score(str(name), groups[name]) for name in names)


def _attribute_lines(facts: Facts, rules: Sequence[RuleOutcome]) -> tuple[AttributeLine, ...]:
    by_attribute: defaultdict[str, list[RuleOutcome]] = defaultdict(list)
    for rule in rules:
        by_attribute[rule.attribute].append(rule)
    waiting = Counter(
        rule.attribute for rule in facts.undecided if not (rule.is_rejected or rule.is_late)
    )
    late = Counter(rule.attribute for rule in facts.undecided if rule.is_late)
    rejected = Counter(rule.attribute for rule in facts.undecided if rule.is_rejected)
    return tuple(
        AttributeLine(
            **dict(listed),
            score=score(listed.name, by_attribute[listed.name]),
            waiting=waiting[listed.name],
            rejected=rejected[listed.name],
            late=late[listed.name],
        )
        for listed in facts.attributes
    )


def _readable(rule: RuleOutcome) -> RuleOutcome:
    return rule.model_copy(
        update={
            "failing": tuple(
                FailingRow(key=_short(row.key), values=_short(row.values))
                for row in rule.failing[:MOST_KEYS]
            )
        }
    )


def _short(cells: Mapping[str, Any]) -> dict[str, Any]:
    return {name: _cut(value) for name, value in cells.items()}


def _cut(value: Any) -> Any:
    if value is None or isinstance(value, bool | int):
        return value
    text = str(value)
    return text if len(text) <= MOST_TEXT else f"{text[:MOST_TEXT]}… ({len(text)} characters)"
