#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU that is started and never answers."""
import os
import shutil
import subprocess
import threading
import time

import harness

# Answers probes, being the real QEMU then, and hangs as a guest: no word on its monitor, ever.
HUNG = """#!/bin/sh
case "$*" in
    *guest=hung*) exec sleep 600 ;;
esac
exec {qemu} "$@"
"""


def define_hung(daemon):
    emulator = daemon.write("qemu-system-x86_64", HUNG.format(qemu=shutil.which("qemu-system-x86_64")))
    os.chmod(emulator, 0o755)
    document = harness.domain_xml("hung", harness.relaxed("qemu64"), devices=f"<emulator>{emulator}</emulator>")
    daemon.invar("define", daemon.write("hung.xml", document))


def test_destroy_ends_it():
    """a destroy ends a start that waits for QEMU, at once; both say what happened, and nothing stays"""
    with harness.Daemon() as daemon:
        define_hung(daemon)
        results = []
        starter = threading.Thread(target=lambda: results.append(daemon.invar("start", "hung", check=False)))
        starter.start()
        harness.wait_for(lambda: any("sleep" in line for line in commands(daemon)), "the hung QEMU")
        before = time.monotonic()
        daemon.invar("destroy", "hung")
        starter.join()
        assert time.monotonic() - before < 10
        assert results[0].returncode == 1 and "QEMU did not greet" in results[0].stderr, results
        assert daemon.invar("domstate", "hung").stdout.strip() == "shut off"
        assert not any("sleep" in line for line in commands(daemon))


def test_deadline():
    """without a destroy the start ends at its own deadline"""
    with harness.Daemon(config="[qemu]\nstart_timeout=2\n") as daemon:
        define_hung(daemon)
        result = daemon.invar("start", "hung", check=False)
        assert result.returncode == 1, result
        assert daemon.invar("domstate", "hung").stdout.strip() == "shut off"
        assert not any("sleep" in line for line in commands(daemon))


def commands(daemon):
    """The command lines of the daemon's children."""
    found = subprocess.run(["ps", "--ppid", str(daemon.process.pid), "-o", "args="], capture_output=True, text=True, check=False)
    return found.stdout.splitlines()


if __name__ == "__main__":
    harness.main()
