"""What an attribute's data mean for the bank, by its name, flags and description."""

import re
from collections.abc import Sequence

from longhaul.core.attributes import Attribute, Obligation
from longhaul.core.mappings import Classification, Level, SecurityClass

# The first whose words are in the name; without one it belongs to the servicing of the loan.
_PROCESSES: Sequence[tuple[str, str]] = (
    (
        "foreclosure|reo|bank owned|third party sale|liquidation|recovery|sales? price",
        "Foreclosure and recovery",
    ),
    (
        "modif|workout|loss mitigation|write.?down|re-?age|extension|troubled|deferred|settlement",
        "Loss mitigation",
    ),
    ("bankruptcy|delinquen|charge.?off|involuntary", "Collections"),
    (
        "probability of default|loss given|exposure at|credit (bureau )?score|credit class",
        "Credit risk",
    ),
    (
        "repurchase|investor|hfi|fair value|owner\\b|entity|rssd|reporting|national bank",
        "Finance and reporting",
    ),
    ("valuation|property value|appraisal|cltv|\\bltv", "Collateral valuation"),
    (
        "original|origination|closing|purpose|source|documentation|occupancy|lien|commitment|"
        "property|units|insurance",
        "Origination",
    ),
    ("arm\\b|interest|rate|index|margin|reset|balloon|term|amortization", "Pricing and terms"),
)
_ELSE = "Loan servicing"

_IDENTIFIES = re.compile(
    r"(loan|account|customer|reference) (number|id)|\b(ssn|social security|tax ?payer|birth|"
    r"borrower name|first name|last name|full name|e-?mail|phone|street|address)\b"
)
_LOCATES = re.compile(r"\bzip|postal")
_OWN_ESTIMATE = re.compile(r"probability of default|loss given|exposure at|fair value|recovery")
_PUBLISHED = re.compile(r"rssd|reporting.*month|as of.*(month|date)")


def classify(attribute: Attribute) -> Classification:
    """Classify by rules of thumb."""
    name = attribute.name.lower()
    identifies = _IDENTIFIES.search(name) is not None
    return Classification(
        business_process=_process(name),
        security=_security(name, identifies=identifies),
        criticality=_criticality(attribute),
        risk=_risk(attribute),
        regulatory=bool(attribute.mdrm or attribute.regulation),
        pii=identifies or _LOCATES.search(name) is not None,
        references=(attribute.reference,),
    )


def _process(name: str) -> str:
    found = (process for words, process in _PROCESSES if re.search(words, name))
    return next(found, _ELSE)


def _security(name: str, *, identifies: bool) -> SecurityClass:
    if identifies:
        return SecurityClass.HRCI
    if _PUBLISHED.search(name):
        return SecurityClass.PUBLIC
    if _OWN_ESTIMATE.search(name):
        return SecurityClass.PROPRIETARY
    return SecurityClass.CONFIDENTIAL


def _criticality(attribute: Attribute) -> Level:
    if attribute.is_cde or attribute.is_key:
        return Level.HIGH
    return Level.LOW if attribute.mandatory is Obligation.OPTIONAL else Level.MEDIUM


def _risk(attribute: Attribute) -> Level:
    if attribute.has_issues:
        return Level.HIGH
    return Level.MEDIUM if attribute.is_cde or attribute.is_key else Level.LOW
