# SPDX-License-Identifier: Apache-2.0
"""A request followed from its arrival to the sink, and what says which ones are."""
import json
import unittest

from harness import ServerTest, eventually, report

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = "b7ad6b7169203331"
SAMPLED = f"00-{TRACE}-{PARENT}-01"


class Traces(ServerTest):
    def send(self, server, number, *headers, path="/v1/epro/reports", body=None):
        connection = server.connect()
        connection.putrequest("POST", path)
        text = json.dumps(report(number)) if body is None else body
        for name, value in (("Content-Type", "application/json"),
                            ("Content-Length", str(len(text))), *headers):
            connection.putheader(name, value)
        connection.endheaders(text.encode())
        answer = connection.getresponse()
        answer.read()
        connection.close()
        return answer.status

    def spans(self, server, query=""):
        page = server.ask_admin("/debug/traces" + query)
        self.assertEqual(page.status, 200, page.body)
        (resource,) = page.json()["resourceSpans"]
        names = {one["key"]: one["value"] for one in resource["resource"]["attributes"]}
        self.assertEqual(names["service.name"], {"stringValue": "trialwire"})
        (scope,) = resource["scopeSpans"]
        return scope["spans"]

    def wait_spans(self, server, count):
        return eventually(f"{count} spans", lambda: (
            lambda found: found if len(found) >= count else None)(self.spans(server)))

    def test_a_sampled_request_is_followed_from_accept_to_sink(self):
        server = self.server(**{"log.access": "true"}).start()
        self.assertEqual(self.send(server, 1, ("traceparent", SAMPLED)), 200)
        spans = {span["name"]: span for span in self.wait_spans(server, 4)}
        self.assertEqual(set(spans), {"POST /v1/epro/reports", "decode", "journal", "sink sqlite"})
        root = spans["POST /v1/epro/reports"]
        self.assertEqual(root["parentSpanId"], PARENT)
        self.assertEqual(root["kind"], 2)
        attributes = {one["key"]: one["value"] for one in root["attributes"]}
        self.assertEqual(attributes, {"http.request.method": {"stringValue": "POST"},
                                      "http.route": {"stringValue": "/v1/epro/reports"},
                                      "http.response.status_code": {"intValue": "200"}})
        for name, span in spans.items():
            self.assertEqual(span["traceId"], TRACE)
            self.assertLessEqual(int(span["startTimeUnixNano"]), int(span["endTimeUnixNano"]), name)
            if name != "POST /v1/epro/reports":
                self.assertEqual(span["parentSpanId"], root["spanId"])
        starts = [int(spans[name]["startTimeUnixNano"]) for name in
                  ("POST /v1/epro/reports", "decode", "journal", "sink sqlite")]
        self.assertEqual(starts, sorted(starts))
        eventually("an access line", lambda: f"trace={TRACE}" in server.log())
        # What is stored names the span of the request: what is done with it is done for that.
        done = server.run("journal", "cat") if server.stop() == 0 else None
        self.assertIn(f"00-{TRACE}-{root['spanId']}-01", done.stdout)

    def test_what_the_caller_does_not_sample_is_not_traced(self):
        server = self.server(**{"log.access": "true", "trace.ratio": "100%"}).start()
        self.assertEqual(self.send(server, 1, ("traceparent", SAMPLED[:-1] + "0")), 200)
        server.wait_stored(1)
        # The lists that waited for it were: they brought no decision.
        names = {span["name"] for span in self.spans(server)}
        self.assertLessEqual(names, {"GET /v1/epro/reports"})
        server.stop()
        self.assertIn(SAMPLED[:-1] + "0", server.run("journal", "cat").stdout)

    def test_without_a_ratio_nothing_is_traced_by_chance(self):
        server = self.server().start()
        for number in range(50):
            self.send(server, number)
        server.wait_stored(50)
        self.assertEqual(self.spans(server), [])
        self.assertEqual(server.metric("trialwire_trace_spans_total"), 0)

    def test_by_chance_requests_are_traces_of_their_own(self):
        server = self.server(**{"trace.ratio": "100%"}).start()
        for number in range(3):
            self.send(server, number)
        self.wait_spans(server, 12)
        roots = [span for span in self.spans(server) if span["name"].startswith("POST")]
        self.assertEqual(len({span["traceId"] for span in roots}), 3)
        self.assertTrue(all("parentSpanId" not in span for span in roots))
        self.assertEqual(len(self.spans(server, "?limit=2")), 2)

    def test_malformed_contexts_are_ignored_and_the_report_taken(self):
        server = self.server().start()
        wrong = [
            (("traceparent", "00-" + "0" * 32 + f"-{PARENT}-01"),),
            (("traceparent", f"ff-{TRACE}-{PARENT}-01"),),
            (("traceparent", SAMPLED + "-more"),),
            (("traceparent", SAMPLED.upper()),),
            (("traceparent", "x" * 8000),),
            (("traceparent", SAMPLED), ("traceparent", SAMPLED)),
            (("tracestate", "a=1"),),
        ]
        for number, headers in enumerate(wrong):
            self.assertEqual(self.send(server, number, *headers), 200, headers)
        self.assertEqual(self.spans(server), [])
        self.assertEqual(
            server.metric("trialwire_traces_total", server="http", result="malformed"), 6)

    def test_what_a_caller_writes_is_not_in_a_trace(self):
        server = self.server().start()
        body = json.dumps(report(1, patientId="SECRET-1", comments="SECRET-2", reportId="SECRET-3"))
        self.assertEqual(self.send(
            server, 1, ("traceparent", SAMPLED), ("tracestate", "a=SECRET-4"),
            ("User-Agent", "SECRET-5"), ("Idempotency-Key", "SECRET-6"),
            path="/v1/epro/reports?x=SECRET-7", body=body), 200)
        self.wait_spans(server, 4)
        self.assertNotIn("SECRET", json.dumps(self.spans(server)))

    def test_refused_reports_are_traced_without_what_they_say(self):
        server = self.server().start()
        status = self.send(server, 0, ("traceparent", SAMPLED),
                           body='{"patientId":"SECRET-7","qolScore":11}')
        self.assertEqual(status, 400)
        (span,) = self.wait_spans(server, 1)
        self.assertEqual(span["name"], "POST /v1/epro/reports")
        self.assertNotIn("SECRET", json.dumps(span))
        self.assertEqual(span["status"], {})

    def test_the_ring_is_bounded_and_traces_a_second_are(self):
        server = self.server(**{"trace.ratio": "100%", "trace.spans": "8", "trace.per_second": "1",
                                "runtime.shards": "1"}).start()
        for number in range(40):
            self.send(server, number)
        self.assertGreater(
            server.metric("trialwire_traces_total", server="http", result="over_the_limit"), 10)
        server.wait_stored(40)
        self.assertLessEqual(len(self.spans(server, "?limit=100")), 8)
        for query in ("?limit=0", "?limit=x", "?limit=10001", "?what=1"):
            self.assertEqual(server.ask_admin("/debug/traces" + query).status, 400)

    def test_sinks_follow_only_what_was_followed_here(self):
        for settings in ({"trace.callers": "false"}, {"trace.per_second": "1", "runtime.shards": "1"}):
            with self.subTest(**settings):
                server = self.server(**settings).start()
                for number in range(20):
                    self.assertEqual(self.send(server, number, ("traceparent", SAMPLED)), 200)
                server.wait_stored(20)
                spans = self.spans(server, "?limit=1000")
                roots = {span["spanId"] for span in spans if span["name"].startswith("POST")}
                self.assertLess(len(roots), 10)
                self.assertLessEqual({span["parentSpanId"] for span in spans
                                      if span["name"].startswith("sink")}, roots)
                self.assertEqual(server.stop(), 0)

    def test_it_can_be_turned_off(self):
        server = self.server(**{"trace.spans": "0", "trace.ratio": "100%"}).start()
        self.assertEqual(self.send(server, 1, ("traceparent", SAMPLED)), 200)
        server.wait_stored(1)
        self.assertEqual(server.ask_admin("/debug/traces").status, 404)

    def test_a_slow_request_names_its_trace(self):
        server = self.server(**{"log.slow_request": "1ns"}).start()
        self.send(server, 1, ("traceparent", SAMPLED))
        eventually("a line", lambda: f"trace={TRACE}" in server.log())
        self.assertIn("slow request", server.log())


if __name__ == "__main__":
    unittest.main()
