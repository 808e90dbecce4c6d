"""Scoping: which attributes of a report are risky enough to be tested."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from longhaul.activities.report_scope import (
    AttributeIds,
    RowId,
    attribute_items,
    check_attributes,
    find_draft,
)
from longhaul.core.errors import InvalidInput, ItemFailed
from longhaul.core.items import Done, Ended, Failed, Item, ItemResult, NewItem, Skipped
from longhaul.core.job_types import ItemContext, JobType, Prepared, Queue
from longhaul.core.jobs import Counts, Job
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, Role
from longhaul.core.scoping import (
    NewRecommendation,
    RecommendationStanding,
    ScopingProposal,
    ScopingStore,
    Scorer,
)
from longhaul.core.single_flight import SingleFlight

OFFLINE = "offline"

_JOBS_REMEMBERED = 32


class ScopingParameters(BaseModel):
    """Which attributes are judged, and in which version."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version_id: UUID | None = Field(
        None, description="a draft version; found or created when cycle_id and report_id are given"
    )
    cycle_id: RowId | None = Field(None, description="goes with report_id")
    report_id: RowId | None = Field(None, description="goes with cycle_id")
    attribute_ids: AttributeIds | None = Field(
        None, description="all active attributes when absent"
    )
    force_regenerate: bool = Field(
        False, description="also for attributes that have a recommendation that nobody decided on"
    )

    @model_validator(mode="after")
    def _names_a_version(self) -> Self:
        if (self.cycle_id is None) != (self.report_id is None):
            raise ValueError("cycle_id and report_id go together")
        if self.version_id is None and self.cycle_id is None:
            raise ValueError("give version_id, or cycle_id and report_id")
        return self


