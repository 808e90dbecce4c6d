"""A report form: the Federal Reserve's fields, our additions, the columns that feed them.

The facts of a form (line, name, MDRM code, mandatory flag, format) are public; everything in
`additions.csv` and `decoys.csv` is ours. Additions are kept by MDRM code, because the forms
share three quarters of their fields.
"""

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal, InvalidOperation
from pathlib import Path

from longhaul.core.attributes import Obligation
from longhaul.core.errors import InvalidInput
from longhaul.core.formats import Format, UnknownFormat, parse_format

FORMS = Path(__file__).parent / "forms"
TITLES: Mapping[str, str] = {"a1": "FR Y-14M A.1", "b1": "FR Y-14M B.1"}

# PostgreSQL allows 1,600 columns, but a row must also fit into one page of 8 kB: short texts
# are not moved out of it. A form of more attributes has columns for the first of them only.
MAX_COLUMNS = 1_000

_IDENTIFIER = re.compile("[a-z][a-z0-9_]{0,62}")


class FormError(ValueError):
    """A file of a form cannot be read; the text names the file and the line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FormField:
    """One attribute of a report.

    Attributes:
        column: The physical column that feeds it, or None where the table has none.
        source: The column of the first copy that `column` repeats.
        copy: 1, or more where a form is repeated to have more attributes than it has fields.
        codes: All values that clean rows may hold; empty if it is not a code.
        minimum: Clean rows hold nothing less.
        maximum: Clean rows hold nothing more.
    """

    line_no: int
    name: str
    mdrm: str
    mandatory: Obligation
    format: Format
    format_text: str
    description: str
    is_key: bool
    is_cde: bool
    has_issues: bool
    column: str | None
    source: str | None
    copy: int = 1
    codes: tuple[str, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """One column of the physical table.

    Attributes:
        fields: The attributes that it feeds: two where they share it, none for a decoy.
    """

    name: str
    source: str
    copy: int
    fields: tuple[FormField, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Form:
    """A form with as many attributes as were asked for.

    Attributes:
        name: `a1` or `b1`.
        title: The name of the report; says the number of attributes unless it is the form's own.
        table: The name of the physical table.
        decoys: Columns of the table that feed no attribute.
    """

    name: str
    title: str
    table: str
    fields: tuple[FormField, ...]
    decoys: tuple[str, ...]

    def columns(self) -> Mapping[str, str | None]:
        """The true mapping: the column that feeds each attribute, by the attribute's name."""
        return {field.name: field.column for field in self.fields}

    def physical_columns(self) -> tuple[Column, ...]:
        """The columns of the table: those of the form, the decoys, those of its copies."""
        found: dict[str, Column] = {}
        for field in self.fields:
            if field.copy > 1:
                self._add_decoys(found)
            if field.column and field.source:
                known = found.get(field.column)
                found[field.column] = Column(
                    name=field.column,
                    source=field.source,
                    copy=field.copy,
                    fields=(*(known.fields if known else ()), field),
                )
        self._add_decoys(found)
        return tuple(found.values())

    def _add_decoys(self, columns: dict[str, Column]) -> None:
        for name in self.decoys:
            columns.setdefault(name, Column(name=name, source=name, copy=1))


def read_form(name: str, attributes: int | None = None, *, folder: Path = FORMS) -> Form:
    """Read a form with its additions.

    Args:
        name: `a1` (first-lien mortgages) or `b1` (home equity).
        attributes: How many attributes; fewer than the form has cuts it short, more repeats
            it with numbered names. None means the form as it is.
        folder: Where the files are.

    Raises:
        InvalidInput: There is no such form, or no attribute is asked for.
        FormError: A file is wrong.
    """
    if name not in TITLES:
        raise InvalidInput(f"Unknown form {name[:80]!r}. Known forms: {', '.join(TITLES)}.")
    if attributes is not None and attributes < 1:
        raise InvalidInput("A form needs at least one attribute.")
    additions = _read_additions(folder / "additions.csv")
    fields = _read_fields(folder / f"fry14m_{name}_fields.csv", additions)
    decoys = _read_decoys(folder / "decoys.csv", fields)
    wanted = len(fields) if attributes is None else attributes
    own = wanted == len(fields)
    return Form(
        name=name,
        title=TITLES[name] if own else f"{TITLES[name]} × {wanted}",
        table=f"fry14m_{name}" if own else f"fry14m_{name}_{wanted}",
        fields=tuple(_repeated(fields, wanted, room=MAX_COLUMNS - len(decoys))),
        decoys=decoys,
    )


def is_identifier(name: str) -> bool:
    """Whether a name can be written into SQL as it is."""
    return _IDENTIFIER.fullmatch(name) is not None


