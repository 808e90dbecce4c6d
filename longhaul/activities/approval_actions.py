"""Steps of a flow that approve a version without anybody looking at it.

They decide in the name of whoever started the flow, and may do no more than that person: both
reviewers are only spoken for by an Admin. The audit says that a flow did it.
"""

from collections.abc import Mapping
from typing import Any, ClassVar
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from longhaul.activities.decisions import Decisions
from longhaul.core.decisions import Kind, Reviewer, reviewer_of
from longhaul.core.errors import NotFound
from longhaul.core.ports import Transaction
from longhaul.core.step_actions import ActionContext, StepAction


class ApproveParameters(BaseModel):
    """Which version to approve."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    version_id: UUID


class ApproveVersion(StepAction[ApproveParameters]):
    """Approves what waits in a version, and the version."""

    parameters = ApproveParameters
    kind: ClassVar[Kind]

    def __init__(self, decisions: Decisions) -> None:
        super().__init__()
        self._decisions = decisions

    async def do(self, context: ActionContext, parameters: ApproveParameters) -> Mapping[str, Any]:
        """Check that there is such a version, and that the flow may approve it.

        Raises:
            NotFound: There is no such version of this kind for who started the flow.
            Forbidden: They may not decide for both reviewers.
        """
        for reviewer in Reviewer:
            reviewer_of(context.principal, reviewer)
        version_id = str(parameters.version_id)
        async with context.database.begin() as tx:
            version = await self._decisions.version(tx, context.principal, version_id)
        if version.kind is not self.kind:
            raise NotFound(f"The version holds {version.kind}, no {self.kind}.")
        return {"version_id": version_id}

    async def save(
        self,
        tx: Transaction,
        context: ActionContext,
        parameters: ApproveParameters,
        output: Mapping[str, Any],
    ) -> None:
        """Approve, in the transaction that ends the step.

        Raises:
            WrongState: There is nothing to approve, or somebody has rejected it.
        """
        version = await self._decisions.version(tx, context.principal, output["version_id"])
        await self._decisions.approve_throughout(
            tx,
            version,
            tester=context.principal,
            report_owner=context.principal,
            reason=f"step {context.step} of flow {context.job.id}",
        )


class ApproveRules(ApproveVersion):
    """Approves a version of rules."""

    name = "approve_rules"
    title = "Approve the rules"
    kind = Kind.RULES


class ApproveScoping(ApproveVersion):
    """Approves a version of recommendations."""

    name = "approve_scoping"
    title = "Approve the scope"
    kind = Kind.RECOMMENDATIONS


class ApproveSamples(ApproveVersion):
    """Approves a sample set, so that it has test cases."""

    name = "approve_samples"
    title = "Approve the samples"
    kind = Kind.SAMPLES
