"""What was not checked, and why."""

from collections import defaultdict
from collections.abc import Sequence
from typing import TypeVar

from longhaul.adapters.report import figures
from longhaul.adapters.report.markup import Markup, Node, tag
from longhaul.adapters.report.tables import Column, table
from longhaul.core.quality_report import (
    AttributeLine,
    Finding,
    QualityReport,
    RuleOutcome,
    Undecided,
)

T = TypeVar("T")

_MOST = 200

# Longer lists are folded.
_UNFOLDED = 25


def _why(rule: RuleOutcome) -> str:
    if rule.finding is Finding.NOT_REACHED:
        return "The run ended before the rule was executed."
    return rule.reason or rule.reason_code or "The reason was not recorded."


def _why_unchecked(attribute: AttributeLine) -> str:
    reasons = []
    if attribute.column is None:
        reasons.append("it is not mapped to a physical column")
    if attribute.score.not_run:
        reasons.append(f"{figures.plural(attribute.score.not_run, 'rule')} could not run")
    if attribute.waiting:
        reasons.append(f"{figures.plural(attribute.waiting, 'rule')} not approved yet")
    if attribute.rejected:
        reasons.append(f"{figures.plural(attribute.rejected, 'rule')} rejected")
    if attribute.late:
        reasons.append(f"{figures.plural(attribute.late, 'rule')} approved after the run began")
    if not (attribute.score.rules or attribute.waiting or attribute.rejected or attribute.late):
        reasons.append("it has no rules")
    sentence = "; ".join(reasons)
    return f"{sentence[:1].upper()}{sentence[1:]}."


_RULE_COLUMNS: Sequence[Column[RuleOutcome]] = (
    Column("Rule", lambda one: one.name, is_heading=True),
    Column("Attribute", lambda one: one.attribute),
    Column("Why", _why),
)

_UNDECIDED_COLUMNS: Sequence[Column[Undecided]] = (
    Column("Rule", lambda one: one.name, is_heading=True),
    Column("Attribute", lambda one: one.attribute),
    Column("Tester", lambda one: one.tester or "undecided"),
    Column("Report owner", lambda one: one.report_owner or "undecided"),
)

_ATTRIBUTE_COLUMNS: Sequence[Column[AttributeLine]] = (
    Column("Line", lambda one: str(one.line_no), is_number=True),
    Column("Attribute", lambda one: one.name, is_heading=True),
    Column("Why", _why_unchecked),
)


def not_checked(report: QualityReport) -> Node:
    """Rules without a result, rules that did not run, attributes that no rule checked."""
    waiting = [rule for rule in report.undecided if not (rule.is_rejected or rule.is_late)]
    late = [rule for rule in report.undecided if rule.is_late]
    rejected = [rule for rule in report.undecided if rule.is_rejected]
    unchecked = [one for one in report.attributes if not one.is_checked]
    parts = [
        _sample(report.run.sampled),
        _reasons(report.not_run),
        _part("Rules that could not run", report.not_run, _RULE_COLUMNS),
        _part("Rules that wait for a decision", waiting, _UNDECIDED_COLUMNS),
        _part("Rules that were rejected", rejected, _UNDECIDED_COLUMNS),
        _part("Rules that were approved after the run began", late, _UNDECIDED_COLUMNS),
        _part("Attributes that no rule checked", unchecked, _ATTRIBUTE_COLUMNS),
    ]
    if not any(parts):
        return tag(
            "p",
            "Nothing is left out: a rule that ran checks every attribute, every rule of the "
            "version is approved, and every row was read.",
            class_="good",
        )
    return parts


def _sample(sampled: str) -> Markup | None:
    return tag("p", f"Not every row was read: {sampled}.") if sampled else None


def _reasons(rules: Sequence[RuleOutcome]) -> Markup | None:
    if not rules:
        return None
    by_reason: defaultdict[str, int] = defaultdict(int)
    for rule in rules:
        by_reason[rule.reason_code or "not_reached"] += 1
    counted = sorted(by_reason.items(), key=lambda one: (-one[1], one[0]))
    named = ", ".join(f"{code} ({number})" for code, number in counted)
    return tag(
        "p", f"{figures.plural(len(rules), 'approved rule')} could not run, by reason: {named}."
    )


def _part(title: str, rows: Sequence[T], columns: Sequence[Column[T]]) -> Node:
    if not rows:
        return None
    shown = rows[:_MOST]
    caption = title
    if len(rows) > len(shown):
        caption = f"The first {len(shown)}; the JSON of this report has all {len(rows)}"
    return tag(
        "details",
        tag("summary", f"{title}: {len(rows):,}"),
        table(columns, shown, caption=caption),
        open="" if len(rows) <= _UNFOLDED else None,
    )
