#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that was started under one QEMU and is started under another keeps its CPU, or is refused by name."""
import json
import re

import harness
import two_qemus
import witness


def define(daemon, name, emulator, cpu, machine=two_qemus.MACHINE, extra=""):
    document = two_qemus.of(emulator, daemon.witness_xml(name, cpu, machine, extra))
    daemon.invar("define", daemon.write(name + ".xml", document))


def move(daemon, name, emulator):
    """The definition as it is stored, with another <emulator>: what an upgrade of QEMU comes to."""
    document = two_qemus.of(emulator, daemon.virsh("dumpxml", "--inactive", name).stdout)
    daemon.invar("define", daemon.write(name + ".xml", document))


def run_once(daemon, name):
    """Starts it, and gives what its guest prints."""
    daemon.invar("start", name)
    seen = daemon.cpuid(name)
    daemon.invar("destroy", name)
    return seen


def refusal(daemon, name):
    result = daemon.invar("start", name, check=False)
    assert result.returncode, f"{name} was started"
    return result.stderr


def blockers(text):
    """The features that a refusal names."""
    return set(re.findall(r"^  (\S+)  +(?:hardware|kernel|QEMU|machine type|configuration)  ", text, re.M))


UPGRADES = [
    ("Skylake-Client", ""), ("EPYC", ""), ("Nehalem", "require:aes"), ("qemu64", ""), ("Snowridge", ""), ("Opteron_G3", ""),
    ("Haswell-noTSX", "disable:xsave optional:avx512f"), ("max", "disable:pcommit"),
]


@harness.rows([{"name": f"{model} {features}: the same CPUID under a newer QEMU, and back", "model": model, "features": features}
               for model, features in UPGRADES])
def test_upgrade(daemon, row):
    model, features = row["model"], row["features"]
    first, second = two_qemus.both()
    name = "upgrade-" + model.lower().replace("_", "-")
    define(daemon, name, first, harness.relaxed(model, features))
    before = run_once(daemon, name)
    record = daemon.invar_json("cpu-record", name)
    move(daemon, name, second)
    after = run_once(daemon, name)
    assert not two_qemus.changed(before, after), two_qemus.changed(before, after)
    assert daemon.invar_json("cpu-record", name)["fingerprint"] == record["fingerprint"]
    # And back.
    move(daemon, name, first)
    back = run_once(daemon, name)
    assert not two_qemus.changed(before, back), two_qemus.changed(before, back)
    daemon.invar("undefine", name)


LACKING = [("Skylake-Client", {"3dnowprefetch", "rdseed", "x2apic"}), ("EPYC", {"3dnowprefetch", "rdseed", "sha-ni"}),
           ("Opteron_G5", {"3dnowprefetch"})]


@harness.rows([{"name": f"{model} of the newer QEMU: refused by the older one for {', '.join(sorted(lacking))}", "model": model,
                "lacking": lacking} for model, lacking in LACKING])
def test_downgrade(daemon, row):
    first, second = two_qemus.both()
    name = "downgrade-" + row["model"].lower().replace("_", "-")
    define(daemon, name, second, harness.relaxed(row["model"]))
    before = run_once(daemon, name)
    record = daemon.invar_json("cpu-record", name)
    move(daemon, name, first)
    text = refusal(daemon, name)
    assert blockers(text) == row["lacking"], text
    assert "start the domain with a QEMU that emulates it" in text and "invar cpu-reopen" in text, text
    verdict = json.loads(daemon.invar("--json", "verdict", name, check=False).stdout)
    assert {blocker["feature"]: blocker["layer"] for blocker in verdict["blockers"]} == dict.fromkeys(row["lacking"], "QEMU"), verdict
    # Nothing of it was kept: with its own QEMU it is the guest that it was.
    assert daemon.invar_json("cpu-record", name) == record
    move(daemon, name, second)
    assert not two_qemus.changed(before, run_once(daemon, name))


def test_downgrade_of_what_both_have(daemon):
    """a guest of the newer QEMU without what the older one lacks reads the same CPUID there"""
    first, second = two_qemus.both()
    define(daemon, "common", second, harness.relaxed("Skylake-Client", "disable:3dnowprefetch disable:rdseed disable:x2apic"))
    before = run_once(daemon, "common")
    move(daemon, "common", first)
    after = run_once(daemon, "common")
    assert not two_qemus.changed(before, after), two_qemus.changed(before, after)


def test_threads(daemon):
    """two vCPUs in one socket: ht, which 10.0 tells of and 7.2 does not, is no other CPU"""
    first, second = two_qemus.both()
    extra = "<vcpu>2</vcpu>"
    for number, topology in enumerate(["sockets='1' cores='2' threads='1'", "sockets='1' cores='1' threads='2'"]):
        name = f"threads{number}"
        cpu = harness.relaxed("EPYC").replace("</model>", f"</model><topology {topology}/>")
        document = two_qemus.of(first, daemon.witness_xml(name, cpu, two_qemus.MACHINE)).replace("<vcpu>1</vcpu>", extra)
        daemon.invar("define", daemon.write("threads.xml", document))
        before = run_once(daemon, name)
        move(daemon, name, second)
        after = run_once(daemon, name)
        assert not two_qemus.changed(before, after), two_qemus.changed(before, after)
        assert witness.decode(after)[(1, 0)]["edx"] >> 28 & 1, after


def test_machine_of_the_newer(daemon):
    """a guest that was started as the newest q35 of the newer QEMU is refused by the older one, which has no such machine"""
    first, second = two_qemus.both()
    define(daemon, "newest", second, harness.relaxed("Nehalem"), "q35")
    run_once(daemon, "newest")
    machine = daemon.invar_json("cpu-record", "newest")["machine"]
    assert machine != two_qemus.MACHINE, machine
    document = two_qemus.of(first, daemon.virsh("dumpxml", "--inactive", "newest").stdout)
    result = daemon.invar("define", daemon.write("newest.xml", document), check=False)
    assert result.returncode and f"no machine type '{machine}'" in result.stderr, result.stderr
    # The other way round each has what the other's newest was.
    define(daemon, "older", first, harness.relaxed("Nehalem"), "q35")
    before = run_once(daemon, "older")
    move(daemon, "older", second)
    assert not two_qemus.changed(before, run_once(daemon, "older"))


def test_redefined(daemon):
    """a definition that asks for another CPU than the recorded one is refused by name, whatever the QEMU"""
    first, second = two_qemus.both()
    define(daemon, "edited", first, harness.relaxed("Nehalem", "require:aes"))
    run_once(daemon, "edited")
    for emulator in (first, second):
        document = daemon.virsh("dumpxml", "--inactive", "edited").stdout
        document = re.sub("(?s)<cpu.*</cpu>", harness.cpu_xml("Nehalem-v1", "strict", "disable:aes"), document)
        daemon.invar("define", daemon.write("edited.xml", two_qemus.of(emulator, document)))
        text = refusal(daemon, "edited")
        assert blockers(text) == {"aes"}, text
        assert "the definition has aes off, and the guest was started with it on" in text, text


def test_follows_host(daemon):
    """mode='maximum' follows its host: it is started, and told of the change"""
    first, second = two_qemus.both()
    define(daemon, "follower", first, "<cpu mode='maximum'/>")
    before = run_once(daemon, "follower")
    move(daemon, "follower", second)
    daemon.invar("start", "follower")
    after = daemon.cpuid("follower")
    daemon.invar("destroy", "follower")
    assert two_qemus.changed(before, after)
    assert "feature rdseed: off" in daemon.log_tail(100000)


if __name__ == "__main__":
    harness.main()
