"""Suites over HTTP: one transaction a request."""

from collections.abc import Sequence
from typing import Any

from longhaul.api.deciding import Find
from longhaul.core.ports import Database
from longhaul.core.principals import Principal
from longhaul.core.rule_suites import Added
from longhaul.core.suite_files import SuiteRule
from longhaul.services.rule_suites import RuleSuites


class Suites:
    """Answers the routes of suites."""

    def __init__(self, *, database: Database, suites: RuleSuites) -> None:
        self._database = database
        self._suites = suites

    async def read(self, find: Find) -> dict[str, Any]:
        """The rules of a version as a suite.

        Raises:
            NotFound: The caller has no such version.
        """
        async with self._database.begin() as tx:
            return await self._suites.read(tx, await find(tx))

    async def add(
        self, principal: Principal, find: Find, name: str, rules: Sequence[SuiteRule]
    ) -> Added:
        """Propose the rules of a suite in a draft.

        Raises:
            As `RuleSuites.add`.
        """
        await self._suites.check_patterns(rules)
        async with self._database.begin() as tx:
            return await self._suites.add(tx, principal, await find(tx), name, rules)
