#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A guest that was started under one QEMU and is started under another keeps its CPU, or is refused by name."""
import re

import harness
import two_qemus

def define(daemon, name, emulator, cpu, machine=two_qemus.MACHINE, extra=""):
    document = two_qemus.of(emulator, daemon.witness_xml(name, cpu, machine, extra))
    daemon.invar("define", daemon.write(name + ".xml", document))


def move(daemon, name, emulator):
    """The definition as it is stored, with another <emulator>: what an upgrade of QEMU comes to."""
    document = two_qemus.of(emulator, daemon.virsh("dumpxml", "--inactive", name).stdout)
    daemon.invar("define", daemon.write(name + ".xml", document))


def run_once(daemon, name, count):
    """Starts it, and gives what its guest prints."""
    daemon.invar("start", name)
    seen = daemon.cpuid(name, count)
    daemon.invar("destroy", name)
    return seen


def refusal(daemon, name):
    result = daemon.invar("start", name, check=False)
    assert result.returncode, f"{name} was started"
    return result.stderr


def blockers(text):
    """{feature: layer} of a refusal's text."""
    return dict(re.findall(r"^\s+(\S+) \((hardware|kernel|QEMU|machine type|configuration)\)", text, re.M))


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
    before = run_once(daemon, name, 1)
    record = daemon.invar_json("cpu-record", name)
    move(daemon, name, second)
    after = run_once(daemon, name, 1)
    assert not two_qemus.changed(before, after), two_qemus.changed(before, after)
    assert daemon.invar_json("cpu-record", name)["fingerprint"] == record["fingerprint"]
    # And back.
    move(daemon, name, first)
    back = run_once(daemon, name, 1)
    assert not two_qemus.changed(before, back), two_qemus.changed(before, back)
    daemon.invar("undefine", name)


if __name__ == "__main__":
    harness.main()
