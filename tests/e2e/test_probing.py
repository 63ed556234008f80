#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Probing: who is asked, when, in which order, and who hears of it."""
import os
import signal
import subprocess
import time

import harness
from emulators import Counted, Watch, by_path, fake, own_daemon, restart, settled

def test_all_are_found():
    """emulators of folders, of the configuration and of domains are listed, a missing one with its message"""
    with own_daemon("binaries=FOLDER/other/my-qemu:/nowhere/qemu\n", start=False) as daemon:
        in_folder = Counted(daemon)
        named = Counted(daemon, "my-qemu", "other")
        of_domain = Counted(daemon, "third-qemu", "third")
        checked = daemon.run(harness.find_binary("invard"), "--session", "--check-config", check=False)
        assert checked.returncode == 6 and "'/nowhere/qemu' does not exist" in checked.stderr, checked
        daemon.start()
        assert "'/nowhere/qemu' does not exist" in daemon.log_tail(), daemon.log_tail()
        daemon.invar("define", daemon.write("third.xml", harness.domain_xml(
            "third", harness.relaxed("qemu64"), devices=f"<emulator>{of_domain.path}</emulator>")))
        rows = by_path(daemon.invar_json("emulators", "--wait"))
        assert set(rows) == {in_folder.path, named.path, of_domain.path, "/nowhere/qemu"}, rows
        assert {row["state"] for path, row in rows.items() if path != "/nowhere/qemu"} == {"known"}, rows
        assert rows["/nowhere/qemu"]["state"] == "failed" and "does not exist" in rows["/nowhere/qemu"]["error"], rows
        # A domain's emulator is known to a daemon that has just begun, and no longer than there is the domain.
        restart(daemon, of_domain)
        assert of_domain.path in by_path(daemon.invar_json("emulators"))
        daemon.invar("undefine", "third")
        assert of_domain.path not in by_path(daemon.invar_json("emulators"))


def test_configured_serves():
    """a binary of the configuration serves its architecture where the folders have none for it"""
    with own_daemon("binaries=FOLDER/other/my-qemu\n", start=False) as daemon:
        named = Counted(daemon, "my-qemu", "other")
        daemon.start()
        assert named.path in daemon.invar("domcapabilities", "--arch", "x86_64", "--virttype", "qemu").stdout


def test_end_while_probing():
    """a daemon that is ended while it starts probes ends at once"""
    with own_daemon(start=False) as daemon:
        # Each question of its own lets the end meet another moment of a probe.
        emulators = [Counted(daemon, name=f"qemu-system-{arch}") for arch in ("x86_64", "aarch64", "riscv64", "s390x")]
        for attempt in range(16):
            for entry in os.listdir(daemon.folder + "/cache/invar") if attempt else ():
                os.unlink(daemon.folder + "/cache/invar/" + entry)
            daemon.start()
            time.sleep(attempt * 0.04)
            began = time.monotonic()
            daemon.stop()
            assert time.monotonic() - began < 3, f"{time.monotonic() - began:.1f} s at attempt {attempt}: {daemon.log_tail(500)}"
        assert any(emulator.starts() for emulator in emulators), "nothing was asked"


SCHED_OTHER, SCHED_IDLE = "0", "5"


def test_background():
    """a cold start asks every emulator in the background, with the tables of defined domains, and says so"""
    with own_daemon(start=False) as daemon:
        policies = daemon.path("policies")
        emulator = Counted(daemon, before=f"cut -d' ' -f41 /proc/$$/stat >> '{policies}'")
        daemon.start()
        with Watch(daemon) as watch:
            watch.wait_for(emulator.path, "known")
            daemon.invar("define", daemon.write("one.xml", harness.domain_xml("one", harness.relaxed("qemu64"))))
            assert watch.wait_for(emulator.path, "known", "tcg pc-q35")["ms"] > 0
        daemon.stop()
        for entry in os.listdir(daemon.folder + "/cache/invar"):
            os.unlink(daemon.folder + "/cache/invar/" + entry)
        os.unlink(emulator.log)
        assert SCHED_OTHER in open(policies, encoding="utf-8").read().split(), "a client's question has no idle priority"
        os.unlink(policies)
        daemon.start()
        # No client asks for anything.
        harness.wait_for(lambda: len(emulator.tables()) == 1, "the table of the domain's machine type", 30)
        assert len(emulator.starts()) == 2, emulator.starts()
        # What starves on a busy machine is given normal priority after a while.
        assert SCHED_IDLE in open(policies, encoding="utf-8").read().split()
        assert "is known, in" in daemon.log_tail(), daemon.log_tail()


