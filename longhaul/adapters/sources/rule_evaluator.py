"""Judges rules over a source: many in one scan, failing rows looked up afterwards."""

from collections.abc import Sequence

from longhaul.adapters.regexes import Re2
from longhaul.adapters.sources.session import Session
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.rule_execution import MOST_EXAMPLES, SampleOf, TableRule, TableVerdicts
from longhaul.core.sources import DataSource


class SourceRuleEvaluator:
    """Implements the port `RuleEvaluator` on all kinds of sources."""

    def __init__(self, sessions: SourceSessions) -> None:
        self._sessions = sessions
        self._re2 = Re2()

    async def evaluate(
        self,
        source: DataSource,
        table: str | None,
        rules: Sequence[TableRule],
        *,
        key: Sequence[str] = (),
        sample: SampleOf | None = None,
        examples: int = MOST_EXAMPLES,
    ) -> TableVerdicts:
        """Judge all rules of one table in as few scans as possible, over one snapshot."""

        def judge(session: Session) -> TableVerdicts:
            # Ibis takes a second to import, so it is imported only where sources are read.
            from longhaul.adapters.sources.table_scan import TableScan  # noqa: PLC0415

            found = session.table(table)
            scan = TableScan(session, found, rules, key=key, sample=sample, examples=examples)
            return scan.run(self._re2)

        return await self._sessions.run(source, judge)
