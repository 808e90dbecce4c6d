"""The steps of a flow that approve versions, joined."""

from longhaul.activities.approval_actions import ApproveRules, ApproveSamples, ApproveScoping
from longhaul.core.job_types import Resources
from longhaul.job_types.decisions import build_decisions


def approve_rules(resources: Resources) -> ApproveRules:
    """Build the action."""
    return ApproveRules(build_decisions())


def approve_scoping(resources: Resources) -> ApproveScoping:
    """Build the action."""
    return ApproveScoping(build_decisions())


def approve_samples(resources: Resources) -> ApproveSamples:
    """Build the action."""
    return ApproveSamples(build_decisions())
