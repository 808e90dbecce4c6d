"""An attribute as prompts describe it: enough to judge it, with a bounded size."""

from collections.abc import Mapping
from typing import Any

from longhaul.core.attributes import Attribute

MAX_DESCRIPTION = 4_000
MAX_NAME = 300
MAX_SAMPLES = 20
MAX_SAMPLE = 100


def described(attribute: Attribute) -> Mapping[str, Any]:
    """What the form and the sources say about an attribute, without its mapping."""
    return {
        "name": attribute.name[:MAX_NAME],
        "line_no": attribute.line_no,
        "mdrm": attribute.mdrm,
        "data_type": attribute.data_type,
        "mandatory": attribute.mandatory,
        "format": attribute.format[:MAX_NAME],
        "description": attribute.description[:MAX_DESCRIPTION],
        "is_key": attribute.is_key,
        "is_critical_data_element": attribute.is_cde,
        "had_issues": attribute.has_issues,
        "sample_values": [_cut(value) for value in attribute.sample_values[:MAX_SAMPLES]],
    }


def _cut(value: object) -> object:
    return value if isinstance(value, int | float | None) else str(value)[:MAX_SAMPLE]
