"""A small report with a mapped source table, approved samples of it, and the jobs over both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.core.attributes import Attribute, Obligation
from longhaul.core.formats import DataType
from tests.rule_samples import Seeded, make_attribute, seed_report

COLUMNS: Mapping[str, str] = {
    "Loan Number": "ln_nbr",
    "Original LTV": "orig_ltv",
    "Close Date": "close_dt",
    "State": "st_cd",
}
ATTRIBUTES: Sequence[Attribute] = (
    make_attribute("Loan Number", DataType.STRING, format="Character(32)", is_key=True),
    make_attribute("Original LTV"),
    make_attribute("Close Date", DataType.DATE, format="YYYYMMDD", has_issues=True),
    make_attribute("State", DataType.STRING, format="Character(2)", mandatory=Obligation.OPTIONAL),
)
ROWS: Sequence[tuple[str | None, ...]] = (
    ("4711000017", "80.00", "20240305", "CA"),
    ("4711000024", "95.00", "20240401", "TX"),
    ("4711000031", None, "20240402", "NY"),
)


@dataclass(frozen=True)
class Loans:
    """The stored report."""

    database: PostgresDatabase
    seeded: Seeded
    source_id: int

    async def fetch(self, sql: str, *values: object) -> list[Any]:
        async with self.database.begin() as tx:
            return list(await tx.fetch(sql, *values))

    async def approve_samples(self, rows: Sequence[tuple[str | None, ...]] = ROWS) -> str:
        """Store an approved sample set with one sample a row; return its id."""
        (phase,) = await self.fetch("SELECT id FROM phase LIMIT 1")
        (made,) = await self.fetch(
            "INSERT INTO sample_set (id, cycle_id, report_id, phase_id, number, status, created_by,"
            " created_at) SELECT gen_random_uuid(), $1, $2, $3, count(*) + 1, 'approved', 'u-1',"
            " now() FROM sample_set RETURNING id",
            self.seeded.cycle_id,
            self.seeded.report_id,
            phase["id"],
        )
        for ordinal, row in enumerate(rows):
            data = dict(zip(COLUMNS, row, strict=True))
            await self.fetch(
                "INSERT INTO sample (set_id, attribute_id, category, kind, data_source_id,"
                " table_name, source_key, key_hash, key_values, row_data, rationale, risk,"
                " confidence, provider, model, prompt_version, status, ordinal, created_at)"
                " VALUES ($1, $2, 'clean', 'clean', $3, 'landing.loans', $4, $5, $6, $7,"
                " 'As drawn.', 'low', 0.9, 'offline', 'm', '1', 'approved', $8, now())"
                " RETURNING id",
                made["id"],
                self.seeded.attribute_ids[0],
                self.source_id,
                {"ln_nbr": row[0]},
                str(row[0]),
                {"Loan Number": row[0]},
                data,
                ordinal,
            )
        return str(made["id"])


async def seed_loans(database: PostgresDatabase, *, secret_ref: str | None = None) -> Loans:
    """Store the report, its source table `landing.loans` and the mapping between both."""
    seeded = await seed_report(database, ATTRIBUTES)
    async with database.begin() as tx:
        await tx.execute("CREATE SCHEMA landing")
        columns = ", ".join(f"{name} text" for name in COLUMNS.values())
        await tx.execute(f"CREATE TABLE landing.loans ({columns})")
        await tx.execute(
            "INSERT INTO landing.loans SELECT r ->> 0, r ->> 1, r ->> 2, r ->> 3"
            " FROM jsonb_array_elements($1) AS r",
            [list(row) for row in ROWS],
        )
        (source,) = await tx.fetch(
            "INSERT INTO data_source (report_id, name, kind, location, secret_ref)"
            " VALUES ($1, 'Landing', 'postgresql', 'landing.loans', $2) RETURNING id",
            seeded.report_id,
            secret_ref,
        )
        for attribute_id, column in zip(seeded.attribute_ids, COLUMNS.values(), strict=True):
            await tx.execute(
                "INSERT INTO pde_mapping (phase_id, attribute_id, data_source_id, table_name,"
                " column_name) SELECT phase_id, id, $2, 'landing.loans', $3 FROM attribute"
                " WHERE id = $1",
                attribute_id,
                source["id"],
                column,
            )
    return Loans(database, seeded, source["id"])
