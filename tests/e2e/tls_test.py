# SPDX-License-Identifier: Apache-2.0
"""The real binary behind TLS: certificates made by the openssl program, clients of Python."""
import http.client
import json
import os
import signal
import ssl
import subprocess
import unittest

from harness import BINARY, Answer, PATIENCE, ServerTest, eventually, report


def openssl(*arguments):
    subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)


class TlsTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.make("ca", "/CN=test authority", "-x509", "-days", "2")
        self.sign("server", "first")
        self.gateway = self.server(**{
            "http.tls.cert": str(self.directory / "server.pem"),
            "http.tls.key": str(self.directory / "server.key"), "http.tls.refresh": "1s"})

    def make(self, name, subject, *arguments):
        out = self.directory / (name + (".pem" if "-x509" in arguments else ".csr"))
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj",
                subject, "-keyout", self.directory / f"{name}.key", "-out", out, *arguments)
        os.chmod(self.directory / f"{name}.key", 0o600)

    def sign(self, name, subject):
        """`name`.pem and `name`.key, which take the place of what was there each at once."""
        self.make("new", f"/CN={subject}")
        (self.directory / "names").write_text("subjectAltName=IP:127.0.0.1\n")
        openssl("x509", "-req", "-in", self.directory / "new.csr", "-CA", self.directory / "ca.pem",
                "-CAkey", self.directory / "ca.key", "-days", "1", "-extfile",
                self.directory / "names", "-out", self.directory / "new.pem")
        for suffix in (".key", ".pem"):
            os.replace(self.directory / f"new{suffix}", self.directory / f"{name}{suffix}")

    def context(self, client=None):
        context = ssl.create_default_context(cafile=str(self.directory / "ca.pem"))
        if client:
            context.load_cert_chain(self.directory / f"{client}.pem", self.directory / f"{client}.key")
        return context

    def ask(self, method, path, body=None, context=None):
        connection = http.client.HTTPSConnection(self.gateway.http, timeout=PATIENCE,
                                                 context=context or self.context())
        try:
            connection.request(method, path, body and json.dumps(body),
                               {"Content-Type": "application/json"} if body else {})
            answer = Answer(connection.getresponse())
            subject = dict(part[0] for part in connection.sock.getpeercert()["subject"]) \
                if connection.sock else {}
            return answer, subject
        finally:
            connection.close()

    def served(self):
        with self.context().wrap_socket(self.plain_socket(), server_hostname="127.0.0.1") as secured:
            return dict(part[0] for part in secured.getpeercert()["subject"])["commonName"]

    def plain_socket(self):
        connection = http.client.HTTPConnection(self.gateway.http, timeout=PATIENCE)
        connection.connect()
        return connection.sock

    def load(self, *arguments, url=None):
        return subprocess.run(
            [BINARY, "load", url or f"https://{self.gateway.http}", "--count", "2000",
             "--connections", "16", "--pipeline", "4", "--json", "--quiet", *map(str, arguments)],
            capture_output=True, text=True, timeout=PATIENCE, check=False)

    def test_load_speaks_tls_and_trusts_whom_it_is_told_to(self):
        self.gateway.start()
        run = self.load("--cacert", self.directory / "ca.pem")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertEqual(json.loads(run.stdout)["status"], {"200": 2000})
        self.assertEqual(self.load("--insecure").returncode, 0)
        run = self.load()
        self.assertEqual(run.returncode, 2)
        self.assertIn("cannot connect", run.stderr)
        self.assertIn("TLS: certificate verify failed", run.stderr)
        port = self.gateway.http.rsplit(":", 1)[1]
        run = self.load("--cacert", self.directory / "ca.pem", url=f"https://localhost:{port}")
        self.assertIn("hostname mismatch", run.stderr.lower())
        run = self.load("--cacert", self.directory / "server.key")
        self.assertEqual(run.returncode, 2)
        self.assertIn("no certificates can be read", run.stderr)
        run = self.load("--insecure", url=f"http://{self.gateway.http}")
        self.assertIn("need an https:// URL", run.stderr)
        # To a port that speaks no TLS.
        run = self.load("--insecure", url=f"https://{self.gateway.admin}")
        self.assertEqual(run.returncode, 2)
        self.assertIn("cannot connect", run.stderr)

    def test_reports_arrive_and_are_listed_and_the_greeting_says_https(self):
        self.gateway.start()
        for number in range(20):
            answer, _ = self.ask("POST", "/v1/epro/reports", report(number))
            self.assertEqual(answer.status, 200, answer.body)
        eventually("listed", lambda: len(
            self.ask("GET", "/v1/epro/reports?limit=100")[0].json()["items"]) == 20)
        self.assertIn(f"https://{self.gateway.http}/v1/epro/reports", self.gateway.log())
        self.assertGreater(self.gateway.metric("trialwire_tls_handshakes_total", result="ok"), 0)

    def test_plain_requests_get_no_answer(self):
        self.gateway.start()
        with self.assertRaises((http.client.BadStatusLine, ConnectionError)):
            self.gateway.get("/v1/epro/reports")

    def test_a_new_certificate_is_served_a_broken_one_is_not(self):
        self.gateway.start()
        self.assertEqual(self.served(), "first")
        self.sign("server", "second")
        eventually("the new one", lambda: self.served() == "second")
        (self.directory / "server.pem").write_text("-----BEGIN CERTIFICATE-----\nbroken\n")
        eventually("the metric", lambda: self.gateway.metric("trialwire_tls_certificate_current") == 0)
        self.assertEqual(self.served(), "second")
        self.assertEqual(self.ask("POST", "/v1/epro/reports", report(1))[0].status, 200)
        self.assertNotIn("broken", self.gateway.log())
        self.sign("server", "third")
        eventually("mended", lambda: self.served() == "third")
        self.assertEqual(self.gateway.metric("trialwire_tls_certificate_current"), 1)

    def test_clients_without_a_certificate_are_refused_where_one_is_wanted(self):
        self.sign("device", "a device")
        self.gateway.settings["http.tls.client_ca"] = str(self.directory / "ca.pem")
        self.gateway.start()
        answer, _ = self.ask("POST", "/v1/epro/reports", report(1), self.context("device"))
        self.assertEqual(answer.status, 200)
        with self.assertRaises((ssl.SSLError, ConnectionError, http.client.BadStatusLine)):
            self.ask("POST", "/v1/epro/reports", report(2))

    def test_files_that_cannot_be_used_are_named_at_the_start(self):
        os.chmod(self.directory / "server.key", 0o644)
        self.gateway.start(wait=False)
        self.assertNotEqual(self.gateway.wait(), 0)
        self.assertIn("chmod 600", self.gateway.log())
        self.assertIn("server.key", self.gateway.log())

    def test_a_stop_answers_what_was_taken_and_ends_in_order(self):
        self.gateway.start()
        connection = http.client.HTTPSConnection(self.gateway.http, timeout=PATIENCE,
                                                 context=self.context())
        connection.request("POST", "/v1/epro/reports", json.dumps(report(1)),
                           {"Content-Type": "application/json"})
        self.assertEqual(connection.getresponse().status, 200)
        self.assertEqual(self.gateway.stop(signal.SIGTERM), 0)
        connection.close()

    def test_beyond_loopback_it_wants_tokens_besides(self):
        self.gateway.settings["http.listen"] = "0.0.0.0:0"
        checked = self.gateway.run("config", "check")
        self.assertNotEqual(checked.returncode, 0)
        self.assertIn("no authentication", checked.stdout + checked.stderr)
        secret = self.directory / "secret"
        secret.write_text("a secret of more than thirty-two bytes\n")
        os.chmod(secret, 0o600)
        self.gateway.settings.update({"auth.mode": "jwt", "auth.jwt.secret_file": str(secret)})
        checked = self.gateway.run("config", "check")
        self.assertEqual(checked.returncode, 0, checked.stdout + checked.stderr)


if __name__ == "__main__":
    unittest.main()
