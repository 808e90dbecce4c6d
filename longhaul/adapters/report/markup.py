"""Elements of a page. Text becomes markup in one place, so nothing can be left unescaped."""

import re
from collections.abc import Iterable
from html import escape
from typing import TypeAlias

# Allowed in no XML document, and in an HTML one only as errors: controls, lone surrogates,
# the two non-characters. What changes the direction of the text around it is shown as a mark too.
_UNPRINTABLE = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufffe\uffff]"
)

_VOID = frozenset({"meta", "wbr", "rect", "circle", "line", "path"})


class Markup(str):
    """Text that is already markup; only `tag` and `join` make it."""

    __slots__ = ()


Node: TypeAlias = "Markup | str | int | Iterable[Node] | None"


def tag(name: str, /, *children: Node, **attributes: str | int | float | None) -> Markup:
    """An element.

    Args:
        children: Markup stays as it is, all other text is escaped, None is left out.
        attributes: `class_` for class, `stroke_width` for stroke-width; None is left out.
    """
    written = "".join(
        f' {_attribute(key)}="{_text(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID:
        return Markup(f"<{name}{written}/>")
    return Markup(f"<{name}{written}>{join(children)}</{name}>")


def join(children: Node) -> Markup:
    """Several nodes, one after the other."""
    match children:
        case None:
            return Markup()
        case Markup():
            return children
        case str() | int():
            return Markup(_text(str(children)))
        case _:
            return Markup("".join(join(child) for child in children))


def value(given: object) -> Markup:
    """A value from a source, marked off from the text around it."""
    if given is None:
        return tag("span", "null", class_="null")
    if given == "":
        return tag("span", "empty", class_="null")
    return tag("bdi", str(given), class_="value")


def _attribute(key: str) -> str:
    return key.rstrip("_").replace("_", "-")


def _text(text: str) -> str:
    return escape(_UNPRINTABLE.sub("\N{REPLACEMENT CHARACTER}", text))
