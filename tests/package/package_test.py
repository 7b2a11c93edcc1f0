# SPDX-License-Identifier: Apache-2.0
"""The .deb on a system that has nothing but what the package declares."""
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
import urllib.request

from bare_system import BareSystem, names

ROOT = pathlib.Path(__file__).resolve().parents[2]
PATIENCE = 30
REPORT = {"patientId": "P-1", "trialId": "T-1", "timestamp": "2026-03-01T08:15:30Z", "qolScore": 7}


def missing():
    if os.geteuid() != 0:
        return "wants root: chroot, mount"
    for program in ("dpkg-deb", "dpkg", "chroot", "unshare", "systemd-sysusers"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    if subprocess.run(["unshare", "--mount", "--net", "true"], check=False).returncode != 0:
        return "may not make namespaces here"
    return ""


@unittest.skipIf(missing(), missing())
class Package(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.directory = pathlib.Path(tempfile.mkdtemp(prefix="package-", dir=os.environ["TRIALWIRE_BUILD"]))
        cls.addClassCleanup(shutil.rmtree, cls.directory)
        made = subprocess.run([ROOT / "tools/package", os.environ["TRIALWIRE_BUILD"],
                               cls.directory / "out"], capture_output=True, text=True, check=False)
        assert made.returncode == 0, made.stdout + made.stderr
        cls.deb = cls.directory / "out" / pathlib.Path(made.stdout.strip()).name
        cls.depends = subprocess.run(["dpkg-deb", "-f", cls.deb, "Depends"], capture_output=True,
                                     text=True, check=True).stdout.strip()
        (cls.directory / "system").mkdir()
        cls.system = BareSystem(cls.directory / "system", cls.depends)
        cls.installed = cls.system.dpkg("--install", str(cls.deb))

    def test_1_it_installs_without_a_network_and_every_library_is_there(self):
        self.assertEqual(self.installed.returncode, 0, self.installed.stdout + self.installed.stderr)
        version = self.system.run("/usr/bin/trialwire", "version")
        self.assertEqual(version.returncode, 0, version.stderr)
        self.assertRegex(version.stdout, r"^trialwire \d")
        loaded = self.system.run("/lib64/ld-linux-x86-64.so.2", "--list", "/usr/bin/trialwire")
        self.assertNotIn("not found", loaded.stdout)
        self.assertRegex(loaded.stdout, r"libcurl\.so\.4 => /usr/(bin/\.\./)?lib/trialwire/")
        manual = list((self.system.root / "usr/share/man/man1").glob("trialwire.1.gz"))
        self.assertEqual(len(manual), 1)

    def test_2_what_it_loads_is_its_own_or_of_a_package_that_it_declares(self):
        declared = {name for group in names(self.depends) for name in group}
        loaded = self.system.run("/lib64/ld-linux-x86-64.so.2", "--list", "/usr/bin/trialwire").stdout
        self.assertNotIn("not found", loaded)
        libraries = re.findall(r"=> (\S+) \(", loaded)
        self.assertGreater(len(libraries), 20)
        others = [path for path in libraries if "/lib/trialwire/" not in path]
        self.assertTrue(others)
        for path in others:
            inside = self.system.root / path.lstrip("/")
            real = "/" + str(inside.resolve().relative_to(self.system.root.resolve()))
            owner = subprocess.run(["dpkg", f"--root={self.system.root}", "-S", path, real],
                                   capture_output=True, text=True, check=False).stdout
            self.assertTrue(owner, path)
            self.assertIn(owner.split(":")[0], declared, path)

    def test_3_it_serves_as_its_account_and_stops(self):
        account = self.system.run("id", "-u", "trialwire")
        self.assertEqual(account.returncode, 0, account.stderr)
        configuration = self.system.root / "etc/trialwire/trialwire.yaml"
        self.assertEqual(configuration.stat().st_mode & 0o777, 0o640)
        state = self.system.root / "var/lib/trialwire"  # as systemd makes it
        state.mkdir(mode=0o700, exist_ok=True)
        os.chown(state, int(account.stdout), -1)
        command = ("/usr/bin/trialwire", "serve", "--config", "/etc/trialwire/trialwire.yaml",
                   "--set", "http.listen=127.0.0.1:0", "--set", "admin.listen=127.0.0.1:0",
                   "--set", "journal.segment_bytes=32MiB")
        with open(self.directory / "log", "wb") as log:
            server = self.system.start(*command, user=account.stdout.strip(), stdout=log, stderr=log)
        try:
            ports = state / "data/run/ports.json"
            end = time.monotonic() + PATIENCE
            while not ports.exists() and server.poll() is None and time.monotonic() < end:
                time.sleep(0.05)
            self.assertTrue(ports.exists(), (self.directory / "log").read_text()[-2000:])
            address = json.loads(ports.read_text())["http"]
            request = urllib.request.Request(f"http://{address}/v1/epro/reports",
                                             json.dumps(REPORT).encode(),
                                             {"Content-Type": "application/json"})
            with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
                self.assertEqual(answer.status, 200)
            server.send_signal(signal.SIGTERM)
            self.assertEqual(server.wait(PATIENCE), 0)
        finally:
            if server.poll() is None:
                server.kill()
                server.wait()

    def test_4_it_goes_and_the_records_stay(self):
        purged = self.system.dpkg("--purge", "trialwire")
        self.assertEqual(purged.returncode, 0, purged.stdout + purged.stderr)
        self.assertFalse((self.system.root / "usr/bin/trialwire").exists())
        self.assertFalse((self.system.root / "usr/lib/trialwire").exists())
        self.assertFalse((self.system.root / "etc/trialwire/trialwire.yaml").exists())
        self.assertTrue(list((self.system.root / "var/lib/trialwire/data/journal").glob("segment-*")))
        self.assertIn("keeps the journal", purged.stdout + purged.stderr)


if __name__ == "__main__":
    unittest.main()
