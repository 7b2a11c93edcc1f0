# SPDX-License-Identifier: Apache-2.0
"""bench/run sinks: how fast each sink takes a backlog, beside its floor in the same run on the same
rows and server; then a gateway with the SQL and the Kafka sink at once."""
import argparse
import dataclasses
import json
import pathlib
import re
import shutil
import statistics
import subprocess
import time

from . import build, machine, sink_floors, sink_report
from .process import cpu_seconds
from .runner import say
from .servers import Trialwire

DRAIN_SECONDS = 300
SATURATED_SECONDS = 10  # what it leaves behind takes many times that to drain
PROBE_MS = 10  # a synced block so often beside the load


@dataclasses.dataclass
class SinkRun:
    """Rows a second."""

    sink: str
    floor: float
    drained: float
    one_by_one: float
    cpu_per_row: float  # of trialwire, µs
    problems: list[str]

    @property
    def share(self) -> float:
        return self.drained / self.floor


def sample(text: str, name: str, **labels: str) -> float:
    """The sum of a metric's samples that have these labels; 0 when there is none."""
    total = 0.0
    for line in text.splitlines():
        if line.startswith(name) and line[len(name)] in "{ ":
            if all(f'{key}="{value}"' in line for key, value in labels.items()):
                total += float(line.rsplit(" ", 1)[1])
    return total


def worst(text: str, name: str) -> float:
    found = re.findall(rf"^{name}(?:{{[^}}]*}})? (\S+)$", text, re.MULTILINE)
    return max(map(float, found), default=0.0)


