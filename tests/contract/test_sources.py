"""Reading data sources: PostgreSQL, CSV, Parquet and Excel behind one port."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import duckdb
import openpyxl
import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.sample.report import load_sample
from longhaul.adapters.sources.names import is_same, quoted, split
from longhaul.adapters.sources.session import Session
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.errors import ItemFailed, Unavailable
from longhaul.core.sources import DataSource, SourceAccess, SourceColumn, SourceKind

HOSTILE = '"; drop table'
QUOTED = HOSTILE.replace('"', '""')


@pytest.fixture
def sources(dsn: str) -> SourceSessions:
    return SourceSessions(SourceAccess(own_dsn=dsn), secrets={"ELSEWHERE": dsn})


def file_source(kind: SourceKind, path: Path) -> DataSource:
    return DataSource(name="file", kind=kind, location=str(path))


def own(location: str = "") -> DataSource:
    return DataSource(name="own", kind=SourceKind.POSTGRESQL, location=location)


async def test_a_table_of_our_own_database_is_a_source(
    database: PostgresDatabase, sources: SourceSessions
) -> None:
    loaded = await load_sample(database, rows=3, random_seed=1)

    (table,) = await sources.tables(own(loaded.table))

    assert table.name == loaded.table
    assert table.columns[0] == SourceColumn(name="ln_nbr", type="text", nullable=True)
    assert {one.name for one in await sources.tables(own("sample"))} == {loaded.table}
    assert {one.name for one in await sources.tables(own())} == {loaded.table}


@pytest.mark.parametrize("location", ["public", "public.job", '"public".job'])
async def test_our_own_tables_are_nobodys_source(
    database: PostgresDatabase, sources: SourceSessions, location: str
) -> None:
    with pytest.raises(ItemFailed) as failed:
        await sources.tables(own(location))

    assert failed.value.item_code == "source_denied"


async def test_a_secret_is_looked_up_where_it_is_needed(
    database: PostgresDatabase, sources: SourceSessions
) -> None:
    async with database.begin() as tx:
        await tx.execute(
            f'CREATE TABLE "Odd One" (id integer PRIMARY KEY, "{QUOTED}" numeric(9,2) NOT NULL)'
        )
    elsewhere = DataSource(
        name="far", kind=SourceKind.POSTGRESQL, location="public", secret_ref="ELSEWHERE"
    )

    tables = {one.name: one for one in await sources.tables(elsewhere)}

    table = tables['public."Odd One"']
    assert [(one.name, one.type, one.nullable) for one in table.columns] == [
        ("id", "integer", False),
        (HOSTILE, "numeric(9,2)", False),
    ]
    assert table.key == ("id",)
    assert "public.job" in tables


async def test_a_secret_that_is_not_set_is_named(sources: SourceSessions) -> None:
    source = DataSource(name="x", kind=SourceKind.POSTGRESQL, location="", secret_ref="NO_SUCH")

    with pytest.raises(ItemFailed, match="NO_SUCH") as failed:
        await sources.tables(source)

    assert failed.value.item_code == "secret_missing"


async def test_a_server_that_is_away_is_said_so() -> None:
    nowhere = "postgresql://nobody@127.0.0.1:1/nothing"
    sources = SourceSessions(SourceAccess(own_dsn=nowhere), secrets={"FAR": nowhere})

    with pytest.raises(ItemFailed) as failed:
        await sources.tables(
            DataSource(name="x", kind=SourceKind.POSTGRESQL, location="", secret_ref="FAR")
        )
    assert (failed.value.item_code, failed.value.again) == ("source_unreachable", True)
    # An outage of our own database fails no item.
    with pytest.raises(Unavailable):
        await sources.tables(own())


async def test_files_are_looked_into(tmp_path: Path, sources: SourceSessions) -> None:
    (tmp_path / "loans.csv").write_text(f'\ufeffid;"{QUOTED}"\n1;2\n')
    book = openpyxl.Workbook()
    book.active.title = "Q1 2025"
    book.active.append(["id", "amount"])
    book.active.append([1, 2.5])
    book.save(tmp_path / "loans.xlsx")
    duckdb.connect().sql("SELECT 1::integer AS id, 2.5::decimal(9, 2) AS amount").write_parquet(
        str(tmp_path / "loans.parquet")
    )

    (csv,) = await sources.tables(file_source(SourceKind.CSV, tmp_path / "loans.csv"))
    (sheet,) = await sources.tables(file_source(SourceKind.EXCEL, tmp_path / "loans.xlsx"))
    (parquet,) = await sources.tables(file_source(SourceKind.PARQUET, tmp_path))

    assert (csv.name, [one.name for one in csv.columns]) == ("loans", ["id", HOSTILE])
    assert (sheet.name, [one.name for one in sheet.columns]) == ('"Q1 2025"', ["id", "amount"])
    assert [(one.name, one.type) for one in parquet.columns] == [
        ("id", "integer"),
        ("amount", "decimal(9,2)"),
    ]
    assert parquet.rows == 1


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"id,id\n1,2\n", "two columns of the same name"),
        (b"id,\n1,2\n", "a column without a name"),
        (b"", "a column without a name"),
        (b"t\xe9,id\n1,2\n", "not written in UTF-8"),
    ],
)
async def test_a_csv_file_without_usable_names_is_refused(
    tmp_path: Path, sources: SourceSessions, content: bytes, sentence: str
) -> None:
    path = tmp_path / "loans.csv"
    path.write_bytes(content)

    with pytest.raises(ItemFailed, match=sentence) as failed:
        await sources.tables(file_source(SourceKind.CSV, path))

    assert failed.value.item_code == "source_unreadable"


async def test_what_is_no_file_of_its_kind_is_refused(
    tmp_path: Path, sources: SourceSessions
) -> None:
    path = tmp_path / "loans"
    path.write_text("hello")
    for kind in (SourceKind.EXCEL, SourceKind.PARQUET):
        with pytest.raises(ItemFailed) as failed:
            await sources.tables(file_source(kind, path))
        assert failed.value.item_code == "source_unreadable"
    with pytest.raises(ItemFailed) as failed:
        await sources.tables(file_source(SourceKind.CSV, tmp_path / "nothing.csv"))
    assert failed.value.item_code == "source_missing"


@pytest.mark.parametrize("parts", [["loans"], ["sample", "loans"], ["Q1 2025", 'a"b.c'], ["é"]])
def test_a_name_is_read_as_it_is_written(parts: list[str]) -> None:
    assert split(quoted(parts)) == parts
    assert is_same(quoted(parts[-1:]), quoted(parts))


@pytest.mark.parametrize("name", ['"', "a.", ".a", 'a"b', '"a"b'])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="no name"):
        split(name)


def bound_to(folder: Path, **secrets: str) -> SourceSessions:
    access = SourceAccess(folders=[folder], secrets=list(secrets))
    return SourceSessions(access, secrets={**secrets, "UNBOUND": "postgresql://u:geheim@h/d"})


def csv_source(location: str) -> DataSource:
    return DataSource(name="file", kind=SourceKind.CSV, location=location)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for sources, next to a file that is not a source."""
    (tmp_path / "secret.csv").write_text("id\n1\n")
    folder = tmp_path / "sources"
    (folder / "cards").mkdir(parents=True)
    (folder / "loans.csv").write_text("id,amount\n1,2\n")
    (folder / "cards" / "june.csv").write_text("id\n1\n")
    return folder


