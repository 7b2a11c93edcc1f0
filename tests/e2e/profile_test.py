# SPDX-License-Identifier: Apache-2.0
"""What the server shows of its inside: profiles, the flame graph, what the signals leave."""
import gzip
import re
import shutil
import signal
import socket
import struct
import subprocess
import threading
import unittest
import xml.etree.ElementTree as ElementTree

import harness
from harness import ServerTest, eventually, report

# ThreadSanitizer hands signals over late, mostly from its own code, which has no frames: with it
# and its like it is tested that profiles are taken and nothing breaks, not whose names are in them.
SANITIZED = bool(harness.os.environ.get("TRIALWIRE_SLOWDOWN"))
SVG = "{http://www.w3.org/2000/svg}"


def varint(data, at):
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def fields(data):
    """(number, value) of a message of Protocol Buffers; bytes for what has a length."""
    at = 0
    while at < len(data):
        key, at = varint(data, at)
        if key & 7 == 0:
            value, at = varint(data, at)
        else:
            assert key & 7 == 2, key
            size, at = varint(data, at)
            value, at = data[at:at + size], at + size
            assert len(value) == size
        yield key >> 3, value


def packed(data):
    at, values = 0, []
    while at < len(data):
        value, at = varint(data, at)
        values.append(value)
    return values


class Pprof:
    """A profile.proto, as far as the tests look into it."""

    def __init__(self, data):
        message = list(fields(gzip.decompress(data)))
        self.strings = [value.decode() for number, value in message if number == 6]
        assert self.strings[0] == ""
        functions = {}
        for value in (value for number, value in message if number == 5):
            parts = dict(fields(value))
            functions[parts[1]] = self.strings[parts[2]]
        self.mappings = [self.strings[dict(fields(value))[5]]
                         for number, value in message if number == 3]
        locations = {}
        for value in (value for number, value in message if number == 4):
            parts = dict(fields(value))
            locations[parts[1]] = functions[dict(fields(parts[4]))[1]]
        self.types = [self.strings[dict(fields(value))[1]]
                      for number, value in message if number == 1]
        self.samples = []  # names of functions, the innermost first; values
        for value in (value for number, value in message if number == 2):
            parts = dict(fields(value))
            self.samples.append(([locations[one] for one in packed(parts[1])], packed(parts[2])))

    def share(self, word):
        """Of the last value, in stacks that name it."""
        whole = sum(values[-1] for _, values in self.samples)
        return sum(values[-1] for names, values in self.samples
                   if any(word in name for name in names)) / max(whole, 1)


class Busy:
    """A client that sends reports until it is told to stop."""

    def __init__(self, server):
        self.server, self.stopping, self.sent = server, threading.Event(), 0
        self.thread = threading.Thread(target=self.run)

    def run(self):
        connection = self.server.connect()
        while not self.stopping.is_set():
            lines = "\n".join(harness.json.dumps(report(self.sent + i)) for i in range(200))
            connection.request("POST", "/v1/epro/reports", lines,
                               {"Content-Type": "application/x-ndjson"})
            answer = connection.getresponse()
            answer.read()
            assert answer.status == 200, answer.status
            self.sent += 200
        connection.close()

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self.thread.join()


