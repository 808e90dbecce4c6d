"""Forms of imported reports: read line by line; every fault names its place."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
    ValidationError,
    model_validator,
)

from longhaul.core.attributes import Obligation
from longhaul.core.errors import InvalidInput
from longhaul.core.formats import DataType, parse_format

MAX_ATTRIBUTES = 5_000

# A person fixes a form in rounds; the first faults show what is wrong.
MOST_FAULTS = 20
_MOST_NAMED = 5

_LONGEST = 2_000
_TOO_LONG = f"a cell is longer than {_LONGEST:,} characters; see that its quotes are closed"

# PostgreSQL stores no NUL.
Words = Annotated[
    str, StringConstraints(strip_whitespace=True, max_length=_LONGEST, pattern=r"^[^\x00]*$")
]
Name = Annotated[Words, StringConstraints(min_length=1, max_length=300)]


def _in_any_case(kind: type[StrEnum], also: Mapping[object, StrEnum]) -> BeforeValidator:
    by_word: Mapping[object, StrEnum] = {**{one.casefold(): one for one in kind}, **also}

    def read(value: object) -> object:
        word = value.strip().casefold() if isinstance(value, str) else value
        return by_word.get(word, value) if isinstance(word, str | bool) else value

    return BeforeValidator(read)


def _known(text: str) -> str:
    if text:
        parse_format(text)
    return text


_MANDATORY = {
    **dict.fromkeys((True, "y", "yes"), Obligation.MANDATORY),
    **dict.fromkeys((False, "n", "no"), Obligation.OPTIONAL),
}


class FormAttribute(BaseModel):
    """One line of a form. Its data type follows from its format, if it has one."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=True)

    name: Name
    line_no: int | None = Field(
        None,
        ge=0,
        lt=2**31,
        validation_alias=AliasChoices("line_no", "line"),
        description="its place in the form; its place in the list when absent",
    )
    mdrm: Words = ""
    mandatory: Annotated[Obligation, _in_any_case(Obligation, _MANDATORY)] = Obligation.OPTIONAL
    format: Annotated[Words, AfterValidator(_known)] = Field(
        "", description="such as Character(32), N12.2, YYYYMMDD"
    )
    data_type: Annotated[DataType, _in_any_case(DataType, {})] | None = Field(
        None, description="needed where there is no format"
    )
    description: Words = ""
    is_key: bool = Field(False, validation_alias=AliasChoices("is_key", "key"))
    is_cde: bool = Field(False, validation_alias=AliasChoices("is_cde", "cde"))
    has_issues: bool = False

    @model_validator(mode="after")
    def _has_one_type(self) -> Self:
        if self.format:
            written = parse_format(self.format).data_type
            if self.data_type not in (None, written):
                raise ValueError(
                    f"the format {self.format!r} is one of {written}, and the data type says "
                    f"{self.data_type}"
                )
            self.data_type = written
        elif self.data_type is None:
            raise ValueError("give a format or a data type")
        return self


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an attribute was read: for programs, and for the beginning of a sentence."""

    pointer: str
    said: str


def read_list(attributes: Sequence[FormAttribute]) -> list[FormAttribute]:
    """The attributes of a form that came as a list, each with its line number.

    Raises:
        InvalidInput: Two have the same name.
    """
    places = [
        _Place(f"/attributes/{number}/name", f"Attribute {number + 1}")
        for number in range(len(attributes))
    ]
    return _checked(attributes, places)


def read_csv(text: str) -> list[FormAttribute]:
    """The attributes of a form that came as CSV; its first line names the columns.

    Raises:
        InvalidInput: Lines cannot be read; the sentence says which, and why.
    """
    attributes, places, faults = [], [], []
    for line, cells in _lines(text.removeprefix("\ufeff")):
        place = _Place("/form", f"Line {line}")
        if isinstance(cells, str):
            faults.append((place, cells))
        else:
            try:
                attributes.append(FormAttribute.model_validate(cells))
                places.append(place)
            except ValidationError as exc:
                faults += [(place, problem) for problem in _problems(exc)]
        if len(faults) >= MOST_FAULTS or len(attributes) > MAX_ATTRIBUTES:
            break
    if faults:
        raise _refused(faults)
    if not attributes:
        raise _refused([(_Place("/form", "Line 1"), "the form has no lines below its first one")])
    return _checked(attributes, places)


def what_differs(stored: Sequence[Mapping[str, Any]], given: Sequence[FormAttribute]) -> str:
    """How another form differs, in words; empty when they are the same."""
    old = {one["name"]: one for one in stored}
    new = {one.name: one.model_dump() for one in given}
    parts = {
        "new": [name for name in new if name not in old],
        "missing": [name for name in old if name not in new],
        "described differently": [name for name in new if name in old and new[name] != old[name]],
    }
    return "; ".join(
        f"{len(names)} {what} ({_named(names)})" for what, names in parts.items() if names
    )


def _named(names: Sequence[str]) -> str:
    more = ", …" * (len(names) > _MOST_NAMED)
    return ", ".join(names[:_MOST_NAMED]) + more


def _checked(attributes: Sequence[FormAttribute], places: Sequence[_Place]) -> list[FormAttribute]:
    if len(attributes) > MAX_ATTRIBUTES:
        raise InvalidInput(f"A form has at most {MAX_ATTRIBUTES:,} attributes.")
    first: dict[str, _Place] = {}
    faults = []
    for one, place in zip(attributes, places, strict=True):
        known = first.setdefault(one.name, place)
        if known is not place:
            faults.append((place, f"the name already occurs at {known.said.lower()}"))
    if faults:
        raise _refused(faults)
    return [
        one if one.line_no is not None else one.model_copy(update={"line_no": number})
        for number, one in enumerate(attributes, start=1)
    ]


_COLUMNS = {"line": "line_no", "key": "is_key", "cde": "is_cde"} | {
    name: name for name in FormAttribute.model_fields
}


def _lines(text: str) -> Iterator[tuple[int, dict[str, str] | str]]:
    """The filled cells of each line below the first, by column, with the line's number.

    For a line that cannot be read there is a text that says what is wrong.
    """
    header: list[str] | None = None
    for line, cells in _rows(text):
        if isinstance(cells, str):
            yield line, cells
        elif header is None:
            header = _header(line, cells)
        elif len(cells) != len(header):
            yield line, f"{len(cells)} cells instead of {len(header)}"
        else:
            yield line, {name: cell for name, cell in zip(header, cells, strict=True) if cell}


def _rows(text: str) -> Iterator[tuple[int, list[str] | str]]:
    """The lines that are not empty, each with the number where it begins.

    If the text stops being CSV, the last one says what is wrong.
    """
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for row in reader:
            cells = [cell.strip() for cell in row]
            if any(cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as exc:
        # The reader's own limit is far above ours.
        is_long = "field limit" in str(exc)
        yield line, _TOO_LONG if is_long else "it breaks the rules of CSV"


def _header(line: int, cells: Sequence[str]) -> list[str]:
    place = _Place("/form", f"Line {line}")
    unknown = [cell for cell in cells if cell.casefold() not in _COLUMNS]
    if unknown:
        problem = (
            f"unknown column {unknown[0][:80]!r}; known are {', '.join(FormAttribute.model_fields)}"
        )
        raise _refused([(place, problem)])
    header = [_COLUMNS[cell.casefold()] for cell in cells]
    if len(set(header)) < len(header) or "name" not in header:
        raise _refused([(place, "the columns need a name, each column once")])
    return header


def _problems(exc: ValidationError) -> Iterator[str]:
    for error in exc.errors(include_url=False, include_input=False):
        cause: Any = error.get("ctx", {}).get("error")
        said = str(cause) if cause is not None else error["msg"]
        column = f"{error['loc'][0]}: " if error["loc"] else ""
        yield f"{column}{said}".rstrip(".")


def _refused(faults: Sequence[tuple[_Place, str]]) -> InvalidInput:
    fields = tuple((place.pointer, f"{place.said}: {problem}.") for place, problem in faults)
    more = f" There are {len(faults) - 1} more faults." * (len(faults) > 1)
    return InvalidInput(f"The form cannot be read. {fields[0][1]}{more}", fields)
