#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""Each public header compiles alone, as strict C11 and as C++, without a warning."""
import pathlib
import subprocess
import sys
import unittest

CC, CXX, INCLUDE = sys.argv[1:4]
del sys.argv[1:4]
HEADERS = sorted(path.relative_to(INCLUDE) for path in pathlib.Path(INCLUDE).rglob("*.h"))
STRICT = ["-Wall", "-Wextra", "-Wpedantic", "-Wundef", "-Wshadow", "-Werror", "-fsyntax-only", "-I", INCLUDE]


class Headers(unittest.TestCase):
    def compile(self, *command):
        self.assertGreater(len(HEADERS), 5)
        for header in HEADERS:
            # Twice: the guard must hold too.
            run = subprocess.run([*command, *STRICT, "-"], input=f'#include "{header}"\n' * 2 + "int end;\n", text=True,
                                 capture_output=True, timeout=60)
            self.assertEqual(run.returncode, 0, f"{header}\n{run.stderr}")

    def test_c11(self):
        self.compile(CC, "-std=c11", "-x", "c", "-Wstrict-prototypes", "-Wconversion")

    def test_cxx(self):
        self.compile(CXX, "-std=c++11", "-x", "c++")


if __name__ == "__main__":
    unittest.main()
