"""The rules that failed most, with rows that broke them."""

from collections.abc import Callable, Sequence

from longhaul.adapters.report import charts, figures
from longhaul.adapters.report.markup import Markup, Node, tag, value
from longhaul.adapters.report.tables import Column, table
from longhaul.core.quality_report import FailingRow, QualityReport, RuleOutcome

_IN_CHART = 10
_WITH_EXAMPLES = 30
_OPEN = 3
_ROWS = 8


def _severity(rule: RuleOutcome) -> Markup:
    return tag("span", rule.severity, class_=f"tag {rule.severity}")


_WORST_COLUMNS: Sequence[Column[RuleOutcome]] = (
    Column("Rule", lambda one: one.title, is_heading=True),
    Column("Severity", _severity),
    Column("Failing", lambda one: figures.count(one.failed), is_number=True),
    Column("Checked", lambda one: figures.count(one.checked), is_number=True),
    Column("Pass rate", lambda one: figures.percent(one.pass_rate), is_number=True),
)


def worst_rules(report: QualityReport) -> Node:
    """A chart, its figures, and examples rule by rule."""
    violated = report.violated
    if not violated:
        ran = report.overall.held
        return tag("p", "No rule that ran was violated." if ran else "No rule ran.")
    shown = violated[:_IN_CHART]
    explained = violated[:_WITH_EXAMPLES]
    rest = len(violated) - len(explained)
    return [
        tag(
            "div",
            tag("div", charts.worst(shown, identifier="chart-worst")),
            table(_WORST_COLUMNS, shown, caption="The same in figures"),
            class_="pair",
        ),
        tag("h3", "Examples of failing rows"),
        [_examples(rule, is_open=place < _OPEN) for place, rule in enumerate(explained)],
        tag("p", f"{figures.plural(rest, 'more violated rule')}: see the JSON of this report.")
        if rest
        else None,
    ]


def _examples(rule: RuleOutcome, *, is_open: bool) -> Markup:
    source = [" In ", tag("code", rule.source), "."] if rule.source else None
    return tag(
        "details",
        tag("summary", rule.title, _severity(rule)),
        tag(
            "p",
            tag("code", rule.expectation),
            f": {figures.count(rule.failed)} of {figures.count(rule.checked)} checked values "
            f"fail ({rule.rule_type}).",
            source,
            f" {rule.description}",
            class_="fact",
        ),
        _failing_rows(rule),
        open="" if is_open else None,
    )


def _failing_rows(rule: RuleOutcome) -> Node:
    if not rule.failing:
        return tag("p", "No individual rows can be shown for this rule.")
    keys = list(dict.fromkeys(name for row in rule.failing for name in row.key))
    # Parts of the key are shown with the key.
    looked_at = dict.fromkeys(name for row in rule.failing for name in row.values)
    values = [name for name in looked_at if name not in keys]
    columns: list[Column[FailingRow]] = [
        *(Column(name, _cell("key", name), is_heading=True) for name in keys),
        *(Column(name, _cell("values", name)) for name in values),
    ]
    shown = rule.failing[:_ROWS]
    caption = f"{len(shown)} of {figures.plural(rule.failed, 'failing row')}"
    return table(columns, shown, caption=caption)


def _cell(part: str, name: str) -> Callable[[FailingRow], Node]:
    def read(row: FailingRow) -> Node:
        cells = getattr(row, part)
        return value(cells[name]) if name in cells else None

    return read
