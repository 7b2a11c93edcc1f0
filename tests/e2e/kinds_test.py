# SPDX-License-Identifier: Apache-2.0
"""The kinds of record besides reports: answers, vital signs, metrics."""
import gzip
import json
import signal
import subprocess
import unittest

from harness import BINARY, ServerTest, eventually

ANSWER = {"patient_id": "P-1", "question_id": "Q1", "answer": 3,
          "submit_time": "2026-03-01T08:15:30Z", "trial_id": "T-1", "instrument": "SF-36"}
SIGN = {"deviceId": "D-1", "timestamp": "2026-03-01T08:15:30+01:00", "temperature": 98.6,
        "units": {"temperature": "[degF]"}, "patientId": "P-1", "sequence": 7}
METRIC = {"metricId": "enrolled", "studyId": "T-1", "siteId": "S-9", "value": 41,
          "timestamp": 1772352930250, "annotations": ["weekly"]}

# As the CDISC pilot study has them: a sign a row, units as collected, one that was not done.
SIGNS_CSV = """USUBJID,VSSEQ,VSTESTCD,VSPOS,VSORRES,VSORRESU,VSDTC
01-701,1,SYSBP,SUPINE,131,mmHg,2013-12-26
01-701,2,DIABP,SUPINE,64,mmHg,2013-12-26
01-701,3,PULSE,SUPINE,57,BEATS/MIN,2013-12-26
01-701,4,TEMP,,096.9,F,2013-12-26
01-701,5,WEIGHT,,119.0,LB,2013-12-26
01-701,6,SYSBP,STANDING,,,2013-12-26
"""
FIELDS = {"SYSBP": "systolic", "DIABP": "diastolic", "PULSE": "heartRate", "TEMP": "temperature",
          "WEIGHT": "weight", "HEIGHT": "height"}
SIGNS_MAP = ",".join(
    ["deviceId=USUBJID", "sequence=VSSEQ", "timestamp={VSDTC}T00:00:00Z", "position=VSPOS"]
    + [f"{field}=VSORRES?VSTESTCD={code},units.{field}=VSORRESU?VSTESTCD={code}"
       for code, field in FIELDS.items()])


