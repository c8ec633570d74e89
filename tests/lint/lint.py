#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Checks the tree's own rules: who includes whom, documented prototypes, function length, banned
calls, licence lines. Run as: lint.py ROOT. Prints one line a finding; exit code 1 if there is any."""
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(sys.argv[1])
MAX_LINES = 100

# Layer of a file -> layers it may include besides itself and the public headers.
LAYERS = {
    "public": set(),
    "base": set(),
    "rt": {"base"},
    "signal": {"base"},
    "decode": {"base"},
    "nn": {"base"},
    "io": {"base"},
    "models": {"base", "nn"},
    "host": {"base", "rt"},
    "graph": {"base", "rt", "host"},
    "plugins": {"base", "signal", "decode", "nn", "models", "io"},
    "display": {"base", "rt/view.h"},
}
BANNED = re.compile(r"\b(sprintf|vsprintf|strcpy|strcat|atoi|atol|atof|gets|strtok)\s*\(")
NO_PROCESS = re.compile(r"\b(getenv|exit|_exit|abort|quick_exit)\s*\(")


def layer_of(path):
    parts = path.parts
    if parts[0] == "engine":
        return "public" if parts[1] == "include" else parts[1]
    return parts[0] if parts[0] in LAYERS else None


def strip_comments(text):
    """Comments and string contents become blanks; lines stay."""
    pattern = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)

    def blank(match):
        found = match.group(0)
        if found[0] in "\"'":
            return found[0] + " " * (len(found) - 2) + found[-1]
        return re.sub(r"[^\n]", " ", found)

    return pattern.sub(blank, text)


def check_includes(path, text):
    layer = layer_of(path)
    if layer is None:
        return
    for number, line in enumerate(text.splitlines(), 1):
        match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
        if not match:
            continue
        target = match.group(1)
        first = target.split("/")[0] if "/" in target else None
        if first is None or first in ("phosphene", layer) or target in LAYERS[layer]:
            continue
        if first not in LAYERS:
            if first in ("tools", "tests"):
                yield number, f"{layer} must not include {target}"
            continue
        if first not in LAYERS[layer]:
            yield number, f"{layer} must not include {target}"


def check_calls(path, code):
    outside = path.parts[0] not in ("tools", "tests")
    for number, line in enumerate(code.splitlines(), 1):
        match = BANNED.search(line)
        if match and path.parts[0] != "tests":
            yield number, f"{match.group(1)} is banned"
        match = NO_PROCESS.search(line)
        if match and outside:
            yield number, f"{match.group(1)} outside tools"


def check_lengths(code):
    lines = code.splitlines()
    start = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            start = number
        elif line == "}" and start:
            if number - start - 1 > MAX_LINES:
                yield start, f"a function of {number - start - 1} lines (at most {MAX_LINES})"
            start = None


def check_docs(path, text):
    """A prototype in a header has a comment above it; a group of prototypes may share one."""
    if path.suffix != ".h" or path.parts[0] in ("tests",):
        return
    code = strip_comments(text)
    raw = text.splitlines()
    for match in re.finditer(r"^(?!static|typedef|#|\s|\}|\{)[^;{}#=]*?\b(phi?_\w+)\s*\([^;{}]*\)[^;{}]*;", code, re.M):
        line = code.count("\n", 0, match.start()) + 1
        above = line - 2
        while above >= 0 and raw[above].startswith("#define"):
            above -= 1
        if above >= 0 and (raw[above].rstrip().endswith("*/") or raw[above].rstrip().endswith(";")):
            continue
        yield line, f"{match.group(1)} has no comment"


def files():
    listed = subprocess.run(["git", "-C", str(ROOT), "ls-files"], capture_output=True, text=True)
    if listed.returncode == 0:
        return [pathlib.Path(name) for name in listed.stdout.split("\n") if name]
    return [p.relative_to(ROOT) for p in ROOT.rglob("*")
            if p.is_file() and not any(part.startswith((".", "build")) for part in p.relative_to(ROOT).parts)]


def main():
    findings = []
    for path in files():
        if path.suffix not in (".c", ".h", ".py") or not (ROOT / path).is_file():
            continue
        text = (ROOT / path).read_text(encoding="utf-8", errors="replace")
        if "SPDX-License-Identifier: MIT" not in "\n".join(text.splitlines()[:3]):
            findings.append((path, 1, "no SPDX line"))
        if path.suffix == ".py":
            continue
        code = strip_comments(text)
        for check in (check_includes(path, text), check_calls(path, code), check_lengths(code),
                      check_docs(path, text)):
            findings.extend((path, number, message) for number, message in check)
    for path, number, message in findings:
        print(f"{path}:{number}: {message}")
    return 1 if findings else 0


sys.exit(main())
