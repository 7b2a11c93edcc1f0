# SPDX-License-Identifier: Apache-2.0
"""More than the server can carry: what it takes goes on, what it refuses is refused at once.

Capacity is set, not found: on a disk whose sync takes a fixed time, with batches of a fixed size, the
journal takes so many records a second and no more, however fast the machine is.
"""
import http.client
import json
import os
import resource
import socket
import statistics
import subprocess
import threading
import time
import unittest

from disk_test import FAULTY, FaultyServer
from harness import BINARY, PATIENCE, ServerTest, eventually, report

SLOWDOWN = float(os.environ.get("TRIALWIRE_SLOWDOWN", "1"))
SYNC_MS = 50  # of 64 KiB: about 1.3 MB of records a second


def load(server, seconds, *arguments):
    """A run of `trialwire load` as its JSON; refusals make it exit 1, which is no failure here."""
    run = subprocess.run(
        [BINARY, "load", f"http://{server.http}", "--duration", f"{seconds}s", "--json", "--quiet",
         *arguments], capture_output=True, text=True, timeout=seconds + PATIENCE, check=False)
    return json.loads(run.stdout)


def answered(result, status):
    return result["status"].get(str(status), 0)


class Prober(threading.Thread):
    """One request after the other on one connection: how long accepted and refused ones take."""

    def __init__(self, server, name):
        super().__init__()
        self.address, self.ident_text = server.http, name
        self.ended = threading.Event()
        self.times = {}
        self.without_retry_after = 0

    def run(self):
        connection = http.client.HTTPConnection(self.address, timeout=PATIENCE)
        number = 0
        while not self.ended.is_set():
            number += 1
            body = json.dumps(report(number, reportId=f"{self.ident_text}-{number}"))
            began = time.monotonic()
            connection.request("POST", "/v1/epro/reports", body,
                               {"Content-Type": "application/json"})
            response = connection.getresponse()
            response.read()
            self.times.setdefault(response.status, []).append(time.monotonic() - began)
            if response.status == 503 and int(response.headers.get("Retry-After", 0)) < 1:
                self.without_retry_after += 1
            if response.status == 503:
                time.sleep(0.01)
        connection.close()


def quantile(values, share):
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


@unittest.skipIf(FAULTY == "", "TRIALWIRE_FAULTY is not set")
class Overload(ServerTest):
    def slow_server(self, **settings):
        server = FaultyServer(self.directory, **{
            "limits.body": "16KiB", "limits.inflated_body": "16KiB", "journal.batch_bytes": "64KiB",
            "runtime.shards": "1", "pipeline.batch_records_lagging": "1024",
            "limits.shed.commit_age": "200ms", **settings})
        self.addCleanup(server.kill)
        return server.start_with(f"slow:{SYNC_MS}")

    def test_three_times_the_load_it_can_carry(self):
        self.three_times_the_load(10)

    def three_times_the_load(self, seconds, share=0.9):
        server = self.slow_server()
        peak = load(server, 6, "--connections", "32", "--pipeline", "16", "--warmup", "1s")
        capacity = answered(peak, 200) / peak["seconds"]
        self.assertGreater(capacity, 500)
        probers = [Prober(server, f"probe-{n}") for n in range(4)]
        for prober in probers:
            prober.start()
        over = load(server, seconds, "--connections", "256", "--pipeline", "16", "--warmup", "1s",
                    "--rate", str(int(3 * capacity)))
        for prober in probers:
            prober.ended.set()
        for prober in probers:
            prober.join(PATIENCE)
        self.assertGreaterEqual(over["seconds"], 0.95 * seconds)
        goodput = answered(over, 200) / over["seconds"]
        refused = answered(over, 503) / over["seconds"]
        accepted = [t for p in probers for t in p.times.get(200, [])]
        refusals = [t for p in probers for t in p.times.get(503, [])]
        print(f"\ncapacity {capacity:.0f}/s; at three times that for {over['seconds']:.0f} s: "
              f"{goodput:.0f}/s taken, "
              f"{refused:.0f}/s refused; admitted p99 {1e3 * quantile(accepted, 0.99):.0f} ms, "
              f"refusals p50 {1e3 * statistics.median(refusals):.2f} ms, "
              f"p99 {1e3 * quantile(refusals, 0.99):.2f} ms of {len(refusals)}")
        self.assertGreater(refused, capacity, "nothing was shed")
        self.assertEqual(answered(over, 504), 0)
        # A sanitized server leaves no processor to the clients, of whom four times as many ask.
        self.assertGreaterEqual(goodput, (share if SLOWDOWN == 1 else 0.6) * capacity)
        peak_p99 = peak["latencyUs"]["p99"] / 1e6
        self.assertLessEqual(quantile(accepted, 0.99), max(2 * peak_p99, 0.3) * SLOWDOWN)
        # And so the tail is theirs.
        most = 0.9 if SLOWDOWN == 1 else 0.5
        self.assertLessEqual(quantile(refusals, most), 0.005 * SLOWDOWN)
        self.assertEqual(sum(p.without_retry_after for p in probers), 0)
        self.assertGreater(
            server.metric("trialwire_admission_refused_total", reason="commit_age"), 0)
        # It is over when it is over.
        eventually("intake again", lambda: server.post("/v1/epro/reports", report(0)).status == 200)