class Kinds(ServerTest):
    def journal(self, server):
        """What a journal at rest holds."""
        listed = server.run("journal", "cat", "--bodies")
        self.assertEqual(listed.returncode, 0, listed.stderr)
        return [json.loads(line) for line in listed.stdout.splitlines()]

    def test_each_kind_has_its_path_and_its_answer(self):
        server = self.server().start()
        for path in ("/v1/epro/qol", "/submit_qol"):
            answer = server.post(path, [ANSWER, {**ANSWER, "question_id": "Q2"}]).json()
            self.assertEqual(answer, {"message": "submitted successfully", "count": 2,
                                      "receipt": {"firstSequence": 1, "count": 2}})
        answer = server.post("/v1/vitals", SIGN).json()
        self.assertEqual((answer["status"], answer["receipt"]["sequence"]), ("success", 3))
        answer = server.post("/v1/metrics", METRIC).json()
        self.assertEqual((answer["status"], answer["receipt"]["sequence"]), ("success", 4))
        self.assertEqual(server.stop(), 0)
        records = self.journal(server)
        self.assertEqual([record["kind"] for record in records],
                         ["qol_answer", "qol_answer", "vital_sign", "trial_metric"])
        self.assertEqual(records[0]["keyHash"], records[1]["keyHash"])
        self.assertEqual(json.loads(records[2]["body"]), SIGN)

    def test_a_retry_of_each_is_recognised_after_a_restart(self):
        server = self.server().start()
        sent = [("/submit_qol", [ANSWER]), ("/v1/vitals", SIGN), ("/v1/metrics", METRIC)]
        first = [server.post(path, body).json() for path, body in sent]
        self.assertEqual(server.stop(), 0)
        server.start()
        self.assertEqual([server.post(path, body).json() for path, body in sent], first)
        self.assertEqual(server.post("/v1/vitals", {**SIGN, "temperature": 99}).status, 409)

    def test_a_wrong_value_is_named_and_not_repeated(self):
        server = self.server().start()
        answer = server.post("/v1/vitals", {**SIGN, "deviceId": "SECRET-7", "temperature": 310,
                                            "units": {"temperature": "K"}})
        self.assertEqual(answer.status, 400)
        (error,) = answer.json()["errors"]
        self.assertEqual((error["field"], error["rule"]), ("units.temperature", "unknown"))
        self.assertNotIn(b"SECRET-7", answer.body)
        self.assertEqual(server.metric("trialwire_ingest_records_total", kind="vital_sign",
                                       outcome="invalid"), 1)

    def test_load_sends_each_kind(self):
        server = self.server().start()
        for kind in ("report", "qol", "vital", "metric"):
            for bodies in ([], ["--ndjson", "7", "--gzip"]):
                run = server.run("load", f"http://{server.http}", "--kind", kind, "--count", "20",
                                 "--connections", "2", "--json", *bodies)
                self.assertEqual(run.returncode, 0, run.stdout + run.stderr)

    def test_load_maps_the_rows_of_a_table_of_signs(self):
        table = self.directory / "vs.csv.gz"
        table.write_bytes(gzip.compress(SIGNS_CSV.encode()))
        server = self.server().start()
        receipts = self.directory / "receipts"
        run = server.run("load", f"http://{server.http}", "--kind", "vital", "--file", str(table),
                         "--map", SIGNS_MAP, "--ndjson", "4", "--connections", "1", "--json",
                         "--receipts", str(receipts))
        result = json.loads(run.stdout)
        self.assertEqual((run.returncode, result["acceptedReports"], result["rejectedReports"]),
                         (1, 5, 1), run.stderr)
        sequences = [json.loads(line)["sequence"] for line in receipts.read_text().splitlines()]
        self.assertEqual(sorted(sequences), [1, 2, 3, 4, 5])
        self.assertEqual(server.metric("trialwire_ingest_records_total", kind="vital_sign",
                                       outcome="accepted"), 5)
        self.assertEqual(server.metric("trialwire_ingest_records_total", kind="vital_sign",
                                       outcome="invalid"), 1)

    def test_load_says_at_once_what_makes_no_sense(self):
        table = self.directory / "vs.csv"
        table.write_text(SIGNS_CSV)
        for arguments in (["-r", "inf"], ["-r", "1e9"], ["-r", "nan"], ["-n", "-1"], ["-n", "0"],
                          ["-c", "4e9"], ["-c", "4000000000"], ["-c", "-1"], ["-p", "-1"],
                          ["--ndjson", "-1"], ["-d", "inf"], ["-f", str(table)]):
            with self.subTest(arguments=arguments):
                run = self.server().run("load", "http://127.0.0.1:1", *arguments, timeout=10)
                self.assertEqual((run.returncode, run.stdout), (2, ""), run.stderr)
                self.assertLess(len(run.stderr.splitlines()), 4, run.stderr)

    def test_a_run_that_cannot_keep_up_is_ended_by_one_signal(self):
        server = self.server().start()
        for arguments in (["-r", "1e7", "-d", "1h"], ["-r", "1e7", "-n", "1000000000"],
                          ["-n", "1000000000"]):
            with self.subTest(arguments=arguments):
                run = subprocess.Popen([BINARY, "load", f"http://{server.http}", "--json", "-c", "8",
                                        *arguments], stdout=subprocess.PIPE)
                before = server.metric("trialwire_ingest_records_total", outcome="accepted")
                eventually("it sends", lambda: server.metric(
                    "trialwire_ingest_records_total", outcome="accepted") > before + 100)
                run.send_signal(signal.SIGINT)
                out, _ = run.communicate(timeout=10)
                self.assertTrue(json.loads(out)["interrupted"])


if __name__ == "__main__":
    unittest.main()
