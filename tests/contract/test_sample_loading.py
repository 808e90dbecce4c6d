import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.reports import PHASES
from longhaul.adapters.sample.form import read_form
from longhaul.adapters.sample.generator import SampleTable
from longhaul.adapters.sample.report import SampleReport, load_sample
from longhaul.core.errors import InvalidInput

TABLES = ("report", "cycle", "cycle_report", "phase", "attribute", "data_source", "pde_mapping")


async def load(
    database: PostgresDatabase,
    *,
    rows: int = 250,
    attributes: int = 117,
    seed: int = 1,
    form: str = "a1",
) -> SampleReport:
    return await load_sample(
        database, rows=rows, attributes=attributes, random_seed=seed, form=form
    )


async def fetch(database: PostgresDatabase, sql: str, *values: object) -> list[tuple[Any, ...]]:
    async with database.begin() as tx:
        return [tuple(row.values()) for row in await tx.fetch(sql, *values)]


async def everything(
    database: PostgresDatabase, *tables: str
) -> dict[str, Sequence[tuple[Any, ...]]]:
    return {
        table: sorted(await fetch(database, f"SELECT * FROM {table}"), key=repr)
        for table in (*TABLES, *tables)
    }


async def test_loading_twice_gives_the_same_ids_and_rows(database: PostgresDatabase) -> None:
    first = await load(database)
    before = await everything(database, first.table)

    second = await load(database)

    assert second == first
    assert await everything(database, second.table) == before


async def test_two_loads_at_once_give_the_same_report(database: PostgresDatabase) -> None:
    first, second = await asyncio.gather(load(database), load(database))

    assert first == second
    assert await fetch(database, f"SELECT count(*) FROM {first.table}") == [(250,)]


async def test_the_source_table_holds_what_the_generator_makes(database: PostgresDatabase) -> None:
    loaded = await load(database, form="b1", attributes=107)
    table = SampleTable(read_form("b1"), random_seed=1)

    assert loaded.table == "sample.fry14m_b1"
    assert await fetch(database, f"SELECT * FROM {loaded.table} ORDER BY ctid") == [
        row.values for row in table.rows(250)
    ]
    assert loaded.anomalies == tuple(table.anomalies(250))


async def test_all_columns_are_text_in_their_order(database: PostgresDatabase) -> None:
    loaded = await load(database, rows=0)

    columns = await fetch(
        database,
        "SELECT column_name, data_type FROM information_schema.columns "
        "WHERE table_schema || '.' || table_name = $1 ORDER BY ordinal_position",
        loaded.table,
    )

    expected = SampleTable(read_form("a1"), random_seed=1).columns
    assert columns == [(name, "text") for name in expected]


async def test_a_recorded_anomaly_is_found_by_its_key(database: PostgresDatabase) -> None:
    loaded = await load(database, rows=1_000)
    table = SampleTable(read_form("a1"), random_seed=1)
    planted = [
        (row.anomaly, row.values[table.columns.index(row.anomaly.column)])
        for row in table.rows(1_000)
        if row.anomaly
    ]

    assert loaded.anomaly_count == len(planted) == 10
    for anomaly, value in planted:
        found = await fetch(
            database,
            f"SELECT {anomaly.column} FROM {loaded.table} WHERE ln_nbr = $1",
            anomaly.row_key,
        )
        assert (value,) in found


async def test_a_report_has_its_cycle_phases_and_source(database: PostgresDatabase) -> None:
    loaded = await load(database)

    assert tuple(loaded.phase_ids) == PHASES
    assert await fetch(database, "SELECT id, name, regulation FROM report") == [
        (loaded.report_id, "FR Y-14M A.1", "FR Y-14M")
    ]
    assert await fetch(database, "SELECT cycle_id, report_id FROM cycle_report") == [
        (loaded.cycle_id, loaded.report_id)
    ]
    assert await fetch(
        database, "SELECT name, id FROM phase WHERE cycle_id = $1 ORDER BY id", loaded.cycle_id
    ) == list(loaded.phase_ids.items())
    assert await fetch(
        database, "SELECT id, report_id, kind, location, secret_ref FROM data_source"
    ) == [(loaded.data_source_id, loaded.report_id, "postgresql", "sample.fry14m_a1", None)]