@unittest.skipUnless(os.environ.get("TRIALWIRE_LONG"), "takes more than a minute")
class Minute(Overload):
    test_three_times_the_load_it_can_carry = None

    def test_three_times_the_load_for_a_minute(self):
        # Of a capacity that was measured for 6 s: docs/validation/governance.md.
        self.three_times_the_load(60, 0.75)


class Rate(ServerTest):
    def test_an_address_over_its_rate_is_refused_and_told_when_to_come_again(self):
        server = self.server(**{"limits.rate.per_second": "50", "limits.rate.burst": "20"}).start()
        result = load(server, 4, "--connections", "4", "--rate", "400")
        taken = answered(result, 200)
        self.assertLessEqual(taken, 20 + 50 * (result["seconds"] + 1))
        self.assertGreaterEqual(taken, 0.8 * 50 * result["seconds"])
        self.assertGreater(answered(result, 429), 0)
        refused = eventually("a refusal", lambda: self.refusal(server))
        self.assertEqual(int(refused.headers["Retry-After"]), 1)
        self.assertEqual(refused.headers["RateLimit-Policy"], '"address";q=20;w=1')
        self.assertRegex(refused.headers["RateLimit"], r'^"address";r=0;t=1$')
        self.assertEqual(refused.json()["status"], 429)
        self.assertEqual(server.ask_admin("/healthz").status, 200)

    def refusal(self, server):
        answer = server.get("/v1/epro/reports?limit=1")
        return answer if answer.status == 429 else None

    def test_all_clients_together_have_a_rate(self):
        server = self.server(**{"limits.rate.total_per_second": "100",
                                "limits.rate.total_burst": "10"}).start()
        result = load(server, 3, "--connections", "8", "--rate", "600")
        self.assertLessEqual(answered(result, 200), 10 + 100 * (result["seconds"] + 1))
        self.assertGreaterEqual(answered(result, 200), 0.8 * 100 * result["seconds"])
        self.assertGreater(answered(result, 429), 0)


class Routes(ServerTest):
    def test_a_path_may_have_limits_of_its_own(self):
        server = self.server(**{"limits.routes": "{/v1/epro: {per_second: 1, burst: 2}, "
                                                 "/v1/vitals: {body: 1KiB}}"}).start()
        statuses = [server.post("/v1/epro/reports", report(n)).status for n in range(5)]
        self.assertEqual(statuses[:2], [200, 200])
        self.assertIn(429, statuses[2:])
        self.assertEqual(server.get("/v1/vitals?limit=1").status, 200)
        self.assertEqual(server.post("/v1/vitals", "x" * 2000).status, 413)
        self.assertGreater(
            server.metric("trialwire_admission_refused_total", reason="rate_route"), 0)
        self.assertRegex(server.ask_admin("/readyz").body.decode(), r"(?m)^routes ok: \d+ closed$")
        self.assertRegex(server.run("status", "--interval", "0.1").stdout,
                         r"(?m)^routes +\d+ closed$")
        self.assertIn("routes: {/v1/epro: {per_second: 1, burst: 2}, /v1/vitals: {body: 1KiB}}",
                      server.run("config", "print").stdout)

    def test_a_path_that_no_route_has_is_said_at_the_start(self):
        run = self.server(**{"limits.routes": "{/v1/vital: {body: 1KiB}}"}).run("serve")
        self.assertEqual(run.returncode, 1)
        self.assertIn("limits.routes: /v1/vital is the beginning of no route's path", run.stderr)
        checked = self.server(**{"limits.routes": "{/v1/vitals: {body: much}}"}).run(
            "config", "check")
        self.assertEqual(checked.returncode, 2)
        self.assertIn("limits.routes: /v1/vitals: body: must be a size", checked.stderr)


