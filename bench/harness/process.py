# SPDX-License-Identifier: Apache-2.0
"""What a running server uses, read from /proc ten times a second."""
import os
import pathlib
import re
import threading
import time

TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of the whole process, threads that ended included."""
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def thread_cpu_seconds(pid: int, name: str) -> float:
    """User and system time of the threads whose name starts so."""
    ticks = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            left, right = (task / "stat").read_text().rsplit(")", 1)
        except OSError:
            continue  # it ended
        if left.split("(", 1)[1].startswith(name):
            fields = right.split()
            ticks += int(fields[11]) + int(fields[12])
    return ticks / TICKS


def status_kib(pid: int, name: str) -> int:
    """VmHWM, VmRSS, … in KiB."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    found = re.search(rf"^{name}:\s+(\d+) kB", text, re.MULTILINE)
    return int(found.group(1)) if found else 0


def written_bytes(pid: int) -> int:
    """Bytes that the process sent to the storage layer."""
    text = pathlib.Path(f"/proc/{pid}/io").read_text()
    return int(re.search(r"^write_bytes: (\d+)", text, re.MULTILINE).group(1))


def busy_seconds(cores: set[int]) -> float:
    """Time that these cores were not idle, whoever used them; stolen by the host included."""
    busy = 0
    for line in pathlib.Path("/proc/stat").read_text().splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:].isdigit() and int(name[3:]) in cores:
            user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
            busy += user + nice + system + irq + softirq + steal
    return busy / TICKS


class Sampler:
    """CPU time and written bytes over time, so that any window can be asked for afterwards."""

    def __init__(self, pid: int, cores: set[int]):
        self._pid = pid
        self._cores = cores
        self._samples: list[tuple[int, float, int, float, float]] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join()
        self._take()

    def cpu_between(self, start_ns: int, end_ns: int) -> float:
        return self._at(end_ns, 1) - self._at(start_ns, 1)

    def written_between(self, start_ns: int, end_ns: int) -> float:
        return self._at(end_ns, 2) - self._at(start_ns, 2)

    def busy_between(self, start_ns: int, end_ns: int) -> float:
        """Of the cores given, whoever used them."""
        return self._at(end_ns, 3) - self._at(start_ns, 3)

    def sink_between(self, start_ns: int, end_ns: int) -> float:
        """CPU time of the threads that deliver to the database."""
        return self._at(end_ns, 4) - self._at(start_ns, 4)

    def _run(self) -> None:
        while not self._stop.is_set():
            self._take()
            self._stop.wait(0.1)

    def _take(self) -> None:
        try:
            cpu, written = cpu_seconds(self._pid), written_bytes(self._pid)
            sink = thread_cpu_seconds(self._pid, "sink")
        except (OSError, IndexError, AttributeError):
            return
        self._samples.append((time.monotonic_ns(), cpu, written, busy_seconds(self._cores),
                              sink))

    def _at(self, when_ns: int, column: int) -> float:
        """Between two samples, in proportion."""
        before = None
        for sample in self._samples:
            if sample[0] >= when_ns:
                if before is None:
                    return sample[column]
                share = (when_ns - before[0]) / (sample[0] - before[0])
                return before[column] + share * (sample[column] - before[column])
            before = sample
        if before is None:
            raise RuntimeError("the server ended before it could be measured")
        return before[column]
