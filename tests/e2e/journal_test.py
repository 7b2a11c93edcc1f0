# SPDX-License-Identifier: Apache-2.0
"""`trialwire journal` on what a real server left behind, whole and damaged."""
import json
import os
import shutil
import sqlite3
import subprocess
import unittest

from harness import BINARY, ServerTest, eventually, report

BLOCK = 4096


class Journal(ServerTest):
    def filled(self, count):
        """A stopped server whose journal holds so many reports, each in a batch of its own."""
        server = self.server().start()
        self.receipts = [server.post("/v1/epro/reports", report(n)).json()["receipt"]
                         for n in range(count)]
        server.wait_stored(count)
        self.assertEqual(server.stop(), 0)
        return server

    def segment(self, server):
        return sorted((server.data / "journal").glob("segment-*.twj"))[0]

    def flip(self, path, offset):
        with open(path, "r+b") as file:
            file.seek(offset)
            byte = file.read(1)[0]
            file.seek(offset)
            file.write(bytes([byte ^ 1]))

    def test_info_tells_people_and_programs_what_is_there(self):
        server = self.filled(5)
        text = server.run("journal", "info")
        self.assertEqual(text.returncode, 0, text.stderr)
        self.assertIn("sequences  1 to 5, next 6", text.stdout)
        page = json.loads(server.run("journal", "info", "--json").stdout)
        self.assertEqual(page["records"], 5)
        self.assertEqual(page["nextSequence"], 6)
        self.assertTrue(page["startable"])

    def test_verify_is_content_with_what_was_written(self):
        server = self.filled(5)
        run = server.run("journal", "verify")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("5 records", run.stdout)
        self.assertTrue(json.loads(server.run("journal", "verify", "--json").stdout)["ok"])

    def test_cat_prints_metadata_and_bodies_only_when_asked(self):
        server = self.filled(5)
        lines = [json.loads(line) for line in server.run("journal", "cat").stdout.splitlines()]
        self.assertEqual([line["recordId"] for line in lines],
                         [receipt["recordId"] for receipt in self.receipts])
        self.assertEqual([line["sequence"] for line in lines], [1, 2, 3, 4, 5])
        self.assertNotIn("patientId", server.run("journal", "cat").stdout)
        bodies = server.run("journal", "cat", "--bodies", "--from", "2", "--to", "3").stdout
        self.assertEqual([json.loads(json.loads(line)["body"]) for line in bodies.splitlines()],
                         [report(1), report(2)])

    def test_a_running_server_keeps_the_commands_out(self):
        server = self.server().start()
        for action in ("info", "verify", "cat", "repair"):
            run = server.run("journal", action)
            self.assertEqual(run.returncode, 1, action)
            self.assertEqual(len(run.stderr.strip().splitlines()), 1, run.stderr)
            self.assertIn("stop the server first", run.stderr)

    @unittest.skipUnless(os.geteuid() == 0, "wants to become another user")
    def test_a_copy_that_cannot_be_written_is_verified_by_anyone(self):
        server = self.filled(5)
        for path in [self.directory, *self.directory.parents]:
            if not path.stat().st_mode & 0o001 and path != self.directory:
                self.skipTest(f"{path} cannot be entered by others")
        binary = self.directory / "trialwire"
        shutil.copy(BINARY, binary)
        self.directory.chmod(0o755)
        nobody = 65534
        for with_lock in (True, False):
            with self.subTest(with_lock=with_lock):
                copy = self.directory / f"copy-{with_lock}"
                shutil.copytree(server.data, copy)
                if not with_lock:
                    (copy / "journal/lock").unlink()
                for path in [copy, *copy.rglob("*")]:
                    path.chmod(0o555 if path.is_dir() else 0o444)
                before = sorted(copy.rglob("*"))
                for action in ("verify", "info", "cat"):
                    run = subprocess.run([binary, "journal", action, "--set", f"data_dir={copy}"],
                                         capture_output=True, text=True, check=False, timeout=30,
                                         user=nobody, group=nobody)
                    self.assertEqual(run.returncode, 0, action + run.stdout + run.stderr)
                self.assertEqual(before, sorted(copy.rglob("*")))

    def test_cat_says_why_a_range_is_not_there(self):
        server = self.filled(3)
        run = server.run("journal", "cat", "--from", "3", "--to", "2")
        self.assertEqual((run.returncode, run.stdout), (2, ""))
        self.assertEqual(run.stderr, "trialwire: --to 2 is before --from 3\n")
        run = server.run("journal", "cat", "--from", "4")
        self.assertEqual((run.returncode, run.stdout), (1, ""))
        self.assertIn("the next is 4", run.stderr)

    def test_a_journal_that_is_not_there_is_said(self):
        server = self.server()
        for action in ("info", "verify", "cat", "repair"):
            run = server.run("journal", action)
            self.assertEqual(run.returncode, 1, action)
            self.assertIn(str(server.data / "journal"), run.stderr)

    def test_a_flipped_bit_is_named_refused_and_repaired(self):
        server = self.filled(20)
        segment = self.segment(server)
        offset = BLOCK * 8 + 700
        self.flip(segment, offset)
        verify = server.run("journal", "verify")
        self.assertEqual(verify.returncode, 1)
        self.assertIn(segment.name, verify.stdout)
        self.assertIn("problem", verify.stdout)
        before = segment.read_bytes()
        start = server.run("serve")
        self.assertEqual(start.returncode, 1, start.stderr)
        self.assertIn(segment.name, start.stderr.splitlines()[-1])
        self.assertEqual(segment.read_bytes(), before)
        self.assertEqual(server.run("journal", "repair").returncode, 1)
        self.assertEqual(segment.read_bytes(), before)
        repair = server.run("journal", "repair", "--apply")
        self.assertEqual(repair.returncode, 0, repair.stdout + repair.stderr)
        self.assertIn("lost", repair.stdout)
        server.start()
        answer = server.post("/v1/epro/reports", report(100))
        self.assertEqual(answer.status, 200)
        self.assertEqual(len(server.wait_stored(21)), 21)  # the lost one was stored before

    def test_a_gap_at_the_journals_end_is_passed_said_and_counted(self):
        server = self.filled(5)
        repair = server.run("journal", "repair", "--apply", "--resume-at", "1000")
        self.assertEqual(repair.returncode, 0, repair.stdout + repair.stderr)
        for entry in (server.data / "audit/spool").glob("*.json"):
            entry.unlink()  # that there was a repair would be behind the gap
        for _ in range(2):  # with nothing behind the gap
            server.start()
            eventually("the sink behind the gap",
                       lambda: server.metric("trialwire_sink_lag_records") == 0)
            self.assertEqual(server.stop(), 0)
        server.start()
        self.assertEqual(server.metric("trialwire_journal_recovery_total", case="repaired_gap"), 1)
        receipt = server.post("/v1/epro/reports", report(100)).json()["receipt"]
        self.assertEqual(receipt["sequence"], 1000)
        self.assertEqual(len(server.wait_stored(6)), 6)
        self.assertEqual(server.stop(), 0)
        self.assertIn("sequences 6 to 999 were lost", server.log())
        self.assertRegex(server.log(), "declared lost.*missing_from=6.*missing_to=999")

    def tree(self, server):
        """Every file of the data directory with its time and size, but the lock's."""
        return {path: (path.stat().st_mtime_ns, path.stat().st_size)
                for path in server.data.rglob("*") if path.is_file() and path.name != "lock"}

    def test_a_torn_tail_that_the_database_has_is_refused_and_one_that_it_lacks_is_kept(self):
        server = self.server().start()
        for n in range(5):  # longer than a sector
            self.assertEqual(server.post("/v1/epro/reports", report(n, comments="x" * 1000)).status,
                             200)
        server.wait_stored(5)
        self.assertEqual(server.stop(), 0)
        segment = self.segment(server)
        whole = segment.read_bytes()
        last = max(at for at in range(0, len(whole), BLOCK) if whole[at:at + 4] == b"\x89TWJ")
        if whole[last + 40:last + 44] == bytes(4):  # the batch that gives the last one a successor
            whole = whole[:last] + bytes(BLOCK) + whole[last + BLOCK:]
            last -= BLOCK
        torn = whole[:last + 512] + bytes(BLOCK - 512) + whole[last + BLOCK:]
        segment.write_bytes(torn)
        before = self.tree(server)
        for action in ("info", "verify", "repair"):
            run = server.run("journal", action)
            self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
            self.assertIn(f"{segment.name}: offset {last}", run.stdout)
            self.assertIn("sqlite/0 has read to sequence 5", run.stdout)
        self.assertEqual(self.tree(server), before)
        start = server.run("serve")
        self.assertEqual(start.returncode, 1)
        self.assertIn(f"{segment.name}: offset {last}", start.stderr.splitlines()[-1])
        self.assertEqual(segment.read_bytes(), torn)
        for database in server.data.glob("trialwire.db*"):
            database.unlink()
        shutil.rmtree(server.data / "cursors")
        server.start()
        copies = list((server.data / "journal/quarantine").glob("torn-*"))
        self.assertEqual([copy.read_bytes() for copy in copies], [torn[last:last + BLOCK]])
        self.assertIn(copies[0].name, server.log())
        self.assertEqual(len(server.wait_stored(4)), 4)

    def test_the_commands_see_what_serve_sees_of_the_database_and_touch_nothing(self):
        server = self.filled(5)
        kept = shutil.copytree(server.data / "journal", self.directory / "yesterday")
        server.start()
        server.post("/v1/epro/reports", report(100))
        server.wait_stored(6)
        server.kill()  # its database keeps a log and the log's index
        self.assertTrue((server.data / "trialwire.db-wal").exists())
        shutil.rmtree(server.data / "journal")
        shutil.copytree(kept, server.data / "journal")
        for checkpointed in (False, True):
            if checkpointed:
                sqlite3.connect(server.data / "trialwire.db").execute(
                    "PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
            before = self.tree(server)
            for arguments in (("info",), ("verify",), ("repair",)):
                run = server.run("journal", *arguments)
                self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
                self.assertIn("sqlite/0 has read to sequence 6", run.stdout)
                self.assertRegex(run.stdout, r"segment-0+1\.twj: offset \d+: ")
            self.assertEqual(self.tree(server), before)
        page = json.loads(server.run("journal", "info", "--json").stdout)
        self.assertIn({"consumer": "sqlite/0", "nextSequence": 7}, page["consumers"])
        self.assertFalse(page["startable"])
        start = server.run("serve")
        self.assertEqual(start.returncode, 1)
        self.assertRegex(start.stderr.splitlines()[-1], r"segment-0+1\.twj: offset \d+: .*sequence 6")
        repair = server.run("journal", "repair", "--apply")
        self.assertEqual(repair.returncode, 0, repair.stdout + repair.stderr)
        self.assertIn("sequences 6 to 6", repair.stdout)
        verify = server.run("journal", "verify")
        self.assertEqual(verify.returncode, 0, verify.stdout)
        self.assertIn("but for what repairs gave up", verify.stdout)
        self.assertIn("sequences 6 to 6", verify.stdout)
        server.start()
        self.assertEqual(server.post("/v1/epro/reports", report(101)).json()["receipt"]["sequence"],
                         7)

    def test_a_dry_run_of_resume_at_says_that_there_is_something_to_do(self):
        server = self.filled(2)
        self.assertEqual(server.run("journal", "repair").returncode, 0)
        run = server.run("journal", "repair", "--resume-at", "100")
        self.assertEqual(run.returncode, 1, run.stdout)
        self.assertIn("would be done", run.stdout)

    def test_what_cannot_be_known_without_a_database_is_said(self):
        server = self.filled(2)
        (server.data / "trialwire.db").unlink()
        shutil.rmtree(server.data / "cursors")
        for action in ("info", "verify", "repair"):
            run = server.run("journal", action)
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
            self.assertIn("not known", run.stdout)
            self.assertIn("trialwire.db", run.stdout)

    def test_a_pipe_under_a_segments_name_makes_nobody_wait(self):
        server = self.filled(2)
        segment = self.segment(server)
        segment.unlink()
        os.mkfifo(segment)
        for action in (("info",), ("verify",), ("repair",), ("cat",)):
            run = server.run("journal", *action, timeout=10)
            self.assertEqual(run.returncode, 1, run.stdout + run.stderr)
            self.assertIn(f"{segment.name}: offset 0: it is a named pipe", run.stdout + run.stderr)
        start = server.run("serve", timeout=10)
        self.assertEqual(start.returncode, 1)
        self.assertIn(segment.name, start.stderr.splitlines()[-1])

    def test_sequences_below_zero_are_a_wrong_command_line(self):
        server = self.filled(2)
        for arguments in (("journal", "cat", "--from", "-1"), ("journal", "cat", "--to", "-1"),
                          ("journal", "cat", "--from=-1"),
                          ("journal", "repair", "--resume-at", "-1"),
                          ("archive", "restore", "--into", "restored", "--from", "-1"),
                          ("replay", "--to", "store", "--until", "-1")):
            run = server.run(*arguments)
            self.assertEqual((run.returncode, run.stdout), (2, ""), arguments)

    def test_a_new_journal_beside_a_database_of_another_names_both(self):
        server = self.filled(2)
        old = json.loads(server.run("journal", "info", "--json").stdout)["journalId"]
        shutil.rmtree(server.data / "journal")
        mark = len(server.log())
        server.start()
        self.assertEqual(server.metric("trialwire_journal_recovery_total", case="other_journal"), 1)
        warnings = [line for line in server.log()[mark:].splitlines() if "other_journal" in line]
        self.assertEqual(len(warnings), 1)
        self.assertIn(old, warnings[0])
        self.assertEqual(server.stop(), 0)
        new = json.loads(server.run("journal", "info", "--json").stdout)["journalId"]
        self.assertIn(new, warnings[0])
        self.assertIn(old, server.run("journal", "verify").stdout)
        server.start()
        server.post("/v1/epro/reports", report(50))
        server.wait_stored(3)
        self.assertEqual(server.stop(), 0)
        mark = len(server.log())
        server.start()  # the database knows it now
        self.assertNotIn("other_journal", server.log()[mark:])

    def segments(self, requests, **settings):
        """A stopped server, nothing left to deliver, and its segments of 1 MiB."""
        server = self.server(**{"limits.body": "64KiB", "limits.inflated_body": "256KiB",
                                "journal.batch_bytes": "64KiB", "journal.segment_bytes": "1MiB",
                                "journal.max_bytes": "64MiB", **settings}).start()
        filler = "x" * 4000
        for request in range(requests):
            lines = [json.dumps(report(request * 14 + n, comments=filler)) for n in range(14)]
            answer = server.post("/v1/epro/reports", "\n".join(lines), "application/x-ndjson")
            self.assertEqual(answer.json()["accepted"], 14)
        eventually("everything delivered",
                   lambda: server.metric("trialwire_sink_delivered_records_total") >= requests * 14)
        self.assertEqual(server.stop(), 0)
        return server, sorted((server.data / "journal").glob("segment-*.twj"))

    def assert_refuses(self, server, segment):
        run = server.run("serve")
        self.assertEqual(run.returncode, 1)
        self.assertIn(segment.name, run.stderr.splitlines()[-1])

    def test_damage_in_what_the_database_has_is_the_scrubbers_to_find(self):
        # So much that the index of identities does not need the first segments, either.
        server, segments = self.segments(300, **{"journal.scrub_bytes_per_second": "1GiB"})
        self.assertGreater(len(segments), 12)
        self.flip(segments[1], BLOCK * 8 + 700)
        self.assertEqual(server.run("journal", "verify").returncode, 1)
        server.start()
        eventually("the scrubber's count",
                   lambda: server.metric("trialwire_journal_scrub_corruptions_total") > 0)
        self.assertEqual(server.post("/v1/epro/reports", report(10_000)).status, 200)
        eventually("one more delivered",
                   lambda: server.metric("trialwire_sink_delivered_records_total") >= 1)
        self.assertEqual(server.stop(), 0)

        database = server.data / "trialwire.db"
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE sink_cursors SET next_sequence = 2")
        connection.close()
        self.assert_refuses(server, segments[1])  # not delivered
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE sink_cursors SET journal_id = 'another'")
        connection.close()
        self.assert_refuses(server, segments[1])  # no cursor of this journal
        whole = database.read_bytes()
        database.write_bytes(b"no database " * 1000)
        self.assert_refuses(server, segments[1])
        database.unlink()
        self.assert_refuses(server, segments[1])
        self.assertFalse(database.exists(), "a refused start makes no database")
        database.mkdir()
        self.assert_refuses(server, segments[1])
        database.rmdir()
        # And none of that keeps a whole journal from starting.
        self.flip(segments[1], BLOCK * 8 + 700)
        database.write_bytes(b"no database " * 1000)
        server.start()
        self.assertEqual(server.post("/v1/epro/reports", report(10_001)).status, 200)
        self.assertEqual(server.stop(), 0)
        database.write_bytes(whole)
        server.start()
        self.assertEqual(server.stop(), 0)

    def test_a_deleted_middle_segment_is_never_silent(self):
        server, segments = self.segments(60)
        self.assertGreater(len(segments), 3)
        os.unlink(segments[1])
        run = server.run("serve")
        self.assertEqual(run.returncode, 1)
        self.assertIn(segments[1].name, run.stderr.splitlines()[-1])
        self.assertEqual(server.run("journal", "verify").returncode, 1)

    def test_a_foreign_file_is_named(self):
        server = self.filled(2)
        segments = sorted((server.data / "journal").glob("segment-*.twj"))
        stranger = server.data / "journal" / f"segment-{len(segments) + 1:016x}.twj"
        stranger.write_bytes(os.urandom(16 << 20))
        run = server.run("serve")
        self.assertEqual(run.returncode, 1)
        self.assertIn(stranger.name, run.stderr.splitlines()[-1])
