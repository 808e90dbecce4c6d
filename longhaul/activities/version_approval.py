"""The action `approve_version`: approves all proposals, as two people would."""

from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, StringConstraints

from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal, Role
from longhaul.core.step_actions import ActionContext, StepAction
from longhaul.services.decisions import Decisions

PersonId = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class VersionApprovalParameters(BaseModel):
    """What is approved, and in which names; the audit shows them."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version_id: UUID
    tester: PersonId = "automatic-tester"
    report_owner: PersonId = "automatic-report-owner"


class VersionApproval(StepAction[VersionApprovalParameters]):
    """For demonstrations and tests: approves without a review."""

    name = "approve_version"
    title = "Automatic approval"
    parameters = VersionApprovalParameters
    roles = frozenset({Role.ADMIN})

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions

    async def do(
        self, context: ActionContext, parameters: VersionApprovalParameters
    ) -> Mapping[str, Any]:
        """Nothing: the approval is made in the transaction that ends the step."""
        return {"version_id": str(parameters.version_id)}

    async def save(
        self,
        tx: Transaction,
        context: ActionContext,
        parameters: VersionApprovalParameters,
        output: Mapping[str, Any],
    ) -> None:
        """Decide on every entry as both, submit the version and approve it."""
        lob = context.principal.lob
        version = await self._decisions.version(tx, context.principal, str(parameters.version_id))
        await self._decisions.approve_throughout(
            tx,
            version,
            tester=Principal(sub=parameters.tester, roles=frozenset({Role.TESTER}), lob=lob),
            report_owner=Principal(
                sub=parameters.report_owner, roles=frozenset({Role.REPORT_OWNER}), lob=lob
            ),
            # Not by which: readers of the version may not see the flow.
            reason="Approved automatically by a flow.",
        )