@pytest.mark.parametrize("location", ["loans.csv", "cards/../loans.csv", "{folder}/loans.csv"])
async def test_a_file_below_a_folder_of_sources_is_read(folder: Path, location: str) -> None:
    (table,) = await bound_to(folder).tables(csv_source(location.format(folder=folder)))

    assert [one.name for one in table.columns] == ["id", "amount"]


@pytest.mark.parametrize(
    "location",
    [
        "../secret.csv",
        "cards/../../secret.csv",
        "{folder}/../secret.csv",
        "{folder}-too/x.csv",
        "link.csv",
        "linked/secret.csv",
        "linked",
        "with-a-link",
        "/etc/hostname",
        "/no/such/file",
    ],
)
async def test_nothing_else_is_read_and_nobody_learns_whether_it_is_there(
    folder: Path, location: str
) -> None:
    (folder / "link.csv").symlink_to(folder.parent / "secret.csv")
    (folder / "linked").symlink_to(folder.parent)
    (folder / "with-a-link").mkdir()
    (folder / "with-a-link" / "x.csv").symlink_to(folder.parent / "secret.csv")

    with pytest.raises(ItemFailed, match="LONGHAUL_SOURCES__FOLDERS") as failed:
        await bound_to(folder).tables(csv_source(location.format(folder=folder)))

    assert failed.value.item_code == "source_denied"


