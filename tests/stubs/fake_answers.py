"""Answers made up from nothing but the JSON schema that was asked for."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

Schema = Mapping[str, Any]
_STRINGS = {
    "date": "2024-01-31",
    "date-time": "2024-01-31T00:00:00Z",
    "time": "00:00:00Z",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "email": "someone@example.com",
    "uri": "https://example.com/",
}


def fake_answer(
    schema: Schema,
    prompt: str = "",
    *,
    enums: Callable[[Sequence[Any]], Any] = lambda members: members[0],
) -> Any:
    """The smallest value that the schema allows; `enums` picks the member of each enum."""
    return _Faker(schema, enums).value(schema)


class _Faker:
    def __init__(self, root: Schema, enums: Callable[[Sequence[Any]], Any]) -> None:
        self._root = root
        self._enums = enums

    def value(self, schema: Schema) -> Any:
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self._enums(schema["enum"])
        if schema.get("examples"):
            return schema["examples"][0]
        kinds = schema.get("type", "object" if "properties" in schema else "null")
        kind = kinds[0] if isinstance(kinds, list) else kinds
        return getattr(self, f"_{kind}")(schema)

    def _resolved(self, schema: Schema) -> Schema:
        if "$ref" in schema:
            target: Any = self._root
            for part in schema["$ref"].removeprefix("#").strip("/").split("/"):
                target = target[part] if part else target
            return self._resolved({**target, **{k: v for k, v in schema.items() if k != "$ref"}})
        for word in ("anyOf", "oneOf"):
            if word in schema:
                options = [self._resolved(option) for option in schema[word]]
                real = [option for option in options if option.get("type") != "null"]
                return (real or options)[0]
        if "allOf" in schema:
            merged: dict[str, Any] = {k: v for k, v in schema.items() if k != "allOf"}
            for part in schema["allOf"]:
                merged |= self._resolved(part)
            return merged
        return schema

    def _object(self, schema: Schema) -> dict[str, Any]:
        required = schema.get("required", list(schema.get("properties", {})))
        return {name: self.value(schema["properties"][name]) for name in required}

    def _array(self, schema: Schema) -> list[Any]:
        if "prefixItems" in schema:
            return [self.value(item) for item in schema["prefixItems"]]
        count = max(schema.get("minItems", 1), min(1, schema.get("maxItems", 1)))
        return [self.value(schema.get("items", {"type": "string"})) for _ in range(count)]

    def _string(self, schema: Schema) -> str:
        if schema.get("format") in _STRINGS:
            return _STRINGS[schema["format"]]
        length: int = schema.get("minLength", 1)
        return "x" * max(1, length)

    def _number(self, schema: Schema) -> float:
        low, high = _bounds(schema)
        return low if high is None else (low + high) / 2

    def _integer(self, schema: Schema) -> int:
        low, high = _bounds(schema)
        number = int(low) if low == int(low) else int(low) + 1
        number += "exclusiveMinimum" in schema
        step = int(schema.get("multipleOf", 1))
        number = -(-number // step) * step
        return number if high is None else min(number, int(high))

    def _boolean(self, schema: Schema) -> bool:
        return True

    def _null(self, schema: Schema) -> None:
        return None


def _bounds(schema: Schema) -> tuple[float, float | None]:
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is None:
        low = min(0, high) if high is not None else 0
    return low, high
