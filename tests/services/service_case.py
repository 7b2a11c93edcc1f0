# SPDX-License-Identifier: Apache-2.0
"""What tests of this folder share: servers of a test's own or those of the environment."""
import os
import pathlib
import shutil
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "e2e"))

REQUIRED = os.environ.get("TRIALWIRE_SERVICES") == "required"


def new_directory():
    # A server's own user must get there: see tests/services/run.
    base = os.environ.get("TRIALWIRE_SERVICES_DIR", "/var/tmp")
    made = pathlib.Path(tempfile.mkdtemp(prefix="test-", dir=base))
    made.chmod(0o755)
    return made


class ServiceTest(unittest.TestCase):
    def setUp(self):
        began = time.monotonic()
        self.addCleanup(lambda: print(f"{time.monotonic() - began:.1f} s", end=" ",
                                      file=sys.stderr, flush=True))
        self.directory = new_directory()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def own(self, kind, **settings):
        """A server that this test may stop, kill and starve. Not started yet."""
        number = len(list(self.directory.iterdir()))
        place = self.directory / f"{number}"
        place.mkdir()
        server = kind(place, **settings)
        self.addCleanup(server.kill)
        return server

    @classmethod
    def for_all(cls, kind, **settings):
        """A server for the tests of a class, which leave it as they found it. Not started yet."""
        place = new_directory()
        cls.addClassCleanup(shutil.rmtree, place, ignore_errors=True)
        server = kind(place, **settings)
        cls.addClassCleanup(server.kill)
        return server

    def shared(self, variable):
        """Where a server is that other tests use too; where it is required it must be there."""
        value = os.environ.get(variable)
        if value is None:
            if REQUIRED:
                self.fail(f"{variable} is not set: start this by make test-services")
            self.skipTest(f"{variable} is not set: start this by make test-services")
        return value
