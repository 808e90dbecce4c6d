"""What new jobs use: the offline analyst, or a model with a prompt."""

from collections.abc import Mapping

from longhaul.adapters.llm import prompts
from longhaul.core.job_types import OFFLINE, Resources


def freeze_analyst(
    resources: Resources, task: str, *, offline: tuple[str, str]
) -> Mapping[str, str]:
    """Provider, model and prompt version, as a job stores them when it is planned.

    Args:
        task: The prompt's.
        offline: The offline analyst's name and version.
    """
    if resources.provider == OFFLINE:
        model, version = offline
    else:
        model, version = resources.model, prompts.newest(task)
    return {"provider": resources.provider, "model": model, "prompt_version": version}
