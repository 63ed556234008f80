#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What Invar exists for, from the probe to the guest's own word: the steps of ./try, each held against QEMU."""
import contextlib
import os
import sqlite3
import xml.etree.ElementTree as trees

import harness
import witness

MODEL = "Skylake-Client"


def define(daemon, name="main", check="relaxed", model=MODEL):
    path = daemon.write(name + ".xml", daemon.witness_xml(name, harness.cpu_xml(model, check)))
    daemon.invar("define", path)
    return path


def test_emulators(daemon):
    """probing finds this machine's QEMU, its version, accelerators and machines"""
    harness.need_witness()
    version = daemon.run(harness.QEMU, "--version").stdout.split()[3]
    listed = daemon.invar("emulators", "--wait").stdout
    assert version in listed, listed
    assert "tcg" in listed, listed
    whole = str(daemon.invar_json("emulators", "--wait"))
    for word in (version, "x86_64", "tcg", "q35"):
        assert word in whole, f"{word} is not in {whole[:2000]}"


def test_verdict_before_start(daemon):
    """before any start the verdict names what QEMU will filter, and changes nothing"""
    path = define(daemon)
    before = daemon.invar("dumpxml", "--inactive", "main").stdout
    for what in ("main", path):
        result = daemon.invar("verdict", what, check=False)
        assert result.returncode == 3, f"{what}: {result}"
        for feature in harness.qemu_filters(MODEL):
            assert feature in result.stdout, f"{feature} is not in {result.stdout}"
    assert daemon.invar("dumpxml", "--inactive", "main").stdout == before
    assert not daemon.qemus()


def test_verdict_exact(daemon):
    """the verdict on a model that is had in full exits with 0, on a strict one that is not with 4"""
    define(daemon, "plain", "strict", "qemu64") if not harness.qemu_filters("qemu64") else define(daemon, "plain", "strict",
                                                                                                    "qemu32")
    daemon.invar("verdict", "plain")
    define(daemon, "exacting", "strict")
    result = daemon.invar("verdict", "exacting", check=False)
    assert result.returncode == 4, result


def test_first_start_records(daemon):
    """the first start writes versioned model, canonical machine, and a disable per filtered feature into the definition"""
    define(daemon)
    daemon.invar("start", "main")
    inactive = trees.fromstring(daemon.invar("dumpxml", "--inactive", "main").stdout)
    features = harness.features_of(trees.tostring(inactive))
    disabled = {name for name, policy in features.items() if policy == "disable"}
    assert disabled == harness.qemu_filters(MODEL), disabled
    model = inactive.find("cpu/model")
    assert model.text.startswith(MODEL + "-v"), model.text
    assert model.get("check") == "strict", trees.tostring(model)
    machine = inactive.find("os/type").get("machine")
    assert machine.startswith("pc-q35-"), machine
    listed = daemon.invar_json("revisions", "main")
    assert len(listed) == 2 if isinstance(listed, list) else "2" in str(listed), listed
    assert model.text in daemon.invar("cpu-record", "main").stdout


def test_same_cpu_again(daemon):
    """destroyed and started again, the guest prints the same CPUID byte for byte, and not one filtered feature"""
    define(daemon)
    daemon.invar("start", "main")
    first = daemon.cpuid("main")
    leaves = witness.decode(first)
    for feature in harness.qemu_filters(MODEL) & set(witness.BITS):
        assert not witness.has(leaves, feature), feature
    after_first = daemon.invar("dumpxml", "--inactive", "main").stdout
    daemon.invar("destroy", "main")
    os.unlink(daemon.serial("main"))
    daemon.invar("start", "main")
    assert daemon.cpuid("main") == first
    assert daemon.invar("dumpxml", "--inactive", "main").stdout == after_first
    daemon.invar("verdict", "main")


