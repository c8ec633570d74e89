#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""What `meson install` puts in place: the command, which runs from there; headers and pkg-config file, with
which the example plugin is built and listed; a manual page for each command; the stages as modules where
that was asked for."""
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import unittest

MESON, BUILD, PREFIX, LIBDIR, MODULES, EXAMPLE = sys.argv[1:7]
del sys.argv[1:7]


os.umask(0o022)  # plugin files that others may write are refused


def call(*args, **more):
    return subprocess.run([str(arg) for arg in args], capture_output=True, text=True, timeout=200, **more)


class Install(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.dest = pathlib.Path(folder.name, "dest")
        run = call(MESON, "install", "-C", BUILD, "--no-rebuild", "--destdir", cls.dest)
        assert run.returncode == 0, run.stdout + run.stderr
        cls.prefix = cls.dest / PREFIX.lstrip("/")
        cls.phos = cls.prefix / "bin" / "phos"

    def test_command_runs(self):
        run = call(self.phos, "plugins", cwd=self.dest)
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("filter/realign", run.stdout)
        self.assertIn("source/wire", run.stdout)

    def test_manual_pages(self):
        pages = {page.name: page.read_text() for page in (self.prefix / "share/man/man1").iterdir()}
        overview = call(self.phos, "--help").stdout.split("Commands:\n")[1].split("\n\n")[0]
        commands = [line.split()[0] for line in overview.splitlines()]
        self.assertEqual(set(pages), {"phos.1"} | {f"phos-{name}.1" for name in commands})
        for name, text in pages.items():
            self.assertTrue(text.startswith(f".TH {name[:-2].upper()} 1"), name)
            for section in ("NAME", "SYNOPSIS", "DESCRIPTION"):
                self.assertIn(f"\n.SH {section}\n", text, name)
        self.assertIn("\\-\\-components N", pages["phos-fit.1"])
        self.assertIn("PHOS STIMULI FILMS", pages["phos-stimuli.1"])

    def test_plugin_builds_against_it(self):
        libdir = self.prefix / LIBDIR
        flags = call("pkg-config", "--cflags", "phosphene", env={
            **os.environ, "PKG_CONFIG_PATH": str(libdir / "pkgconfig"), "PKG_CONFIG_SYSROOT_DIR": str(self.dest)})
        self.assertEqual(flags.returncode, 0, flags.stderr)
        self.assertEqual(flags.stdout.split(), [f"-I{self.prefix}/include"])
        module = self.dest / "deadband.so"
        built = call("cc", "-shared", "-fPIC", "-Wall", "-Wextra", "-Werror", *flags.stdout.split(), EXAMPLE, "-o", module)
        self.assertEqual(built.returncode, 0, built.stderr)
        os.chmod(module, 0o755)
        run = call(self.phos, "plugins", "--plugin", module.resolve(), "deadband")
        self.assertEqual(run.returncode, 0, run.stderr)
        self.assertIn("filter/deadband", run.stdout)

    def test_modules(self):
        found = {path.stem for path in (self.prefix / LIBDIR / "phosphene").glob("plugins/*.so")}
        listed = re.findall(r"^(\w+)/(\w+) ", call(self.phos, "plugins").stdout, re.M)
        self.assertEqual(found, {f"{kind}_{name}" for kind, name in listed} if MODULES == "true" else set())


if __name__ == "__main__":
    unittest.main()
