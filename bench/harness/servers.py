# SPDX-License-Identifier: Apache-2.0
"""The four servers: each is started whole on one core, and ended by its process id."""
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import time
import urllib.request

READY_SECONDS = 60
STOP_SECONDS = 60
MIB = 1 << 20


class ServerFailed(Exception):
    pass


class Server:
    """A server process and where it listens."""

    stores = False

    def __init__(self, name: str, command: list[str], core: int | None,
                 log: pathlib.Path):
        self.name = name
        self.core = core
        self.log = log
        self._log = open(log, "w+b")
        # What a peer prints first is where it listens; the product writes that into a file.
        self._process = subprocess.Popen(
            [*([] if core is None else ["taskset", "-c", str(core)]), *command], stderr=self._log,
            stdout=self._log if self.stores else subprocess.PIPE,
            env={**os.environ, "GOMAXPROCS": "1"})
        self.port = 0

    @property
    def pid(self) -> int:
        return self._process.pid  # taskset becomes the program it starts

    def wait_ready(self) -> None:
        line = self._process.stdout.readline().decode()
        found = re.search(r":(\d+)\s*$", line)
        if not found:
            raise ServerFailed(f"{self.name} did not start: {line}{self.log_tail()}")
        self.port = int(found.group(1))

    def alive(self) -> bool:
        return self._process.poll() is None

    def log_tail(self) -> str:
        return self.log.read_text(errors="replace")[-2000:]

    def stop(self) -> int:
        """Asks it to end; returns its exit code."""
        if self.alive():
            self._process.send_signal(signal.SIGTERM)
        return self._reap()

    def kill(self) -> None:
        self._process.kill()
        self._reap()

    def _reap(self) -> int:
        try:
            code = self._process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            code = self._process.wait()
        if self._process.stdout:
            self._process.stdout.close()
        self._log.close()
        return code


class Trialwire(Server):
    """The product with its defaults but for ports and place, unless a scenario says otherwise."""

    stores = True

    def __init__(self, binary: pathlib.Path, data: pathlib.Path, core: int | None,
                 settings: dict):
        self.data = data
        self.binary = binary
        self._settings = {"data_dir": str(data), "http.listen": "127.0.0.1:0",
                          "admin.listen": "127.0.0.1:0", **settings}
        self._started = time.monotonic()
        self.ready_seconds = 0.0
        self.admin = ""
        command = [str(binary), "serve"]
        for key, value in self._settings.items():
            command += ["--set", f"{key}={value}"]
        super().__init__("trialwire", command, core, data.parent / f"{data.name}.log")

    def wait_ready(self) -> None:
        ports = self.data / "run" / "ports.json"
        while time.monotonic() - self._started < READY_SECONDS:
            if not self.alive():
                raise ServerFailed(f"trialwire ended at start: {self.log_tail()}")
            try:
                listening = json.loads(ports.read_text())
                if listening.get("pid", self.pid) != self.pid:
                    raise ValueError("of a process before")
                self.port = int(str(listening["http"]).rsplit(":", 1)[1])
                self.admin = str(listening["admin"])
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                self.ready_seconds = time.monotonic() - self._started
                return
            except (OSError, ValueError, KeyError):
                time.sleep(0.02)
        raise ServerFailed(f"trialwire was not ready in {READY_SECONDS} s: {self.log_tail()}")

    def metrics(self) -> str:
        with urllib.request.urlopen(f"http://{self.admin}/metrics", timeout=10) as answer:
            return answer.read().decode()

    def io_mode(self) -> str:
        found = re.search(r'_io_mode\{[^}]*mode="(\w+)"[^}]*\} 1\b', self.metrics())
        return found.group(1) if found else "unknown"

    def verify(self) -> dict:
        """The journal at rest, checked whole; the server must have ended."""
        done = subprocess.run([self.binary, "journal", "verify", "--json", "--set",
                               f"data_dir={self.data}"], capture_output=True, text=True)
        try:
            return {**json.loads(done.stdout), "exit": done.returncode}
        except json.JSONDecodeError:
            return {"ok": False, "exit": done.returncode, "error": done.stderr[-500:]}

    def remove_data(self) -> None:
        shutil.rmtree(self.data, ignore_errors=True)
