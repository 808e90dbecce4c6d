"""Changes a proposed rule for a tester; this approves the changed rule as tester."""

from typing import Any

from longhaul.core.approvers import Decision
from longhaul.core.decisions import (
    AuditLine,
    DecisionStore,
    Review,
    ReviewedEntry,
    Reviewer,
    Version,
    check_turn,
    reviewer_of,
)
from longhaul.core.errors import InvalidInput, NotFound
from longhaul.core.job_types import BadAnswer
from longhaul.core.ports import RegexDialects, Transaction
from longhaul.core.principals import Principal
from longhaul.core.rule_edits import EditableRule, RuleChange, RuleShelf
from longhaul.core.rules import RuleDraft, read_rule


class RuleEditing:
    """Edits rules of drafts."""

    def __init__(
        self, *, shelf: RuleShelf, decisions: DecisionStore, regexes: RegexDialects
    ) -> None:
        self._shelf = shelf
        self._decisions = decisions
        self._regexes = regexes

    async def check_pattern(self, change: RuleChange) -> None:
        """Refuse a pattern that a source would not accept; not within a transaction.

        Raises:
            InvalidInput: It cannot be used.
        """
        pattern = (change.kwargs or {}).get("regex")
        refusal = await self._regexes.refusal(pattern) if isinstance(pattern, str) else None
        if refusal is not None:
            raise InvalidInput(refusal, (("/kwargs/regex", "cannot be used"),))

    async def edit(
        self,
        tx: Transaction,
        principal: Principal,
        version: Version,
        rule_id: str,
        change: RuleChange,
    ) -> None:
        """Change a rule of a draft, with the tester's approval of the result.

        Raises:
            Forbidden: The caller is not a tester.
            WrongState: The version is not a draft.
            NotFound: It has no such rule.
            InvalidInput: The rule would not fit its attribute, or would be a duplicate.
        """
        reviewer_of(principal, Reviewer.TESTER)
        held = await self._decisions.hold(tx, version)
        if held is None:
            raise NotFound("There is no such version.")
        check_turn(held, Reviewer.TESTER)
        before = await self._shelf.take(tx, held.id, rule_id)
        if before is None:
            raise NotFound("The version has no such rule.")
        draft = await self._read(tx, held, before, change)
        await self._shelf.put_back(tx, before.id, draft)
        review = Review(tester=Decision.APPROVED)
        await self._decisions.decide(tx, held, [ReviewedEntry(id=before.id, review=review)])
        line = AuditLine(
            action="edited",
            by=principal.sub,
            entry_id=before.id,
            reviewer=Reviewer.TESTER,
            details={"before": _changed_fields(before, change), "after": _given(change)},
        )
        await self._decisions.note(tx, held, [line])

    async def _read(
        self, tx: Transaction, version: Version, before: EditableRule, change: RuleChange
    ) -> RuleDraft:
        attribute = await self._shelf.attribute(tx, before.attribute_id)
        if attribute is None:
            raise InvalidInput("The attribute of the rule is no longer active.")
        names = await self._shelf.names(tx, version.cycle_id, version.report_id)
        siblings = [name for name in names if name != attribute.name]
        changes = _given(change)
        order = changes.pop("execution_order", before.execution_order)
        try:
            return read_rule(before.rule.model_copy(update=changes), order, attribute, siblings)
        except BadAnswer as exc:
            raise InvalidInput(str(exc)) from None


def _given(change: RuleChange) -> dict[str, Any]:
    return change.model_dump(exclude_none=True)


def _changed_fields(before: EditableRule, change: RuleChange) -> dict[str, Any]:
    known = {**before.rule.model_dump(), "execution_order": before.execution_order}
    return {name: known[name] for name in _given(change)}
