"""The sample report with its columns mapped and offline rules that both have approved."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from longhaul.adapters.offline.rule_writer import OfflineRuleWriter
from longhaul.adapters.postgres.database import PostgresDatabase
from longhaul.adapters.postgres.jobs import PostgresJobs
from longhaul.adapters.postgres.ledger import PostgresLedger
from longhaul.adapters.postgres.rules import PostgresRules
from longhaul.adapters.sample.form import read_form
from longhaul.adapters.sample.report import SampleReport, load_sample
from longhaul.core.items import NewItem
from longhaul.core.rules import NewRules
from tests.factories import make_new_job


@dataclass(frozen=True)
class Approved:
    """A report that is ready for rule execution."""

    report: SampleReport
    version_id: str
    rules: int


class NoCalls:
    async def ask(self, **_: object) -> object:
        raise AssertionError("the offline analyst asked a model")


async def approve_rules(
    database: PostgresDatabase, *, rows: int = 300, random_seed: int = 11, attributes: int = 117
) -> Approved:
    """Load the report, map it, let the offline analyst propose, and approve everything.

    Only attributes that have a column get rules.
    """
    report = await load_sample(database, rows=rows, random_seed=random_seed)
    await map_columns(database, report)
    store, writer = PostgresRules(), OfflineRuleWriter()
    async with database.begin() as tx:
        version = await store.draft(tx, report.cycle_id, report.report_id, "u-1")
        assert version is not None
        names = list(await store.names(tx, report.cycle_id, report.report_id))
        proposals = []
        for ordinal, attribute_id in enumerate(list(report.attribute_ids.values())[:attributes]):
            attribute = await store.attribute(tx, attribute_id)
            assert attribute is not None
            if attribute.column is None:
                continue
            siblings = [name for name in names if name != attribute.name]
            proposal = await writer.propose(attribute, siblings, {}, NoCalls())  # type: ignore[arg-type]
            proposals.append(
                NewRules(attribute_id=attribute_id, ordinal=ordinal, proposal=proposal)
            )
        job_id = "00000000-0000-4000-8000-000000000001"
        await store.replace(tx, version.id, job_id, proposals)
        rules = await tx.execute(
            "UPDATE rule SET tester_decision = 'approved', report_owner_decision = 'approved',"
            " status = 'approved' WHERE version_id = $1",
            version.id,
        )
    return Approved(report, version.id, rules)


async def map_columns(database: PostgresDatabase, report: SampleReport) -> None:
    """Map each attribute to the column that the form knows of; some have none."""
    columns = {one.name: one.column for one in read_form("a1").fields if one.column}
    records = [
        (attribute_id, columns[name])
        for name, attribute_id in report.attribute_ids.items()
        if name in columns
    ]
    async with database.begin() as tx:
        await tx.execute(
            "INSERT INTO pde_mapping (phase_id, attribute_id, data_source_id, table_name,"
            " column_name) SELECT $1, m.id, $2, $3, m.name"
            " FROM unnest($4::integer[], $5::text[]) AS m (id, name) ON CONFLICT DO NOTHING",
            report.phase_ids["Planning"],
            report.data_source_id,
            report.table,
            [one for one, _ in records],
            [name for _, name in records],
        )


async def plan_items(database: PostgresDatabase, approved: Approved) -> str:
    """The id of a job whose open items are the approved rules."""
    job_id = "00000000-0000-4000-8000-000000000002"
    async with database.begin() as tx:
        job = await PostgresJobs().insert(
            tx,
            make_new_job(
                id=job_id,
                job_type="data_profiling_rule_execution",
                parameters={"version_id": approved.version_id},
            ),
        )
        assert job is not None
        rows = await tx.fetch("SELECT id FROM rule WHERE version_id = $1", approved.version_id)

        async def items() -> AsyncIterator[NewItem]:
            for row in rows:
                yield NewItem(key=f"rule-{row['id']}", payload={"rule_id": str(row["id"])})

        await PostgresLedger(database).add(tx, job_id, items())
    return job_id
