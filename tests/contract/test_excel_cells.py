"""Workbooks for rules: days are days, and empty rows are not records."""

import re
import zipfile
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from pathlib import Path

import openpyxl
import pytest
from openpyxl.styles import PatternFill

from longhaul.adapters.sources.excel_files import read_sheets, write_csv
from longhaul.adapters.sources.files import FileSession
from longhaul.adapters.sources.rule_evaluator import SourceRuleEvaluator
from longhaul.adapters.sources.session import Interrupted, QueryFailed
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.errors import ItemFailed
from longhaul.core.formats import DataType
from longhaul.core.rule_execution import TableRule, Verdict
from longhaul.core.sources import DataSource, SourceAccess, SourceKind
from tests.waiting import PATIENCE

DAY, MONTH = "%Y%m%d", "%Y%m"


def book(path: Path, rows: Sequence[Sequence[object]], *, coloured: int = 0) -> DataSource:
    made = openpyxl.Workbook()
    sheet = made.active
    sheet.append(["close_dt", "id"])
    for row in rows:
        sheet.append(list(row))
    for number in range(coloured):
        for column in (1, 2):
            cell = sheet.cell(row=len(rows) + 2 + number, column=column)
            cell.fill = PatternFill("solid", fgColor="FFFF00")
    made.save(path)
    return DataSource(name="book", kind=SourceKind.EXCEL, location=str(path))


def rule(expectation: str, written: str = DAY, **kwargs: object) -> TableRule:
    return TableRule(
        id="r",
        expectation=f"expect_{expectation}",
        kwargs=kwargs,
        columns={"Close Date": "close_dt"},
        types={"Close Date": DataType.DATE},
        written={"Close Date": written},
    )


async def judge(source: DataSource, wanted: TableRule) -> Verdict:
    evaluator = SourceRuleEvaluator(SourceSessions(SourceAccess()))
    (judged,) = (await evaluator.evaluate(source, None, [wanted], key=["id"])).judged
    assert isinstance(judged.outcome, Verdict), judged.outcome
    return judged.outcome


CELLS = [
    (date(2024, 2, 29), 1),
    (datetime(2024, 3, 1), 2),
    ("20240302", 3),
    ("20240230", 4),
    ("soon", 5),
    (datetime(2024, 3, 1, 9, 30), 6),
]


@pytest.mark.parametrize(
    ("wanted", "failing"),
    [
        (
            rule(
                "column_values_to_match_strftime_format", column="Close Date", strftime_format=DAY
            ),
            "45",
        ),
        (rule("column_values_to_be_between", column="Close Date", min_value="2024-03-01"), "145"),
        (rule("column_values_to_be_of_type", column="Close Date", type_="Date"), "456"),
        (
            rule("column_values_to_be_between", MONTH, column="Close Date", min_value="2024-01-01"),
            "345",
        ),
    ],
)
async def test_a_cell_with_a_day_is_a_day_however_the_attribute_writes_it(
    tmp_path: Path, wanted: TableRule, failing: str
) -> None:
    found = await judge(book(tmp_path / "a.xlsx", CELLS), wanted)

    assert sorted(one["key"]["id"] for one in found.examples) == list(failing)


async def test_rows_that_only_have_a_colour_are_no_records(tmp_path: Path) -> None:
    rows = [("20240301", 1), (None, None), ("20240302", 2)]
    source = book(tmp_path / "a.xlsx", rows, coloured=40)

    found = await judge(source, rule("column_values_to_not_be_null", column="Close Date"))

    # A gap between records is a record without values.
    assert (found.total, found.failed) == (3, 1)


SHEET = "worksheets/sheet1.xml"


def rewritten(source: DataSource, found: str, other: str, part: str = SHEET) -> DataSource:
    """The same workbook with something else in a part's XML."""
    path = Path(source.location)
    with zipfile.ZipFile(path) as book:
        parts = {name: book.read(name) for name in book.namelist()}
    name = f"xl/{part}"
    text, count = re.subn(found, other, parts[name].decode(), count=1, flags=re.DOTALL)
    assert count == 1, parts[name]
    parts[name] = text.encode()
    with zipfile.ZipFile(path, "w") as book:
        for each, content in parts.items():
            book.writestr(each, content)
    return source


@pytest.mark.parametrize("dimension", ["A1", "A1:B1", "A1:A3", "C7:D9", "A1:XFD1048576", None])
async def test_what_a_sheet_says_of_its_size_is_not_believed(
    tmp_path: Path, dimension: str | None
) -> None:
    rows = [("20240301", 1), ("20240302", 2), (None, 3)]
    tag = "" if dimension is None else f'<dimension ref="{dimension}" />'
    source = rewritten(book(tmp_path / "a.xlsx", rows), r"<dimension [^>]*/>", tag)

    found = await judge(source, rule("column_values_to_not_be_null", column="Close Date"))

    assert (found.total, found.failed) == (3, 1)
    assert [one["key"]["id"] for one in found.examples] == ["3"]


