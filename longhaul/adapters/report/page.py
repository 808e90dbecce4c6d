"""The report as one HTML document: nothing is fetched, nothing runs, nothing needs a network."""

import hashlib
from base64 import b64encode
from pathlib import Path

from longhaul.adapters.report import charts, figures
from longhaul.adapters.report.attribute_table import attribute_table
from longhaul.adapters.report.gaps import not_checked
from longhaul.adapters.report.markup import Markup, Node, tag
from longhaul.adapters.report.run_facts import run_facts
from longhaul.adapters.report.score_groups import score_groups
from longhaul.adapters.report.worst_rules import worst_rules
from longhaul.core.quality_report import QualityReport

# The policy names the style by its hash, so that no other is used.
STYLE = Path(__file__).with_name("style.css").read_text(encoding="utf-8")
_STYLE_HASH = b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; base-uri 'none'; form-action 'none'"
)

# Directives that only work in a header.
HEADERS = {
    "Content-Security-Policy": f"{POLICY}; frame-ancestors 'none'; sandbox",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "private, no-store",
}

_SECTIONS = (
    ("dimensions", "By dimension"),
    ("severities", "By severity"),
    ("worst", "Rules that failed most"),
    ("gaps", "What was not checked"),
    ("attributes", "Attributes"),
    ("run", "About this run"),
)


def render(report: QualityReport) -> str:
    """Write the page."""
    title = f"Data quality of {report.run.report_name}"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=POLICY),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("title", title),
        # Ours, and hashed as it is written here, so it is not escaped.
        tag("style", Markup(STYLE)),
    )
    sections = dict(_SECTIONS)
    body = tag(
        "body",
        tag("a", "Skip to the figures", class_="skip", href="#main"),
        charts.patterns(),
        _header(report),
        tag(
            "main",
            _section("dimensions", sections, score_groups(report.by_dimension, "dimension")),
            _section("severities", sections, score_groups(report.by_severity, "severity")),
            _section("worst", sections, worst_rules(report)),
            _section("gaps", sections, not_checked(report)),
            _section("attributes", sections, attribute_table(report.attributes)),
            _section("run", sections, run_facts(report.run)),
            id="main",
        ),
        tag("footer", _footer()),
    )
    return f"<!DOCTYPE html>\n{tag('html', head, body, lang='en')}\n"


def _section(identifier: str, titles: dict[str, str], *content: Node) -> Markup:
    heading = f"{identifier}-heading"
    return tag(
        "section",
        tag("h2", titles[identifier], id=heading),
        content,
        class_="card",
        id=identifier,
        aria_labelledby=heading,
    )


def _header(report: QualityReport) -> Markup:
    run = report.run
    links = [tag("li", tag("a", name, href=f"#{key}")) for key, name in _SECTIONS]
    return tag(
        "header",
        tag("p", "Data quality report", class_="kicker"),
        tag("h1", run.report_name),
        tag(
            "p",
            f"{run.regulation}, {run.cycle_name}. Rule version {run.version_number}, "
            f"run {figures.moment(run.started_at)}.",
            class_="lead",
        ),
        tag("p", _verdict(report), class_="verdict"),
        _tiles(report),
        tag("nav", tag("ul", links), aria_label="Parts of this report"),
    )


def _verdict(report: QualityReport) -> str:
    overall = report.overall
    if overall.pass_rate is None:
        return "Nothing was checked: no rule of this run could be evaluated."
    share = f"{figures.percent(overall.pass_rate)} of {figures.count(overall.checked)}"
    ran = overall.held + overall.violated
    found = (
        f"{overall.violated} of {figures.plural(ran, 'rule')} found failing values"
        if overall.violated
        else f"none of {figures.plural(ran, 'rule')} was violated"
    )
    gap = f"; {figures.plural(overall.not_run, 'rule')} could not run" if overall.not_run else ""
    return f"{share} checked values pass; {found}{gap}."


def _tiles(report: QualityReport) -> Markup:
    overall = report.overall
    checked = [one for one in report.attributes if one.is_checked]
    return tag(
        "div",
        tag(
            "div",
            charts.ring(overall.pass_rate, "overall"),
            tag(
                "div",
                tag("div", "Quality overall", class_="tile-label"),
                tag("div", "passed values over checked values", class_="tile-note"),
            ),
            class_="overall",
        ),
        _tile(
            figures.count(overall.rules),
            "rules",
            f"{overall.held} held, {overall.violated} violated, {overall.not_run} could not run",
        ),
        _tile(
            figures.count(overall.failed),
            "failing values",
            f"of {figures.count(overall.checked)} checked",
        ),
        _tile(
            f"{len(checked)} of {len(report.attributes)}",
            "attributes checked",
            "by at least one rule that ran",
        ),
        class_="tiles",
    )


def _tile(number: str, label: str, note: str) -> Markup:
    return tag(
        "div",
        tag("div", number, class_="tile-number"),
        tag("div", label, class_="tile-label"),
        tag("div", note, class_="tile-note"),
    )


def _footer() -> Markup:
    return tag(
        "p",
        "How the scores are computed: each rule counts the values that it judges and those of "
        "them that fail. A pass rate is the passed values of a group over its checked values; "
        "percentages are rounded down, so that 100 % means that nothing failed. "
        "Values that a rule ignores, and rules that could not run, are not in any score.",
    )
