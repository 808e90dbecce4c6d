"""Rule generation: three to five data-quality rules for each attribute of a report."""

from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import timedelta
from typing import Annotated, Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from longhaul.core.attributes import Listed
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
    RuleVersion,
    RuleWriter,
    VersionStatus,
)

OFFLINE = "offline"

_MOST_NAMED = 20
_JOBS_REMEMBERED = 32

RowId = Annotated[int, Field(ge=1, lt=2**31)]


class RuleGenerationParameters(BaseModel):
    """Which attributes get rules, and in which version."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version_id: UUID | None = Field(
        None, description="a draft version; found or created when cycle_id and report_id are given"
    )
    cycle_id: RowId | None = Field(None, description="goes with report_id")
    report_id: RowId | None = Field(None, description="goes with cycle_id")
    attribute_ids: list[RowId] | None = Field(
        None, min_length=1, max_length=100_000, description="all active attributes when absent"
    )
    force: bool = Field(
        False, description="also propose for attributes that have rules in this version already"
    )

    @field_validator("attribute_ids")
    @classmethod
    def _each_once(cls, ids: list[int] | None) -> list[int] | None:
        # Equal requests are recognised by equal parameters.
        return None if ids is None else sorted(set(ids))

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
        self._names: OrderedDict[str, Sequence[str]] = OrderedDict()

    async def prepare(
        self, tx: Transaction, parameters: RuleGenerationParameters, principal: Principal
    ) -> Prepared[RuleGenerationParameters]:
        """Find or create the draft version, and check that the attributes are the report's.

        Raises:
            InvalidInput: They name something that does not exist or cannot be used.
        """
        version = await self._version(tx, parameters, principal)
        if version.status is not VersionStatus.DRAFT:
            raise InvalidInput(
                f"Rule version {version.id} is {version.status}; rules are only generated into a "
                "draft.",
                (("/parameters/version_id", "not a draft"),),
            )
        await self._check_attributes(tx, version, parameters.attribute_ids)
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

    async def items(
        self, tx: Transaction, parameters: RuleGenerationParameters
    ) -> AsyncIterator[NewItem]:
        """List the attributes in the order of the form."""
        after: Listed | None = None
        wanted = parameters.attribute_ids
        while page := await self._store.page(tx, *_report(parameters), wanted, after):
            for one in page:
                yield NewItem(
                    key=f"attribute-{one.id}",
                    label=f"Rules for {one.name}",
                    payload={"attribute_id": one.id},
                )
            after = page[-1]

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
            names = await self._names_of(tx, context.job.id, wanted)
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

    async def _version(
        self, tx: Transaction, parameters: RuleGenerationParameters, principal: Principal
    ) -> RuleVersion:
        cycle_id, report_id = parameters.cycle_id, parameters.report_id
        if parameters.version_id is not None:
            version = await self._store.version(tx, str(parameters.version_id))
            unknown = InvalidInput(
                f"There is no rule version {parameters.version_id}.",
                (("/parameters/version_id", "unknown"),),
            )
        else:
            assert cycle_id is not None
            assert report_id is not None
            version = await self._store.draft(tx, cycle_id, report_id, principal.sub)
            unknown = InvalidInput(
                f"Cycle {cycle_id} holds no report {report_id}.",
                (("/parameters/report_id", "unknown in this cycle"),),
            )
        if version is None or not _is_visible(version, principal):
            raise unknown
        if cycle_id is not None and (cycle_id, report_id) != (version.cycle_id, version.report_id):
            raise InvalidInput(
                f"Rule version {version.id} belongs to another cycle or report.",
                (("/parameters/version_id", "of another cycle or report"),),
            )
        return version

    async def _check_attributes(
        self, tx: Transaction, version: RuleVersion, attribute_ids: Sequence[int] | None
    ) -> None:
        if attribute_ids is None:
            return
        foreign = await self._store.foreign(tx, version.cycle_id, version.report_id, attribute_ids)
        if foreign:
            named = ", ".join(map(str, foreign[:_MOST_NAMED]))
            more = f" and {len(foreign) - _MOST_NAMED} more" * (len(foreign) > _MOST_NAMED)
            raise InvalidInput(
                f"No active attributes of the report: {named}{more}.",
                (("/parameters/attribute_ids", "not active attributes of the report"),),
            )

    async def _names_of(
        self, tx: Transaction, job_id: str, parameters: RuleGenerationParameters
    ) -> Sequence[str]:
        names = self._names.get(job_id)
        if names is None:
            names = self._names[job_id] = await self._store.names(tx, *_report(parameters))
            if len(self._names) > _JOBS_REMEMBERED:
                self._names.popitem(last=False)
        return names


def _report(parameters: RuleGenerationParameters) -> tuple[int, int]:
    if parameters.cycle_id is None or parameters.report_id is None:
        raise InvalidInput("The parameters were not resolved when the job was created.")
    return parameters.cycle_id, parameters.report_id


def _is_visible(version: RuleVersion, principal: Principal) -> bool:
    # Reports of another line of business answer as if there were none.
    return principal.is_admin or principal.lob in (None, version.lob)
