"""Does one item: its time-out, its tries, and what its errors mean."""

import asyncio
import time
from collections.abc import Mapping
from functools import partial
from typing import Any

from longhaul.activities.calls import ItemCalls, Provider
from longhaul.activities.item_clock import ItemClock, ItemClocks
from longhaul.activities.job_runs import JobRun
from longhaul.activities.patience import patiently
from longhaul.core.calls import CallPlace
from longhaul.core.errors import Fenced, ItemFailed, JobError, ProviderRejected, Unavailable
from longhaul.core.items import Failed, Item, ItemOutcome, ItemResult
from longhaul.core.job_types import ItemContext
from longhaul.core.ports import CallJournal, Database, ErrorReporter, LogTail

_FIRST_WAIT = 0.5


class ItemRunner:
    """Runs items of any job type with the adapters of this process."""

    def __init__(
        self,
        *,
        database: Database,
        journal: CallJournal,
        providers: Mapping[str, Provider],
        logs: LogTail,
        errors: ErrorReporter,
    ) -> None:
        self._database = database
        self._journal = journal
        self._providers = providers
        self._logs = logs
        self._errors = errors
        self._clocks = ItemClocks()

    async def run(self, run: JobRun, item: Item) -> ItemOutcome:
        """Do an item, again if it asks for that, and return how it ended.

        Raises:
            ProviderRejected: The item stays open until an operator has fixed something.
            Unavailable: The item stays open until a dependency is back.
            Fenced: The item is no longer ours.
        """
        started = time.monotonic()
        tries = 0
        while True:
            tries += 1
            try:
                result = await patiently(partial(self._once, run, item))
            except ItemFailed as exc:
                if exc.again and tries < run.job_type.max_attempts:
                    self._logs.write(
                        run.job.id,
                        "info",
                        "item_tried_again",
                        item_key=item.key,
                        code=exc.item_code,
                    )
                    await asyncio.sleep(_FIRST_WAIT * 2 ** (tries - 1))
                    continue
                result = Failed(exc.item_code, exc.sentence)
            return ItemOutcome(item, result, round((time.monotonic() - started) * 1000), tries)

    async def _once(self, run: JobRun, item: Item) -> ItemResult:
        limit = run.job_type.item_timeout
        clock = ItemClock(self._clocks, limit)
        try:
            with clock:
                return await run.job_type.do(item, self._context(run, item, clock))
        except (ItemFailed, ProviderRejected, Unavailable, Fenced):
            raise
        except asyncio.CancelledError as exc:
            this = asyncio.current_task()
            if this is None or this.cancelling():
                raise
            # Not this task was cancelled but something that the item waited for.
            return self._fault(run, item, exc)
        except Exception as exc:  # noqa: BLE001 - one bad item fails one item
            if clock.expired:
                seconds = limit.total_seconds()
                return Failed("item_timeout", f"The item took longer than {seconds:g} seconds.")
            return self._fault(run, item, exc)

    def _fault(self, run: JobRun, item: Item, exc: BaseException) -> Failed:
        if isinstance(exc, JobError):
            return Failed(exc.code, exc.sentence)
        error_id = self._errors.file(exc, job_id=run.job.id, item_key=item.key)
        return Failed(
            "item_error", f"The item broke the job type's code; the log has error {error_id}."
        )

    def _context(self, run: JobRun, item: Item, clock: ItemClock) -> ItemContext[Any]:
        job = run.job
        log = partial(self._logs.write, job.id, "info", item_key=item.key)
        place = partial(
            CallPlace, job_id=job.id, attempt=job.attempt, epoch=run.epoch, ordinal=item.ordinal
        )
        return ItemContext(
            job=job,
            parameters=run.parameters,
            database=self._database,
            log=log,
            calls=ItemCalls(
                place=place,
                providers=self._providers,
                journal=self._journal,
                clock=clock,
                waiting=run.waiting,
                log=log,
            ),
        )
