# SPDX-License-Identifier: Apache-2.0
"""Runs scenarios: starts a server, loads it, ends it, checks what it stored."""
import json
import pathlib
import shutil
import sys
import time

from . import machine
from .client import Measured, measure
from .process import written_bytes
from .scenarios import Scenario
from .servers import Server, Trialwire

SETTLE_SECONDS = 60


class Runner:
    def __init__(self, programs: dict[str, pathlib.Path], directory: pathlib.Path,
                 server_core: int, client_core: int):
        self.programs = programs
        self.directory = directory
        self.server_core = server_core
        self.client_core = client_core
        self.io_modes: set[str] = set()
        self.probes: list[dict] = []
        self._runs = 0

    def start(self, name: str, settings: dict) -> Server:
        self._runs += 1
        if name == "trialwire":
            data = self.directory / f"run-{self._runs}"
            shutil.rmtree(data, ignore_errors=True)
            server: Server = Trialwire(self.programs[name], data, self.server_core, settings)
        else:
            server = Server(name, [str(self.programs[name])], self.server_core,
                            self.directory / f"{name}.log")
        try:
            server.wait_ready()
        except Exception:
            server.kill()
            raise
        return server

    def run(self, scenario: Scenario, name: str) -> Measured:
        if name == "trialwire" and machine.free_bytes(self.directory) < scenario.journal_bytes:
            raise machine.Unsuitable(
                f"{scenario.title}: {self.directory} has not the "
                f"{scenario.journal_bytes / 1e9:.0f} GB free that the journal may need")
        server = self.start(name, scenario.settings)
        try:
            if isinstance(server, Trialwire):
                self.io_modes.add(server.io_mode())
            if scenario.settle:
                self._settle(server)
            if scenario.probes and server.stores:
                self.probe()
            result = measure(server, scenario.load, self.programs["trialwire"], self.client_core)
            if scenario.probes and server.stores:
                self.probe()
        finally:
            code = server.stop()
        if isinstance(server, Trialwire):
            self._check_stored(server, code, result)
            server.remove_data()
        return result

    def probe(self) -> None:
        self.probes.append(machine.probe_device(self.directory, self.programs["probe"],
                                                core=self.server_core))

    def _settle(self, server: Server) -> None:
        """Until nothing is written for two seconds: segments are pre-written at the start."""
        deadline = time.monotonic() + SETTLE_SECONDS
        before, quiet = written_bytes(server.pid), 0
        while quiet < 4 and time.monotonic() < deadline:
            time.sleep(0.5)
            now = written_bytes(server.pid)
            quiet = quiet + 1 if now == before else 0
            before = now

    @staticmethod
    def _check_stored(server: Trialwire, code: int, result: Measured) -> None:
        if code != 0:
            result.problems.append(f"the server ended with {code}: {server.log_tail()[-300:]}")
        page = server.verify()
        if not page.get("ok"):
            result.problems.append(f"journal verify: {json.dumps(page)[:300]}")
        # Sequences start at 1: also right when old segments were deleted meanwhile.
        elif page["nextSequence"] - 1 < result.accepted:
            result.problems.append(f"{result.accepted} acknowledged, {page['nextSequence'] - 1} "
                                   "in the journal")


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
