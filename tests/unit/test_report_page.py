"""The page: its content, that it needs nothing else, and that data are escaped."""

import base64
import hashlib
import re
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from longhaul.adapters.report import figures
from longhaul.adapters.report.markup import Markup, join, tag
from longhaul.adapters.report.page import HEADERS, POLICY, render
from longhaul.core.quality_report import (
    Facts,
    FailingRow,
    Finding,
    QualityReport,
    RuleOutcome,
    Undecided,
    build_report,
)
from longhaul.core.rules import RuleType, Severity
from tests.pages import Element, read_page
from tests.quality_samples import HOSTILE, form_facts, make_facts, make_listed, make_outcome


def page_of(facts: Facts) -> Element:
    return read_page(render(build_report(facts)))


@pytest.fixture(scope="module")
def report() -> QualityReport:
    return build_report(form_facts())


@pytest.fixture(scope="module")
def page(report: QualityReport) -> Element:
    return read_page(render(report))


def test_the_figures_on_the_page_are_those_of_the_report(
    page: Element, report: QualityReport
) -> None:
    for what, scores in (("dimension", report.by_dimension), ("severity", report.by_severity)):
        rows = page.table(f"The same by {what}")
        assert {row[what.capitalize()]: row["Failing"] for row in rows} == {
            score.name: f"{score.failed:,}" for score in scores if score.rules
        }
        assert {row[what.capitalize()]: row["Checked"] for row in rows} == {
            score.name: f"{score.checked:,}" for score in scores if score.rules
        }
    tiles = page.one("div", **{"class": "tiles"}).text
    assert figures.percent(report.overall.pass_rate).removesuffix(" %") in tiles
    assert f"{report.overall.failed:,}failing values" in tiles


def test_the_worst_rules_are_shown_with_rows_that_broke_them(
    page: Element, report: QualityReport
) -> None:
    worst = report.violated[0]

    first = next(page.one("section", id="worst").all("details"))

    assert worst.title in first.text
    assert "open" in first.attributes
    for row in worst.failing[:8]:
        assert str(row.key["ln_nbr"]) in first.text


def test_what_was_not_checked_is_named_with_its_reason(
    page: Element, report: QualityReport
) -> None:
    gaps = page.one("section", id="gaps")

    rules = gaps.table("Rules that could not run")
    assert {row["Rule"] for row in rules} == {rule.name for rule in report.not_run}
    assert {row["Why"] for row in rules} == {rule.reason for rule in report.not_run}
    unchecked = gaps.table("Attributes that no rule checked")
    assert {row["Attribute"] for row in unchecked} == {
        one.name for one in report.attributes if not one.is_checked
    }
    assert any("it has no rules" in row["Why"].lower() for row in unchecked)
    decided = {(one.tester, one.report_owner) for one in report.undecided if one.is_rejected}
    assert decided == {("rejected", None)}
    assert {row["Tester"] for row in gaps.table("Rules that were rejected")} == {"rejected"}


def test_every_attribute_is_listed(page: Element, report: QualityReport) -> None:
    rows = page.table("In the order of the form")

    assert [row["Attribute"] for row in rows] == [one.name for one in report.attributes]


def test_each_chart_has_words_and_a_table_beside_it(page: Element) -> None:
    charts = [svg for svg in page.all("svg") if svg.attributes.get("role") == "img"]

    assert len(charts) == 4
    for chart in charts:
        (title,), (description,) = chart.all("title"), chart.all("desc")
        assert title.text
        assert description.text
        assert chart.attributes["aria-labelledby"] == title.attributes["id"]
        assert chart.attributes["aria-describedby"] == description.attributes["id"]
    pairs = [one for one in page.all("div") if one.attributes.get("class") == "pair"]
    assert len(pairs) == 3
    for pair in pairs:
        assert list(pair.all("svg"))
        assert list(pair.all("table"))


