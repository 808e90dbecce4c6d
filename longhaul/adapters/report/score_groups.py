"""Scores side by side: by dimension, by severity."""

from collections.abc import Sequence

from longhaul.adapters.report import charts, figures
from longhaul.adapters.report.markup import Node, tag
from longhaul.adapters.report.tables import Column, table
from longhaul.core.quality_report import Score

_SCORE_COLUMNS: Sequence[Column[Score]] = (
    Column("Rules", lambda one: figures.count(one.rules), is_number=True),
    Column("Violated", lambda one: figures.count(one.violated), is_number=True),
    Column("Could not run", lambda one: figures.count(one.not_run), is_number=True),
    Column("Checked", lambda one: figures.count(one.checked), is_number=True),
    Column("Failing", lambda one: figures.count(one.failed), is_number=True),
    Column("Pass rate", lambda one: figures.percent(one.pass_rate), is_number=True),
)


def score_groups(scores: Sequence[Score], what: str) -> Node:
    """A chart of the groups, and its figures beside it."""
    shown = [score for score in scores if score.rules]
    if not shown:
        return tag("p", "There were no rules to run.")
    names: Column[Score] = Column(what.capitalize(), lambda one: one.name, is_heading=True)
    missing = [score.name for score in scores if not score.rules]
    return [
        tag(
            "div",
            tag(
                "div",
                charts.groups(shown, title=f"Rules by {what}", identifier=f"chart-{what}"),
                charts.legend(),
            ),
            table([names, *_SCORE_COLUMNS], shown, caption=f"The same by {what}, in figures"),
            class_="pair",
        ),
        tag("p", f"No rule measures: {', '.join(missing)}.", class_="fact") if missing else None,
    ]
