"""Starting a workflow after its search attributes were removed."""

from typing import Any, cast

import pytest
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesResponse
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from longhaul.adapters.temporal.workflows import TemporalWorkflows
from longhaul.core.search_attributes import KINDS
from longhaul.workflows.rule_generation import RuleGeneration
from tests.factories import make_job


class Operator:
    """Knows every search attribute, and counts its calls."""

    def __init__(self) -> None:
        self.asked = 0

    async def list_search_attributes(self, _: object) -> ListSearchAttributesResponse:
        self.asked += 1
        known = dict.fromkeys(KINDS, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD)
        return ListSearchAttributesResponse(custom_attributes=known)


class Namespace:
    """A client of a namespace that refuses one start."""

    namespace = "default"

    def __init__(self, status: RPCStatusCode) -> None:
        self.operator_service = Operator()
        self._refusal: RPCError | None = RPCError("no mapping defined", status, b"")

    async def start_workflow(self, *_: object, **__: Any) -> None:
        refusal, self._refusal = self._refusal, None
        if refusal is not None:
            raise refusal


@pytest.mark.parametrize(
    ("status", "asked"),
    [(RPCStatusCode.INVALID_ARGUMENT, 2), (RPCStatusCode.PERMISSION_DENIED, 1)],
)
async def test_a_refused_start_makes_the_next_look_at_the_search_attributes_again(
    status: RPCStatusCode, asked: int
) -> None:
    namespace = Namespace(status)
    workflows = TemporalWorkflows(cast("Client", namespace))

    with pytest.raises(RPCError):
        await workflows.start(make_job(), RuleGeneration, "items", "")
    started = await workflows.start(make_job(), RuleGeneration, "items", "")

    assert started
    assert namespace.operator_service.asked == asked
