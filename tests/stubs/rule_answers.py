"""Rules that fit any attribute, taken from the prompt; other questions get made-up answers."""

import json
from collections.abc import Mapping
from typing import Any

from tests.stubs.fake_answers import fake_answer

_DATA = "<data>"


def answer(schema: Mapping[str, Any], prompt: str) -> Any:
    """Three rules for the attribute that the prompt describes."""
    start = prompt.find(_DATA)
    if "rules" not in schema.get("properties", {}) or start < 0:
        return fake_answer(schema, prompt)
    data, _ = json.JSONDecoder().raw_decode(prompt[start + len(_DATA) :].lstrip())
    return {"rules": _rules(data["attribute"]["name"])}


def _rules(column: str) -> list[dict[str, Any]]:
    present = "expect_column_values_to_not_be_null"
    return [
        _rule(present, {"column": column}, f"{column} is present", "high"),
        _rule(present, {"column": column, "mostly": 0.9}, f"{column} is mostly present", "low"),
        _rule(
            "expect_table_row_count_to_be_between", {"min_value": 1}, "The table has rows", "medium"
        ),
    ]


def _rule(kind: str, kwargs: dict[str, Any], name: str, severity: str) -> dict[str, Any]:
    return {
        "type": kind,
        "kwargs": kwargs,
        "name": name[:200],
        "description": f"{name}.",
        "rule_type": "completeness",
        "severity": severity,
        "rationale": "A report without its values says nothing.",
        "regulatory_reference": "",
        "confidence": 0.9,
    }
