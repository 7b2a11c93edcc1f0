# SPDX-License-Identifier: Apache-2.0
"""The real binary: what the audit trail holds, who reads it, and what happens when it cannot be
written."""
import json
import signal
import sqlite3
import subprocess
import time
import unittest

from auth_test import AuthTest as Tokens
from harness import ServerTest, eventually, report


class Trail:
    """What both groups of tests ask of a server."""

    def entries(self, server, *arguments):
        """Of a stopped server's journal."""
        run = server.run("audit", "show", "--json", *arguments)
        self.assertEqual(run.returncode, 0, run.stderr)
        return [json.loads(line) for line in run.stdout.splitlines()]


class AuditTest(Trail, ServerTest):
    def test_every_read_is_in_the_journal_with_who_what_and_how_many_rows(self):
        server = self.server().start()
        for number in range(3):
            server.post("/v1/epro/reports", report(number, patientId="P-1"))
        server.wait_stored(3)
        answer = server.request("GET", "/v1/epro/reports?patientId=P-1&trialId=T-1&limit=2",
                                headers={"X-Audit-Reason": "query 17"})
        self.assertEqual(len(answer.json()["items"]), 2)
        for path in ("/v1/epro/qol", "/v1/vitals", "/v1/metrics"):
            self.assertEqual(server.get(path).status, 200)
        self.assertEqual(server.get("/v1/vitals?nonsense=1").status, 400)
        self.assertEqual(server.stop(), 0)
        entries = self.entries(server)
        reads = [entry for entry in entries if entry.get("why") == "query 17"]
        self.assertEqual(len(reads), 1)
        read = reads[0]
        self.assertEqual(
            {key: read[key] for key in ("what", "outcome", "target", "studyId", "subject", "rows",
                                        "detail")},
            {"what": "read", "outcome": "ok", "target": "GET /v1/epro/reports", "studyId": "T-1",
             "subject": "P-1", "rows": 2, "detail": {"limit": 2}})
        self.assertNotIn("who", read)  # authentication is off
        self.assertRegex(read["origin"], r"^http 127\.0\.0\.1:\d+$")
        self.assertRegex(read["timestamp"], r"Z$")
        self.assertRegex(read["zone"], r"^[+-]\d\d:\d\d$")
        targets = [entry["target"] for entry in entries]
        for path in ("/v1/epro/qol", "/v1/vitals", "/v1/metrics"):
            self.assertEqual(targets.count(f"GET {path}"), 1, path)
        self.assertNotIn("well", json.dumps(entries))
        verify = server.run("journal", "verify")
        self.assertEqual(verify.returncode, 0, verify.stdout)

    def test_the_trail_is_a_list_with_filters_and_reading_it_is_in_it(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(1, patientId="P-1"))
        server.get("/v1/epro/reports?patientId=P-1")
        server.get("/v1/epro/reports?patientId=P-2")

        def trail(query=""):
            answer = server.get("/v1/audit?limit=1000" + query)
            self.assertEqual(answer.status, 200, answer.body)
            return answer.json()["items"]
        eventually("both reads", lambda: len(trail("&what=read&subject=P-1")) >= 1
                   and len(trail("&subject=P-2")) >= 1)
        item = trail("&subject=P-2")[0]
        self.assertEqual(item["target"], "GET /v1/epro/reports")
        self.assertIn("recordId", item)
        # Those who asked for P-2's entries have asked about P-2.
        eventually("the trail was read", lambda: any(
            entry["target"] == "GET /v1/audit" for entry in trail("&subject=P-2")))
        self.assertEqual(trail("&who=nobody"), [])
        self.assertEqual(trail("&since=2100-01-01T00:00:00Z"), [])
        first = server.get("/v1/audit?limit=1").json()
        self.assertEqual(len(first["items"]), 1)
        second = server.get(f"/v1/audit?limit=1&cursor={first['next']}").json()
        self.assertNotEqual(first["items"][0]["recordId"], second["items"][0]["recordId"])
        self.assertEqual(server.get("/v1/audit?limit=0").status, 400)
        self.assertEqual(server.get("/v1/audit?action=read").status, 400)

    def test_a_read_that_cannot_be_written_down_is_refused(self):
        server = self.server(**{"journal.max_bytes": "64MiB", "journal.undelivered_high": "60%",
                                "journal.undelivered_low": "20%"})
        server.start()
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        blocker = sqlite3.connect(server.data / "trialwire.db", isolation_level=None, timeout=30)
        self.addCleanup(blocker.close)
        blocker.execute("BEGIN IMMEDIATE")
        big = json.dumps([report(0, comments="x" * 4000, reportId=f"B-{n}") for n in range(200)])

        def full():
            nonlocal big
            big = big.replace("B-", "BB-")
            return server.post("/v1/epro/reports", big).status == 503
        eventually("intake is refused", full, 60)
        refused = server.get("/v1/epro/reports?limit=1")
        self.assertEqual(refused.status, 503)
        self.assertIn("audit trail", refused.json()["error"])
        self.assertIn("Retry-After", refused.headers)
        self.assertNotIn(b"P-", refused.body)
        change = server.request("PUT", "/debug/log?level=debug", address=server.admin)
        self.assertEqual(change.status, 503)
        for path in ("/debug/traces", "/debug/pprof/profile?seconds=1", "/debug/flamegraph?seconds=1"):
            answer = server.ask_admin(path)
            self.assertEqual(answer.status, 503, path)
            self.assertIn("audit trail", answer.json()["error"])
        self.assertEqual(server.metric("trialwire_profiles_total", kind="cpu"), 0)
        self.assertGreater(server.metric("trialwire_audit_refused_total"), 0)
        blocker.execute("ROLLBACK")
        eventually("reads are answered", lambda:
                   server.get("/v1/epro/reports?limit=1").status == 200, 60)

    def test_a_level_of_the_log_is_changed_when_the_change_is_durable(self):
        server = self.server().start()
        answer = server.request("PUT", "/debug/log?level=debug&module=net",
                                headers={"X-Audit-Reason": "slow lists"}, address=server.admin)
        self.assertEqual((answer.status, answer.body), (200, b"net from debug\n"))
        answer = server.request("PUT", "/debug/log?level=warn&module=net", address=server.admin)
        self.assertEqual(answer.status, 200)
        self.assertEqual(server.request("PUT", "/debug/log?level=loud",
                                        address=server.admin).status, 400)
        server.kill()  # what was answered is durable
        changes = self.entries(server, "--what", "setting")
        self.assertEqual([(entry["target"], entry["old"], entry["new"]) for entry in changes],
                         [("log.level of net", "info", "debug"),
                          ("log.level of net", "debug", "warn")])
        self.assertEqual(changes[0]["why"], "slow lists")

    def test_who_takes_a_profile_or_looks_at_traces_is_in_it_before(self):
        server = self.server().start()
        asked = [("command", "/debug/pprof/profile", "?seconds=1&form=proto", {"seconds": 1}),
                 ("command", "/debug/flamegraph", "?seconds=1", {"seconds": 1}),
                 ("read", "/debug/traces", "?limit=7", {"limit": 7})]
        for _, path, query, _ in asked:
            answer = server.request("GET", path + query, headers={"X-Audit-Reason": "a slow evening"},
                                    address=server.admin)
            self.assertEqual(answer.status, 200, answer.body)
            answer = server.request("GET", path + query, headers={"X-Audit-Reason": "x" * 256},
                                    address=server.admin)
            self.assertEqual(answer.status, 400, path)
        for path in ("/debug/pprof/symbol", "/debug/pprof/cmdline", "/debug/pprof/profile?seconds=0",
                     "/debug/traces?limit=0"):
            server.ask_admin(path)
        server.kill()  # what was answered is durable
        entries = [entry for entry in self.entries(server) if "/debug/" in entry["target"]]
        self.assertEqual(
            [(entry["what"], entry["target"], entry["detail"]) for entry in entries],
            [(what, f"GET {path}", detail) for what, path, _, detail in asked])
        self.assertEqual({entry["why"] for entry in entries}, {"a slow evening"})
        self.assertEqual(entries[-1]["rows"], 0)
        self.assertRegex(entries[0]["origin"], r"^admin 127\.0\.0\.1:\d+$")

    def test_a_start_with_other_settings_says_what_is_different_and_no_secret(self):
        server = self.server()
        server.start()
        self.assertEqual(server.stop(), 0)
        server.start()
        self.assertEqual(server.stop(), 0)
        self.assertEqual(self.entries(server, "--what", "setting"), [])
        server.settings["limits.rate.burst"] = "77"
        server.settings["store.url"] = f"sqlite:{server.data}/trialwire.db"
        server.start()
        eventually("written", lambda: server.metric("trialwire_audit_entries_total",
                                                    what="setting") == 1)
        self.assertEqual(server.stop(), 0)
        changes = self.entries(server, "--what", "setting")
        self.assertEqual(len(changes), 1)
        self.assertEqual(json.loads(changes[0]["old"])["limits.rate.burst"], "120")
        self.assertEqual(json.loads(changes[0]["new"])["limits.rate.burst"], "77")
        self.assertEqual(set(json.loads(changes[0]["new"])), {"limits.rate.burst", "store.url"})
        self.assertTrue(changes[0]["who"])
        server.start()
        self.assertEqual(server.stop(), 0)
        self.assertEqual(len(self.entries(server, "--what", "setting")), 1)
        server.settings["store.url"] = "postgres://user:geheim@127.0.0.1:1/none"
        server.start()
        eventually("written", lambda: server.metric("trialwire_audit_entries_total",
                                                    what="setting") == 1)
        server.stop()
        run = server.run("audit", "show", "--what", "setting")
        self.assertIn("store.url", run.stdout)
        self.assertNotIn("geheim", run.stdout)
        self.assertNotIn("geheim", (server.data / "audit/settings").read_text())

    def test_what_commands_do_is_in_the_trail_of_the_server_that_comes_after(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(server.run("journal", "cat").returncode, 0)
        self.assertEqual(server.run("journal", "cat", "--bodies").returncode, 0)
        self.assertEqual(server.run("replay", "--from", "1", "--to", "store").returncode, 0)
        self.assertEqual(server.run("journal", "repair", "--apply").returncode, 0)
        self.assertNotEqual(server.run("journal", "cat", "--bodies", "--from", "999").returncode, 0)
        spool = server.data / "audit/spool"
        self.assertEqual(len(list(spool.iterdir())), 8)
        server.start()
        eventually("taken in", lambda: not list(spool.iterdir()))
        self.assertEqual(server.stop(), 0)
        entries = [entry for entry in self.entries(server) if entry["origin"].startswith("command")]
        self.assertEqual([(entry["what"], entry["target"], entry["outcome"]) for entry in entries],
                         [("read", "trialwire journal cat --bodies", "begun"),
                          ("read", "trialwire journal cat --bodies", "done"),
                          ("command", "trialwire replay", "begun"),
                          ("command", "trialwire replay", "done"),
                          ("command", "trialwire journal repair --apply", "begun"),
                          ("command", "trialwire journal repair --apply", "done"),
                          ("read", "trialwire journal cat --bodies", "begun"),
                          ("read", "trialwire journal cat --bodies", "failed")])
        self.assertEqual(entries[2]["detail"]["from"], 1)
        for begun, ended in zip(entries[::2], entries[1::2]):
            self.assertEqual(ended["detail"], {"begun": begun["timestamp"]})
            self.assertEqual(ended["who"], begun["who"])

    def test_a_command_that_is_killed_has_begun_and_nothing_came_of_it(self):
        server = self.server().start()
        for number in range(20):
            server.post("/v1/epro/reports", [report(number, reportId=f"R-{number}-{n}",
                                                    comments="x" * 4000) for n in range(20)])
        self.assertEqual(server.stop(), 0)
        # Its output is not taken: it waits, until it is killed.
        command = subprocess.Popen(server.command("journal", "cat", "--bodies"),
                                   stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.addCleanup(command.stdout.close)
        spool = server.data / "audit/spool"
        eventually("it has begun", lambda: spool.exists() and list(spool.glob("*.json")))
        command.kill()
        command.wait()
        left = [json.loads(file.read_text()) for file in spool.glob("*.json")]
        self.assertEqual([entry["outcome"] for entry in left], ["begun"])

    def test_a_command_beside_a_running_server_reaches_its_trail(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        run = server.run("deadletter", "list", "--reveal")
        self.assertEqual(run.returncode, 0, run.stderr)
        server.run("deadletter", "discard", "7", "--reason", "test device", "--by", "ann")

        def of_ann():
            items = server.get("/v1/audit?who=ann&what=command").json()["items"]
            return {item["outcome"]: item for item in items} if len(items) == 2 else None
        found = eventually("in the list", of_ann)
        self.assertEqual((found["begun"]["why"], found["begun"]["detail"]),
                         ("test device", {"ids": [7]}))
        self.assertEqual(found["failed"]["why"], "test device")  # there is no such letter

    def test_a_command_that_cannot_be_audited_is_not_done(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(1))
        self.assertEqual(server.stop(), 0)
        (server.data / "audit/spool").mkdir(exist_ok=True)
        (server.data / "audit/spool").rmdir()
        (server.data / "audit/spool").write_text("in the way")
        run = server.run("journal", "cat", "--bodies")
        self.assertEqual(run.returncode, 1)
        self.assertIn("cannot be audited", run.stderr)
        self.assertNotIn("P-1", run.stdout)

    def test_the_archive_shows_it_too(self):
        server = self.server(**{"journal.retention": "0s"}).start()
        server.get("/v1/epro/reports?patientId=P-77")
        batch = [report(n, comments="x" * 4000) for n in range(200)]
        for number in range(28):  # more than a segment
            for one in batch:
                one["reportId"] = f"{number}-{one['patientId']}"
            self.assertEqual(server.post("/v1/epro/reports", batch).status, 200)
        eventually("archived", lambda: "1 " in server.run("archive", "list").stdout)

        def archived():
            run = server.run("audit", "show", "--archive", "--subject", "P-77", "--json")
            return run.returncode == 0 and run.stdout
        line = json.loads(eventually("in the archive", archived).splitlines()[0])
        self.assertEqual((line["what"], line["rows"]), ("read", 0))
        run = server.run("audit", "show")
        self.assertEqual(run.returncode, 1)
        self.assertIn("GET /v1/audit", run.stderr)

    def test_an_api_without_a_gateway_keeps_a_trail_of_its_own(self):
        server = self.server(roles="api").start()
        eventually("answers", lambda: server.get("/v1/epro/reports?patientId=P-1").status == 200)
        found = eventually("its read is in the database", lambda:
                           server.get("/v1/audit?subject=P-1&limit=1").json()["items"])
        self.assertEqual(found[0]["target"], "GET /v1/epro/reports")
        self.assertEqual(server.post("/v1/epro/reports", report(1)).status, 405)
        self.assertEqual(server.stop(), 0)
        self.assertGreater(len(self.entries(server)), 0)


class AuditAuthTest(Trail, Tokens):
    """With tokens; the tests of AuthTest itself are run by their own file."""

    def trail(self, query="", **claims):
        claims = {"roles": ["auditor"], "studies": "*", **claims}
        return self.ask("GET", "/v1/audit?limit=1000" + query,
                        self.token("records:read", **claims))

    def test_only_the_role_auditor_reads_the_trail(self):
        self.gateway.start()
        answer = self.trail(roles=["monitor"])
        self.assertEqual(answer.status, 403)
        self.assertIn("auditor", answer.json()["error"])
        self.assertEqual(self.trail(roles=None).status, 401)  # of the wrong type
        self.assertEqual(
            self.ask("GET", "/v1/audit", self.token("records:read", studies="*")).status, 403)
        self.assertEqual(self.trail().status, 200)
        # That it was refused is in it, by name.
        found = eventually("refused", lambda: [
            item for item in self.trail("&what=refused").json()["items"]])
        self.assertEqual((found[0]["who"], found[0]["outcome"], found[0]["target"]),
                         ("tester", "role", "GET /v1/audit"))

    def test_an_auditor_sees_what_concerns_their_studies_sites_and_subject_alone(self):
        self.gateway.start()
        for study, site, patient in (("T-1", "S-1", "P-1"), ("T-2", "S-2", "P-2")):
            self.items(f"/v1/epro/reports?trialId={study}&siteId={site}&patientId={patient}",
                       studies="*", sub=f"monitor-{study}")
        self.items("/v1/metrics", studies=["T-1"], sub="scoped")  # all rows are of T-1
        self.items("/v1/metrics", studies="*", sub="unscoped")    # rows of any study

        def who(**claims):
            return {item.get("who") for item in self.trail("&what=read", **claims).json()["items"]}
        eventually("all", lambda: {"monitor-T-1", "monitor-T-2", "scoped", "unscoped"} <= who())
        self.assertEqual(who(studies=["T-1"]) - {"tester"}, {"monitor-T-1", "scoped"})
        self.assertEqual(who(studies=["T-1"], sites=["S-1"]) - {"tester"}, {"monitor-T-1"})
        self.assertEqual(who(studies=["T-1", "T-2"], subject="P-2") - {"tester"}, {"monitor-T-2"})
        self.assertEqual(who(studies=["T-9"]) - {"tester"}, set())
        self.assertEqual(self.trail(studies=[]).json()["items"], [])

    def test_a_flood_of_refused_tokens_is_a_few_entries_that_say_how_many(self):
        self.gateway.settings["audit.refusals_interval"] = "3s"
        self.gateway.start()
        for _ in range(150):
            self.assertEqual(self.ask("GET", "/v1/vitals", "nonsense").status, 401)
        self.assertEqual(self.ask("GET", "/v1/vitals").status, 401)

        def counted():
            items = self.trail("&what=login_failure").json()["items"]
            times = sum(item["times"] for item in items if item["outcome"] == "malformed")
            return items if times == 150 else None
        items = eventually("all are counted", counted)
        # An entry at once, and one an interval, of each of two I/O threads.
        self.assertLess(len(items), 12)
        self.assertEqual({item["outcome"] for item in items}, {"malformed", "missing"})
        for item in items:
            self.assertEqual(item["origin"], "http 127.0.0.1")
            self.assertEqual(item["target"], "GET /v1/vitals")
        self.assertNotIn("nonsense", json.dumps(items))
        # Of clients, and of the admin port.
        self.assertEqual(self.gateway.metric("trialwire_audit_refusal_keys_max"), 2 * 256)

    def test_what_is_counted_when_the_server_stops_is_written(self):
        self.gateway.start()
        for _ in range(20):
            self.ask("GET", "/v1/vitals", "nonsense")
            time.sleep(0.02)
        self.assertEqual(self.gateway.stop(), 0)
        failures = self.entries(self.gateway, "--what", "login_failure")
        self.assertEqual(sum(entry["times"] for entry in failures), 20)

    def test_who_reads_is_named_with_roles_and_scope(self):
        self.gateway.start()
        token = self.token("records:read", studies=["T-1"], roles=["monitor"], sub="nurse")
        self.assertEqual(self.ask("GET", "/v1/epro/reports?limit=3", token).status, 200)
        self.gateway.process.send_signal(signal.SIGKILL)  # what was answered is durable
        self.gateway.wait()
        reads = self.entries(self.gateway, "--who", "nurse")
        self.assertEqual(len(reads), 1)
        self.assertEqual((reads[0]["roles"], reads[0]["studyId"], reads[0]["rows"]),
                         (["monitor"], "T-1", 0))
        self.assertNotIn(token.split(".")[2], json.dumps(reads))


for inherited in [name for name in dir(Tokens) if name.startswith("test_")]:
    setattr(AuditAuthTest, inherited, None)


def load_tests(loader, _tests, _pattern):
    """Not those of AuthTest, which is only imported."""
    suite = unittest.TestSuite()
    for case in (AuditTest, AuditAuthTest):
        suite.addTests(case(name) for name in loader.getTestCaseNames(case)
                       if getattr(case, name) is not None)
    return suite


if __name__ == "__main__":
    unittest.main()
