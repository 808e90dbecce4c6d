"""From attributes to a test that passed, as people do it at a terminal."""

from pathlib import Path

import pytest

from tests.cluster import open_cluster
from tests.e2e.test_decisions import Terminal

pytestmark = pytest.mark.timeout(240)


async def test_a_document_is_what_makes_a_test_pass(tmp_path: Path) -> None:
    async with open_cluster(tmp_path) as cluster:
        terminal = Terminal(cluster)
        seeded = await terminal.json("seed", "--rows", "40", "--attributes", "5")
        report = ["-p", f"cycle_id={seeded['cycle_id']}", "-p", f"report_id={seeded['report_id']}"]

        async def run(job_type: str, *parameters: str) -> dict[str, int]:
            job = await terminal.json("jobs", "submit", job_type, *report, *parameters, "--wait")
            assert job["status"] == "completed", job
            return dict(job["result"]["by_outcome"]) if job_type == "test_execution" else {}

        async def approve(kind: str, of: str) -> None:
            await terminal.json(kind, "decide", of, "approved", "--all", "--as", "tester")
            if kind != "mappings":
                await terminal.json("versions", "submit", of)
            await terminal.json(kind, "decide", of, "approved", "--all", "--as", "report_owner")
            if kind != "mappings":
                await terminal.json("versions", "approve", of)

        await run("pde_auto_mapping")
        await approve("mappings", str(seeded["phase_ids"]["Planning"]))
        await run("intelligent_sampling", "-p", "target_sample_size=2")
        (drawn,) = (await terminal.json("versions", "list", "--kind", "samples"))["versions"]
        await approve("samples", drawn["version_id"])
        at_first = await run("test_execution")

        cases = (await terminal.json("cases", "list", "--outcome", "unchanged"))["cases"]
        case = next(
            one for one in cases if one["expected_value"] and one["attribute"] not in one["keys"]
        )
        lines = {**case["keys"], case["attribute"]: case["expected_value"]}
        letter = tmp_path / "letter.txt"
        letter.write_text("".join(f"{name}: {value}\n" for name, value in lines.items()))
        unsupported = await terminal.run("cases", "review", str(case["id"]), "pass")
        given = await terminal.json("cases", "attach-document", str(letter), str(case["id"]))
        with_evidence = await run("test_execution", "-p", "reason=evidence_updated")
        passed = await terminal.json("cases", "review", str(case["id"]), "pass", "--execution", "2")
        reviewed = (await terminal.json("cases", "list", "--status", "pass"))["cases"]

    assert at_first["match"] == 0
    assert at_first["unchanged"] == len(cases)
    assert unsupported[0] == 2
    assert "the outcome is unchanged" in unsupported[2]
    assert given["attached"] == 1
    assert with_evidence == {"match": 1, "mismatch": 0, "unchanged": 0, "not_found": 0}
    assert (passed["status"], passed["outcome"], passed["evidence_kind"]) == (
        "pass",
        "match",
        "document",
    )
    assert [one["id"] for one in reviewed] == [case["id"]]
