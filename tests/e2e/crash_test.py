# SPDX-License-Identifier: Apache-2.0
"""kill -9 under load: every acknowledged report is there afterwards, each once."""
import json
import pathlib
import random
import subprocess
import time

from harness import BINARY, PATIENCE, START_SECONDS, ServerTest, eventually


def receipts(path):
    """Lines that were written whole; the client may have been stopped in the middle of one."""
    for line in pathlib.Path(path).read_text().splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


class Killed(ServerTest):
    def load(self, server, path, *options):
        return subprocess.Popen(
            [BINARY, "load", f"http://{server.http}", "--connections", "32", "--pipeline", "4",
             "--duration", "60s", "--receipts", path, "--quiet", *options],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_under_load(self, server, path, seconds, *options):
        size = path.stat().st_size if path.exists() else 0
        client = self.load(server, path, *options)
        self.addCleanup(client.kill)
        eventually("receipts", lambda: path.exists() and path.stat().st_size > size)
        time.sleep(seconds)
        server.kill()
        client.wait(PATIENCE)

    def test_every_acknowledged_report_is_there_once(self):
        randomness = random.Random(7)
        server = self.server(**{"runtime.shards": "2"})
        path = self.directory / "receipts"
        for _ in range(6):
            begun = time.monotonic()
            server.start()
            self.assertLess(time.monotonic() - begun, START_SECONDS)
            self.kill_under_load(server, path, randomness.uniform(0.05, 0.6), "--rate", "6000")
        server.start()
        acknowledged = list(receipts(path))
        self.assertGreater(len(acknowledged), 1000)
        items = server.wait_stored(len(acknowledged))
        eventually("no lag", lambda: server.metric("trialwire_sink_lag_records") == 0)
        items = server.items()
        self.assertEqual(len(items), len({item["recordId"] for item in items}))
        self.assertEqual(len(items), len({item["reportId"] for item in items}))
        by_id = {item["reportId"]: item for item in items}
        for receipt in acknowledged:
            item = by_id[receipt["reportId"]]
            self.assertEqual(item["recordId"], receipt["recordId"])
            self.assertEqual(item["sequence"], receipt["sequence"])
        sequences = [item["sequence"] for item in items]
        self.assertEqual(sequences, list(range(1, len(items) + 1)))
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.run("journal", "verify").returncode, 0)

    def test_full_speed_is_survived_too(self):
        server = self.server(**{"journal.segment_bytes": "32MiB"}).start()
        path = self.directory / "receipts"
        self.kill_under_load(server, path, 1.0)
        begun = time.monotonic()
        server.start()
        self.assertLess(time.monotonic() - begun, START_SECONDS)
        acknowledged = {receipt["recordId"] for receipt in receipts(path)}
        self.assertGreater(len(acknowledged), 1000)
        server.stop()
        cat = server.run("journal", "cat")
        self.assertEqual(cat.returncode, 0, cat.stderr)
        records = [json.loads(line)["recordId"] for line in cat.stdout.splitlines()]
        self.assertEqual(len(records), len(set(records)))
        self.assertLessEqual(acknowledged, set(records))
