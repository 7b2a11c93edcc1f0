#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of CONTRIBUTING.md that a machine can see: file and line lengths, one SPDX line,
folder READMEs, words that do not belong into a tree that is done."""
import pathlib
import re
import subprocess
import sys

CODE = {".cpp", ".hpp"}
LINES_MAX, TEST_LINES_MAX, COLUMNS_MAX, README_LINES_MAX = 800, 1000, 100, 60
UNDONE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def tracked(root: pathlib.Path):
    names = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True)
    return [root / name for name in names.stdout.splitlines() if (root / name).is_file()]


def problems_of_code(path: pathlib.Path, lines: list[str]):
    limit = TEST_LINES_MAX if path.stem.endswith("_test") or "tests" in path.parts else LINES_MAX
    if len(lines) > limit:
        yield f"{path}: {len(lines)} lines, at most {limit}"
    if sum("SPDX-License-Identifier" in line for line in lines) != 1:
        yield f"{path}: wants exactly one SPDX line"
    for number, line in enumerate(lines, 1):
        if len(line) > COLUMNS_MAX and "http" not in line:
            yield f"{path}:{number}: {len(line)} columns, at most {COLUMNS_MAX}"
        if UNDONE.search(line):
            yield f"{path}:{number}: unfinished word"


def problems(root: pathlib.Path):
    for path in tracked(root):
        relative = path.relative_to(root)
        if path.suffix in CODE:
            yield from problems_of_code(relative, path.read_text().splitlines())
        elif path.name == "README.md" and len(relative.parts) > 1:
            count = len(path.read_text().splitlines())
            if count > README_LINES_MAX:
                yield f"{relative}: {count} lines, a folder's README has at most {README_LINES_MAX}"
    for folder in sorted((root / "src").iterdir()):
        if folder.is_dir() and any(folder.rglob("*.cpp")) and not (folder / "README.md").exists():
            yield f"src/{folder.name}: has no README.md"
    if len((root / "README.md").read_text().splitlines()) > 120:
        yield "README.md: more than 120 lines"


def main() -> int:
    found = list(problems(pathlib.Path(__file__).resolve().parent.parent))
    print("\n".join(found) if found else "style: ok")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
