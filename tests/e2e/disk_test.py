# SPDX-License-Identifier: Apache-2.0
"""The server on a disk that fails: EIO, and no room. Power cuts: tests/fault/power_cut_test.py."""
import contextlib
import json
import os
import signal
import sqlite3
import subprocess

from crash_test import receipts
from harness import BINARY, PATIENCE, Server, ServerTest, eventually, report

FAULTY = os.environ.get("TRIALWIRE_FAULTY", "")
DISK_FAILED = 70


class FaultyServer(Server):
    def __init__(self, directory, **settings):
        super().__init__(directory, **{"limits.body": "256KiB", "limits.inflated_body": "512KiB",
                                       "journal.batch_bytes": "256KiB",
                                       "journal.segment_bytes": "1MiB", "dedupe.memory": "1MiB",
                                       **settings})
        self.fault = "none"
        self.seed = 1

    def command(self, *arguments):
        command = super().command(*arguments)
        if arguments != ("serve",):
            return command
        image = str(self.directory / "image")
        return [FAULTY, image, str(self.seed), self.fault, *command[2:]]

    def start_with(self, fault, seed=1):
        self.fault, self.seed = fault, seed
        return self.start()


class FailingDisk(ServerTest):
    def faulty(self, **settings):
        server = FaultyServer(self.directory, **settings)
        self.addCleanup(server.kill)
        return server

    def load_until_it_ends(self, server, path):
        client = subprocess.Popen(
            [BINARY, "load", f"http://{server.http}", "--connections", "16", "--pipeline", "4",
             "--duration", "60s", "--receipts", path, "--quiet"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(client.kill)
        code = server.wait()
        client.wait(PATIENCE)
        return code

    def check_receipts(self, server, path):
        acknowledged = list(receipts(path))
        server.wait_stored(len(acknowledged))
        eventually("no lag", lambda: server.metric("trialwire_sink_lag_records") == 0)
        items = server.items()
        by_id = {item["reportId"]: item for item in items}
        self.assertEqual(len(by_id), len(items))
        self.assertEqual([item["sequence"] for item in items], list(range(1, len(items) + 1)))
        for receipt in acknowledged:
            item = by_id[receipt["reportId"]]
            self.assertEqual((item["recordId"], item["sequence"]),
                             (receipt["recordId"], receipt["sequence"]))
        return len(acknowledged)

    def test_a_failed_write_or_sync_ends_it_without_a_further_acknowledgement(self):
        for seed, fault in enumerate(("write:40", "sync:40"), 1):
            with self.subTest(fault=fault):
                server = FaultyServer(self.directory / fault.replace(":", ""))
                self.addCleanup(server.kill)
                server.directory.mkdir()
                path = server.directory / "receipts"
                server.start_with(fault, seed)
                self.assertEqual(self.load_until_it_ends(server, path), DISK_FAILED)
                self.assertIn("nothing more is acknowledged", server.log())
                server.start_with("none")
                self.check_receipts(server, path)

    @contextlib.contextmanager
    def database_locked(self, server):
        """Nothing is delivered meanwhile: what is delivered makes room on a full disk."""
        eventually("a table", lambda: server.stored() is not None)
        with contextlib.closing(sqlite3.connect(server.data / "trialwire.db",
                                                isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            yield
            other.execute("ROLLBACK")

    def test_a_full_disk_is_said_and_intake_returns_with_the_room(self):
        server = self.faulty(**{"journal.max_bytes": "64MiB"})
        server.start_with(f"room:{6 << 20}")
        with self.database_locked(server):
            stored = self.fill(server)
        items = server.wait_stored(stored + 1)
        self.assertEqual(len(items), len({item["reportId"] for item in items}))

    def fill(self, server):
        """Until intake is refused and returns; how many reports were stored before."""
        filler, stored, refused = "x" * 4000, 0, None
        for request in range(100):
            lines = [json.dumps(report(request * 50 + n, comments=filler)) for n in range(50)]
            answer = server.post("/v1/epro/reports", "\n".join(lines), "application/x-ndjson")
            if answer.status != 200:
                refused = answer
                break
            stored += 50
        self.assertEqual(refused.status, 503)
        self.assertEqual(refused.headers["Retry-After"], "1")
        self.assertEqual(refused.headers["Content-Type"], "application/problem+json")
        server.process.send_signal(signal.SIGHUP)
        eventually("intake", lambda: server.post("/v1/epro/reports", report(99_999)).status == 200)
        return stored


if FAULTY == "":
    del FailingDisk
