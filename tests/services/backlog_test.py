# SPDX-License-Identifier: Apache-2.0
"""A backlog of ten times what the whole process may take of memory: written while the database is
away, and drained when it is back, within that memory, several times as fast as one row at a time."""
import json
import pathlib
import re
import subprocess
import sys
import threading
import time
import unittest

from gateway_case import GatewayTest  # first: it makes tests/e2e importable

import harness
import servers
from harness import eventually

LIMIT = 64 << 20
BACKLOG = 10 * LIMIT
COMMENT = "x" * 700
SETTINGS = {
    "runtime.shards": "1", "dedupe.memory": "4MiB", "journal.recent_bytes": "2MiB",
    "journal.max_bytes": "4GiB", "limits.unacknowledged_total": "8MiB",
    "pipeline.lanes": "2", "pipeline.batch_bytes": "2MiB"}


class Memory(threading.Thread):
    """Resident bytes of a process, ten times a second until it is stopped."""

    def __init__(self, pid):
        super().__init__()
        self.status = pathlib.Path(f"/proc/{pid}/status")
        self.samples = []
        self.over = threading.Event()

    def read(self, field):
        return int(re.search(rf"{field}:\s+(\d+) kB", self.status.read_text())[1]) << 10

    def run(self):
        while not self.over.wait(0.1):
            self.samples.append(self.read("VmRSS"))

    def stop(self):
        self.over.set()
        self.join()
        return self.samples


class Backlog(GatewayTest):
    def fill(self, gateway):
        """Reports until the backlog is there; how many."""
        sent = 0
        while gateway.metric("trialwire_journal_undelivered_bytes") < BACKLOG:
            for _ in range(20):
                lines = [json.dumps(harness.report(sent + n, comments=COMMENT))
                         for n in range(500)]
                answer = gateway.post("/v1/epro/reports", "\n".join(lines),
                                      "application/x-ndjson")
                self.assertEqual(answer.status, 200)
                sent += 500
        return sent

    @staticmethod
    def rows_one_at_a_time(database):
        """A second, of the same size, by a client that commits each: the way it is without batches."""
        database.sql("CREATE TABLE one_at_a_time (body text)")
        count = 1000
        script = f"INSERT INTO one_at_a_time VALUES ('{COMMENT}');\n" * count
        began = time.monotonic()
        subprocess.run([servers.POSTGRES_PROGRAMS / "psql", "-X", "-q", "-d", database.url()],
                       input=script, text=True, check=True)
        return count / (time.monotonic() - began)

    def test_it_drains_in_constant_memory_and_in_batches(self):
        database = self.own(servers.Postgres).start()
        gateway = self.gateway(**{"store.url": database.url(), **SETTINGS}).start()
        memory = Memory(gateway.process.pid)
        self.send(gateway, [-1])
        eventually("a row", lambda: self.lag(gateway) == 0)
        database.stop()
        sent = 1 + self.fill(gateway)
        backlog = gateway.metric("trialwire_journal_undelivered_bytes")
        filled = memory.read("VmHWM")
        database.start()
        began = time.monotonic()
        memory.start()
        try:
            eventually("no lag", lambda: self.lag(gateway) == 0, 10 * harness.PATIENCE)
        finally:
            samples = memory.stop()
        seconds = time.monotonic() - began
        peak = memory.read("VmHWM")
        single = self.rows_one_at_a_time(database)
        print(f"{sent} records, {backlog / (1 << 20):.0f} MiB of journal, drained in {seconds:.1f} "
              f"s: {sent / seconds:.0f} records/s; peak {filled / (1 << 20):.1f} MiB until then, "
              f"{peak / (1 << 20):.1f} MiB in all; one at a time {single:.0f}/s", end=" ", file=sys.stderr)
        self.assertGreaterEqual(backlog, BACKLOG)
        self.assertGreater(sent / seconds, 3 * single)
        self.assertLess(peak, LIMIT)
        third = len(samples) // 3
        self.assertLess(max(samples[-third:]), max(samples[:third]) + (8 << 20), "it does not grow")
        self.assertEqual(database.sql("SELECT count(*), count(DISTINCT record_id), "
                                      "count(DISTINCT report_id) FROM epro_reports"),
                         f"{sent}\t{sent}\t{sent}")


if __name__ == "__main__":
    unittest.main()