class Profiles(ServerTest):
    def test_a_cpu_profile_names_functions_of_the_program(self):
        server = self.server().start()
        with Busy(server) as client:
            eventually("reports go in", lambda: client.sent > 0)
            answer = server.ask_admin("/debug/pprof/profile?seconds=4&form=proto")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/octet-stream")
        profile = Pprof(answer.body)
        self.assertEqual(profile.types, ["samples", "cpu"])
        self.assertTrue(profile.mappings[0].endswith("trialwire"), profile.mappings[0])
        if not SANITIZED:
            self.assertGreater(profile.share("trialwire::"), 0.5)
            self.assertIn("shard-", " ".join(profile.strings))  # of one connection
        self.assertEqual(server.metric("trialwire_profiles_total", kind="cpu"), 1)
        self.assertEqual(server.metric("trialwire_profile_active"), 0)

    def test_one_profile_at_a_time_and_wrong_questions_are_refused(self):
        server = self.server(**{"admin.profile.longest": "3s"}).start()
        waiting = threading.Thread(
            target=lambda: server.ask_admin("/debug/pprof/profile?seconds=3"))
        waiting.start()
        eventually("it is taken", lambda: server.metric("trialwire_profile_active") == 1)
        for target in ("/debug/pprof/profile?seconds=1", "/debug/pprof/heap", "/pprof/profile",
                       "/debug/flamegraph?seconds=1"):
            self.assertEqual(server.ask_admin(target).status, 409, target)
        waiting.join()
        for query in ("seconds=0", "seconds=4", "seconds=x", "form=svg", "what=ever"):
            answer = server.ask_admin(f"/debug/pprof/profile?{query}")
            self.assertEqual(answer.status, 400, query)
        self.assertEqual(server.ask_admin("/debug/pprof/nothing").status, 404)

    def test_who_goes_away_ends_the_profile(self):
        server = self.server().start()
        connection = harness.http.client.HTTPConnection(server.admin, timeout=harness.PATIENCE)
        connection.request("GET", "/debug/pprof/profile?seconds=100")
        eventually("it is taken", lambda: server.metric("trialwire_profile_active") == 1)
        # Who only closes its sending half may still be reading.
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
        eventually("it has ended", lambda: server.metric("trialwire_profile_active") == 0)

    def test_a_stop_does_not_wait_for_a_profile(self):
        server = self.server().start()
        answers = []
        waiting = threading.Thread(
            target=lambda: answers.append(server.ask_admin("/debug/pprof/profile?seconds=100")))
        waiting.start()
        eventually("it is taken", lambda: server.metric("trialwire_profile_active") == 1)
        self.assertEqual(server.stop(), 0)
        waiting.join()
        self.assertEqual(answers[0].status, 503)

    def test_names_of_addresses_are_answered_as_pprof_asks_for_them(self):
        server = self.server().start()
        self.assertEqual(server.ask_admin("/debug/pprof/symbol").body, b"num_symbols: 1\n")
        (program,) = server.ask_admin("/pprof/cmdline").body.decode().splitlines()
        self.assertTrue(program.endswith("/trialwire"))
        answer = server.request("POST", "/debug/pprof/symbol", "0x10+zz", address=server.admin)
        self.assertEqual(answer.body, b"0x10\t0x10\n")

    @unittest.skipIf(SANITIZED, "a sanitizer's own allocator")
    def test_a_heap_profile_names_who_holds_memory(self):
        server = self.server(**{"admin.profile.heap_always": "true",
                                "admin.profile.heap_interval": "64KiB"}).start()
        with Busy(server) as client:
            eventually("some reports", lambda: client.sent > 2000)
            answer = server.ask_admin("/debug/pprof/heap?form=proto")
        self.assertEqual(answer.status, 200, answer.body)
        profile = Pprof(answer.body)
        self.assertEqual(profile.types,
                         ["alloc_objects", "alloc_space", "inuse_objects", "inuse_space"])
        self.assertGreater(profile.share("trialwire::"), 0.3)
        self.assertGreater(sum(values[3] for _, values in profile.samples), 2 << 20)
        self.assertGreater(server.metric("trialwire_heap_sample_objects"), 10)
        text = server.ask_admin("/debug/pprof/heap").body.decode()
        self.assertRegex(text, r"\Aheap profile: \d+: \d+ \[\d+: \d+\] @ heap_v2/65536\n")

    @unittest.skipIf(SANITIZED, "a sanitizer's own allocator")
    def test_allocations_are_sampled_only_while_they_are_asked_for(self):
        server = self.server(**{"admin.profile.heap_interval": "4KiB"}).start()
        self.assertEqual(server.metric("trialwire_heap_sample_objects"), 0)
        with Busy(server):
            answer = server.ask_admin("/debug/pprof/heap?seconds=1&form=proto")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertGreater(sum(values[1] for _, values in Pprof(answer.body).samples), 100_000)
        self.assertEqual(server.metric("trialwire_heap_sample_objects"), 0)

    def test_the_flame_graph_is_one_svg_without_anything_from_elsewhere(self):
        server = self.server().start()
        with Busy(server) as client:
            eventually("reports go in", lambda: client.sent > 0)
            answer = server.ask_admin("/debug/flamegraph?seconds=4")
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "image/svg+xml")
        self.assertIn("default-src 'none'", answer.headers["Content-Security-Policy"])
        root = ElementTree.fromstring(answer.body)
        self.assertEqual(root.tag, f"{SVG}svg")
        boxes = [group for group in root.iter(f"{SVG}g")]
        names = [box.find(f"{SVG}title").text for box in boxes]
        if not SANITIZED:
            self.assertGreater(len(boxes), 10)
            self.assertTrue(any("trialwire::" in name for name in names), names[:20])
        self.assertTrue(names[0].startswith("all ("))
        for box in boxes:
            self.assertLessEqual(float(box.get("data-x")) + float(box.get("data-w")), 1190.01)
        for element in root.iter():
            for name in element.attrib:
                self.assertNotIn("href", name)
        self.assertNotIn(b"import", answer.body.replace(b"importance", b""))


