# SPDX-License-Identifier: Apache-2.0
"""The real binary with auth.jwt.jwks_url before an identity provider that rotates its keys, is away,
hangs, or sends what is none. Keys are made and tokens signed by the openssl program."""
import base64
import http.server
import json
import re
import subprocess
import threading
import time
import unittest

from harness import PATIENCE, ServerTest, eventually, report


def part(value):
    text = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(text).rstrip(b"=").decode()


class Key:
    """RSA, by openssl alone: a second implementation."""

    def __init__(self, directory, name):
        self.name, self.file = name, directory / f"{name}.pem"
        self.openssl("genrsa", "-out", str(self.file), "2048")

    @staticmethod
    def openssl(*arguments, data=None):
        return subprocess.run(["openssl", *arguments], input=data, check=True,
                              capture_output=True).stdout

    def jwk(self):
        modulus = self.openssl("rsa", "-in", str(self.file), "-noout", "-modulus")
        number = bytes.fromhex(modulus.decode().split("=")[1].strip())
        return {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": self.name, "n": part(number),
                "e": "AQAB"}

    def token(self, kid=None, **claims):
        claims = {"sub": "tester", "scope": "records:read", "exp": int(time.time()) + 600, **claims}
        text = part({"alg": "RS256", "kid": kid or self.name}) + "." + part(claims)
        signature = self.openssl("dgst", "-sha256", "-sign", str(self.file), data=text.encode())
        return text + "." + part(signature)


class QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_):
        """A client that has gone before its answer is none."""


class Provider:
    """What a token's issuer serves at /keys."""

    def __init__(self):
        self.body, self.status, self.asked, self.hangs = b"{}", 200, [], threading.Event()
        self.hangs.set()
        self.port = 0
        self.server = None

    def start(self):
        provider = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                provider.asked.append((self.path, time.monotonic()))
                provider.hangs.wait(PATIENCE)
                self.send_response(provider.status)
                self.send_header("Content-Length", str(len(provider.body)))
                self.end_headers()
                self.wfile.write(provider.body)

            def log_message(self, *_):
                pass

        self.server = QuietServer(("127.0.0.1", self.port), Handler)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def stop(self):
        if self.server:
            self.server.shutdown()
            self.server.server_close()
            self.server = None

    def serves(self, *keys):
        self.body, self.status = json.dumps({"keys": [key.jwk() for key in keys]}).encode(), 200


