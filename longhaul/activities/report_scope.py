"""Common parts of jobs on a report: which report, and which of its attributes."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated

from pydantic import AfterValidator, Field

from longhaul.core.attributes import AttributeStore, Listed
from longhaul.core.errors import InvalidInput
from longhaul.core.items import NewItem
from longhaul.core.ports import Transaction
from longhaul.core.sentences import some_of

_MOST_NAMED = 20

RowId = Annotated[int, Field(ge=1, lt=2**31)]

# Equal requests are recognised by equal parameters, so ids are unique and sorted.
AttributeIds = Annotated[
    list[RowId],
    Field(min_length=1, max_length=100_000),
    AfterValidator(lambda ids: sorted(set(ids))),
]


def resolved_report(cycle_id: int | None, report_id: int | None) -> tuple[int, int]:
    """The cycle and the report of parameters that `prepare` has resolved."""
    if cycle_id is None or report_id is None:
        raise InvalidInput("The parameters were not resolved when the job was created.")
    return cycle_id, report_id


async def check_attributes(
    store: AttributeStore,
    tx: Transaction,
    cycle_id: int,
    report_id: int,
    attribute_ids: Sequence[int] | None,
) -> None:
    """Refuse ids that are not active attributes of the report.

    Raises:
        InvalidInput: Some are not; the message names the first.
    """
    if attribute_ids is None:
        return
    foreign = await store.foreign(tx, cycle_id, report_id, attribute_ids)
    if foreign:
        some = some_of(foreign[:_MOST_NAMED], len(foreign))
        raise InvalidInput(
            f"No active attributes of the report: {some}.",
            (("/parameters/attribute_ids", "not active attributes of the report"),),
        )


async def attribute_items(
    store: AttributeStore,
    tx: Transaction,
    cycle_id: int,
    report_id: int,
    attribute_ids: Sequence[int] | None,
    *,
    verb: str,
) -> AsyncIterator[NewItem]:
    """List all attributes, or the named ones, in the order of the form.

    Args:
        verb: Begins the label that a person reads while the item runs.
    """
    after: Listed | None = None
    while page := await store.page(tx, cycle_id, report_id, attribute_ids, after):
        for one in page:
            yield NewItem(
                key=f"attribute-{one.id}",
                label=f"{verb} {one.name}",
                payload={"attribute_id": one.id},
            )
        after = page[-1]
