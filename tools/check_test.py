# SPDX-License-Identifier: Apache-2.0
"""What check_includes.py and check_style.py refuse, and what they let pass."""
import pathlib
import subprocess
import tempfile
import unittest

import check_includes
import check_style

SPDX = "// SPDX-License-Identifier: Apache-2.0\n"


class Tree(unittest.TestCase):
    def setUp(self):
        directory = tempfile.TemporaryDirectory()
        self.addCleanup(directory.cleanup)
        self.root = pathlib.Path(directory.name)

    def write(self, name, text):
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class Includes(Tree):
    def found(self, name, included):
        self.write(name, f'#include "{included}"\n')
        return [text.split(": ", 1)[1] for text in check_includes.violations(self.root)]

    def test_a_layer_knows_itself_and_those_before_it(self):
        self.assertEqual(self.found("ingest/a.cpp", "ingest/b.hpp"), [])
        self.assertEqual(self.found("ingest/a.cpp", "journal/journal.hpp"), [])
        self.assertEqual(self.found("storage/a.hpp", "pipeline/sink.hpp"), [])

    def test_one_behind_it_or_beside_it_is_refused(self):
        self.assertEqual(self.found("net/a.hpp", "ingest/b.hpp"), ["net may not include ingest"])
        self.assertEqual(self.found("net/a.hpp", "journal/b.hpp"), ["net may not include journal"])
        self.assertEqual(self.found("net/a.hpp", "epro/b.hpp"), ["net may not include epro"])

    def test_a_sink_is_not_named_by_the_pipeline(self):
        self.assertEqual(self.found("pipeline/a.cpp", "storage/sql/store.hpp"),
                         ["pipeline may not include storage"])

    def test_capabilities_do_not_know_each_other(self):
        self.assertEqual(self.found("epro/a.cpp", "vitals/b.hpp"), ["epro may not include vitals"])

    def test_a_new_folder_wants_a_layer(self):
        self.assertEqual(self.found("utils/a.hpp", "base/error.hpp"),
                         ["module 'utils' has no layer in tools/check_includes.py"])

    def test_what_tests_share_is_for_tests(self):
        self.assertEqual(self.found("net/a_test.cpp", "support/event.hpp"), [])
        self.write("net/a_test.cpp", "")
        self.assertEqual(self.found("net/a.cpp", "support/event.hpp"),
                         ['"support/event.hpp" is not a module path'])


def function(lines, signature="int f(int a) {", indentation=""):
    body = [f"{indentation}  a += {n};" for n in range(lines - 2)]
    return "\n".join([indentation + signature, *body, indentation + "}"]) + "\n"


class Style(Tree):
    def setUp(self):
        super().setUp()
        subprocess.run(["git", "init", "-q", self.root], check=True)
        self.write("README.md", "")
        self.write("src/net/README.md", "")

    def found(self, name="src/net/a.cpp", text=""):
        self.write(name, text)
        subprocess.run(["git", "-C", self.root, "add", "-A"], check=True)
        return [text.split(": ", 1)[1] for text in check_style.problems(self.root)]

    def test_long_functions(self):
        for signature, indentation in (("int f(int a) {", ""), ("int f() const noexcept {", "  "),
                                       ("auto f() -> int {", ""), ("Thing::Thing(int a) : a_(a) {", "")):
            with self.subTest(signature):
                self.assertEqual(self.found(text=SPDX + function(70, signature, indentation)), [])
                self.assertEqual(self.found(text=SPDX + function(71, signature, indentation)),
                                 ["a function of 71 lines, at most 70"])

    def test_what_is_long_and_no_function(self):
        for signature in ("namespace a {", "class A {", "enum class A : std::uint8_t {",
                          "constexpr std::array<int, f(3)> table = {"):
            with self.subTest(signature):
                self.assertEqual(self.found(text=SPDX + function(90, signature)), [])

    def test_long_files_and_lines(self):
        self.assertEqual(self.found(text=SPDX + "\n" * 799), [])
        self.assertEqual(self.found(text=SPDX + "\n" * 800), ["801 lines, at most 800"])
        self.write("src/net/a.cpp", SPDX)
        self.assertEqual(self.found("src/net/a_test.cpp", SPDX + "\n" * 999), [])
        self.assertEqual(self.found("src/net/a_test.cpp", SPDX + "\n" * 1000),
                         ["1001 lines, at most 1000"])
        self.assertEqual(self.found("src/net/a_test.cpp", SPDX + "x" * 101 + "\n"),
                         ["101 columns, at most 100"])

    def test_a_licence_and_a_readme(self):
        self.assertEqual(self.found(text="int a;\n"), ["wants exactly one SPDX line"])
        self.write("src/net/a.cpp", SPDX)
        self.assertEqual(self.found("src/new/a.cpp", SPDX), ["has no README.md"])
        self.write("src/new/README.md", "\n" * 61)
        self.assertEqual(self.found("src/new/a.cpp", SPDX),
                         ["61 lines, a folder's README has at most 60"])

    def test_the_first_page_is_short(self):
        self.assertEqual(self.found("README.md", "\n" * 120), [])
        self.assertEqual(self.found("README.md", "\n" * 121), ["more than 120 lines"])


if __name__ == "__main__":
    unittest.main()