def test_the_page_can_be_found_one_s_way_in(page: Element) -> None:
    identifiers = [one.attributes["id"] for one in page.all() if "id" in one.attributes]

    assert len(identifiers) == len(set(identifiers))
    links = {one.attributes["href"] for one in page.all("a")}
    assert links == {f"#{one}" for one in identifiers} & links
    assert page.attributes["lang"] == "en"
    assert len(list(page.all("h1"))) == 1
    for table in page.all("table"):
        assert list(table.all("caption"))
        assert {"scope"} <= {name for th in table.all("th") for name in th.attributes}


def test_the_page_fetches_and_runs_nothing(page: Element) -> None:
    for element in page.all():
        assert element.name not in {"script", "img", "link", "iframe", "object", "base", "form"}
        assert not {"src", "style", "srcset", "action"} & set(element.attributes)
        assert not any(name.startswith("on") for name in element.attributes)
    style = page.one("style").text
    assert not re.search(r"@import|url\((?!#hatch\))|https?:", style)


def test_the_policy_lets_this_style_pass_and_nothing_else(page: Element) -> None:
    digest = hashlib.sha256(page.one("style").text.encode()).digest()

    written = page.one("meta", **{"http-equiv": "Content-Security-Policy"})
    assert written.attributes["content"] == POLICY
    assert POLICY.startswith("default-src 'none'; ")
    assert f"style-src 'sha256-{base64.b64encode(digest).decode()}'" in POLICY
    assert HEADERS["Content-Security-Policy"].startswith(POLICY)
    assert "unsafe" not in HEADERS["Content-Security-Policy"]


def hostile_facts(text: str) -> Facts:
    """A run in which every text from outside is the same hostile one."""
    shared: dict[str, Any] = {"name": text, "attribute": text, "description": text, "source": text}
    failing = [FailingRow(key={text: text}, values={f"{text} ": text, f"{text}  ": None})]
    return make_facts(
        [
            make_outcome(checked=3, failed=2, failing=failing, expectation=text, **shared),
            make_outcome(finding=Finding.NOT_RUN, reason=text, reason_code=text, **shared),
        ],
        undecided=[Undecided(name=text, attribute=text, tester=text, report_owner="rejected")],
        attributes=[
            make_listed(text, column=text, table=text, data_type=text),
            make_listed(f"{text} 2", mdrm=text, column=None),
        ],
        report_name=text,
        regulation=text,
        cycle_name=text,
        owner=text,
        proposed_by=(text,),
        sampled=text,
        run_id=text,
        parent_id=text,
    )


PLAIN = "x" * 8


def shape(element: Element) -> tuple[object, ...]:
    attributes = sorted(
        (name, value) for name, value in element.attributes.items() if name != "aria-label"
    )
    return (
        element.name,
        *attributes,
        *(shape(one) for one in element.inside if isinstance(one, Element)),
    )


@settings(deadline=None)
@given(st.text(min_size=1, max_size=60) | st.just(HOSTILE))
def test_no_text_from_outside_becomes_markup(text: str) -> None:
    page = page_of(hostile_facts(text))

    assert shape(page) == shape(page_of(hostile_facts(PLAIN)))


def test_a_hostile_text_is_shown_as_it_is() -> None:
    html = render(build_report(hostile_facts(HOSTILE)))

    assert "<script" not in html
    assert "<img" not in html
    assert HOSTILE in read_page(html).one("h1").text


def test_what_cannot_be_printed_is_replaced() -> None:
    text = "a\0b\x1bc\u202ed\ud800e\x85"

    assert str(join(text)).count("\N{REPLACEMENT CHARACTER}") == 5
    assert str(join(text)).encode()


def test_what_is_part_of_the_key_is_shown_once() -> None:
    failing = [FailingRow(key={"id": 1, "month": 6}, values={"id": 1, "a": 2})]
    page = page_of(make_facts([make_outcome(checked=9, failed=1, failing=failing)]))

    assert page.table("1 of 1 failing row") == [{"id": "1", "month": "6", "a": "2"}]


def test_a_row_that_lacks_a_column_has_an_empty_cell() -> None:
    failing = [
        FailingRow(key={"id": 1}, values={"a": None}),
        FailingRow(key={"id": 2}, values={"b": ""}),
    ]
    page = page_of(make_facts([make_outcome(checked=9, failed=2, failing=failing)]))

    assert page.table("2 of 2 failing rows") == [
        {"id": "1", "a": "null", "b": ""},
        {"id": "2", "a": "", "b": "empty"},
    ]