class SilentServer(threading.Thread):
    """Takes connections and never says a word, as a database does that hangs."""

    def __init__(self):
        super().__init__(daemon=True)
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.taken = []
        self.start()

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def run(self):
        while True:
            try:
                self.taken.append(self.socket.accept()[0])
            except OSError:
                return

    def close(self):
        self.socket.close()


class Breaker(ServerTest):
    def test_a_database_that_hangs_costs_callers_nothing_once_the_breaker_is_open(self):
        database = SilentServer()
        self.addCleanup(database.close)
        server = self.server(**{
            "store.url": f"postgres://u:p@127.0.0.1:{database.port}/d",
            "limits.request_deadline": "500ms", "runtime.workers": "8"}).start()
        began = time.monotonic()
        slow = []

        def ask():
            asked = time.monotonic()
            answer = server.get("/v1/vitals?limit=1")
            slow.append(time.monotonic() - asked)
            return answer.status

        threads = [threading.Thread(target=lambda: [ask() for _ in range(3)]) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
        eventually("the breaker is not closed", lambda: server.metric(
            "trialwire_breaker_state", dependency="queries", state="closed") == 0)
        opened = time.monotonic() - began
        self.assertLess(opened, 10)
        times = []
        connection = server.connect()
        for _ in range(200):
            asked = time.monotonic()
            connection.request("GET", "/v1/vitals?limit=1")
            response = connection.getresponse()
            response.read()
            times.append(time.monotonic() - asked)
            self.assertIn(response.status, (503, 504))
        print(f"\nopen after {opened:.1f} s; then p50 {1e3 * statistics.median(times):.2f} ms")
        refused = server.metric("trialwire_breaker_calls_total", dependency="queries",
                                outcome="refused")
        # Most often the route's own breaker is open as well, and is asked first.
        refused += server.metric("trialwire_route_breaker_refused_total", route="/v1/vitals")
        self.assertGreater(refused, 50)
        self.assertLess(statistics.median(times), 0.001 * max(SLOWDOWN, 2))
        ready = server.ask_admin("/readyz").body.decode()
        self.assertRegex(ready, r"(?m)^breaker queries degraded: (open|half_open)$")
        self.assertRegex(ready, r"(?m)^breaker postgres ")
        self.assertIn("queries", server.run("status").stdout)
        # Intake has nothing to do with it.
        self.assertEqual(server.post("/v1/epro/reports", report(1)).status, 200)


class Connections(ServerTest):
    def test_connections_leave_room_for_files(self):
        files = 128
        held = files // 2
        server = self.server(**{"log.format": "json"}).start(
            preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (files // 4, files)))
        self.assertEqual(server.metric("process_max_fds"), files)
        self.assertEqual(server.metric("trialwire_http_connections_max", server="http"), held)
        told = [json.loads(line) for line in server.log().splitlines()
                if "fewer connections" in line]
        self.assertEqual([(line["connections"], line["limits.connections"], line["kept_for_files"])
                          for line in told], [(held, 100_000, files - held)])
        host, port = server.http.split(":")
        others = [socket.create_connection((host, port), PATIENCE) for _ in range(held - 1)]
        sender = server.connect()
        sender.connect()
        for other in [*others, sender]:
            self.addCleanup(other.close)
        eventually("all are open",
                   lambda: server.metric("trialwire_http_connections", server="http") == held)
        with socket.create_connection((host, port), PATIENCE) as one_more:
            answer = http.client.HTTPResponse(one_more)
            answer.begin()
            self.assertEqual((answer.status, answer.headers["Content-Type"]),
                             (503, "application/problem+json"))
            self.assertIn("too many connections", json.loads(answer.read())["error"])
        # More than a segment holds: it is sealed, archived, and another one is opened.
        for body in range(24):
            lines = [json.dumps(report(n, reportId=f"{body}-{n}", comments="x" * 4000))
                     for n in range(200)]
            sender.request("POST", "/v1/epro/reports", "\n".join(lines),
                           {"Content-Type": "application/x-ndjson"})
            answer = sender.getresponse()
            self.assertEqual(answer.status, 200, answer.read())
            answer.read()
        eventually("a segment is archived", lambda: list((server.data / "archive").rglob("*.zst")))
        eventually("the sink has all", lambda: server.metric("trialwire_sink_lag_records") == 0)
        self.assertNotIn('"level":"error"', server.log())
