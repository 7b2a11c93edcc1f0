# SPDX-License-Identifier: Apache-2.0
"""What a client and an operator see of a healthy server."""
import json
import os
import re
import shutil
import subprocess
import tempfile
import unittest

from harness import Server, ServerTest, eventually, report


class Clients(ServerTest):
    def test_a_report_is_acknowledged_and_read_back(self):
        server = self.server().start()
        sent = report(1, comments="ü", answers={"sleep": 3, "pain": "mild"})
        answer = server.post("/v1/epro/reports", sent)
        self.assertEqual(answer.status, 200)
        receipt = answer.json()["receipt"]
        self.assertEqual(receipt["sequence"], 1)
        (item,) = server.wait_stored(1)
        for key, value in sent.items():
            self.assertEqual(item[key], value)
        self.assertEqual(item["recordId"], receipt["recordId"])
        self.assertEqual(item["sequence"], 1)
        self.assertRegex(item["receivedAt"], r"^\d{4}-\d\d-\d\dT.*Z$")

    def test_a_retry_gets_the_first_receipt_also_after_a_restart(self):
        server = self.server().start()
        first = server.post("/v1/epro/reports", report(1)).json()
        self.assertEqual(server.post("/v1/epro/reports", report(1)).json(), first)
        self.assertEqual(server.post("/v1/epro/reports", report(1, qolScore=9)).status, 409)
        self.assertEqual(server.stop(), 0)
        server.start()
        self.assertEqual(server.post("/v1/epro/reports", report(1)).json(), first)
        self.assertEqual(server.post("/v1/epro/reports", report(1, qolScore=9)).status, 409)
        server.post("/v1/epro/reports", report(2))
        self.assertEqual([item["reportId"] for item in server.wait_stored(2)], ["R-1", "R-2"])

    def test_every_error_is_named_and_no_value_repeated(self):
        server = self.server().start()
        answer = server.post("/v1/epro/reports", {"patientId": "SECRET-7", "qolScore": 11})
        self.assertEqual(answer.status, 400)
        self.assertEqual(answer.headers["Content-Type"], "application/problem+json")
        fields = {error["field"] for error in answer.json()["errors"]}
        self.assertEqual(fields, {"trialId", "timestamp", "qolScore"})
        self.assertNotIn(b"SECRET-7", answer.body)

    def test_unknown_paths_and_methods_are_told_apart(self):
        server = self.server().start()
        self.assertEqual(server.get("/nowhere").status, 404)
        answer = server.request("DELETE", "/v1/epro/reports")
        self.assertEqual(answer.status, 405)
        self.assertEqual(set(answer.headers["Allow"].split(", ")), {"GET", "HEAD", "POST", "OPTIONS"})

    def test_requests_on_one_connection_are_answered_in_order(self):
        server = self.server().start()
        connection = server.connect()
        for number in range(20):
            connection.request("POST", "/v1/epro/reports", json.dumps(report(number)),
                               {"Content-Type": "application/json"})
            answer = connection.getresponse()
            self.assertEqual(json.loads(answer.read())["receipt"]["sequence"], number + 1)
        connection.close()

    def test_without_the_api_role_reports_come_in_and_are_not_read(self):
        server = self.server(roles="gateway,processor").start()
        self.assertEqual(server.post("/v1/epro/reports", report(1)).status, 200)
        self.assertEqual(server.get("/v1/epro/reports").status, 405)

    def test_receipts_say_when_they_are_not_durable(self):
        server = self.server(allow_unsafe="true", **{"journal.sync": "none"}).start()
        self.assertIs(server.post("/v1/epro/reports", report(1)).json()["receipt"]["durable"], False)


