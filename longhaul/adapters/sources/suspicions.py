"""Reasons to sample rows, each as a test of a row: measured, missing or broken."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import ibis.expr.types as ir
from ibis.common.exceptions import IbisError

from longhaul.adapters.regexes import Re2
from longhaul.adapters.sources.readings import (
    Reader,
    Reading,
    Unreadable,
    is_month,
    month_of,
    time_of,
)
from longhaul.adapters.sources.rule_compiler import MeasureRule, UniqueRule, compile_rule
from longhaul.core.expectations import BETWEEN, LENGTHS
from longhaul.core.sampling import Category, Kind, Risk, SampledAttribute, SampledRule

# Larger numbers are left out of means: their squares would overflow.
LARGEST = 1e18

SIGMAS = 2.0
FENCE = 1.5

_REGEX = "regex"
_GRAVEST = list(reversed(Risk))


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspicion:
    """A test of a row, before counting the rows for which it is true.

    Attributes:
        test: True or false for each row, never NULL; None for tests of a group.
        doubled: For rules about equal rows: the columns that are equal, and the rows judged.
    """

    key: str
    category: Category
    kind: Kind
    attribute: SampledAttribute
    reason: str
    risk: Risk
    confidence: float
    test: ir.BooleanValue | None = None
    doubled: tuple[Sequence[str], ir.BooleanValue] | None = None
    rule_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Figures of a column, in the reading in which it is compared; None where it has none."""

    low: Any = None
    high: Any = None
    mean: float | None = None
    deviation: float | None = None
    quartiles: tuple[float, float] | None = None


READINGS: Mapping[str, Reading] = {
    "String": Reading.TEXT,
    "JSON": Reading.TEXT,
    "Integer": Reading.NUMBER,
    "Decimal": Reading.NUMBER,
    "Date": Reading.TIME,
    "DateTime": Reading.TIME,
    "Boolean": Reading.TRUTH,
}


def measured(reader: Reader, attribute: SampledAttribute) -> ir.Value | None:
    """What is measured of a column: its numbers, its times, or the lengths of its texts.

    Raises:
        Unreadable: The column is missing or cannot be read as the attribute's type.
    """
    assert attribute.column is not None
    reading = READINGS[attribute.data_type]
    value = reader.as_(reading, attribute.column, attribute.written)
    if reading is Reading.TRUTH:
        return None
    if reading is Reading.TIME and is_month(attribute.written):
        return month_of(value)
    return value.length() if reading is Reading.TEXT else value


def rule_suspicions(
    reader: Reader,
    rules: Sequence[SampledRule],
    attributes: Mapping[int, SampledAttribute],
    re2: Re2,
) -> Iterator[Suspicion]:
    """Rows that break rules, the most severe first; rules that cannot run are left out."""
    for one in sorted(rules, key=lambda one: (_GRAVEST.index(one.severity), one.rule.id)):
        if _REGEX in one.rule.kwargs and re2.refusal(one.rule.kwargs[_REGEX]):
            continue
        try:
            compiled = compile_rule(reader, one.rule)
        except (Unreadable, IbisError):
            continue
        if isinstance(compiled, MeasureRule):
            continue
        broken = Suspicion(
            key=f"rule:{one.rule.id}",
            category=Category.ANOMALY,
            kind=Kind.RULE_VIOLATION,
            attribute=attributes[one.attribute_id],
            reason=f"The row breaks the rule “{one.name}”.",
            risk=one.severity,
            confidence=0.95,
            rule_id=one.rule.id,
        )
        if isinstance(compiled, UniqueRule):
            judged = compiled.considered
            if compiled.scope is not None:
                judged &= compiled.scope
            yield replace(broken, doubled=(compiled.columns, judged))
        else:
            yield replace(broken, test=compiled.fails)


def missing(reader: Reader, attribute: SampledAttribute) -> Iterator[Suspicion]:
    """Rows without a value that the form requires."""
    if attribute.is_mandatory and attribute.column is not None:
        yield Suspicion(
            key=f"missing:{attribute.id}",
            category=Category.ANOMALY,
            kind=Kind.MISSING,
            attribute=attribute,
            reason=f"{attribute.name} is mandatory and has no value.",
            risk=Risk.CRITICAL if attribute.is_key or attribute.is_critical else Risk.HIGH,
            confidence=0.95,
            test=~reader.present(attribute.column),
        )