class Bench:
    def __init__(self, options: argparse.Namespace):
        self.paths = build.programs(options.binary, build=not options.no_build, sinks=True)
        self.system = machine.check_directory(options.dir, self.paths["probe"])
        self.directory = options.dir.resolve() / "sinks"
        sink_floors.remove(self.directory)
        self.directory.mkdir(parents=True)
        self.directory.chmod(0o755)
        self.records = options.records or (100_000 if options.quick else 400_000)
        self.seconds = 10 if options.quick else 30
        self.backlog = self.directory / "backlog"
        self.record_bytes = 0.0
        self._runs = 0

    # trialwire with what a run needs; on both cores, for its databases are there too.
    def serve(self, data: pathlib.Path, settings: dict) -> Trialwire:
        away = {"store.url": f"sqlite:{self.directory}/nowhere/none.db"}
        server = Trialwire(self.paths["trialwire"], data, None, {**away, **settings})
        try:
            server.wait_ready()
        except Exception:
            server.kill()
            raise
        return server

    def load(self, server: Trialwire, *arguments: str) -> dict:
        done = subprocess.run(
            [str(self.paths["trialwire"]), "load", f"http://127.0.0.1:{server.port}", "--json",
             "--timeout", "30s", *arguments], capture_output=True, text=True, check=False)
        if not done.stdout:
            raise RuntimeError(f"the client failed: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def make_backlog(self) -> None:
        """A journal of records that no sink has had yet."""
        server = self.serve(self.backlog, {})
        said = self.load(server, "--count", str(self.records), "--connections", "64",
                         "--pipeline", "16")
        server.stop()
        self.record_bytes = said["reportBytes"]
        if said["acceptedReports"] != self.records:
            raise RuntimeError(f"{said['acceptedReports']} of {self.records} reports accepted")

    def drain(self, place, name: str) -> tuple[float, float, list[str]]:
        """A sink's own rate, CPU for each row, and what was not right."""
        self._runs += 1
        data = self.directory / f"data-{self._runs}"
        shutil.copytree(self.backlog, data)
        server = self.serve(data, place.settings(self._runs))
        try:
            rate, cpu = self._watch(server, name)
        finally:
            code = server.stop()
            shutil.rmtree(data, ignore_errors=True)
        problems = [] if code == 0 else [f"trialwire ended with {code}: {server.log_tail()[-300:]}"]
        if place.stored() != (self.records, self.records):
            problems.append(f"{self.records} sent, {place.stored()} rows and different ones stored")
        return rate, cpu, problems

    def _watch(self, server: Trialwire, name: str) -> tuple[float, float]:
        """Between the first tenth of the backlog and its end, so that no start is measured."""
        begin = None
        deadline = time.monotonic() + DRAIN_SECONDS
        while time.monotonic() < deadline:
            now = time.monotonic()
            delivered = sample(server.metrics(), "trialwire_sink_delivered_records_total",
                               sink=name)
            if begin is None and delivered >= self.records / 10:
                begin = (now, delivered, cpu_seconds(server.pid))
            if begin and delivered >= self.records:
                rows = delivered - begin[1]
                return rows / (now - begin[0]), (cpu_seconds(server.pid) - begin[2]) / rows * 1e6
            time.sleep(0.05)
        raise RuntimeError(f"{name} had not all in {DRAIN_SECONDS} s: {server.log_tail()[-500:]}")

    def measure(self, place, name: str) -> SinkRun:
        drained, cpu, problems = self.drain(place, name)
        run = SinkRun(place.name, place.floor(), drained, place.one_by_one(), cpu, problems)
        place.drop()
        return run

    # The gateway, with both sinks or none.
    def at_rate(self, settings: dict, rate: float) -> dict:
        """Latency of intake in an open loop, and the worst lag meanwhile."""
        return self._gateway(settings, ["--rate", f"{rate:.0f}", "--connections", "256",
                                        "--warmup", "3s", "--duration", f"{self.seconds}s"])

    def saturated(self, settings: dict) -> dict:
        return self._gateway(settings, ["--connections", "64", "--pipeline", "16", "--warmup", "2s",
                                        "--duration", f"{SATURATED_SECONDS}s"])

    def _gateway(self, settings: dict, load: list[str]) -> dict:
        self._runs += 1
        data = self.directory / f"data-{self._runs}"
        server = self.serve(data, {"journal.max_bytes": "32GiB", **settings})
        lags, process = [], None
        # What the machine itself is like meanwhile: its disk, and who wakes up when.
        syncs = int((self.seconds if "--rate" in load else SATURATED_SECONDS) * 1000 / PROBE_MS)
        probe = subprocess.Popen(
            [str(self.paths["probe"]), str(self.directory), str(syncs), str(PROBE_MS)],
            stdout=subprocess.PIPE, text=True)
        try:
            process = subprocess.Popen(
                [str(self.paths["trialwire"]), "load", f"http://127.0.0.1:{server.port}", "--json",
                 "--timeout", "30s", *load], stdout=subprocess.PIPE, text=True)
            while process.poll() is None:
                lags.append(worst(server.metrics(), "trialwire_sink_lag_seconds"))
                time.sleep(0.2)
            said = json.loads(process.stdout.read())
            start = time.monotonic()
            if settings:
                self._wait_drained(server)
            drain = time.monotonic() - start
            machine_said = json.loads(probe.communicate(timeout=120)[0])
        finally:
            probe.kill()
            server.stop()
            shutil.rmtree(data, ignore_errors=True)
        return {"deviceP99": machine_said["p99Us"], "wakeP99": machine_said["lateP99Us"],
                "reports": said["acceptedReports"], "rate": said["reportsPerSecond"],
                "p50": said["latencyUs"]["p50"], "p99": said["latencyUs"]["p99"],
                "lag": max(lags, default=0.0), "drainSeconds": drain,
                "refused": {c: n for c, n in said["status"].items() if c != "200"}}

    @staticmethod
    def _wait_drained(server: Trialwire) -> None:
        deadline = time.monotonic() + 4 * DRAIN_SECONDS
        while worst(server.metrics(), "trialwire_sink_lag_records") > 0:
            if time.monotonic() > deadline:
                raise RuntimeError("the sinks did not drain")
            time.sleep(0.1)

    def next_run(self) -> int:
        self._runs += 1
        return self._runs


SINK_NAMES = {"sqlite": "sqlite", "postgres": "postgres", "mariadb": "mysql", "kafka": "kafka"}


def measure_sinks(bench: Bench, wanted: list[str], repeats: int) -> dict[str, list[SinkRun]]:
    runs: dict[str, list[SinkRun]] = {}
    for name in wanted:
        directory = bench.directory / name
        directory.mkdir()
        directory.chmod(0o755)
        place = sink_floors.ALL[name](directory, bench.paths["sink_floor"])
        place.start()
        try:
            for turn in range(repeats):
                run = bench.measure(place, SINK_NAMES[name])
                runs.setdefault(name, []).append(run)
                say(f"  {name} {turn + 1}/{repeats}: {run.drained:,.0f}/s, floor "
                    f"{run.floor:,.0f}/s ({run.share:.0%}), one by one {run.one_by_one:,.0f}/s "
                    f"{'; '.join(run.problems)}")
        finally:
            place.stop()
            sink_floors.remove(directory)
    return runs


def merged(turns: list[dict]) -> dict:
    """Medians of rates and latencies; of lag and draining the worst."""
    of = {"lag": max, "drainSeconds": max, "refused": list}
    return {key: of.get(key, statistics.median)([turn[key] for turn in turns]) for key in turns[0]}


def measure_gateway(bench: Bench, runs: dict[str, list[SinkRun]], repeats: int) -> dict:
    """PostgreSQL and Kafka at once, offered 0.7 of what the slower takes; then all it can take."""
    slowest = min(statistics.median(run.drained for run in runs[name])
                  for name in ("postgres", "kafka"))
    places = []
    for name in ("postgres", "kafka"):
        directory = bench.directory / f"gateway-{name}"
        directory.mkdir()
        directory.chmod(0o755)
        places.append(sink_floors.ALL[name](directory, bench.paths["sink_floor"]))
    rate = 0.7 * slowest
    found = {"offered": rate, "problems": []}
    try:
        for place in places:
            place.start()
        for key, measure, turns in (("atRate", lambda s: bench.at_rate(s, rate), repeats),
                                    ("saturated", bench.saturated, 1)):
            alone, both = [], []
            for _ in range(turns):  # in turns: what else the machine does is the same for both
                alone.append(measure({}))
                number = bench.next_run()
                both.append(measure(places[0].settings(number) | places[1].settings(number)))
                for place in places:
                    if place.stored() != (both[-1]["reports"],) * 2:
                        found["problems"].append(f"{key}: {both[-1]['reports']} acknowledged, "
                                                 f"{place.stored()} in {place.name}")
                    place.drop()
                say(f"  gateway {key}: {both[-1]}, alone {alone[-1]}")
            found[f"{key}Alone"], found[key] = merged(alone), merged(both)
    finally:
        for place in places:
            place.stop()
    return found


def run(options: argparse.Namespace) -> int:
    bench = Bench(options)
    wanted = [name for name in sink_floors.ALL if not options.only or name in options.only]
    if not wanted:
        raise SystemExit(f"bench: sinks are {', '.join(sink_floors.ALL)}")
    repeats = options.repeats or (1 if options.quick else 3)
    try:
        bench.make_backlog()
        runs = measure_sinks(bench, wanted, repeats)
        both = {"postgres", "kafka"} <= set(wanted)
        gateway = measure_gateway(bench, runs, repeats) if both else None
    finally:
        sink_floors.remove(bench.directory)
    context = {"machine": machine.describe(), "fileSystem": bench.system, "repeats": repeats,
               "records": bench.records, "recordBytes": bench.record_bytes}
    return sink_report.show(options, context, runs, gateway)