@dataclass(frozen=True, slots=True)
class _Line:
    file: Path
    number: int
    cells: Mapping[str, str]

    def error(self, problem: str) -> FormError:
        return FormError(f"{self.file.name}, line {self.number}: {problem}")

    def text(self, name: str) -> str:
        if not self.cells[name]:
            raise self.error(f"{name} is empty.")
        return self.cells[name]

    def whole_number(self, name: str) -> int:
        text = self.cells[name]
        if not (text.isascii() and text.isdigit()):
            raise self.error(f"{name} {text!r} is not a whole number.")
        return int(text)

    def decimal(self, name: str) -> Decimal | None:
        text = self.cells[name]
        try:
            return Decimal(text) if text else None
        except InvalidOperation:
            raise self.error(f"{name} {text!r} is not a number.") from None

    def flag(self, name: str) -> bool:
        text = self.cells[name]
        if text not in {"", "Y"}:
            raise self.error(f"{name} {text!r} is neither Y nor empty.")
        return text == "Y"

    def column(self, name: str) -> str | None:
        text = self.cells[name]
        if text and not is_identifier(text):
            raise self.error(f"{name} {text!r} is not a plain SQL name.")
        return text or None

    def mandatory(self) -> Obligation | None:
        text = self.cells["mandatory"]
        try:
            return Obligation(text) if text else None
        except ValueError:
            raise self.error(f"mandatory {text!r} is not one of {', '.join(Obligation)}.") from None

    def format(self) -> Format:
        try:
            return parse_format(self.cells["format"])
        except UnknownFormat as exc:
            raise self.error(str(exc)) from exc


def _read_lines(file: Path, header: Sequence[str]) -> Iterator[_Line]:
    with file.open(encoding="utf-8-sig", newline="") as stream:
        reader = csv.reader(stream, strict=True)
        try:
            for row in reader:
                cells = dict(zip(header, (cell.strip() for cell in row), strict=False))
                line = _Line(file, reader.line_num, cells)
                if len(row) != len(header):
                    raise line.error(f"{len(row)} cells instead of {len(header)}.")
                if reader.line_num > 1:
                    yield line
                elif row != list(header):
                    raise line.error(f"The header is not {','.join(header)}.")
        except (csv.Error, UnicodeDecodeError) as exc:
            raise FormError(f"{file.name}, line {reader.line_num}: {exc}.") from exc


_FIELD_HEADER = ("line_no", "name", "mdrm", "mandatory", "format")
_ADDITION_HEADER = (
    *("mdrm", "column", "mandatory", "is_key", "is_cde", "has_issues"),
    *("codes", "minimum", "maximum", "description"),
)
_DECOY_HEADER = ("column", "remark")


def _read_additions(file: Path) -> Mapping[str, _Line]:
    additions: dict[str, _Line] = {}
    for line in _read_lines(file, _ADDITION_HEADER):
        mdrm = line.text("mdrm")
        if mdrm in additions:
            raise line.error(f"{mdrm} occurs twice.")
        additions[mdrm] = line
    return additions


def _read_fields(file: Path, additions: Mapping[str, _Line]) -> list[FormField]:
    fields: dict[str, FormField] = {}
    for line in _read_lines(file, _FIELD_HEADER):
        name, mdrm = line.text("name"), line.text("mdrm")
        if name in fields:
            raise line.error(f"{name!r} occurs twice.")
        if mdrm not in additions:
            raise line.error(f"additions.csv says nothing about {mdrm}.")
        fields[name] = _field(line, additions[mdrm])
    if not fields:
        raise FormError(f"{file.name}, line 1: The form has no fields.")
    return list(fields.values())


def _field(line: _Line, addition: _Line) -> FormField:
    mandatory = line.mandatory()
    if mandatory is None:
        raise line.error("mandatory is empty.")
    column = addition.column("column")
    return FormField(
        line_no=line.whole_number("line_no"),
        name=line.cells["name"],
        mdrm=line.cells["mdrm"],
        mandatory=addition.mandatory() or mandatory,
        format=line.format(),
        format_text=line.cells["format"],
        description=addition.text("description"),
        is_key=addition.flag("is_key"),
        is_cde=addition.flag("is_cde"),
        has_issues=addition.flag("has_issues"),
        column=column,
        source=column,
        codes=tuple(code for code in addition.cells["codes"].split("|") if code),
        minimum=addition.decimal("minimum"),
        maximum=addition.decimal("maximum"),
    )


def _read_decoys(file: Path, fields: Sequence[FormField]) -> tuple[str, ...]:
    taken = {field.column for field in fields}
    decoys: list[str] = []
    for line in _read_lines(file, _DECOY_HEADER):
        column = line.column("column")
        if column is None or column in taken:
            raise line.error(f"column {column!r} is empty or feeds an attribute.")
        decoys.append(column)
    return tuple(decoys)


def _repeated(fields: Sequence[FormField], wanted: int, *, room: int) -> Iterator[FormField]:
    lines = max(field.line_no for field in fields)
    taken: set[str] = set()
    for ordinal in range(wanted):
        earlier, position = divmod(ordinal, len(fields))
        field = fields[position]
        if earlier:
            field = _numbered(field, copy=earlier + 1, lines=lines)
        if field.column and field.column not in taken:
            if len(taken) < room:
                taken.add(field.column)
            else:
                field = replace(field, column=None, source=None)
        yield field


def _numbered(field: FormField, *, copy: int, lines: int) -> FormField:
    return replace(
        field,
        line_no=field.line_no + (copy - 1) * lines,
        name=f"{field.name} ({copy})",
        column=f"{field.column}_{copy}" if field.column else None,
        copy=copy,
        # A row has one key, however often the form is repeated.
        is_key=False,
    )
