"""Ideas about the values of one column: range, size and form."""

from collections.abc import Iterator, Sequence

from longhaul.adapters.offline import evidence
from longhaul.adapters.offline.codes import known_codes
from longhaul.adapters.offline.idea import NUMBERS, TIMES, Idea, ends, in_words, placeholders, rows
from longhaul.adapters.offline.meanings import (
    FIRST_Y14M,
    LAST_DAY,
    MONTH,
    OLDEST_LOAN,
    RANGES,
    Range,
    is_about,
)
from longhaul.core.attributes import Attribute
from longhaul.core.expectations import (
    BETWEEN,
    LENGTHS,
    MATCH_REGEX,
    MATCH_STRFTIME,
    MEAN,
    NOT_MATCH_REGEX,
    OF_TYPE,
    STRFTIME_FORMATS,
)
from longhaul.core.formats import DataType
from longhaul.core.rules import RuleType, Severity

# What source systems write for unknown values.
_NO_TEXTS = ("N/A", "NA", "NULL", "UNKNOWN", "?", "-", "*", ".")
_NO_NUMBERS = (99_999_999, 999_999_999, 9_999_999_999)
_NO_DAYS = ("1900-01-01", "9999-12-31")


def ranges(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """The range of a quantity of this name, and of its mean."""
    if attribute.data_type not in NUMBERS or known_codes(attribute):
        return
    name = attribute.name
    known = next((one for one in RANGES if is_about(one.words, name)), None)
    if known is None:
        return
    low, high = (_scaled(end, known, attribute) for end in (known.low, known.high))
    yield Idea(
        expectation=BETWEEN,
        kwargs={"column": name, **ends(low, high)},
        name=f"{name} is plausible",
        description=f"{name} is {in_words(low, high)}.",
        rule_type=RuleType.VALIDITY,
        severity=known.severity,
        rationale=known.reason,
        confidence=0.85,
        weight=85,
    )
    if known.mean is not None:
        low, high = (_scaled(end, known, attribute) for end in known.mean)
        yield Idea(
            expectation=MEAN,
            kwargs={"column": name, **ends(low, high)},
            name=f"The mean of {name} is plausible",
            description=f"Over the whole portfolio the mean of {name} is {in_words(low, high)}.",
            rule_type=RuleType.ACCURACY,
            severity=Severity.LOW,
            rationale="A mean outside of what portfolios show points to a change of unit or to "
            "a shifted column, even while every single value is plausible.",
            confidence=0.65,
            weight=52,
        )


def dates(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """The range of a day."""
    if attribute.data_type not in TIMES:
        return
    name = attribute.name
    is_y14m = "y-14m" in f"{attribute.regulation} {attribute.report_name}".lower()
    is_month = is_about(MONTH, name)
    first = FIRST_Y14M if is_y14m and is_month else OLDEST_LOAN
    why = "No loan of today was made before 1970"
    if first == FIRST_Y14M:
        why = "The report has been collected since June 2012"
    yield Idea(
        expectation=BETWEEN,
        kwargs={"column": name, "min_value": first, "max_value": LAST_DAY},
        name=f"{name} is plausible",
        description=f"{name} lies between {first} and {LAST_DAY}.",
        rule_type=RuleType.VALIDITY,
        severity=Severity.MEDIUM,
        rationale=f"{why}, and days such as 1900-01-01 or 9999-12-31 stand for a missing one.",
        confidence=0.85,
        weight=70,
    )
    yield placeholders(attribute, _NO_DAYS)


def written(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """Times and numbers: the form that the format prescribes."""
    name, form = attribute.name, evidence.read_format(attribute)
    strftime = form.strftime if form else None
    if strftime in STRFTIME_FORMATS.get(attribute.data_type, ()):
        yield Idea(
            expectation=MATCH_STRFTIME,
            kwargs={"column": name, "strftime_format": strftime},
            name=f"{name} is written as {attribute.format}",
            description=f"{name} reads as a day of the calendar, written as {attribute.format}.",
            rule_type=RuleType.FORMAT,
            severity=Severity.MEDIUM,
            rationale=f"The form prescribes {attribute.format} for {attribute.reference}.",
            confidence=0.95,
            weight=90,
        )
    if attribute.data_type in (*NUMBERS, *TIMES, DataType.BOOLEAN):
        yield Idea(
            expectation=OF_TYPE,
            kwargs={"column": name, "type_": attribute.data_type.value},
            name=f"{name} reads as {attribute.data_type}",
            description=f"Every value of {name} can be read as {attribute.data_type}.",
            rule_type=RuleType.FORMAT,
            severity=Severity.MEDIUM,
            rationale=f"{attribute.reference} is of type {attribute.data_type}"
            + (f", written as {attribute.format}." if attribute.format else "."),
            confidence=0.9,
            weight=40 if strftime else 60,
        )


def texts(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """Texts: how long they are, and what they must not contain."""
    if attribute.data_type is not DataType.STRING:
        return
    name, form = attribute.name, evidence.read_format(attribute)
    longest = form.length if form else None
    yield Idea(
        expectation=LENGTHS,
        kwargs={"column": name, **ends(1, longest)},
        name=f"{name} fits its field",
        description=f"{name} has {in_words(1, longest)} characters.",
        rule_type=RuleType.FORMAT,
        severity=Severity.LOW,
        rationale=f"{attribute.reference} is declared as {attribute.format or 'text'}; an empty "
        "text is not a value.",
        confidence=0.9,
        weight=60,
    )
    if longest is None or longest > evidence.LONGEST_CODE:
        yield Idea(
            expectation=NOT_MATCH_REGEX,
            kwargs={"column": name, "regex": r"^[ \t\n\r\f]|[ \t\n\r\f]$"},
            name=f"{name} has no stray blanks",
            description=f"{name} neither begins nor ends with white space.",
            rule_type=RuleType.FORMAT,
            severity=Severity.LOW,
            rationale="White space at the ends comes from fixed-width extracts and breaks joins.",
            confidence=0.8,
            weight=58,
        )
    yield placeholders(
        attribute, [text for text in _NO_TEXTS if longest is None or len(text) <= longest]
    )


def last_resorts(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """What can be said of any attribute of a type."""
    name = attribute.name
    if attribute.data_type in NUMBERS:
        yield Idea(
            expectation=BETWEEN,
            kwargs={"column": name, "min_value": -(10**12), "max_value": 10**12},
            name=f"{name} is of a sane size",
            description=f"{name} lies between minus and plus a trillion.",
            rule_type=RuleType.VALIDITY,
            severity=Severity.LOW,
            rationale="Larger numbers come from overflows and from columns run together.",
            confidence=0.6,
            weight=30,
        )
        yield placeholders(attribute, _NO_NUMBERS)
    yield rows(weight=5)


def documents(attribute: Attribute, siblings: Sequence[str]) -> Iterator[Idea]:
    """What a JSON document looks like from outside."""
    name = attribute.name
    if attribute.data_type is DataType.JSON:
        yield Idea(
            expectation=MATCH_REGEX,
            kwargs={"column": name, "regex": r"^[ \t\n\r]*[\[{]"},
            name=f"{name} is a document",
            description=f"{name} begins as a JSON object or array does.",
            rule_type=RuleType.FORMAT,
            severity=Severity.MEDIUM,
            rationale="A bare text or number is usually a document that was written wrongly.",
            confidence=0.7,
            weight=60,
        )
        yield Idea(
            expectation=LENGTHS,
            kwargs={"column": name, "min_value": 2},
            name=f"{name} is not blank",
            description=f"{name} has at least two characters.",
            rule_type=RuleType.FORMAT,
            severity=Severity.LOW,
            rationale="The shortest document is {} or [].",
            confidence=0.8,
            weight=59,
        )


def _scaled(end: int | None, known: Range, attribute: Attribute) -> int | float | None:
    if end is None or not known.in_percent or not _is_fraction(known, attribute):
        return end
    scaled = end / 100
    return int(scaled) if scaled.is_integer() else scaled


def _is_fraction(known: Range, attribute: Attribute) -> bool:
    written = evidence.is_fraction(attribute)
    # Probabilities and losses are fractions unless somebody says otherwise; of anything else
    # the wider range is right as long as nothing is known.
    return written if written is not None else "default" in known.words
