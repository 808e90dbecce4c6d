"""Draws samples in the source: a few scans that count, and a short query for each reason."""

from longhaul.adapters.regexes import Re2
from longhaul.adapters.sources.session import Session
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.sampling import TableRequest, TableSamples


class SourceSampler:
    """Implements the port `TableSampler` on all kinds of sources."""

    def __init__(self, sessions: SourceSessions) -> None:
        self._sessions = sessions
        self._re2 = Re2()

    async def sample(self, request: TableRequest) -> TableSamples:
        """Draw rows from one snapshot of the table."""

        def work(session: Session) -> TableSamples:
            # Ibis takes a second to import, so it is imported only where sources are read.
            from longhaul.adapters.sources.table_sampling import TableSampling  # noqa: PLC0415

            return TableSampling(session, session.table(request.table), request, self._re2).run()

        return await self._sessions.run(request.source, work)
