"""A person's changes to a proposed rule, with the same checks as for a model's answer."""

from dataclasses import dataclass
from typing import Any, Protocol

from pydantic import BaseModel, ConfigDict, Field

from longhaul.core.attributes import AttributeStore
from longhaul.core.ports import Transaction
from longhaul.core.rules import ProposedRule, RuleDraft


class RuleChange(BaseModel):
    """The changed fields of a rule."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)

    type: str | None = Field(None, max_length=100, description="the expectation's name")
    kwargs: dict[str, Any] | None = Field(None, description="all of its arguments")
    name: str | None = Field(None, min_length=1, max_length=200)
    description: str | None = Field(None, max_length=1_000)
    rule_type: str | None = Field(None, max_length=50)
    severity: str | None = Field(None, max_length=50)
    rationale: str | None = Field(None, min_length=1, max_length=2_000)
    regulatory_reference: str | None = Field(None, max_length=500)
    execution_order: int | None = Field(None, ge=1, le=1_000)


@dataclass(frozen=True, slots=True, kw_only=True)
class EditableRule:
    """A rule that is locked for a change."""

    id: str
    attribute_id: int
    execution_order: int
    rule: ProposedRule


class RuleShelf(AttributeStore, Protocol):
    """Rules one by one, and the attributes that they must fit."""

    async def take(self, tx: Transaction, version_id: str, rule_id: str) -> EditableRule | None:
        """Lock a rule of a version; None when it has no such rule."""

    async def put_back(self, tx: Transaction, rule_id: str, draft: RuleDraft) -> None:
        """Store a changed rule.

        Raises:
            InvalidInput: Another rule of the attribute is the same.
        """
