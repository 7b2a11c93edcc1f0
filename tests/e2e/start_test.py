# SPDX-License-Identifier: Apache-2.0
"""What keeps the server from starting: one clear line, exit code not 0, nothing touched."""
import os
import pathlib
import shutil
import socket
import subprocess
import unittest

from harness import BINARY, ServerTest, eventually, report


class Refusals(ServerTest):
    def refused(self, server, code=1, **options):
        run = server.run("serve", **options)
        self.assertEqual(run.returncode, code, run.stderr)
        lines = run.stderr.strip().splitlines()
        self.assertEqual(len(lines), 1, run.stderr)
        self.assertEqual(run.stdout, "")
        return lines[0]

    def listener(self, reuse_port):
        other = socket.socket()
        self.addCleanup(other.close)
        if reuse_port:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        other.bind(("127.0.0.1", 0))
        other.listen()
        return "127.0.0.1:%d" % other.getsockname()[1]

    def test_a_taken_port_is_named_and_nothing_is_made(self):
        for setting in ("http.listen", "admin.listen"):
            for reuse_port in (False, True):
                with self.subTest(setting=setting, reuse_port=reuse_port):
                    address = self.listener(reuse_port)
                    server = self.server(**{setting: address})
                    line = self.refused(server)
                    self.assertEqual(line, f"trialwire: {setting} {address} is taken by another process")
                    self.assertFalse(server.data.exists())

    def test_one_address_for_both_listeners_is_refused_before_anything_is_touched(self):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            address = "127.0.0.1:%d" % free.getsockname()[1]
        log = self.directory / "server.log"
        server = self.server(**{"http.listen": address, "admin.listen": address, "log.file": log})
        self.assertEqual(self.refused(server, code=2),
                         f"trialwire: admin.listen: {address} is taken by http.listen ({address}): "
                         "give it another port")
        self.assertEqual(server.run("config", "check").returncode, 2)
        self.assertFalse(server.data.exists() or log.exists())

    def test_the_log_is_opened_once_the_rest_is_claimed(self):
        log = self.directory / "server.log"
        for log_format in ("plain", "json"):
            server = self.server(**{"http.listen": self.listener(False), "log.file": log,
                                    "log.format": log_format})
            self.assertIn("is taken by another process", self.refused(server))
            self.assertFalse(log.exists())
        server = self.server(**{"log.file": log}).start()
        self.assertEqual(server.stop(), 0)
        self.assertEqual(log.stat().st_mode & 0o777, 0o600)
        self.assertIn("ready", log.read_text())

    def test_a_log_in_a_directory_that_is_not_there_is_refused(self):
        log = self.directory / "missing/below/server.log"
        server = self.server(**{"log.file": log})
        self.assertEqual(self.refused(server), f"trialwire: log.file {log}: there is no directory "
                                               f"{log.parent}")
        self.assertFalse((self.directory / "missing").exists())

    def test_a_second_instance_on_the_directory_is_refused_and_the_first_goes_on(self):
        first = self.server().start()
        # The first one's own segment, which it pre-writes in the background.
        journal = first.data / "journal"
        eventually("the segment is pre-written", lambda: not any(journal.glob("segment-*.tmp"))
                   and any(journal.glob("segment-*.twj")))
        eventually("its databases are made", lambda: not any(first.data.glob("*.db-journal"))
                   and {path.name for path in first.data.glob("*.db-wal")}
                   == {"deadletters.db-wal", "trialwire.db-wal"})
        before = sorted(path for path in first.data.rglob("*") if path.name != "ports.json")
        ports = (first.data / "run/ports.json").read_text()
        line = self.refused(self.server())
        self.assertEqual(line, f"trialwire: data_dir {first.data} is in use by another trialwire "
                               f"(process {first.process.pid})")
        after = sorted(path for path in first.data.rglob("*") if path.name != "ports.json")
        self.assertEqual(before, after)
        self.assertEqual(ports, (first.data / "run/ports.json").read_text())
        self.assertEqual(first.post("/v1/epro/reports", report(1)).status, 200)
        self.assertEqual(first.stop(), 0)

    def test_a_file_in_place_of_the_directory_is_refused(self):
        server = self.server()
        server.data.write_text("mine")
        self.assertIn(f"data_dir {server.data} cannot be opened: Not a directory",
                      self.refused(server))
        self.assertEqual(server.data.read_text(), "mine")

    @unittest.skipUnless(os.geteuid() == 0, "wants to become another user")
    def test_a_directory_that_cannot_be_written_is_refused(self):
        nobody = 65534
        binary = self.directory / "trialwire"
        shutil.copy(BINARY, binary)
        for path in [self.directory, *self.directory.parents]:
            if not path.stat().st_mode & 0o001 and path != self.directory:
                self.skipTest(f"{path} cannot be entered by others")
        self.directory.chmod(0o755)
        data = self.directory / "data"
        data.mkdir(mode=0o755)
        for target, text in ((data, "is not writable"), (data / "below", "cannot create")):
            server = self.server(data_dir=target)
            run = subprocess.run([binary, *server.command("serve")[1:]], capture_output=True,
                                 text=True, user=nobody, group=nobody, check=False, timeout=30)
            self.assertEqual(run.returncode, 1)
            self.assertRegex(run.stderr, rf"^trialwire: .*{text}.*: Permission denied\n$")
        self.assertEqual(list(data.iterdir()), [])

    def test_a_read_only_place_is_refused(self):
        self.assertRegex(self.refused(self.server(data_dir="/proc/trialwire")), "cannot create /proc/trialwire")

    def test_settings_that_are_wrong_are_named_with_the_nearest(self):
        server = self.server(**{"jurnal.sync": "always"})
        self.assertEqual(self.refused(server, code=2),
                         "trialwire: --set: jurnal.sync: is no setting; the nearest is journal.sync")
        self.assertFalse(server.data.exists())

    def test_each_wrong_line_of_a_file_is_said(self):
        config = self.directory / "t.yaml"
        config.write_text("journal:\n  segmnet_bytes: 1MiB\n  retention: long\nhttp: {listen: '0.0.0.0:1'}\n")
        run = subprocess.run([BINARY, "config", "check", "--config", config], capture_output=True,
                             text=True, check=False, timeout=30)
        self.assertEqual(run.returncode, 2)
        lines = run.stderr.splitlines()
        self.assertEqual(lines[0], f"trialwire: {config}:2: journal.segmnet_bytes: is no setting; "
                                   "the nearest is journal.segment_bytes")
        self.assertRegex(lines[1], rf"^trialwire: {config}:3: journal.retention: must be a duration")
        self.assertEqual(len(lines), 2)

    def test_an_open_address_wants_to_be_meant(self):
        server = self.server(**{"http.listen": "0.0.0.0:0"})
        self.assertIn("allow_insecure", self.refused(server, code=2))
        server = self.server(**{"http.listen": "0.0.0.0:0", "allow_insecure": "true"}).start()
        self.assertEqual(server.stop(), 0)

    def test_a_database_of_another_journal_is_no_reason_to_stop(self):
        # The cursor is kept by journal: a restored database next to a new journal starts over.
        server = self.server().start()
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        server.stop()
        shutil.rmtree(server.data / "journal")
        server.start()
        server.post("/v1/epro/reports", report(2))
        self.assertEqual({item["reportId"] for item in server.wait_stored(2)}, {"R-1", "R-2"})


