"""Rule generation, joined: its writers, its store, its workflow."""

from longhaul.activities.rule_generation import RuleGenerationType
from longhaul.adapters.llm.rule_writer import TASK, ModelRuleWriter
from longhaul.adapters.offline import rule_writer as offline
from longhaul.adapters.postgres.rules import PostgresRules
from longhaul.core.job_types import Resources
from longhaul.job_types.analysts import freeze_analyst
from longhaul.workflows.rule_generation import RuleGeneration


class RuleGenerationJob(RuleGenerationType):
    """Rule generation with the workflow that drives it."""

    workflow = RuleGeneration


def rule_generation(resources: Resources) -> RuleGenerationJob:
    """Build the job type."""
    return RuleGenerationJob(
        store=PostgresRules(),
        offline=offline.OfflineRuleWriter(seconds_per_item=resources.offline_seconds_per_item),
        model=ModelRuleWriter(resources.regexes),
        frozen=freeze_analyst(resources, TASK, offline=(offline.MODEL, offline.VERSION)),
    )
