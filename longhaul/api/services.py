"""The services behind the routes."""

from dataclasses import dataclass

from longhaul.api.approving import Approving
from longhaul.api.auth import Authenticator
from longhaul.api.cases import Cases
from longhaul.api.controls import Controls
from longhaul.api.deciding import Deciding
from longhaul.api.health import Health
from longhaul.api.object_audit import ObjectAudit
from longhaul.api.quality import QualityReading
from longhaul.api.reading import Reading
from longhaul.api.reports import Reports
from longhaul.api.schedules import Schedules
from longhaul.api.submission import Submission
from longhaul.api.suites import Suites
from longhaul.api.webhooks import Webhooks
from longhaul.core.catalog import Catalog


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The services behind the routes."""

    authenticator: Authenticator
    catalog: Catalog
    submission: Submission
    controls: Controls
    approving: Approving
    reading: Reading
    quality: QualityReading
    deciding: Deciding
    cases: Cases
    suites: Suites
    webhooks: Webhooks
    object_audit: ObjectAudit
    reports: Reports
    schedules: Schedules
    health: Health
