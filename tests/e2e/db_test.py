# SPDX-License-Identifier: Apache-2.0
"""The database's schema: made, migrated with what is in it, refused when it is newer."""
import contextlib
import json
import sqlite3
import unittest

from harness import ServerTest, eventually, report

TABLES_OF_STEP_4 = ("qol_answers", "vital_signs", "trial_metrics")


class Schema(ServerTest):
    def database(self, server):
        return contextlib.closing(sqlite3.connect(server.data / "trialwire.db",
                                                  isolation_level=None))

    def make_version_3(self, server):
        """The file as the program before step 4 left it."""
        with self.database(server) as database:
            for table in (*TABLES_OF_STEP_4, "audit_records"):
                database.execute(f"DROP TABLE {table}")
                database.execute(f"DROP TABLE {table[:-1]}_identities")
            database.execute("DROP TRIGGER epro_reports_deleted")
            database.execute("DROP TABLE deleted_rows")
            database.execute("DELETE FROM schema_migrations WHERE version > 3")

    def test_a_schema_is_made_and_shown(self):
        server = self.server()
        status = server.run("db", "status")
        self.assertEqual(status.returncode, 1)
        self.assertIn("is not there", status.stderr)
        self.assertFalse(server.data.exists())
        server.data.mkdir()
        self.assertIn("made", server.run("db", "migrate").stdout)
        self.assertIn("up to date", server.run("db", "migrate").stdout)
        server.start()
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        status = server.run("db", "status")
        self.assertEqual(status.returncode, 0, status.stderr)
        self.assertRegex(status.stdout, r"epro_reports +1\n")
        shown = json.loads(server.run("db", "status", "--json").stdout)
        self.assertEqual(shown["rowsAbout"]["epro_reports"], 1)
        self.assertEqual(shown["schemaApplied"], shown["schemaKnown"])
        self.assertEqual([(c["sink"], c["lane"]) for c in shown["cursors"]], [("sqlite", 0)])
        self.assertGreaterEqual(shown["cursors"][0]["nextSequence"], 2)  # reads are records, too

    def test_a_file_of_an_earlier_program_is_migrated_with_what_is_in_it(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        server.stop()
        self.make_version_3(server)
        status = server.run("db", "status")
        self.assertEqual(status.returncode, 1)
        self.assertIn("3 of 6, behind", status.stdout)
        server.start()
        server.post("/v1/epro/reports", report(2))
        self.assertEqual({item["reportId"] for item in server.wait_stored(2)}, {"R-1", "R-2"})
        self.assertEqual(server.run("db", "status").returncode, 0)

    def test_a_newer_schema_is_refused_with_both_versions_and_intake_goes_on(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        server.stop()
        with self.database(server) as database:
            database.execute("INSERT INTO schema_migrations (version, name) VALUES (999, 'x')")
        for command in ("status", "migrate"):
            run = server.run("db", command)
            self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn("has schema 999, this program knows up to 6", run.stderr)
        self.assertEqual(server.run("config", "check", "--connect").returncode, 1)
        server.start()
        self.assertEqual(server.post("/v1/epro/reports", report(2)).status, 200)
        eventually("a refusal in the log", lambda: "has schema 999" in server.log())
        with self.database(server) as database:
            database.execute("DELETE FROM schema_migrations WHERE version = 999")
        server.wait_stored(2)

    def test_a_database_is_asked_without_being_made(self):
        server = self.server()
        run = server.run("config", "check", "--connect")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("is not there yet, serve makes it", run.stdout)
        self.assertFalse(server.data.exists())

    def test_a_place_that_cannot_be_written_is_named(self):
        for setting, path in (("store.url", "sqlite:/proc/x.db"), ("archive.url", "file:/proc/archive")):
            run = self.server(**{setting: path}).run("config", "check", "--connect")
            self.assertEqual(run.returncode, 1, run.stdout)
            self.assertIn(path.partition(":")[2], run.stderr)
            self.assertIn("cannot write in /proc", run.stderr)
        place = self.directory / "archive"
        place.mkdir()
        run = self.server(**{"archive.url": f"file:{place}"}).run("config", "check", "--connect")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn(f"archive file:{place}: can be written", run.stdout)
        self.assertEqual(list(place.iterdir()), [])


class Queries(ServerTest):
    """A server that answers queries of a database that others fill."""

    def queries(self):
        return self.server(roles="api", **{"store.url": f"sqlite:{self.directory}/shared.db"})

    def line(self, server):
        page = server.ask_admin("/readyz").body.decode()
        return next(line for line in page.splitlines() if line.startswith("queries "))

    def test_it_is_ready_while_its_database_answers(self):
        shared = self.directory / "shared.db"
        shared.mkdir()
        server = self.queries().start()
        eventually("asked", lambda: "shared.db" in self.line(server))
        answer = server.ask_admin("/readyz")
        self.assertEqual(answer.status, 503, answer.body)
        self.assertRegex(self.line(server), "^queries failed: .*shared.db")
        self.assertGreaterEqual(server.get("/v1/epro/reports").status, 500)
        shared.rmdir()  # its audit trail makes the database, schema and all
        eventually("ready", lambda: server.ask_admin("/readyz").status == 200)
        self.assertEqual(server.get("/v1/epro/reports").status, 200)

    def test_a_stopped_server_leaves_everything_in_one_file(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        eventually("asked", lambda: self.line(server) == "queries ok")
        self.assertEqual(server.stop(), 0)
        self.assertEqual([file.name for file in server.data.glob("trialwire.db*")], ["trialwire.db"])

    def test_beside_a_gateway_it_is_degraded_and_intake_goes_on(self):
        server = self.server(**{"store.url": f"sqlite:{self.directory}/nowhere/x.db"}).start()
        eventually("asked", lambda: "degraded: database" in self.line(server))
        self.assertEqual(server.ask_admin("/readyz").status, 200)
        self.assertEqual(server.post("/v1/epro/reports", report(1)).status, 200)

    def test_the_check_does_not_promise_a_database_that_it_does_not_make(self):
        server = self.queries()
        for made in (False, True):
            if made:
                (self.directory / "shared.db").touch()
            run = server.run("config", "check", "--connect")
            self.assertEqual(run.returncode, 1, run.stdout)
            self.assertIn("processor", run.stderr)
            self.assertNotIn("serve", run.stdout + run.stderr)
        self.assertEqual(server.run("db", "migrate").returncode, 0)
        self.assertEqual(server.run("config", "check", "--connect").returncode, 0)


if __name__ == "__main__":
    unittest.main()
