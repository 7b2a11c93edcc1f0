#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Fails when a file of src/ includes a module that its own may not know (ARCHITECTURE.md)."""
import pathlib
import re
import sys

# Each layer may include itself (same module only, unless `siblings`) and every layer before it.
LAYERS = [
    {"base"},
    {"config", "telemetry", "resilience"},
    {"runtime", "auth"},
    {"net", "journal", "outbound"},
    {"discovery"},
    {"rpc", "pipeline", "storage", "loadgen"},
    {"archive"},
    {"ingest"},
    {"query"},
    {"epro", "qol", "vitals", "trial", "audit", "metadata", "imaging", "alert", "monitor", "report", "lis"},
]
# Within a layer: storage implements pipeline's Sink.
ALLOWED_SIDEWAYS = {("storage", "pipeline")}
LEVEL = {module: level for level, modules in enumerate(LAYERS) for module in modules}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"')


def violations(source: pathlib.Path):
    for path in sorted(source.rglob("*.[ch]pp")):
        relative = path.relative_to(source)
        module = relative.parts[0]
        if module not in LEVEL:
            if len(relative.parts) > 1:
                yield f"{path}: module '{module}' has no layer in tools/check_includes.py"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = match.group(1).split("/")[0]
            if target == module or (module, target) in ALLOWED_SIDEWAYS:
                continue
            if target not in LEVEL:
                test = "_test.cpp" in path.name or path.name.startswith("test_")
                if test and target in ("support",):
                    continue
                yield f"{path}:{number}: \"{match.group(1)}\" is not a module path"
            elif LEVEL[target] >= LEVEL[module]:
                yield f"{path}:{number}: {module} may not include {target}"


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent
    found = list(violations(pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else root / "src"))
    print("\n".join(found) if found else "include directions: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
