# SPDX-License-Identifier: Apache-2.0
"""One run of `trialwire load` against one server, and what the server used during it."""
import dataclasses
import json
import pathlib
import subprocess

from .process import Sampler, status_kib
from .servers import Server

CLIENT_LIMIT = 0.95  # of its core: above, the client may be what was measured
OTHERS_LIMIT = 0.10  # of a core: what else may run on the two cores before it is said


@dataclasses.dataclass
class Load:
    """What is asked of the client."""

    connections: int
    seconds: float
    warmup: float = 2
    pipeline: int = 1
    rate: float = 0
    ndjson: int = 0
    count: int = 0

    def arguments(self) -> list[str]:
        out = ["--connections", str(self.connections), "--pipeline", str(self.pipeline),
               "--ndjson", str(self.ndjson), "--timeout", "30s"]
        if self.rate:
            out += ["--rate", str(self.rate)]
        if self.count:
            return out + ["--count", str(self.count)]
        return out + ["--duration", f"{self.seconds}s", "--warmup", f"{self.warmup}s"]


@dataclasses.dataclass
class Measured:
    """One run's figures; times in microseconds, memory in bytes."""

    server: str
    reports_per_second: float
    cpu_per_report: float
    sink_cpu_per_report: float  # of cpu_per_report: the database sink, which takes what is idle
    server_cpu: float
    p50: float
    p99: float
    max: float
    peak_memory: int
    written_per_second: float
    client_cpu: float
    others_cpu: float  # of the two cores, by neither server nor client
    accepted: int
    report_bytes: float
    problems: list[str]

    @property
    def intake_cpu_per_report(self) -> float:
        return self.cpu_per_report - self.sink_cpu_per_report

    @property
    def client_bound(self) -> bool:
        return self.client_cpu >= CLIENT_LIMIT

    @property
    def disturbed(self) -> bool:
        return self.others_cpu > OTHERS_LIMIT


def measure(server: Server, load: Load, binary: pathlib.Path, core: int) -> Measured:
    """Runs the load to its end. What went wrong is in `problems`; nothing is thrown for it."""
    sampler = Sampler(server.pid, {server.core, core})
    command = ["taskset", "-c", str(core), str(binary), "load",
               f"http://127.0.0.1:{server.port}", "--json", *load.arguments()]
    done = subprocess.run(command, capture_output=True, text=True)
    sampler.stop()
    if not done.stdout:
        raise RuntimeError(f"the client against {server.name} failed: {done.stderr.strip()}")
    said = json.loads(done.stdout)
    start, end = said["windowStartNs"], said["windowEndNs"]
    cpu = sampler.cpu_between(start, end)
    seconds = said["seconds"]
    return Measured(
        server=server.name,
        reports_per_second=said["reportsPerSecond"],
        cpu_per_report=cpu * 1e6 / max(said["windowReports"], 1),
        sink_cpu_per_report=sampler.sink_between(start, end) * 1e6 / max(said["windowReports"], 1),
        server_cpu=cpu / seconds,
        p50=said["latencyUs"]["p50"],
        p99=said["latencyUs"]["p99"],
        max=said["latencyUs"]["max"],
        peak_memory=status_kib(server.pid, "VmHWM") * 1024 if server.alive() else 0,
        written_per_second=sampler.written_between(start, end) / seconds,
        client_cpu=said["clientCpu"],
        others_cpu=sampler.busy_between(start, end) / seconds - cpu / seconds - said["clientCpu"],
        accepted=said["acceptedReports"],
        report_bytes=said["reportBytes"],
        problems=_problems(server, said))


def _problems(server: Server, said: dict) -> list[str]:
    found = []
    others = {code: count for code, count in said["status"].items() if code != "200"}
    if others:
        found.append(f"answers other than 200: {others}")
    errors = said["errors"]
    found += [f"{name}: {count}" for name, count in errors.items() if name != "first" and count]
    if errors["first"]:
        found.append(errors["first"])
    if not server.alive():
        found.append(f"the server ended: {server.log_tail()[-300:]}")
    return found
