"""People who decide, as clients of the API."""

from dataclasses import dataclass
from typing import Any

import httpx2

ALL = {"decision": "approved", "all": True}


@dataclass(frozen=True)
class People:
    """One client for each of them."""

    tester: httpx2.AsyncClient
    owner: httpx2.AsyncClient
    admin: httpx2.AsyncClient
    reader: httpx2.AsyncClient
    stranger: httpx2.AsyncClient


async def decide(client: httpx2.AsyncClient, version_id: str, **body: Any) -> httpx2.Response:
    return await client.post(f"/versions/{version_id}/rules/decisions", json=body)


async def take(client: httpx2.AsyncClient, version_id: str, step: str, **body: Any) -> Any:
    return await client.post(f"/versions/{version_id}/{step}", json=body)


async def submit(people: People, version_id: str) -> None:
    assert (await decide(people.tester, version_id, **ALL)).status_code == 200
    assert (await take(people.tester, version_id, "submit")).status_code == 200


async def approve(people: People, version_id: str) -> Any:
    assert (await decide(people.owner, version_id, **ALL)).status_code == 200
    response = await take(people.owner, version_id, "approve")
    assert response.status_code == 200, response.text
    return response.json()


def answer(response: httpx2.Response) -> tuple[int, str, str]:
    problem = response.json()
    return response.status_code, problem["code"], problem["detail"]
