# SPDX-License-Identifier: Apache-2.0
"""How the server ends: what was accepted is finished, the rest is closed, nothing is lost."""
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

from harness import ServerTest, eventually, report


class Stopping(ServerTest):
    def test_both_signals_end_it_with_exit_code_0(self):
        server = self.server()
        for number in (signal.SIGTERM, signal.SIGINT):
            server.start()
            self.assertEqual(server.stop(number), 0)
            self.assertFalse((server.data / "run/ports.json").exists())

    def test_the_service_manager_is_told_of_its_life(self):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            name = f"trialwire-{os.getpid()}"
            manager.bind("\0" + name)
            manager.settimeout(30)
            server = self.server().start(env={**os.environ, "NOTIFY_SOCKET": "@" + name,
                                              "WATCHDOG_USEC": "300000"})
            ready = manager.recv(1024).decode()
            self.assertTrue(ready.startswith("READY=1\n"), ready)
            self.assertIn(server.http, ready)
            self.assertEqual([manager.recv(1024) for _ in range(3)], [b"WATCHDOG=1"] * 3)
            self.assertEqual(server.stop(), 0)
            manager.setblocking(False)
            told = []
            try:
                while True:
                    told.append(manager.recv(1024))
            except BlockingIOError:
                pass
            self.assertTrue(any(line.startswith(b"STOPPING=1\n") for line in told), told)

    def test_the_database_file_is_whole_by_itself_afterwards(self):
        server = self.server().start()
        server.post("/v1/epro/reports", report(1))
        server.wait_stored(1)
        eventually("lists are answered",
                   lambda: b"queries" in server.ask_admin("/readyz").body)
        self.assertEqual(server.stop(), 0)
        self.assertFalse((server.data / "trialwire.db-wal").exists())

    def test_an_idle_connection_does_not_hold_it_up(self):
        server = self.server().start()
        connection = server.connect()
        connection.request("POST", "/v1/epro/reports", json.dumps(report(1)),
                           {"Content-Type": "application/json"})
        connection.getresponse().read()
        begun = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - begun, 4)
        connection.close()

    def test_requests_in_flight_are_answered_and_what_was_acknowledged_stays(self):
        server = self.server().start()
        acknowledged, lock = set(), threading.Lock()

        def send(client):
            connection = server.connect()
            for number in range(client * 100_000, client * 100_000 + 100_000):
                try:
                    connection.request("POST", "/v1/epro/reports", json.dumps(report(number)),
                                       {"Content-Type": "application/json"})
                    answer = connection.getresponse()
                    body = answer.read()
                except (http.client.HTTPException, OSError):
                    break
                if answer.status == 200:
                    with lock:
                        acknowledged.add(json.loads(body)["receipt"]["recordId"])
            connection.close()

        clients = [threading.Thread(target=send, args=(number,)) for number in range(8)]
        for client in clients:
            client.start()
        eventually("some reports", lambda: len(acknowledged) > 200)
        self.assertEqual(server.stop(), 0)
        for client in clients:
            client.join()
        server.start()
        stored = [item["recordId"] for item in server.wait_stored(len(acknowledged))]
        self.assertEqual(len(stored), len(set(stored)))
        self.assertLessEqual(acknowledged, set(stored))

    def test_a_request_that_never_ends_is_closed_when_the_time_is_over(self):
        server = self.server(**{"runtime.drain": "300ms"}).start()
        host, port = server.http.split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /v1/epro/reports HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{")
            eventually("the connection", lambda: server.metric("trialwire_http_connections") >= 1)
            begun = time.monotonic()
            self.assertEqual(server.stop(), 0)
            self.assertLess(time.monotonic() - begun, 3)

    def test_a_sink_far_behind_on_a_busy_machine_does_not_hold_it_up(self):
        server = self.server(**{"pipeline.background": "true"})
        server.start()
        busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"])
                for _ in range(2 * os.cpu_count())]
        try:
            for request in range(20):
                lines = [json.dumps(report(request * 1000 + n)) for n in range(1000)]
                answer = server.post("/v1/epro/reports", "\n".join(lines), "application/x-ndjson")
                self.assertEqual(answer.status, 200)
            begun = time.monotonic()
            self.assertEqual(server.stop(), 0)
            took = time.monotonic() - begun
        finally:
            for process in busy:
                process.kill()
                process.wait()
        self.assertNotIn("took too long", server.log())
        self.assertLess(took, 5)
        self.assertIn("stopped", server.log())

    def test_a_second_signal_ends_it_at_once(self):
        server = self.server(**{"runtime.drain": "1h"}).start()
        host, port = server.http.split(":")
        with socket.create_connection((host, int(port))) as slow:
            slow.sendall(b"POST /v1/epro/reports HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{")
            eventually("the connection", lambda: server.metric("trialwire_http_connections") >= 1)
            server.process.send_signal(signal.SIGTERM)
            eventually("draining", lambda: "message=stopping" in server.log() or "serve: stopping" in server.log())
            answer = server.ask_admin("/readyz")
            self.assertEqual(answer.status, 503)
            self.assertIn("process failed: draining", answer.body.decode())
            self.assertTrue((server.data / "run/ports.json").exists())
            self.assertEqual(server.stop(signal.SIGINT), 128 + signal.SIGINT)
        self.assertEqual(list((server.data / "run").iterdir()), [])
        server.start()
        self.assertEqual(server.post("/v1/epro/reports", report(1)).status, 200)
