"""Prompts are files in numbered folders: a job freezes its version, and every version stays."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROMPTS = Path(__file__).parent / "prompts"

# The marks around the data of a prompt; `block` escapes them in the data.
_OPEN, _CLOSE = "<data>", "</data>"
_SLOT = "{{data}}"


@dataclass(frozen=True, slots=True)
class Prompt:
    """One version of a question.

    Attributes:
        instructions: The same for every question.
        question: The question, with a slot for its data.
    """

    version: str
    instructions: str
    question: str

    def about(self, data: Mapping[str, Any]) -> str:
        """The question about some data."""
        return self.question.replace(_SLOT, block(data))


def newest(task: str, folder: Path = PROMPTS) -> str:
    """The version that new jobs freeze.

    Raises:
        LookupError: There is no prompt for the task.
    """
    versions = [one.name for one in (folder / task).glob("*") if one.name.isdigit()]
    if not versions:
        raise LookupError(f"There is no prompt for {task!r}.")
    return max(versions, key=int)


def load(task: str, version: str, question: str, folder: Path = PROMPTS) -> Prompt:
    """Read one version of a prompt.

    Args:
        question: Name of the question's file, without its ending.

    Raises:
        LookupError: The version does not exist.
    """
    home = folder / task / version
    if not version.isdigit() or not home.is_dir():
        raise LookupError(f"There is no version {version!r} of the prompt for {task!r}.")
    return Prompt(
        version,
        (home / "instructions.md").read_text("utf-8").strip(),
        (home / f"{question}.md").read_text("utf-8").strip(),
    )


def block(data: Mapping[str, Any]) -> str:
    """Data as JSON between marks that it cannot forge."""
    text = json.dumps(data, indent=1, ensure_ascii=True)
    # In JSON these only occur in strings, where an escape means the same.
    for char in "<>&":
        text = text.replace(char, f"\\u{ord(char):04x}")
    return f"{_OPEN}\n{text}\n{_CLOSE}"
