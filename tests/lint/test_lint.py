#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Shows that each rule of lint.py fires on a tree that breaks it, and none on a clean one. Run as:
test_lint.py LINT."""
import pathlib
import subprocess
import sys
import tempfile

SPDX = "/* SPDX-License-Identifier: MIT */\n"
BAD = {
    "engine/base/a.c": (SPDX + '#include "rt/ring.h"\n', "base must not include rt/ring.h"),
    "plugins/filter/x/x.c": (SPDX + '#include "graph/run.h"\n', "plugins must not include graph/run.h"),
    "io/t.c": (SPDX + '#include "tools/cli.h"\n', "io must not include tools/cli.h"),
    "engine/base/b.c": (SPDX + "int f(char *s)\n{\n    return atoi(s);\n}\n", "atoi is banned"),
    "engine/base/c.c": (SPDX + "void f(void)\n{\n    exit(1);\n}\n", "exit outside tools"),
    "engine/base/d.c": (SPDX + "void f(void)\n{\n" + "    g();\n" * 101 + "}\n", "function of 101 lines"),
    "engine/base/e.h": (SPDX + "#pragma once\n\nint phi_e(int x);\n", "phi_e has no comment"),
    "engine/base/f.c": ("int x;\n", "no SPDX line"),
}
GOOD = SPDX + ('#include "base/a.h"\n\n/* exit(1) and atoi(x) in a comment, and in a text. */\n'
               'void f(void)\n{\n    g("atoi(exit(1))");\n}\n')


def lint(tree):
    with tempfile.TemporaryDirectory() as folder:
        for name, text in tree.items():
            path = pathlib.Path(folder) / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
        run = subprocess.run([sys.executable, sys.argv[1], folder], capture_output=True, text=True)
    return run.returncode, run.stdout


failures = 0
for name, (text, message) in BAD.items():
    code, out = lint({name: text})
    if code != 1 or message not in out or len(out.splitlines()) != 1:
        print(f"{name}: expected '{message}', got {code}: {out}")
        failures += 1
code, out = lint({"engine/rt/good.c": GOOD})
if code != 0:
    print(f"a clean tree is refused: {out}")
    failures += 1
sys.exit(1 if failures else 0)