class ScopingType(JobType[ScopingParameters]):
    """Judges the risk of each attribute and recommends to test it or to skip it.

    Args:
        offline: Judges for jobs that were planned with the provider `offline`.
        model: Judges for all others.
        frozen: Provider, model and prompt version for jobs that are planned from now on.
    """

    name = "scoping_recommendations"
    title = "Scoping"
    task_name = "app.tasks.scoping.generate_recommendations"
    aliases = ("scoping_llm_recommendations", "scoping")
    parameters = ScopingParameters
    queue = Queue.LLM
    item_timeout = timedelta(minutes=5)
    roles = frozenset({Role.TESTER, Role.TEST_EXECUTIVE, Role.ADMIN})

    def __init__(
        self,
        *,
        store: ScopingStore,
        offline: Scorer,
        model: Scorer,
        frozen: Mapping[str, Any],
    ) -> None:
        self._store = store
        self._offline = offline
        self._model = model
        self._frozen = frozen
        self._names = SingleFlight[tuple[str, int], Sequence[str]](_JOBS_REMEMBERED)

    async def prepare(
        self, tx: Transaction, parameters: ScopingParameters, principal: Principal
    ) -> Prepared[ScopingParameters]:
        """Find or create the draft version, and check that the attributes are the report's.

        Raises:
            InvalidInput: They name something that does not exist or cannot be used.
        """
        version = await find_draft(
            self._store,
            tx,
            version_id=parameters.version_id,
            cycle_id=parameters.cycle_id,
            report_id=parameters.report_id,
            principal=principal,
            noun="scoping version",
            makes="recommendations",
        )
        await check_attributes(
            self._store, tx, version.cycle_id, version.report_id, parameters.attribute_ids
        )
        resolved = parameters.model_copy(
            update={
                "version_id": UUID(version.id),
                "cycle_id": version.cycle_id,
                "report_id": version.report_id,
            }
        )
        return Prepared(
            parameters=resolved,
            cycle_id=version.cycle_id,
            report_id=version.report_id,
            phase_id=version.phase_id,
            singleton=True,
            report_name=version.report_name,
        )

    def freeze(self) -> Mapping[str, Any]:
        """Provider, model and prompt version."""
        return self._frozen

    def items(self, tx: Transaction, parameters: ScopingParameters) -> AsyncIterator[NewItem]:
        """List the attributes in the order of the form."""
        return attribute_items(
            self._store, tx, *_report(parameters), parameters.attribute_ids, verb="Risk of"
        )

    async def do(self, item: Item, context: ItemContext[ScopingParameters]) -> ItemResult:
        """Judge one attribute.

        Raises:
            ItemFailed: The attribute is gone, or no usable answer can be had.
        """
        attribute_id = int(item.payload["attribute_id"])
        version_id = str(context.parameters.version_id)
        async with context.database.begin() as tx:
            attribute = await self._store.attribute(tx, attribute_id)
            standing = await self._store.standing(tx, version_id, attribute_id)
            measures = await self._store.measures(tx, attribute_id)
        if attribute is None:
            raise ItemFailed("attribute_missing", "The attribute is no longer active.")
        if standing is RecommendationStanding.DECIDED:
            return Skipped("A person has decided on the recommendation for the attribute.")
        is_there = standing is RecommendationStanding.PROPOSED
        if is_there and not context.parameters.force_regenerate:
            return Skipped("The attribute already has a recommendation in this version.")
        names = await self._names.get(
            (context.job.id, context.job.attempt), lambda: self._names_of(context)
        )
        siblings = [name for name in names if name != attribute.name]
        frozen = context.job.frozen
        scorer = self._offline if frozen["provider"] == OFFLINE else self._model
        proposal = await scorer.propose(attribute, siblings, measures, frozen, context.calls)
        return Done(
            {
                "recommendation": proposal.recommendation,
                "risk_score": proposal.score.total,
                "priority": proposal.score.priority,
                "confidence": proposal.confidence,
                "measured": measures is not None,
                "provider": proposal.provider,
            },
            rows=proposal,
        )

    async def refuse(
        self, tx: Transaction, job: Job, ended: Sequence[Ended]
    ) -> Mapping[int, Failed]:
        """Refuse what may no longer be stored: the version is closed, or people have decided."""
        version_id = job.parameters["version_id"]
        if not await self._store.hold_draft(tx, version_id):
            closed = Failed(
                "version_not_draft",
                "The scoping version is no longer a draft; start a job for a new one.",
            )
            return {one.item.ordinal: closed for one in ended}
        ids = {one.item.ordinal: int(one.item.payload["attribute_id"]) for one in ended}
        decided = await self._store.hold_decided(tx, version_id, sorted(ids.values()))
        failed = Failed(
            "decided_meanwhile", "A person decided on the attribute while the job was at it."
        )
        return {ordinal: failed for ordinal, id_ in ids.items() if id_ in decided}

    async def save(self, tx: Transaction, job: Job, ended: Sequence[Ended]) -> None:
        """Store the recommendations in the place of those that nobody has decided on."""
        recommendations = [
            NewRecommendation(
                attribute_id=int(one.item.payload["attribute_id"]),
                ordinal=one.item.ordinal,
                proposal=one.result.rows,
            )
            for one in ended
            if isinstance(one.result, Done) and isinstance(one.result.rows, ScopingProposal)
        ]
        await self._store.replace(tx, job.parameters["version_id"], job.id, recommendations)

    async def summarise(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any]:
        """Count what was recommended."""
        version_id = job.parameters["version_id"]
        totals = await self._store.totals(tx, version_id, job.id)
        generated = totals.test + totals.skip
        have_one = generated + counts.skipped
        return {
            "version_id": version_id,
            "recommendations_generated": generated,
            "recommendations_failed": counts.failed,
            "test_recommendations": totals.test,
            "skip_recommendations": totals.skip,
            "already_recommended": counts.skipped,
            "total_attributes": counts.total,
            "success_rate": round(100 * have_one / counts.total, 2) if counts.total else 0.0,
        }

    async def _names_of(self, context: ItemContext[ScopingParameters]) -> Sequence[str]:
        async with context.database.begin() as tx:
            return await self._store.names(tx, *_report(context.parameters))


def _report(parameters: ScopingParameters) -> tuple[int, int]:
    if parameters.cycle_id is None or parameters.report_id is None:
        raise InvalidInput("The parameters were not resolved when the job was created.")
    return parameters.cycle_id, parameters.report_id