class JwksTest(ServerTest):
    def setUp(self):
        super().setUp()
        self.one, self.two = Key(self.directory, "one"), Key(self.directory, "two")
        self.provider = Provider().start()
        self.addCleanup(self.provider.stop)
        self.provider.serves(self.one)
        self.gateway = self.server(**{
            "auth.mode": "jwt",
            "auth.jwt.jwks_url": f"http://127.0.0.1:{self.provider.port}/keys?a=b",
            "auth.jwt.jwks_refresh": "1h", "auth.jwt.jwks_refresh_min": "300ms",
            "services.deadline": "1s"})

    def status_of(self, token):
        headers = {"Authorization": "Bearer " + token}
        return self.gateway.request("GET", "/v1/epro/reports", headers=headers).status

    def refused(self, reason):
        return self.gateway.metric("trialwire_auth_refused_total", reason=reason)

    def ready_line(self):
        page = self.gateway.ask_admin("/readyz")
        return page.status, next(line for line in page.body.decode().splitlines()
                                 if line.startswith("jwks "))

    def test_keys_are_there_when_clients_come_and_no_request_fetches_them(self):
        self.gateway.start()
        token = self.one.token()
        for _ in range(50):
            self.assertEqual(self.status_of(token), 200)
            self.assertEqual(self.status_of(token[:-4] + "AAAA"), 401)
        self.assertEqual([path for path, _ in self.provider.asked], ["/keys?a=b"])
        self.assertRegex(self.ready_line()[1], r"^jwks ok: fetched \d+ s ago$")
        self.assertEqual(self.gateway.metric("trialwire_auth_jwks_current"), 1)
        self.assertGreaterEqual(self.gateway.metric("trialwire_auth_jwks_age_seconds"), 0)

    def test_a_key_that_is_new_is_fetched_for_the_token_that_names_it(self):
        self.gateway.start()
        self.assertEqual(self.status_of(self.one.token()), 200)
        self.provider.serves(self.one, self.two)
        new = self.two.token()
        self.assertEqual(self.status_of(new), 401)
        eventually("the new key", lambda: self.status_of(new) == 200)
        self.assertEqual(self.status_of(self.one.token()), 200)
        self.provider.serves(self.two)
        self.assertEqual(self.status_of(self.one.token(kid="unheard-of")), 401)
        eventually("the old key is gone", lambda: self.status_of(self.one.token()) == 401)
        self.assertEqual(self.status_of(new), 200)

    def test_unknown_names_fetch_no_more_often_than_is_allowed_and_are_inert(self):
        self.gateway.start()
        names = ["../../../../etc/passwd", "/dev/zero", f"http://127.0.0.1:{self.provider.port}/evil",
                 "one\u0000", "' OR 1=1 --", "$(id)", "keys/../one", "x" * 2000]
        tokens = [self.two.token(kid=name) for name in names]
        began = time.monotonic()
        while time.monotonic() - began < 2:
            for token in tokens:
                self.assertEqual(self.status_of(token), 401)
        took = time.monotonic() - began
        self.assertEqual({path for path, _ in self.provider.asked}, {"/keys?a=b"})
        times = [at for _, at in self.provider.asked]
        self.assertGreaterEqual(len(times), 2)
        self.assertLessEqual(len(times), took / 0.3 + 2)
        self.assertGreaterEqual(self.refused("unknown_key"), 8)

    def test_a_provider_that_is_down_leaves_the_last_good_keys(self):
        self.gateway.start()
        token, unknown = self.one.token(), self.two.token()
        self.assertEqual(self.status_of(token), 200)
        bad_days = [("cut off", lambda: self.provider.stop()),
                    ("is back", lambda: self.provider.start()),
                    ("500", lambda: setattr(self.provider, "status", 500)),
                    ("html", lambda: self.set_body(b"<html>secret-looking-text</html>")),
                    ("empty", lambda: self.set_body(b'{"keys":[]}')),
                    ("large", lambda: self.set_body(b" " * (300 << 10))),
                    ("private", lambda: self.set_body(json.dumps(
                        {"keys": [{**self.one.jwk(), "d": "c2VjcmV0LWtleQ"}]}).encode())),
                    ("hangs", lambda: self.provider.hangs.clear())]
        for what, happens in bad_days:
            with self.subTest(what=what):
                happens()
                failed = self.gateway.metric("trialwire_auth_jwks_fetches_total", result="failed")
                self.assertEqual(self.status_of(unknown), 401)
                if what == "is back":
                    eventually("well", lambda: self.ready_line()[1].startswith("jwks ok"))
                    continue
                eventually("it is noticed", lambda f=failed: self.gateway.metric(
                    "trialwire_auth_jwks_fetches_total", result="failed") > f)
                self.assertEqual(self.status_of(token), 200)
                status, line = self.ready_line()
                self.assertEqual(status, 200, "traffic may come: known keys are in force")
                self.assertRegex(line, r"^jwks degraded: fetched \d+ s ago: ")
                self.assertEqual(self.gateway.metric("trialwire_auth_jwks_current"), 0)
        self.provider.hangs.set()
        self.provider.serves(self.two)
        eventually("rotated", lambda: self.status_of(unknown) == 200)
        self.assertEqual(self.status_of(token), 401)
        log = self.gateway.log()
        for secret in ("secret-looking-text", "c2VjcmV0LWtleQ", token.split(".")[2],
                       self.one.jwk()["n"]):
            self.assertNotIn(secret, log)
        self.assertEqual(self.gateway.stop(), 0)

    def set_body(self, body):
        self.provider.status, self.provider.body = 200, body

    def test_without_its_keys_a_server_starts_is_not_ready_and_becomes_so(self):
        self.provider.stop()
        self.gateway.start()
        token = self.one.token()
        self.assertEqual(self.status_of(token), 401)
        status, line = self.ready_line()
        self.assertEqual(status, 503)
        self.assertRegex(line, r"^jwks failed: not fetched yet: jwks: ")
        self.assertEqual(self.gateway.ask_admin("/healthz").status, 200)
        self.assertGreaterEqual(self.refused("unknown_key"), 1)
        self.provider.start()
        eventually("ready", lambda: self.gateway.ask_admin("/readyz").status == 200)
        self.assertEqual(self.status_of(token), 200)

    def test_a_provider_that_hangs_delays_a_start_by_its_deadline_at_most(self):
        self.provider.hangs.clear()
        began = time.monotonic()
        self.gateway.start()
        took = time.monotonic() - began
        print(f"\nstart with a provider that hangs, services.deadline 1 s: {took:.2f} s")
        self.assertLess(took, 8)
        self.assertEqual(self.status_of(self.one.token()), 401)
        self.provider.hangs.set()
        eventually("its keys", lambda: self.status_of(self.one.token()) == 200)

    def test_beside_a_secret_the_server_is_ready_without_them(self):
        secret = self.directory / "secret"
        secret.write_text("a secret of more than thirty-two bytes")
        secret.chmod(0o600)
        self.provider.stop()
        self.gateway.settings["auth.jwt.secret_file"] = str(secret)
        self.gateway.start()
        status, line = self.ready_line()
        self.assertEqual(status, 200)
        self.assertTrue(line.startswith("jwks degraded: "), line)

    def test_commands_take_the_keys_from_there_too(self):
        token = self.one.token(studies=["T-1"])
        verified = self.gateway.run("token", "verify", input=token + "\n")
        self.assertEqual(verified.returncode, 0, verified.stderr)
        self.assertEqual(json.loads(verified.stdout)["name"], "tester")
        connects = self.gateway.run("config", "check", "--connect")
        self.assertIn("auth.jwt.jwks_url: 1 keys", connects.stdout)
        self.provider.stop()
        away = self.gateway.run("token", "verify", input=token + "\n")
        self.assertEqual(away.returncode, 1)
        self.assertIn("jwks: ", away.stderr)

    def test_an_address_that_others_could_answer_for_is_refused(self):
        for url, why in (("http://idp.example/keys", "is not https"),
                         ("https://user:secret@idp.example/keys", "neither user nor password"),
                         ("file:///etc/passwd", "must begin with"),
                         ("https://", "names no host")):
            with self.subTest(url=url):
                self.gateway.settings["auth.jwt.jwks_url"] = url
                checked = self.gateway.run("config", "check")
                self.assertEqual(checked.returncode, 2)
                self.assertIn(why, checked.stderr)
                self.assertNotIn("secret", checked.stderr)
        self.gateway.settings.update({"auth.jwt.jwks_url": "http://idp.example/keys",
                                      "allow_insecure": "true"})
        self.assertEqual(self.gateway.run("config", "check").returncode, 0)

    def test_what_is_printed_has_no_secret_of_the_address(self):
        self.gateway.settings["auth.jwt.jwks_url"] = "https://idp.example/keys?token=hidden"
        self.gateway.settings["services.proxy"] = "http://me:hidden@proxy.example:3128"
        printed = self.gateway.run("config", "print").stdout
        self.assertNotIn("hidden", printed)
        self.assertTrue(re.search(r"jwks_url: \"https://idp.example/keys\?token=\*\*\*\"", printed))


if __name__ == "__main__":
    unittest.main()
