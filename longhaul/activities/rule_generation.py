"""Rule generation: three to five data-quality rules for each attribute of a report."""

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
from longhaul.core.rules import (
    NewRules,
    RuleProposal,
    RuleStore,
    RuleWriter,
)
from longhaul.core.single_flight import SingleFlight

OFFLINE = "offline"

_JOBS_REMEMBERED = 32


class RuleGenerationParameters(BaseModel):
    """Which attributes get rules, and in which version."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version_id: UUID | None = Field(
        None, description="a draft version; found or created when cycle_id and report_id are given"
    )
    cycle_id: RowId | None = Field(None, description="goes with report_id")
    report_id: RowId | None = Field(None, description="goes with cycle_id")
    attribute_ids: AttributeIds | None = Field(
        None, description="all active attributes when absent"
    )
    force: bool = Field(
        False, description="also propose for attributes that have rules in this version already"
    )

    @model_validator(mode="after")
    def _names_a_version(self) -> Self:
        if (self.cycle_id is None) != (self.report_id is None):
            raise ValueError("cycle_id and report_id go together")
        if self.version_id is None and self.cycle_id is None:
            raise ValueError("give version_id, or cycle_id and report_id")
        return self


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
        self._names = SingleFlight[tuple[str, int], Sequence[str]](_JOBS_REMEMBERED)

    async def prepare(
        self, tx: Transaction, parameters: RuleGenerationParameters, principal: Principal
    ) -> Prepared[RuleGenerationParameters]:
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
            noun="rule version",
            makes="rules",
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

    def items(
        self, tx: Transaction, parameters: RuleGenerationParameters
    ) -> AsyncIterator[NewItem]:
        """List the attributes in the order of the form."""
        return attribute_items(
            self._store, tx, *_report(parameters), parameters.attribute_ids, verb="Rules for"
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
        names = await self._names.get(
            (context.job.id, context.job.attempt), lambda: self._names_of(context)
        )
        frozen = context.job.frozen
        writer = self._offline if frozen["provider"] == OFFLINE else self._model
        siblings = [name for name in names if name != attribute.name]
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
        self, tx: Transaction, job: Job, ended: Sequence[Ended]
    ) -> Mapping[int, Failed]:
        """Refuse every result when the version is no longer a draft."""
        if await self._store.hold_draft(tx, job.parameters["version_id"]):
            return {}
        failed = Failed(
            "version_not_draft", "The rule version is no longer a draft; start a job for a new one."
        )
        return {one.item.ordinal: failed for one in ended}

    async def save(self, tx: Transaction, job: Job, ended: Sequence[Ended]) -> None:
        """Store the rules in the place of those that nobody has decided on."""
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

    async def _names_of(self, context: ItemContext[RuleGenerationParameters]) -> Sequence[str]:
        async with context.database.begin() as tx:
            return await self._store.names(tx, *_report(context.parameters))


def _report(parameters: RuleGenerationParameters) -> tuple[int, int]:
    if parameters.cycle_id is None or parameters.report_id is None:
        raise InvalidInput("The parameters were not resolved when the job was created.")
    return parameters.cycle_id, parameters.report_id