async def test_attributes_say_what_the_form_says(database: PostgresDatabase) -> None:
    loaded = await load(database)

    stored = await fetch(
        database,
        "SELECT line_no, name, mdrm, data_type, mandatory, description, format, is_key, is_cde, "
        "has_issues, is_active FROM attribute WHERE phase_id = $1 ORDER BY id",
        loaded.phase_ids["Planning"],
    )

    assert list(loaded.attribute_ids) == [row[1] for row in stored]
    assert stored == [
        (
            field.line_no,
            field.name,
            field.mdrm,
            str(field.format.data_type),
            str(field.mandatory),
            field.description,
            field.format_text,
            field.is_key,
            field.is_cde,
            field.has_issues,
            True,
        )
        for field in read_form("a1").fields
    ]


async def test_sample_values_are_the_first_five_distinct_ones(database: PostgresDatabase) -> None:
    loaded = await load(database)

    stored = dict(await fetch(database, "SELECT name, sample_values FROM attribute"))

    for name, column in read_form("a1").columns().items():
        if column is None:
            assert stored[name] == []
        else:
            values = await fetch(
                database,
                f"SELECT {column} FROM {loaded.table} WHERE {column} IS NOT NULL ORDER BY ctid",
            )
            assert stored[name] == list(dict.fromkeys(value for (value,) in values))[:5]


async def test_another_seed_replaces_the_rows_and_keeps_the_ids(database: PostgresDatabase) -> None:
    first = await load(database, seed=1)
    before = await fetch(database, f"SELECT * FROM {first.table}")

    second = await load(database, seed=2)

    assert replace(second, anomalies=first.anomalies) == first
    assert await fetch(database, f"SELECT * FROM {first.table}") != before


async def test_reports_of_other_sizes_and_forms_stand_beside_each_other(
    database: PostgresDatabase,
) -> None:
    loaded = [
        await load(database, rows=20),
        await load(database, rows=20, attributes=300),
        await load(database, rows=20, attributes=107, form="b1"),
    ]

    assert [report.report_name for report in loaded] == [
        "FR Y-14M A.1",
        "FR Y-14M A.1 × 300",
        "FR Y-14M B.1",
    ]
    assert len({report.cycle_id for report in loaded}) == 1
    assert len({report.report_id for report in loaded}) == 3
    assert len({report.table for report in loaded}) == 3
    assert [len(report.attribute_ids) for report in loaded] == [117, 300, 107]
    assert await fetch(database, "SELECT count(*) FROM attribute") == [(524,)]


async def test_two_thousand_attributes_load(database: PostgresDatabase) -> None:
    loaded = await load(database, rows=110, attributes=2_000)

    assert len(loaded.attribute_ids) == 2_000
    assert await fetch(database, f"SELECT count(*) FROM {loaded.table}") == [(110,)]


async def test_rows_beyond_one_copy_load(database: PostgresDatabase) -> None:
    loaded = await load(database, rows=9_000)

    assert await fetch(database, f"SELECT count(*) FROM {loaded.table}") == [(9_000,)]


async def test_mappings_of_a_report_outlive_its_refresh(database: PostgresDatabase) -> None:
    loaded = await load(database)
    attribute = loaded.attribute_ids["Loan Number"]
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO pde_mapping (phase_id, attribute_id, data_source_id, column_name) "
            "VALUES ($1, $2, $3, 'ln_nbr')",
            loaded.phase_ids["Planning"],
            attribute,
            loaded.data_source_id,
        )

    await load(database, seed=2)

    assert await fetch(database, "SELECT attribute_id, column_name FROM pde_mapping") == [
        (attribute, "ln_nbr")
    ]


async def test_an_attribute_that_left_the_form_is_retired(database: PostgresDatabase) -> None:
    loaded = await load(database)
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO attribute (phase_id, line_no, name, data_type, mandatory) "
            "VALUES ($1, 26, 'Documentation Level', 'String', 'Optional')",
            loaded.phase_ids["Planning"],
        )

    await load(database)

    assert await fetch(database, "SELECT name FROM attribute WHERE NOT is_active") == [
        ("Documentation Level",)
    ]


async def test_the_next_user_of_the_connection_finds_its_own_tables(dsn: str) -> None:
    async with PostgresDatabase.open(dsn, connections=1) as database:
        await load(database, rows=5)

        assert await fetch(database, "SHOW search_path") == [('"$user", public',)]


@pytest.mark.parametrize(
    ("rows", "attributes", "form"), [(-1, 117, "a1"), (10, 0, "a1"), (10, 117, "c1")]
)
async def test_impossible_samples_are_refused(
    database: PostgresDatabase, rows: int, attributes: int, form: str
) -> None:
    with pytest.raises(InvalidInput):
        await load(database, rows=rows, attributes=attributes, form=form)
