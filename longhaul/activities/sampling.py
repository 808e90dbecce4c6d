"""Sampling: which rows a tester checks, and the confidence of such a sample."""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Annotated, Any, ClassVar
from uuid import UUID

from pydantic import Field, field_validator

from longhaul.activities.draft_jobs import DraftParameters, no_draft_any_more, prepare_draft
from longhaul.activities.drawing import Drawing, draw_all
from longhaul.activities.report_scope import AttributeIds
from longhaul.core.errors import InvalidInput, ItemFailed
from longhaul.core.items import Done, Failed, Item, ItemOutcome, ItemResult, NewItem, Skipped
from longhaul.core.job_types import ItemContext, JobType, Prepared, Queue
from longhaul.core.jobs import Counts, Job
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, Role
from longhaul.core.sampling import (
    Category,
    Frame,
    NewSample,
    SampleStatistics,
    SampleStore,
    TableSampler,
    key_hash,
    split,
)
from longhaul.core.single_flight import SingleFlight

NOUN = "sample set"
MOST_SAMPLES = 1_000
USUAL_SIZE = 25
USUAL: Mapping[Category, float] = {
    Category.CLEAN: 0.3,
    Category.ANOMALY: 0.5,
    Category.BOUNDARY: 0.2,
}

_SUM_WITHIN = 0.001
_DRAWINGS_KEPT = 8
_SEED_BYTES = 6

Share = Annotated[float, Field(ge=0, le=1)]


class SamplingParameters(DraftParameters):
    """How many rows of which kind are drawn."""

    how_to_name_it: ClassVar[str] = "cycle_id and report_id, or version_id"

    version_id: UUID | None = Field(
        None, description="a draft sample set; found or created when cycle and report are given"
    )
    target_sample_size: int = Field(USUAL_SIZE, ge=1, le=MOST_SAMPLES)
    distribution: dict[Category, Share] = Field(
        default_factory=lambda: dict(USUAL),
        description="fractions of clean, anomaly and boundary; they add up to 1",
    )
    seed: int | None = Field(
        None, ge=0, lt=2**63, description="the same seed and data give the same samples"
    )
    attribute_ids: AttributeIds | None = Field(
        None, description="when absent those of the approved scoping, else all"
    )

    @field_validator("distribution", mode="before")
    @classmethod
    def _in_any_case(cls, given: object) -> object:
        if not isinstance(given, dict):
            return given
        lowered = {key.lower() if isinstance(key, str) else key: given[key] for key in given}
        if len(lowered) < len(given):
            raise ValueError("a category occurs twice")
        return lowered

    @field_validator("distribution")
    @classmethod
    def _adds_up(cls, given: dict[Category, float]) -> dict[Category, float]:
        if abs(sum(given.values()) - 1) > _SUM_WITHIN:
            raise ValueError("the fractions must add up to 1")
        return {category: given.get(category, 0.0) for category in Category}


