"""Scoping: which attributes of a report are risky enough to be tested."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Any

from pydantic import Field

from longhaul.activities.draft_jobs import (
    DraftParameters,
    SiblingNames,
    no_draft_any_more,
    prepare_draft,
)
from longhaul.activities.report_scope import attribute_items
from longhaul.core.errors import ItemFailed
from longhaul.core.items import Done, Failed, Item, ItemOutcome, ItemResult, NewItem, Skipped
from longhaul.core.job_types import ItemContext, JobType, Prepared, Queue, for_provider
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

NOUN = "scoping version"


class ScopingParameters(DraftParameters):
    """Which attributes are judged, and in which version."""

    force_regenerate: bool = Field(
        False, description="also for attributes that have a recommendation that nobody decided on"
    )


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
        self._siblings = SiblingNames(store)

    async def prepare(
        self, tx: Transaction, parameters: ScopingParameters, principal: Principal
    ) -> Prepared[ScopingParameters]:
        """Find or create the draft version, and check that the attributes are the report's.

        Raises:
            InvalidInput: They name something that does not exist or cannot be used.
        """
        return await prepare_draft(
            self._store, tx, parameters, principal, noun=NOUN, makes="recommendations"
        )

    def freeze(self) -> Mapping[str, Any]:
        """Provider, model and prompt version."""
        return self._frozen

    def items(self, tx: Transaction, parameters: ScopingParameters) -> AsyncIterator[NewItem]:
        """List the attributes in the order of the form."""
        return attribute_items(
            self._store, tx, *parameters.report, parameters.attribute_ids, verb="Risk of"
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
        siblings = await self._siblings.of(attribute.name, context)
        frozen = context.job.frozen
        scorer = for_provider(frozen, offline=self._offline, model=self._model)
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
        self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]
    ) -> Mapping[int, Failed]:
        """Refuse results of a closed version, and of attributes that people have decided on."""
        version_id = job.parameters["version_id"]
        if not await self._store.hold_draft(tx, version_id):
            return no_draft_any_more(ended, NOUN)
        ids = {one.item.ordinal: int(one.item.payload["attribute_id"]) for one in ended}
        decided = await self._store.hold_decided(tx, version_id, sorted(ids.values()))
        failed = Failed(
            "decided_meanwhile", "A person decided on the attribute while the job was running."
        )
        return {ordinal: failed for ordinal, id_ in ids.items() if id_ in decided}

    async def save(self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]) -> None:
        """Store the recommendations, replacing those that nobody has decided on."""
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
        """Count the recommendations."""
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
