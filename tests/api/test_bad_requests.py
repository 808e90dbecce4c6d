"""Malformed requests are refused with a sentence that says why."""

from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from longhaul.api.middleware import MAX_BODY_BYTES
from longhaul.api.nesting import MAX_DEPTH

NOWHERE = "0192f000-0000-7000-8000-000000000000"


def nested(levels: int) -> Any:
    value: Any = {}
    for number in range(levels - 1):
        value = [value] if number % 2 else {"a": value}
    return value


BODIES = [
    ("/jobs", {"job_type": "echo"}, "parameters"),
    ("/jobs", {"job_type": "echo"}, "metadata"),
    ("/schedules", {"job_type": "echo", "every_seconds": 60}, "parameters"),
    (f"/versions/{NOWHERE}/suite", {"expectations": [{}]}, "meta"),
]


@pytest.mark.parametrize(("path", "body", "key"), BODIES)
async def test_a_body_that_is_nested_too_deeply_is_refused_by_its_depth(
    client: httpx2.AsyncClient, path: str, body: dict[str, Any], key: str
) -> None:
    answers = [
        await client.post(path, json={**body, key: {"x": nested(levels)}})
        for levels in (MAX_DEPTH - 1, 2 * MAX_DEPTH, 400)
    ]

    assert {answer.status_code for answer in answers} == {422}
    assert all("nested too deeply" in answer.json()["detail"] for answer in answers)


async def test_what_is_not_too_deep_is_stored_and_shown(client: httpx2.AsyncClient) -> None:
    deep = {"x": nested(MAX_DEPTH - 2)}

    created = await client.post("/jobs", json={"job_type": "echo", "metadata": deep})

    assert created.status_code == 202
    assert created.json()["metadata"]["x"] == deep["x"]


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (
            b'{"job_type": echo}',
            422,
            "The body is not valid JSON at character 13: Expecting value.",
        ),
        (b'{"job_type": "\xff"}', 400, "send JSON in UTF-8"),
        (b"[" * 200_000, 400, "not nested too deeply"),
    ],
)
async def test_a_body_that_is_no_json(
    client: httpx2.AsyncClient, body: bytes, status: int, said: str
) -> None:
    headers = {"Content-Type": "application/json"}

    response = await client.post("/jobs", content=body, headers=headers)

    assert response.status_code == status
    assert said in response.json()["detail"]


@pytest.mark.parametrize(
    "path",
    [f"/versions/{NOWHERE}/foo", f"/versions/{NOWHERE}/mappings", "/phases/one/mappings"],
)
async def test_a_path_that_names_nothing_is_not_found(
    client: httpx2.AsyncClient, path: str
) -> None:
    response = await client.get(path)

    assert (response.status_code, response.json()["code"]) == (404, "not_found")


async def test_a_method_that_a_path_does_not_know_says_which_it_does(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.put("/jobs", json={})

    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, POST"
    assert response.json()["code"] == "method_not_allowed"
    assert "GET, POST" in response.json()["detail"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/jobs/not-an-id"),
        ("GET", "/jobs?limit=0"),
        ("DELETE", "/schedules/not-an-id"),
        ("POST", "/cases/none/documents"),
    ],
)
async def test_nothing_is_judged_before_it_is_known_who_asks(
    client: httpx2.AsyncClient, method: str, path: str
) -> None:
    del client.headers["Authorization"]

    response = await client.request(method, path)

    assert (response.status_code, response.json()["code"]) == (401, "not_authenticated")


async def test_json_without_a_content_type_is_refused_by_the_name_of_the_header(
    client: httpx2.AsyncClient,
) -> None:
    response = await client.post("/jobs", content=b'{"job_type": "echo"}')

    assert response.status_code == 422
    assert "Content-Type: application/json" in response.json()["detail"]


async def unannounced(size: int) -> AsyncIterator[bytes]:
    for _ in range(size // 4096):
        yield b"a" * 4096


@pytest.mark.parametrize("key", ["cases/x/documents", "cases/1/documents"])
@pytest.mark.parametrize("mount", ["/jobs", "http://longhaul/jobs"])
async def test_an_item_that_is_called_like_a_document_takes_no_large_body(
    client: httpx2.AsyncClient, mount: str, key: str
) -> None:
    response = await client.request(
        "GET", f"{mount}/{NOWHERE}/items/{key}", content=unannounced(2 * MAX_BODY_BYTES)
    )

    assert (response.status_code, response.json()["code"]) == (413, "body_too_large")
