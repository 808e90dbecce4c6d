"""The meanings of mortgage fields by name: the offline analyst's rules of thumb, as data.

Patterns are searched in names in lower case with plain dashes; the first match counts.
"""

import re
from dataclasses import dataclass
from typing import Any

from longhaul.core.rules import RuleType, Severity


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """What values a quantity can take.

    Attributes:
        mean: The range of a portfolio's mean; None if it is not known.
        in_percent: Whether the ends are percents; they are divided if fractions are reported.
    """

    words: str
    low: int | None
    high: int | None
    reason: str
    mean: tuple[int, int] | None = None
    in_percent: bool = False
    severity: Severity = Severity.MEDIUM


# No mortgage is written for longer than forty years.
_LONGEST = 480

RANGES = (
    Range(
        words="probability of default",
        low=0,
        high=100,
        mean=(0, 20),
        in_percent=True,
        reason="A probability lies between impossible and certain.",
        severity=Severity.HIGH,
    ),
    Range(
        words="loss given default",
        low=0,
        high=100,
        mean=(1, 90),
        in_percent=True,
        reason="The share of an exposure that is lost lies between nothing and the whole.",
        severity=Severity.HIGH,
    ),
    Range(
        words="(refreshed|current).*(ltv|loan to value)",
        low=0,
        high=300,
        mean=(20, 120),
        in_percent=True,
        reason="All liens together exceed three times the newest value of a home only by a slip "
        "of the decimal point.",
    ),
    Range(
        words="(combined|total).*(ltv|loan to value)|cltv",
        low=0,
        high=200,
        mean=(40, 110),
        in_percent=True,
        reason="With every lien counted nobody lends more than twice the value of a home.",
    ),
    Range(
        words="ltv|loan to value",
        low=0,
        high=150,
        mean=(40, 100),
        in_percent=True,
        reason="A first lien above one and a half times the value of the home is an error of "
        "amount, value or unit.",
        severity=Severity.HIGH,
    ),
    Range(
        words="dti|debt to income",
        low=0,
        high=100,
        mean=(10, 60),
        in_percent=True,
        reason="Debt payments above the whole gross income are not underwritten.",
    ),
    Range(
        words="credit (bureau )?score(?!.*(vendor|version|date))|fico",
        low=300,
        high=850,
        mean=(600, 800),
        reason="The credit bureaus' scores run from 300 to 850; 0 and 999 stand for no score.",
        severity=Severity.HIGH,
    ),
    Range(
        words="negative amortization.*limit",
        low=0,
        high=200,
        in_percent=True,
        reason="Negative amortisation is capped at 110 to 125 percent of the loan, never above "
        "twice its amount.",
    ),
    Range(
        words="pay cap|pay floor",
        low=0,
        high=50,
        in_percent=True,
        reason="A payment is allowed to move by some percents at a reset, usually 7.5.",
    ),
    Range(
        words="periodic rate (cap|floor)",
        low=0,
        high=10,
        in_percent=True,
        reason="A rate moves by one or two percentage points at a reset, never by more than ten.",
    ),
    Range(
        words="margin",
        low=0,
        high=10,
        in_percent=True,
        reason="The margin over the index is a few percentage points.",
    ),
    Range(
        words="(coverage )?percent",
        low=0,
        high=100,
        in_percent=True,
        reason="A share of the loan is neither negative nor more than the whole.",
    ),
    Range(
        words="(original|current) interest rate",
        low=0,
        high=25,
        mean=(1, 12),
        in_percent=True,
        reason="Usury laws and the market keep mortgage rates far below 25 percent; more is "
        "usually a percent where a fraction belongs.",
        severity=Severity.HIGH,
    ),
    Range(
        words=r"\brate\b(?!.*(period|frozen|type|date))",
        low=0,
        high=25,
        in_percent=True,
        reason="Usury laws and the market keep mortgage rates far below 25 percent; more is "
        "usually a percent where a fraction belongs.",
    ),
    Range(
        words="remaining term|balloon term",
        low=0,
        high=_LONGEST,
        reason="The months left cannot exceed forty years, the longest term that is written.",
    ),
    Range(
        words="penalty term",
        low=0,
        high=120,
        reason="Penalties for early repayment end after some years, at the latest after ten.",
    ),
    Range(
        words="initial rate period",
        low=0,
        high=180,
        reason="The first rate of an adjustable loan holds for fifteen years at most.",
    ),
    Range(
        words="reset (period|frequency)",
        low=0,
        high=60,
        reason="Adjustable loans reset monthly to every five years.",
    ),
    Range(
        words="draw period|interest only term",
        low=0,
        high=360,
        reason="Drawing, or paying interest only, ends well before the loan does.",
    ),
    Range(
        words="(original|loan|line).*term$",
        low=1,
        high=_LONGEST,
        mean=(60, 420),
        reason="A term is at least a month and at most forty years, the longest that is written.",
    ),
    Range(
        words="rssd",
        low=1,
        high=9_999_999,
        reason="The Federal Reserve's RSSD numbers have up to seven digits.",
        severity=Severity.HIGH,
    ),
    Range(
        words="original property value",
        low=1,
        high=None,
        reason="A home that secures a loan is worth something.",
        severity=Severity.HIGH,
    ),
    Range(
        # After the costs of collection it may be negative.
        words="net recovery",
        low=-100_000_000,
        high=100_000_000,
        reason="Costs may exceed proceeds, but neither reaches a hundred million for one home.",
    ),
    Range(
        words="amount|balance|value|price|limit|debt|commitment|exposure|payment",
        low=0,
        high=None,
        reason="The amount is reported in dollars owed, paid or valued, and none of these is "
        "negative; a minus sign is a booking error.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Two quantities of a record of which one cannot be below the other.

    Attributes:
        own: The attribute that the rule is proposed for.
        is_greater: Whether that one is the greater.
        unless: With such an attribute in the report the order does not hold.
        where_positive: Only records in which the other is above zero count.
        exceptions: Attributes that tell which records may be out of order: those with a number
            above zero, or a day. Where the report has all of them the others must be in order.
    """

    own: str
    other: str
    reason: str
    is_greater: bool = True
    or_equal: bool = True
    mostly: float | None = None
    rule_type: RuleType = RuleType.CONSISTENCY
    severity: Severity = Severity.MEDIUM
    unless: str | None = None
    where_positive: bool = False
    exceptions: tuple[str, ...] = ()


_CLOSING = "loan closing date"
_LOAN_TERM = "^original loan(/line)? term$"

DATE_ORDERS = (
    Order(
        own="^first payment date",
        other=_CLOSING,
        or_equal=False,
        severity=Severity.HIGH,
        reason="The first instalment falls due after the loan has been made.",
    ),
    Order(
        own="^next payment due date",
        other="^first payment date",
        reason="No instalment is due before the first one.",
    ),
    Order(
        own="foreclosure sale date",
        other="foreclosure referral date",
        severity=Severity.HIGH,
        reason="A home is sold in foreclosure only after the loan was referred to it.",
    ),
    Order(
        own="foreclosure referral date|last modified date|repurchase request date"
        "|restructure date|charge-?off date",
        other=_CLOSING,
        or_equal=False,
        reason="What happens to a loan happens after it has been made.",
    ),
    Order(
        own="(most recent|refreshed) property valuation date|current credit bureau score date",
        other=_CLOSING,
        mostly=0.9,
        severity=Severity.LOW,
        reason="A refreshed figure is newer than the loan; only the newest loans still carry the "
        "one from before the closing.",
    ),
    Order(
        own="^(?!.*(first payment|next|due|maturity|expected|scheduled|month)).*date$",
        other="^(reporting|as of).*(month|date)$",
        is_greater=False,
        reason="What a report of a month tells had happened by the end of that month.",
    ),
)

NUMBER_ORDERS = (
    Order(
        own="^original combined ltv",
        other="^original ltv",
        severity=Severity.HIGH,
        reason="The combined ratio counts every lien, this loan among them.",
    ),
    Order(
        own="^debt to income.*back-end at origination",
        other="^debt to income.*front-end at origination",
        reason="The back-end ratio counts all debt, the cost of the home among it.",
    ),
    Order(
        own="^refreshed dti.*back-end",
        other="^refreshed dti.*front-end",
        reason="The back-end ratio counts all debt, the cost of the home among it.",
    ),
    Order(
        own="lifetime rate cap",
        other="lifetime rate floor",
        severity=Severity.HIGH,
        reason="The highest rate that can be reached is not below the lowest.",
    ),
    Order(
        own="lifetime rate cap",
        other="arm initial rate$",
        reason="An adjustable loan does not begin above the highest rate it may reach.",
    ),
    Order(
        own="^current interest rate",
        other="lifetime rate cap",
        is_greater=False,
        where_positive=True,
        reason="An adjustable rate never exceeds its lifetime cap; loans without a cap carry zero.",
    ),
    Order(
        own="^remaining term",
        other=_LOAN_TERM,
        is_greater=False,
        mostly=0.97,
        reason="Less than the original term is left, except where a modification extended it.",
    ),
    Order(
        own="(balloon|penalty|interest only) term|draw period",
        other=_LOAN_TERM,
        is_greater=False,
        reason="A stage of the loan does not outlast the loan.",
    ),
    Order(
        own="^unpaid principal balance$",
        other="^current credit limit",
        is_greater=False,
        mostly=0.95,
        rule_type=RuleType.ACCURACY,
        severity=Severity.HIGH,
        reason="What is owed on a line stays within its limit but for a few overdrawn ones.",
    ),
    Order(
        own="^unpaid principal balance$",
        other="^original loan amount disbursed",
        is_greater=False,
        mostly=0.9,
        rule_type=RuleType.ACCURACY,
        severity=Severity.HIGH,
        unless="credit limit",
        exceptions=("negative amortization.*limit", "^last modified date"),
        reason="A mortgage is paid down; only negative amortisation and capitalised arrears lift "
        "the balance above the amount lent.",
    ),
    Order(
        own=r"^unpaid principal balance \(net\)",
        other="^unpaid principal balance$",
        is_greater=False,
        reason="The net balance is the balance less what was written off.",
    ),
    Order(
        own="^original loan amount disbursed",
        other="^original loan / line commitment",
        is_greater=False,
        reason="Nothing beyond the commitment is paid out at closing.",
    ),
    Order(
        own="^original loan amount disbursed",
        other="^original property value",
        is_greater=False,
        mostly=0.9,
        rule_type=RuleType.ACCURACY,
        reason="Few loans are made above the value of the home; many would point to mixed units.",
    ),
    Order(
        own="(write-?down|deferred|charge-?off).*amount",
        other="^original loan / line commitment",
        is_greater=False,
        rule_type=RuleType.ACCURACY,
        reason="No more principal can be forgiven, put off or given up than was committed.",
    ),
    Order(
        own="(write-?down|deferred|charge-?off).*amount",
        other="^original loan amount disbursed",
        is_greater=False,
        rule_type=RuleType.ACCURACY,
        unless="line commitment",
        reason="No more principal can be forgiven, put off or given up than was ever lent.",
    ),
    Order(
        own="monthly draw amount|^locked amount",
        other="^current credit limit",
        is_greater=False,
        reason="A part of a line's balance stays within the line's limit.",
    ),
    Order(
        own="^interest rate after modification",
        other="^interest rate before modification",
        is_greater=False,
        mostly=0.9,
        rule_type=RuleType.ACCURACY,
        reason="Modifications are made to ease the burden; a higher rate is the rare exception.",
    ),
    Order(
        own="^net recovery amount",
        other="^total debt",
        is_greater=False,
        mostly=0.95,
        rule_type=RuleType.ACCURACY,
        reason="What is got out of a failed loan seldom exceeds what was owed.",
    ),
    Order(
        own="^expected loss given default",
        other="^loss given default",
        is_greater=False,
        severity=Severity.HIGH,
        reason="The expected loss is the average one, the other that of a downturn.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Same:
    """Two fields that agree as long as the loan was not modified."""

    own: str
    other: str
    modified: str
    reason: str
    mostly: float


SAMES = (
    Same(
        own="^product type - current",
        other="^product type - origination",
        modified="^last modified date",
        mostly=0.95,
        reason="Without a modification a loan stays the product it was, conversions aside.",
    ),
    Same(
        own="^interest type - current",
        other="^interest type at origination",
        modified="^last modified date",
        mostly=0.95,
        reason="Without a modification a loan keeps its kind of interest, conversions aside.",
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """A field that must be filled where another one says so.

    Attributes:
        test: The condition on the other: an operator and a value; None for "is filled".
    """

    own: str
    other: str
    reason: str
    test: tuple[str, Any] | None = None
    mostly: float | None = None


NEEDED = (
    Needed(
        own="^interest rate (before|after) modification",
        other="^last modified date",
        reason="Of a modified loan the rates before and after are reported.",
    ),
    Needed(
        own="^foreclosure referral date",
        other="^foreclosure sale date",
        reason="There is no foreclosure sale without a referral.",
    ),
    Needed(
        own="^refreshed property valuation method|property valuation date",
        other="^refreshed property value",
        reason="A refreshed value was found somehow and on some day.",
    ),
    Needed(
        own="^current credit bureau score (vendor|version|date)",
        other="^current credit bureau score$",
        mostly=0.9,
        reason="A score was drawn from somebody on some day.",
    ),
    Needed(
        own="^bankruptcy chapter",
        other="^bankruptcy flag",
        test=("==", "Y"),
        reason="Every bankruptcy falls under a chapter.",
    ),
    Needed(
        own="^balloon term",
        other="^balloon flag",
        test=("==", "Y"),
        reason="A balloon falls due after some term.",
    ),
    Needed(
        own="^arm index",
        other="^arm margin",
        test=(">", 0),
        reason="A margin is a spread over an index.",
    ),
    Needed(
        own="^charge-?off date",
        other="^charge-?off amount",
        test=(">", 0),
        reason="An amount was charged off on some day.",
    ),
)

# The first month of the collection.
FIRST_Y14M = "2012-06-01"
OLDEST_LOAN = "1970-01-01"
LAST_DAY = "2099-12-31"

# Fields that identify the record.
IDENTIFIER = r"^(loan|account|reference|facility) (number|id|identifier)$"
# Periods of a history: every record may occur once a period.
PERIOD = "^(reporting|as of).*(month|date)"
MONTH = "reporting.*month|as of.*(month|date)"

STATES = (
    *("AL", "AK", "AZ", "AR", "CA", "CO", "CT", "DE", "DC", "FL", "GA", "HI", "ID", "IL", "IN"),
    *("IA", "KS", "KY", "LA", "ME", "MD", "MA", "MI", "MN", "MS", "MO", "MT", "NE", "NV", "NH"),
    *("NJ", "NM", "NY", "NC", "ND", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT"),
    *("VT", "VA", "WA", "WV", "WI", "WY", "AS", "GU", "MP", "PR", "VI"),
)


_COPY = re.compile(r" \(([0-9]+)\)$")


def copy_of(name: str) -> str:
    """Which copy a field belongs to where a form is repeated: "Loan Number (2)" to the second."""
    found = _COPY.search(name)
    return found[1] if found else ""


def is_about(pattern: str, name: str) -> bool:
    """Whether a name matches one of the patterns of this module."""
    plain = _COPY.sub("", name).lower().replace("–", "-").replace("—", "-")
    return re.search(pattern, " ".join(plain.split())) is not None
