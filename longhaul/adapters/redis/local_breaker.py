"""The breaker within one process, while Redis is down."""

import asyncio
from collections import deque
from dataclasses import dataclass
from weakref import WeakSet

from longhaul.adapters.redis.clock import Clock, LoopClock

# A probe's success lets everyone through: they notice after this time.
ASK_AGAIN = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerRules:
    """When a breaker opens, and for how long; times are in milliseconds.

    Attributes:
        failures: So many within `window`, with no success between them, open it; more while
            many calls are under way, because of those that set out together the ones that fail
            are often the first to be heard of.
        first_open: How long it stays open at first; doubled each time its probe fails.
        probe: How long others wait for a probe before the next one is let through.
    """

    failures: int = 5
    window: float = 60_000
    first_open: float = 5_000
    longest_open: float = 60_000
    probe: float = 30_000

    def many(self, under_way: int) -> int:
        """How many failures open it while this many calls are under way."""
        return max(self.failures, under_way // 2)


# The calls of this process without an outcome yet; weak, because some never have one.
UnderWay = WeakSet[object]


class LocalCircuit:
    """The breaker of `breaker.lua`, rule by rule."""

    def __init__(self, rules: BreakerRules) -> None:
        self._rules = rules
        self._failures: deque[float] = deque()
        self._trips = 0
        self._open_until = 0.0
        self._opened = 0.0
        self._probe: float | None = None

    def enter(self, now: float) -> tuple[float, bool]:
        """How long to wait before asking again; if not at all, whether the call is the probe."""
        if not self._trips:
            return 0.0, False
        if now < self._open_until:
            return self._open_until - now, False
        if self._probe is not None and now < self._probe + self._rules.probe:
            return self._probe + self._rules.probe - now, False
        self._probe = now
        return 0.0, True

    def stands(self, began: float) -> bool:
        """Whether a call may still be tried."""
        return began > self._opened and (not self._trips or began == self._probe)

    def succeeded(self, began: float) -> None:
        """Count a success."""
        if began <= self._opened:
            return
        self._failures.clear()
        self._trips, self._probe = 0, None

    def failed(self, now: float, began: float, under_way: int) -> None:
        """Count a failure."""
        if began <= self._opened:
            return
        self._failures.append(now)
        while self._failures[0] < now - self._rules.window:
            self._failures.popleft()
        if self._trips or len(self._failures) >= self._rules.many(under_way):
            self._failures.clear()
            self._trips += 1
            doubled = self._rules.first_open * 2 ** (self._trips - 1)
            self._open_until = now + min(doubled, self._rules.longest_open)
            self._probe, self._opened = None, now

    def abandoned(self, began: float) -> None:
        """Let the next call be the probe."""
        if began == self._probe:
            self._probe = None


class LocalBreaker:
    """Stops this process's calls to a provider that keeps failing."""

    def __init__(self, rules: BreakerRules | None = None, *, clock: Clock | None = None) -> None:
        self._circuit = LocalCircuit(rules or BreakerRules())
        self._clock = clock or LoopClock()
        self._asking = asyncio.Lock()
        self.under_way = UnderWay()

    async def enter(self) -> "LocalTrial":
        """Wait until a call may be tried."""
        async with self._asking:
            while True:
                got = await self.try_enter()
                if not isinstance(got, float):
                    return got
                await self._clock.sleep(min(got, ASK_AGAIN))

    async def try_enter(self) -> "LocalTrial | float":
        """Let a call be tried, or say how many seconds to wait."""
        now = self._now()
        wait, is_probe = self._circuit.enter(now)
        return wait / 1000 if wait else LocalTrial(self, now, is_probe=is_probe)

    def stands(self, began: float) -> bool:
        """Whether a call may still be tried."""
        return self._circuit.stands(began)

    def succeeded(self, began: float) -> None:
        """Count a success."""
        self._circuit.succeeded(began)

    def failed(self, began: float) -> None:
        """Count a failure."""
        self._circuit.failed(self._now(), began, len(self.under_way))

    def abandoned(self, began: float) -> None:
        """Let the next call be the probe."""
        self._circuit.abandoned(began)

    def _now(self) -> float:
        return self._clock.now() * 1000


class LocalTrial:
    """A call that this process may try."""

    def __init__(self, breaker: LocalBreaker, began: float, *, is_probe: bool) -> None:
        self._breaker = breaker
        self._began = began
        self.is_probe = is_probe

    async def stands(self) -> bool:
        """Whether the call may still be tried; if so, it is under way."""
        if not self._breaker.stands(self._began):
            return False
        self._breaker.under_way.add(self)
        return True

    async def succeeded(self) -> None:
        """The provider answered."""
        self._breaker.under_way.discard(self)
        self._breaker.succeeded(self._began)

    async def failed(self) -> None:
        """The provider failed."""
        self._breaker.under_way.discard(self)
        self._breaker.failed(self._began)

    async def abandoned(self) -> None:
        """The call ended without showing whether the provider works."""
        self._breaker.under_way.discard(self)
        self._breaker.abandoned(self._began)