@pytest.mark.parametrize(
    ("rules", "verdict", "worst", "ring"),
    [
        ([], "Nothing was checked", "No rule ran.", "Nothing was checked."),
        (
            [make_outcome(finding=Finding.NOT_REACHED)],
            "Nothing was checked",
            "No rule ran.",
            "Nothing was checked.",
        ),
        (
            [make_outcome(checked=7)],
            "100 % of 7 checked values pass; none of 1 rule was violated.",
            "No rule that ran was violated.",
            "100 % of the checked values pass.",
        ),
        (
            [make_outcome(checked=7, failed=7)],
            "0 % of 7 checked values pass; 1 of 1 rule found failing values.",
            "A rule",
            "0 % of the checked values pass.",
        ),
    ],
    ids=["no rules", "cancelled at once", "all good", "all bad"],
)
def test_runs_with_little_to_say_say_it(
    rules: Sequence[RuleOutcome], verdict: str, worst: str, ring: str
) -> None:
    page = page_of(make_facts(rules, attributes=[make_listed()]))

    assert verdict in page.one("p", **{"class": "verdict"}).text
    assert worst in page.one("section", id="worst").text
    assert page.one("desc", id="overall-desc").text == ring


def test_nothing_left_out_is_said_in_words() -> None:
    page = page_of(make_facts([make_outcome(checked=7)], attributes=[make_listed()]))

    assert "Nothing is left out" in page.one("section", id="gaps").text


def test_a_rule_that_was_approved_too_late_is_a_gap() -> None:
    late = Undecided(
        name="A late rule", attribute="Bank", tester="approved", report_owner="approved"
    )
    attributes = [make_listed(), make_listed("Bank")]
    page = page_of(make_facts([make_outcome(checked=7)], undecided=[late], attributes=attributes))

    gaps = page.one("section", id="gaps")

    (rule,) = gaps.table("Rules that were approved after the run began")
    assert rule["Rule"] == "A late rule"
    (unchecked,) = gaps.table("Attributes that no rule checked")
    assert unchecked["Why"] == "1 rule approved after the run began."


def test_a_sample_is_called_one() -> None:
    page = page_of(make_facts([make_outcome(checked=7)], sampled="100 of 1,000 rows"))

    assert "Not every row was read: 100 of 1,000 rows." in page.one("section", id="gaps").text


def test_dimensions_that_no_rule_measures_are_named() -> None:
    page = page_of(make_facts([make_outcome(checked=7, rule_type=RuleType.FORMAT)]))

    said = page.one("section", id="dimensions").text
    assert "No rule measures: completeness, validity, accuracy, consistency, uniqueness." in said


def test_long_lists_are_cut_and_say_so() -> None:
    rules = [make_outcome(checked=9, failed=1, severity=Severity.LOW) for _ in range(300)]
    lost = [make_outcome(finding=Finding.NOT_RUN, reason="Why not.") for _ in range(300)]

    page = page_of(make_facts([*rules, *lost]))

    assert "270 more violated rules" in page.one("section", id="worst").text
    assert len(page.table("The first 200; the JSON of this report has all 300")) == 200


@settings(deadline=None)
@given(passed=st.integers(0, 10**9), failed=st.integers(0, 10**9))
def test_only_what_is_whole_is_called_whole(passed: int, failed: int) -> None:
    checked = passed + failed
    shown = figures.percent(100 * passed / checked if checked else None)

    assert (shown == "100 %") == (failed == 0 < checked)
    assert (shown == "0 %") == (passed == 0 < checked)


def test_markup_is_only_made_by_elements() -> None:
    inner = tag("b", "<i>")

    assert isinstance(inner, Markup)
    assert tag("p", inner, "<i>", None, 3) == "<p><b>&lt;i&gt;</b>&lt;i&gt;3</p>"
    assert tag("a", "x", title='"<&', class_="y", lang=None) == (
        '<a title="&quot;&lt;&amp;" class="y">x</a>'
    )
