"""The run behind the figures: which job, which rules, when, by whom."""

from collections.abc import Sequence

from longhaul.adapters.report import figures
from longhaul.adapters.report.markup import Markup, Node, tag, value
from longhaul.core.quality_report import RunFacts


def run_facts(run: RunFacts) -> Markup:
    """The facts, name by name."""
    length = None
    if run.started_at and run.completed_at:
        length = run.completed_at - run.started_at
    facts: Sequence[tuple[str, Node]] = (
        ("Job", tag("code", run.job_id)),
        ("Part of job", tag("code", run.parent_id) if run.parent_id else None),
        ("Temporal run", tag("code", run.run_id) if run.run_id else None),
        ("Outcome", run.outcome or run.status),
        ("Attempt", run.attempt),
        ("Started by", value(run.owner)),
        (
            "Rule version",
            [f"{run.version_number} ({run.version_status}), ", tag("code", run.version_id)],
        ),
        ("Rules proposed by", ", ".join(run.proposed_by) or None),
        ("Rows read", figures.count(run.records) if run.records is not None else None),
        ("Sample", run.sampled or "every row"),
        ("Created", figures.moment(run.created_at)),
        ("Started", figures.moment(run.started_at)),
        ("Ended", figures.moment(run.completed_at)),
        ("Took", figures.duration(length)),
        ("Report written", figures.moment(run.generated_at)),
    )
    return tag(
        "dl", [[tag("dt", name), tag("dd", fact)] for name, fact in facts if fact is not None]
    )
