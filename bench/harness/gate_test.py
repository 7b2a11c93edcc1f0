# SPDX-License-Identifier: Apache-2.0
"""What the performance gate answers where it cannot measure."""
import contextlib
import io
import os
import unittest
from unittest import mock

from . import machine, main


def gate(environment):
    """Exit code and output of a gate whose directory takes no O_DIRECT."""
    refusal = machine.Unsuitable("refuses O_DIRECT")
    with mock.patch.object(main, "prepare", side_effect=refusal), \
            mock.patch.dict(os.environ, environment, clear=True), \
            contextlib.redirect_stdout(io.StringIO()) as out, \
            contextlib.redirect_stderr(out):
        return main.main(["gate", "--no-build"]), out.getvalue()


class Unmeasured(unittest.TestCase):
    def test_it_passes_where_a_person_reads_it(self):
        code, out = gate({})
        self.assertEqual(code, 0)
        self.assertIn("NOT MEASURED: refuses O_DIRECT", out)

    def test_it_fails_in_ci(self):
        code, out = gate({"CI": "true"})
        self.assertEqual(code, 1)
        self.assertIn("NOT MEASURED", out)
        self.assertIn("TRIALWIRE_GATE_UNMEASURED=1", out)

    def test_it_passes_in_ci_where_that_is_known(self):
        self.assertEqual(gate({"CI": "true", "TRIALWIRE_GATE_UNMEASURED": "1"})[0], 0)
        self.assertEqual(gate({"CI": "true", "TRIALWIRE_GATE_UNMEASURED": "0"})[0], 1)


if __name__ == "__main__":
    unittest.main()
