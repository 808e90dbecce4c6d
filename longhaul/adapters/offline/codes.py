"""Ideas about coded columns: which codes there are, and how a code is written."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

from longhaul.adapters.offline import evidence
from longhaul.adapters.offline.idea import NUMBERS, Idea, placeholders
from longhaul.adapters.offline.meanings import STATES, is_about
from longhaul.core.attributes import Attribute
from longhaul.core.expectations import IN_SET, MATCH_REGEX
from longhaul.core.formats import DataType
from longhaul.core.rules import RuleType, Severity

_STATE, _ZIP = 2, 5

# The most codes in a sentence.
_NAMED = 12


def codings(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """That a code is a known one, and how a code is written."""
    known = known_codes(attribute)
    if known:
        values, why, confidence = known
        yield Idea(
            expectation=IN_SET,
            kwargs={"column": attribute.name, "value_set": values},
            name=f"{attribute.name} is a known code",
            description=f"{attribute.name} is one of {', '.join(map(str, values[:_NAMED]))}"
            + (", …." if len(values) > _NAMED else "."),
            rule_type=RuleType.VALIDITY,
            severity=Severity.MEDIUM,
            rationale=why,
            confidence=confidence,
            weight=92,
        )
    form = evidence.read_format(attribute)
    if attribute.data_type is not DataType.STRING or form is None or form.length is None:
        return
    is_zip = is_about("zip", attribute.name)
    if is_zip:
        yield replace(placeholders(attribute, ["00000", "99999"]), weight=61)
    pattern, what = _spelling(attribute, form.length)
    if pattern:
        # With a list of codes their spelling adds little.
        weight = 90 if is_zip else 45 if known else 55
        yield Idea(
            expectation=MATCH_REGEX,
            kwargs={"column": attribute.name, "regex": pattern},
            name=f"{attribute.name} is spelt as {what}",
            description=f"{attribute.name} consists of {what} and nothing else.",
            rule_type=RuleType.FORMAT,
            severity=Severity.MEDIUM,
            rationale=f"{attribute.reference} is declared as {attribute.format} and holds {what}.",
            confidence=0.8,
            weight=weight,
        )


def known_codes(attribute: Attribute) -> tuple[list[Any], str, float] | None:
    """The values of a coded attribute, why, and how sure that is."""
    form = evidence.read_format(attribute)
    if attribute.data_type is DataType.BOOLEAN:
        return [True, False], "A truth value is one of two.", 0.95
    if attribute.data_type in NUMBERS:
        is_code = is_about("type|company|code|class", attribute.name)
        codes = evidence.documented_codes(attribute.description) if is_code else []
        if codes and all(code.isdigit() for code in codes):
            return [int(code) for code in codes], "The description explains these codes.", 0.85
        return None
    if attribute.data_type is not DataType.STRING or form is None or form.length is None:
        return None
    if form.length == _STATE and is_about(r"\bstate\b", attribute.name):
        return list(STATES), "The postal codes of states, the District and territories.", 0.95
    if form.length > evidence.LONGEST_CODE:
        return None
    return _text_codes(attribute, form.length)


def _text_codes(attribute: Attribute, length: int) -> tuple[list[Any], str, float] | None:
    seen = set(evidence.texts(attribute))
    codes = evidence.documented_codes(attribute.description)
    if codes and all(len(code) <= length for code in codes):
        return codes, "The description explains these codes and no others.", 0.85
    is_flag = is_about("flag", attribute.name) or attribute.description.startswith("Whether ")
    for answers in (["N", "Y"], ["0", "1"], ["N", "U", "Y"]):
        if is_flag and seen and _fits(seen, set(answers)):
            return answers, "A flag answers yes or no, and its first values are written so.", 0.85
    recurring = evidence.recurring_codes(attribute)
    if recurring:
        count = len(evidence.present(attribute))
        return recurring, f"Among the first {count} values only these codes occur.", 0.6
    return None


def _fits(seen: set[str], answers: set[str]) -> bool:
    # One stray value among all the answers is an error that the rule should find.
    return seen <= answers or (answers <= seen and len(seen - answers) == 1)


def _spelling(attribute: Attribute, length: int) -> tuple[str, str]:
    if is_about("zip", attribute.name):
        if length == _ZIP:
            return "^[0-9]{5}$", "five digits"
        return "^[0-9]{5}(-?[0-9]{4})?$", "five digits, or nine with the extension"
    if length > evidence.LONGEST_CODE:
        return "", ""
    seen = evidence.texts(attribute)
    if seen and length > 1 and all(text.isdigit() and len(text) == length for text in seen):
        return f"^[0-9]{{{length}}}$", f"{length} digits"
    count = f"{{1,{length}}}" if length > 1 else ""
    return f"^[0-9A-Z]{count}$", "capital letters and digits"
