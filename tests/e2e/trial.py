# SPDX-License-Identifier: Apache-2.0
"""The records of a real trial, CDISC Pilot Study 01, as the contract's records: what is sent,
what must be refused, and what a database must hold afterwards.

They are read from TRIALWIRE_TRIAL_DATA, else from ../shared/data/cdiscpilot01 beside the checkout."""
import csv
import gzip
import json
import os
import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FOLDER = pathlib.Path(os.environ.get("TRIALWIRE_TRIAL_DATA",
                                     ROOT.parent / "shared/data/cdiscpilot01"))
WHY_SKIPPED = None if (FOLDER / "vs.csv.gz").exists() else (
    f"the trial's records are not in {FOLDER}: TRIALWIRE_TRIAL_DATA says where they are")

ANSWERS, ANSWERS_REFUSED = 1268, 46
VITALS, VITALS_REFUSED = 29635, 8
# Sums of the file's own standard units, and how far conversion may be from their rounding.
SUMS = {"systolic": (1_102_439, 0), "heart_rate": (598_935, 0), "temperature": (99_517.8, 15),
        "weight": (136_577.7, 15)}
SUM_OF_ANSWERS = 47_574

FIELDS = {"SYSBP": "systolic", "DIABP": "diastolic", "PULSE": "heartRate", "TEMP": "temperature",
          "WEIGHT": "weight", "HEIGHT": "height"}
LINES = 500  # of a body


def rows(name):
    with gzip.open(FOLDER / name, "rt", newline="") as file:
        yield from csv.DictReader(file)


def answers():
    """Each row as a QolAnswer, and whether it has the number that makes it one."""
    for row in rows("qs.csv.gz"):
        record = {"patient_id": row["USUBJID"], "question_id": row["QSTESTCD"],
                  "submit_time": row["QSDTC"] + "T00:00:00Z", "trial_id": row["STUDYID"],
                  "instrument": row["QSCAT"], "visit_id": row["VISIT"]}
        if row["QSSTRESN"]:
            record["answer"] = int(row["QSSTRESN"])
        yield record, "answer" in record


def vitals():
    """Each row as a VitalSign with value and unit as collected, and whether it has a value."""
    for row in rows("vs.csv.gz"):
        record = {"deviceId": row["USUBJID"], "patientId": row["USUBJID"],
                  "trialId": row["STUDYID"], "timestamp": row["VSDTC"] + "T00:00:00Z",
                  "sequence": int(row["VSSEQ"])}
        if row["VSPOS"]:
            record["position"] = row["VSPOS"]
        if row["VSORRES"]:
            field = FIELDS[row["VSTESTCD"]]
            record[field] = float(row["VSORRES"])
            record["units"] = {field: row["VSORRESU"]}
        yield record, bool(row["VSORRES"])


def send(server, path, records):
    """Posts all as NDJSON; how many were accepted, and of each refused its number from 0 and why."""
    accepted, refused = 0, {}
    records = list(records)
    for first in range(0, len(records), LINES):
        lines = [json.dumps(record) for record in records[first:first + LINES]]
        answer = server.post(path, "\n".join(lines), "application/x-ndjson")
        assert answer.status == 200, answer.body
        said = answer.json()
        accepted += said["accepted"]
        refused |= {first + each["line"] - 1: each for each in said["rejected"]}
    return accepted, refused


def check_intake(test, server):
    """Sends both files; what has no value is refused, row by row and by name, and nothing else."""
    for path, made, wanted, field in (
            ("/v1/epro/qol", list(answers()), (ANSWERS, ANSWERS_REFUSED), "answer"),
            ("/v1/vitals", list(vitals()), (VITALS, VITALS_REFUSED), None)):
        accepted, refused = send(server, path, (record for record, _ in made))
        test.assertEqual((accepted, len(refused)), wanted, path)
        test.assertEqual(sorted(refused), [n for n, (_, whole) in enumerate(made) if not whole])
        test.assertEqual({why["rule"] for why in refused.values()}, {"required"})
        if field:
            test.assertEqual({why["field"] for why in refused.values()}, {field})


def check_database(test, sql):
    """`sql` answers a statement with a line a row, columns apart by tabs."""
    counted = sql("SELECT count(*), sum(answer) FROM qol_answers").split("\t")
    test.assertEqual([int(text) for text in counted], [ANSWERS, SUM_OF_ANSWERS])
    instruments = sql("SELECT instrument, count(*) FROM qol_answers GROUP BY instrument "
                      "ORDER BY instrument")
    test.assertEqual([line.split("\t")[0] for line in instruments.splitlines()],
                     ["COEQ", "NEI VFQ-25"])
    test.assertEqual(int(sql("SELECT count(*) FROM vital_signs")), VITALS)
    for column, (wanted, off) in SUMS.items():
        found = float(sql(f"SELECT sum({column}) FROM vital_signs"))
        test.assertLessEqual(abs(found - wanted), off + 1e-6, column)
    position = sql("SELECT position, count(*) FROM vital_signs WHERE systolic IS NOT NULL "
                   "GROUP BY position ORDER BY position")
    test.assertEqual([line.split("\t")[0] for line in position.splitlines()],
                     ["STANDING", "SUPINE"])