class Operators(ServerTest):
    def test_effective_settings_are_shown_with_secrets_masked(self):
        server = self.server(**{"store.url": "postgres://me:top-secret@127.0.0.1:1/none"}).start()
        page = server.ask_admin("/debug/config")
        self.assertEqual(page.status, 200)
        self.assertIn(b"batch_delay: 20ms", page.body)
        self.assertIn(b"postgres://me:", page.body)
        self.assertNotIn(b"top-secret", page.body)

    def test_what_is_logged_is_changed_while_it_runs(self):
        server = self.server(**{"log.access": "true"}).start()
        server.post("/v1/epro/reports", report(1, patientId="P-secret"))
        server.get("/v1/epro/reports?patientId=P-secret")
        eventually("access lines", lambda: server.log().count("access: request") == 2)
        self.assertRegex(server.log(), r"access: request server=http method=POST "
                                       r"route=/v1/epro/reports status=200 ms=[\d.e-]+")
        self.assertNotIn("P-secret", server.log())
        answer = server.request("PUT", "/debug/log?level=error&module=access", address=server.admin)
        self.assertEqual(answer.status, 200, answer.body)
        server.post("/v1/epro/reports", report(2))
        self.assertEqual(server.log().count("access: request"), 2)
        for wrong in ("", "?level=loud", "?module=net", "?level=debug&of=all", "?level=%zz"):
            answer = server.request("PUT", "/debug/log" + wrong, address=server.admin)
            self.assertEqual(answer.status, 400, wrong)
        self.assertIn("what is logged was changed level=error of=access", server.log())

    def test_a_slow_request_is_logged_without_the_access_log(self):
        server = self.server(**{"log.slow_request": "1ns", "log.slow_request_lines": "3",
                                "runtime.shards": "1"}).start()
        for number in range(60):
            server.post("/v1/epro/reports", report(number))
        eventually("a line", lambda: "warn  access: slow request server=http" in server.log())
        self.assertEqual(server.metric("trialwire_http_slow_requests_total", server="http"), 60)
        eventually("what had no line is named", lambda: server.get("/v1/epro/reports").status == 200
                   and re.search(r"server=http .* not_logged=[1-9]", server.log()))
        self.assertLess(server.log().count("slow request server=http"), 60)

    def test_health_readiness_and_metrics_are_served(self):
        server = self.server().start()
        self.assertEqual(server.ask_admin("/healthz").body, b"ok\n")
        ready = server.ask_admin("/readyz")
        self.assertEqual(ready.status, 200, ready.body)
        self.assertEqual([line.split()[0] for line in ready.body.decode().splitlines()],
                         ["process", "journal", "sink", "queries", "breaker", "breaker", "routes", "archive",
                          "disk"])
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        page = server.ask_admin("/metrics")
        self.assertEqual(page.headers["Content-Type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(server.metric("trialwire_build_info"), 1)
        self.assertGreater(server.metric("process_resident_memory_bytes"), 1 << 20)
        self.assertGreater(server.metric("process_open_fds"), 5)
        names = set(re.findall(r"^# TYPE (\S+)", page.body.decode(), re.M))
        for part in ("request", "connections", "batch", "commit", "amplification", "sequence",
                     "duplicate", "lag", "io_mode"):
            self.assertTrue(any(part in name for name in names), f"{part}: {sorted(names)}")

    def test_little_room_on_the_disk_is_not_ready(self):
        server = self.server(**{"admin.disk_room_min": "100%"}).start()
        answer = server.ask_admin("/readyz")
        self.assertEqual(answer.status, 503)
        self.assertRegex(answer.body.decode(), r"disk failed: [\d.]+% free, at least 100%")

    def test_the_printed_curl_line_works_when_pasted(self):
        if shutil.which("curl") is None:
            self.skipTest("no curl")
        server = self.server().start()
        (line,) = re.findall(r"curl -s http://\S+/v1/epro/reports .*", server.log())
        pasted = subprocess.run(["sh", "-c", line], capture_output=True, check=True, timeout=30)
        self.assertEqual(json.loads(pasted.stdout)["status"], "success")

    def test_the_log_is_json_and_without_patient_data(self):
        server = self.server(**{"log.format": "json", "log.level": "trace"}).start()
        server.post("/v1/epro/reports", report(3, patientId="P-SECRET-7"))
        server.post("/v1/epro/reports?patientId=SECRET-7", {"patientId": "SECRET-7", "x": 1})
        server.get("/v1/epro/reports?patientId=P-SECRET-7")
        server.get("/SECRET-7")
        server.wait_stored(1)
        server.stop()
        messages = []
        for line in server.log().splitlines():
            entry = json.loads(line)
            self.assertLessEqual({"time", "level", "module", "message"}, entry.keys())
            messages.append(entry["message"])
        self.assertIn("ready", messages)
        self.assertIn("stopped", messages)
        self.assertNotIn("SECRET-7", server.log())

    def test_everything_made_is_the_owners_alone(self):
        server = self.server().start()
        self.assertEqual(server.data.stat().st_mode & 0o777, 0o700)

    def check_buffered(self, server):
        server.start()
        first = server.post("/v1/epro/reports", report(1)).json()
        self.assertIn("io=buffered", server.log())
        self.assertEqual(server.metric("trialwire_journal_io_mode", mode="buffered"), 1)
        server.kill()
        server.start()
        self.assertEqual(server.post("/v1/epro/reports", report(1)).json(), first)
        server.kill()

    def test_buffered_writes_are_said_and_survive_a_kill(self):
        self.check_buffered(self.server(**{"journal.io": "buffered"}))

    @unittest.skipUnless(os.path.isdir("/dev/shm"), "no tmpfs")
    def test_a_file_system_in_memory_is_written_buffered(self):
        with tempfile.TemporaryDirectory(dir="/dev/shm") as directory:
            server = Server(directory)
            self.addCleanup(server.kill)
            self.check_buffered(server)


if __name__ == "__main__":
    unittest.main()
