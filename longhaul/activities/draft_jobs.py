"""Common parts of jobs that write into a draft version of a report."""

from collections.abc import Mapping, Sequence
from typing import ClassVar, Protocol, Self, TypeVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from longhaul.activities.report_scope import (
    AttributeIds,
    RowId,
    check_attributes,
    resolved_report,
)
from longhaul.core.attributes import AttributeStore
from longhaul.core.errors import InvalidInput
from longhaul.core.items import Failed, ItemOutcome
from longhaul.core.job_types import ItemContext, Prepared
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, is_visible
from longhaul.core.single_flight import SingleFlight
from longhaul.core.versions import ReportVersion, VersionStatus, VersionStore

_JOBS_REMEMBERED = 32


class DraftStore(AttributeStore, VersionStore, Protocol):
    """Versions of one kind, and the attributes of the reports that they are of."""


class DraftParameters(BaseModel):
    """Which attributes of which report, and the version to write into."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    how_to_name_it: ClassVar[str] = "version_id, or cycle_id and report_id"

    version_id: UUID | None = Field(
        None, description="a draft version; found or created when cycle_id and report_id are given"
    )
    cycle_id: RowId | None = Field(None, description="goes with report_id")
    report_id: RowId | None = Field(None, description="goes with cycle_id")
    attribute_ids: AttributeIds | None = Field(
        None, description="all active attributes when absent"
    )

    @model_validator(mode="after")
    def _names_a_version(self) -> Self:
        if (self.cycle_id is None) != (self.report_id is None):
            raise ValueError("cycle_id and report_id go together")
        if self.version_id is None and self.cycle_id is None:
            raise ValueError(f"give {self.how_to_name_it}")
        return self

    @property
    def report(self) -> tuple[int, int]:
        """The cycle and the report, once `prepare_draft` has found them."""
        return resolved_report(self.cycle_id, self.report_id)


D = TypeVar("D", bound=DraftParameters)


async def prepare_draft(
    store: DraftStore,
    tx: Transaction,
    parameters: D,
    principal: Principal,
    *,
    noun: str,
    makes: str,
) -> Prepared[D]:
    """Find the draft that parameters name, and check that the attributes are its report's.

    It is created when they name the report only.

    Args:
        noun: What such a version is called: "rule version".
        makes: What is generated: "rules".

    Raises:
        InvalidInput: They name something that does not exist, that the caller may not see,
            or that is not a draft.
    """
    version = await _find(store, tx, parameters, principal, noun=noun, makes=makes)
    await check_attributes(store, tx, version.cycle_id, version.report_id, parameters.attribute_ids)
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


def no_draft_any_more(ended: Sequence[ItemOutcome], noun: str) -> Mapping[int, Failed]:
    """Refuse every result, because the version has been submitted or decided on."""
    failed = Failed(
        "version_not_draft", f"The {noun} is no longer a draft; start a job for a new one."
    )
    return {one.item.ordinal: failed for one in ended}


class SiblingNames:
    """The names of a report's attributes, read once an attempt."""

    def __init__(self, store: AttributeStore) -> None:
        self._store = store
        self._names = SingleFlight[tuple[str, int], Sequence[str]](_JOBS_REMEMBERED)

    async def of(self, name: str, context: ItemContext[D]) -> list[str]:
        """The names of the other attributes, in the order of the form."""
        attempt = (context.job.id, context.job.attempt)
        names = await self._names.get(attempt, lambda: self._read(context))
        return [one for one in names if one != name]

    async def _read(self, context: ItemContext[D]) -> Sequence[str]:
        async with context.database.begin() as tx:
            return await self._store.names(tx, *context.parameters.report)


async def _find(
    store: DraftStore,
    tx: Transaction,
    parameters: DraftParameters,
    principal: Principal,
    *,
    noun: str,
    makes: str,
) -> ReportVersion:
    cycle_id, report_id = parameters.cycle_id, parameters.report_id
    if parameters.version_id is not None:
        version = await store.version(tx, str(parameters.version_id))
        unknown = InvalidInput(
            f"There is no {noun} {parameters.version_id}.",
            (("/parameters/version_id", "unknown"),),
        )
    else:
        version = await store.draft(tx, *parameters.report, principal.sub)
        unknown = InvalidInput(
            f"Cycle {cycle_id} holds no report {report_id}.",
            (("/parameters/report_id", "unknown in this cycle"),),
        )
    if version is None or not is_visible(version.lob, principal):
        raise unknown
    if cycle_id is not None and (cycle_id, report_id) != (version.cycle_id, version.report_id):
        raise InvalidInput(
            f"{noun.capitalize()} {version.id} belongs to another cycle or report.",
            (("/parameters/version_id", "of another cycle or report"),),
        )
    if version.status is not VersionStatus.DRAFT:
        raise InvalidInput(
            f"{noun.capitalize()} {version.id} is {version.status}; {makes} are only generated "
            "into a draft.",
            (("/parameters/version_id", "not a draft"),),
        )
    return version
