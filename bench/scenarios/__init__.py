"""The scenarios by name, in the order in which they run."""

from collections.abc import Awaitable, Callable, Mapping

from bench.figures import Figure
from bench.scale import Scale
from bench.scenarios.control_storm import control_storm
from bench.scenarios.many_jobs import many_jobs
from bench.scenarios.million import million
from bench.scenarios.pause_latency import pause_latency
from bench.scenarios.rule_scan import rule_scan
from bench.scenarios.submit_latency import submit_latency
from bench.scenarios.takeover import takeover
from bench.scenarios.throughput import throughput_50ms, throughput_trivial

Scenario = Callable[[Scale], Awaitable[list[Figure]]]

SCENARIOS: Mapping[str, Scenario] = {
    "throughput_trivial": throughput_trivial,
    "throughput_50ms": throughput_50ms,
    "million": million,
    "pause_latency": pause_latency,
    "submit_latency": submit_latency,
    "many_jobs": many_jobs,
    "control_storm": control_storm,
    "takeover": takeover,
    "rule_scan": rule_scan,
}
