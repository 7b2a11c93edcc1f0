# SPDX-License-Identifier: Apache-2.0
"""`make demo-cluster`: what it starts takes reports and stores each once."""
import os
import pathlib
import subprocess
import sys
import unittest

import service_case  # first: it makes tests/e2e importable

from harness import BINARY

ROOT = pathlib.Path(__file__).resolve().parents[2]
COUNT = 2_000


class Demo(service_case.ServiceTest):
    def test_what_is_sent_to_its_gateways_is_in_its_database_once(self):
        done = subprocess.run(
            [sys.executable, ROOT / "tools/demo-cluster", "--send", str(COUNT), "--binary", BINARY],
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"}, capture_output=True, text=True,
            timeout=240, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"{COUNT} reports, each once in PostgreSQL", done.stdout)
        self.assertRegex(done.stdout, r"journal, written: [1-9]\d+ bytes a report")


if __name__ == "__main__":
    unittest.main()
