# SPDX-License-Identifier: Apache-2.0
"""Full segments go into the archive, leave the journal only after, and come back from it."""
import contextlib
import json
import pathlib
import re
import shutil
import sqlite3
import subprocess
import unittest

from harness import PATIENCE, Server, ServerTest, eventually, report
from kafka_test import MockKafka

SOURCE = pathlib.Path(__file__).resolve().parents[2]
PER_REQUEST = 14  # records of 4 KiB: 18 requests a segment
FILLER = "x" * 4000


class Archive(ServerTest):
    def archiving(self, directory=None, **settings):
        """Segments of 1 MiB that leave the journal as soon as they may."""
        made = Server(directory or self.directory, **{
            "limits.body": "64KiB", "limits.inflated_body": "256KiB",
            "journal.batch_bytes": "64KiB", "journal.segment_bytes": "1MiB",
            "journal.max_bytes": "64MiB", "journal.retention": "0s", "dedupe.window": "0s",
            "archive.rate": "1GiB", **settings})
        self.addCleanup(made.kill)
        return made

    def send(self, server, requests, first=0):
        """One request of 14 reports each; returns how many were accepted before one was not."""
        for request in range(first, first + requests):
            lines = [json.dumps(report(request * PER_REQUEST + n, comments=FILLER))
                     for n in range(PER_REQUEST)]
            answer = server.post("/v1/epro/reports", "\n".join(lines), "application/x-ndjson")
            if answer.status != 200:
                self.refused = answer
                return request - first
            self.assertEqual(answer.json()["accepted"], PER_REQUEST)
        return requests

    def delivered(self, server, reports):
        """`reports`: and entries of the audit trail, of which each command leaves two."""
        spool = server.data / "audit" / "spool"
        eventually("commands are entered", lambda: not list(spool.glob("*.json")))
        # What a start says of changed settings may come behind the first reports.
        eventually("all is in the journal",
                   lambda: server.metric("trialwire_journal_next_sequence") >= reports + 1)
        eventually("everything delivered",
                   lambda: server.metric("trialwire_sink_lag_records") == 0)
        self.assertEqual(server.metric("trialwire_journal_next_sequence"), reports + 1)

    def idle(self, server):
        """Every sealed segment is archived and deleted: there are the current one and a spare."""
        eventually("archived and deleted",
                   lambda: len(list((server.data / "journal").glob("segment-*.twj"))) <= 2)
        self.assertEqual(server.metric("trialwire_archive_lag_segments"), 0)

    def filled(self, requests=100, **settings):
        server = self.archiving(**settings).start()
        self.assertEqual(self.send(server, requests), requests)
        self.delivered(server, requests * PER_REQUEST)
        self.idle(server)
        self.assertEqual(server.stop(), 0)
        return server

    def objects(self, server, suffix, root=None):
        root = root or server.data / "archive"
        return sorted(file for file in (root / "segments").rglob(f"*{suffix}")
                      if re.fullmatch(r"[0-9a-f]{16}", file.stem))

    def rows(self, database):
        connection = sqlite3.connect(database)
        try:
            return connection.execute("SELECT sequence FROM epro_reports UNION ALL "
                                      "SELECT sequence FROM audit_records ORDER BY 1").fetchall()
        finally:
            connection.close()

    def assert_rows(self, database, count):
        self.assertEqual([row[0] for row in self.rows(database)], list(range(1, count + 1)))

    def verify(self, server, expected=0):
        run = server.run("journal", "verify", "--archive")
        self.assertEqual(run.returncode, expected, run.stdout + run.stderr)
        return run.stdout

    def test_a_kafka_that_is_added_later_is_not_sent_what_is_archived(self):
        server = self.filled()
        kafka = MockKafka()
        self.addCleanup(kafka.end)
        server.settings["kafka.brokers"] = kafka.brokers
        server.start()
        self.assertEqual(self.send(server, 1, first=100), 1)
        eventually("Kafka has what came", lambda: server.metric(
            "trialwire_sink_lag_records", sink="kafka") == 0)
        sequences = [message[1] for message in kafka.messages()]
        self.assertEqual(sequences, list(range(sequences[0], 101 * PER_REQUEST + 1)))
        self.assertGreater(sequences[0], 50 * PER_REQUEST)
        self.assertGreater(server.metric("trialwire_sink_missing_records_total", sink="kafka"), 0)

    def test_what_leaves_the_journal_is_whole_in_the_archive(self):
        server = self.filled()
        manifests = self.objects(server, ".json")
        self.assertGreaterEqual(len(manifests), 4)
        self.assertEqual(len(self.objects(server, ".zst")), len(manifests))
        text = self.verify(server)
        self.assertIn("archive: ok", text)
        page = json.loads(server.run("journal", "verify", "--archive", "--json").stdout)
        self.assertTrue(page["ok"])
        self.assertEqual(page["archive"]["firstSequence"], 1)
        self.assertEqual(page["archive"]["nextSequence"] - 1, page["archive"]["records"])
        listed = server.run("archive", "list", "--json").stdout.splitlines()
        self.assertEqual(len(listed), len(manifests))
        for file in (server.data / "archive").rglob("*"):
            self.assertEqual(file.stat().st_mode & 0o077, 0, file)

    def test_an_archive_is_checked_beside_a_server(self):
        server = self.filled().start()
        run = server.run("archive", "verify")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        key = server.data / "journal/signing.pub"
        self.assertEqual(server.run("archive", "verify", "--key", str(key)).returncode, 0)
        readyz = server.ask_admin("/readyz").body.decode()
        self.assertIn("archive", readyz)

    def test_a_changed_or_missing_object_is_named(self):
        server = self.filled()
        for file in self.objects(server, ".zst")[:2] + self.objects(server, ".json")[:2]:
            with self.subTest(file=file.name):
                whole = file.read_bytes()
                middle = len(whole) // 2
                file.write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:])
                self.assertIn(str(file), self.verify(server, 1))
                self.assertEqual(server.run("archive", "verify").returncode, 1)
                file.unlink()
                self.assertIn(str(file), self.verify(server, 1))
                file.write_bytes(whole)
        self.verify(server)

    def test_segments_come_back_as_the_journal_had_them(self):
        server = self.archiving(**{"journal.retention": "24h"}).start()
        self.send(server, 40)
        eventually("archived", lambda: server.metric("trialwire_archive_segments_total") >= 2)
        self.assertEqual(server.stop(), 0)
        into = self.directory / "restored"
        run = server.run("archive", "restore", "--into", str(into), "--to", "1")
        self.assertEqual(run.returncode, 0, run.stderr)
        name = "segment-0000000000000001"
        for suffix in (".twj", ".seal"):
            self.assertEqual((into / (name + suffix)).read_bytes(),
                             (server.data / "journal" / (name + suffix)).read_bytes())
        run = server.run("archive", "restore", "--into", str(into), "--from", "1000000")
        self.assertEqual(run.returncode, 1)

    def test_killed_while_archiving_it_goes_on(self):
        # So slow that a segment takes a second: every kill hits one under way.
        server = self.archiving(**{"archive.rate": "1MiB", "journal.max_bytes": "256MiB"}).start()
        self.send(server, 100)
        for _ in range(5):
            partial = server.data / "archive/.partial"
            eventually("a segment under way",
                       lambda: partial.is_dir() and any(partial.iterdir()))
            server.kill()
            server.start()
        server.kill()
        server.settings["archive.rate"] = "1GiB"
        server.start()
        self.send(server, 20, 100)
        self.delivered(server, 120 * PER_REQUEST + 1)  # and that archive.rate is another
        self.idle(server)
        self.assertEqual(server.stop(), 0)
        self.verify(server)
        self.assertEqual(list((server.data / "archive/.partial").iterdir()), [])
        self.assert_rows(server.data / "trialwire.db", 120 * PER_REQUEST + 1)

    def test_an_archive_that_takes_nothing_holds_segments_until_the_budget_and_recovers(self):
        place = self.directory / "archive"
        place.write_text("in the way")
        server = self.archiving(**{"archive.url": f"file:{place}",
                                   "journal.max_bytes": "8MiB"}).start()
        sent = self.send(server, 400)
        self.assertGreater(sent, 80)
        self.assertLess(sent, 200)
        self.assertEqual(self.refused.status, 503)
        self.assertIsNotNone(self.refused.headers["Retry-After"])
        self.assertEqual(server.metric("trialwire_journal_first_sequence"), 1)
        readyz = server.ask_admin("/readyz").body.decode()
        self.assertIn(str(place), readyz)
        self.assertGreater(server.metric("trialwire_archive_failures_total"), 0)
        place.unlink()
        # A slow archive may fill the budget once more in between.
        whole = sent + 61

        def intake_goes_on():
            nonlocal sent
            sent += self.send(server, whole - sent, sent)
            return sent == whole

        eventually("intake", intake_goes_on, 2 * PATIENCE)
        self.delivered(server, whole * PER_REQUEST)
        eventually("archived", lambda: server.metric("trialwire_archive_lag_segments") == 0)
        self.assertEqual(server.stop(), 0)
        self.verify(server)

    def test_without_an_archive_segments_go_by_the_other_cursors_and_that_is_said(self):
        server = self.archiving(**{"archive.url": ""}).start()
        self.send(server, 60)
        eventually("deleted",
                   lambda: server.metric("trialwire_journal_segments_deleted_total") > 0)
        self.assertIn("archive.url is empty", server.log())
        self.assertEqual(server.stop(), 0)
        self.assertFalse((server.data / "archive").exists())
        self.assertEqual(server.run("journal", "verify", "--archive").returncode, 2)

    def older_database(self):
        """A server whose database is of the time before most of its journal was deleted."""
        server = self.archiving().start()
        self.send(server, 5)
        self.delivered(server, 5 * PER_REQUEST)
        self.assertEqual(server.stop(), 0)
        older = self.directory / "older.db"
        shutil.copy(server.data / "trialwire.db", older)
        server.start()
        self.send(server, 100, 5)
        self.delivered(server, 105 * PER_REQUEST)
        self.idle(server)
        self.assertEqual(server.stop(), 0)
        for file in server.data.glob("trialwire.db*"):
            file.unlink()
        shutil.copy(older, server.data / "trialwire.db")
        self.assert_rows(server.data / "trialwire.db", 5 * PER_REQUEST)
        return server

    def test_replay_brings_a_database_from_an_older_backup_up_to_date(self):
        server = self.older_database()
        for _ in range(2):
            run = server.run("replay", "--to", "store")
            self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        server.start()
        all_records = 105 * PER_REQUEST + 4  # and that there were two replays, begun and done
        self.delivered(server, all_records)
        self.assertEqual(server.metric("trialwire_sink_missing_records_total"), 0)
        self.assertEqual(server.stop(), 0)
        self.assert_rows(server.data / "trialwire.db", all_records)
        # Once more, from the beginning: every record comes, no row is added, the cursor stays.
        run = server.run("replay", "--from", "1", "--to", "store")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn(f"sequences 1 to {all_records}", run.stdout)
        self.assertIn("as it was", run.stdout)
        self.assert_rows(server.data / "trialwire.db", all_records)

    def test_a_server_brings_it_up_to_date_by_itself(self):
        server = self.older_database().start()
        self.delivered(server, 105 * PER_REQUEST)
        self.assertEqual(server.metric("trialwire_sink_missing_records_total"), 0)
        self.assertEqual(server.post("/v1/epro/reports", report(9_999)).status, 200)
        self.delivered(server, 105 * PER_REQUEST + 1)
        self.assertEqual(server.stop(), 0)
        self.assert_rows(server.data / "trialwire.db", 105 * PER_REQUEST + 1)

    def put_in_place(self, server, database):
        """As an operator does who restores a back-up beside a server that runs."""
        for suffix in ("-wal", "-shm"):
            (server.data / f"trialwire.db{suffix}").unlink(missing_ok=True)
        database.rename(server.data / "trialwire.db")

    def back_up(self, server):
        older = self.directory / "older.db"
        with (contextlib.closing(sqlite3.connect(server.data / "trialwire.db")) as today,
              contextlib.closing(sqlite3.connect(older)) as copy):
            today.backup(copy)
        return older

    def test_a_database_restored_while_the_server_runs_is_filled_from_what_it_archived(self):
        server = self.archiving().start()
        self.send(server, 5)
        self.delivered(server, 5 * PER_REQUEST)
        older = self.back_up(server)
        self.send(server, 60, 5)
        self.delivered(server, 65 * PER_REQUEST)
        self.idle(server)
        self.assertFalse((server.data / "journal/segment-0000000000000001.twj").exists())
        self.put_in_place(server, older)
        self.send(server, 1, 65)
        eventually("all rows", lambda: len(self.rows(server.data / "trialwire.db"))
                   == 66 * PER_REQUEST)
        self.assertEqual(server.metric("trialwire_sink_missing_records_total"), 0)
        self.assertEqual(server.stop(), 0)
        self.assert_rows(server.data / "trialwire.db", 66 * PER_REQUEST)

    def test_rows_that_were_lost_come_back_from_a_time_or_a_sequence_on(self):
        server = self.filled()
        database = server.data / "trialwire.db"
        connection = sqlite3.connect(database)
        at = connection.execute("SELECT received_at FROM epro_reports WHERE sequence = 700").fetchone()
        connection.execute("DELETE FROM epro_reports WHERE sequence >= 700")
        connection.commit()
        connection.close()
        run = server.run("replay", "--from", at[0], "--to", "store", "--archive-only")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertGreater(len(self.rows(database)), 750)
        self.assertNotIn("cursor of lane", run.stdout)
        run = server.run("replay", "--from", "700", "--to", "postgres")
        self.assertEqual(run.returncode, 2, run.stdout)
        self.assertIn("store.url: sqlite", run.stderr)
        run = server.run("replay", "--from", "700", "--to", "sqlite")  # as `status` calls it
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assert_rows(database, 100 * PER_REQUEST)

    def test_another_journals_records_come_from_its_archive(self):
        place = self.directory / "archive"
        store = f"sqlite:{self.directory}/reports.db"
        first = self.archiving(self.directory / "first",
                               **{"archive.url": f"file:{place}", "store.url": store})
        first.directory.mkdir()
        first.start()
        self.send(first, 100)
        self.delivered(first, 100 * PER_REQUEST)
        self.idle(first)
        self.assertEqual(first.stop(), 0)
        shutil.rmtree(first.data)
        (self.directory / "reports.db").unlink()
        archived = sum(json.loads(file.read_text())["records"]
                       for file in self.objects(first, ".json", place))
        journal = self.objects(first, ".json", place)[0].parent.name

        second = self.archiving(self.directory / "second",
                                **{"archive.url": f"file:{place}", "store.url": store})
        second.directory.mkdir()
        second.start()
        self.send(second, 1, 1_000)
        self.delivered(second, PER_REQUEST)
        self.assertEqual(second.stop(), 0)
        stranger = "00000000-0000-4000-8000-000000000000"
        run = second.run("replay", "--journal", stranger, "--to", "store")
        self.assertEqual(run.returncode, 1)
        self.assertIn(stranger, run.stderr)
        self.assertIn(journal, run.stderr)
        run = second.run("replay", "--journal", journal, "--to", "store")
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertEqual(len(self.rows(self.directory / "reports.db")), archived + PER_REQUEST)

    def test_replay_says_what_it_cannot_do(self):
        server = self.archiving().start()
        self.send(server, 1)
        run = server.run("replay", "--to", "store")
        self.assertEqual(run.returncode, 1)
        self.assertIn("--archive-only", run.stderr)
        self.delivered(server, PER_REQUEST)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.run("replay", "--to", "nowhere").returncode, 2)
        self.assertEqual(server.run("replay", "--from", "soon", "--to", "store").returncode, 2)
        run = server.run("replay", "--to", "store")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("nothing to replay", run.stdout)
        run = server.run("replay", "--from", "1000000", "--to", "store")
        self.assertEqual(run.returncode, 1)
        self.assertIn("--from 1000000: the source has no records from there on", run.stderr)

    @unittest.skipUnless(all(shutil.which(tool) for tool in ("jq", "xxd", "zstd", "openssl")),
                         "wants jq, xxd, zstd and openssl")
    def test_the_documented_check_without_trialwire_works(self):
        server = self.filled()
        page = (SOURCE / "docs/archive.md").read_text()
        script = re.search(r"### Without trialwire.*?```sh\n(.*?)```", page, re.S)[1]
        journal = self.objects(server, ".json")[0].parent.name
        script = script.replace("/srv/archive", str(server.data / "archive"))
        script = script.replace("6f1c9e52-0d7a-4b6e-9a53-4f0f5f6d8a10", journal)
        run = subprocess.run(["bash", "-euo", "pipefail", "-c", script], capture_output=True,
                             text=True, check=False, timeout=PATIENCE)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        self.assertIn("Signature Verified Successfully", run.stdout)
        heads = re.findall(r"chain_head ([0-9a-f]{64})", run.stdout)
        self.assertEqual(len(heads), 2)
        self.assertEqual(heads[0], heads[1])


if __name__ == "__main__":
    unittest.main()
