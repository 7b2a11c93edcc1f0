# SPDX-License-Identifier: Apache-2.0
"""A million generated reports from end to end: sent, acknowledged, journalled, in the database."""
import os
import re
import sqlite3
import subprocess
import unittest

from harness import BINARY, ServerTest, eventually

COUNT = 1_000_000


@unittest.skipUnless(os.environ.get("TRIALWIRE_LONG"), "takes half a minute and a gigabyte of disk")
class Million(ServerTest):
    def test_each_of_a_million_reports_is_acknowledged_journalled_and_stored_once(self):
        server = self.server(**{"journal.segment_bytes": "128MiB", "journal.max_bytes": "4GiB",
                                "dedupe.memory": "64MiB"}).start()
        path = self.directory / "receipts"
        client = subprocess.run(
            [BINARY, "load", f"http://{server.http}", "--count", str(COUNT), "--connections", "64",
             "--pipeline", "16", "--receipts", path, "--quiet"],
            capture_output=True, text=True, check=False, timeout=300)
        self.assertEqual(client.returncode, 0, client.stdout + client.stderr)
        with open(path, encoding="utf-8") as lines:
            acknowledged = {re.search('"recordId":"([^"]+)"', line)[1] for line in lines}
        eventually("no lag", lambda: server.metric("trialwire_sink_lag_records") == 0, 300)
        self.assertEqual(server.metric("trialwire_journal_last_sequence"), COUNT)
        self.assertEqual(server.stop(), 0)
        verified = server.run("journal", "verify")
        self.assertEqual(verified.returncode, 0, verified.stdout + verified.stderr)
        self.assertIn(f" {COUNT} records", verified.stdout + verified.stderr)
        with sqlite3.connect(server.data / "trialwire.db") as database:
            rows, ids, reports, first, last = database.execute(
                "SELECT count(*), count(DISTINCT record_id), count(DISTINCT report_id), "
                "min(sequence), max(sequence) FROM epro_reports").fetchone()
            stored = {row[0] for row in database.execute("SELECT record_id FROM epro_reports")}
        print(f"sent {COUNT}, acknowledged {len(acknowledged)}, journal {COUNT}, rows {rows}, "
              f"record ids {ids}, report ids {reports}, sequences {first}..{last}")
        self.assertEqual((rows, ids, reports, first, last), (COUNT, COUNT, COUNT, 1, COUNT))
        self.assertEqual(acknowledged, stored)
