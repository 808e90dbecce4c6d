"""The audit of schedules and webhooks, for their owners."""

from collections.abc import Sequence
from operator import itemgetter

from longhaul.adapters.postgres.object_audit import Audited, PostgresObjectAudit
from longhaul.api.cursors import cut, read_audit_cursor
from longhaul.api.schemas import ObjectHistory
from longhaul.core.errors import NotFound
from longhaul.core.ports import Row
from longhaul.core.principals import Principal


class ObjectAudit:
    """Answers the history routes of objects besides jobs."""

    def __init__(self, audit: PostgresObjectAudit) -> None:
        self._audit = audit

    async def of(
        self,
        principal: Principal,
        what: Audited,
        object_id: str,
        *,
        limit: int,
        cursor: str | None,
    ) -> ObjectHistory:
        """One page of an audit, oldest first, also of a deleted object.

        Raises:
            NotFound: The caller has and had no such object.
            MalformedRequest: The cursor cannot be read.
        """
        after = read_audit_cursor(cursor)
        owner = await self._audit.owner(what, object_id)
        if owner is None or not (principal.is_admin or owner == principal.sub):
            raise NotFound(f"There is no such {what}.")
        found = await self._audit.read(what, object_id, limit=limit + 1, after=after)
        return audit_page(found, limit)


def audit_page(found: Sequence[Row], limit: int) -> ObjectHistory:
    """One page of an audit, from at most one line more."""
    page, next_cursor = cut(found, limit, itemgetter("id"))
    return {
        "audit": [
            {
                "time": row["time"],
                "action": row["action"],
                "by": row["by"],
                "details": row["details"],
            }
            for row in page
        ],
        "next_cursor": next_cursor,
    }
