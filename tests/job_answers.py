"""What the API answers about a job, with defaults for everything that a test does not need."""

from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter

from longhaul.api.job_object import JobObjects
from longhaul.api.schemas import JobView
from longhaul.core.catalog import Catalog
from longhaul.core.ports import Shown
from tests.factories import make_job


def job(**changes: Any) -> dict[str, Any]:
    """The job object, as the API sends it."""
    rendered = JobObjects(Catalog([])).render(
        make_job(updated_at=datetime.now(UTC)), Shown(known=True)
    )
    sent: dict[str, Any] = TypeAdapter(JobView).dump_python(rendered, mode="json")
    return {**sent, **changes}
