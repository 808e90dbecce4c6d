"""Flows, joined: the general one, and the ready ones."""

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from longhaul.activities.flow_type import FlowType
from longhaul.adapters.postgres.flows import PostgresFlows
from longhaul.core import ready_flows
from longhaul.core.errors import InvalidInput
from longhaul.core.flows import Definition
from longhaul.core.job_types import Prepared, Resources
from longhaul.core.ports import Transaction
from longhaul.core.principals import Principal
from longhaul.core.ready_flows import (
    FlowParameters,
    FullCycleParameters,
    ProfilingParameters,
    ReadyParameters,
)
from longhaul.workflows.flow import Flow, FullCycle, Profiling

R = TypeVar("R", bound=ReadyParameters)


class FlowJobType(FlowType[FlowParameters]):
    """Steps that the caller defines."""

    name = "flow"
    title = "Flow"
    parameters = FlowParameters
    workflow: ClassVar[type] = Flow


class ReadyFlow(FlowType[R], Generic[R]):
    """Steps that follow from a few parameters; they are fixed when the flow is created."""

    steps: Callable[[R], list[ready_flows.Step]]

    async def prepare(self, tx: Transaction, parameters: R, principal: Principal) -> Prepared[R]:
        """Make the steps, and check them as those of any flow."""
        if parameters.steps is not None:
            raise InvalidInput(f"The steps of {self.name!r} are fixed; send a `flow` instead.")
        steps = type(self).steps(parameters)
        definition = Definition.model_validate({"steps": steps})
        filled = parameters.model_copy(update={"steps": definition.model_dump()["steps"]})
        prepared = await super().prepare(tx, filled, principal)
        return Prepared(
            parameters=prepared.parameters,
            cycle_id=parameters.cycle_id,
            report_id=parameters.report_id,
            approvers=prepared.approvers,
        )


class ProfilingFlow(ReadyFlow[ProfilingParameters]):
    """From rules that do not exist yet to a report on the data."""

    name = "profiling"
    title = "Profiling"
    parameters = ProfilingParameters
    workflow = Profiling
    steps = staticmethod(ready_flows.profiling)


class FullCycleFlow(ReadyFlow[FullCycleParameters]):
    """From mapping to test execution."""

    name = "full_cycle"
    title = "Full cycle"
    parameters = FullCycleParameters
    workflow = FullCycle
    steps = staticmethod(ready_flows.full_cycle)


def flow(resources: Resources) -> FlowJobType:
    """Build the job type."""
    return FlowJobType(PostgresFlows())


def profiling(resources: Resources) -> ProfilingFlow:
    """Build the job type."""
    return ProfilingFlow(PostgresFlows())


def full_cycle(resources: Resources) -> FullCycleFlow:
    """Build the job type."""
    return FullCycleFlow(PostgresFlows())
