"""Tables with headings that a screen reader can follow."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from longhaul.adapters.report.markup import Markup, Node, tag

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """One column.

    Attributes:
        is_heading: Whether its cells name their rows.
    """

    title: str
    cell: Callable[[T], Node]
    is_number: bool = False
    is_heading: bool = False


def table(
    columns: Sequence[Column[T]],
    rows: Sequence[T],
    *,
    caption: str,
    is_quiet: Callable[[T], bool] = lambda _: False,
) -> Markup:
    """A table that scrolls if it is wider than the page."""
    head = tag(
        "thead",
        tag("tr", [tag("th", one.title, scope="col", class_=_css(one)) for one in columns]),
    )
    body = tag(
        "tbody",
        [
            tag(
                "tr",
                [_cell(one, row) for one in columns],
                class_="quiet" if is_quiet(row) else None,
            )
            for row in rows
        ],
    )
    return tag(
        "div",
        tag("table", tag("caption", caption), head, body),
        class_="scroll",
        tabindex=0,
        role="region",
        aria_label=caption,
    )


def _cell(column: Column[T], row: T) -> Markup:
    if column.is_heading:
        return tag("th", column.cell(row), scope="row", class_=_css(column))
    return tag("td", column.cell(row), class_=_css(column))


def _css(column: Column[T]) -> str | None:
    return "number" if column.is_number else None
