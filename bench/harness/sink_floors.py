# SPDX-License-Identifier: Apache-2.0
"""Destinations of the sinks' benchmark: how trialwire is told of each, how its rows are counted,
and its floor: the same rows into the same tables of the same server by a client that does nothing
else."""
import json
import pathlib
import re
import shutil
import subprocess
import sys
import time

from .build import ROOT

sys.path.insert(0, str(ROOT / "tests/services"))

import kafka_broker  # noqa: E402
import servers  # noqa: E402

ROWS_ONE_BY_ONE = 2000
TOPIC = "trialwire.epro_report"


def _run(command: list, **options) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True,
                          check=False, **options)
    if done.returncode != 0:
        name = pathlib.Path(command[0]).name
        raise RuntimeError(f"{name}: {(done.stderr or done.stdout)[-600:]}")
    return done.stdout


class Sqlite:
    name, floor_name = "sqlite", "prepared multi-row inserts"

    def __init__(self, directory: pathlib.Path, floor: pathlib.Path):
        self._directory = directory
        self._floor = floor
        self._file = None

    def start(self) -> None:
        pass

    def stop(self) -> None:
        pass

    def settings(self, run: int) -> dict:
        """Of a run's own, empty database."""
        self._file = self._directory / f"run-{run}.db"
        return {"store.url": f"sqlite:{self._file}"}

    def stored(self) -> tuple[int, int]:
        """Rows, and different records among them."""
        out = _run(["sqlite3", self._file,
                    "SELECT count(*), count(DISTINCT record_id) FROM epro_reports"])
        rows, different = out.split("|")
        return int(rows), int(different)

    def floor(self) -> float:
        """Rows a second."""
        return self._insert([])

    def one_by_one(self) -> float:
        return self._insert(["--statement-rows", 1, "--transaction-rows", 1,
                             "--rows", ROWS_ONE_BY_ONE])

    def _insert(self, options: list) -> float:
        target = self._directory / "floor.db"
        said = json.loads(_run([self._floor, "sqlite", self._file, target, *options]))
        for file in self._directory.glob("floor.db*"):
            file.unlink()
        return said["rows"] / said["seconds"]

    def drop(self) -> None:
        for file in self._directory.glob("run-*.db*"):
            file.unlink()


class Postgres:
    name, floor_name = "postgres", "psql \\copy"

    def __init__(self, directory: pathlib.Path, _floor: pathlib.Path):
        # As an operator would for such a load; the floor gets the same server.
        self.server = servers.Postgres(directory, shared_buffers="1GB", max_wal_size="8GB")
        self._directory = directory
        self._database = ""

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def settings(self, run: int) -> dict:
        self._database = f"run_{run}"
        return {"store.url": self.server.create_database(self._database)}

    def stored(self) -> tuple[int, int]:
        out = self._sql("SELECT count(*), count(DISTINCT record_id) FROM epro_reports")
        rows, different = out.split("\t")
        return int(rows), int(different)

    def floor(self) -> float:
        file = self._directory / "rows.copy"
        self._sql(f"\\copy (SELECT * FROM epro_reports ORDER BY sequence) TO '{file}'")
        count = int(self._sql("SELECT count(*) FROM epro_reports"))
        self._empty_copy()
        start = time.monotonic()
        self._sql(f"\\copy floor.epro_reports FROM '{file}'")
        seconds = time.monotonic() - start
        file.unlink()
        return count / seconds

    def one_by_one(self) -> float:
        lines = self._sql(
            "SELECT 'INSERT INTO floor.epro_reports OVERRIDING SYSTEM VALUE SELECT "
            "(json_populate_record(NULL::floor.epro_reports, ' || quote_literal(row_to_json(r)::text) || ')).*;' "
            f"FROM (SELECT * FROM epro_reports ORDER BY sequence LIMIT {ROWS_ONE_BY_ONE}) r")
        self._empty_copy()
        start = time.monotonic()
        self._sql(lines)
        return ROWS_ONE_BY_ONE / (time.monotonic() - start)

    def _empty_copy(self) -> None:
        self._sql("DROP SCHEMA IF EXISTS floor CASCADE; CREATE SCHEMA floor; CREATE TABLE "
                  "floor.epro_reports (LIKE public.epro_reports INCLUDING ALL); CHECKPOINT")

    def _sql(self, statement: str) -> str:
        return self.server.sql(statement, self._database)

    def drop(self) -> None:
        self.server.sql(f'DROP DATABASE "{self._database}" WITH (FORCE)', "postgres")


