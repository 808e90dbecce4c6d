"""What the demo does to the flows of others: nothing."""

from longhaul.cli.client import ApiClient
from longhaul.cli.demo_cycle import DESCRIPTION, FULL_CYCLE, People, end_earlier_cycles
from tests.job_answers import job
from tests.stubs.job_server import serving


def test_only_flows_of_an_earlier_demo_are_cancelled() -> None:
    flows = [
        job(job_id="theirs", job_type=FULL_CYCLE, description="second quarter"),
        job(job_id="ours", job_type=FULL_CYCLE, description=DESCRIPTION),
        job(job_id="echo", job_type="echo", description=DESCRIPTION),
    ]
    cancelled = (202, job(status="cancelled"))
    with serving((200, {"active_jobs": flows}), cancelled) as server:
        client = ApiClient(server.url, None)
        end_earlier_cycles(People(tester=client, report_owner=client))

    assert [path.removeprefix("/api/v1/jobs/") for path, _ in server.asked] == [
        "active", "ours/cancel", "ours",
    ]  # fmt: skip
