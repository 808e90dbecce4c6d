"""Errors that no route expects."""

import httpx2
from fastapi import FastAPI

from longhaul.adapters.postgres.database import Refused
from longhaul.adapters.telemetry.logs import LoggedErrors
from longhaul.api.errors import install_errors


async def test_a_database_that_lets_nobody_in_is_an_outage_and_says_nothing_of_its_login() -> None:
    app = FastAPI()
    install_errors(app, LoggedErrors())

    @app.get("/")
    async def ask() -> None:
        raise Refused('password authentication failed for user "lh"')

    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://x") as client:
        response = await client.get("/")

    assert response.status_code == 503
    assert response.headers["Retry-After"]
    assert "lh" not in response.text.replace("longhaul", "")
