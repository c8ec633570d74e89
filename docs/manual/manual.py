#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes the manual pages from what the command says about itself. Run as:
manual.py PHOS VERSION FOLDER COMMAND...; makes FOLDER/phos.1 and FOLDER/phos-COMMAND.1."""
import os
import pathlib
import re
import subprocess
import sys


def help_of(phos, *words):
    run = subprocess.run([phos, *words, "--help"], capture_output=True, text=True, check=True)
    return run.stdout


def escape(text):
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(['.])", r"\\&\1", text)


def filled(lines):
    """Running text; an empty line starts a paragraph, an indented line stays as it is."""
    out = []
    for line in lines:
        if not line:
            out.append(".PP")
        elif line[0] == " ":
            out += [".br", escape(line.strip())]
        else:
            out.append(escape(line))
    while out and out[-1] == ".PP":
        out.pop()
    return out


def listed(lines):
    """Two columns: '  NAME   what it does'."""
    out = []
    for line in lines:
        match = re.match(r"  (\S.*?)(?:  +| (?=[a-z(]))(\S.*)$", line)
        if match and line.startswith("  ") and not line.startswith("   "):
            out += [".TP", ".B " + escape(match[1]), escape(match[2])]
        elif line:
            out.append(escape(line.strip()))
    return out


def verbatim(lines):
    return [".nf", *(escape(line.strip()) for line in lines if line), ".fi"]


def sections(text):
    """The usage line, then (title, lines) in order; the text before the first title has none."""
    lines = text.rstrip("\n").split("\n")
    found = [("", [])]
    for line in lines[1:]:
        match = re.match(r"([A-Z][a-z]+):$", line)
        if match:
            found.append((match[1], []))
        else:
            found[-1][1].append(line)
    return lines[0].removeprefix("Usage: "), found


def body(text, heading):
    usage, found = sections(text)
    out = []
    for title, lines in found:
        while lines and not lines[0]:
            lines.pop(0)
        while lines and not lines[-1]:
            lines.pop()
        if not title:
            out += [heading + " DESCRIPTION", *filled(lines)]
        elif title == "Examples":
            out += [heading + " EXAMPLES", *verbatim(lines)]
        else:
            rest = lines.index("") if "" in lines else len(lines)
            out += [f"{heading} {title.upper()}", *listed(lines[:rest])]
            if lines[rest:]:
                out += [".PP", *filled(lines[rest + 1:])]
    return usage, out


def page(name, summary, version, texts):
    """`texts` is the page's own help, then those of its kinds."""
    usage, own = body(texts[0], ".SH")
    out = [f'.TH {name.upper()} 1 "" "Phosphene {version}" "Phosphene manual"', ".SH NAME",
           f"{escape(name)} \\- {escape(summary)}", ".SH SYNOPSIS", ".B " + escape(usage), *own]
    for text in texts[1:]:
        usage, kind = body(text, ".SS")
        out += [f'.SH "{escape(" ".join(usage.split()[:3])).upper()}"', ".B " + escape(usage), *kind]
    return "\n".join(out) + "\n"


def rows(text, title):
    lines = dict(sections(text)[1]).get(title, [])
    return dict(re.match(r"  (\S+)\s+(.*)", line).groups() for line in lines if line.startswith("  "))


def kinds_of(text):
    """The words that a command takes as its first: of its list, or of a usage such as faces|films."""
    choice = re.match(r"Usage: .* (\w+(?:\|\w+)+)$", text.split("\n")[0])
    return choice[1].split("|") if choice else rows(text, "Kinds")


def main():
    phos, version, folder, *commands = sys.argv[1:]
    os.environ["LC_ALL"] = "C"
    overview = help_of(phos)
    summaries = rows(overview, "Commands")
    pathlib.Path(folder, "phos.1").write_text(
        page("phos", "real-time reconstruction of what is seen from fMRI", version, [overview]))
    for command in commands:
        text = help_of(phos, command)
        kinds = [help_of(phos, command, kind) for kind in kinds_of(text)]
        pathlib.Path(folder, f"phos-{command}.1").write_text(
            page(f"phos-{command}", summaries[command], version, [text, *kinds]))


main()
