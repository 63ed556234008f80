# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests of probing share: emulators that count their starts, sick ones, and `emulators --watch`."""
import json
import os
import subprocess
import time

import harness

FAKE = os.path.join(harness.TOP_SRCDIR, "tests", "fake_qemu", "fake_qemu.py")


class Counted:
    """The real QEMU behind a script that writes down each of its starts."""

    def __init__(self, daemon, name="qemu-system-x86_64", folder="emulators", before="", edit=""):
        if not harness.QEMU:
            raise harness.Skip("qemu-system-x86_64 is not installed")
        self.folder = os.path.join(daemon.folder, folder)
        os.makedirs(self.folder, exist_ok=True)
        self.path = os.path.join(self.folder, name)
        self.log = self.path + ".starts"
        self.write(before, edit)

    def write(self, before="", edit=""):
        """As a package does it: a new file under the old name."""
        fresh = self.path + ".new"
        with open(fresh, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\necho \"$*\" >> '{self.log}'\n{before}\n{edit}\nexec {harness.QEMU} \"$@\"\n")
        os.chmod(fresh, 0o755)
        os.rename(fresh, self.path)

    def starts(self):
        try:
            with open(self.log, encoding="utf-8") as file:
                return file.read().splitlines()
        except FileNotFoundError:
            return []

    def tables(self):
        """Starts for a machine type's table, by accelerator and machine."""
        return [line.split("-machine ", 1)[1].split(" ", 1)[0] for line in self.starts() if "-machine none" not in line]


class Watch:
    """`invar emulators --watch`, and what it has printed."""

    def __init__(self, daemon, *arguments):
        self.process = subprocess.Popen(
            [harness.find_binary("invar"), "--json", "emulators", "--watch", *arguments], env=daemon.env, cwd=daemon.folder,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        os.set_blocking(self.process.stdout.fileno(), False)
        self.lines = []
        self.rest = b""

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(10)
        self.process.stdout.close()

    def news(self):
        self.rest += self.process.stdout.read() or b""
        *whole, self.rest = self.rest.split(b"\n")
        self.lines += [json.loads(line) for line in whole]
        return self.lines

    def wait_for(self, path, state, subject=None, seconds=30):
        """The first such news; what came before it is forgotten."""
        def find():
            for at, news in enumerate(self.news()):
                if (news.get("path"), news["state"]) == (path, state) and (subject is None or subject in news.get("subject", "")):
                    del self.lines[:at + 1]
                    return news
            return None
        try:
            return harness.wait_for(find, f"{path} {subject}: {state}", seconds)
        except TimeoutError:
            harness.say(f"there came: {self.lines}")
            raise


def config(folder, more=""):
    return f"[emulators]\nfolders={folder}\nprobe_timeout=10\n{more}"


def own_daemon(more="", start=True, folder="emulators"):
    daemon = harness.Daemon(start=False)
    os.makedirs(os.path.dirname(daemon.config_path))
    with open(daemon.config_path, "w", encoding="utf-8") as file:
        file.write(config(os.path.join(daemon.folder, folder), more.replace("FOLDER", daemon.folder)))
    os.makedirs(os.path.join(daemon.folder, folder))
    if start:
        daemon.start()
    return daemon


def restart(daemon, emulator):
    """By then its background work is done: nothing is asked for two looks of it."""
    daemon.restart()
    settled(emulator)


def settled(emulator, seconds=2.5):
    count = -1
    deadline = time.monotonic() + 60
    while count != len(emulator.starts()):
        assert time.monotonic() < deadline
        count = len(emulator.starts())
        time.sleep(seconds)


def sick(daemon, name, text, mode=0o755):
    path = os.path.join(daemon.folder, "emulators", name)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    os.chmod(path, mode)
    return path


def fake(daemon, name, **behaviour):
    options = daemon.write(name + ".json", json.dumps({"log": daemon.path(name + ".log"), **behaviour}))
    return sick(daemon, name, f"#!/bin/sh\nexec /usr/bin/python3 -B '{FAKE}' '{options}' \"$@\"\n")


def by_path(rows):
    return {row["path"]: row for row in rows}