def test_list_does_not_wait():
    """a list waits for nobody: what hangs is being asked, what is known is shown"""
    with own_daemon(start=False) as daemon:
        good = Counted(daemon)
        hanging = fake(daemon, "qemu-system-arm", mode="hang")
        daemon.start()
        harness.wait_for(lambda: by_path(daemon.invar_json("emulators"))[good.path]["state"] == "known", "the good one", 30)
        before = time.monotonic()
        rows = by_path(daemon.invar_json("emulators"))
        assert time.monotonic() - before < 2
        assert rows[hanging]["state"] == "probing", rows[hanging]
        assert "is being asked" in daemon.invar("emulators").stdout
        # It has its error in the end, and nobody asks it again.
        failed = harness.wait_for(lambda: by_path(daemon.invar_json("emulators"))[hanging].get("error"), "its error", 30)
        assert "did not greet" in failed, failed
        asked = open(daemon.path("qemu-system-arm.log"), encoding="utf-8").read().count("\n")
        time.sleep(5)
        assert open(daemon.path("qemu-system-arm.log"), encoding="utf-8").read().count("\n") == asked


def test_hanging_delays_nobody():
    """more emulators that hang than processors: a question to a good one takes as long as ever"""
    with own_daemon(start=False) as daemon:
        good = Counted(daemon)
        for number in range(2 * (os.cpu_count() or 1) + 2):
            fake(daemon, f"qemu-system-sick{number}", mode="hang")
        daemon.start()
        asker = subprocess.Popen([harness.find_binary("invar"), "emulators", "--wait"], env=daemon.env,
                                 stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.5)
        before = time.monotonic()
        assert daemon.invar_json("emulators", good.path)[0]["state"] == "known"
        assert time.monotonic() - before < 8, time.monotonic() - before
        # The end of the daemon waits for none of them.
        before = time.monotonic()
        daemon.stop()
        assert time.monotonic() - before < 5, time.monotonic() - before
        asker.wait(20)


def test_watch_ends():
    """emulators --watch ends with Ctrl-C and with --timeout, and goes with no other way to list"""
    with own_daemon() as daemon:
        before = time.monotonic()
        assert daemon.invar("emulators", "--watch", "--timeout", "1").returncode == 0
        assert 0.9 < time.monotonic() - before < 10
        emulator = Counted(daemon)
        with Watch(daemon) as watch:
            watch.wait_for(emulator.path, "known")
            watch.process.send_signal(signal.SIGINT)
            assert watch.process.wait(10) == 0
        for arguments in (["--watch", "--models"], ["--watch", "--wait"], ["--timeout", "3"]):
            assert daemon.invar("emulators", *arguments, check=False).returncode == 2, arguments


def ten_thousand_calls(daemon, emulator):
    connection = daemon.connect()
    try:
        for _ in range(5000):
            connection.getDomainCapabilities(emulator.path, "x86_64", "q35", "qemu")
        for _ in range(4000):
            connection.getCapabilities()
        domain = connection.lookupByName("one")
        for _ in range(1000):
            domain.XMLDesc()
    finally:
        connection.close()


def test_warm():
    """a restart and 10,000 calls start no QEMU while nothing changed"""
    with own_daemon(start=False) as daemon:
        emulator = Counted(daemon)
        daemon.start()
        daemon.invar("define", daemon.write("one.xml", harness.domain_xml("one", harness.relaxed("qemu64"))))
        daemon.invar("domcapabilities", "--emulatorbin", emulator.path, "--virttype", "qemu", "--machine", "q35")
        daemon.invar("verdict", "one")
        settled(emulator)
        known = emulator.starts()
        assert known
        restart(daemon, emulator)
        daemon.invar("verdict", "one")
        assert daemon.invar_json("emulators", "--wait")[0]["state"] == "known"
        ten_thousand_calls(daemon, emulator)
        daemon.kill()
        restart(daemon, emulator)
        daemon.invar("verdict", "one")
        assert emulator.starts() == known, emulator.starts()[len(known):]


def test_replaced():
    """a binary that is replaced in place is asked again at once, its domains' tables with it, and clients hear of it"""
    with own_daemon(start=False) as daemon:
        emulator, other = Counted(daemon), Counted(daemon, "qemu-system-i386")
        daemon.start()
        daemon.invar("define", daemon.write("one.xml", harness.domain_xml("one", harness.relaxed("qemu64"))))
        settled(emulator)
        before, untouched = len(emulator.tables()), other.starts()
        with Watch(daemon) as watch:
            watch.wait_for(emulator.path, "known")
            emulator.write("# another version")
            watch.wait_for(emulator.path, "changed")
            watch.wait_for(emulator.path, "known", "tcg pc-q35")
            os.unlink(emulator.path)
            watch.wait_for(emulator.path, "gone")
            emulator.write("# and back again")
            watch.wait_for(emulator.path, "changed")
            watch.wait_for(emulator.path, "known", "tcg pc-q35")
        assert len(emulator.tables()) == before + 2
        assert other.starts() == untouched


if __name__ == "__main__":
    harness.main()
