#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Autostart at the daemon's start."""
import harness


def test_autostart():
    """what is marked is started, what is not is not, and one that cannot start keeps none of the others back"""
    with harness.Daemon() as daemon:
        for name, check in (("marked", "relaxed"), ("plain", "relaxed"), ("hopeless", "strict")):
            daemon.invar("define", daemon.write(name + ".xml", daemon.witness_xml(
                name, harness.cpu_xml("Skylake-Client", check))))
        daemon.invar("autostart", "marked")
        daemon.invar("autostart", "hopeless")
        daemon.restart()
        harness.wait_for(lambda: daemon.invar("domstate", "marked").stdout.strip() == "running", "the marked domain", 20)
        daemon.cpuid("marked")
        assert daemon.invar("domstate", "plain").stdout.strip() == "shut off"
        harness.wait_for(lambda: "hopeless" in daemon.log_tail(), "the log's word on the hopeless domain", 20)
        assert daemon.invar("domstate", "hopeless").stdout.strip() == "shut off"
        assert len(daemon.qemus()) == 1


def test_taken_back():
    """autostart --disable is kept over a restart; a running domain is not started twice"""
    with harness.Daemon() as daemon:
        for name in ("one", "two"):
            daemon.invar("define", daemon.write(name + ".xml", daemon.witness_xml(name, harness.relaxed("qemu64"))))
            daemon.invar("autostart", name)
        daemon.invar("autostart", "--disable", "one")
        daemon.invar("start", "two")
        pids = set(daemon.qemus("two"))
        daemon.kill()
        daemon.start()
        daemon.invar("list")
        assert set(daemon.qemus()) == pids, daemon.qemus()
        assert daemon.invar("domstate", "one").stdout.strip() == "shut off"


if __name__ == "__main__":
    harness.main()
