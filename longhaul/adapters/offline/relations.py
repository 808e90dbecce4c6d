"""Ideas about a column and others: needed if, key with, before, above, the same as."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from longhaul.adapters.offline.idea import NUMBERS, TIMES, Idea, rows
from longhaul.adapters.offline.meanings import (
    DATE_ORDERS,
    IDENTIFIER,
    NEEDED,
    NUMBER_ORDERS,
    PERIOD,
    SAMES,
    Order,
    is_about,
)
from longhaul.core.attributes import Attribute, Obligation
from longhaul.core.expectations import COMPOUND_UNIQUE, NOT_NULL, PAIR_EQUAL, PAIR_GREATER, UNIQUE
from longhaul.core.rules import RuleType, Severity

_ZERO = ("==", 0)


def presence(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """That there is a value: always, or if another field requires it."""
    name = attribute.name
    is_conditional = attribute.mandatory is not Obligation.MANDATORY
    # A form requires the field, but its description may say when it stays empty.
    is_conditional |= is_about("[;,:] only (for|in|after|where)|empty for", attribute.description)
    if not is_conditional:
        yield Idea(
            expectation=NOT_NULL,
            kwargs={"column": name},
            name=f"{name} is present",
            description=f"Every record carries a value for {name}.",
            rule_type=RuleType.COMPLETENESS,
            severity=Severity.HIGH,
            rationale=f"{attribute.reference} is mandatory"
            + (" and part of the key of a record." if attribute.is_key else "."),
            confidence=0.95,
            weight=100,
        )
        return
    for needed in NEEDED:
        for other in _others(needed.own, needed.other, attribute, siblings):
            kwargs = {"column": name, "row_condition": _condition(other, needed.test)}
            yield Idea(
                expectation=NOT_NULL,
                kwargs=kwargs if needed.mostly is None else {**kwargs, "mostly": needed.mostly},
                name=f"{name} is present where {other} calls for it",
                description=f"{name} is filled in every record that {other} selects.",
                rule_type=RuleType.COMPLETENESS,
                severity=Severity.MEDIUM,
                rationale=needed.reason,
                confidence=0.8,
                weight=95,
            )


def keys(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """That a key occurs once, or once in a period if the report has periods."""
    name = attribute.name
    identifiers = [one for one in (name, *siblings) if is_about(IDENTIFIER, one)][:1]
    names_record = identifiers == [name] or (attribute.is_key and not identifiers)
    if not names_record and not attribute.is_key:
        return
    periods = [one for one in siblings if is_about(PERIOD, one)][:1] if identifiers else []
    columns = list(dict.fromkeys([*identifiers, *periods, name]))
    together, is_alone = " and ".join(columns), columns == [name]
    yield Idea(
        expectation=UNIQUE if is_alone else COMPOUND_UNIQUE,
        kwargs={"column": name} if is_alone else {"column_list": columns},
        name=f"{name} occurs once" if is_alone else f"{together} occur together once",
        description=f"No two records carry the same {together}.",
        rule_type=RuleType.UNIQUENESS,
        severity=Severity.HIGH,
        rationale="The field names the record; a record that is there twice is counted twice "
        "in every total of the report."
        if names_record
        else f"{name} is part of the key, which names each record together with {identifiers[0]}.",
        confidence=0.9 if names_record else 0.85,
        weight=98 if names_record else 91,
    )
    if names_record:
        yield rows(weight=56)


def orders(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """That of two quantities one is not below the other."""
    known: Sequence[Order]
    if attribute.data_type in TIMES:
        known = DATE_ORDERS
    elif attribute.data_type in NUMBERS:
        known = NUMBER_ORDERS
    else:
        return
    for order in known:
        for other in _others(order.own, order.other, attribute, siblings):
            if order.unless is None or not any(is_about(order.unless, one) for one in siblings):
                # Its description may have no exceptions.
                is_strict = is_about(
                    r"\bnever (more|less|above|below|before|after)\b", attribute.description
                )
                found = replace(order, mostly=None) if is_strict else order
                yield _order(found, attribute.name, other, siblings)


def _order(order: Order, name: str, other: str, siblings: Sequence[str]) -> Idea:
    greater, smaller = (name, other) if order.is_greater else (other, name)
    kwargs: dict[str, Any] = {
        "column_A": greater,
        "column_B": smaller,
        "or_equal": order.or_equal,
        "ignore_row_if": "either_value_is_missing",
    }
    spared = _spared(order.exceptions, siblings)
    if spared is not None:
        kwargs["row_condition"] = spared
        order = replace(order, mostly=None)
    if order.mostly is not None:
        kwargs["mostly"] = order.mostly
    if order.where_positive:
        kwargs["row_condition"] = _condition(other, (">", 0))
    return Idea(
        expectation=PAIR_GREATER,
        kwargs=kwargs,
        name=f"{greater} is not below {smaller}"
        if order.or_equal
        else f"{greater} above {smaller}",
        description=f"{greater} is {'at least' if order.or_equal else 'greater than'} {smaller} "
        f"in {'every record' if order.mostly is None else 'nearly all records'} that has both"
        f"{', known exceptions aside' if spared else ''}.",
        rule_type=order.rule_type,
        severity=order.severity,
        rationale=order.reason,
        confidence=0.85 if order.mostly is None else 0.7,
        weight=80,
    )


def _spared(exceptions: Sequence[str], siblings: Sequence[str]) -> dict[str, Any] | None:
    """The records that are not exceptions, if the report shows them."""
    found = [next((s for s in siblings if is_about(one, s)), None) for one in exceptions]
    conditions = [
        _condition(name, None, is_null=True) if is_about("date", name) else _condition(name, _ZERO)
        for name in found
        if name is not None
    ]
    if not conditions or len(conditions) < len(exceptions):
        return None
    return {"type": "and", "conditions": conditions}


def samenesses(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """That two fields agree as long as nothing was modified."""
    for same in SAMES:
        for other in _others(same.own, same.other, attribute, siblings):
            modified = next((one for one in siblings if is_about(same.modified, one)), None)
            if modified is None:
                continue
            yield Idea(
                expectation=PAIR_EQUAL,
                kwargs={
                    "column_A": attribute.name,
                    "column_B": other,
                    "ignore_row_if": "either_value_is_missing",
                    "mostly": same.mostly,
                    "row_condition": _condition(modified, None, is_null=True),
                },
                name=f"{attribute.name} agrees with {other}",
                description=f"Without {modified}, {attribute.name} and {other} are the same.",
                rule_type=RuleType.CONSISTENCY,
                severity=Severity.LOW,
                rationale=same.reason,
                confidence=0.65,
                weight=65,
            )


def _others(own: str, other: str, attribute: Attribute, siblings: Sequence[str]) -> Iterator[str]:
    """The first sibling that a table pairs with the attribute."""
    if is_about(own, attribute.name):
        for sibling in siblings:
            if sibling != attribute.name and is_about(other, sibling):
                yield sibling
                return


def _condition(
    column: str, test: tuple[str, Any] | None, *, is_null: bool = False
) -> dict[str, Any]:
    if test is None:
        return {"type": "nullity", "column": {"name": column}, "is_null": is_null}
    operator, value = test
    return {
        "type": "comparison",
        "column": {"name": column},
        "operator": operator,
        "parameter": value,
    }