@pytest.mark.parametrize(
    ("part", "found", "other"),
    [
        (SHEET, "</row></sheetData>.*", "</row>"),
        (SHEET, "<v>2</v>", "<v>zz</v>"),
        (SHEET, 't="n"><v>2</v>', 't="s"><v>999</v>'),
        (SHEET, 'r="A3"', 'r="A0x"'),
        (SHEET, 'r="3"', 'r="2.5"'),
        (SHEET, "<sheetData>", "<sheetData>&nothing;"),
        (SHEET, "<v>2</v>", '<v>2</v></c><c r="C3" t="d"><v>soon</v>'),
        ("workbook.xml", "</workbook>", ""),
        ("styles.xml", 'numFmtId="0"', 'numFmtId="x"'),
    ],
)
async def test_a_damaged_workbook_is_said_to_be_unreadable(
    tmp_path: Path, part: str, found: str, other: str
) -> None:
    rows = [("20240301", 1), ("20240302", 2)]
    source = rewritten(book(tmp_path / "a.xlsx", rows), found, other, part)

    with pytest.raises(ItemFailed, match="damaged") as failed:
        await judge(source, rule("column_values_to_not_be_null", column="Close Date"))

    assert failed.value.item_code == "source_unreadable"


async def test_a_row_beyond_the_last_one_of_excel_is_not_counted_up_to(tmp_path: Path) -> None:
    rows = [("20240301", 1), ("20240302", 2)]
    source = rewritten(book(tmp_path / "a.xlsx", rows), '<row r="3"', '<row r="2000000000000"')

    with pytest.raises(ItemFailed, match="a row that Excel does not have"):
        await judge(source, rule("column_values_to_not_be_null", column="Close Date"))


ROWS = 2_000


@pytest.fixture
def long_book(tmp_path: Path) -> DataSource:
    return book(tmp_path / "long.xlsx", [(f"the text of row {n}", n) for n in range(ROWS)])


class Stopped(FileSession):
    """A check that stops after a number of calls."""

    left = 100

    def check(self) -> None:
        self.left -= 1
        if self.left == 0:
            self.interrupt()
        super().check()


def test_a_sheet_is_read_no_further_when_somebody_says_stop(long_book: DataSource) -> None:
    session = Stopped(long_book, SourceAccess(memory_mb=64))
    try:
        table = session.table(None)
        session.left = 100
        with pytest.raises(Interrupted):
            session.bind(table)
        with (session._folder / "sheet.csv").open(encoding="utf-8") as written:
            assert sum(1 for _ in written) < 100
    finally:
        session.close()


def test_a_sheet_whose_time_is_over_is_given_up_and_can_be_read_again(
    long_book: DataSource,
) -> None:
    session = FileSession(long_book, SourceAccess(memory_mb=64))
    try:
        table = session.table(None)
        given, session._seconds = session._seconds, 0.0
        with pytest.raises(QueryFailed) as failed:
            session.bind(table)
        session._seconds = given
        rows = session.fetch(session.bind(table).count())
    finally:
        session.close()

    assert (failed.value.code, failed.value.is_slow) == ("source_timeout", True)
    assert rows == [(ROWS,)]


class Slow(FileSession):
    """Reads on only when its time is over."""

    def check(self) -> None:
        self._late.wait(PATIENCE)
        super().check()


def test_a_workbook_that_cannot_be_opened_in_time_is_given_up(long_book: DataSource) -> None:
    session = Slow(long_book, SourceAccess(statement_timeout=timedelta(milliseconds=1)))
    try:
        with pytest.raises(QueryFailed) as failed:
            session.tables()
    finally:
        session.close()

    assert failed.value.as_failure.item_code == "source_timeout"


def test_opening_a_workbook_asks_before_its_texts_are_read(long_book: DataSource) -> None:
    def refuse() -> None:
        raise Interrupted

    with pytest.raises(Interrupted):
        read_sheets(Path(long_book.location), check=refuse)


def test_rows_that_only_a_number_claims_are_asked_about_too(tmp_path: Path) -> None:
    rows = [("20240301", 1), ("20240302", 2)]
    source = rewritten(book(tmp_path / "a.xlsx", rows), '<row r="3"', '<row r="900000"')
    asked: list[None] = []

    write_csv(
        Path(source.location), "Sheet", tmp_path / "sheet.csv", check=lambda: asked.append(None)
    )

    assert len(asked) > 800_000