def outliers(
    value: ir.Value, attribute: SampledAttribute, measures: Measures
) -> Iterator[Suspicion]:
    """Rows whose number is far from the others."""
    fences = list(_fences(measures))
    if not fences:
        return
    tests = [(value < low) | (value > high) for low, high, _ in fences]
    test = tests[0] if len(tests) == 1 else tests[0] | tests[1]
    words = " or ".join(f"{name} ({low:.6g} to {high:.6g})" for low, high, name in fences)
    yield Suspicion(
        key=f"outlier:{attribute.id}",
        category=Category.ANOMALY,
        kind=Kind.OUTLIER,
        attribute=attribute,
        reason=f"{attribute.name} lies outside of {words}.",
        risk=Risk.HIGH if attribute.is_critical else Risk.MEDIUM,
        confidence=0.6,
        test=test.fill_null(False),
    )


def boundaries(
    value: ir.Value, attribute: SampledAttribute, measures: Measures, rules: Sequence[SampledRule]
) -> Iterator[Suspicion]:
    """Rows with the lowest or highest value that a rule allows or that the data has."""
    reading = READINGS[attribute.data_type]
    what = f"The length of {attribute.name}" if reading is Reading.TEXT else attribute.name
    risk = Risk.MEDIUM if attribute.is_critical or attribute.is_key else Risk.LOW
    seen: set[Any] = set()
    for number, (end, name, rule_id) in enumerate(_ends(attribute, measures, rules, reading)):
        if end in seen:
            continue
        seen.add(end)
        yield Suspicion(
            key=f"boundary:{attribute.id}:{number}",
            category=Category.BOUNDARY,
            kind=Kind.RULE_BOUNDARY if rule_id else Kind.DATA_BOUNDARY,
            attribute=attribute,
            reason=f"{what} is the {name}.",
            risk=risk,
            confidence=0.85 if rule_id else 0.75,
            test=(value == end).fill_null(False),
            rule_id=rule_id,
        )


def _fences(measures: Measures) -> Iterator[tuple[float, float, str]]:
    if measures.mean is not None and measures.deviation:
        spread = SIGMAS * measures.deviation
        yield measures.mean - spread, measures.mean + spread, "mean ± 2 standard deviations"
    if measures.quartiles is not None and measures.quartiles[0] < measures.quartiles[1]:
        first, third = measures.quartiles
        spread = FENCE * (third - first)
        yield first - spread, third + spread, "quartiles ± 1.5 interquartile ranges"


def _ends(
    attribute: SampledAttribute,
    measures: Measures,
    rules: Sequence[SampledRule],
    reading: Reading,
) -> Iterator[tuple[Any, str, str | None]]:
    for one in rules:
        kwargs = one.rule.kwargs
        if one.attribute_id != attribute.id or kwargs.get("column") != attribute.name:
            continue
        read = _READ.get((one.rule.expectation, reading))
        if read is None or kwargs.get("min_value") == kwargs.get("max_value"):
            # If only one value is allowed, every good row has it.
            continue
        for name, word in (("min_value", "lowest"), ("max_value", "highest")):
            end = read(kwargs.get(name))
            if end is not None and reading is Reading.TIME and is_month(attribute.written):
                end = month_of(end)
            if end is not None:
                yield end, f"{word} value that the rule “{one.name}” names", one.rule.id
    if measures.low is not None and measures.low != measures.high:
        yield measures.low, "lowest in the data", None
        yield measures.high, "highest in the data", None


def _number(end: object) -> Any:
    return end if isinstance(end, int | float) and not isinstance(end, bool) else None


def _time(end: object) -> Any:
    return time_of(end) if isinstance(end, str) else None


# For a text the length is measured.
_READ: Mapping[tuple[str, Reading], Callable[[object], Any]] = {
    (BETWEEN, Reading.NUMBER): _number,
    (BETWEEN, Reading.TIME): _time,
    (LENGTHS, Reading.TEXT): _number,
}


def figures(
    value: ir.Value, reading: Reading, quartile_rows: ir.BooleanValue | None
) -> Mapping[str, ir.Value]:
    """The figures of a column in one scan.

    Args:
        quartile_rows: The rows for the quartiles; None for all.
    """
    ends = {"low": value.min(), "high": value.max()}
    if reading is not Reading.NUMBER:
        return ends
    number = value.cast("float64")
    usual = number.abs() < LARGEST
    chosen = usual if quartile_rows is None else usual & quartile_rows
    return {
        **ends,
        "mean": number.mean(where=usual),
        "deviation": number.std(where=usual),
        "first": number.quantile(0.25, where=chosen),
        "third": number.quantile(0.75, where=chosen),
    }


def read_measures(named: Mapping[str, Any]) -> Measures:
    """Read the result of `figures`."""
    mean, deviation = named.get("mean"), named.get("deviation")
    first, third = named.get("first"), named.get("third")
    return Measures(
        low=named.get("low"),
        high=named.get("high"),
        mean=None if mean is None else float(mean),
        deviation=None if deviation is None else float(deviation),
        quartiles=None if first is None or third is None else (float(first), float(third)),
    )
