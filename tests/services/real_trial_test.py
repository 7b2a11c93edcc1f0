# SPDX-License-Identifier: Apache-2.0
"""The records of a real trial in PostgreSQL and in MariaDB; tests/e2e does it with SQLite."""
import unittest

from gateway_case import GatewayTest  # first: it makes tests/e2e importable

import servers
import trial
from harness import eventually


@unittest.skipIf(trial.WHY_SKIPPED, trial.WHY_SKIPPED)
class RealTrial(GatewayTest):
    def check_database(self, kind):
        database = self.own(kind).start()
        gateway = self.gateway(**{"store.url": database.url()}).start()
        for _ in range(2):  # all of them again: the same receipts, no new rows
            trial.check_intake(self, gateway)
            self.assertEqual(self.records(gateway), trial.ANSWERS + trial.VITALS)
            eventually("all rows", lambda: int(database.sql(
                "SELECT (SELECT count(*) FROM qol_answers) + (SELECT count(*) FROM vital_signs)"))
                == trial.ANSWERS + trial.VITALS)
            trial.check_database(self, database.sql)
        self.assertEqual(gateway.stop(), 0)

    def test_postgresql_holds_what_the_files_say(self):
        self.check_database(servers.Postgres)

    def test_mariadb_holds_what_the_files_say(self):
        self.check_database(servers.MariaDB)


if __name__ == "__main__":
    unittest.main()
