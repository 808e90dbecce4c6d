"""Where recorded histories are, and which workflows they belong to."""

from pathlib import Path

from longhaul.workflows.rule_generation import RuleGeneration
from tests.job_types.workflows import EchoWorkflow, RollingEchoWorkflow

HISTORIES = Path(__file__).with_name("histories")
WORKFLOWS = [EchoWorkflow, RollingEchoWorkflow, RuleGeneration]
