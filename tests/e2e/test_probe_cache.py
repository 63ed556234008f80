#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The capability cache under daemons: shared by two, damaged, cut, and where no file can be."""
import os
import signal
import subprocess
import time

import harness
from emulators import Counted, own_daemon, restart, settled


def test_two_daemons():
    """two daemons on one cache file: what one has asked the other knows, and a stop in the middle blocks neither"""
    with own_daemon(start=False) as first, own_daemon(start=False) as second:
        emulator = Counted(first)
        second.env["XDG_CACHE_HOME"] = first.env["XDG_CACHE_HOME"]
        for daemon in (first, second):
            daemon.start()
        document = first.write("one.xml", harness.domain_xml("one", harness.relaxed("qemu64"),
                                                             devices=f"<emulator>{emulator.path}</emulator>"))
        askers = [subprocess.Popen([harness.find_binary("invar"), "define", document], env=daemon.env,
                                   stdout=subprocess.DEVNULL) for daemon in (first, second)]
        assert [asker.wait(60) for asker in askers] == [0, 0]
        settled(emulator)
        known = emulator.starts()
        restart(first, emulator)
        restart(second, emulator)
        for daemon in (first, second):
            daemon.invar("verdict", "one")
        assert emulator.starts() == known, emulator.starts()[len(known):]
        first.process.send_signal(signal.SIGSTOP)
        try:
            started = time.monotonic()
            second.invar("emulators", "--refresh", emulator.path)
            second.invar("verdict", "one")
            assert time.monotonic() - started < 10
        finally:
            first.process.send_signal(signal.SIGCONT)
        first.invar("verdict", "one")
        for daemon in (first, second):
            assert "cache" not in daemon.log_tail(20000), daemon.log_tail(20000)


def damage(path):
    with open(path, "r+b") as file:
        file.seek(0)
        file.write(b"\xa5" * os.path.getsize(path))


def cut(path):
    os.truncate(path, 1000)


def make_folder(path):
    os.unlink(path)
    os.mkdir(path)


def fill_disk(path):
    """A full device where the file was: each write fails for want of room, and each read."""
    os.unlink(path)
    os.symlink("/dev/full", path)


CACHES = [
    {"name": "a damaged cache file is set aside with a warning, and the daemon works on", "make": damage},
    {"name": "a truncated cache file is set aside with a warning, and the daemon works on", "make": cut},
    {"name": "a folder where the cache file should be is told of, and the daemon works on", "make": make_folder},
    {"name": "a device where the cache file should be is told of, and the daemon works on", "make": fill_disk},
]


@harness.rows(CACHES)
def test_cache(row):
    with own_daemon(start=False) as daemon:
        emulator = Counted(daemon)
        daemon.start()
        daemon.invar("define", daemon.write("one.xml", harness.domain_xml("one", harness.relaxed("qemu64"))))
        settled(emulator)
        daemon.stop()
        cache = daemon.folder + "/cache/invar/capabilities.db"
        for end in ("-wal", "-shm"):
            if os.path.exists(cache + end):
                os.unlink(cache + end)
        row["make"](cache)
        daemon.start()
        daemon.invar("verdict", "one")
        assert daemon.invar_json("emulators", emulator.path)[0]["state"] == "known"
        assert "the capability cache" in daemon.log_tail() and "warning" in daemon.log_tail(), daemon.log_tail()
        # Without a file it is in memory: a second question asks nobody.
        settled(emulator)
        known = emulator.starts()
        daemon.invar("verdict", "one")
        assert emulator.starts() == known


if __name__ == "__main__":
    harness.main()
