#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Emulators that hang, die, talk garbage or too much: each its own error, and nobody else is harmed."""
import json
import os
import shutil

import harness

FAKE = os.path.join(os.environ["INVAR_TOP_SRCDIR"], "tests", "fake_qemu", "fake_qemu.py")
CONFIG = "[emulators]\nprobe_timeout=3\n[qemu]\nstart_timeout=3\n"

# What the binary does, asked what it is; and words of the error, which `define` gives.
PROBED = [
    {"name": "asked what it can do, it hangs before its greeting", "fake": {"mode": "hang"}, "word": "qemu-system-x86_64"},
    {"name": "asked what it can do, it hangs after its greeting", "fake": {"mode": "hang-after-greeting"}, "word": "qemu-system-x86_64"},
    {"name": "asked what it can do, it dies in the middle of a reply", "fake": {"mode": "die-mid-reply"}, "word": "qemu-system-x86_64"},
    {"name": "asked what it can do, it talks garbage", "fake": {"mode": "garbage"}, "word": "qemu-system-x86_64"},
    {"name": "asked what it can do, it sends 100 MB", "fake": {"mode": "huge"}, "word": "qemu-system-x86_64"},
    {"name": "asked what it can do, it exits and says why", "fake": {"mode": "exit", "status": 3, "stderr": "no such library\n"},
     "word": "no such library"},
    {"name": "it lacks the commands that tell what it is", "fake": {"mode": "answer", "lacks": ["query-version", "query-machines"]},
     "word": "qemu-system-x86_64"},
]

# The real QEMU when it is asked what it can do, and this as a guest's process; words of `start`'s error.
STARTED = [
    {"name": "as a guest it dies in the middle of a reply", "fake": {"mode": "die-mid-reply"}, "word": "QEMU"},
    {"name": "as a guest it talks garbage", "fake": {"mode": "garbage"}, "word": "QEMU"},
    {"name": "as a guest it sends 100 MB", "fake": {"mode": "huge"}, "word": "QEMU"},
    {"name": "as a guest it hangs after its greeting", "fake": {"mode": "hang-after-greeting"}, "word": "QEMU"},
    {"name": "as a guest it refuses the machine",
     "fake": {"mode": "exit", "status": 1, "stderr": "unsupported machine type\n"}, "word": "unsupported machine type"},
]


def emulator(daemon, fake, only_guest):
    """A binary that is FAKE, always or only as the guest "sick"."""
    real = shutil.which("qemu-system-x86_64")
    if not real:
        raise harness.Skip("qemu-system-x86_64 is not installed")
    config = daemon.write("fake.json", json.dumps(fake))
    sick = f"exec /usr/bin/python3 -B '{FAKE}' '{config}' \"$@\""
    text = f"case \"$*\" in *guest=sick*) {sick} ;; esac\nexec {real} \"$@\"\n" if only_guest else sick + "\n"
    path = daemon.write("qemu-system-x86_64", "#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def document(daemon, path):
    return daemon.write("sick.xml", harness.domain_xml("sick", harness.relaxed("qemu64"), devices=f"<emulator>{path}</emulator>"))


def unharmed(daemon):
    """The daemon serves, another emulator is known, and no process of the sick one is left."""
    assert daemon.running(), daemon.log_tail()
    assert daemon.invar("domcapabilities", "--virttype", "qemu").stdout
    harness.wait_for(lambda: not [line for line in daemon.processes() if "fake_qemu" in str(line)], "the end of the sick emulator")
    assert not daemon.qemus("sick")


@harness.rows(PROBED)
def test_probed(row):
    with harness.Daemon(config=CONFIG) as daemon:
        path = emulator(daemon, row["fake"], only_guest=False)
        result = daemon.invar("define", document(daemon, path), check=False)
        assert result.returncode == 1 and row["word"] in result.stderr, result
        assert "internal error" not in result.stderr.lower(), result
        assert daemon.invar("list", "--all", "--name").stdout.split() == []
        unharmed(daemon)


@harness.rows(STARTED)
def test_started(row):
    with harness.Daemon(config=CONFIG) as daemon:
        path = emulator(daemon, row["fake"], only_guest=True)
        daemon.invar("define", document(daemon, path))
        before = daemon.invar("dumpxml", "sick").stdout
        result = daemon.invar("start", "sick", check=False)
        assert result.returncode == 1 and row["word"] in result.stderr, result
        assert "internal error" not in result.stderr.lower(), result
        assert daemon.invar("domstate", "sick").stdout.strip() == "shut off"
        assert daemon.invar("dumpxml", "sick").stdout == before
        unharmed(daemon)


if __name__ == "__main__":
    harness.main()
