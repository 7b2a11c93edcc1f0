# SPDX-License-Identifier: Apache-2.0
"""The database is away: intake goes on, the lag shows, and nothing is missing afterwards."""
import contextlib
import json
import os
import shutil
import sqlite3

from harness import ServerTest, eventually, report


class DatabaseAway(ServerTest):
    def lag(self, server):
        return server.metric("trialwire_sink_lag_records")

    def send(self, server, count):
        for number in range(count):
            self.assertEqual(server.post("/v1/epro/reports", report(number)).status, 200)

    def check_all_stored(self, server, count):
        items = server.wait_stored(count)
        self.assertEqual([item["reportId"] for item in items], [f"R-{n}" for n in range(count)])
        eventually("no lag", lambda: self.lag(server) == 0)

    def test_a_locked_database_does_not_stop_intake(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(0))
        server.wait_stored(1)
        other = sqlite3.connect(server.data / "trialwire.db", isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        self.send(server, 20)
        eventually("lag", lambda: self.lag(server) >= 19)
        self.assertEqual(server.ask_admin("/readyz").status, 200)
        other.execute("ROLLBACK")
        other.close()
        self.check_all_stored(server, 20)

    def move_away(self, server):
        """The database with all that belongs to it; returns where it is now."""
        away = self.directory / "moved"
        away.mkdir()
        for file in server.data.glob("trialwire.db*"):
            file.rename(away / file.name)
        return away / "trialwire.db"

    def test_a_database_moved_away_while_it_is_locked_loses_nothing(self):
        server = self.server().start()
        self.send(server, 5)
        server.wait_stored(5)
        other = sqlite3.connect(server.data / "trialwire.db", isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        self.assertEqual(server.post("/v1/epro/reports", report(5)).status, 200)
        eventually("a failed delivery",
                   lambda: server.metric("trialwire_sink_retries_total") >= 1)
        self.move_away(server)
        self.check_all_stored(server, 6)
        other.execute("ROLLBACK")
        other.close()

    def test_a_database_moved_away_while_it_is_used_loses_nothing(self):
        server = self.server().start()
        self.send(server, 5)
        server.wait_stored(5)
        moved = self.move_away(server)
        self.assertEqual(server.post("/v1/epro/reports", report(5)).status, 200)
        self.check_all_stored(server, 6)
        with contextlib.closing(sqlite3.connect(moved)) as other:
            rows = other.execute("SELECT count(*) FROM epro_reports").fetchone()[0]
        self.assertEqual(rows, 5)

    def test_a_missing_directory_of_the_database_does_not_stop_intake(self):
        place = self.directory / "elsewhere"
        server = self.server(**{"store.url": f"sqlite:{place}/reports.db"})
        place.mkdir()
        server.start()
        server.post("/v1/epro/reports", report(0))
        server.wait_stored(1)
        server.stop()
        place.rename(self.directory / "away")
        place.write_text("in the way")
        server.start()
        self.send(server, 10)
        self.assertEqual(server.get("/v1/epro/reports").status, 503)
        eventually("lag", lambda: self.lag(server) >= 9)
        place.unlink()
        (self.directory / "away").rename(place)
        self.check_all_stored(server, 10)

    def test_a_file_that_is_no_database_does_not_stop_intake(self):
        server = self.server()
        server.data.mkdir()
        database = server.data / "trialwire.db"
        database.write_bytes(os.urandom(8192))
        server.start()
        self.send(server, 3)
        eventually("lag", lambda: self.lag(server) >= 3)
        database.unlink()
        self.check_all_stored(server, 3)

    def test_a_database_restored_from_yesterday_goes_on_and_says_what_it_lacks(self):
        server = self.server(**{"limits.body": "64KiB", "limits.inflated_body": "256KiB",
                                "journal.batch_bytes": "64KiB", "journal.segment_bytes": "1MiB",
                                "journal.max_bytes": "4MiB", "journal.retention": "1s",
                                "dedupe.window": "0s", "archive.url": ""}).start()
        self.send(server, 3)
        server.wait_stored(3)
        server.stop()
        yesterday = self.directory / "yesterday.db"
        with (contextlib.closing(sqlite3.connect(server.data / "trialwire.db")) as today,
              contextlib.closing(sqlite3.connect(yesterday)) as copy):
            today.backup(copy)
        server.start()
        sent = 3

        def oldest():
            nonlocal sent
            lines = [json.dumps(report(sent + n, comments="x" * 4000)) for n in range(14)]
            answer = server.post("/v1/epro/reports", "\n".join(lines), "application/x-ndjson")
            sent += 14 if answer.status == 200 else 0
            return server.metric("trialwire_journal_first_sequence") > 100
        eventually("segments deleted", oldest)
        eventually("no lag", lambda: self.lag(server) == 0)
        self.assertEqual(server.stop(), 0)
        for file in server.data.glob("trialwire.db*"):
            file.unlink()
        yesterday.rename(server.data / "trialwire.db")
        server.start()
        missing = server.metric("trialwire_sink_missing_records_total")
        self.assertGreater(missing, 50)
        self.assertIn("the sink lacks records that are gone from the journal", server.log())
        self.assertRegex(server.log(), rf"missing_from\W+4\W+missing_to\W+{int(missing) + 3}\b")
        self.assertEqual(server.post("/v1/epro/reports", report(sent)).status, 200)
        self.assertEqual(len(server.wait_stored(sent + 1 - int(missing))), sent + 1 - missing)

    def test_a_database_restored_in_a_quiet_hour_is_filled_without_a_new_report(self):
        server = self.server(**{"pipeline.idle_check": "200ms"}).start()
        self.send(server, 3)
        server.wait_stored(3)
        yesterday = self.directory / "yesterday.db"
        with (contextlib.closing(sqlite3.connect(server.data / "trialwire.db")) as today,
              contextlib.closing(sqlite3.connect(yesterday)) as copy):
            today.backup(copy)
        for number in range(3, 7):
            self.assertEqual(server.post("/v1/epro/reports", report(number)).status, 200)
        server.wait_stored(7)
        for suffix in ("-wal", "-shm"):
            (server.data / f"trialwire.db{suffix}").unlink(missing_ok=True)
        yesterday.rename(server.data / "trialwire.db")
        self.assertEqual(len(server.wait_stored(7)), 7)
        self.assertEqual(server.metric("trialwire_sink_missing_records_total"), 0)
        self.assertEqual(server.stop(), 0)

    def test_a_journal_restored_from_yesterday_is_refused_with_both_cursors_named(self):
        server = self.server().start()
        self.send(server, 3)
        server.wait_stored(3)
        server.stop()
        yesterday = self.directory / "yesterday"
        shutil.copytree(server.data / "journal", yesterday)
        server.start()
        for number in range(3, 50):
            server.post("/v1/epro/reports", report(number))
        server.wait_stored(50)
        server.stop()
        shutil.rmtree(server.data / "journal")
        yesterday.rename(server.data / "journal")
        run = server.run("serve")
        self.assertEqual(run.returncode, 1)
        refusal = run.stderr.splitlines()[-1]
        self.assertIn("51", refusal)
        self.assertIn("4", refusal)
        self.assertIn("cursor", refusal)