@pytest.mark.parametrize("name", ["loans[1]", "loan?", "loan*", "[a-z]oans", "[[]", "***"])
@pytest.mark.parametrize("kind", [SourceKind.CSV, SourceKind.PARQUET])
@pytest.mark.parametrize("whole", ["file", "folder"])
async def test_a_file_is_only_itself_whatever_its_name(
    folder: Path, name: str, kind: SourceKind, whole: str
) -> None:
    def write(stem: str, ids: Sequence[int]) -> None:
        path = folder / "cards" / f"{stem}.{kind}"
        rows = duckdb.connect().sql("SELECT unnest($1::integer[])::varchar AS id", params=[ids])
        target = folder / "written"
        rows.write_csv(str(target)) if kind is SourceKind.CSV else rows.write_parquet(str(target))
        target.rename(path)

    write(name, [1, 2, 3])
    for other in ("loans", "loans1", "x[", "x"):
        write(other, [9])
    location = "cards" if whole == "folder" else f"cards/{name}.{kind}"
    source = DataSource(name="file", kind=kind, location=location)

    def read(session: Session) -> list[tuple[str, ...]]:
        (table,) = [one for one in session.tables() if split(one.name) == [name]]
        assert table.rows == (None if kind is SourceKind.CSV else 3)
        return session.fetch(session.bind(table)[["id"]])

    assert await bound_to(folder).run(source, read) == [("1",), ("2",), ("3",)]


@pytest.mark.parametrize("location", ["gone.csv", "*.csv", "x" * 300, "loans.csv/x.csv"])
async def test_a_file_that_is_not_there_is_said_so(folder: Path, location: str) -> None:
    with pytest.raises(ItemFailed) as failed:
        await bound_to(folder).tables(csv_source(location))

    assert failed.value.item_code == "source_missing"


async def test_a_file_that_becomes_a_link_is_not_read_any_more(folder: Path) -> None:
    sources = bound_to(folder)
    await sources.tables(csv_source("loans.csv"))
    (folder / "loans.csv").unlink()
    (folder / "loans.csv").symlink_to(folder.parent / "secret.csv")

    with pytest.raises(ItemFailed) as failed:
        await sources.tables(csv_source("loans.csv"))

    assert failed.value.item_code == "source_denied"


async def test_a_variable_that_is_no_bound_secret_is_none(folder: Path, dsn: str) -> None:
    sources = bound_to(folder, BOUND=dsn)
    bound = DataSource(name="x", kind=SourceKind.POSTGRESQL, location="public", secret_ref="BOUND")

    assert await sources.tables(bound)
    with pytest.raises(ItemFailed, match="LONGHAUL_SOURCES__SECRETS") as failed:
        await sources.tables(replace(bound, secret_ref="UNBOUND"))

    assert failed.value.item_code == "secret_missing"
    assert "geheim" not in str(failed.value)
