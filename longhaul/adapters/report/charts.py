"""Charts as inline SVG, each with a title and a description in words.

Colours come from the page's style sheet by class; patterns show the same as colours.
"""

from collections.abc import Sequence

from longhaul.adapters.report import figures
from longhaul.adapters.report.markup import Markup, Node, tag
from longhaul.core.quality_report import RuleOutcome, Score

_WIDTH = 540
_LABELS = 112
_ROW = 34
_BAR = 16
_HEAD = 30
_GAP = 28

# Room for the number at the end of a bar.
_FIGURE = 54

_LABEL_LENGTH = 72


def ring(rate: float | None, identifier: str) -> Markup:
    """The overall score as a ring around its number."""
    shown = figures.percent(rate)
    arc = None
    if rate:
        arc = tag(
            "circle",
            class_="ring-fill",
            cx=60,
            cy=60,
            r=50,
            pathLength=100,
            stroke_dasharray=f"{rate:.3f} 100",
            transform="rotate(-90 60 60)",
        )
    number, _, unit = shown.partition(" ")
    return _svg(
        identifier,
        "Quality overall",
        f"{shown} of the checked values pass." if rate is not None else "Nothing was checked.",
        tag("circle", class_="ring-track", cx=60, cy=60, r=50),
        arc,
        tag("text", number, class_="ring-number", x=60, y=64, text_anchor="middle"),
        tag("text", unit or None, class_="ring-unit", x=60, y=82, text_anchor="middle"),
        width=120,
        height=120,
        class_="ring",
    )


def groups(scores: Sequence[Score], *, title: str, identifier: str) -> Markup:
    """For each group: its rules by finding, and its failing values in a thousand."""
    most_rules = max((score.rules for score in scores), default=0) or 1
    rates = [figures.per_thousand(score.failed, score.checked) for score in scores]
    highest = max((rate for rate in rates if rate is not None), default=0) or 1
    half = (_WIDTH - _LABELS - _GAP) / 2 - _FIGURE
    right = _LABELS + half + _FIGURE + _GAP
    rows: list[Node] = [
        tag("text", "Rules", class_="axis", x=_LABELS, y=14),
        tag("text", "Failing per 1,000 checked", class_="axis", x=right, y=14),
        _baseline(_LABELS, len(scores)),
        _baseline(right, len(scores)),
    ]
    for place, (score, rate) in enumerate(zip(scores, rates, strict=True)):
        top = _HEAD + place * _ROW
        middle = top + _BAR - 4
        rows.append(tag("text", score.name, x=_LABELS - 12, y=middle, text_anchor="end"))
        rows += _stack(score, left=_LABELS, top=top, scale=half / most_rules)
        end = _LABELS + half * score.rules / most_rules
        rows.append(tag("text", score.rules, class_="figure", x=_px(end + 7), y=middle))
        length = half * (rate or 0) / highest
        rows.append(_bar("violated", right, top, length))
        rows.append(
            tag("text", figures.rate(rate), class_="figure", x=_px(right + length + 7), y=middle)
        )
    return _svg(
        identifier,
        title,
        " ".join(_sentence(score) for score in scores),
        rows,
        width=_WIDTH,
        height=_HEAD + len(scores) * _ROW,
        class_="chart",
    )


def worst(rules: Sequence[RuleOutcome], *, identifier: str) -> Markup:
    """The rules with most failing values, as bars of their number."""
    most = max((rule.failed for rule in rules), default=0) or 1
    room = _WIDTH - _FIGURE
    rows: list[Node] = []
    for place, rule in enumerate(rules):
        top = place * (_ROW + 10)
        length = room * rule.failed / most
        rows.append(tag("text", _cut(rule.title), x=0, y=top + 14))
        rows.append(_bar("violated", 0, top + 21, length))
        figure = figures.count(rule.failed)
        rows.append(tag("text", figure, class_="figure", x=_px(length + 7), y=top + 34))
    sentences = [f"{rule.title}: {figures.plural(rule.failed, 'failing value')}." for rule in rules]
    return _svg(
        identifier,
        "Failing values of the rules that failed most",
        " ".join(sentences),
        rows,
        width=_WIDTH,
        height=len(rules) * (_ROW + 10),
        class_="chart",
    )


def legend() -> Markup:
    """What the colours of the rules mean."""
    names = (("held", "held"), ("violated", "violated"), ("not-run", "could not run"))
    return tag(
        "p",
        [
            tag(
                "span",
                tag(
                    "svg",
                    tag("rect", class_=f"bar {css}", width=12, height=12, rx=2),
                    width=12,
                    height=12,
                    aria_hidden="true",
                ),
                name,
                class_="key",
            )
            for css, name in names
        ],
        class_="legend",
    )


def patterns() -> Markup:
    """Hatching for what is not a finding, defined once a page."""
    return tag(
        "svg",
        tag(
            "defs",
            tag(
                "pattern",
                tag("rect", class_="hatch-ground", width=6, height=6),
                tag("path", class_="hatch-line", d="M-1 7L7 -1M-1 1L1 -1M5 7L7 5"),
                id="hatch",
                width=6,
                height=6,
                patternUnits="userSpaceOnUse",
            ),
        ),
        width=0,
        height=0,
        class_="defs",
        aria_hidden="true",
    )


def _stack(score: Score, *, left: float, top: float, scale: float) -> list[Node]:
    bars: list[Node] = []
    parts = (("held", score.held), ("violated", score.violated), ("not-run", score.not_run))
    for css, number in parts:
        if number:
            bars.append(_bar(css, left, top, number * scale))
            left += number * scale
    return bars


def _bar(css: str, left: float, top: float, length: float) -> Markup | None:
    if not length:
        return None
    # A bar for more than nothing is visible, however short.
    return tag(
        "rect",
        class_=f"bar {css}",
        x=_px(left),
        y=_px(top),
        width=_px(max(length - 1, 1.5)),
        height=_BAR,
        rx=2,
    )


def _baseline(left: float, rows: int) -> Markup:
    bottom = _HEAD + rows * _ROW - (_ROW - _BAR) + 4
    x = _px(left - 1)
    return tag("line", class_="baseline", x1=x, x2=x, y1=_HEAD - 4, y2=bottom)


def _sentence(score: Score) -> str:
    return (
        f"{score.name}: {figures.plural(score.rules, 'rule')}, {score.held} held, "
        f"{score.violated} violated, {score.not_run} could not run; "
        f"{figures.percent(score.pass_rate)} of {figures.plural(score.checked, 'value')} pass."
    )


def _svg(
    identifier: str,
    title: str,
    description: str,
    *children: Node,
    width: int,
    height: int,
    class_: str,
) -> Markup:
    return tag(
        "svg",
        tag("title", title, id=f"{identifier}-title"),
        tag("desc", description, id=f"{identifier}-desc"),
        children,
        class_=class_,
        viewBox=f"0 0 {width} {height}",
        role="img",
        aria_labelledby=f"{identifier}-title",
        aria_describedby=f"{identifier}-desc",
        preserveAspectRatio="xMinYMin meet",
    )


def _px(number: float) -> str:
    return f"{number:.2f}".rstrip("0").rstrip(".")


def _cut(label: str) -> str:
    return label if len(label) <= _LABEL_LENGTH else f"{label[:_LABEL_LENGTH]}…"
