"""What the Temporal Web UI shows of a job: search attributes and live details."""

from temporalio import workflow
from temporalio.common import SearchAttributeKey

with workflow.unsafe.imports_passed_through():
    from longhaul.core import search_attributes
    from longhaul.core.messages import Snapshot

JOB_STATUS = SearchAttributeKey.for_keyword(search_attributes.JOB_STATUS)


def details_markdown(snapshot: Snapshot, item_seconds: float | None) -> str:
    """Progress for a person who looks at the workflow."""
    counts = snapshot.counts
    lines = [
        f"**{snapshot.status}** - {snapshot.percentage:.1f} % of {counts.total} items",
        "",
        f"- {counts.sentence}",
        f"- attempt {snapshot.attempt}, chunks in flight: {_spans(snapshot.in_flight)}",
    ]
    if item_seconds is not None:
        lines.append(f"- an item takes about {item_seconds:.2g} s")
    if snapshot.pause is not None:
        until = f" until {snapshot.pause.until:%Y-%m-%d %H:%M}Z" if snapshot.pause.until else ""
        by = snapshot.pause.by or "unknown"
        lines.append(f"- paused by {by}{until}: {snapshot.pause.reason or 'no reason given'}")
    if snapshot.last_fault:
        lines.append(f"- last fault: {snapshot.last_fault}")
    return "\n".join(lines)


def _spans(in_flight: list[list[int]]) -> str:
    return ", ".join(f"{first}-{last}" for first, last in in_flight) or "none"
