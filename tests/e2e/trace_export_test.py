# SPDX-License-Identifier: Apache-2.0
"""Spans on their way to a collector: a small one, which is strict about what it is sent."""
import http.server
import json
import os
import re
import threading
import time
import unittest

from harness import ServerTest, eventually, report

SLOWDOWN = float(os.environ.get("TRIALWIRE_SLOWDOWN", "1"))
SAMPLED = "00-0af7651916cd43dd8448eb211c80319c-{:016x}-01"


def check_value(value):
    ((kind, content),) = value.items()
    assert kind in ("stringValue", "intValue"), kind
    assert isinstance(content, str)
    if kind == "intValue":
        int(content)


def check_span(span):
    """As opentelemetry/proto/trace/v1/trace.proto has it, in the JSON of OTLP: ids in hexadecimal,
    64-bit numbers as texts, enumerations as numbers."""
    known = {"traceId", "spanId", "parentSpanId", "traceState", "name", "kind", "startTimeUnixNano",
             "endTimeUnixNano", "attributes", "status"}
    assert set(span) <= known, set(span) - known
    assert re.fullmatch("[0-9a-f]{32}", span["traceId"]), span
    assert re.fullmatch("[0-9a-f]{16}", span["spanId"]), span
    assert re.fullmatch("[0-9a-f]{16}", span.get("parentSpanId", "0" * 16)), span
    assert span["name"] and span["kind"] in (1, 2, 3, 4, 5), span
    assert 0 < int(span["startTimeUnixNano"]) <= int(span["endTimeUnixNano"]), span
    assert span["status"] in ({}, {"code": 2}), span
    for attribute in span["attributes"]:
        assert set(attribute) == {"key", "value"}, attribute
        check_value(attribute["value"])


class Collector(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self, address=("127.0.0.1", 0)):
        super().__init__(address, Handler)
        self.spans, self.faults, self.requests, self.status = [], [], 0, 200
        self.headers, self.answer = {}, b"{}"
        self.goes_on = threading.Event()  # cleared: nothing is answered
        self.goes_on.set()
        self.thread = threading.Thread(target=self.serve_forever)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/v1/traces"

    def close(self):
        self.goes_on.set()
        self.shutdown()
        self.thread.join()
        self.server_close()

    def handle_error(self, *_):
        """A server that does not wait for the answer is what some tests are about."""

    def take(self, path, headers, body):
        self.requests += 1
        self.goes_on.wait(60)
        if self.status != 200:
            return self.status
        try:
            assert path == "/v1/traces", path
            assert headers["Content-Type"] == "application/json", headers["Content-Type"]
            (resource,) = json.loads(body)["resourceSpans"]
            for attribute in resource["resource"]["attributes"]:
                check_value(attribute["value"])
            (scope,) = resource["scopeSpans"]
            assert scope["scope"]["name"] == "trialwire"
            for span in scope["spans"]:
                check_span(span)
            self.spans += scope["spans"]
        except Exception as error:  # told to the test, which fails by it
            self.faults.append(repr(error))
            return 400
        return 200


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.take(self.path, self.headers, body)
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(self.server.answer)))
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(self.server.answer)

    def log_message(self, *_):
        pass


