# SPDX-License-Identifier: Apache-2.0
"""The admin port with a token: who may ask what, and what is counted."""
import json
import os
import re
import unittest

from harness import ServerTest, eventually

TOKEN = "an-admin-token-of-forty-bytes-or-so-0123"
ROUTES = [("GET", "/readyz"), ("GET", "/metrics"), ("GET", "/debug/config"),
          ("PUT", "/debug/log?level=info"), ("GET", "/debug/traces"), ("GET", "/debug/pprof/heap?seconds=1"),
          ("GET", "/debug/pprof/profile?seconds=1"), ("GET", "/debug/flamegraph?seconds=1"),
          ("GET", "/debug/pprof/symbol"), ("POST", "/debug/pprof/symbol"), ("GET", "/debug/pprof/cmdline"),
          ("GET", "/pprof/profile?seconds=1"), ("GET", "/pprof/cmdline")]


class AdminToken(ServerTest):
    def setUp(self):
        super().setUp()
        self.file = self.directory / "admin-token"
        self.write(TOKEN)
        self.gateway = self.server(**{"admin.token_file": str(self.file)})

    def write(self, text, mode=0o600):
        new = self.directory / "new"
        new.write_text(text + "\n")
        os.chmod(new, mode)
        os.replace(new, self.file)

    def ask(self, method, path, authorization=None):
        headers = {} if authorization is None else {"Authorization": authorization}
        return self.gateway.request(method, path, headers=headers, address=self.gateway.admin)

    def refusals(self, reason):
        page = self.ask("GET", "/metrics", "Bearer " + TOKEN).body.decode()
        return int(re.search(rf'trialwire_admin_refused_total{{reason="{reason}"}} (\d+)', page)[1])

    def test_every_route_but_healthz_wants_it_and_refusals_are_counted(self):
        self.gateway.start()
        self.assertEqual(self.ask("GET", "/healthz").status, 200)
        for method, path in ROUTES:
            with self.subTest(path=path):
                for reason, value in (("missing", None), ("missing", ""), ("missing", TOKEN),
                                      ("missing", "Basic " + TOKEN), ("wrong", "Bearer x"),
                                      ("wrong", "Bearer " + TOKEN[:-1]),
                                      ("wrong", "Bearer " + TOKEN + "x")):
                    before = self.refusals(reason)
                    answer = self.ask(method, path, value)
                    self.assertEqual(answer.status, 401)
                    self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer "))
                    self.assertNotIn(TOKEN[:-1], answer.body.decode())
                    self.assertEqual(self.refusals(reason), before + 1)
                self.assertIn(self.ask(method, path, "Bearer " + TOKEN).status, (200, 501, 503))
        self.assertEqual(self.ask("GET", "/nothing").status, 404)
        self.assertNotIn(TOKEN, self.gateway.log())
        self.assertNotIn(TOKEN, self.ask("GET", "/debug/config", "Bearer " + TOKEN).body.decode())

    def test_refusals_are_in_the_audit_trail_and_a_flood_is_a_few_entries(self):
        self.gateway.settings["audit.refusals_interval"] = "2s"
        self.gateway.start()
        for _ in range(100):
            self.assertEqual(self.ask("GET", "/debug/config", "Bearer guessed").status, 401)
        self.assertEqual(self.ask("GET", "/metrics").status, 401)

        def counted():
            items = self.gateway.get("/v1/audit?what=login_failure&limit=1000").json()["items"]
            return items if sum(item["times"] for item in items) == 101 else None
        items = eventually("all are counted", counted)
        self.assertLess(len(items), 8)
        self.assertEqual({(item["outcome"], item["target"]) for item in items},
                         {("wrong", "GET /debug/config"), ("missing", "GET /metrics")})
        self.assertEqual({item["origin"] for item in items}, {"admin 127.0.0.1"})
        self.assertNotIn("guessed", json.dumps(items))
        for _ in range(7):
            self.ask("GET", "/debug/config", "Bearer guessed")
        self.assertEqual(self.gateway.stop(), 0)  # what is counted is written
        shown = self.gateway.run("audit", "show", "--json", "--what", "login_failure")
        self.assertEqual(sum(json.loads(line)["times"] for line in shown.stdout.splitlines()), 108)

    def test_two_headers_are_none(self):
        self.gateway.start()
        connection = self.gateway.connect()
        connection.host, connection.port = self.gateway.admin.rsplit(":", 1)
        connection.putrequest("GET", "/metrics")
        connection.putheader("Authorization", "Bearer x")
        connection.putheader("Authorization", "Bearer " + TOKEN)
        connection.endheaders()
        self.assertEqual(connection.getresponse().status, 401)
        connection.close()
        self.assertEqual(self.refusals("ambiguous"), 1)

    def test_status_sends_it(self):
        self.gateway.start()
        shown = self.gateway.run("status", "--interval", "0.1")
        self.assertEqual(shown.returncode, 0, shown.stderr)
        address = self.gateway.admin
        del self.gateway.settings["admin.token_file"]
        refused = self.gateway.run("status", "--interval", "0.1")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("admin.token_file", refused.stderr)
        by_option = self.gateway.run("status", "--interval", "0.1", "--admin", address,
                                     "--admin-token-file", str(self.file))
        self.assertEqual(by_option.returncode, 0, by_option.stderr)
        self.file.chmod(0o644)
        open_to_all = self.gateway.run("status", "--admin-token-file", str(self.file))
        self.assertEqual(open_to_all.returncode, 1)
        self.assertIn("chmod 600", open_to_all.stderr)

    def test_it_is_replaced_without_a_restart_and_a_broken_one_is_not_taken(self):
        self.gateway.start()
        self.write("short")
        eventually("it is noticed", lambda: 'trialwire_admin_token_current 0' in self.ask(
            "GET", "/metrics", "Bearer " + TOKEN).body.decode())
        other = "another-admin-token-which-is-long-enough"
        self.write(other)
        eventually("the new one", lambda: self.ask("GET", "/metrics", "Bearer " + other).status == 200)
        self.assertEqual(self.ask("GET", "/metrics", "Bearer " + TOKEN).status, 401)
        self.assertIn("the one of before stays in force", self.gateway.log())
        self.assertNotIn("short\n", self.gateway.log())

    def test_a_file_that_cannot_be_used_stops_the_start(self):
        for text, mode, why in ((TOKEN, 0o640, "chmod 600"), ("short", 0o600, "fewer than 32"),
                                ("with spaces " * 4, 0o600, "characters")):
            with self.subTest(why=why):
                self.write(text, mode)
                run = self.gateway.run("serve")
                self.assertEqual(run.returncode, 1)
                self.assertIn(why, run.stderr)
                self.assertIn(str(self.file), run.stderr)
                self.assertNotIn("short", run.stderr)

    def test_beyond_loopback_it_is_not_enough(self):
        self.gateway.settings["admin.listen"] = "0.0.0.0:0"
        checked = self.gateway.run("config", "check")
        self.assertEqual(checked.returncode, 2)
        self.assertIn("there is no TLS", checked.stderr)


if __name__ == "__main__":
    unittest.main()
