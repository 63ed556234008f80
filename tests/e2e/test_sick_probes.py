#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Sick emulators in one host: each is listed with its own error, harms no other, and is asked again when its key changes."""
import os
import shutil
import time

import harness
from emulators import Counted, Watch, by_path, fake, own_daemon, settled, sick


def missing_library(daemon, name):
    """A real program whose C library has another name than any that there is."""
    with open(shutil.which("true"), "rb") as file:
        program = file.read()
    if b"libc.so.6" not in program:
        raise harness.Skip("this system's programs link another C library")
    path = os.path.join(daemon.folder, "emulators", name)
    with open(path, "wb") as file:
        file.write(program.replace(b"libc.so.6", b"libZ.so.6"))
    os.chmod(path, 0o755)
    return path


def script(daemon, name, text, count=True):
    log = daemon.path(name + ".log")
    return sick(daemon, name, "#!/bin/sh\n" + (f"echo run >> '{log}'\n" if count else "") + text)


# make: puts it in the folder; words: what its error says.
SICK = [
    {"arch": "hang", "make": lambda d, n: fake(d, n, mode="hang"), "words": ["did not greet"]},
    {"arch": "hang2", "make": lambda d, n: fake(d, n, mode="hang-after-greeting"), "words": ["did not answer"]},
    {"arch": "crash", "make": lambda d, n: script(d, n, "echo 'going down' >&2\nkill -SEGV $$\n"),
     "words": ["was killed by signal 11", "going down"]},
    {"arch": "exit", "make": lambda d, n: script(d, n, "echo first words >&2\necho last words >&2\nexit 42\n"),
     "words": ["exited with status 42", "first words", "last words"]},
    {"arch": "garbage", "make": lambda d, n: fake(d, n, mode="garbage"), "words": ["sent what is no QMP"]},
    {"arch": "script", "make": lambda d, n: script(d, n, ""), "words": ["exited with status 0", "it said nothing"]},
    {"arch": "library", "make": missing_library, "words": ["exited with status 127", "libZ.so.6"]},
    {"arch": "text", "make": lambda d, n: sick(d, n, "hello\n"), "words": ["is no program"]},
    {"arch": "interpreter", "make": lambda d, n: sick(d, n, "#!/nowhere/sh\n"), "words": ["cannot be started"]},
]


def runs(daemon, path):
    try:
        with open(daemon.path(os.path.basename(path) + ".log"), encoding="utf-8") as file:
            return file.read().count("\n")
    except FileNotFoundError:
        return 0


def test_all_at_once():
    """nine kinds of sick emulators and one that is not executable beside a good and a slow one"""
    with own_daemon("binaries=FOLDER/plain\n", start=False) as daemon:
        good = Counted(daemon)
        slow = Counted(daemon, "qemu-system-i386", before="sleep 3")
        paths = {row["make"](daemon, "qemu-system-" + row["arch"]): row for row in SICK}
        plain = daemon.write("plain", "#!/bin/sh\n")
        daemon.start()
        # A question to the good one is answered while the others are being asked.
        before = time.monotonic()
        assert daemon.invar_json("emulators", good.path)[0]["state"] == "known"
        assert time.monotonic() - before < 5
        def all_known():
            rows = by_path(daemon.invar_json("emulators"))
            return all(row["state"] in ("known", "failed") for row in rows.values()) and rows
        rows = harness.wait_for(all_known, "the end of all probes", 60)
        assert set(rows) == {good.path, slow.path, plain, *paths}
        assert rows[good.path]["state"] == rows[slow.path]["state"] == "known"
        assert "is not executable" in rows[plain]["error"]
        for path, row in paths.items():
            assert rows[path]["state"] == "failed", rows[path]
            for word in [path, *row["words"]]:
                assert word in rows[path]["error"], rows[path]
            assert "internal error" not in rows[path]["error"].lower()
            # The log has it too.
            assert row["words"][0] in daemon.log_tail(20000), row
        # Nothing of them is left, and nobody asks them again.
        counts = {path: runs(daemon, path) for path in paths}
        time.sleep(5)
        for _ in range(3):
            daemon.invar_json("emulators")
        assert {path: runs(daemon, path) for path in paths} == counts
        assert not [line for line in daemon.processes().values() if "qemu-system-" in line or "fake_qemu" in line]