class MariaDB:
    name, floor_name = "mariadb", "multi-row inserts"

    def __init__(self, directory: pathlib.Path, floor: pathlib.Path):
        self.server = servers.MariaDB(directory, **{"innodb-buffer-pool-size": "1G",
                                                    "innodb-log-file-size": "1G"})
        self._floor = floor
        self._database = ""

    def start(self) -> None:
        self.server.start()

    def stop(self) -> None:
        self.server.stop()

    def settings(self, run: int) -> dict:
        self._database = f"run_{run}"
        return {"store.url": self.server.create_database(self._database)}

    def stored(self) -> tuple[int, int]:
        out = self.server.sql("SELECT count(*), count(DISTINCT record_id) FROM epro_reports",
                              self._database)
        rows, different = out.split("\t")
        return int(rows), int(different)

    def floor(self) -> float:
        return max(self._insert(["--statement-rows", rows]) for rows in (100, 1000))

    def one_by_one(self) -> float:
        return self._insert(["--statement-rows", 1, "--transaction-rows", 1,
                             "--rows", ROWS_ONE_BY_ONE])

    def _insert(self, options: list) -> float:
        self.server.sql("DROP DATABASE IF EXISTS floor; CREATE DATABASE floor; CREATE TABLE "
                        f"floor.epro_reports LIKE {self._database}.epro_reports")
        said = json.loads(_run([self._floor, "mysql", "127.0.0.1", self.server.port, servers.USER,
                                servers.PASSWORD, self._database, "floor", *options]))
        return said["rows"] / said["seconds"]

    def drop(self) -> None:
        self.server.sql(f"DROP DATABASE {self._database}")


class Kafka:
    name, floor_name = "kafka", "kafka-producer-perf-test, acks=all"

    def __init__(self, directory: pathlib.Path, _floor: pathlib.Path):
        self.server = kafka_broker.Kafka(directory, fast_start=False)
        self._directory = directory
        self._client = None
        self._prefix = ""

    def start(self) -> None:
        self.server.start()
        self._client = self.server.client()

    def stop(self) -> None:
        if self._client:
            self._client.close()
        self.server.stop()

    def settings(self, run: int) -> dict:
        self._prefix = f"run{run}"
        for kind in ("epro_report", "qol_answer", "vital_sign", "trial_metric"):
            self._client.create_topic(f"{self._prefix}.{kind}", partitions=4)
        return {"kafka.brokers": self.server.address, "kafka.topic_prefix": self._prefix}

    @property
    def topic(self) -> str:
        return f"{self._prefix}.epro_report"

    def stored(self) -> tuple[int, int]:
        rows, different = 0, set()
        for message in self._client.messages(self.topic):
            rows += 1
            different.add(message.headers["record_id"])
        return rows, len(different)

    def floor(self) -> float:
        """The values that were sent, sent again by Kafka's own producer and benchmark."""
        count, payloads = self._payloads()
        best = 0.0
        for linger in (0, 5):
            self._client.create_topic(f"floor{linger}.{self._prefix}", partitions=4)
            said = _run(kafka_broker.java(
                "org.apache.kafka.tools.ProducerPerformance", "--topic",
                f"floor{linger}.{self._prefix}", "--num-records", str(count), "--throughput", "-1",
                "--payload-file", str(payloads), "--producer-props",
                f"bootstrap.servers={self.server.address}", "acks=all", f"linger.ms={linger}",
                memory="512m", compile_fast=False))
            best = max(best, float(re.findall(r"([\d.]+) records/sec", said)[-1]))
            self._client.delete_topic(f"floor{linger}.{self._prefix}")
        payloads.unlink()
        return best

    def _payloads(self) -> tuple[int, pathlib.Path]:
        file, count = self._directory / "payloads", 0
        with open(file, "wb") as out:
            for message in self._client.messages(self.topic):
                count += 1
                if count <= 20_000:  # it draws from them
                    out.write(message.value + b"\n")
        return count, file

    def one_by_one(self) -> float:
        """Each waits for its acknowledgement."""
        start = time.monotonic()
        for number in range(ROWS_ONE_BY_ONE):
            self._client.produce(self.topic, b"%d" % number, b"x" * 400)
        return ROWS_ONE_BY_ONE / (time.monotonic() - start)

    def drop(self) -> None:
        for kind in ("epro_report", "qol_answer", "vital_sign", "trial_metric"):
            self._client.delete_topic(f"{self._prefix}.{kind}")


def remove(directory: pathlib.Path) -> None:
    shutil.rmtree(directory, ignore_errors=True)


ALL = {each.name: each for each in (Sqlite, Postgres, MariaDB, Kafka)}
