"""Test cases follow the approval of their samples."""

from longhaul.core.cases import CaseStore
from longhaul.core.decisions import Version
from longhaul.core.ports import Transaction

_RETIRE = """
UPDATE test_case AS c SET is_active = false
FROM sample AS s WHERE s.id = c.sample_id AND s.set_id = $1 AND c.is_active
"""


class ApprovedSamples:
    """Makes test cases when a sample set is approved, and retires them when it is superseded."""

    def __init__(self, cases: CaseStore) -> None:
        self._cases = cases

    async def approved(self, tx: Transaction, version: Version, by: str) -> None:
        """Make the test cases of the set."""
        await self._cases.make_cases(tx, version.id)

    async def superseded(self, tx: Transaction, version: Version, by: str) -> None:
        """Retire them: executions stay, there are no new ones."""
        await tx.execute(_RETIRE, version.id)
