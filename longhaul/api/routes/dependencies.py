"""Shared parameters of routes: the caller, the services, pages, ids, filters."""

from typing import Annotated
from uuid import UUID

from fastapi import Depends, Query, Request, Security
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from longhaul.api.deciding import canonical_id
from longhaul.api.decision_schemas import EntryId, RowId
from longhaul.api.services import Services
from longhaul.core.decisions import EntryFilter, EntryStatus, Reviewer
from longhaul.core.errors import NotFound
from longhaul.core.principals import Principal

# Errors of tokens come from our authenticator, like every error.
_BEARER = HTTPBearer(
    bearerFormat="JWT", description="`longhaul token` prints one", auto_error=False
)


def services_of(request: Request) -> Services:
    """The services of this process."""
    services: Services = request.app.state.services
    return services


async def principal_of(
    request: Request, sent: Annotated[HTTPAuthorizationCredentials | None, Security(_BEARER)]
) -> Principal:
    """The authenticated caller."""
    return await services_of(request).authenticator.principal(sent.credentials if sent else None)


def uuid_or_absent(text: str, complaint: str) -> str:
    """An id of a path in its canonical form; 404 if it is not a UUID.

    Raises:
        NotFound: It is not a UUID.
    """
    try:
        return str(UUID(text))
    except ValueError:
        raise NotFound(complaint) from None


def version_id_of(version_id: str) -> str:
    """The id of a version."""
    return uuid_or_absent(version_id, "There is no such version.")


def entry_filter_of(
    id: Annotated[list[EntryId], Query()] = [],  # noqa: B006 - FastAPI copies it
    status: Annotated[list[EntryStatus], Query()] = [],  # noqa: B006
    attribute_id: Annotated[list[RowId], Query()] = [],  # noqa: B006
    waiting_for: Reviewer | None = None,
) -> EntryFilter:
    """The filter of a list of entries."""
    return EntryFilter(
        ids=[canonical_id(one) for one in id],
        statuses=status,
        attribute_ids=attribute_id,
        waiting_for=waiting_for,
    )


Caller = Annotated[Principal, Depends(principal_of)]
Serving = Annotated[Services, Depends(services_of)]
Limit = Annotated[int, Query(ge=1, le=1000)]
Cursor = Annotated[str | None, Query(max_length=500)]
RowNumber = Annotated[int, Query(ge=1, lt=2**31)]
VersionId = Annotated[str, Depends(version_id_of)]
Wanted = Annotated[EntryFilter, Depends(entry_filter_of)]
OneEntry = Annotated[EntryId | None, Query()]
