# SPDX-License-Identifier: Apache-2.0
"""Builds what is measured: the release binary, the floor, the probe, and the peers in Go."""
import os
import pathlib
import shutil
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
BUILD = ROOT / "build"
RELEASE = BUILD / "release"


def programs(binary: pathlib.Path | None, build: bool = True,
             sinks: bool = False) -> dict[str, pathlib.Path]:
    """Paths by name; with `binary`, that trialwire is measured in place of the release build's;
    with `sinks`, the floor of sinks too and the servers that they need."""
    if build:
        if sinks:
            _run([str(ROOT / "tools" / "setup-services")])
        _run(["cmake", "--preset", "release", "-DTRIALWIRE_BENCH=ON"])
        targets = ["floor", "fdatasync_probe"] + ([] if binary else ["trialwire"])
        targets += ["sink_floor"] if sinks else []
        _run(["cmake", "--build", str(RELEASE), "--target", *targets])
    return {"trialwire": binary or RELEASE / "trialwire",
            "floor": RELEASE / "floor",
            "probe": RELEASE / "fdatasync_probe",
            "sink_floor": RELEASE / "sink_floor"}


def peers() -> dict[str, pathlib.Path]:
    """Gin and fasthttp, or nothing when there is no Go to build them with."""
    go = shutil.which("go")
    if go is None:
        print("bench: no `go` here, so Gin and fasthttp are left out (Debian: golang-go)",
              file=sys.stderr)
        return {}
    out = BUILD / "peers"
    out.mkdir(parents=True, exist_ok=True)
    _run([go, "build", "-buildvcs=false", "-o", f"{out}/", "./gin", "./fasthttp"],
         ROOT / "bench" / "peers")
    return {"gin": out / "gin", "fasthttp": out / "fasthttp"}


def _run(command: list[str], directory: pathlib.Path = ROOT) -> None:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, env=os.environ)
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-4000:], file=sys.stderr)
        raise SystemExit(f"bench: cannot build: {' '.join(command)}")
