"""Exports the rules of a version as a suite, and imports a suite into a draft."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from longhaul.core.decisions import (
    AuditLine,
    DecisionStore,
    Reviewer,
    Version,
    check_turn,
    reviewer_of,
)
from longhaul.core.errors import InvalidInput, NotFound
from longhaul.core.job_types import BadAnswer
from longhaul.core.ports import RegexDialects, Transaction
from longhaul.core.principals import Principal
from longhaul.core.rule_suites import (
    MOST_RULES,
    PROVIDER,
    Added,
    SuiteStore,
    attribute_of,
    proposed,
)
from longhaul.core.rules import NewRules, RuleDraft, RuleProposal, read_rule
from longhaul.core.suite_files import SuiteRule, write_suite

_MOST_COMPLAINTS = 50


class RuleSuites:
    """Import and export of suites."""

    def __init__(
        self, *, store: SuiteStore, decisions: DecisionStore, regexes: RegexDialects
    ) -> None:
        self._store = store
        self._decisions = decisions
        self._regexes = regexes

    async def read(self, tx: Transaction, version: Version) -> dict[str, Any]:
        """The rules of a version as a suite."""
        name = f"{version.report_name}, version {version.number}"
        return write_suite(name, await self._store.rules(tx, version.id))

    async def check_patterns(self, rules: Sequence[SuiteRule]) -> None:
        """Refuse patterns that a source would not accept; not within a transaction.

        Raises:
            InvalidInput: It names those that cannot be used, and why.
        """
        if len(rules) > MOST_RULES:
            raise InvalidInput(f"A suite may have at most {MOST_RULES} rules.")
        complaints = {}
        for number, rule in enumerate(rules):
            pattern = rule.kwargs.get("regex")
            refusal = await self._regexes.refusal(pattern) if isinstance(pattern, str) else None
            if refusal is not None:
                complaints[number] = refusal
        _complain(complaints)

    async def add(
        self,
        tx: Transaction,
        principal: Principal,
        version: Version,
        name: str,
        rules: Sequence[SuiteRule],
    ) -> Added:
        """Add the rules of a suite as proposals, all or none; rules that the version has stay.

        Raises:
            Forbidden: The caller is not a tester.
            WrongState: The version is not a draft.
            InvalidInput: Rules do not fit their attributes.
        """
        reviewer_of(principal, Reviewer.TESTER)
        held = await self._decisions.hold(tx, version)
        if held is None:
            raise NotFound("There is no such version.")
        check_turn(held, Reviewer.TESTER)
        ids = await self._store.attribute_ids(tx, held.cycle_id, held.report_id)
        drafts = await self._drafts(tx, ids, rules)
        new = [
            NewRules(
                attribute_id=ids[attribute],
                ordinal=number,
                proposal=RuleProposal(
                    drafts=(draft,), provider=PROVIDER, model=name, prompt_version=""
                ),
            )
            for number, (attribute, draft) in enumerate(drafts)
        ]
        added = await self._store.add(tx, held.id, new)
        line = AuditLine(
            action="imported",
            by=principal.sub,
            reviewer=Reviewer.TESTER,
            details={"suite": name, "rules": len(added)},
        )
        await self._decisions.note(tx, held, [line])
        return Added(added=len(added), known=len(new) - len(added))

    async def _drafts(
        self, tx: Transaction, ids: Mapping[str, int], rules: Sequence[SuiteRule]
    ) -> Sequence[tuple[str, RuleDraft]]:
        drafts: list[tuple[str, RuleDraft]] = []
        complaints: dict[int, str] = {}
        orders = dict.fromkeys(ids, 0)
        for number, rule in enumerate(rules):
            name = attribute_of(rule)
            if name is None or name not in ids:
                complaints[number] = "The rule names no active attribute of the report."
                continue
            attribute = await self._store.attribute(tx, ids[name])
            assert attribute is not None
            orders[name] += 1
            siblings = [one for one in ids if one != name]
            try:
                draft = read_rule(proposed(rule, name), orders[name], attribute, siblings)
            except (BadAnswer, ValidationError) as exc:
                complaints[number] = (
                    str(exc) if isinstance(exc, BadAnswer) else "The rule has the wrong form."
                )
            else:
                drafts.append((name, draft))
        _complain(complaints)
        return drafts


def _complain(complaints: Mapping[int, str]) -> None:
    if complaints:
        fields = [(f"/expectations/{number}", why) for number, why in complaints.items()]
        raise InvalidInput(
            f"{len(complaints)} rules of the suite cannot be imported; nothing was imported.",
            tuple(fields[:_MOST_COMPLAINTS]),
        )
