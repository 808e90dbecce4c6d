"""Rule generation: three to five data-quality rules for each attribute of a report."""

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
from longhaul.core.rules import (
    NewRules,
    RuleProposal,
    RuleStore,
    RuleWriter,
)

NOUN = "rule version"


class RuleGenerationParameters(DraftParameters):
    """Which attributes get rules, and in which version."""

    force: bool = Field(
        False, description="also propose for attributes that have rules in this version already"
    )


class RuleGenerationType(JobType[RuleGenerationParameters]):
    """Proposes rules attribute by attribute and stores them as drafts for people to decide on.

    Args:
        offline: Writes rules for jobs that were planned with the provider `offline`.
        model: Writes them for all others.
        frozen: Provider, model and prompt version for jobs that are planned from now on.
    """

    name = "data_profiling_llm_generation"
    title = "Rule generation"
    task_name = "app.tasks.data_profiling.generate_rules"
    aliases = ("profiling_rule_generation", "rule_generation")
    parameters = RuleGenerationParameters
    queue = Queue.LLM
    item_timeout = timedelta(minutes=5)
    roles = frozenset({Role.TESTER, Role.TEST_EXECUTIVE, Role.DATA_EXECUTIVE, Role.ADMIN})

    def __init__(
        self,
        *,
        store: RuleStore,
        offline: RuleWriter,
        model: RuleWriter,
        frozen: Mapping[str, Any],
    ) -> None:
        self._store = store
        self._offline = offline
        self._model = model
        self._frozen = frozen
        self._siblings = SiblingNames(store)

    async def prepare(
        self, tx: Transaction, parameters: RuleGenerationParameters, principal: Principal
    ) -> Prepared[RuleGenerationParameters]:
        """Find or create the draft version, and check that the attributes are the report's.

        Raises:
            InvalidInput: They name something that does not exist or cannot be used.
        """
        return await prepare_draft(self._store, tx, parameters, principal, noun=NOUN, makes="rules")

    def freeze(self) -> Mapping[str, Any]:
        """Provider, model and prompt version."""
        return self._frozen

    def items(
        self, tx: Transaction, parameters: RuleGenerationParameters
    ) -> AsyncIterator[NewItem]:
        """List the attributes in the order of the form."""
        return attribute_items(
            self._store, tx, *parameters.report, parameters.attribute_ids, verb="Rules for"
        )

    async def do(self, item: Item, context: ItemContext[RuleGenerationParameters]) -> ItemResult:
        """Propose rules for one attribute.

        Raises:
            ItemFailed: The attribute is gone, or no usable rules can be had.
        """
        attribute_id = int(item.payload["attribute_id"])
        wanted = context.parameters
        async with context.database.begin() as tx:
            attribute = await self._store.attribute(tx, attribute_id)
            if attribute is None:
                raise ItemFailed("attribute_missing", "The attribute is no longer active.")
            if not wanted.force and await self._store.has_rules(
                tx, str(wanted.version_id), attribute_id
            ):
                return Skipped("The attribute already has rules in this version.")
        siblings = await self._siblings.of(attribute.name, context)
        frozen = context.job.frozen
        writer = for_provider(frozen, offline=self._offline, model=self._model)
        proposal = await writer.propose(attribute, siblings, frozen, context.calls)
        return Done(
            {
                "rules": len(proposal.drafts),
                "expectations": [draft.expectation for draft in proposal.drafts],
                "provider": proposal.provider,
            },
            rows=proposal,
        )

    async def refuse(
        self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]
    ) -> Mapping[int, Failed]:
        """Refuse every result when the version is no longer a draft."""
        if await self._store.hold_draft(tx, job.parameters["version_id"]):
            return {}
        return no_draft_any_more(ended, NOUN)

    async def save(self, tx: Transaction, job: Job, ended: Sequence[ItemOutcome]) -> None:
        """Store the rules, replacing those that nobody has decided on."""
        rules = [
            NewRules(
                attribute_id=int(one.item.payload["attribute_id"]),
                ordinal=one.item.ordinal,
                proposal=one.result.rows,
            )
            for one in ended
            if isinstance(one.result, Done) and isinstance(one.result.rows, RuleProposal)
        ]
        await self._store.replace(tx, job.parameters["version_id"], job.id, rules)

    async def summarise(self, tx: Transaction, job: Job, counts: Counts) -> Mapping[str, Any]:
        """Count what was stored, and name the attributes that still have no rules."""
        version_id = job.parameters["version_id"]
        totals = await self._store.totals(tx, version_id, job.id)
        return {
            "version_id": version_id,
            "attributes": counts.total,
            "rules_generated": totals.rules,
            "by_type": totals.by_type,
            "by_severity": totals.by_severity,
            "attributes_without_rules": totals.attributes_without_rules,
            "failed_attributes": counts.failed,
        }
