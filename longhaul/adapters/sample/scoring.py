"""How well the planted anomalies were found: recall and precision, kind by kind."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from longhaul.adapters.sample.anomaly import KEY_COLUMN, Anomaly, AnomalyKind
from longhaul.core.quality_report import Finding, RuleOutcome

# Only found by arithmetic over other columns, or with a table of postal codes: the rules'
# vocabulary has neither.
_BEYOND_RULES = frozenset(
    {
        (AnomalyKind.INCONSISTENT, "orig_ltv_pct"),
        (AnomalyKind.INCONSISTENT, "prop_zip_cd"),
    }
)


@dataclass(frozen=True, slots=True)
class Claim:
    """The claim of a failing row: something is wrong with these columns of that row."""

    row_key: str
    columns: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class KindScore:
    """How many anomalies of a kind there are, and how many of them were found.

    Attributes:
        visible: Those that a rule could find.
    """

    kind: AnomalyKind
    planted: int
    visible: int
    found: int

    @property
    def recall(self) -> float | None:
        """Found of the visible ones, 0-1; None when there was nothing to find."""
        return _share(self.found, self.visible)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnomalyScore:
    """How well a run of rules did.

    Attributes:
        kinds: Those that were planted.
        claims: The claims of the failing rows, each once.
        right: Claims for which there is an anomaly.
        missed: The anomalies that a rule could find and none did.
        wrong: Claims for which there is no anomaly.
        unnamed: Failing rows without a stored key: a rule only keeps some.
    """

    kinds: Sequence[KindScore]
    claims: int
    right: int
    missed: Sequence[Anomaly]
    wrong: Sequence[Claim]
    unnamed: int

    @property
    def visible(self) -> int:
        """Anomalies that a rule could find."""
        return sum(one.visible for one in self.kinds)

    @property
    def found(self) -> int:
        """The visible anomalies that a rule found."""
        return sum(one.found for one in self.kinds)

    @property
    def recall(self) -> float | None:
        """Found of the visible anomalies, 0-1; None when there were none."""
        return _share(self.found, self.visible)

    @property
    def precision(self) -> float | None:
        """Right claims of all, 0-1; None when nothing was claimed."""
        return _share(self.right, self.claims)


def is_visible(anomaly: Anomaly) -> bool:
    """Whether a rule of the vocabulary could find it."""
    return (anomaly.kind, anomaly.column) not in _BEYOND_RULES


def score_anomalies(rules: Iterable[RuleOutcome], anomalies: Iterable[Anomaly]) -> AnomalyScore:
    """Compare the failing rows of a run with what was planted.

    An anomaly is found when a rule that looked at its column failed for its row. For
    a duplicate key two rows fail with the same key, so they are one claim.
    """
    rules = list(rules)
    planted = list(anomalies)
    claims = {claim for rule in rules for claim in _claims(rule)}
    spoiled: defaultdict[str, set[str]] = defaultdict(set)
    for anomaly in planted:
        spoiled[anomaly.row_key].add(anomaly.column)
    claimed: defaultdict[str, set[str]] = defaultdict(set)
    for claim in claims:
        claimed[claim.row_key] |= claim.columns
    wrong = [claim for claim in claims if not claim.columns & spoiled[claim.row_key]]
    found = {one for one in planted if one.column in claimed[one.row_key]}
    return AnomalyScore(
        kinds=[_kind(kind, planted, found) for kind in sorted({one.kind for one in planted})],
        claims=len(claims),
        right=len(claims) - len(wrong),
        missed=[one for one in planted if is_visible(one) and one not in found],
        wrong=sorted(wrong, key=lambda claim: (claim.row_key, sorted(claim.columns))),
        unnamed=sum(
            rule.failed - len(rule.failing)
            for rule in rules
            if rule.finding is Finding.VIOLATED and rule.failing
        ),
    )


def _claims(rule: RuleOutcome) -> Iterator[Claim]:
    if rule.finding is not Finding.VIOLATED:
        return  # it expects some failing rows, which are no claims
    for row in rule.failing:
        key = row.key.get(KEY_COLUMN, row.values.get(KEY_COLUMN))
        if key is not None:
            yield Claim(str(key), frozenset(row.values) or frozenset(row.key))


def _kind(kind: AnomalyKind, planted: Sequence[Anomaly], found: set[Anomaly]) -> KindScore:
    ours = [one for one in planted if one.kind is kind]
    visible = [one for one in ours if is_visible(one)]
    return KindScore(
        kind=kind,
        planted=len(ours),
        visible=len(visible),
        found=sum(one in found for one in visible),
    )


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
