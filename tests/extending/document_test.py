# SPDX-License-Identifier: Apache-2.0
"""docs/extending.md holds the examples as they are compiled."""
import pathlib
import re
import unittest

HERE = pathlib.Path(__file__).resolve().parent
DOCUMENT = HERE.parents[1] / "docs/extending.md"
BLOCK = re.compile(r"^`tests/extending/(\S+)`:\n\n```cpp\n(.*?)^```$", re.M | re.S)


class Document(unittest.TestCase):
    def test_each_example_is_in_it_letter_by_letter(self):
        text = DOCUMENT.read_text()
        blocks = dict(BLOCK.findall(text))
        files = {file.name for ending in ("hpp", "cpp") for file in HERE.glob(f"*.{ending}")
                 if not file.name.endswith("_test.cpp")}
        self.assertEqual(set(blocks), files)
        self.assertGreaterEqual(len(files), 6)
        for name, block in blocks.items():
            self.assertEqual(block, (HERE / name).read_text(), name)

    def test_no_code_in_it_is_left_uncompiled(self):
        text = DOCUMENT.read_text()
        self.assertEqual(len(re.findall(r"^```cpp$", text, re.M)), len(BLOCK.findall(text)))

    def test_what_it_names_is_there(self):
        text = DOCUMENT.read_text()
        paths = set(re.findall(r"`((?:src|apps|tests|docs|tools)/[\w./-]+)`", text))
        self.assertTrue(paths)
        for path in paths:
            self.assertTrue((HERE.parents[1] / path).exists(), path)


if __name__ == "__main__":
    unittest.main()
