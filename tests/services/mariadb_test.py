# SPDX-License-Identifier: Apache-2.0
"""MariaDB behind the gateway on bad days: sql_days.py, and what only MariaDB has."""
import contextlib
import subprocess
import unittest

from sql_days import SqlDays  # first: it makes tests/e2e importable

import servers


class MariaDbDays(SqlDays):
    kind = servers.MariaDB
    sink = "mysql"
    refused_password = r"wrong user or password \(error 1045"
    refused_value = "a value breaks a check of the table: constraint short.*4025"
    refused_twice = "a unique key exists already: key one_a_site.*1062"

    def make_user(self, name, password):
        self.sql(f"CREATE USER '{name}'@'%' IDENTIFIED BY '{password}'; "
                 f"GRANT ALL PRIVILEGES ON *.* TO '{name}'@'%'")

    def set_password(self, name, password):
        self.sql(f"ALTER USER '{name}'@'%' IDENTIFIED BY '{password}'")

    def copy(self, source, target):
        """All tables with their rows."""
        self.server.sql(f"DROP DATABASE IF EXISTS {target}; CREATE DATABASE {target}")
        for table in self.server.sql("SHOW TABLES", source).split():
            self.server.sql(f"CREATE TABLE {target}.{table} LIKE {source}.{table};"
                            f"INSERT INTO {target}.{table} SELECT * FROM {source}.{table}")

    def back_up(self, name):
        self.copy(self.database, name)

    def restore(self, name):
        self.copy(name, self.database)

    @contextlib.contextmanager
    def locked_table(self):
        client = subprocess.Popen([*self.server.client(self.database), "--unbuffered"],
                                  stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        client.stdin.write("LOCK TABLES epro_reports WRITE; SELECT 'locked';\n")
        client.stdin.flush()
        self.assertEqual(client.stdout.readline(), "locked\n")
        try:
            yield
        finally:
            client.stdin.close()
            client.wait()
            client.stdout.close()

    def waiting(self):
        return self.sql("SELECT count(*) FROM information_schema.processlist "
                        "WHERE state LIKE 'Waiting for table%'") != "0"

    def drop_index(self, name):
        self.sql(f"DROP INDEX {name} ON epro_reports")

    def refuse_patients_longer_than(self, characters):
        self.sql("ALTER TABLE epro_reports DROP CONSTRAINT IF EXISTS short; ALTER TABLE epro_reports "
                 f"ADD CONSTRAINT short CHECK (char_length(patient_id) <= {characters})")

    def test_a_statement_timeout_is_retried_until_it_is_lifted(self):
        gateway = self.to_database().start()
        self.send(gateway, range(3))
        self.wait_rows(gateway)
        self.server.sql("SET GLOBAL max_statement_time = 0.05; SET GLOBAL lock_wait_timeout = 1")
        self.addCleanup(self.server.sql, "SET GLOBAL max_statement_time = 0; "
                                         "SET GLOBAL lock_wait_timeout = 86400")
        self.server.cut_connections()  # new ones have it
        with self.locked_table():
            self.send(gateway, range(3, 9))
            self.wait_retries(gateway, self.sink, 4)
            self.assertRegex(gateway.log(), "error (1969|1205)")
        self.check_each_once(gateway)

    def test_a_migration_that_was_cut_off_is_finished_over_the_data_in_place(self):
        gateway = self.to_database().start()
        self.send(gateway, range(5))
        self.wait_rows(gateway)
        self.assertEqual(gateway.stop(), 0)
        self.sql("DROP TABLE trial_metrics; DELETE FROM schema_migrations")  # DDL has no rollback
        self.assertEqual(gateway.run("db", "status").returncode, 1)
        gateway.start()
        self.send(gateway, range(5, 10))
        self.check_each_once(gateway)
        self.assertEqual(self.sql("SELECT count(*) FROM trial_metrics"), "0")

    def test_a_full_tablespace_is_waited_out(self):
        small = "ibdata1:12M:autoextend:max:20M"
        server = self.own(servers.MariaDB, **{"innodb-file-per-table": "0",
                                              "innodb-data-file-path": small}).start()
        self.server, self.url, self.database = server, server.url(), servers.DATABASE
        gateway = self.to_database().start()
        acknowledged = self.under_load(gateway, seconds=8)
        self.wait_retries(gateway, self.sink)
        self.assertIn("the table is full (error 1114", gateway.log())
        server.settings["innodb-data-file-path"] = "ibdata1:12M:autoextend:max:2G"
        server.restart()
        self.check_each_once(gateway, acknowledged)


del SqlDays  # else it is a test here too

if __name__ == "__main__":
    unittest.main()
