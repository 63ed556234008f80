#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What a new daemon makes of the QEMUs of the one before it."""
import os
import signal

import harness


def define(daemon, name="guest"):
    daemon.invar("define", daemon.write(name + ".xml", daemon.witness_xml(name, harness.relaxed("Skylake-Client"))))


def test_live_document():
    """the live document, the id and the transient domain are as before"""
    with harness.Daemon() as daemon:
        define(daemon)
        daemon.invar("start", "guest")
        daemon.invar("create", daemon.write("passing.xml", daemon.witness_xml("passing", harness.relaxed("qemu64"))))
        live = {name: daemon.invar("dumpxml", name).stdout for name in ("guest", "passing")}
        ids = {name: daemon.invar("domid", name).stdout for name in live}
        daemon.kill()
        daemon.start()
        for name in live:
            assert daemon.invar("dumpxml", name).stdout == live[name]
            assert daemon.invar("domid", name).stdout == ids[name]
        daemon.invar("destroy", "passing")
        assert daemon.invar("list", "--all", "--name").stdout.split() == ["guest"]


def test_paused_stays_paused():
    """a suspended guest is still suspended, and goes on when told"""
    with harness.Daemon() as daemon:
        define(daemon)
        daemon.invar("start", "guest")
        daemon.invar("suspend", "guest")
        daemon.kill()
        daemon.start()
        assert daemon.invar("domstate", "guest").stdout.strip() == "paused"
        daemon.invar("resume", "guest")
        assert daemon.invar("domstate", "guest").stdout.strip() == "running"


def test_died_meanwhile():
    """a guest that ended while no daemon was there is shut off, and starts again"""
    with harness.Daemon() as daemon:
        define(daemon)
        daemon.invar("start", "guest")
        daemon.kill()
        for pid in daemon.qemus("guest"):
            os.kill(pid, signal.SIGKILL)
        daemon.wait_no_qemu()
        daemon.start()
        assert daemon.invar("domstate", "guest").stdout.strip() == "shut off"
        daemon.invar("start", "guest")
        daemon.cpuid("guest")


def test_dies_after_adoption():
    """an adopted guest's end is noticed at once"""
    with harness.Daemon() as daemon:
        define(daemon)
        daemon.invar("start", "guest")
        daemon.kill()
        daemon.start()
        assert daemon.invar("domstate", "guest").stdout.strip() == "running"
        for pid in daemon.qemus("guest"):
            os.kill(pid, signal.SIGKILL)
        harness.wait_for(lambda: daemon.invar("domstate", "guest").stdout.strip() == "shut off", "the news", 5)


def test_one_daemon():
    """a second daemon on the same socket is refused, and the first is none the worse"""
    with harness.Daemon() as daemon:
        first = daemon.process
        try:
            daemon.start()
        except AssertionError:
            refused = True
        else:
            refused = daemon.process.poll() is not None
        second, daemon.process = daemon.process, first
        try:
            second.wait(10)
        except Exception:
            second.kill()
            second.wait()
            raise AssertionError("two daemons run on one socket") from None
        assert refused or second.returncode != 0
        daemon.invar("list")


if __name__ == "__main__":
    harness.main()
