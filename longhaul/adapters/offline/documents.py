"""Documents with the true value of an attribute, and how a tester recognises it."""

import re
from collections.abc import Mapping, Sequence

from longhaul.adapters.offline.evidence import read_format
from longhaul.core.attributes import Attribute, Obligation
from longhaul.core.formats import DataType

_BY_PROCESS: Mapping[str, tuple[str, ...]] = {
    "Foreclosure and recovery": ("Foreclosure file", "Sale settlement statement"),
    "Loss mitigation": ("Modification agreement", "Workout file", "Servicing notes"),
    "Collections": ("Payment history", "Bankruptcy court notice", "Servicing notes"),
    "Credit risk": ("Credit bureau report", "Underwriting worksheet", "Risk model output"),
    "Finance and reporting": ("General ledger extract", "Investor report"),
    "Collateral valuation": ("Appraisal report", "Valuation model output"),
    "Origination": ("Loan application", "Closing disclosure", "Promissory note"),
    "Pricing and terms": ("Promissory note", "Adjustable rate rider", "Rate change notice"),
}
_ELSE = ("Servicing system screen print", "Monthly statement")
_IDENTIFYING = ("Promissory note", "Servicing system screen print")

_MOST_KEYWORDS = 20
_WORD = re.compile(r"[A-Za-z][A-Za-z-]+")
_SMALL = frozenset({"a", "an", "any", "as", "at", "by", "in", "is", "of", "on", "or", "the", "to"})
_ACRONYM = re.compile(r"\b[A-Z]{2,6}\b")


def expected_documents(attribute: Attribute, process: str) -> tuple[str, ...]:
    """Kinds of documents that show the value, the best first."""
    documents = _BY_PROCESS.get(process, _ELSE)
    return tuple(dict.fromkeys((*_IDENTIFYING, *documents) if attribute.is_key else documents))


def keywords(attribute: Attribute) -> tuple[str, ...]:
    """The words beside the value in a document."""
    name = re.sub(r"\s*[-–—(].*", "", attribute.name).strip() or attribute.name
    words = [word.lower() for word in _WORD.findall(name) if word.lower() not in _SMALL]
    found: list[str] = [name.lower(), *words, *_ACRONYM.findall(attribute.name)]
    return tuple(dict.fromkeys([*found, *([attribute.mdrm] if attribute.mdrm else [])]))[
        :_MOST_KEYWORDS
    ]


def hints(attribute: Attribute, kin: Sequence[str]) -> tuple[str, ...]:
    """What a tester should check."""
    form = read_format(attribute)
    found = []
    if attribute.format:
        found.append(f"The form writes it as {attribute.format}.")
    if attribute.data_type in {DataType.DATE, DataType.DATE_TIME}:
        found.append("Compare the day, not how it is written.")
    if form and form.scale:
        found.append(f"Compare to {form.scale} decimals; mind fractions against percents.")
    if attribute.mandatory is Obligation.MANDATORY:
        found.append("It must never be empty.")
    if attribute.mandatory is Obligation.CONDITIONAL:
        found.append("Find out first whether this loan needs it; else it must be empty.")
    if kin:
        found.append(f"Read it together with {kin[0]}.")
    return tuple(found)
