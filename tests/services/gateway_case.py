# SPDX-License-Identifier: Apache-2.0
"""The real binary before real servers: load that is killed and comes again, receipts to compare."""
import json
import subprocess
import threading
import time

from service_case import ServiceTest  # first: it makes tests/e2e importable

import harness
import servers
from harness import eventually

FAST = {"pipeline.retry_first": "20ms", "pipeline.retry_max": "200ms"}


class GatewayTest(ServiceTest):
    def gateway(self, name="gateway", **settings):
        """On a port that stays the same over its restarts. Not started yet."""
        made = harness.Server(self.directory / name, **{
            "http.listen": f"127.0.0.1:{servers.free_port()}", **FAST, **settings})
        made.directory.mkdir(exist_ok=True)
        self.addCleanup(made.kill)
        return made

    @staticmethod
    def bring_back(server):
        """Whatever the test before left of it."""
        if server.process is None:
            server.start()
        server.thaw()

    def load(self, gateway, seconds):
        """A client that goes on over lost connections; ends by itself."""
        client = subprocess.Popen(
            [harness.BINARY, "load", f"http://{gateway.settings['http.listen']}", "--reconnect",
             "--receipts", gateway.directory / "receipts", "--quiet", "--connections", "8",
             "--rate", "1500", "--duration", f"{round(seconds * 1000)}ms"],
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, client)
        return client

    @staticmethod
    def end(client):
        client.kill()
        client.wait()

    @staticmethod
    def receipts(gateway):
        """Lines that were written whole."""
        lines = (gateway.directory / "receipts").read_text().splitlines(keepends=True)
        return [json.loads(line) for line in lines if line.endswith("\n")]

    def under_load(self, gateway, *steps, pause=0.5, seconds=None):
        """Carries the steps out while reports arrive; afterwards all that was acknowledged. `pause`:
        seconds before each step and after the last, or what says them each time."""
        wait = pause if callable(pause) else lambda: pause
        client = self.load(gateway, seconds or 600)
        path = gateway.directory / "receipts"
        eventually("receipts", lambda: path.exists() and path.stat().st_size > 0)
        for step in steps:
            time.sleep(wait())
            step()
        if seconds is None:
            time.sleep(wait())
            client.terminate()
        client.wait(harness.PATIENCE + (seconds or 0))
        found = self.receipts(gateway)
        self.assertGreater(len(found), 300)
        return found

    @staticmethod
    def kill_and_start(server):
        def step():
            server.kill()
            server.start()
        return step

    @staticmethod
    def lag(gateway, **labels):
        return gateway.metric("trialwire_sink_lag_records", **labels)

    @staticmethod
    def wait_entered(gateway):
        """That there were commands: each leaves two entries of the audit trail."""
        spool = gateway.data / "audit" / "spool"
        eventually("commands are entered", lambda: not list(spool.glob("*.json")))

    @staticmethod
    def records(gateway):
        """How many the journal has acknowledged in all."""
        return int(gateway.metric("trialwire_journal_next_sequence")) - 1

    @staticmethod
    def journal_ids(gateway):
        """Record ids of the whole journal; the gateway must have been stopped."""
        cat = gateway.run("journal", "cat", timeout=10 * harness.PATIENCE)
        assert cat.returncode == 0, cat.stderr
        return [json.loads(line)["recordId"] for line in cat.stdout.splitlines()]

    def send(self, gateway, numbers, **fields):
        for number in numbers:
            answer = gateway.post("/v1/epro/reports", harness.report(number, **fields))
            self.assertEqual(answer.status, 200, answer.body)

    def wait_retries(self, gateway, sink, count=2):
        eventually("retries", lambda: gateway.metric("trialwire_sink_retries_total",
                                                     sink=sink) >= count)

    def check_refusal(self, gateway, *patterns):
        """`config check --connect` says which server is the trouble, and why."""
        checked = gateway.run("config", "check", "--connect")
        self.assertEqual(checked.returncode, 1, checked.stdout)
        for pattern in patterns:
            self.assertRegex(checked.stderr, pattern)
        for secret in (servers.PASSWORD, "wrong-horse"):
            self.assertNotIn(secret, checked.stdout + checked.stderr)

    def check_accepts_while_away(self, gateway, sink, state, retries=2):
        """It starts, accepts, retries, and says that this sink is not ready."""
        gateway.start()
        self.send(gateway, range(10))
        self.wait_retries(gateway, sink, retries)
        self.assertEqual(gateway.metric("trialwire_sink_running", sink=sink), 0)
        self.assertEqual(gateway.metric("trialwire_sink_state", sink=sink, state=state), 1)
        degraded = f"sink {sink} degraded: "
        ready = eventually("degraded", lambda: (lambda page: page if degraded in page else None)(
            gateway.ask_admin("/readyz").body.decode()))
        self.assertRegex(ready, degraded + ".")
        self.assertEqual(gateway.ask_admin("/readyz").status, 200, "intake goes on")
        shown = gateway.run("status")
        self.assertRegex(shown.stdout, rf"{sink} +0 +{state} +10 ")
        self.assertNotIn("wrong-horse", gateway.log())


class Background:
    """Does something again and again while a block runs."""

    def __init__(self, work, every):
        self._work, self._every = work, every
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def _run(self):
        while not self._stop.wait(self._every):
            self._work()

    def __enter__(self):
        self._thread.start()

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