def test_killed_daemon():
    """the daemon is killed and comes back: the guest runs on in the same QEMU and is managed"""
    with harness.Daemon() as daemon:
        define(daemon)
        daemon.invar("start", "main")
        pids = set(daemon.qemus("main"))
        assert len(pids) == 1, pids
        first = daemon.cpuid("main")
        daemon.kill()
        assert set(daemon.qemus("main")) == pids
        daemon.start()
        assert daemon.invar("domstate", "main").stdout.strip() == "running"
        daemon.invar("suspend", "main")
        assert daemon.invar("domstate", "main").stdout.strip() == "paused"
        daemon.invar("resume", "main")
        count = len(witness.rounds(open(daemon.serial("main"), "rb").read()))
        assert daemon.cpuid("main", count + 1) == first
        daemon.invar("destroy", "main")
        daemon.wait_no_qemu("main")


def test_strict_is_refused(daemon):
    """a strict domain that cannot be had is refused, with every feature, its layer and a remedy, and no process stays"""
    define(daemon, "exacting", "strict")
    before = daemon.invar("dumpxml", "--inactive", "exacting").stdout
    result = daemon.invar("start", "exacting", check=False)
    assert result.returncode != 0
    for feature in harness.qemu_filters(MODEL):
        assert feature in result.stderr, f"{feature} is not in {result.stderr}"
    assert any(layer in result.stderr for layer in ("hardware", "kernel", "QEMU", "machine type", "configuration"))
    assert "internal error" not in result.stderr, result.stderr
    daemon.wait_no_qemu("exacting")
    assert daemon.invar("domstate", "exacting").stdout.strip() == "shut off"
    assert daemon.invar("dumpxml", "--inactive", "exacting").stdout == before


def test_virsh_sees_the_same(daemon):
    """a plain virsh lists the same domains and dumps the same document"""
    define(daemon)
    define(daemon, "other", "strict")
    daemon.invar("start", "main")
    listed = daemon.virsh("list", "--all").stdout
    assert "main" in listed and "other" in listed, listed
    for arguments in (["main"], ["--inactive", "main"], ["other"]):
        assert daemon.virsh("dumpxml", *arguments).stdout.strip() == daemon.invar("dumpxml", *arguments).stdout.strip()


def test_reopen_and_go_back(daemon):
    """a re-opened record is made anew at the next start, and the old revision can be had back"""
    define(daemon)
    daemon.invar("start", "main")
    recorded = daemon.invar("dumpxml", "--inactive", "main").stdout
    first = daemon.cpuid("main")
    daemon.invar("destroy", "main")
    daemon.invar("cpu-reopen", "main", "--yes")
    assert daemon.invar("revision-diff", "main").returncode in (0, 1)
    daemon.invar("revision-restore", "main", "2")
    assert daemon.invar("dumpxml", "--inactive", "main").stdout == recorded
    os.unlink(daemon.serial("main"))
    daemon.invar("start", "main")
    assert daemon.cpuid("main") == first


def test_damaged_record():
    """a record that cannot be read refuses the start, is told of, and is given up on request alone"""
    with harness.Daemon() as daemon:
        define(daemon)
        daemon.invar("start", "main")
        daemon.invar("destroy", "main")
        recorded = daemon.invar("dumpxml", "--inactive", "main").stdout
        daemon.stop()
        with contextlib.closing(sqlite3.connect(daemon.store_path)) as store, store:
            changed = store.execute("UPDATE revision SET record = replace(record, 'Client', 'Server') WHERE record NOT NULL")
            assert changed.rowcount == 1, changed.rowcount
        daemon.start()
        assert "its CPU record cannot be read" in daemon.invar("dominfo", "main").stdout
        for _ in range(2):
            refused = daemon.invar("start", "main", check=False)
            assert refused.returncode != 0 and "cannot be read" in refused.stderr, refused.stderr
            daemon.wait_no_qemu("main")
        assert daemon.invar("dumpxml", "--inactive", "main").stdout == recorded
        daemon.invar("cpu-reopen", "main", "--yes")
        assert daemon.invar("dumpxml", "--inactive", "main").stdout == recorded
        daemon.invar("start", "main")


def test_sigterm_leaves_guests():
    """SIGTERM ends the daemon and not the guests"""
    with harness.Daemon() as daemon:
        define(daemon)
        daemon.invar("start", "main")
        pids = set(daemon.qemus("main"))
        daemon.stop()
        assert set(daemon.qemus("main")) == pids
        daemon.start()
        assert daemon.invar("domstate", "main").stdout.strip() == "running"


if __name__ == "__main__":
    harness.main()
