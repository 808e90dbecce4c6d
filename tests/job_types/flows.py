"""A flow that continues as new all the time, and actions that follow their parameters."""

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

from longhaul.adapters.postgres.flows import PostgresFlows
from longhaul.core.errors import ItemFailed
from longhaul.core.job_types import Resources
from longhaul.core.ports import Transaction
from longhaul.core.step_actions import ActionContext, StepAction
from longhaul.job_types.flow import FlowJobType
from tests.job_types.workflows import RollingFlowWorkflow

CREATE_TABLE = "CREATE TABLE IF NOT EXISTS note (job_id uuid, step text, text text)"


class RollingFlow(FlowJobType):
    name = "rolling_flow"
    workflow = RollingFlowWorkflow

    def __init__(self, resources: Resources | None = None) -> None:
        super().__init__(PostgresFlows())


class NoteParameters(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Any = ""
    fails: bool = False
    breaks: bool = False
    unstorable: bool = False
    kills: bool = False


class Note(StepAction[NoteParameters]):
    """Stores a text in the transaction that ends its step."""

    name = "note"
    title = "Note"
    parameters = NoteParameters

    def __init__(self, resources: Resources | None = None) -> None:
        super().__init__(resources)
        self.started: list[tuple[str, str]] = []
        self.gate: asyncio.Event | None = None

    async def do(self, context: ActionContext, parameters: NoteParameters) -> Mapping[str, Any]:
        self.started.append((context.job.id, context.step))
        if parameters.kills:
            os._exit(9)
        if self.gate is not None:
            await self.gate.wait()
        if parameters.fails:
            raise ItemFailed("no_note", "This is not noted.")
        if parameters.breaks:
            raise KeyError("a secret value")
        return {"text": parameters.text, "by": context.principal.sub}

    async def save(
        self,
        tx: Transaction,
        context: ActionContext,
        parameters: NoteParameters,
        output: Mapping[str, Any],
    ) -> None:
        if parameters.unstorable:
            raise ItemFailed("not_noted", "The note cannot be stored.")
        await tx.execute(
            "INSERT INTO note VALUES ($1, $2, $3)",
            context.job.id,
            context.step,
            str(parameters.text),
        )
