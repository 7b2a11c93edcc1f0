# SPDX-License-Identifier: Apache-2.0
"""With the database away the journal takes reports up to a mark, then says so, and goes on by
itself; what waits drains in constant memory. What an operator sees of it."""
import contextlib
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import sqlite3
import subprocess

from harness import BINARY, ServerTest, eventually, report

SMALL_JOURNAL = {"limits.body": "256KiB", "limits.inflated_body": "512KiB",
                 "journal.batch_bytes": "256KiB", "journal.segment_bytes": "1MiB",
                 "journal.retention": "0s", "dedupe.window": "0s"}


class Outage(ServerTest):
    @contextlib.contextmanager
    def locked_database(self, server):
        other = sqlite3.connect(server.data / "trialwire.db", isolation_level=None, timeout=10)
        other.execute("BEGIN EXCLUSIVE")
        try:
            yield
        finally:
            other.execute("ROLLBACK")
            other.close()

    def send(self, server, first, count=14, size=4000):
        lines = [json.dumps(report(first + n, comments="x" * size)) for n in range(count)]
        return server.post("/v1/epro/reports", "\n".join(lines), "application/x-ndjson")

    def test_intake_ends_at_the_high_mark_and_comes_back_at_the_low_one(self):
        server = self.server(**SMALL_JOURNAL, **{"journal.max_bytes": "16MiB",
                                                 "journal.undelivered_high": "50%",
                                                 "journal.undelivered_low": "20%",
                                                 "pipeline.batch_bytes": "64KiB",
                                                 "pipeline.batch_records_lagging": "512"}).start()
        server.post("/v1/epro/reports", report(0))
        server.wait_stored(1)
        sent = 1
        with self.locked_database(server):
            for _ in range(1_000):
                answer = self.send(server, sent)
                if answer.status != 200:
                    break
                sent += 14
            self.assertEqual(answer.status, 503)
            self.assertGreaterEqual(int(answer.headers["Retry-After"]), 1)
            self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
            undelivered = server.metric("trialwire_journal_undelivered_bytes")
            self.assertGreaterEqual(undelivered, 8 << 20)
            self.assertLess(undelivered, 9 << 20)
            self.assertEqual(server.metric("trialwire_journal_undelivered_full"), 1)
            self.assertEqual(self.send(server, sent).status, 503)
            self.assertEqual(server.ask_admin("/readyz").status, 503)
            self.assertIn("refuses", server.run("status", "--interval", "0.1").stdout)
        eventually("accepted again", lambda: self.send(server, sent).status == 200)
        self.assertLessEqual(server.metric("trialwire_journal_undelivered_bytes"), 5 << 20)
        sent += 14
        self.assertEqual(len(server.wait_stored(sent)), sent)
        self.assertIn("too much is undelivered", server.log())
        self.assertIn("reports are accepted again", server.log())

    def memory(self, server, field):
        status = pathlib.Path(f"/proc/{server.process.pid}/status").read_text()
        return int(re.search(rf"{field}:\s+(\d+) kB", status)[1]) << 10

    def test_a_backlog_of_ten_times_the_memory_drains_in_constant_memory(self):
        server = self.server(**SMALL_JOURNAL, **{"journal.max_bytes": "256MiB",
                                                 "journal.recent_bytes": "2MiB",
                                                 "pipeline.batch_bytes": "2MiB"}).start()
        server.post("/v1/epro/reports", report(0))
        server.wait_stored(1)
        sent = 1
        with self.locked_database(server):
            while server.metric("trialwire_journal_undelivered_bytes") < 40 << 20:
                self.assertEqual(self.send(server, sent, count=50).status, 200)
                sent += 50
            before = self.memory(server, "VmRSS")
            with open(f"/proc/{server.process.pid}/clear_refs", "w", encoding="ascii") as peak:
                peak.write("5")
        eventually("no lag", lambda: server.metric("trialwire_sink_lag_records") == 0, 60)
        grown = self.memory(server, "VmHWM") - before
        # The writer's page cache of 8 MiB, one batch of 2 MiB, and what it is made into.
        if "TRIALWIRE_SLOWDOWN" not in os.environ:  # AddressSanitizer keeps what was freed
            self.assertLess(grown, 24 << 20)
        self.assertEqual(server.metric("trialwire_sink_delivered_records_total"), sent)