@unittest.skipIf(SANITIZED, "a sanitizer's own allocator and frames")
class Readers(ServerTest):
    """The two programs that read profiles, where they are installed."""

    def profiles(self, form):
        server = self.server(**{"admin.profile.heap_always": "true",
                                "admin.profile.heap_interval": "64KiB"}).start()
        paths = []
        with Busy(server):
            for target in ("profile?seconds=2", "heap?seconds=1"):
                answer = server.ask_admin(f"/debug/pprof/{target}&form={form}")
                self.assertEqual(answer.status, 200, answer.body)
                paths.append(self.directory / target.partition("?")[0])
                paths[-1].write_bytes(answer.body)
        server.stop()
        return paths

    def check(self, command, path):
        done = subprocess.run([*command, str(path)], capture_output=True, text=True, check=False,
                              timeout=120, cwd=self.directory)
        self.assertEqual(done.returncode, 0, done.stderr)
        # Without the names within, functions are named as the debugging information has them.
        self.assertRegex(done.stdout, r"trialwire::|(?m:\s(?:deliver|serve|take_in|DedupeIndex)$)",
                         done.stderr)

    @unittest.skipUnless(shutil.which("go"), "no Go")
    def test_go_tool_pprof_reads_both_forms(self):
        # Of the form with names within, the program is not looked at.
        for path in self.profiles("proto"):
            self.check(["go", "tool", "pprof", "-symbolize=none", "-top", "-cum"], path)
        for path in self.profiles("gperftools"):
            self.check(["go", "tool", "pprof", "-top", "-cum", harness.BINARY], path)

    @unittest.skipUnless(shutil.which("google-pprof"), "no google-perftools")
    def test_google_pprof_reads_its_own_form(self):
        for path in self.profiles("gperftools"):
            self.check(["google-pprof", "--text", "--cum", harness.BINARY], path)


class Signals(ServerTest):
    def files(self, server, pattern):
        return sorted((server.data / "profiles").glob(pattern))

    def test_sigusr1_writes_all_threads_with_their_stacks(self):
        server = self.server(**{"admin.profile.files": "2"}).start()
        for _ in range(3):
            before = server.log().count("threads written")
            server.process.send_signal(signal.SIGUSR1)
            eventually("a line", lambda: server.log().count("threads written") > before)
        files = self.files(server, "threads-*.txt")
        self.assertEqual(len(files), 2)
        self.assertEqual(files[0].stat().st_mode & 0o777, 0o600)
        text = files[-1].read_text()
        for name in ("shard-0", "shard-1", "committer", "sink-lane", "profiler", "worker-0"):
            self.assertRegex(text, rf"(?m)^\d+ {name} \w+.*, [\d.]+ s of CPU$")
        shard = re.search(r"(?ms)^\d+ shard-0 .*?\n\n", text)[0]
        if not SANITIZED:
            self.assertIn("trialwire::runtime::Shard", shard)
            self.assertNotIn("did not answer", text)
        self.assertEqual(server.post("/v1/epro/reports", report(1)).status, 200)
        self.assertEqual(server.stop(), 0)

    def test_sigusr2_writes_profiles_of_processor_and_heap(self):
        server = self.server(**{"admin.profile.on_signal": "1s"}).start()
        server.process.send_signal(signal.SIGUSR2)
        with Busy(server):
            heap = "no profile was taken kind=heap"
            eventually("both", lambda: server.log().count("profile written") >= 4
                       or heap in server.log())
        (cpu,) = self.files(server, "cpu-*.pb.gz")
        profile = Pprof(cpu.read_bytes())
        self.assertTrue(SANITIZED or profile.share("trialwire::") > 0.3, profile.strings[:50])
        self.assertEqual(len(self.files(server, "cpu-*.prof")), 1)
        if not SANITIZED:
            self.assertEqual(len(self.files(server, "heap-*")), 2)
        for path in self.files(server, "*"):
            self.assertEqual(path.stat().st_mode & 0o777, 0o600)
        self.assertEqual(server.stop(), 0)

    def test_signals_before_the_server_is_ready_are_answered_later(self):
        server = self.server().start(wait=False)
        eventually("a line", lambda: "starting" in server.log())
        server.process.send_signal(signal.SIGUSR1)
        server.wait_ready()
        eventually("a line", lambda: "threads written" in server.log())
        self.assertEqual(server.stop(), 0)


if __name__ == "__main__":
    unittest.main()
