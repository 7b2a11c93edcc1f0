# SPDX-License-Identifier: Apache-2.0
"""What the benchmark runs on: cores, the file system under the data, the device's own sync time."""
import json
import os
import pathlib
import platform
import re
import subprocess

MEMORY_FILE_SYSTEMS = {"tmpfs", "ramfs", "devtmpfs", "overlay", "aufs", "fuse-overlayfs"}


class Unsuitable(Exception):
    """This place cannot give figures that mean anything; the text says why."""


def file_system_of(path: pathlib.Path) -> dict:
    """Type, device and mount point of the file system that holds `path`."""
    best = None
    for line in pathlib.Path("/proc/self/mountinfo").read_text().splitlines():
        left, right = line.split(" - ", 1)
        mount = re.sub(r"\\(\d{3})", lambda m: chr(int(m.group(1), 8)), left.split()[4])
        kind, device = right.split()[:2]
        inside = mount == "/" or path == pathlib.Path(mount) or pathlib.Path(mount) in path.parents
        if inside and (best is None or len(mount) >= len(best["mount"])):
            best = {"type": kind, "device": device, "mount": mount}
    return best or {"type": "unknown", "device": "unknown", "mount": "/"}


def check_directory(directory: pathlib.Path, probe: pathlib.Path) -> dict:
    """The file system, after making sure that durable figures can be measured on it."""
    directory.mkdir(parents=True, exist_ok=True)
    system = file_system_of(directory.resolve())
    if system["type"] in MEMORY_FILE_SYSTEMS:
        raise Unsuitable(f"{directory} is on {system['type']}, which is not a disk: "
                         "choose another place with --dir")
    result = probe_device(directory, probe, syncs=200, core=cores()[0])
    if not result.get("direct"):
        raise Unsuitable(f"{directory} ({system['type']}) refuses O_DIRECT ({result.get('error')}): "
                         "choose another place with --dir")
    return system


def probe_device(directory: pathlib.Path, probe: pathlib.Path, syncs: int = 3000,
                 core: int = 0) -> dict:
    """The device's own time for one durable 4 KiB block: O_DIRECT write and fdatasync."""
    done = subprocess.run(["taskset", "-c", str(core), probe, directory, str(syncs)],
                          capture_output=True, text=True)
    try:
        return json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise Unsuitable(f"the fdatasync probe failed: {done.stderr or done.stdout}") from error


def cores() -> list[int]:
    available = sorted(os.sched_getaffinity(0))
    if len(available) < 2:
        raise Unsuitable("two cores are needed: one for the server, one for the client")
    return available


def free_bytes(directory: pathlib.Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def describe() -> dict:
    model = "unknown"
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    memory = int(re.search(r"MemTotal:\s+(\d+)",
                           pathlib.Path("/proc/meminfo").read_text()).group(1)) // 1024
    return {"processor": model, "cores": os.cpu_count(), "memoryMiB": memory,
            "kernel": platform.release(), "loadAverage": os.getloadavg()[0]}