def test_key_changes():
    """a failure is kept until the file is another, or somebody asks for a refresh; then QEMU is asked once"""
    with own_daemon(start=False) as daemon:
        path = script(daemon, "qemu-system-x86_64", "exit 3\n")
        daemon.start()
        with Watch(daemon) as watch:
            failed = watch.wait_for(path, "failed")
            assert "exited with status 3" in failed["reason"], failed
        for _ in range(20):
            assert "status 3" in daemon.invar_json("emulators", path)[0]["error"]
        known = runs(daemon, path)
        assert known <= 2, known
        daemon.invar("emulators", "--refresh", path)
        assert runs(daemon, path) == known + 1
        with Watch(daemon, path) as watch:
            watch.wait_for(path, "failed")
            emulator = Counted(daemon)
            watch.wait_for(path, "changed")
            watch.wait_for(path, "known")
        assert len(emulator.starts()) == 1, emulator.starts()


def test_library_comes():
    """an emulator that lacked a library is asked again when the system's libraries change"""
    harness.need_fault_points()
    with own_daemon(start=False) as daemon:
        root = daemon.path("host")
        os.makedirs(root + "/etc")
        cache, library = root + "/etc/ld.so.cache", daemon.path("library")
        with open(cache, "w", encoding="utf-8") as file:
            file.write("1")
        daemon.env["INVAR_HOST_ROOT"] = root
        emulator = Counted(daemon, before=f"test -e '{library}' || {{ echo 'libfoo.so.1: cannot open shared object file' >&2; exit 127; }}")
        daemon.start()
        with Watch(daemon) as watch:
            assert "libfoo.so.1" in watch.wait_for(emulator.path, "failed")["reason"]
            daemon.write("library", "")
            # No key has changed: the failure stays.
            assert "libfoo.so.1" in daemon.invar_json("emulators", emulator.path)[0]["error"]
            with open(cache, "w", encoding="utf-8") as file:
                file.write("22")
            watch.wait_for(emulator.path, "known")
        settled(emulator)
        # What is known does not depend on libraries.
        count = len(emulator.starts())
        with open(cache, "w", encoding="utf-8") as file:
            file.write("333")
        settled(emulator)
        assert daemon.invar_json("emulators", emulator.path)[0]["state"] == "known"
        assert len(emulator.starts()) == count


def test_deleted_while_probed():
    """an emulator that is deleted while it is asked is listed no more, and harms nobody"""
    with own_daemon(start=False) as daemon:
        good = Counted(daemon)
        going = Counted(daemon, "qemu-system-i386", before='rm -f "$0"; sleep 1')
        daemon.start()
        assert daemon.invar_json("emulators", good.path)[0]["state"] == "known"
        harness.wait_for(lambda: going.path not in by_path(daemon.invar_json("emulators")), "its end in the list", 20)
        error = daemon.invar_json("emulators", going.path)[0]["error"]
        assert "does not exist" in error, error
        settled(going)
        assert len(going.starts()) <= 2, going.starts()


def test_replaced_while_probed():
    """what is known of an emulator that is replaced while it is asked is what the new one says"""
    with own_daemon(start=False) as daemon:
        ready = os.path.join(daemon.folder, "ready")
        new = Counted(daemon, "qemu-system-x86_64", "other")
        path = script(daemon, "qemu-system-x86_64", f"mv '{ready}' \"$0\"\nsleep 1\necho 'I am the old one' >&2\nexit 9\n")
        shutil.copy(new.path, ready)
        daemon.start()
        harness.wait_for(lambda: by_path(daemon.invar_json("emulators"))[path]["state"] == "known", "the new one", 30)
        settled(new)
        assert runs(daemon, path) == 1


if __name__ == "__main__":
    harness.main()
