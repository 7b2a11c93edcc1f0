# SPDX-License-Identifier: Apache-2.0
"""Clients that send a byte now and then: they end with 408, and honest clients do not notice them."""
import json
import os
import pathlib
import re
import resource
import statistics
import subprocess
import sys
import unittest

from harness import BINARY, PATIENCE, ServerTest

PROGRAM = pathlib.Path(__file__).with_name("slow_senders.py")


def raise_open_files():
    """What this process and those that it starts may open; returns how many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return hard


def kib(pid, name):
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)[1])


class SlowSenders:
    """Of a server; present from `with` to its end, which leaves in `seen` what they saw."""

    def __init__(self, address, count, *options):
        self.command = [sys.executable, PROGRAM, address, str(count), *options]
        self.seen = None

    def __enter__(self):
        self.process = subprocess.Popen(
            self.command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        connected = self.process.stdout.readline()
        if not connected:
            self.process.wait(PATIENCE)
            raise AssertionError("the slow senders could not connect")
        return self

    def __exit__(self, *_):
        output, _ = self.process.communicate(timeout=PATIENCE)
        if output:
            self.seen = json.loads(output)


class SlowSendersTest(ServerTest):
    def honest(self, server, connections, rate, seconds, warmup=0):
        """The result of clients that keep their connections, all of whose reports must be taken."""
        run = subprocess.run(
            [BINARY, "load", f"http://{server.http}", "--connections", str(connections), "--rate",
             str(rate), "--duration", f"{seconds}s", "--warmup", f"{warmup}s", "--json", "--quiet"],
            capture_output=True, text=True, check=False, timeout=PATIENCE + seconds + warmup)
        self.assertEqual(run.returncode, 0, run.stdout + run.stderr)
        return json.loads(run.stdout)


class Few(SlowSendersTest):
    def test_slow_senders_get_408_and_honest_clients_200(self):
        raise_open_files()
        server = self.server(**{"limits.header_timeout": "1500ms",
                                "limits.body_timeout": "2s"}).start()
        with SlowSenders(server.http, 500, "1") as slow:
            self.honest(server, 16, 200, 5)
        self.assertGreaterEqual(slow.seen["408 head"], 250, slow.seen)
        self.assertGreaterEqual(slow.seen["408 body"], 250, slow.seen)
        self.assertEqual(slow.seen["others"], 0, slow.seen)
        self.assertLess(slow.seen["lost"], 50, slow.seen)  # who reads too late finds a reset
        self.assertEqual(server.stop(), 0)


@unittest.skipUnless(os.environ.get("TRIALWIRE_LONG"), "takes minutes and a machine of its own")
class Many(SlowSendersTest):
    COUNT = 10_000
    SENDERS = ("4", "idle")  # a byte every 4 s each
    # Server, senders and honest clients share the machine's cores and its noise, which no ratio takes
    # out; the ratio itself is printed.
    SLACK_MS = 3

    def test_ten_thousand_slow_senders_do_not_delay_honest_clients(self):
        if raise_open_files() < self.COUNT + 1000:
            self.skipTest("too few files may be open")
        server = self.server(**{"journal.segment_bytes": "128MiB", "journal.max_bytes": "2GiB",
                                "dedupe.memory": "64MiB", "pipeline.background": "true"}).start()
        self.separate(server)
        before = self.settled(server)
        with SlowSenders(server.http, self.COUNT, *self.SENDERS):
            held = kib(server.process.pid, "VmRSS") - before
        self.measured(server)
        per_connection = held * 1024 / self.COUNT
        print(f"memory: {per_connection:.0f} bytes a slow connection", file=sys.stderr)
        self.assertLess(per_connection, 8192)
        print(f"VmHWM: {kib(server.process.pid, 'VmHWM')} KiB", file=sys.stderr)
        self.assertEqual(server.stop(), 0)

    def separate(self, server):
        """The server on one core, whoever talks to it on another."""
        cores = sorted(os.sched_getaffinity(0))
        if len(cores) < 2:
            return
        for thread in os.listdir(f"/proc/{server.process.pid}/task"):
            os.sched_setaffinity(int(thread), {cores[0]})
        self.addCleanup(os.sched_setaffinity, 0, cores)
        os.sched_setaffinity(0, {cores[1]})

    def settled(self, server):
        """Resident memory once everything that the first reports need is there."""
        self.honest(server, 64, 2000, 5)
        return kib(server.process.pid, "VmRSS")

    def measured(self, server):
        """Medians, because whatever else runs on the machine shows in a single p99."""
        without, beside = [], []
        for _ in range(3):
            without.append(self.p99(server))
            with SlowSenders(server.http, self.COUNT, *self.SENDERS) as slow:
                beside.append(self.p99(server))
            print(f"p99 {without[-1]:.2f} ms, beside slow senders {beside[-1]:.2f} ms; {slow.seen}",
                  file=sys.stderr)
            self.assertEqual(slow.seen["others"], 0, slow.seen)
        alone, together = statistics.median(without), statistics.median(beside)
        print(f"median p99 {alone:.2f} ms, beside slow senders {together:.2f} ms: "
              f"{together / alone:.2f} x", file=sys.stderr)
        self.assertLess(together, 1.2 * alone + self.SLACK_MS)

    def p99(self, server):
        return self.honest(server, 64, 2000, 8, warmup=2)["latencyUs"]["p99"] / 1000
