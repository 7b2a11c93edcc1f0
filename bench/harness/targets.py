# SPDX-License-Identifier: Apache-2.0
"""What must be reached and what is aimed at, computed from medians."""
import dataclasses
import statistics
from collections.abc import Callable

from .client import Measured

MIB = 1 << 20
TABLES = 80 * MIB  # dedupe.memory 64 MiB + journal.recent_bytes 16 MiB, as shipped

Runs = dict[tuple[str, str], list[Measured]]  # by scenario and server


@dataclasses.dataclass
class Verdict:
    what: str
    must: str
    aim: str
    value: str
    reached: str  # "aim", "must", "missed" or "not measured"


class Medians:
    """Medians over the repeats of one run of the benchmark."""

    def __init__(self, runs: Runs, device: dict | None):
        self.runs = runs
        self.device = device

    def __call__(self, scenario: str, server: str, figure: str) -> float:
        return statistics.median(self.values(scenario, server, figure))

    def values(self, scenario: str, server: str, figure: str) -> list[float]:
        results = self.runs.get((scenario, server))
        if not results:
            raise KeyError(f"{scenario} of {server}")
        return [getattr(result, figure) for result in results]

    def ratio(self, scenario: str, figure: str, over: str) -> float:
        return self(scenario, "trialwire", figure) / self(scenario, over, figure)


@dataclasses.dataclass
class Target:
    what: str
    unit: str
    value: Callable[[Medians], float]
    must: Callable[[Medians], float] | None
    aim: Callable[[Medians], float] | None = None
    at_least: bool = False

    def judge(self, medians: Medians) -> Verdict:
        sign = "≥" if self.at_least else "≤"
        try:
            value = self.value(medians)
            must = self.must(medians) if self.must else None
            aim = self.aim(medians) if self.aim else None
        except (KeyError, TypeError):
            return Verdict(self.what, "", "", "", "not measured")

        def shown(limit: float | None) -> str:
            return "" if limit is None else f"{sign} {_number(limit)} {self.unit}".rstrip()

        def met(limit: float | None) -> bool:
            if limit is None:
                return False
            return value >= limit if self.at_least else value <= limit

        reached = "missed"
        if met(must) or (must is None and met(aim)):
            reached = "aim" if aim is not None and met(aim) else "must"
        elif must is None:
            reached = "aim missed"
        return Verdict(self.what, shown(must), shown(aim), f"{_number(value)} {self.unit}".rstrip(),
                       reached)


def _number(value: float) -> str:
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"


def _is(limit: float) -> Callable[[Medians], float]:
    return lambda _: limit


def _beyond_tables(scenario: str) -> Callable[[Medians], float]:
    return lambda m: (m(scenario, "trialwire", "peak_memory") - TABLES) / 1e6


TARGETS = [
    Target("256 × 16 pipelined: rate", "reports/s",
           lambda m: m("pipelined", "trialwire", "reports_per_second"), _is(800_000),
           _is(1_200_000), at_least=True),
    Target("256 × 16 pipelined: over Gin", "×",
           lambda m: m.ratio("pipelined", "reports_per_second", "gin"), _is(18), at_least=True),
    Target("256 keep-alive: CPU", "µs/report",
           lambda m: m("keepalive", "trialwire", "cpu_per_report"), _is(6.8), _is(5.5)),
    Target("256 keep-alive: CPU without the sink", "µs/report",
           lambda m: m("keepalive", "trialwire", "intake_cpu_per_report"), None, _is(5.5)),
    Target("256 keep-alive: rate over Gin", "×",
           lambda m: m.ratio("keepalive", "reports_per_second", "gin"), _is(3), at_least=True),
    Target("256 keep-alive: CPU over the floor", "×",
           lambda m: m.ratio("keepalive", "cpu_per_report", "floor"), None, _is(1.15)),
    Target("256 keep-alive: CPU over the floor, without the sink", "×",
           lambda m: m.ratio("keepalive", "intake_cpu_per_report", "floor"), None, _is(1.15)),
    Target("NDJSON of 500: rate", "reports/s",
           lambda m: m("ndjson", "trialwire", "reports_per_second"), _is(1_500_000),
           _is(3_000_000), at_least=True),
    Target("open loop 50,000/s: p99", "µs", lambda m: m("open50k", "trialwire", "p99"),
           lambda m: 2 * m.device["p99Us"] + 1000),
    Target("one at a time: p50", "µs", lambda m: m("single", "trialwire", "p50"),
           lambda m: m.device["p50Us"] + 150),
    Target("trickle of 100/s: CPU", "% of a core",
           lambda m: m("trickle", "trialwire", "server_cpu") * 100, _is(2)),
    Target("trickle of 100/s: written", "KiB/s",
           lambda m: m("trickle", "trialwire", "written_per_second") / 1024, _is(500)),
    Target("512 connections: memory beyond the tables", "MB", _beyond_tables("connections512"),
           _is(50), _is(30)),
    Target("10,000 connections: memory beyond the tables", "MB",
           _beyond_tables("connections10000"), _is(100), _is(60)),
    Target("CPU per report, 256 → 10,000 connections", "×",
           lambda m: m("connections10000", "trialwire", "intake_cpu_per_report") /
           m("keepalive", "trialwire", "intake_cpu_per_report"), _is(1.4)),
]


def judge(runs: Runs, device: dict | None) -> list[Verdict]:
    medians = Medians(runs, device)
    return [target.judge(medians) for target in TARGETS]


def judge_large(large: dict) -> list[Verdict]:
    growth = large["cpuPerReportFull"] / large["cpuPerReportEmpty"]
    start = large["start"]
    named = [("CPU per report, empty → 10 GiB journal", growth, 1.1, "×"),
             ("start after kill -9, 10 GiB journal", start["seconds"], 10, "s"),
             ("memory of that start", start["peakMemory"] / 1e6, 128, "MB")]
    return [Verdict(what, f"≤ {must} {unit}", "", f"{_number(value)} {unit}",
                    "must" if value <= must else "missed") for what, value, must, unit in named]
