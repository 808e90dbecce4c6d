"""The schema that clients are generated from, and that /docs sends requests by."""

from typing import Any

import httpx2
import pytest

from tests.api.conftest import Api


@pytest.fixture
def schema(api: Api) -> dict[str, Any]:
    return api.app.openapi()


def test_every_route_under_the_prefix_asks_for_a_bearer_token_and_no_other(
    schema: dict[str, Any],
) -> None:
    operations = {
        (method, path): operation
        for path, methods in schema["paths"].items()
        for method, operation in methods.items()
    }
    (scheme,) = schema["components"]["securitySchemes"].items()

    secured = {where for where, operation in operations.items() if "security" in operation}
    headers = {
        parameter["name"].lower()
        for operation in operations.values()
        for parameter in operation.get("parameters", [])
        if parameter["in"] == "header"
    }
    assert (scheme[1]["type"], scheme[1]["scheme"]) == ("http", "bearer")
    assert secured == {where for where in operations if where[1].startswith("/api/v1/")}
    assert "authorization" not in headers


def test_errors_have_their_own_media_type_and_a_control_may_answer_that_all_is_done(
    schema: dict[str, Any],
) -> None:
    pause = schema["paths"]["/api/v1/jobs/{job_id}/pause"]["post"]["responses"]

    assert {"200", "202", "4XX", "5XX"} <= set(pause)
    assert set(pause["4XX"]["content"]) == {"application/problem+json"}
    assert set(pause["202"]["content"]) == {"application/json"}


async def test_the_schema_is_the_same_however_often_it_is_asked_for(
    client: httpx2.AsyncClient,
) -> None:
    answers = [await client.get("http://longhaul/openapi.json") for _ in range(2)]

    assert [answer.status_code for answer in answers] == [200, 200]
    assert answers[0].json() == answers[1].json()
