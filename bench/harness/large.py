# SPDX-License-Identifier: Apache-2.0
"""The large journal, 10 GiB: CPU per report with its identities beside an empty one, and the start
after kill -9. A few minutes and four times its size of disk; only with --large."""
import re
import shutil

from . import machine
from .client import Load, measure
from .process import status_kib
from .runner import Runner, say
from .servers import Trialwire

GIB = 1 << 30
SETTINGS = {"journal.max_bytes": "64GiB"}  # the sink lags by more than the default budget


def measure_large(runner: Runner, seconds: float, gib: int) -> dict:
    if machine.free_bytes(runner.directory) < 4 * gib * GIB:
        raise machine.Unsuitable(f"--large needs {4 * gib} GiB free in {runner.directory}")
    load = Load(connections=256, pipeline=16, seconds=seconds)
    client = runner.programs["trialwire"]
    server = runner.start("trialwire", SETTINGS)
    assert isinstance(server, Trialwire)
    try:
        say("  large: with an empty journal")
        empty = measure(server, load, client, runner.client_core)
        problems = list(empty.problems)
        while (size := _journal_bytes(server)) < gib * GIB:
            say(f"  large: filling, {size / GIB:.1f} GiB")
            filled = measure(server, Load(connections=16, ndjson=500, seconds=15, warmup=0), client,
                             runner.client_core)
            problems += filled.problems
        say(f"  large: with {size / GIB:.1f} GiB")
        full = measure(server, load, client, runner.client_core)
        problems += full.problems
        size = _journal_bytes(server)
        server.kill()
        again = Trialwire(server.binary, server.data, runner.server_core, SETTINGS)
        say("  large: start after kill -9")
        try:
            again.wait_ready()
            start = {"seconds": again.ready_seconds,
                     "peakMemory": status_kib(again.pid, "VmHWM") * 1024}
        finally:
            again.stop()
        page = again.verify()
        if not page.get("ok"):
            problems.append(f"journal verify: {page}")
    finally:
        if server.alive():
            server.kill()
        shutil.rmtree(server.data, ignore_errors=True)
    return {"cpuPerReportEmpty": empty.intake_cpu_per_report,
            "cpuPerReportFull": full.intake_cpu_per_report,
            "journalGiB": size / GIB, "start": start, "problems": problems}


def _journal_bytes(server: Trialwire) -> int:
    """Records as stored, from the server's own count."""
    found = re.search(r"^trialwire_journal_payload_bytes_total (\S+)", server.metrics(), re.MULTILINE)
    return int(float(found.group(1)))