class Export(ServerTest):
    def collector(self, **options):
        made = Collector(**options)
        self.addCleanup(made.close)
        return made

    def traced(self, collector, **settings):
        return self.server(**{"trace.export.url": collector.url, "trace.export.interval": "20ms",
                              **settings}).start()

    def send(self, server, number):
        answer = server.request("POST", "/v1/epro/reports", json.dumps(report(number)),
                                {"Content-Type": "application/json",
                                 "traceparent": SAMPLED.format(number + 1)})
        self.assertEqual(answer.status, 200)

    def spans(self, server, result):
        return server.metric("trialwire_trace_export_spans_total", result=result)

    def test_each_span_arrives_once(self):
        collector = self.collector()
        server = self.traced(collector, **{"trace.export.batch": "7"})
        for number in range(20):
            self.send(server, number)
        eventually("all spans", lambda: len(collector.spans) >= 80)
        self.assertEqual(collector.faults, [])
        self.assertEqual(len({span["spanId"] for span in collector.spans}), 80)
        names = {span["name"] for span in collector.spans}
        self.assertEqual(names, {"POST /v1/epro/reports", "decode", "journal", "sink sqlite"})
        eventually("counted", lambda: self.spans(server, "sent") == 80)
        self.assertEqual(self.spans(server, "dropped"), 0)

    def test_what_is_left_is_sent_at_a_stop(self):
        collector = self.collector()
        server = self.traced(collector, **{"trace.export.interval": "1h"})
        self.send(server, 1)
        server.wait_stored(1)
        self.assertEqual(server.stop(), 0)
        self.assertEqual(len(collector.spans), 4)

    def test_a_collector_that_is_away_hurts_nobody_and_gets_the_newest_later(self):
        collector = self.collector()
        server = self.traced(collector, **{"trace.spans": "40", "breaker.probe_interval": "100ms"})
        collector.status = 503
        for number in range(30):
            self.send(server, number)
        server.wait_stored(30)
        eventually("it fails", lambda: server.metric("trialwire_trace_export_failures_total") >= 2)
        collector.status = 200
        eventually("the newest", lambda: len(collector.spans) >= 40)
        self.assertEqual(collector.faults, [])
        eventually("the rest is counted", lambda: self.spans(server, "dropped")
                   + self.spans(server, "sent") == server.metric("trialwire_trace_spans_total"))
        self.assertGreater(self.spans(server, "dropped"), 0)
        self.assertIn("the collector takes no spans", server.log())
        self.assertIn("the collector takes spans again", server.log())

    def test_what_the_collector_refuses_is_dropped_and_counted(self):
        collector = self.collector()
        collector.status = 400
        server = self.traced(collector)
        self.send(server, 1)
        eventually("refused", lambda: self.spans(server, "refused") == 4)
        collector.status = 200
        self.send(server, 2)
        eventually("taken", lambda: self.spans(server, "sent") == 4)
        self.assertEqual(collector.faults, [])

    def test_a_collector_that_hangs_delays_no_report_and_hardly_a_stop(self):
        collector = self.collector()
        server = self.traced(collector, **{"trace.spans": "40", "trace.export.deadline": "3s"})
        collector.goes_on.clear()
        slowest = 0
        for number in range(60):
            began = time.monotonic()
            self.send(server, number)
            slowest = max(slowest, time.monotonic() - began)
        self.assertLess(slowest, 2 * SLOWDOWN)
        eventually("it fails", lambda: server.metric("trialwire_trace_export_failures_total") >= 1)
        self.assertIn("the collector takes no spans", server.log())
        page = server.ask_admin("/readyz")
        self.assertEqual(page.status, 200, page.body)  # a breaker that is open is no reason
        began = time.monotonic()
        self.assertEqual(server.stop(), 0)
        self.assertLess(time.monotonic() - began, 4 * SLOWDOWN)
        self.assertRegex(server.log(), r"spans were not sent before the end spans=\d+")

    def test_a_collector_that_is_not_there_delays_nothing_either(self):
        collector = self.collector()
        url = collector.url
        collector.close()
        server = self.server(**{"trace.export.url": url, "trace.export.interval": "20ms"}).start()
        for number in range(10):
            self.send(server, number)
        server.wait_stored(10)
        eventually("it fails", lambda: server.metric("trialwire_trace_export_failures_total") >= 2)
        self.assertEqual(server.stop(), 0)

    def test_what_was_taken_in_part_is_counted(self):
        collector = self.collector()
        collector.answer = b'{"partialSuccess":{"rejectedSpans":"1","errorMessage":"SECRET"}}'
        server = self.traced(collector, **{"trace.export.interval": "1s"})
        self.send(server, 1)
        eventually("counted", lambda: self.spans(server, "sent") + self.spans(server, "refused") == 4)
        self.assertGreater(self.spans(server, "refused"), 0)
        server.stop()
        self.assertNotIn("SECRET", server.log())

    def test_what_patients_send_is_not_sent_on(self):
        collector = self.collector()
        server = self.traced(collector)
        answer = server.request(
            "POST", "/v1/epro/reports",
            json.dumps(report(1, patientId="SECRET-1", comments="SECRET-2")),
            {"Content-Type": "application/json", "traceparent": SAMPLED.format(1),
             "tracestate": "a=SECRET-3", "User-Agent": "SECRET-4"})
        self.assertEqual(answer.status, 200)
        eventually("all spans", lambda: len(collector.spans) >= 4)
        self.assertNotIn("SECRET", json.dumps(collector.spans))

    def test_a_url_that_is_none_is_refused_at_the_start(self):
        for url, code in (("ftp://127.0.0.1/", 2), ("http://me:secret@127.0.0.1:1/", 1)):
            with self.subTest(code=code):
                run = self.server(**{"trace.export.url": url}).run("serve")
                self.assertEqual(run.returncode, code, run.stderr)
                self.assertIn("trace.export.url", run.stderr)
                self.assertNotIn("me:secret", run.stderr)


if __name__ == "__main__":
    unittest.main()
