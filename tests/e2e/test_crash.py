#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
The daemon dies by SIGKILL at a named point of define and of a first start. After each: what was
answered is there, nothing is half done, no QEMU is left without a manager, and the next start works.
"""
import contextlib
import sqlite3

import harness
import witness

# What may be in the store afterwards: a definition that was not answered is whole or absent, and a
# second definition leaves the old one or the new one, whole.
DEFINE = [
    {"name": "define: before the store", "point": "define-before-store", "there": False},
    {"name": "define: before the commit", "point": "store-define-before-commit", "there": False},
    {"name": "define: after the commit", "point": "store-define-after-commit", "there": True},
    {"name": "define: before the reply", "point": "define-before-reply", "there": True},
]
REDEFINE = [{**row, "name": "re" + row["name"]} for row in DEFINE]
# `recorded`: whether the first start's record is in the store when the daemon is back.
START = [
    {"name": "start: before QEMU is spawned", "point": "start-before-spawn", "recorded": False},
    {"name": "start: QEMU is spawned", "point": "start-after-spawn", "recorded": False},
    {"name": "start: QEMU is noted, before the commit", "point": "store-running-before-commit", "recorded": False},
    {"name": "start: QEMU is noted, after the commit", "point": "store-running-after-commit", "recorded": False},
    {"name": "start: the monitor answers", "point": "start-after-monitor", "recorded": False},
    {"name": "start: before the record", "point": "start-before-record", "recorded": False},
    {"name": "start: the record, before the commit", "point": "store-record-before-commit", "recorded": False},
    {"name": "start: the record, after the commit", "point": "store-record-after-commit", "recorded": True},
    {"name": "start: before cont", "point": "start-before-cont", "recorded": True},
    {"name": "start: before the reply", "point": "start-before-reply", "recorded": True},
]


def integrity(daemon):
    with contextlib.closing(sqlite3.connect(f"file:{daemon.store_path}?mode=ro", uri=True)) as store:
        found = store.execute("PRAGMA integrity_check").fetchall()
        assert found == [("ok",)], found
        assert store.execute("PRAGMA foreign_key_check").fetchall() == []


def die_in(daemon, *command):
    """Runs a command that the daemon does not survive."""
    result = daemon.invar(*command, check=False)
    assert result.returncode != 0, f"{command} succeeded, and the fault point was not reached"
    daemon.wait_dead()


@harness.rows(DEFINE)
def test_define(row):
    harness.need_fault_points()
    with harness.Daemon(fault=row["point"]) as daemon:
        path = daemon.write("guest.xml", daemon.witness_xml("guest", harness.relaxed("Skylake-Client")))
        die_in(daemon, "define", path)
        daemon.start()
        integrity(daemon)
        names = daemon.invar("list", "--all", "--name").stdout.split()
        assert names == (["guest"] if row["there"] else []), names
        if not row["there"]:
            daemon.invar("define", path)
        daemon.invar("start", "guest")
        daemon.cpuid("guest")


@harness.rows(REDEFINE)
def test_redefine(row):
    harness.need_fault_points()
    with harness.Daemon() as daemon:
        text = daemon.witness_xml("guest", harness.relaxed("Skylake-Client"), uuid="1fb7a5f2-6e8f-4d0e-9a55-3f35b5d2d001")
        daemon.invar("define", daemon.write("guest.xml", text))
        old = daemon.invar("dumpxml", "guest").stdout
        daemon.restart(fault=row["point"])
        die_in(daemon, "define", daemon.write("new.xml", text.replace("<vcpu>1<", "<title>new</title><vcpu>1<")))
        daemon.start()
        integrity(daemon)
        now = daemon.invar("dumpxml", "guest").stdout
        assert ("<title>new</title>" in now) == row["there"], now
        assert row["there"] or now == old, now


@harness.rows(START)
def test_start(row):
    harness.need_fault_points()
    with harness.Daemon() as daemon:
        daemon.invar("define", daemon.write("guest.xml", daemon.witness_xml("guest", harness.relaxed("Skylake-Client"))))
        before = daemon.invar("dumpxml", "--inactive", "guest").stdout
        daemon.restart(fault=row["point"])
        die_in(daemon, "start", "guest")
        daemon.start()
        integrity(daemon)

        state = daemon.invar("domstate", "guest").stdout.strip()
        after = daemon.invar("dumpxml", "--inactive", "guest").stdout
        disabled = {name for name, policy in harness.features_of(after).items() if policy == "disable"}
        if row["recorded"]:
            assert disabled == harness.qemu_filters("Skylake-Client"), disabled
        else:
            assert after == before, after

        if state == "shut off":
            daemon.wait_no_qemu()
        else:
            assert row["recorded"], f"{state}, and its CPU is not recorded"
            assert len(daemon.qemus("guest")) == 1, daemon.qemus()
            if state == "paused":
                daemon.invar("resume", "guest")
            first = daemon.cpuid("guest")
            daemon.invar("destroy", "guest")
            daemon.wait_no_qemu()
            with open(daemon.serial("guest"), "wb"):
                pass
        daemon.invar("start", "guest")
        assert len(daemon.qemus("guest")) == 1, daemon.qemus()
        printed = daemon.cpuid("guest")
        leaves = witness.decode(printed)
        if state != "shut off":
            assert printed == first
        for feature in harness.qemu_filters("Skylake-Client") & set(witness.BITS):
            assert not witness.has(leaves, feature), feature
        recorded = daemon.invar("dumpxml", "--inactive", "guest").stdout
        assert {name for name, policy in harness.features_of(recorded).items() if policy == "disable"} \
            == harness.qemu_filters("Skylake-Client")


if __name__ == "__main__":
    harness.main()
