"""One large job through one worker: items a second, beside peers that do as much."""

from bench.figures import Figure, compared
from bench.jobs import Timed, completed, warm_up
from bench.peers import runs
from bench.scale import Scale
from bench.stack import Stack

ROUNDS = 3

TRIVIAL = "throughput_trivial"
TRIVIAL_ITEMS = 200_000
TRIVIAL_AT_ONCE = 100
CELERY_ITEMS = 20_000
NAIVE_ITEMS = 4_000

SLEEPING = "throughput_50ms"
SECONDS = 0.05
SLEEPING_ITEMS = 120_000
SLEEPING_AT_ONCE = 400
CELERY_SLEEPING_ITEMS = 200


async def throughput_trivial(scale: Scale) -> list[Figure]:
    """Items that do nothing, so that only the engine is measured; three rounds each."""
    mine: list[Timed] = []
    bare: list[float] = []
    celery: list[float] = []
    naive: list[float] = []
    async with Stack.open() as stack:
        for number in range(1, ROUNDS + 1):
            mine.append(await _trivial(stack, scale(TRIVIAL_ITEMS)))
            bare.append(await runs.bare(stack, scale(TRIVIAL_ITEMS), TRIVIAL_AT_ONCE))
            celery.append(await runs.celery(stack, scale(CELERY_ITEMS)))
            naive.append(await runs.naive(stack, scale(NAIVE_ITEMS)))
            scale.say(
                f"round {number}: {mine[-1].per_second:,.0f} items/s; bare loop {bare[-1]:,.0f}, "
                f"celery {celery[-1]:,.0f}, naive Temporal {naive[-1]:,.0f}"
            )
    rates = [one.per_second for one in mine]
    whole = [one.items / one.whole_seconds for one in mine]
    measure = f"{mine[0].items:,} trivial items"
    unit = "items/s"
    return [
        compared(TRIVIAL, measure, rates, "naive Temporal", naive, unit=unit, at_least=40),
        compared(TRIVIAL, measure, rates, "celery", celery, unit=unit, at_least=5),
        compared(TRIVIAL, measure, rates, "bare loop", bare, unit=unit, at_least=0.6),
        compared(TRIVIAL, "with creation and planning", whole, "bare loop", bare, unit=unit),
    ]


async def throughput_50ms(scale: Scale) -> list[Figure]:
    """Items that wait 50 ms, 400 in flight; the ideal is 8,000 a second."""
    ideal = SLEEPING_AT_ONCE / SECONDS
    rates: list[float] = []
    async with Stack.open() as stack:
        for number in range(1, ROUNDS + 1):
            rates.append((await _sleeping(stack, scale(SLEEPING_ITEMS))).per_second)
            scale.say(f"round {number}: {rates[-1]:,.0f} items/s, ideal {ideal:,.0f}")
        celery = await runs.celery(stack, scale(CELERY_SLEEPING_ITEMS), SECONDS)
    measure = f"{scale(SLEEPING_ITEMS):,} items of 50 ms, {SLEEPING_AT_ONCE} in flight"
    unit = "items/s"
    return [
        compared(SLEEPING, measure, rates, "ideal", [ideal] * ROUNDS, unit=unit, at_least=0.65),
        compared(SLEEPING, measure, rates, "celery", [celery] * ROUNDS, unit=unit),
    ]


async def _trivial(stack: Stack, items: int) -> Timed:
    await stack.clean()
    async with stack.api() as api, stack.worker():
        await warm_up(stack, api)
        return await completed(
            stack, api, "bench_trivial", concurrency=TRIVIAL_AT_ONCE, items=items
        )


async def _sleeping(stack: Stack, items: int) -> Timed:
    await stack.clean()
    async with stack.api() as api, stack.worker(max_in_flight=SLEEPING_AT_ONCE):
        await warm_up(stack, api)
        return await completed(
            stack,
            api,
            "bench_sleeping",
            concurrency=SLEEPING_AT_ONCE,
            items=items,
            seconds=SECONDS,
        )
