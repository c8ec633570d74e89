#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The operator's view of a live run: drawn without a screen, and in a real window under Xvfb. It holds
the stimuli that were shown and the pictures that were decoded; closing the window leaves the run
going on; without a screen the run goes on headless and says so."""
import ctypes
import os
import subprocess
import sys
import tempfile
import time
import unittest

import numpy

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "support"))
import live  # noqa: E402
import png  # noqa: E402

PHOS = sys.argv.pop(1)


def colours(image):
    """The set of colours of [h][w][3] as numbers."""
    wide = image.reshape(-1, 3).astype(numpy.uint32)
    return set((wide[:, 0] << 16 | wide[:, 1] << 8 | wide[:, 2]).tolist())


class ClientMessage(ctypes.Structure):
    """XClientMessageEvent, padded to the size of XEvent."""
    _fields_ = [("type", ctypes.c_int), ("serial", ctypes.c_ulong), ("send_event", ctypes.c_int),
                ("display", ctypes.c_void_p), ("window", ctypes.c_ulong), ("kind", ctypes.c_ulong),
                ("format", ctypes.c_int), ("data", ctypes.c_long * 5), ("pad", ctypes.c_long * 24)]


def connect(number):
    """Xlib and a connection of our own to the server."""
    x = ctypes.CDLL("libX11.so.6")
    x.XOpenDisplay.restype = ctypes.c_void_p
    connection = ctypes.c_void_p(x.XOpenDisplay(f":{number}".encode()))
    assert connection.value
    return x, connection


def ask_to_close(number, window):
    """What a window manager does when its close button is pressed: WM_DELETE_WINDOW."""
    x, screen = connect(number)
    x.XInternAtom.restype = ctypes.c_ulong
    protocols, delete = (x.XInternAtom(screen, name, 0) for name in (b"WM_PROTOCOLS", b"WM_DELETE_WINDOW"))
    message = ClientMessage(type=33, window=window, kind=protocols, format=32)
    message.data[0] = delete
    assert x.XSendEvent(screen, ctypes.c_ulong(window), 0, ctypes.c_long(0), ctypes.byref(message))
    x.XCloseDisplay(screen)


class Screen:
    """An X server of its own."""

    def __init__(self):
        read, write = os.pipe()
        self.process = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "1600x900x24",
                                         "-noreset", "-nolisten", "tcp"], pass_fds=[write],
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(write)
        with os.fdopen(read) as f:  # to its end of line: the server dies if the reader goes before
            self.number = f.readline().strip()
        assert self.number, "Xvfb did not start"
        self.env = {**os.environ, "DISPLAY": ":" + self.number, "SDL_VIDEODRIVER": "x11"}
        self.env.pop("WAYLAND_DISPLAY", None)

    def close(self):
        self.process.terminate()
        self.process.wait()


class Display(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.base = tempfile.TemporaryDirectory()
        cls.addClassCleanup(cls.base.cleanup)
        cls.s = live.Session(PHOS, cls.base.name)
        cls.addClassCleanup(cls.s.close)
        cls.s.write("run.yaml", live.run_text(display="hold_s: 1"))
        cls.s.check("replay", cls.s.bold, "--run", "run.yaml", "--events", cls.s.events_path, "--out", "wanted")
        cls.wanted = live.result_hash(cls.s.path("wanted"))

    def setUp(self):
        self.s.new_ports()
        self.out = self._testMethodName

    def check_view(self, image):
        """Whether the last stimulus and pictures of the run can be seen: faces drawn larger keep their
        colours, since the view does not blend whole-number scales."""
        last = self.s.stimuli[self.s.events[-1][1]]
        shown = len(colours(last) & colours(image)) / len(colours(last))
        self.assertGreater(shown, 0.2, "stimulus")
        decoded = [n for n in live.result_files(self.s.path(self.out)) if n.endswith(".png")]
        share = max(len(colours(png.read(n)) & colours(image)) / len(colours(png.read(n)))
                    for n in sorted(decoded)[-8:])
        self.assertGreater(share, 0.2, "decoded")
        self.assertGreater(len(colours(image)), 1000)

    def finish(self, engine, sender):
        self.s.finish_sender(sender)
        _, log = self.s.finish(engine)
        self.assertEqual(live.result_hash(self.s.path(self.out)), self.wanted)
        return log

    def test_headless(self):
        self.finish(self.s.live(self.out), self.s.send())
        image = png.read(self.s.path(self.out + "/window.png"))
        self.assertEqual(image.shape, (720, 1280, 3))
        self.check_view(image)
        self.assertGreater(len(colours(png.read(self.s.path(self.out + "/film.png")))), 1000)

    def test_no_screen(self):
        env = {k: v for k, v in os.environ.items() if k not in ("DISPLAY", "WAYLAND_DISPLAY", "SDL_VIDEODRIVER")}
        env["SDL_VIDEODRIVER"] = "x11"
        log = self.finish(self.s.live(self.out, headless=False, env=env), self.s.send())
        self.assertIn("going on without a window", log)
        self.check_view(png.read(self.s.path(self.out + "/window.png")))

    def windows(self, screen):
        """Names of the windows on the screen, by id."""
        tree = subprocess.run(["xwininfo", "-root", "-tree"], env=screen.env, capture_output=True, text=True)
        lines = [line.split() for line in tree.stdout.splitlines() if "1280x720" in line]
        return [line[0] for line in lines if line and line[0].startswith("0x")]

    def start_window(self):
        screen = Screen()
        self.addCleanup(screen.close)
        engine = self.s.live(self.out, headless=False, env=screen.env)
        self.addCleanup(lambda: engine.poll() is None and live.kill(engine))
        sender = self.s.send(speed="12")
        live.wait_for(lambda: self.windows(screen), lambda: "the window: " + self.s.read_log(engine))
        return screen, engine, sender

    def grab(self, screen, window):
        """The window's pixels [h][w][3], through xwd: header, colour table, rows of BGRx."""
        raw = subprocess.run(["xwd", "-silent", "-id", window], env=screen.env, capture_output=True).stdout
        head = numpy.frombuffer(raw[:100], ">u4")
        self.assertEqual((head[1], head[11]), (7, 32), "xwd version and depth")
        width, height, stride, n_colours = (int(head[i]) for i in (4, 5, 12, 19))
        start = int(head[0]) + 12 * n_colours
        rows = numpy.frombuffer(raw[start : start + stride * height], "u1").reshape(height, stride // 4, 4)
        return rows[:, :width, 2::-1]

    def test_window(self):
        screen, engine, sender = self.start_window()
        self.s.finish_sender(sender)
        best = None
        while engine.poll() is None:  # the window stays for hold_s after the end
            windows = self.windows(screen)
            if windows:
                try:
                    best = self.grab(screen, windows[0])
                except (IndexError, ValueError, AssertionError):
                    pass  # it closed under the grab
            time.sleep(0.1)
        self.s.finish(engine)
        self.assertIsNotNone(best)
        self.check_view(best)
        self.assertEqual(live.result_hash(self.s.path(self.out)), self.wanted)

    def test_window_closed_in_the_middle(self):
        screen, engine, sender = self.start_window()
        window = self.windows(screen)[0]
        live.wait_for(lambda: live.n_journalled(self.s.path(self.out + "/journal")) >= 10, "volumes")
        ask_to_close(screen.number, int(window, 16))
        live.wait_for(lambda: not self.windows(screen), "the window to close")
        self.assertIsNone(engine.poll())
        self.assertLess(live.n_journalled(self.s.path(self.out + "/journal")), live.N_TEST)
        log = self.finish(engine, sender)
        self.assertNotIn("rror", log)

    def test_screen_gone_in_the_middle(self):
        """The X server dies: the same engine goes on without a window and says so."""
        screen, engine, sender = self.start_window()
        live.wait_for(lambda: live.n_journalled(self.s.path(self.out + "/journal")) >= 10, "volumes")
        screen.process.kill()
        screen.process.wait()
        self.check_goes_on(engine, sender)

    def test_window_destroyed_in_the_middle(self):
        """Another program destroys the window."""
        screen, engine, sender = self.start_window()
        window = self.windows(screen)[0]
        live.wait_for(lambda: live.n_journalled(self.s.path(self.out + "/journal")) >= 10, "volumes")
        x, connection = connect(screen.number)
        x.XDestroyWindow(connection, ctypes.c_ulong(int(window, 16)))
        x.XCloseDisplay(connection)
        self.check_goes_on(engine, sender)

    def check_goes_on(self, engine, sender):
        log = self.finish(engine, sender)
        self.assertIn("the screen is gone", log)
        self.check_view(png.read(self.s.path(self.out + "/window.png")))


if __name__ == "__main__":
    unittest.main(verbosity=2, warnings="ignore")
