# SPDX-License-Identifier: Apache-2.0
"""What was taken in of each kind comes back from its list, with its filters, page by page."""
import json
import unittest

from harness import ServerTest, eventually

ANSWERS = [{"patient_id": f"P-{n % 3}", "question_id": f"Q{n}", "answer": n - 5,
            "submit_time": f"2026-03-01T08:{n:02}:30Z", "trial_id": "T-1", "instrument": "SF-36"}
           for n in range(10)]
SIGNS = [{"deviceId": f"D-{n % 2}", "timestamp": 1772352930250 + n, "heartRate": 60.5 + n,
          "temperature": 98.6, "units": {"temperature": "[degF]"}, "patientId": f"P-{n}",
          "trialId": "T-1", "sequence": n} for n in range(7)]
METRICS = [{"metricId": "enrolled", "studyId": f"T-{n % 2}", "siteId": f"S-{n}", "value": n / 4,
            "timestamp": f"2026-03-0{n + 1}T00:00:00+02:00", "annotations": ["weekly", "draft"]}
           for n in range(5)]


class Lists(ServerTest):
    def stored(self, server, path, count):
        def items():
            answer = server.get(f"{path}?limit=1000")
            page = answer.json()["items"] if answer.status == 200 else []
            return page if len(page) == count else None
        return eventually(f"{count} items of {path}", items)

    def page(self, server, target):
        answer = server.get(target)
        self.assertEqual(answer.status, 200, answer.body)
        return answer.json()

    def start(self):
        server = self.server().start()
        self.assertEqual(server.post("/v1/epro/qol", ANSWERS).status, 200)
        self.assertEqual(server.post("/v1/vitals", SIGNS).status, 200)
        lines = "\n".join(json.dumps(metric) for metric in METRICS)
        self.assertEqual(server.post("/v1/metrics", lines, "application/x-ndjson").status, 200)
        return server

    def test_an_item_has_every_field_of_its_record(self):
        server = self.start()
        for sent, item in zip(ANSWERS, self.stored(server, "/v1/epro/qol", len(ANSWERS))):
            self.assertEqual({name: item[name] for name in sent}, sent)
        for sent, item in zip(SIGNS, self.stored(server, "/v1/vitals", len(SIGNS))):
            for name in ("deviceId", "heartRate", "patientId", "trialId"):
                self.assertEqual(item[name], sent[name])
            self.assertAlmostEqual(item["temperature"], 37.0)
            self.assertEqual(item["collected"]["temperature"], {"value": 98.6, "unit": "[degF]"})
        for sent, item in zip(METRICS, self.stored(server, "/v1/metrics", len(METRICS))):
            self.assertEqual({name: item[name] for name in sent}, sent)
            for name in ("recordId", "sequence", "receivedAt"):
                self.assertIn(name, item)

    def test_filters_narrow_each_list(self):
        server = self.start()
        self.stored(server, "/v1/metrics", len(METRICS))
        for target, count in (("/v1/epro/qol?patientId=P-1", 3),
                              ("/v1/epro/qol?questionId=Q4&trialId=T-1", 1),
                              ("/v1/epro/qol?since=2026-03-01T08:03:30Z"
                               "&until=2026-03-01T08:05:30Z", 2),
                              ("/v1/vitals?deviceId=D-1", 3),
                              ("/v1/vitals?patientId=P-6&trialId=T-1&deviceId=D-0", 1),
                              ("/v1/metrics?studyId=T-0", 3),
                              ("/v1/metrics?siteId=S-4&metricId=enrolled", 1),
                              ("/v1/metrics?siteId=S-9", 0)):
            with self.subTest(target=target):
                self.assertEqual(len(self.page(server, target)["items"]), count)
        for target in ("/v1/epro/qol?deviceId=D-1", "/v1/vitals?siteId=S-1",
                       "/v1/metrics?patientId=P-1", "/v1/metrics?limit=1001"):
            with self.subTest(target=target):
                self.assertEqual(server.get(target).status, 400)

    def test_pages_hold_each_item_once_and_a_cursor_belongs_to_its_list(self):
        server = self.start()
        self.stored(server, "/v1/metrics", len(METRICS))
        seen, cursor = [], ""
        while cursor is not None:
            page = self.page(server, f"/v1/vitals?limit=3{cursor}")
            seen += [item["patientId"] for item in page["items"]]
            cursor = f"&cursor={page['next']}" if page["next"] else None
        self.assertEqual(seen, [sign["patientId"] for sign in SIGNS])
        cursor = self.page(server, "/v1/vitals?limit=3")["next"]
        self.assertEqual(server.get(f"/v1/metrics?cursor={cursor}").status, 400)


if __name__ == "__main__":
    unittest.main()
