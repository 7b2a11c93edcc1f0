#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The rules of CONTRIBUTING.md that a machine can see: lengths of files, functions and lines, one
SPDX line, folder READMEs, words that do not belong into a tree that is done."""
import pathlib
import re
import subprocess
import sys

CODE = {".cpp", ".hpp"}
LINES_MAX, TEST_LINES_MAX, COLUMNS_MAX, README_LINES_MAX = 800, 1000, 100, 60
FUNCTION_LINES_MAX = 70
UNDONE = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


def tracked(root: pathlib.Path):
    names = subprocess.run(["git", "ls-files"], cwd=root, check=True, capture_output=True, text=True)
    return [root / name for name in names.stdout.splitlines() if (root / name).is_file()]


# As clang-format leaves it: a body begins with the last brace of a line that closes parentheses, at
# the indentation of a function or of a member, and ends with a brace at the same indentation.
BODY_BEGINS = re.compile(r"^(?P<indentation>(?:  )?)(?![ })]).*\)[^;(){}]*\{$")
NO_FUNCTION = re.compile(r"\s*(namespace|class|struct|enum|union|extern|if|for|while|switch)\b"
                         r"|.*= *\{$")


def long_functions(lines: list[str]):
    """First line and length of each function that is too long, its signature not counted."""
    for first, line in enumerate(lines):
        begins = BODY_BEGINS.match(line)
        if not begins or NO_FUNCTION.match(line):
            continue
        end = begins["indentation"] + "}"
        for last in range(first + 1, len(lines)):
            if lines[last].startswith(end):
                if last - first + 1 > FUNCTION_LINES_MAX:
                    yield first + 1, last - first + 1
                break


def problems_of_code(path: pathlib.Path, lines: list[str]):
    limit = TEST_LINES_MAX if path.stem.endswith("_test") or "tests" in path.parts else LINES_MAX
    if len(lines) > limit:
        yield f"{path}: {len(lines)} lines, at most {limit}"
    if sum("SPDX-License-Identifier" in line for line in lines) != 1:
        yield f"{path}: wants exactly one SPDX line"
    for number, length in long_functions(lines):
        yield f"{path}:{number}: a function of {length} lines, at most {FUNCTION_LINES_MAX}"
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