class OtherTimes(ServerTest):
    """The data directory is of yesterday, the database of today, and it answers later."""

    def reports(self, server, numbers):
        for number in numbers:
            self.assertEqual(server.post("/v1/epro/reports", report(number)).status, 200)

    def rows(self, place):
        with contextlib.closing(sqlite3.connect(place / "reports.db")) as database:
            return database.execute("SELECT count(*) FROM epro_reports").fetchone()[0]

    def test_what_is_acknowledged_meanwhile_is_refused_by_name_and_a_replay_brings_it(self):
        place, away, older = (self.directory / name for name in ("place", "away", "older"))
        place.mkdir()
        server = self.server(**{"store.url": f"sqlite:{place}/reports.db"}).start()
        self.reports(server, range(20))
        server.wait_stored(20)
        self.assertEqual(server.stop(), 0)
        shutil.copytree(server.data, older)
        server.start()
        self.reports(server, range(20, 60))
        server.wait_stored(60)
        self.assertEqual(server.stop(), 0)

        shutil.rmtree(server.data)
        older.rename(server.data)
        place.rename(away)
        server.start()
        self.reports(server, range(100, 160))  # the journal is behind the cursor again: 81, 61
        away.rename(place)
        eventually("refused", lambda: "it is at sequence 61" in server.log())
        self.assertEqual(server.metric("trialwire_sink_state", state="stuck"), 1)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.rows(place), 60)

        server.start(wait=False)
        self.assertNotEqual(server.wait(), 0)
        self.assertIn("no more than what is before 21", server.log())
        run = server.run("replay", "--to", "store")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("from sequence 21", run.stdout)
        self.assertEqual(self.rows(place), 120)
        server.start()
        self.reports(server, range(160, 165))
        server.wait_stored(125)


class Status(ServerTest):
    def test_the_page_shows_intake_journal_and_each_lane(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(0))
        server.wait_stored(1)
        run = server.run("status", "--interval", "0.1")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertRegex(run.stdout, r"(?m)^intake +[\d,]+ records/s")
        self.assertRegex(run.stdout, r"(?m)^journal +accepts, next sequence 2,")
        self.assertRegex(run.stdout, r"(?m)^sqlite +0  running +0 ")
        self.assertNotIn("\x1b", run.stdout)
        other = server.run("status", "--admin", server.admin, "--interval", "0.1")
        self.assertEqual(other.returncode, 0, other.stderr)

    def watched(self, server, until):
        """What a terminal shows of `status --watch` until `until` says enough; then Ctrl-C."""
        terminal, its_end = pty.openpty()
        process = subprocess.Popen(server.command("status", "--watch", "--interval", "0.1"),
                                   stdout=its_end, stderr=subprocess.PIPE)
        os.close(its_end)
        shown = b""
        try:
            while not until(shown):
                self.assertTrue(select.select([terminal], [], [], 30)[0], shown)
                shown += os.read(terminal, 65536)
            process.send_signal(signal.SIGINT)
            with contextlib.suppress(OSError):  # EIO: its end is closed
                while more := os.read(terminal, 65536):
                    shown += more
            self.assertEqual(process.wait(30), 0, process.stderr.read())
        finally:
            process.kill()
            process.wait()
            process.stderr.close()
            os.close(terminal)
        return shown.decode()

    def test_watched_it_is_drawn_anew_over_itself_and_waits_for_a_server_that_is_gone(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(0))
        shown = self.watched(server, lambda text: text.count(b"journal") >= 3)
        self.assertIn("next sequence 2", shown)
        pages = shown.split("\x1b[H")[1:]
        self.assertGreaterEqual(len(pages), 3)
        self.assertIn("Ctrl-C ends", pages[0])
        self.assertTrue(shown.startswith("\x1b[?25l") and shown.endswith("\x1b[?25h"), "the cursor")
        admin = server.admin
        server.stop()
        run = subprocess.Popen([BINARY, "status", "--watch", "--admin", admin, "--interval", "0.1"],
                               stdout=subprocess.PIPE, text=True)
        self.assertIn(admin, run.stdout.readline())
        run.send_signal(signal.SIGTERM)
        self.assertIn("asked again", run.stdout.read())
        self.assertEqual(run.wait(30), 0)
        run.stdout.close()

    def test_an_address_that_cannot_be_one_is_refused(self):
        for address, why in (("127.0.0.1:99999", "99999 is no port: 1 to 65535"),
                             ("127.0.0.1:0", "0 is no port"), ("127.0.0.1:http", "http is no port"),
                             ("127.0.0.1", "is not HOST:PORT")):
            run = self.server().run("status", "--admin", address)
            self.assertEqual(run.returncode, 2, run.stdout)
            self.assertIn(why, run.stderr)

    def test_without_a_server_it_says_so(self):
        server = self.server()
        run = server.run("status")
        self.assertEqual(run.returncode, 1)
        self.assertIn("no server", run.stderr)
        run = server.run("status", "--admin", "127.0.0.1:1")
        self.assertEqual(run.returncode, 1)
        self.assertIn("127.0.0.1:1", run.stderr)
