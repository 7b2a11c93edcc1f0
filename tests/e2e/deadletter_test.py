# SPDX-License-Identifier: Apache-2.0
"""What the database will never take is set aside whole, and an operator decides what becomes of it."""
import contextlib
import json
import os
import sqlite3
import stat

from harness import ServerTest, eventually, report

RULE = """CREATE TRIGGER refuse BEFORE INSERT ON epro_reports WHEN NEW.patient_id LIKE 'P-bad%'
          BEGIN SELECT RAISE(ABORT, 'refused by a rule of the study'); END"""


class DeadLetters(ServerTest):
    def change_database(self, server, sql):
        with contextlib.closing(sqlite3.connect(server.data / "trialwire.db", timeout=10)) as other:
            other.execute(sql)
            other.commit()

    def server_with_rule(self):
        server = self.server().start()
        self.assertEqual(server.post("/v1/epro/reports", report(0)).status, 200)
        server.wait_stored(1)
        self.change_database(server, RULE)
        return server

    def bad(self, number):
        return report(number, patientId=f"P-bad-{number}")

    def letters(self, server, *arguments):
        run = server.run("deadletter", "list", "--json", *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return [json.loads(line) for line in run.stdout.splitlines()]

    def wait_letters(self, server, count):
        eventually(f"{count} dead letters",
                   lambda: server.metric("trialwire_sink_dead_letters_total") >= count)
        return self.letters(server)

    def test_a_refused_record_is_set_aside_and_those_behind_it_are_stored(self):
        server = self.server_with_rule()
        for number in range(1, 20):
            body = self.bad(number) if number == 7 else report(number)
            self.assertEqual(server.post("/v1/epro/reports", body).status, 200)
        items = server.wait_stored(19)
        self.assertEqual(len(items), 19)
        letter, = self.wait_letters(server, 1)
        self.assertEqual((letter["sink"], letter["kind"], letter["state"], letter["reasonCode"]),
                         ("sqlite", "epro_report", "waiting", "invalid_argument"))
        self.assertIn("refused by a rule of the study", letter["reason"])
        self.assertEqual(letter["sequence"], 8)
        eventually("no lag", lambda: server.metric("trialwire_sink_lag_records") == 0)
        eventually("counted", lambda: server.metric("trialwire_sink_dead_letters_waiting") == 1)
        mode = stat.S_IMODE(os.stat(server.data / "deadletters.db").st_mode)
        self.assertEqual(mode, 0o600)

    def test_patients_data_is_shown_only_when_it_is_asked_for(self):
        server = self.server_with_rule()
        server.post("/v1/epro/reports", self.bad(1))
        letter, = self.wait_letters(server, 1)
        number = str(letter["id"])
        for arguments in (["list"], ["show", number], ["show", number, "--json"]):
            run = server.run("deadletter", *arguments)
            self.assertEqual(run.returncode, 0, run.stderr)
            self.assertNotIn("P-bad", run.stdout)
            self.assertIn("refused by a rule of the study", run.stdout)
        self.assertNotIn("P-bad", server.log())
        for arguments in (["list"], ["show", number], ["show", number, "--json"]):
            self.assertIn("P-bad-1", server.run("deadletter", *arguments, "--reveal").stdout)

    def test_a_submission_is_set_aside_whole_and_delivered_whole_when_it_is_asked_for(self):
        server = self.server_with_rule()
        three = [report(1), self.bad(2), report(3)]
        self.assertEqual(server.post("/v1/epro/reports", three).status, 200)
        self.assertEqual(server.post("/v1/epro/reports", report(4)).status, 200)
        self.assertEqual(len(server.wait_stored(2)), 2)
        letters = self.wait_letters(server, 3)
        self.assertEqual([letter["submission"]["index"] for letter in letters], [0, 1, 2])
        self.change_database(server, "DROP TRIGGER refuse")
        run = server.run("deadletter", "retry", str(letters[1]["id"]))
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertTrue(run.stdout.startswith("3 records"), run.stdout)
        self.assertEqual(len(server.wait_stored(5)), 5)
        eventually("none is left", lambda: self.letters(server) == [])
        self.assertEqual({letter["state"] for letter in self.letters(server, "--all")},
                         {"delivered"})
        eventually("counted", lambda: server.metric("trialwire_sink_dead_letters_waiting") == 0)

    def test_what_is_asked_for_while_no_server_runs_is_delivered_at_the_next_start(self):
        server = self.server_with_rule()
        server.post("/v1/epro/reports", self.bad(1))
        self.wait_letters(server, 1)
        server.stop()
        self.change_database(server, "DROP TRIGGER refuse")
        self.assertEqual(server.run("deadletter", "retry", "--all").returncode, 0)
        server.start()
        self.assertEqual(len(server.wait_stored(2)), 2)

    def test_what_was_delivered_is_kept_for_as_long_as_is_set(self):
        server = self.server_with_rule()
        server.post("/v1/epro/reports", self.bad(1))
        server.post("/v1/epro/reports", self.bad(2))
        self.wait_letters(server, 2)
        self.change_database(server, "DROP TRIGGER refuse")
        self.assertEqual(server.run("deadletter", "retry", "1").returncode, 0)
        server.wait_stored(2)
        states = lambda: [letter["state"] for letter in self.letters(server, "--all")]
        eventually("delivered", lambda: states() == ["delivered", "waiting"])
        server.stop()
        server.start()  # which looks at once; as shipped it is kept for 30 days
        eventually("looked", lambda: server.metric("trialwire_sink_dead_letters_waiting") == 1)
        self.assertEqual(states(), ["delivered", "waiting"])
        server.stop()
        server.settings["pipeline.dead_letters_keep"] = "1ms"
        server.start()
        eventually("counted",
                   lambda: server.metric("trialwire_sink_dead_letters_forgotten_total") == 1)
        self.assertEqual(states(), ["waiting"])

    def test_what_is_refused_again_waits_again(self):
        server = self.server_with_rule()
        server.post("/v1/epro/reports", self.bad(1))
        self.wait_letters(server, 1)
        self.assertEqual(server.run("deadletter", "retry", "1").returncode, 0)
        letter = eventually("a second attempt", lambda: next(
            (one for one in self.letters(server) if one["attempts"] == 2), None))
        self.assertEqual(letter["state"], "waiting")

    def test_a_discard_wants_a_reason_and_keeps_it_with_who_decided(self):
        server = self.server_with_rule()
        server.post("/v1/epro/reports", self.bad(1))
        self.wait_letters(server, 1)
        self.assertEqual(server.run("deadletter", "discard", "1").returncode, 2)
        self.assertEqual(server.run("deadletter", "discard", "1", "--reason", " ").returncode, 2)
        run = server.run("deadletter", "discard", "1", "--reason", "a test device", "--by", "eva")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(self.letters(server), [])
        letter, = self.letters(server, "--state", "discarded")
        self.assertEqual((letter["decidedBy"], letter["decidedWhy"]), ("eva", "a test device"))
        self.assertEqual(server.run("deadletter", "discard", "1", "--reason", "x").returncode, 1)
        self.assertEqual(server.run("deadletter", "retry", "99").returncode, 1)
        self.assertEqual(server.run("deadletter", "retry").returncode, 2)
        run = server.run("deadletter", "retry", "1", "--sink", "postgres")
        self.assertEqual((run.returncode, "--sink goes with --all" in run.stderr), (2, True))

    def test_a_damaged_file_of_dead_letters_stalls_the_sink_and_loses_nothing(self):
        server = self.server_with_rule()
        file = server.data / "deadletters.db"
        server.stop()
        for other in server.data.glob("deadletters.db*"):
            other.unlink()
        file.write_bytes(os.urandom(8192))
        server.start()
        server.post("/v1/epro/reports", self.bad(1))
        server.post("/v1/epro/reports", report(2))
        eventually("stuck", lambda: server.metric("trialwire_sink_state", state="stuck") == 1)
        self.assertEqual(server.metric("trialwire_sink_lag_records"), 2)
        self.assertEqual(server.post("/v1/epro/reports", report(3)).status, 200)
        self.assertEqual(server.run("deadletter", "list").returncode, 1)
        file.unlink()
        self.assertEqual(len(server.wait_stored(3)), 3)
        self.assertEqual(len(self.letters(server)), 1)

    def test_a_database_that_refuses_everything_is_waited_for(self):
        server = self.server(**{"pipeline.refusals_max": "3"}).start()
        server.post("/v1/epro/reports", report(0))
        server.wait_stored(1)
        self.change_database(server, """CREATE TRIGGER refuse BEFORE INSERT ON epro_reports
                                        BEGIN SELECT RAISE(ABORT, 'no'); END""")
        for number in range(1, 11):
            server.post("/v1/epro/reports", report(number))
        eventually("stuck", lambda: server.metric("trialwire_sink_state", state="stuck") == 1)
        self.assertEqual(len(self.letters(server)), 3)
        self.change_database(server, "DROP TRIGGER refuse")
        self.assertEqual(len(server.wait_stored(8)), 8)
        self.assertEqual(server.run("deadletter", "retry", "--all", "--sink", "sqlite").returncode, 0)
        self.assertEqual(len(server.wait_stored(11)), 11)

    def test_what_an_operators_own_unique_key_keeps_out_waits_with_the_reason(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(0))
        server.wait_stored(1)
        self.change_database(server, "CREATE UNIQUE INDEX one_a_site ON epro_reports (site_id)")
        for number, site in enumerate(("S-1", "S-2", "S-2", "S-4"), 1):
            server.post("/v1/epro/reports", report(number, siteId=site))
        self.assertEqual(len(server.wait_stored(4)), 4)
        letter, = self.wait_letters(server, 1)
        self.assertEqual((letter["sequence"], letter["reasonCode"]), (4, "invalid_argument"))
        self.assertIn("UNIQUE", letter["reason"])
        self.assertEqual(server.metric("trialwire_sqlite_rows_ignored_total"), 0)
        self.change_database(server, "DROP INDEX one_a_site")
        self.assertEqual(server.run("deadletter", "retry", "--all").returncode, 0)
        self.assertEqual(len(server.wait_stored(5)), 5)

    def test_a_sink_that_there_is_none_of_is_refused_with_those_that_there_are(self):
        server = self.server_with_rule()
        server.post("/v1/epro/reports", self.bad(1))
        self.wait_letters(server, 1)
        for command in (("retry", "--all"), ("list",)):
            run = server.run("deadletter", *command, "--sink", "nosuch")
            self.assertEqual(run.returncode, 2, run.stdout)
            for known in ("nosuch", "sqlite", "postgres", "mysql", "kafka"):
                self.assertIn(known, run.stderr)
        self.assertEqual(self.letters(server)[0]["state"], "waiting")

    def test_a_retry_says_that_no_server_delivers_to_the_sink_with_these_settings(self):
        server = self.server_with_rule()
        server.post("/v1/epro/reports", self.bad(1))
        self.wait_letters(server, 1)
        server.stop()
        server.settings["store.url"] = "postgres://nobody@127.0.0.1:1/none"
        run = server.run("deadletter", "retry", "--all")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("1 of sqlite wait until a server delivers to it", run.stderr)
        server.start()
        eventually("counted without a lane", lambda:
                   'trialwire_sink_dead_letters_waiting{sink="sqlite"} 1\n'
                   in server.ask_admin("/metrics").body.decode())

    def test_without_any_there_is_nothing_to_list(self):
        server = self.server().start()
        file = server.data / "deadletters.db"
        eventually("counted", file.exists)
        run = server.run("deadletter", "list")
        self.assertEqual((run.returncode, run.stdout), (0, f"no dead letters in {file}\n"))
        server.stop()
        file.unlink()
        run = server.run("deadletter", "list")
        self.assertEqual((run.returncode, run.stdout),
                         (0, f"no dead letters yet: there is no {file}\n"))

    def test_without_a_data_directory_the_file_that_is_missing_is_named(self):
        server = self.server()
        elsewhere = self.directory / "elsewhere"
        server.settings["data_dir"] = str(elsewhere)
        run = server.run("deadletter", "list")
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn(f"no {elsewhere}/deadletters.db", run.stderr)
