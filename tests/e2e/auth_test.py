# SPDX-License-Identifier: Apache-2.0
"""The real binary with auth.mode: jwt: who gets in, what they see, what stays secret."""
import base64
import hashlib
import hmac
import json
import os
import stat
import time
import unittest

from harness import ServerTest, eventually, report

SECRET = "an end-to-end secret of forty bytes or so"


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=")


def sign(claims, secret=SECRET, header=None):
    """Of Python's standard library alone: a second implementation."""
    claims = {"exp": int(time.time()) + 600, **claims}
    text = part(header or {"alg": "HS256", "typ": "JWT"}) + b"." + part(claims)
    mac = hmac.new(secret.encode(), text, hashlib.sha256).digest()
    return (text + b"." + part(mac)).decode()


ANSWER = {"patient_id": "P-1", "question_id": "Q1", "answer": 3,
          "submit_time": "2026-03-01T08:15:30Z", "trial_id": "T-1"}
VITAL = {"deviceId": "D-1", "patientId": "P-1", "trialId": "T-1", "timestamp": 1772352930250,
         "heartRate": 70}
METRIC = {"metricId": "M-1", "studyId": "T-1", "siteId": "S-1", "value": 1}
LEGACY = {"report_id": "L-1", "patient_id": "P-1", "data": "well"}
SCOPES = ["reports:write", "vitals:write", "metrics:write", "projects:write", "imaging:write",
          "records:read", "alerts:ack", "admin"]
# Every route that clients reach (apps/trialwire/route_table_test.cpp holds the router to the table).
ROUTES = [
    ("POST", "/v1/epro/reports", report(1), "reports:write"),
    ("POST", "/v1/patient/report", report(1), "reports:write"),
    ("POST", "/epro/submit", report(1), "reports:write"),
    ("POST", "/submit", LEGACY, "reports:write"),
    ("POST", "/v1/epro/qol", [ANSWER], "reports:write"),
    ("POST", "/submit_qol", [ANSWER], "reports:write"),
    ("POST", "/v1/vitals", VITAL, "vitals:write"),
    ("POST", "/v1/metrics", METRIC, "metrics:write"),
    ("GET", "/v1/epro/reports", None, "records:read"),
    ("GET", "/v1/epro/qol", None, "records:read"),
    ("GET", "/v1/vitals", None, "records:read"),
    ("GET", "/v1/metrics", None, "records:read"),
    ("GET", "/v1/audit", None, "records:read"),
]
# The audit trail has rows of its own: audit_test.py.
LISTS = [path for method, path, _, _ in ROUTES if method == "GET" and path != "/v1/audit"]


class AuthTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.secret_file = self.directory / "secret"
        self.write_secret(SECRET)
        self.gateway = self.server(**{
            "auth.mode": "jwt", "auth.jwt.secret_file": str(self.secret_file),
            "auth.jwt.issuer": "https://idp", "auth.jwt.audience": "trialwire",
            "auth.jwt.refresh": "1s"})

    def write_secret(self, text):
        new = self.directory / "new"
        new.write_text(text + "\n")
        os.chmod(new, 0o600)
        os.replace(new, self.secret_file)

    def token(self, scope="", secret=SECRET, header=None, **claims):
        return sign({"iss": "https://idp", "aud": "trialwire", "sub": "tester", "scope": scope,
                     **claims}, secret, header)

    def ask(self, method, path, token=None, body=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        if token is not None:
            headers["Authorization"] = "Bearer " + token
        return self.gateway.request(method, path, None if body is None else json.dumps(body), headers)

    def items(self, path, **claims):
        answer = self.ask("GET", path, self.token("records:read", **claims))
        self.assertEqual(answer.status, 200, answer.body)
        page = answer.json()
        self.assertEqual(set(page), {"items", "next"})
        return page["items"]

    def metric(self, series):
        for line in self.gateway.ask_admin("/metrics").body.decode().splitlines():
            if line.startswith(series + " "):
                return float(line.rsplit(" ", 1)[1])
        return None

    def test_every_route_wants_its_scope_and_no_other_will_do(self):
        self.gateway.start()
        for method, path, body, scope in ROUTES:
            with self.subTest(route=f"{method} {path}"):
                answer = self.ask(method, path, None, body)
                self.assertEqual(answer.status, 401)
                self.assertTrue(answer.headers["WWW-Authenticate"].startswith("Bearer "))
                others = " ".join(name for name in SCOPES if name != scope)
                answer = self.ask(method, path, self.token(others), body)
                self.assertEqual(answer.status, 403)
                self.assertIn(scope, answer.json()["error"])
                self.assertIn(f'scope="{scope}"', answer.headers["WWW-Authenticate"])
                token = self.token(scope, roles=["auditor"])
                self.assertEqual(self.ask(method, path, token, body).status, 200)

    def test_a_name_has_a_rate_of_its_own(self):
        self.gateway.settings.update({"limits.rate.subject_per_second": "1",
                                      "limits.rate.subject_burst": "3"})
        self.gateway.start()
        busy, other = self.token("reports:write"), self.token("reports:write", sub="another")
        answers = [self.ask("POST", "/v1/epro/reports", busy, report(n)) for n in range(6)]
        self.assertEqual([a.status for a in answers[:3]], [200] * 3)
        self.assertEqual(answers[5].status, 429)
        self.assertEqual(answers[5].headers["RateLimit-Policy"], '"subject";q=3;w=3')
        self.assertEqual(int(answers[5].headers["Retry-After"]), 1)
        self.assertEqual(self.ask("POST", "/v1/epro/reports", other, report(9)).status, 200)
        self.assertNotIn("tester", self.gateway.log())

    def test_foreign_studies_sites_and_subjects_are_not_seen_on_any_list(self):
        self.gateway.start()
        writer = self.token("reports:write vitals:write metrics:write")
        for study, site, patient in (("T-1", "S-1", "P-1"), ("T-1", "S-2", "P-2"),
                                     ("T-2", "S-1", "P-1")):
            at = f"{study}{site}{patient}"
            for path, body in (
                    ("/v1/epro/reports", report(1, patientId=patient, trialId=study, siteId=site,
                                                reportId=at)),
                    ("/v1/epro/qol", [{**ANSWER, "patient_id": patient, "trial_id": study}]),
                    ("/v1/vitals", {**VITAL, "patientId": patient, "trialId": study,
                                    "deviceId": at}),
                    ("/v1/metrics", {**METRIC, "studyId": study, "siteId": site})):
                self.assertEqual(self.ask("POST", path, writer, body).status, 200)
        for path in LISTS:
            eventually(path, lambda p=path: len(self.items(p, studies="*")) == 3)
        study_field = {"/v1/epro/reports": "trialId", "/v1/epro/qol": "trial_id",
                       "/v1/vitals": "trialId", "/v1/metrics": "studyId"}
        patient_field = {"/v1/epro/qol": "patient_id"}
        for path in LISTS:
            with self.subTest(list=path):
                own = self.items(path, studies=["T-1"])
                self.assertEqual({item[study_field[path]] for item in own}, {"T-1"})
                self.assertEqual(len(own), 2)
                self.assertEqual(self.items(path, studies=["T-9"]), [])
                self.assertEqual(self.items(path, studies=[]), [])
                self.assertEqual(self.items(path), [])
                self.assertEqual(self.items(path, studies="*", sites=[]), [])
                # Asked for by name, a foreign study is as empty as one that never was.
                foreign = f"{path}?{'studyId' if path == '/v1/metrics' else 'trialId'}="
                self.assertEqual(self.items(foreign + "T-2", studies=["T-1"]),
                                 self.items(foreign + "T-never", studies=["T-1"]))
                by_site = self.items(path, studies=["T-1"], sites=["S-2"])
                self.assertEqual({item["siteId"] for item in by_site} if by_site else {"S-2"},
                                 {"S-2"})
                has_site = path in ("/v1/epro/reports", "/v1/metrics")
                self.assertEqual(len(by_site), 1 if has_site else 0)
                by_subject = self.items(path, studies=["T-1"], subject="P-1")
                self.assertEqual(len(by_subject), 0 if path == "/v1/metrics" else 1)
                for item in by_subject:
                    self.assertEqual(item[patient_field.get(path, "patientId")], "P-1")

    def test_a_cursor_of_another_grants_nothing(self):
        self.gateway.start()
        writer = self.token("reports:write")
        body = [report(n, trialId="T-2") for n in range(4)]
        self.assertEqual(self.ask("POST", "/v1/epro/reports", writer, body).status, 200)
        eventually("rows", lambda: len(self.items("/v1/epro/reports", studies="*")) == 4)
        page = self.ask("GET", "/v1/epro/reports?limit=2",
                        self.token("records:read", studies=["T-2"])).json()
        self.assertIsNotNone(page["next"])
        stolen = "/v1/epro/reports?cursor=" + page["next"]
        self.assertEqual(self.items(stolen, studies=["T-1"]), [])
        self.assertEqual(len(self.items(stolen, studies=["T-2"])), 2)

    def test_a_subject_writes_only_for_itself_and_a_study_s_token_for_its_study(self):
        self.gateway.start()
        own = self.token("reports:write vitals:write metrics:write", subject="P-1")
        study = self.token("reports:write vitals:write metrics:write", studies=["T-2"])
        for method, path, body, _ in ROUTES:
            if method != "POST":
                continue
            with self.subTest(path=path):
                mine = path != "/v1/metrics"
                self.assertEqual(self.ask("POST", path, own, body).status, 200 if mine else 403)
                text = json.dumps(body).replace("P-1", "P-2").replace("R-1", "R-2")
                answer = self.ask("POST", path, own, json.loads(text))
                self.assertEqual(answer.status, 403)
                self.assertEqual(answer.json()["errors"][0]["rule"], "forbidden")
                self.assertNotIn("P-2", answer.body.decode())
                self.assertEqual(self.ask("POST", path, study, body).status, 403)
        self.assertGreater(self.metric(
            'trialwire_ingest_field_errors_total{kind="epro_report",rule="forbidden"}'), 0)

    def test_forged_tokens_are_refused_and_counted_by_reason(self):
        self.gateway.start()
        now = int(time.time())
        good = self.token("records:read")
        head, claims, mac = good.split(".")
        cases = [
            ("missing", None),
            ("algorithm", part({"alg": "none"}).decode() + "." + claims + "."),
            ("algorithm", self.token("records:read", header={"alg": "HS512"})),
            ("signature", self.token("records:read", secret="another secret, of enough bytes too")),
            ("signature", head + "." + part({"exp": now + 600, "scope": "admin"}).decode() + "." + mac),
            ("unknown_key", self.token("records:read", header={"alg": "RS256", "kid": "../../secret"})),
            ("no_expiry", self.token("records:read", exp=None)),
            ("expired", self.token("records:read", exp=now - 31)),
            ("not_yet_valid", self.token("records:read", nbf=now + 120)),
            ("issued_in_future", self.token("records:read", iat=now + 120)),
            ("issuer", self.token("records:read", iss="https://other")),
            ("audience", self.token("records:read", aud=["other"])),
            ("claims", self.token("records:read", studies={"T-1": True})),
            ("claims", sign({"iss": "https://idp", "aud": "trialwire", "scope": "records:read"})),
            ("critical", self.token("records:read", header={"alg": "HS256", "crit": ["x"]})),
            ("malformed", "a.b"),
            ("too_large", "a" * 9000),
        ]
        for reason, token in cases:
            with self.subTest(reason=reason):
                series = f'trialwire_auth_refused_total{{reason="{reason}"}}'
                before = self.metric(series)
                answer = self.ask("GET", "/v1/epro/reports", token)
                self.assertEqual(answer.status, 401)
                self.assertEqual(answer.json()["errors"][0]["rule"], reason)
                self.assertEqual(self.metric(series), before + 1)
        self.assertEqual(self.ask("GET", "/v1/epro/reports", good).status, 200)

    def test_a_secret_is_rotated_without_a_restart(self):
        self.gateway.start()
        old = self.token("records:read")
        self.assertEqual(self.ask("GET", "/v1/epro/reports", old).status, 200)
        self.write_secret("the next secret, which is long enough, too")
        new = self.token("records:read", secret="the next secret, which is long enough, too")
        eventually("the new secret",
                   lambda: self.ask("GET", "/v1/epro/reports", new).status == 200)
        self.assertEqual(self.ask("GET", "/v1/epro/reports", old).status, 401)
        self.write_secret("short")
        eventually("a failed reload", lambda: self.metric(
            'trialwire_auth_key_reloads_total{result="failed"}') >= 1)
        self.assertEqual(self.ask("GET", "/v1/epro/reports", new).status, 200)

    def test_nothing_secret_is_in_log_metrics_and_printed_settings(self):
        self.gateway.start()
        token = self.token("reports:write", subject="P-1")
        self.ask("POST", "/v1/epro/reports", token, report(1))
        self.ask("POST", "/v1/epro/reports", token[:-2] + "xx", report(1))
        printed = self.gateway.run("config", "print").stdout
        metrics = self.gateway.ask_admin("/metrics").body.decode()
        self.gateway.stop()
        self.assertIn("secret_file", printed)
        for where, text in (("log", self.gateway.log()), ("metrics", metrics),
                            ("config print", printed)):
            self.assertNotIn(SECRET, text, where)
            for piece in token.split("."):
                self.assertNotIn(piece, text, where)

    def test_who_sent_it_is_kept_with_the_record(self):
        self.gateway.start()
        self.assertEqual(self.ask("POST", "/v1/epro/reports", self.token("reports:write"),
                                  report(1)).status, 200)
        self.gateway.stop()
        lines = self.gateway.run("journal", "cat").stdout.splitlines()
        self.assertEqual(json.loads(lines[0])["principal"], "tester")

    def test_a_secret_that_others_can_read_stops_the_start(self):
        os.chmod(self.secret_file, stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP)
        self.gateway.start(wait=False)
        self.assertEqual(self.gateway.wait(), 1)
        self.assertIn("chmod 600", self.gateway.log())
        self.assertIn(str(self.secret_file), self.gateway.log())

    def test_tokens_are_issued_and_verified_on_the_command_line(self):
        issued = self.gateway.run("token", "issue", "--name", "app", "--subject", "P-1", "--study",
                                 "T-1", "--scope", "reports:write", "--scope", "records:read",
                                 "--for", "10min")
        self.assertEqual(issued.returncode, 0, issued.stderr)
        token = issued.stdout.strip()
        verified = self.gateway.run("token", "verify", input=token + "\n")
        self.assertEqual(verified.returncode, 0, verified.stderr)
        said = json.loads(verified.stdout)
        self.assertEqual((said["name"], said["subject"], said["studies"], said["scopes"]),
                         ("app", "P-1", ["T-1"], ["reports:write", "records:read"]))
        nobody = self.gateway.run("token", "issue", "--study", "T-1", "--scope", "reports:write")
        self.assertEqual(nobody.returncode, 2)
        self.assertIn("--name", nobody.stderr)
        refused = self.gateway.run("token", "verify", input=token[:-3] + "abc\n")
        self.assertEqual(refused.returncode, 1)
        self.assertIn("signature", refused.stderr)
        self.assertNotIn(token[:20], refused.stderr)
        self.gateway.start()
        self.assertEqual(self.ask("POST", "/v1/epro/reports", token, report(1)).status, 200)
        eventually("its row", lambda: len(self.ask("GET", "/v1/epro/reports", token)
                                          .json()["items"]) == 1)


if __name__ == "__main__":
    unittest.main()
