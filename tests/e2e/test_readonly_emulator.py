# SPDX-License-Identifier: LGPL-2.1-or-later
"""Who may only look does not choose what the daemon runs: emulators are programs."""
import os

import harness
import migration

QUESTIONS = [
    {"name": "emulators", "words": ["emulators", "PROGRAM"]},
    {"name": "host-export", "words": ["host-export", "--emulator", "PROGRAM"]},
    {"name": "hypervisor-cpu-models", "words": ["hypervisor-cpu-models", "--emulator", "PROGRAM"]},
    {"name": "hypervisor-cpu-baseline", "words": ["hypervisor-cpu-baseline", "CPU", "--emulator", "PROGRAM"]},
    {"name": "hypervisor-cpu-compare", "words": ["hypervisor-cpu-compare", "CPU", "--emulator", "PROGRAM"]},
    {"name": "domcapabilities", "words": ["domcapabilities", "--emulatorbin", "PROGRAM"]},
    {"name": "cpu-explain", "words": ["cpu-explain", "avx2", "--emulator", "PROGRAM"]},
    {"name": "host-cpu", "words": ["host-cpu", "--emulator", "PROGRAM"]},
    {"name": "verdict", "words": ["verdict", "DOMAIN"]},
]


def program(daemon):
    """One that tells that it ran."""
    path = daemon.write("program", f"#!/bin/sh\ntouch {daemon.path('ran')}\nexit 1\n")
    os.chmod(path, 0o755)
    return path


def words_of(daemon, row, path):
    domain = harness.domain_xml("asked").replace("<devices>", f"<devices><emulator>{path}</emulator>")
    put = {"PROGRAM": path, "CPU": daemon.write("cpu.xml", harness.cpu_xml("qemu64", "none")), "DOMAIN": daemon.write("asked.xml", domain)}
    return [put.get(word, word) for word in row["words"]]


@harness.rows(QUESTIONS)
def test_program(row):
    """an emulator that the host does not have runs for nobody on a read-only connection"""
    with harness.Daemon(config=migration.ONE_EMULATOR) as daemon:
        words = words_of(daemon, row, program(daemon))
        result = daemon.invar("-r", *words, check=False)
        said = result.stdout + result.stderr
        assert result.returncode == 1 and "read-only connection" in said, said
        assert not os.path.exists(daemon.path("ran"))
        # It is the connection that makes the difference.
        daemon.invar(*words, check=False)
        assert os.path.exists(daemon.path("ran"))


def test_known():
    """the host's own emulators, and those of domains, can be asked"""
    with harness.Daemon(config=migration.ONE_EMULATOR) as daemon:
        described = daemon.invar("-r", "host-export", "--emulator", harness.QEMU).stdout
        assert harness.QEMU in described, described


if __name__ == "__main__":
    harness.main()
