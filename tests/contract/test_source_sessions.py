"""Threads of source sessions: separate from others, and always released."""

import asyncio
import gc
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import asyncpg
import openpyxl
import pytest

from longhaul.adapters.sources.sessions import SESSIONS, SourceSessions
from longhaul.core.errors import ItemFailed, Unavailable
from longhaul.core.sources import DataSource, SourceAccess, SourceKind, refusal_of
from tests.waiting import PATIENCE, until

OWN = DataSource(name="own", kind=SourceKind.POSTGRESQL, location="landing.t")
_RUNNING = (
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'longhaul-sources'"
    " AND datname = current_database() AND wait_event = 'PgSleep'"
)


@pytest.fixture
def file(tmp_path: Path) -> DataSource:
    path = tmp_path / "t.csv"
    path.write_text("a\n1\n", encoding="utf-8")
    return DataSource(name="file", kind=SourceKind.CSV, location=str(path))


@pytest.fixture
async def connection(dsn: str) -> AsyncIterator[Any]:
    opened = await asyncpg.connect(dsn)
    await opened.execute("CREATE SCHEMA landing")
    yield opened
    await opened.close()


@pytest.fixture
async def one_thread() -> AsyncIterator[None]:
    """Limit asyncio to a single thread."""
    loop = asyncio.get_running_loop()
    only = ThreadPoolExecutor(1)
    loop.set_default_executor(only)
    yield
    # The loop outlives the test.
    loop.set_default_executor(ThreadPoolExecutor())
    only.shutdown(wait=False)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What sessions wait for; always open at the end."""
    opened = threading.Event()
    yield opened
    opened.set()


@pytest.fixture
async def complaints() -> AsyncIterator[list[Any]]:
    """Complaints that asyncio would log."""
    loop = asyncio.get_running_loop()
    heard: list[Any] = []
    before = loop.get_exception_handler()
    loop.set_exception_handler(lambda _loop, context: heard.append(context))
    yield heard
    loop.set_exception_handler(before)


def _held_by(gate: threading.Event) -> Callable[[Any], bool]:
    return lambda _session: gate.wait(PATIENCE)


async def test_a_long_look_takes_no_thread_that_somebody_else_needs(
    file: DataSource, gate: threading.Event, one_thread: None
) -> None:
    begun = threading.Event()

    def hold(_session: Any) -> bool:
        begun.set()
        return gate.wait(PATIENCE)

    look = asyncio.create_task(SourceSessions(SourceAccess()).run(file, hold))

    async def has_begun() -> bool:
        return begun.is_set()

    await until(has_begun, what="the look")
    async with asyncio.timeout(PATIENCE):
        assert await asyncio.to_thread(lambda: "done") == "done"
    assert not look.done()
    gate.set()
    assert await look


async def test_whoever_is_cancelled_twice_takes_the_query_along_all_the_same(
    connection: Any, dsn: str, gate: threading.Event, one_thread: None
) -> None:
    await connection.execute("CREATE VIEW landing.t AS SELECT pg_sleep(600)::text AS a")

    async def is_running() -> bool:
        return bool(await connection.fetchval(_RUNNING))

    async def is_over() -> bool:
        return not await is_running()

    def ask(session: Any) -> Any:
        return session.query("SELECT a FROM landing.t")

    look = asyncio.create_task(SourceSessions(SourceAccess(own_dsn=dsn)).run(OWN, ask))
    await until(is_running, what="the query")
    # Nobody gets a thread from asyncio now, as on a machine whose items all read documents.
    other = asyncio.create_task(asyncio.to_thread(gate.wait, PATIENCE))
    await asyncio.sleep(0)
    look.cancel()
    await asyncio.sleep(0)
    look.cancel()
    with pytest.raises(asyncio.CancelledError):
        await look
    await until(is_over, what="the query to end")
    gate.set()
    await other


async def test_a_look_that_has_not_begun_is_given_up_at_once(
    file: DataSource, gate: threading.Event
) -> None:
    sessions = SourceSessions(SourceAccess(memory_mb=32))
    begun: list[Any] = []

    def note(_session: Any) -> None:
        begun.append(_session)

    holders = [asyncio.create_task(sessions.run(file, _held_by(gate))) for _ in range(SESSIONS)]
    look = asyncio.create_task(sessions.run(file, note))
    await asyncio.sleep(0)
    look.cancel()
    async with asyncio.timeout(PATIENCE):
        with pytest.raises(asyncio.CancelledError):
            await look
    assert not any(holder.done() for holder in holders)
    gate.set()
    assert all(await asyncio.gather(*holders))
    assert not begun


async def test_nothing_is_logged_of_a_look_that_fails_after_it_was_cancelled(
    file: DataSource, gate: threading.Event, complaints: list[Any]
) -> None:
    begun = threading.Event()

    def fail(_session: Any) -> None:
        begun.set()
        gate.wait(PATIENCE)
        raise ItemFailed("source_unreadable", "The row of Ann Smith cannot be read.")

    async def has_begun() -> bool:
        return begun.is_set()

    look = asyncio.create_task(SourceSessions(SourceAccess()).run(file, fail))
    await until(has_begun, what="the look")
    look.cancel()
    await asyncio.sleep(0)
    gate.set()
    await asyncio.wait({look})
    assert look.cancelled()
    del look
    # asyncio complains of what nobody looked at when it is let go of.
    gc.collect()

    assert complaints == []


async def test_a_file_is_copied_below_the_folder_for_it_and_only_while_it_is_read(
    file: DataSource, tmp_path: Path
) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()

    def look(session: Any) -> list[str]:
        session.bind(session.table(None))
        return sorted(path.name for path in scratch.glob("*/*"))

    assert "copy.duckdb" in await SourceSessions(SourceAccess(scratch=scratch)).run(file, look)
    assert not list(scratch.iterdir())


async def test_a_folder_for_copies_that_cannot_be_written_to_is_named(
    file: DataSource, tmp_path: Path
) -> None:
    sessions = SourceSessions(SourceAccess(scratch=tmp_path / "missing"))

    with pytest.raises(ItemFailed, match="LONGHAUL_SOURCES__SCRATCH") as failed:
        await sessions.tables(file)

    assert failed.value.item_code == "no_scratch"
    assert isinstance(refusal_of(failed.value, "/location"), Unavailable)


async def test_a_full_disk_is_not_said_to_be_a_bad_file(tmp_path: Path) -> None:
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    path = tmp_path / "book.xlsx"
    book = openpyxl.Workbook()
    book.active.append(["a"])
    book.active.append(["x" * 20_000])
    book.save(path)

    def look(session: Any) -> None:
        table = session.table(None)
        (folder,) = scratch.iterdir()
        # A device that is always full, where the sheet will be written.
        (folder / "sheet.csv").symlink_to("/dev/full")
        session.bind(table)

    source = DataSource(name="book", kind=SourceKind.EXCEL, location=str(path))
    with pytest.raises(ItemFailed, match="free space") as failed:
        await SourceSessions(SourceAccess(scratch=scratch)).run(source, look)

    assert failed.value.item_code == "no_scratch"


async def test_a_file_larger_than_its_memory_is_read(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8") as lines:
        lines.write("a,b\n")
        # One of them nearly as long as a line may be, and across what is read at once.
        lines.writelines(
            f"{n},{'x' * (15_900_000 if n == 50 else 10_000)}\n" for n in range(16_000)
        )
    source = DataSource(name="file", kind=SourceKind.CSV, location=str(path))

    def look(session: Any) -> Any:
        rows = session.bind(session.table(None))
        return session.fetch(rows.aggregate(n=rows.count(), longest=rows.b.length().max()))

    assert await SourceSessions(SourceAccess(memory_mb=128)).run(source, look) == [
        (16_000, 15_900_000)
    ]