class CommandLine(unittest.TestCase):
    def run_it(self, *arguments):
        return subprocess.run([BINARY, *arguments], capture_output=True, text=True, check=False,
                              timeout=30)

    def test_every_subcommand_has_a_manual(self):
        commands = [["serve"], ["load"], ["journal"], ["config"], ["db"], ["version"],
                    *(["journal", name] for name in ("info", "verify", "cat", "repair")),
                    *(["config", name] for name in ("check", "print", "reference")),
                    *(["db", name] for name in ("migrate", "status", "reference"))]
        for command in commands:
            with self.subTest(command=command):
                run = self.run_it(*command, "--help")
                self.assertEqual(run.returncode, 0)
                self.assertIn("Example", run.stdout)
                if len(command) == 2 or command[0] in ("serve", "load", "version"):
                    self.assertIn("Exit code", run.stdout)
                    self.assertIn("--config", run.stdout)
                    self.assertIn("--set", run.stdout)

    def test_a_wrong_command_line_is_said_with_exit_code_2(self):
        for arguments in ([], ["sreve"], ["serve", "--port", "1"], ["serve", "--set"]):
            with self.subTest(arguments=arguments):
                run = self.run_it(*arguments)
                self.assertEqual(run.returncode, 2)
                self.assertNotEqual(run.stderr + run.stdout, "")

    def test_what_is_wrong_is_named(self):
        for arguments, word in ((["bogus"], "bogus is no subcommand"),
                                (["journal", "bogus"], "bogus is no subcommand"),
                                (["db", "bogus"], "bogus is no subcommand"),
                                (["db", "status", "--set", "store.url=x:y"], "store.url: must"),
                                (["load", "-n", "0"], "--count: must be at least 1"),
                                (["load", "-n", "5", "--warmup", "1s"], "--warmup needs --duration"),
                                (["config", "check", "--set", "http=x"], "http: is a section")):
            with self.subTest(arguments=arguments):
                run = self.run_it(*arguments)
                self.assertEqual(run.returncode, 2, run.stderr)
                self.assertIn(word, run.stderr)

    def test_printed_settings_are_settings(self):
        run = self.run_it("config", "print", "--set", "journal.retention=36h")
        self.assertIn("retention: 36h", run.stdout)

    def test_version_names_what_was_built(self):
        self.assertRegex(self.run_it("version").stdout, r"^trialwire \d+\.\d+\.\d+\n")


if __name__ == "__main__":
    unittest.main()
