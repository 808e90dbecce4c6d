"""Recall and precision of the planted anomalies."""

from hypothesis import given, settings
from hypothesis import strategies as st

from longhaul.adapters.sample.anomaly import KEY_COLUMN, Anomaly, AnomalyKind
from longhaul.adapters.sample.form import read_form
from longhaul.adapters.sample.generator import SampleTable
from longhaul.adapters.sample.scoring import Claim, is_visible, score_anomalies
from longhaul.core.quality_report import FailingRow, RuleOutcome
from tests.quality_samples import make_outcome

NULL = Anomaly("1", "occ_cd", AnomalyKind.NULL_IN_MANDATORY)
ORDER = Anomaly("2", "fst_pmt_dt", AnomalyKind.DATE_ORDER)
TWICE = Anomaly("3", KEY_COLUMN, AnomalyKind.DUPLICATE_KEY)
HIDDEN = Anomaly("4", "orig_ltv_pct", AnomalyKind.INCONSISTENT)


def rule(*rows: tuple[str, str], failed: int | None = None) -> RuleOutcome:
    """A rule that failed for rows, each a key and the columns it looked at."""
    failing = [
        FailingRow(key={KEY_COLUMN: key}, values=dict.fromkeys(columns.split()))
        for key, columns in rows
    ]
    count = len(failing) if failed is None else failed
    return make_outcome(checked=1_000, failed=count, failing=failing)


def test_what_was_planted_and_named_is_found() -> None:
    rules = [
        rule(("1", "occ_cd")),
        rule(("2", "fst_pmt_dt ln_close_dt")),
        rule(("3", KEY_COLUMN), ("3", KEY_COLUMN)),
    ]

    score = score_anomalies(rules, [NULL, ORDER, TWICE])

    assert (score.recall, score.precision) == (1, 1)
    assert score.claims == 3, "both rows of a duplicate are one claim"
    assert (score.missed, score.wrong) == ([], [])
    assert {one.kind for one in score.kinds} == {NULL.kind, ORDER.kind, TWICE.kind}


def test_another_column_of_a_spoiled_row_is_no_find() -> None:
    score = score_anomalies([rule(("1", "prop_st_cd"))], [NULL])

    assert (score.recall, score.precision) == (0, 0)
    assert score.missed == [NULL]
    assert score.wrong == [Claim("1", frozenset({"prop_st_cd"}))]


def test_what_no_rule_can_see_is_not_missed() -> None:
    score = score_anomalies([], [HIDDEN])

    assert not is_visible(HIDDEN)
    assert score.recall is None
    assert score.missed == []
    (kind,) = score.kinds
    assert (kind.planted, kind.visible, kind.found) == (1, 0, 0)


def test_nothing_claimed_has_no_precision() -> None:
    assert score_anomalies([], [NULL]).precision is None


def test_rows_whose_keys_were_not_kept_are_counted() -> None:
    score = score_anomalies([rule(("1", "occ_cd"), failed=50)], [NULL])

    assert score.unnamed == 49


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 2**32), caught=st.integers(0, 20), false=st.integers(0, 20))
def test_shares_are_arithmetic_on_what_was_planted(seed: int, caught: int, false: int) -> None:
    anomalies = list(SampleTable(read_form("a1"), random_seed=seed).anomalies(500))
    finds = [(one.row_key, one.column) for one in anomalies if is_visible(one)][:caught]
    rules = [rule(*finds), rule(*((f"no such row {n}", "occ_cd") for n in range(false)))]

    score = score_anomalies(rules, anomalies)

    visible = sum(map(is_visible, anomalies))
    assert score.visible == visible
    assert score.found == len(finds)
    assert score.claims == len(set(finds)) + false
    assert len(score.missed) == visible - len(finds)
    assert len(score.wrong) == false