class SamplingType(JobType[SamplingParameters]):
    """Draws rows; its items are the slots of the sample.

    All slots share one drawing, made by the first that asks for it. It depends on seed and
    data only, so that any process draws the same.
    """

    name = "intelligent_sampling"
    title = "Sampling"
    task_name = "app.tasks.sample_selection.intelligent_sample"
    aliases = ("sample_generation", "sampling")
    parameters = SamplingParameters
    queue = Queue.DATA
    # The slots wait for the scans of the whole table.
    item_timeout = timedelta(minutes=30)
    roles = frozenset({Role.TESTER, Role.TEST_EXECUTIVE, Role.ADMIN})

    def __init__(
        self, *, store: SampleStore, sampler: TableSampler, statistics: SampleStatistics
    ) -> None:
        self._store = store
        self._sampler = sampler
        self._statistics = statistics
        self._drawings: SingleFlight[tuple[str, int], Drawing] = SingleFlight(_DRAWINGS_KEPT)

    async def prepare(
        self, tx: Transaction, parameters: SamplingParameters, principal: Principal
    ) -> Prepared[SamplingParameters]:
        """Find or create the draft sample set, and choose the seed.

        Raises:
            InvalidInput: They name something that does not exist or cannot be used.
        """
        prepared = await prepare_draft(
            self._store, tx, parameters, principal, noun=NOUN, makes="samples"
        )
        if parameters.seed is not None:
            return prepared
        seed = _seed_of(str(prepared.parameters.version_id))
        return replace(prepared, parameters=prepared.parameters.model_copy(update={"seed": seed}))

    async def items(
        self, tx: Transaction, parameters: SamplingParameters
    ) -> AsyncIterator[NewItem]:
        """List the slots."""
        for category, count in _wanted(parameters).items():
            for place in range(count):
                yield NewItem(
                    key=f"{category}-{place + 1}",
                    label=f"{category.capitalize()} sample {place + 1}",
                    payload={"category": category, "place": place},
                )

    async def do(self, item: Item, context: ItemContext[SamplingParameters]) -> ItemResult:
        """Take the row that was drawn for a slot.

        Raises:
            ItemFailed: The source cannot be read, or there is nothing in it.
        """
        job = context.job
        drawing = await self._drawings.get((job.id, job.attempt), lambda: self._draw(context))
        if drawing.is_empty:
            raise ItemFailed("nothing_to_sample", "The source has no rows to draw from.")
        category = Category(item.payload["category"])
        rows = drawing.rows[category]
        place = int(item.payload["place"])
        if place >= len(rows):
            return Skipped(drawing.reason(category))
        row = rows[place]
        names = drawing.keys[row.table]
        sample = NewSample(
            ordinal=item.ordinal,
            row=row,
            key_values={
                names.get(column, column): row.source_key[column] for column in row.source_key
            },
        )
        pool = row.pick.pool
        return Done(
            {
                "category": category,
                "kind": pool.kind,
                "attribute_id": pool.attribute_id,
                "rule_id": pool.rule_id,
                "risk": pool.risk,
            },
            rows=(sample, drawing.frame),
        )

    async def refuse(
        self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]
    ) -> Mapping[int, Failed]:
        """Refuse results for a set that is no longer a draft, and rows that are already in it."""
        set_id = job.parameters["version_id"]
        if not await self._store.hold_draft(tx, set_id):
            return no_draft_any_more(ended, NOUN)
        hashes = {sample.ordinal: _hash(sample) for sample, _ in _samples(ended)}
        taken = await self._store.taken(tx, set_id, job.id, list(hashes.values()))
        again = Failed("row_taken", "The source has changed, and the row was drawn before.")
        return {ordinal: again for ordinal, one in hashes.items() if one in taken}

    async def save(self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]) -> None:
        """Store samples, replacing those that nobody has decided on."""
        samples = _samples(ended)
        if samples:
            frame = samples[0][1]
            rows = [sample for sample, _ in samples]
            await self._store.replace(tx, job.parameters["version_id"], job.id, rows, frame)

    async def summarise(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any]:
        """Sum up what was drawn, what was not and why, and the sample's confidence."""
        totals = await self._store.totals(tx, job)
        generated = sum(totals.by_category.values())
        short = {
            category.value: missing
            for category, slots in totals.requested.items()
            if (missing := slots - totals.by_category[category])
        }
        frame = totals.frame or {"rows": 0, "attributes": []}
        return {
            "version_id": job.parameters["version_id"],
            "samples_generated": generated,
            "sample_count": generated,
            "requested": counts.total,
            "seed": job.parameters["seed"],
            "by_category": {one.value: totals.by_category[one] for one in Category},
            "shortfall": short,
            "shortfall_reasons": {
                one.value: reason for one, reason in totals.reasons.items() if one.value in short
            },
            "distribution_achieved": {
                one.value: round(count / generated, 4) if generated else 0.0
                for one, count in totals.by_category.items()
            },
            "statistical_basis": self._statistics.basis(
                frame["rows"], totals.clean, size=generated
            ),
            "attribute_results": [
                {**one, "samples": totals.by_attribute.get(one["attribute_id"], 0)}
                for one in frame["attributes"]
            ],
        }

    async def _draw(self, context: ItemContext[SamplingParameters]) -> Drawing:
        wanted = context.parameters
        if wanted.cycle_id is None or wanted.report_id is None or wanted.seed is None:
            raise InvalidInput("The parameters were not resolved when the job was created.")
        async with context.database.begin() as tx:
            scope = await self._store.scope(
                tx, wanted.cycle_id, wanted.report_id, wanted.attribute_ids
            )
            decided = await self._store.decided_keys(tx, str(wanted.version_id), context.job.id)
        drawing = await draw_all(
            self._sampler, scope, wanted=_wanted(wanted), seed=wanted.seed, decided=decided
        )
        context.log("drawn", rows=drawing.frame.rows, scoped_by=scope.scoped_by)
        return drawing


def _wanted(parameters: SamplingParameters) -> Mapping[Category, int]:
    return split(parameters.target_sample_size, parameters.distribution)


def _samples(ended: Sequence[ItemOutcome]) -> list[tuple[NewSample, Frame]]:
    return [one.result.rows for one in ended if isinstance(one.result, Done) and one.result.rows]


def _hash(sample: NewSample) -> str:
    return key_hash(sample.row.table, sample.row.source_key)


def _seed_of(set_id: str) -> int:
    digest = hashlib.sha256(set_id.encode()).digest()
    return int.from_bytes(digest[:_SEED_BYTES], "big")
