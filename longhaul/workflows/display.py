"""The job in the Temporal Web UI: search attributes and live details."""

from typing import Any

from temporalio import workflow
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

with workflow.unsafe.imports_passed_through():
    from longhaul.core import search_attributes
    from longhaul.core.jobs import JobStatus
    from longhaul.core.messages import ChildStart, FlowView, Snapshot

JOB_STATUS = SearchAttributeKey.for_keyword(search_attributes.JOB_STATUS)
_OWNER = SearchAttributeKey.for_keyword(search_attributes.JOB_OWNER)
_CYCLE = SearchAttributeKey.for_int(search_attributes.CYCLE_ID)
_REPORT = SearchAttributeKey.for_int(search_attributes.REPORT_ID)

_MOST_NAMED = 20


def child_attributes(start: ChildStart) -> TypedSearchAttributes:
    """The search attributes of a step's workflow, as of any job's."""
    if not start.state.searchable:
        return TypedSearchAttributes.empty
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(_OWNER, start.owner),
        SearchAttributePair(JOB_STATUS, str(JobStatus.PENDING)),
    ]
    if start.cycle_id is not None:
        pairs.append(SearchAttributePair(_CYCLE, start.cycle_id))
    if start.report_id is not None:
        pairs.append(SearchAttributePair(_REPORT, start.report_id))
    return TypedSearchAttributes(pairs)


def details_markdown(snapshot: Snapshot, item_seconds: float | None) -> str:
    """Progress, for a person in the Web UI."""
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


def flow_markdown(snapshot: Snapshot, view: FlowView) -> str:
    """Progress of a flow: which of its steps run, and which wait for a person."""
    counts = snapshot.counts
    lines = [
        f"**{snapshot.status}** - {counts.ended} of {counts.total} steps",
        "",
        f"- {counts.sentence}",
        f"- attempt {snapshot.attempt}",
    ]
    lines += [
        f"- `{child.step}`: {child.status} (job {child.job_id})"
        for child in view.children[:_MOST_NAMED]
    ]
    lines += [f"- `{step}`: waits for an approval" for step in view.waiting[:_MOST_NAMED]]
    if snapshot.pause is not None:
        lines.append(f"- paused by {snapshot.pause.by or 'unknown'}")
    if snapshot.last_fault:
        lines.append(f"- last fault: {snapshot.last_fault}")
    return "\n".join(lines)
