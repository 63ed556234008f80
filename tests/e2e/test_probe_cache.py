#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The capability cache under daemons: shared by two, damaged, cut, and where no file can be."""
import contextlib
import os
import signal
import sqlite3
import subprocess
import time

import harness
from emulators import Counted, fake, own_daemon, restart, settled


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


def test_hammered():
    """two daemons that fill and empty one cache file as fast as they can, one of them killed on the way, leave it sound"""
    with own_daemon(start=False) as first, own_daemon(start=False) as second:
        good = Counted(first)
        sick = [fake(first, f"qemu-system-sick{number}", mode="exit", status=number, stderr=f"sick {number}\n") for number in range(3)]
        second.env["XDG_CACHE_HOME"] = first.env["XDG_CACHE_HOME"]
        for daemon in (first, second):
            daemon.start()
            daemon.invar("define", daemon.write("one.xml", harness.domain_xml("one", harness.relaxed("qemu64"),
                                                                              devices=f"<emulator>{good.path}</emulator>")))
        script = "for turn in 1 2 3 4 5 6; do for path; do \"$INVAR\" emulators --refresh \"$path\" >/dev/null; done; \"$INVAR\" verdict one; done"
        hammers = []
        for daemon in (first, second, first, second):
            hammers.append(subprocess.Popen(["/bin/sh", "-c", script, "sh", good.path, *sick], cwd=daemon.folder,
                                            env=dict(daemon.env, INVAR=harness.find_binary("invar")),
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        time.sleep(2)
        second.kill()
        second.start()
        for hammer in hammers:
            hammer.wait(120)
        for daemon in (first, second):
            before = time.monotonic()
            assert daemon.invar_json("emulators", good.path)[0]["state"] == "known"
            for number, path in enumerate(sick):
                assert f"sick {number}" in daemon.invar_json("emulators", path)[0]["error"]
            assert time.monotonic() - before < 20
            assert "cache" not in daemon.log_tail(200000), daemon.log_tail()
            daemon.stop()
        folder = first.folder + "/cache/invar"
        assert not [name for name in os.listdir(folder) if "damaged" in name], os.listdir(folder)
        with contextlib.closing(sqlite3.connect(folder + "/capabilities.db")) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            assert database.execute("SELECT count(*) FROM entry").fetchone()[0] >= 4


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
