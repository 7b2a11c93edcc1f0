# SPDX-License-Identifier: Apache-2.0
"""What deploy/ brings, beside the program as it is: alerts and dashboard ask for metrics that it has,
each alert has its section for who is woken, the unit is one that systemd takes."""
import base64
import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

from harness import ServerTest, report  # noqa: E402

DEPLOY = ROOT / "deploy"
RULES = DEPLOY / "prometheus-rules.yaml"
# Of Prometheus itself, and of what a machine without an archive does not have.
NOT_OURS = {"up"}


def run(*command):
    return subprocess.run(command, cwd=DEPLOY, capture_output=True, text=True, check=False)


def needed(program):
    if shutil.which(program):
        return
    if os.environ.get("CI") == "true":
        raise AssertionError(f"{program} is not installed: tools/setup-services")
    raise unittest.SkipTest(f"{program} is not installed")


def names(expression):
    without = re.sub(r'"[^"]*"', "", expression)
    without = re.sub(r"\b(by|on|without|ignoring)\s*\([^)]*\)", "", without)
    return set(re.findall(r"\b(trialwire_\w+|process_\w+|up)\b", without))


class Deploy(ServerTest):
    def identity_provider(self, certificate):
        """Of the public key in that certificate."""
        text = subprocess.run(["openssl", "x509", "-in", str(certificate), "-noout", "-pubkey"],
                              check=True, capture_output=True).stdout
        der = subprocess.run(["openssl", "pkey", "-pubin", "-outform", "DER"], input=text, check=True,
                             capture_output=True).stdout
        x, y = (base64.urlsafe_b64encode(part).rstrip(b"=").decode()
                for part in (der[-64:-32], der[-32:]))
        body = json.dumps({"keys": [{"kty": "EC", "crv": "P-256", "x": x, "y": y}]}).encode()

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        provider = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=provider.serve_forever, daemon=True).start()
        self.addCleanup(provider.server_close)
        self.addCleanup(provider.shutdown)
        return provider

    def metric_names(self):
        server = self.server(**{"kafka.brokers": "127.0.0.1:1",
                                "archive.url": f"file:{self.directory}/archive"}).start()
        self.assertEqual(server.post("/v1/epro/reports", report(1)).status, 200)
        self.assertEqual(server.post("/v1/epro/reports", {}).status, 400)
        server.wait_stored(1)
        text = server.ask_admin("/metrics").body.decode()
        server.stop()
        # And of what is off unless it is set.
        certificate, key, secret = (self.directory / name for name in ("c.pem", "c.key", "secret"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=deploy", "-keyout",
                        str(key), "-out", str(certificate)], check=True, capture_output=True)
        secret.write_text("a secret of more than thirty-two bytes")
        for file in (key, secret):
            file.chmod(0o600)
        provider = self.identity_provider(certificate)
        server.settings.update({"http.tls.cert": str(certificate), "http.tls.key": str(key),
                                "auth.mode": "jwt", "auth.jwt.secret_file": str(secret),
                                "limits.rate.per_second": "1000",
                                "auth.jwt.jwks_url": f"http://127.0.0.1:{provider.server_port}/",
                                "discovery.etcd": "127.0.0.1:1"})
        token = self.directory / "admin-token"
        token.write_text("a token of more than thirty-two bytes".replace(" ", "-"))
        token.chmod(0o600)
        server.start()
        text += server.ask_admin("/metrics").body.decode()
        server.stop()
        server.settings["admin.token_file"] = str(token)
        server.start()
        text += server.request("GET", "/metrics", address=server.admin, headers={
            "Authorization": "Bearer " + token.read_text()}).body.decode()
        return {line.split("{")[0].split(" ")[0] for line in text.splitlines()
                if line and line[0] != "#"}

    def test_alerts_and_dashboard_ask_for_what_there_is(self):
        have = self.metric_names() | NOT_OURS
        rules = re.findall(r"expr: (?:>-\n)?((?:.|\n)*?)(?=\n\s+(?:for|labels):)", RULES.read_text())
        self.assertGreaterEqual(len(rules), 31)
        board = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
        asked = [target["expr"] for panel in board["panels"] for target in panel.get("targets", [])]
        self.assertGreaterEqual(len(asked), 50)
        for expression in rules + asked:
            found = names(expression)
            self.assertTrue(found, expression)
            self.assertLessEqual(found, have, expression)

    def test_what_the_lanes_of_a_journal_share_is_not_summed_over_them(self):
        for file in (RULES, DEPLOY / "grafana-dashboard.json"):
            self.assertNotRegex(file.read_text(), r"sum[^\n]*trialwire_sink_lag_(records|bytes)")

    def test_commands_for_who_is_woken_name_the_settings_of_the_installation(self):
        text = (ROOT / "docs/operations.md").read_text()
        commands = re.findall(r"`(trialwire\s+[a-z][^`]*)`", re.sub(r"```.*?```", "", text, flags=re.S))
        commands += re.findall(r"^(?:sudo -u trialwire )?(trialwire .*)$", text, re.M)
        self.assertGreaterEqual(len(commands), 12)
        for command in commands:
            self.assertIn("--config /etc/trialwire/trialwire.yaml", " ".join(command.split()))

    def test_each_alert_has_a_section_for_who_is_woken(self):
        alerts = re.findall(r"- alert: (\w+)", RULES.read_text())
        sections = re.findall(r"^### (\w+)$", (ROOT / "docs/operations.md").read_text(), re.M)
        self.assertEqual(alerts, sections)

    def test_promtool_takes_the_rules_and_they_fire_when_they_are_to(self):
        needed("promtool")
        for words in (("check", "rules", str(RULES)),
                      ("test", "rules", str(DEPLOY / "prometheus-rules-test.yaml"))):
            done = run("promtool", *words)
            self.assertEqual(done.returncode, 0, done.stdout + done.stderr)

    def test_systemd_takes_the_unit(self):
        needed("systemd-analyze")
        unit = self.directory / "trialwire.service"
        text = (DEPLOY / "trialwire.service").read_text()
        unit.write_text(text.replace("/usr/bin/trialwire", os.environ["TRIALWIRE_BINARY"]))
        done = run("systemd-analyze", "verify", "--man=no", str(unit))
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        done = run("systemd-analyze", "security", "--offline=true", "--threshold=20", str(unit))
        self.assertEqual(done.returncode, 0, done.stdout[-500:])


if __name__ == "__main__":
    unittest.main()
