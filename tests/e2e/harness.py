# SPDX-License-Identifier: Apache-2.0
"""Starts the real binary on free ports in a directory of its own, and talks to it."""
import contextlib
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import subprocess
import tempfile
import time
import unittest

BINARY = os.environ["TRIALWIRE_BINARY"]
PATIENCE = 30.0  # seconds for what takes none
# A start after a crash: 2 s for 1 GiB of journal, here for much less. Sanitizers slow it down.
START_SECONDS = 2.0 * float(os.environ.get("TRIALWIRE_SLOWDOWN", "1"))

# Small, so that a start does not write 128 MiB of zeros.
SMALL = {
    "http.listen": "127.0.0.1:0",
    "admin.listen": "127.0.0.1:0",
    "runtime.shards": "2",
    "journal.segment_bytes": "16MiB",
    "journal.max_bytes": "1GiB",
    "dedupe.memory": "8MiB",
    "pipeline.background": "false",  # else whatever runs beside the tests starves it
    "limits.shed.cpu": "100%",  # likewise: lists would be shed
    "limits.shed.loop_lag": "0s",  # and a disk that others use stalls for seconds
    "limits.shed.commit_age": "0s",
    "pipeline.batch_delay": "20ms",
    "pipeline.delivery_interval": "10ms",
    "pipeline.retry_max": "200ms",
}


def eventually(what, condition, patience=PATIENCE):
    """Waits for a condition of another process; returns what it gave."""
    end = time.monotonic() + patience
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError(f"not within {patience} s: {what}")
        time.sleep(0.01)


def report(number, **fields):
    return {
        "patientId": f"P-{number}",
        "trialId": "T-1",
        "timestamp": "2026-03-01T08:15:30+01:00",
        "qolScore": number % 11,
        "reportId": f"R-{number}",
        **fields,
    }


class Unavailable(AssertionError):
    """503 where rows were asked for."""


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()

    def json(self):
        return json.loads(self.body)


class Server:
    """One `trialwire serve`. Its data directory outlives it, so that it can be started again."""

    def __init__(self, directory, **settings):
        self.directory = pathlib.Path(directory)
        self.settings = {**SMALL, "data_dir": str(self.directory / "data"), **settings}
        self.log_path = self.directory / "log"
        self.process = None
        self.http = None
        self.admin = None

    @property
    def data(self):
        return pathlib.Path(self.settings["data_dir"])

    def command(self, *arguments):
        sets = [part for key, value in self.settings.items() for part in ("--set", f"{key}={value}")]
        return [BINARY, *arguments, *sets]

    def run(self, *arguments, timeout=PATIENCE, **options):
        """Another subcommand with the same settings, to its end."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True,
                              timeout=timeout, check=False, **options)

    def start(self, wait=True, **options):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command("serve"), stdout=log, stderr=log, **options)
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self):
        def published():
            if self.process.poll() is not None:
                raise AssertionError(f"ended with {self.process.returncode}: {self.log()}")
            try:
                ports = json.loads((self.data / "run/ports.json").read_text())
            except (FileNotFoundError, json.JSONDecodeError):
                return None
            return ports if ports["pid"] == self.process.pid else None
        ports = eventually("ports.json", published)
        self.http, self.admin = ports["http"], ports["admin"]

    def stop(self, number=signal.SIGTERM):
        """Returns the exit code."""
        self.process.send_signal(number)
        return self.wait()

    def wait(self):
        code = self.process.wait(PATIENCE)
        self.process = None
        return code

    def kill(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None

    def log(self):
        return self.log_path.read_text(errors="replace")

    def connect(self):
        return http.client.HTTPConnection(self.http, timeout=PATIENCE)

    def request(self, method, target, body=None, headers=None, address=None):
        connection = http.client.HTTPConnection(address or self.http, timeout=PATIENCE)
        try:
            connection.request(method, target, body, headers or {})
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, target):
        return self.request("GET", target)

    def post(self, target, value, content_type="application/json"):
        body = value if isinstance(value, (bytes, str)) else json.dumps(value)
        return self.request("POST", target, body, {"Content-Type": content_type})

    def ask_admin(self, target):
        return self.request("GET", target, address=self.admin)

    def metric(self, name, **labels):
        """The sum of all samples of that name that carry these labels."""
        total, found = 0.0, False
        for line in self.ask_admin("/metrics").body.decode().splitlines():
            match = re.fullmatch(r"([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)", line)
            if match and match[1] == name:
                have = dict(re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or ""))
                if all(have.get(key) == value for key, value in labels.items()):
                    total, found = total + float(match[3]), True
        if not found:
            raise AssertionError(f"no metric {name} {labels}")
        return total

    def items(self, query="limit=1000"):
        """All stored reports of a query, page by page."""
        items, cursor = [], None
        while True:
            answer = self.get(f"/v1/epro/reports?{query}" + (f"&cursor={cursor}" if cursor else ""))
            if answer.status == 503:
                raise Unavailable(answer.body)
            assert answer.status == 200, answer.body
            page = answer.json()
            items += page["items"]
            cursor = page["next"]
            if cursor is None:
                return items

    def stored(self):
        """Stored reports, out of SQLite's file: asking the server is a read, which is audited and
        so a record of the journal itself. None: there is no such table just now."""
        url = self.settings.get("store.url", "sqlite:data/trialwire.db").removeprefix("sqlite:")
        file = self.data / url.removeprefix("data/") if url.startswith("data/") else url
        try:
            with contextlib.closing(sqlite3.connect(f"file:{file}?mode=ro", uri=True)) as database:
                database.row_factory = sqlite3.Row
                rows = database.execute("SELECT * FROM epro_reports ORDER BY timestamp_ns, id")
                return [self.item(row) for row in rows]
        except sqlite3.Error:
            return None

    @staticmethod
    def item(row):
        """A row as a list has it, but for its flags."""
        def name(column):
            first, *rest = column.split("_")
            return first + "".join(word.capitalize() for word in rest)
        item = {name(column): row[column] for column in row.keys() if row[column] is not None}
        if "answers" in item:
            item["answers"] = json.loads(item["answers"])
        return item

    def wait_stored(self, count):
        def enough():
            try:
                sqlite = self.settings.get("store.url", "sqlite:").startswith("sqlite:")
                items = self.stored() if sqlite else self.items()
                if items is None:
                    return None
            except Unavailable:
                return None  # the database is not there yet, or was not a moment ago
            return items if len(items) >= count else None
        return eventually(f"{count} stored reports", enough)


class ServerTest(unittest.TestCase):
    """Gives each test a directory on a real disk, and ends what it started."""

    def setUp(self):
        base = os.environ.get("TRIALWIRE_TEST_DIR", ".")
        self.directory = pathlib.Path(tempfile.mkdtemp(prefix="e2e-", dir=base)).absolute()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def server(self, **settings):
        made = Server(self.directory, **settings)
        self.addCleanup(made.kill)
        return made
