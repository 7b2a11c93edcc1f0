# SPDX-License-Identifier: Apache-2.0
"""What is measured: each scenario is a load, the servers that get it, and settings of trialwire that
differ from its defaults. A server starts anew for each run, on an empty data directory."""
import dataclasses

from .client import Load

GIB = 1 << 30
ALL = ("trialwire", "floor", "gin", "fasthttp")


@dataclasses.dataclass
class Scenario:
    name: str
    title: str
    load: Load
    servers: tuple[str, ...] = ALL
    settings: dict = dataclasses.field(default_factory=dict)
    settle: bool = False  # wait until the server writes nothing before measuring
    repeat: bool = True   # False: once, also in a full run
    probes: bool = False  # the device's own sync time is measured right before and after

    @property
    def journal_bytes(self) -> float:
        """Disk that a run may fill, about: the fastest that has been seen, and what is pre-written."""
        per_second = {"ndjson": 4.0e6}.get(self.name, 1.5e6 if self.load.pipeline > 1 else 0.3e6)
        return (self.load.seconds + self.load.warmup) * per_second * 400 + GIB


def scenarios(seconds: float) -> list[Scenario]:
    own = ("trialwire", "floor")
    return [
        Scenario("pipelined", "256 connections × 16 pipelined",
                 Load(connections=256, pipeline=16, seconds=seconds)),
        Scenario("keepalive", "256 keep-alive connections", Load(connections=256, seconds=seconds)),
        # Deletable segments are kept for a day, and at this rate the sink cannot keep up: the
        # default budget of 16 GiB would end the run with 503.
        Scenario("ndjson", "NDJSON bodies of 500, 16 connections",
                 Load(connections=16, ndjson=500, seconds=seconds), own,
                 settings={"journal.max_bytes": "64GiB"}),
        Scenario("open50k", "open loop, 50,000/s over 256 connections",
                 Load(connections=256, rate=50_000, seconds=seconds), own, probes=True),
        Scenario("single", "one connection, one report at a time",
                 Load(connections=1, seconds=seconds), own, probes=True),
        Scenario("trickle", "100 reports/s over 10 connections",
                 Load(connections=10, rate=100, seconds=seconds), ("trialwire",), settle=True),
        Scenario("connections512", "512 keep-alive connections",
                 Load(connections=512, seconds=seconds), ("trialwire", "gin")),
        Scenario("connections10000", "10,000 keep-alive connections",
                 Load(connections=10_000, seconds=seconds, warmup=3)),
        Scenario("nosync", "as the first, journal.sync none",
                 Load(connections=256, pipeline=16, seconds=seconds), ("trialwire",),
                 settings={"journal.sync": "none", "allow_unsafe": "true"}),
    ]


GATE = "pipelined"


def gate(seconds: float) -> list[Scenario]:
    """The performance gate: the first scenario, trialwire and the floor."""
    return [Scenario(GATE, "256 connections × 16 pipelined",
                     Load(connections=256, pipeline=16, seconds=seconds), ("trialwire", "floor"))]
