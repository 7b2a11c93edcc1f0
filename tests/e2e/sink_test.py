# SPDX-License-Identifier: Apache-2.0
"""The database is away: intake goes on, the lag shows, and nothing is missing afterwards."""
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
