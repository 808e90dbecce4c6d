"""Which API the command speaks to, and as whom."""

import json
from pathlib import Path
from typing import Any

import jwt
import pytest
from pydantic import ValidationError

from longhaul.adapters.data_folder import DataFolder
from longhaul.adapters.settings import Settings
from longhaul.cli.client import sign_token
from tests.command import longhaul
from tests.stubs.job_server import JobServer, serving
from tests.tokens import SECRET

NO_JOBS: tuple[int, dict[str, Any]] = (200, {"jobs": [], "next_cursor": None})


def authorization(server: JobServer) -> str | None:
    ((_, headers),) = server.asked
    return headers.get("authorization")


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """The data folder of a stack that has a secret of its own."""
    folder = DataFolder(tmp_path)
    folder.make_secret()
    return folder


async def test_who_has_a_token_and_no_secret_speaks_to_an_api_elsewhere(tmp_path: Path) -> None:
    with serving(NO_JOBS) as server:
        ran = await longhaul(
            "jobs",
            "list",
            LONGHAUL_CLI__URL=f"{server.url}/longhaul/",
            LONGHAUL_CLI__TOKEN="my.own.token",
            LONGHAUL_DATA_DIR=str(tmp_path),
        )

    assert (ran.code, ran.said) == (0, "")
    assert authorization(server) == "Bearer my.own.token"
    assert server.asked[0][0].startswith("/longhaul/api/v1/jobs")


@pytest.mark.invariant("I10")
async def test_what_is_signed_with_this_machines_secret_goes_nowhere_else(
    folder: DataFolder,
) -> None:
    refused = (401, {"detail": "Send a bearer token in the Authorization header."})
    with serving(refused) as server:
        ran = await longhaul(
            "jobs", "list", LONGHAUL_CLI__URL=server.url, LONGHAUL_DATA_DIR=str(folder.path)
        )

    assert ran.code == 2
    assert "LONGHAUL_CLI__TOKEN" in ran.said
    assert authorization(server) is None


async def test_with_a_secret_of_the_settings_the_command_signs_for_an_admin(
    tmp_path: Path,
) -> None:
    with serving(NO_JOBS) as server:
        ran = await longhaul(
            "jobs",
            "list",
            LONGHAUL_CLI__URL=server.url,
            LONGHAUL_AUTH__SECRET=SECRET,
            LONGHAUL_DATA_DIR=str(tmp_path),
        )

    sent = (authorization(server) or "").removeprefix("Bearer ")
    assert ran.code == 0
    assert jwt.decode(sent, SECRET, ["HS256"])["roles"] == ["Admin"]


async def test_on_this_machine_nothing_need_be_set(folder: DataFolder) -> None:
    with serving(NO_JOBS) as server:
        folder.write_addresses({"api": server.url})
        ran = await longhaul("jobs", "list", LONGHAUL_DATA_DIR=str(folder.path))

    sent = (authorization(server) or "").removeprefix("Bearer ")
    assert ran.code == 0
    assert jwt.decode(sent, folder.make_secret(), ["HS256"])["roles"] == ["Admin"]


@pytest.mark.parametrize("url", ["longhaul.example", "ftp://longhaul.example", "https://"])
def test_an_address_that_is_none_is_wrong_usage(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    monkeypatch.setenv("LONGHAUL_CLI__URL", url)

    with pytest.raises(ValidationError, match="write it as https://host"):
        Settings()


async def test_a_token_is_printed_as_json_too(folder: DataFolder) -> None:
    ran = await longhaul(
        *("token", "--sub", "ops", "--lob", "Cards", "--json"), LONGHAUL_DATA_DIR=str(folder.path)
    )

    claims = jwt.decode(json.loads(ran.out)["token"], folder.make_secret(), ["HS256"])
    assert (claims["sub"], claims["lob"]) == ("ops", "Cards")


def test_a_token_may_be_bound_to_a_line_of_business(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LONGHAUL_AUTH__SECRET", SECRET)

    bound = sign_token(Settings(), "u-1", ["Tester"], "Cards")
    free = sign_token(Settings(), "u-1", ["Tester"])

    assert jwt.decode(bound or "", SECRET, ["HS256"])["lob"] == "Cards"
    assert "lob" not in jwt.decode(free or "", SECRET, ["HS256"])
