"""A page as a reader sees it: its elements, its texts, its tables."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser

VOID = {"meta", "wbr"}


@dataclass
class Element:
    """One element with what is in it, in order."""

    name: str
    attributes: Mapping[str, str]
    inside: list["Element | str"] = field(default_factory=list)

    def all(self, name: str | None = None) -> Iterator["Element"]:
        """The elements below, of one name or of any."""
        for one in self.inside:
            if isinstance(one, Element):
                if name in (None, one.name):
                    yield one
                yield from one.all(name)

    def one(self, name: str, **attributes: str) -> "Element":
        found = [
            element
            for element in self.all(name)
            if attributes.items() <= dict(element.attributes).items()
        ]
        assert len(found) == 1, f"{len(found)} × <{name}> {attributes}"
        return found[0]

    @property
    def text(self) -> str:
        return "".join(one if isinstance(one, str) else one.text for one in self.inside)

    @property
    def rows(self) -> list[list[str]]:
        """The cells of a table, row by row."""
        cells = ("th", "td")
        return [[cell.text for cell in row.all() if cell.name in cells] for row in self.all("tr")]

    def table(self, caption: str) -> list[dict[str, str]]:
        """The rows of the table with a caption, by heading."""
        (found,) = [
            table
            for table in self.all("table")
            if caption in "".join(one.text for one in table.all("caption"))
        ]
        heading, *rows = found.rows
        return [dict(zip(heading, row, strict=True)) for row in rows]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("", {})
        self._open = [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, {name: value or "" for name, value in attrs})
        assert len(element.attributes) == len(attrs), f"<{tag}> says something twice"
        self._open[-1].inside.append(element)
        if tag not in VOID:
            self._open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self._open[-1].inside.append(Element(tag, attributes))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop().name == tag, f"</{tag}> ends something else"

    def handle_data(self, data: str) -> None:
        self._open[-1].inside.append(data)

    def handle_comment(self, data: str) -> None:
        raise AssertionError("a comment")

    def handle_pi(self, data: str) -> None:
        raise AssertionError("a processing instruction")


def read_page(html: str) -> Element:
    """Read a page; elements that are not closed in order fail the test."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    assert len(reader._open) == 1, f"<{reader._open[-1].name}> is not closed"
    return reader.root.one("html")
