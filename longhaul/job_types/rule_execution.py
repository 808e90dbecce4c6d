"""Rule execution, joined: its stores, its evaluator, its workflow."""

from longhaul.activities.rule_execution import RuleExecutionType
from longhaul.activities.rule_scans import RuleScans
from longhaul.adapters.postgres.rule_results import PostgresRuleResults
from longhaul.adapters.postgres.rules import PostgresRules
from longhaul.adapters.sources.rule_evaluator import SourceRuleEvaluator
from longhaul.adapters.sources.sessions import SourceSessions
from longhaul.core.job_types import Resources
from longhaul.workflows.rule_execution import RuleExecution


class RuleExecutionJob(RuleExecutionType):
    """Rule execution with the workflow that drives it."""

    workflow = RuleExecution


def rule_execution(resources: Resources) -> RuleExecutionJob:
    """Build the job type."""
    results = PostgresRuleResults()
    return RuleExecutionJob(
        rules=PostgresRules(),
        results=results,
        scans=RuleScans(
            database=resources.database,
            store=results,
            evaluator=SourceRuleEvaluator(SourceSessions(resources.sources)),
        ),
    )
