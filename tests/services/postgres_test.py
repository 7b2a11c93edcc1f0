# SPDX-License-Identifier: Apache-2.0
"""PostgreSQL behind the gateway on bad days: sql_days.py, and what only PostgreSQL has."""
import contextlib
import os
import pathlib
import subprocess
import sys
import unittest

from sql_days import SqlDays  # first: it makes tests/e2e importable

import servers
from harness import eventually
from service_case import REQUIRED

FAKETIME = pathlib.Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


class PostgresDays(SqlDays):
    kind = servers.Postgres
    sink = "postgres"
    refused_password = r"invalid_password \(SQLSTATE 28P01\)"
    refused_value = "check_violation.*table epro_reports, constraint short"
    refused_twice = "a unique key of table epro_reports besides record_id and identity"

    def make_user(self, name, password):
        self.sql(f"CREATE ROLE {name} LOGIN SUPERUSER PASSWORD '{password}'")

    def set_password(self, name, password):
        self.sql(f"ALTER ROLE {name} PASSWORD '{password}'")

    def back_up(self, name):
        self.server.sql(f"CREATE DATABASE {name} TEMPLATE {self.database}", "postgres")

    def restore(self, name):
        self.server.sql(f"DROP DATABASE {self.database} WITH (FORCE)", "postgres")
        self.server.sql(f"CREATE DATABASE {self.database} TEMPLATE {name}", "postgres")

    @contextlib.contextmanager
    def locked_table(self):
        client = subprocess.Popen([servers.POSTGRES_PROGRAMS / "psql", "-X", "-q", "-d", self.url],
                                  stdin=subprocess.PIPE, text=True)
        client.stdin.write("BEGIN; LOCK TABLE epro_reports IN ACCESS EXCLUSIVE MODE;\n")
        client.stdin.flush()
        eventually("the lock", lambda: self.sql(
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted "
            "AND relation = 'epro_reports'::regclass") != "0")
        try:
            yield
        finally:
            client.stdin.close()
            client.wait()

    def waiting(self):
        return self.sql("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0"

    def drop_index(self, name):
        self.sql(f"DROP INDEX {name}")

    def refuse_patients_longer_than(self, characters):
        self.sql("ALTER TABLE epro_reports DROP CONSTRAINT IF EXISTS short; ALTER TABLE epro_reports "
                 f"ADD CONSTRAINT short CHECK (length(patient_id) <= {characters})")

    def test_a_statement_that_takes_too_long_is_retried_until_it_does_not(self):
        gateway = self.to_database(**{"store.statement_timeout": "1s"}).start()
        self.send(gateway, range(3))
        self.wait_rows(gateway)
        with self.locked_table():
            self.send(gateway, range(3, 9))
            self.wait_retries(gateway, self.sink, 2)
            self.assertIn("57014", gateway.log())
            self.assertNotIn("55P03", gateway.log())
        self.check_each_once(gateway)

    def test_a_lock_timeout_is_retried_until_it_is_lifted(self):
        gateway = self.to_database().start()
        self.send(gateway, range(3))
        self.wait_rows(gateway)
        with self.locked_table():
            self.server.sql("ALTER SYSTEM SET lock_timeout = '50ms'", "postgres")
            self.addCleanup(self.server.sql, "SELECT pg_reload_conf()", "postgres")
            self.addCleanup(self.server.sql, "ALTER SYSTEM RESET lock_timeout", "postgres")
            self.server.sql("SELECT pg_reload_conf()", "postgres")
            self.send(gateway, range(3, 9))
            self.wait_retries(gateway, self.sink, 3)
            self.assertIn("55P03", gateway.log())
        self.check_each_once(gateway)

    @unittest.skipUnless(FAKETIME.exists() or REQUIRED, f"{FAKETIME} is not installed")
    def test_a_clock_that_is_set_back_while_it_runs_changes_neither_order_nor_cursor(self):
        clock = self.directory / "clock"
        clock.write_text("+0")
        environment = {**os.environ, "LD_PRELOAD": str(FAKETIME), "FAKETIME_NO_CACHE": "1",
                       "FAKETIME_TIMESTAMP_FILE": str(clock), "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        gateway = self.to_database().start(env=environment)
        self.send(gateway, range(5))
        self.wait_rows(gateway)
        clock.write_text("-1d")
        self.send(gateway, range(5, 10))
        gateway.kill()
        gateway.start(env=environment)
        self.send(gateway, range(10, 15))
        self.wait_rows(gateway)
        rows = [line.split("\t") for line in self.sql(
            "SELECT sequence, report_id, received_at FROM epro_reports ORDER BY id").splitlines()]
        self.assertEqual([(int(row[0]), row[1]) for row in rows],
                         [(number + 1, f"R-{number}") for number in range(15)])
        self.assertLess(rows[5][2], rows[4][2], "the clock was set back")
        self.assertEqual(self.sql("SELECT next_sequence FROM sink_cursors"), "16")
        listed = [item["sequence"] for item in gateway.items()]
        self.assertEqual(sorted(listed), list(range(1, 16)))
        self.check_each_once(gateway)

    @contextlib.contextmanager
    def full_disk(self, gateway):
        """Under the table of reports, until the block ends."""
        place = self.directory / "small"
        place.mkdir()
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", place],
                                 capture_output=True, text=True, check=False)
        if mounted.returncode != 0:
            print("(no file system can be mounted: a trigger says what a full disk would)",
                  file=sys.stderr)
            self.sql("CREATE FUNCTION full_disk() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                     "RAISE EXCEPTION 'full' USING ERRCODE = '53100'; END $$; CREATE TRIGGER full "
                     "BEFORE INSERT ON epro_reports FOR EACH ROW EXECUTE FUNCTION full_disk()")
            yield
            self.sql("DROP TRIGGER full ON epro_reports")
            return
        self.addCleanup(subprocess.run, ["umount", "-l", place], check=False)
        inside = place / "rows"
        inside.mkdir()
        if self.server.as_user:
            os.chown(inside, self.server.as_user["user"], self.server.as_user["group"])
        self.server.sql(f"CREATE TABLESPACE small LOCATION '{inside}'", "postgres")
        self.addCleanup(self.server.sql, "DROP TABLESPACE small", "postgres")
        self.addCleanup(self.server.sql, f"DROP DATABASE {self.database} WITH (FORCE)", "postgres")
        self.addCleanup(gateway.kill)
        self.sql("ALTER TABLE epro_reports SET TABLESPACE small")
        yield
        subprocess.run(["mount", "-o", "remount,size=512m", place], check=True)

    def test_a_full_disk_is_waited_out(self):
        gateway = self.to_database().start()
        self.send(gateway, range(3))
        self.wait_rows(gateway)
        with self.full_disk(gateway):
            acknowledged = self.under_load(gateway, seconds=4)
            self.wait_retries(gateway, self.sink)
            self.assertIn("disk_full (SQLSTATE 53100)", gateway.log())
            self.assertGreater(self.lag(gateway), 0)
        self.check_each_once(gateway, acknowledged)


del SqlDays  # else it is a test here too

if __name__ == "__main__":
    unittest.main()
