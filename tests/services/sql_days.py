# SPDX-License-Identifier: Apache-2.0
"""Bad days of an SQL database behind a gateway, the same for PostgreSQL and MariaDB: whatever
happens, each acknowledged report is one row afterwards."""
import contextlib
import itertools
import random
import re
import shutil

from gateway_case import Background, GatewayTest  # first: it makes tests/e2e importable

import harness
import servers
from harness import eventually


class SqlDays(GatewayTest):
    """A kind of server says what it is, how a table is locked, a database copied, a user made."""

    kind = None
    sink = ""
    refused_password = ""
    numbers = itertools.count(1)

    @classmethod
    def setUpClass(cls):
        cls.server = cls.for_all(cls.kind).start()

    def setUp(self):
        super().setUp()
        self.bring_back(self.server)
        self.database = f"t{next(self.numbers)}"
        self.url = self.server.create_database(self.database)

    def sql(self, statement):
        return self.server.sql(statement, self.database)

    def to_database(self, **settings):
        return self.gateway(**{"store.url": self.url, **settings})

    def stored_ids(self):
        """Of every record of the journal: reports, and what is audited."""
        return self.sql("SELECT record_id FROM epro_reports UNION ALL "
                        "SELECT record_id FROM audit_records").split()

    def rows(self):
        with contextlib.suppress(servers.ServiceFailed):  # no table yet, or no server now
            return int(self.sql("SELECT (SELECT count(*) FROM epro_reports) + "
                                "(SELECT count(*) FROM audit_records)"))
        return 0

    def wait_rows(self, gateway, but=0):
        """As many rows as the journal has records."""
        eventually("all rows", lambda: self.rows() >= self.records(gateway) - but,
                   2 * harness.PATIENCE)

    def check_each_once(self, gateway, acknowledged=()):
        """Rows = records of the journal ⊇ receipts, each once."""
        self.wait_entered(gateway)
        self.wait_rows(gateway)
        rows = self.stored_ids()
        self.assertEqual(len(rows), len(set(rows)))
        self.assertLessEqual({receipt["recordId"] for receipt in acknowledged}, set(rows))
        self.assertEqual(gateway.stop(), 0)
        self.assertEqual(sorted(self.journal_ids(gateway)), sorted(rows))

    # Killed, cut off, silent.

    def test_kills_of_either_side_under_load_store_each_report_once(self):
        gateway = self.to_database(**{"pipeline.lanes": "2"}).start()
        gateway_dies, database_dies = (self.kill_and_start(side)
                                       for side in (gateway, self.server))

        def both_die():
            gateway.kill()
            self.server.kill()
            gateway.start()
            self.server.start()
        acknowledged = self.under_load(gateway, gateway_dies, database_dies, gateway_dies,
                                       both_die, database_dies, gateway_dies)
        self.check_each_once(gateway, acknowledged)

    def test_a_gateway_killed_again_and_again_between_any_two_steps_stores_each_report_once(self):
        # Deliveries without a pause, so that most kills hit one under way.
        gateway = self.to_database(**{"pipeline.batch_delay": "1ms",
                                      "pipeline.delivery_interval": "0s"}).start()
        randomness = random.Random(20)
        acknowledged = self.under_load(gateway, *[self.kill_and_start(gateway)] * 12,
                                       pause=lambda: randomness.uniform(0.1, 0.4))
        self.check_each_once(gateway, acknowledged)

    def test_a_gateway_killed_within_a_transaction_stores_each_report_once(self):
        gateway = self.to_database().start()
        self.send(gateway, range(3))
        self.wait_rows(gateway)
        with self.locked_table():
            self.send(gateway, range(3, 20))
            eventually("a transaction that waits", self.waiting)
            gateway.kill()
        gateway.start()
        self.check_each_once(gateway)

    def test_an_orderly_restart_of_the_database_is_ridden_out(self):
        gateway = self.to_database().start()
        acknowledged = self.under_load(gateway, self.server.restart, self.server.restart)
        self.check_each_once(gateway, acknowledged)

    def test_connections_that_are_cut_again_and_again_lose_and_double_nothing(self):
        gateway = self.to_database().start()
        with Background(self.server.cut_connections, 0.1):
            acknowledged = self.under_load(gateway, seconds=3)
        self.assertGreater(gateway.metric("trialwire_sink_retries_total", sink=self.sink), 2)
        self.check_each_once(gateway, acknowledged)

    def test_a_database_that_says_nothing_any_more_does_not_stop_intake(self):
        gateway = self.to_database().start()
        acknowledged = self.under_load(gateway, self.server.freeze, lambda: None,
                                       self.server.thaw)
        self.check_each_once(gateway, acknowledged)

    def test_a_locked_table_delays_rows_and_nothing_else(self):
        gateway = self.to_database().start()
        self.send(gateway, range(5))
        self.wait_rows(gateway)
        with self.locked_table():
            self.send(gateway, range(5, 15))
            eventually("lag", lambda: self.lag(gateway) > 0)
        self.check_each_once(gateway)

    # Refused as a whole.

    def test_a_wrong_password_is_named_and_intake_goes_on_until_it_is_right(self):
        self.make_user("visitor", "right")
        gateway = self.gateway(**{"store.url": self.server.url(
            self.database, user="visitor", password="wrong-horse")})
        self.check_refusal(gateway, self.sink, self.refused_password)
        self.check_accepts_while_away(gateway, self.sink, "stuck")
        self.set_password("visitor", "wrong-horse")
        self.wait_rows(gateway)
        self.check_each_once(gateway)

    def test_an_unknown_host_is_named_and_intake_goes_on(self):
        gateway = self.gateway(**{
            "store.url": self.url.replace("127.0.0.1", "database.invalid")})
        self.check_refusal(gateway, self.sink, "database.invalid", "(?i)host|resolve|name")
        self.check_accepts_while_away(gateway, self.sink, "retrying")

    def test_a_server_that_is_not_there_is_named(self):
        port = servers.free_port()
        gateway = self.gateway(**{
            "store.url": self.url.replace(f":{self.server.port}/", f":{port}/")})
        self.check_refusal(gateway, self.sink, f"127.0.0.1:{port}", "(?i)refused")

    def test_a_database_that_is_not_there_is_named(self):
        gateway = self.gateway(**{"store.url": self.server.url("nowhere")})
        self.check_refusal(gateway, self.sink, "nowhere", "no such database")

    def test_good_settings_pass_the_check_with_a_connection(self):
        checked = self.to_database().run("config", "check", "--connect")
        self.assertEqual(checked.returncode, 0, checked.stderr)
        self.assertIn("serve migrates it", checked.stdout)

    def test_a_newer_schema_is_refused_with_both_versions_and_intake_goes_on(self):
        gateway = self.to_database().start()
        self.send(gateway, range(3))
        self.wait_rows(gateway)
        self.assertEqual(gateway.stop(), 0)
        known = int(self.sql("SELECT max(version) FROM schema_migrations"))
        self.sql("INSERT INTO schema_migrations (version, name) VALUES (999, 'of the future')")
        self.check_refusal(gateway, self.sink, f"999 of {known}: newer than this program")
        for command in ("status", "migrate"):
            self.assertEqual(gateway.run("db", command).returncode, 1)
        gateway.start()
        self.send(gateway, range(3, 6))
        refusal = f"has schema 999, this program knows up to {known}"
        eventually("a refusal in the log", lambda: refusal in gateway.log())
        self.sql("DELETE FROM schema_migrations WHERE version = 999")
        self.check_each_once(gateway)

    # Lists.

    @staticmethod
    def queries_line(server):
        page = server.ask_admin("/readyz").body.decode()
        return next(line for line in page.splitlines() if line.startswith("queries "))

    def wait_not_ready(self, server, reason):
        """The reason as /readyz says it, with the database named; lists say 5xx meanwhile."""
        line = eventually(f"not ready: {reason}", lambda: (
            lambda line: line if re.search(reason, line) else None)(self.queries_line(server)))
        self.assertTrue(line.startswith("queries failed: "), line)
        self.assertEqual(server.ask_admin("/readyz").status, 503)
        return line

    def wait_lists(self, server, count):
        eventually("ready", lambda: server.ask_admin("/readyz").status == 200)
        answer = server.get("/v1/epro/reports")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(len(answer.json()["items"]), count)

    def test_reads_are_rows_of_the_audit_trail_each_once_and_are_listed(self):
        gateway = self.to_database().start()
        self.send(gateway, range(3))
        self.wait_rows(gateway)
        for number in range(3):
            self.assertEqual(gateway.request(
                "GET", f"/v1/epro/reports?patientId=P-{number}",
                headers={"X-Audit-Reason": "müde".encode()}).status, 200)
        self.wait_rows(gateway)
        self.assertEqual(self.sql("SELECT count(*) FROM audit_records WHERE activity = 'read' AND "
                                  "target = 'GET /v1/epro/reports' AND reason = 'müde' AND "
                                  "patient_id IN ('P-0', 'P-1', 'P-2')"), "3")
        listed = gateway.get("/v1/audit?what=read&subject=P-1").json()["items"]
        self.assertEqual([(item["target"], item["why"], item["rows"]) for item in listed],
                         [("GET /v1/epro/reports", "müde", 1)])
        self.kill_and_start(gateway)()
        self.check_each_once(gateway)

    def test_lists_are_not_ready_while_their_database_is_away(self):
        lists = self.gateway("lists", roles="api", **{"store.url": self.url}).start()
        self.wait_lists(lists, 0)  # its audit trail has made the schema
        gateway = self.to_database().start()
        self.send(gateway, range(3))
        self.wait_rows(gateway)
        self.wait_lists(lists, 3)
        self.server.kill()
        line = self.wait_not_ready(lists, "(?i)refused|can't connect")
        self.assertIn(f"127.0.0.1:{self.server.port}", line)
        self.assertEqual(lists.get("/v1/epro/reports").status, 503)
        self.server.start()
        self.wait_lists(lists, 3)
        self.server.freeze()
        self.wait_not_ready(lists, "does not answer within 2000 ms")
        self.server.thaw()
        self.wait_lists(lists, 3)
        # The rows of what was read here are of another journal than the gateway's.
        eventually("each once", lambda: self.sql(
            "SELECT count(*), count(DISTINCT record_id) FROM epro_reports").split() == ["3", "3"])
        self.assertEqual(gateway.stop(), 0)

    # Refused record by record.

    def check_dead_letter(self, gateway, number, *patterns):
        eventually("a dead letter", lambda: gateway.metric(
            "trialwire_sink_dead_letters_total", sink=self.sink) == 1)
        self.wait_rows(gateway, but=1)
        listed = gateway.run("deadletter", "list")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        for pattern in patterns:
            self.assertRegex(listed.stdout, pattern)
        self.assertNotIn(f"P-{number}", listed.stdout + gateway.log())
        found = self.sql("SELECT report_id FROM epro_reports").split()
        self.assertEqual(len(found), len(set(found)))
        self.assertNotIn(f"R-{number}", found)

    def check_comes_after_a_retry(self, gateway):
        self.assertEqual(gateway.run("deadletter", "retry", "--all").returncode, 0)
        self.check_each_once(gateway)

    def test_a_value_that_a_column_refuses_is_a_dead_letter_and_the_rest_goes_on(self):
        gateway = self.to_database().start()
        self.send(gateway, [0])
        self.wait_rows(gateway)
        self.refuse_patients_longer_than(5)
        self.send(gateway, range(1, 10))
        self.send(gateway, [1234])
        self.send(gateway, range(10, 20))
        self.check_dead_letter(gateway, 1234, self.refused_value)
        self.refuse_patients_longer_than(64)
        self.check_comes_after_a_retry(gateway)

    def test_what_a_unique_key_of_an_operators_own_refuses_is_a_dead_letter(self):
        gateway = self.to_database().start()
        self.send(gateway, [0])
        self.wait_rows(gateway)
        self.sql("CREATE UNIQUE INDEX one_a_site ON epro_reports (site_id)")
        for number, site in enumerate(("S-1", "S-2", "S-2", "S-4"), 1):
            self.send(gateway, [number], siteId=site)
        self.check_dead_letter(gateway, 3, self.refused_twice)
        self.drop_index("one_a_site")
        self.check_comes_after_a_retry(gateway)

    # Replaced by others.

    def test_a_database_restored_from_yesterday_is_filled_from_the_journal(self):
        gateway = self.to_database().start()
        self.send(gateway, range(20))
        self.wait_rows(gateway)
        self.assertEqual(gateway.stop(), 0)
        self.back_up("yesterday")
        gateway.start()
        self.send(gateway, range(20, 60))
        self.wait_rows(gateway)
        self.assertEqual(gateway.stop(), 0)
        self.restore("yesterday")
        self.assertEqual(self.rows(), 20)
        run = gateway.run("replay", "--to", "store")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(self.rows(), 60)
        run = gateway.run("replay", "--from", "1", "--to", "store")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("60 records delivered", run.stdout)
        self.assertEqual(self.rows(), 60, "none doubled")
        self.restore("yesterday")
        gateway.start()  # it does so by itself
        self.send(gateway, range(60, 65))
        self.check_each_once(gateway)

    def test_a_replay_of_many_records_fills_every_lane_of_a_restored_database(self):
        gateway = self.to_database(**{
            "pipeline.lanes": "3", "limits.body": "256KiB", "limits.inflated_body": "256KiB",
            "journal.batch_bytes": "256KiB", "journal.segment_bytes": "1MiB"}).start()
        self.send(gateway, range(-20, 0))
        self.wait_rows(gateway)
        eventually("a cursor of each lane", lambda: self.sql(
            "SELECT count(*) FROM sink_cursors WHERE next_sequence = 21") == "3")
        self.assertEqual(gateway.stop(), 0)
        self.back_up("before_many")
        gateway.start()
        acknowledged = self.under_load(gateway, seconds=3)
        self.wait_rows(gateway)
        end = self.records(gateway) + 1
        self.assertEqual(gateway.stop(), 0)
        self.restore("before_many")
        run = gateway.run("replay", "--to", "store")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn(f"{end - 21} records delivered, sequences 21 to {end - 1}", run.stdout)
        reached = [int(cursor)
                   for cursor in re.findall(r"cursor of lane \d: 21 → (\d+)", run.stdout)]
        self.assertEqual(reached, reached[:1] * 3, "up to where the journal's tail begins")
        self.assertLessEqual(reached[0], end)
        self.assertEqual(self.rows(), end - 1)
        gateway.start()
        self.send(gateway, range(-25, -20))
        self.check_each_once(gateway, acknowledged)

    def wiped(self):
        """A gateway whose data directory was lost, but for its key; twenty reports before."""
        gateway = self.to_database().start()
        self.send(gateway, range(20))
        self.wait_rows(gateway)
        self.assertEqual(gateway.stop(), 0)
        (gateway.data / "journal/identity.key").rename(self.directory / "kept.key")
        shutil.rmtree(gateway.data)
        return gateway

    def test_a_wiped_data_directory_is_another_journal_beside_yesterdays_rows(self):
        gateway = self.wiped()
        yesterday = set(self.stored_ids())
        gateway.start()
        self.send(gateway, range(20, 30))
        eventually("ten more rows", lambda: self.rows() >= 30)
        rows = self.stored_ids()
        self.assertEqual(len(rows), 30)
        self.assertLessEqual(yesterday, set(rows))
        journals = self.sql("SELECT journal_id FROM sink_cursors ORDER BY next_sequence").split()
        self.assertEqual(len(set(journals)), 2)
        shown = gateway.run("db", "status").stdout
        for journal, next_sequence in zip(journals, (11, 21)):
            self.assertRegex(shown, rf"{journal}\D+{next_sequence}\b")

    def check_one_row_a_report(self, gateway, count, ignored):
        """Retries of a report may have come to it, or to another."""
        eventually("no lag", lambda: self.rows() >= count and self.lag(gateway) == 0)
        found = self.sql("SELECT report_id FROM epro_reports").split()
        self.assertEqual(sorted(found), sorted(f"R-{number}" for number in range(count)))
        self.assertEqual(gateway.metric(f"trialwire_{self.sink}_rows_ignored_total"), ignored)

    def test_with_the_key_of_identities_kept_a_retry_adds_no_row_to_yesterdays(self):
        gateway = self.wiped()
        gateway.settings["dedupe.key_file"] = self.directory / "kept.key"
        gateway.start()
        self.send(gateway, range(30))
        self.check_one_row_a_report(gateway, 30, ignored=20)

    def test_a_retry_at_another_gateway_with_the_same_key_adds_no_row(self):
        first = self.to_database().start()
        self.send(first, range(20))
        self.wait_rows(first)
        second = self.gateway("second", **{
            "store.url": self.url, "dedupe.key_file": first.data / "journal/identity.key"}).start()
        self.send(second, range(10, 30))
        self.check_one_row_a_report(second, 30, ignored=10)

    def test_a_cursor_that_the_journal_cannot_have_given_is_refused_with_both_named(self):
        gateway = self.to_database().start()
        self.send(gateway, range(3))
        self.wait_rows(gateway)
        self.assertEqual(gateway.stop(), 0)
        yesterday = self.directory / "yesterday"
        shutil.copytree(gateway.data, yesterday)
        gateway.start()
        self.send(gateway, range(3, 40))
        self.wait_rows(gateway)
        self.assertEqual(gateway.stop(), 0)
        shutil.rmtree(gateway.data)
        yesterday.rename(gateway.data)
        refused = gateway.run("serve")
        self.assertEqual(refused.returncode, 1)
        self.assertRegex(refused.stderr, r"cursor at sequence 41 is beyond the end of journal "
                                         r"[0-9a-f-]{36}, whose next sequence is 4\b")
        self.assertEqual(self.rows(), 40)
