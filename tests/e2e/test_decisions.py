"""From attributes to approved rules, as a person does it at a terminal."""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from tests.cluster import Cluster, open_cluster

COMMAND = [sys.executable, "-c", "from longhaul.cli.main import main; main()"]


class Terminal:
    """Runs the command against a cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._env = {
            **{name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ},
            **cluster.env,
            "LONGHAUL_API__PORT": str(cluster.api_ports[0]),
        }

    async def run(self, *args: str) -> tuple[int, str, str]:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *args,
            env=self._env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode is not None
        return process.returncode, out.decode(), err.decode()

    async def json(self, *args: str) -> Any:
        code, out, err = await self.run(*args, "--json")
        assert code == 0, err
        return json.loads(out)


async def test_rules_are_generated_decided_on_and_approved_from_the_command_line(
    tmp_path: Path,
) -> None:
    async with open_cluster(tmp_path) as cluster:
        terminal = Terminal(cluster)
        seeded = await terminal.json("seed", "--rows", "20", "--attributes", "3")
        report = ["-p", f"cycle_id={seeded['cycle_id']}", "-p", f"report_id={seeded['report_id']}"]
        await terminal.run("jobs", "submit", "rule_generation", *report, "--wait")
        (draft,) = (await terminal.json("versions", "list", "--status", "draft"))["versions"]
        version = draft["version_id"]

        rules = (await terminal.json("rules", "list", version))["entries"]
        unclear = await terminal.run("rules", "decide", version, "approved", "--all")
        no_reason = await terminal.run(
            "rules", "decide", version, "rejected", "--id", rules[0]["id"], "--as", "tester"
        )
        rejected = await terminal.json(
            "rules", "decide", version, "rejected", "--id", rules[0]["id"], "--as", "tester",
            "--reason", "too strict",
        )  # fmt: skip
        await terminal.json("rules", "decide", version, "approved", "--all", "--as", "tester")
        submitted = await terminal.json("versions", "submit", version)
        too_early = await terminal.run("versions", "approve", version)
        await terminal.json("rules", "decide", version, "approved", "--all", "--as", "report_owner")
        approved = await terminal.json("versions", "approve", version)
        history = await terminal.json("rules", "history", version, "--id", rules[0]["id"])
        shown = await terminal.run("rules", "list", version, "--status", "rejected")
        tables = [
            await terminal.run("versions", command, *args)
            for command, *args in (["list"], ["show", version], ["history", version])
        ]
        unknown = await terminal.run("versions", "show", "no-such-version")

    assert len(rules) >= 9
    assert (unclear[0], no_reason[0], too_early[0], unknown[0]) == (2, 2, 2, 2)
    assert "`as` is tester or report_owner" in unclear[2]
    assert "Give a reason for the rejection." in no_reason[2]
    assert "wait for the report owner" in too_early[2]
    assert "There is no such version." in unknown[2]
    assert rejected["decided"] == 1
    assert submitted["status"] == "pending_approval"
    assert (approved["status"], approved["counts"]["rejected"]) == ("approved", 1)
    assert [(line["action"], line["reason"]) for line in history["audit"]] == [
        ("rejected", "too strict")
    ]
    assert rules[0]["id"] in shown[1]
    assert rules[1]["id"] not in shown[1]
    assert [code for code, *_ in tables] == [0, 0, 0]
    assert all(version in out for _, out, _ in tables[:2])
