# SPDX-License-Identifier: Apache-2.0
"""The records of a real trial, taken in and stored in SQLite; tests/services does it with others."""
import contextlib
import sqlite3
import unittest

import trial
from harness import ServerTest, eventually


@unittest.skipIf(trial.WHY_SKIPPED, trial.WHY_SKIPPED)
class Trial(ServerTest):
    def test_every_record_with_a_value_is_stored_and_converted(self):
        server = self.server().start()
        trial.check_intake(self, server)
        eventually("no lag", lambda: server.metric("trialwire_sink_lag_records") == 0)
        with contextlib.closing(sqlite3.connect(server.data / "trialwire.db")) as database:
            def sql(statement):
                return "\n".join("\t".join(map(str, row)) for row in database.execute(statement))
            trial.check_database(self, sql)
            trial.check_intake(self, server)  # all of them again: the same receipts, no new rows
            eventually("no lag", lambda: server.metric("trialwire_sink_lag_records") == 0)
            trial.check_database(self, sql)
