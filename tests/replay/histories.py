"""Where recorded histories are, and which workflows they belong to."""

from pathlib import Path

from longhaul.workflows.flow import Flow, FullCycle, Profiling
from longhaul.workflows.rule_generation import RuleGeneration
from tests.job_types.workflows import EchoWorkflow, RollingEchoWorkflow, RollingFlowWorkflow

HISTORIES = Path(__file__).with_name("histories")
WORKFLOWS = [
    EchoWorkflow,
    RollingEchoWorkflow,
    RollingFlowWorkflow,
    RuleGeneration,
    Flow,
    Profiling,
    FullCycle,
]
