"""Rule generation, joined: its writers, its store, its workflow."""

from longhaul.activities.rule_generation import OFFLINE, RuleGenerationType
from longhaul.adapters.llm import prompts
from longhaul.adapters.llm.rule_writer import TASK, ModelRuleWriter
from longhaul.adapters.offline import rule_writer as offline
from longhaul.adapters.postgres.rules import PostgresRules
from longhaul.core.job_types import Resources
from longhaul.workflows.rule_generation import RuleGeneration


class RuleGenerationJob(RuleGenerationType):
    """Rule generation with the workflow that drives it."""

    workflow = RuleGeneration


def rule_generation(resources: Resources) -> RuleGenerationJob:
    """Build the job type."""
    if resources.provider == OFFLINE:
        model, version = offline.MODEL, offline.VERSION
    else:
        model, version = resources.model, prompts.newest(TASK)
    return RuleGenerationJob(
        store=PostgresRules(),
        offline=offline.OfflineRuleWriter(seconds_per_item=resources.offline_seconds_per_item),
        model=ModelRuleWriter(resources.regexes),
        frozen={"provider": resources.provider, "model": model, "prompt_version": version},
    )
