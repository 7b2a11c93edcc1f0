# SPDX-License-Identifier: Apache-2.0
"""The real program loses power under load, again and again: what it acknowledged is there."""
import json
import os
import random
import subprocess

from harness import BINARY, PATIENCE, Server, ServerTest, eventually

TEARING = os.environ["TRIALWIRE_TEARING"]  # the program on a disk that loses what was not synced
POWER_CUT = 137


class TearingServer(Server):
    """`trialwire serve` that loses power at a chosen call to the journal's disk."""

    def command(self, *arguments):
        return [TEARING, *super().command(*arguments)[1:]]

    def start_and_cut(self, seed, calls):
        return self.start(wait=False, env={**os.environ, "TRIALWIRE_POWER_CUT": f"{seed}:{calls}"})

    def serves(self):
        """False when the power went before it did."""
        def known():
            if self.process.poll() is not None:
                return "gone"
            try:
                ports = json.loads((self.data / "run/ports.json").read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return None
            return ports["http"] if ports["pid"] == self.process.pid else None
        self.http = eventually("ports.json or a power cut", known)
        return self.http != "gone"


def receipts(paths):
    """Lines that were written whole."""
    for path in paths:
        for line in path.read_text().splitlines(keepends=True):
            if line.endswith("\n"):
                yield json.loads(line)


class PowerCut(ServerTest):
    def settings(self, io):
        return {"journal.io": io, "journal.segment_bytes": "1MiB", "journal.batch_bytes": "256KiB",
                "limits.body": "256KiB", "limits.inflated_body": "256KiB"}

    def load_until_cut(self, server, path):
        client = subprocess.Popen(
            [BINARY, "load", f"http://{server.http}", "--connections", "8", "--rate", "3000",
             "--duration", "60s", "--receipts", path, "--quiet"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(client.kill)
        self.assertEqual(server.wait(), POWER_CUT, server.log())
        client.wait(PATIENCE)

    def compare(self, server, paths):
        """With the journal at rest: all acknowledged, each once, nothing refused."""
        verified = server.run("journal", "verify")
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        cat = server.run("journal", "cat")
        self.assertEqual(cat.returncode, 0, cat.stderr)
        records = {}
        for line in cat.stdout.splitlines():
            record = json.loads(line)
            self.assertNotIn(record["recordId"], records)
            records[record["recordId"]] = record["sequence"]
        self.assertEqual(sorted(records.values()), list(range(1, len(records) + 1)))
        acknowledged = list(receipts(paths))
        for receipt in acknowledged:
            self.assertEqual(records.get(receipt["recordId"]), receipt["sequence"])
        return len(acknowledged)

    def cut_again_and_again(self, io, seed):
        randomness = random.Random(seed)
        paths = []
        tearing = TearingServer(self.directory, **self.settings(io))
        self.addCleanup(tearing.kill)
        server = self.server(**self.settings(io))
        for cut in range(10):
            # A third of them while it starts.
            calls = randomness.randint(1, 40) if cut % 3 == 0 else randomness.randint(60, 900)
            tearing.start_and_cut(seed * 100 + cut, calls)
            if tearing.serves():
                paths.append(self.directory / f"receipts-{cut}")
                self.load_until_cut(tearing, paths[-1])
            else:
                self.assertEqual(tearing.wait(), POWER_CUT, tearing.log())
            server.start()
            self.assertEqual(server.stop(), 0, server.log())
            acknowledged = self.compare(server, paths)
        self.assertGreater(acknowledged, 500)
        server.start()
        items = server.wait_stored(acknowledged)
        eventually("no lag", lambda: server.metric("trialwire_sink_lag_records") == 0)
        items = server.items()
        self.assertEqual([item["sequence"] for item in items], list(range(1, len(items) + 1)))
        by_sequence = {item["sequence"]: item["recordId"] for item in items}
        for receipt in receipts(paths):
            self.assertEqual(by_sequence[receipt["sequence"]], receipt["recordId"])

    def test_past_the_page_cache(self):
        self.cut_again_and_again("auto", 1)

    def test_through_the_page_cache(self):
        self.cut_again_and_again("buffered", 2)
