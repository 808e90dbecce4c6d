"""The report as a document: every score is arithmetic on the counts of the rules."""

from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longhaul.cli.output import print_report
from longhaul.core.quality_report import (
    MOST_KEYS,
    MOST_TEXT,
    FailingRow,
    Finding,
    QualityReport,
    RuleOutcome,
    Score,
    Undecided,
    build_report,
)
from longhaul.core.rules import RuleType, Severity
from tests.quality_samples import form_facts, make_facts, make_listed, make_outcome

NAMES = ("Loan Number", "Original LTV", "Property State")


@st.composite
def outcomes(draw: st.DrawFn) -> RuleOutcome:
    finding = draw(st.sampled_from(Finding))
    ran = finding in (Finding.HELD, Finding.VIOLATED)
    checked = draw(st.integers(0, 10**12)) if ran else 0
    failed = draw(st.integers(0, checked))
    return make_outcome(
        finding=finding,
        checked=checked,
        failed=failed,
        attribute=draw(st.sampled_from(NAMES)),
        rule_type=draw(st.sampled_from(RuleType)),
        severity=draw(st.sampled_from(Severity)),
    )


def counts(score: Score) -> tuple[int, ...]:
    return score.held, score.violated, score.not_run, score.checked, score.passed, score.failed


def added(scores: list[Score]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*map(counts, scores), strict=True)))


@settings(deadline=None)
@given(st.lists(outcomes(), max_size=30))
def test_every_score_is_the_sum_of_its_rules(rules: list[RuleOutcome]) -> None:
    facts = make_facts(rules, attributes=[make_listed(name) for name in NAMES])

    report = build_report(facts)

    ran = [rule for rule in rules if rule.finding in (Finding.HELD, Finding.VIOLATED)]
    assert report.overall.rules == len(rules)
    assert report.overall.not_run == len(rules) - len(ran)
    assert report.overall.checked == sum(rule.checked for rule in rules)
    assert report.overall.failed == sum(rule.failed for rule in rules)
    for scores in (report.by_dimension, report.by_severity, [a.score for a in report.attributes]):
        assert added(list(scores)) == counts(report.overall)
    for score in (report.overall, *report.by_dimension, *report.by_severity):
        if score.checked:
            exact = Fraction(100 * score.passed, score.checked)
            assert score.pass_rate is not None
            assert abs(Fraction(score.pass_rate) - exact) < Fraction(1, 10**9)
            assert (score.pass_rate == 100) >= (score.failed == 0)
        else:
            assert score.pass_rate is None


@settings(deadline=None)
@given(st.lists(outcomes(), max_size=10))
def test_a_kept_report_is_read_as_it_was(rules: list[RuleOutcome]) -> None:
    report = build_report(make_facts(rules, attributes=[make_listed()]))

    assert QualityReport.model_validate_json(report.model_dump_json()) == report


def test_a_report_of_a_later_release_may_say_more() -> None:
    report = build_report(form_facts())
    document = report.model_dump(mode="json") | {"outlook": "sunny"}

    assert QualityReport.model_validate(document) == report


def test_rules_come_with_the_worst_first() -> None:
    few = make_outcome(checked=100, failed=1, severity=Severity.LOW)
    many = make_outcome(checked=100, failed=50, severity=Severity.LOW)
    grave = make_outcome(checked=100, failed=1, severity=Severity.CRITICAL)
    lost = make_outcome(finding=Finding.NOT_RUN)

    report = build_report(make_facts([lost, few, grave, many]))

    assert [rule.rule_id for rule in report.violated] == [
        many.rule_id,
        grave.rule_id,
        few.rule_id,
    ]
    assert [rule.rule_id for rule in report.not_run] == [lost.rule_id]


def test_a_rule_that_tolerates_some_failures_still_counts_them() -> None:
    held = make_outcome(checked=100, failed=3, finding=Finding.HELD)

    report = build_report(make_facts([held]))

    assert report.violated == []
    assert report.overall.failed == 3


def test_rows_and_cells_are_cut_to_what_a_person_reads() -> None:
    row = FailingRow(key={"id": 1}, values={"text": "x" * 10_000_000})
    rule = make_outcome(checked=100, failed=99, failing=[row] * (MOST_KEYS + 5))

    (kept,) = build_report(make_facts([rule])).rules

    assert len(kept.failing) == MOST_KEYS
    assert kept.failing[0].key == {"id": 1}
    assert len(kept.failing[0].values["text"]) < MOST_TEXT + 40


def test_what_people_decided_is_counted_for_each_attribute() -> None:
    attribute = make_listed()
    undecided = [
        Undecided(name="a", attribute=attribute.name, tester="approved", report_owner=None),
        Undecided(name="b", attribute=attribute.name, tester=None, report_owner=None),
        Undecided(name="c", attribute=attribute.name, tester="approved", report_owner="rejected"),
    ]

    report = build_report(make_facts(undecided=undecided, attributes=[attribute]))

    (line,) = report.attributes
    assert (line.waiting, line.rejected) == (2, 1)
    assert not line.is_checked


def test_a_terminal_shows_the_scores_and_the_worst_rules(
    capsys: pytest.CaptureFixture[str],
) -> None:
    report = build_report(form_facts())

    print_report(report.model_dump(mode="json"))

    shown = capsys.readouterr().out
    assert f"FR Y-14M A.1, June 2025: job {report.run.job_id}" in shown
    assert f"{report.overall.checked:,}" in shown
    assert report.violated[0].name in shown
