#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Records CPUs that are nobody's: models of QEMU under TCG, as the witness guest reads them and as QEMU
describes them. With these the CPU driver is tested where no recordings of real machines are at hand.

    record.py    renews every file here; INVAR_TOP_BUILDDIR names the folder with the built witness

Of each subject it writes NAME.cpuid, the guest's CPUID in the form of `cpuid -r`, and NAME.json, QEMU's
full expansion of the same -cpu argument (false booleans left out), what it filters from it, and its feature words.
"""
import json
import os
import sys
import tempfile

FOLDER = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(FOLDER, "../../../e2e"))

import bare_guest  # noqa: E402
import harness     # noqa: E402
import witness     # noqa: E402

MACHINE = "pc-q35-7.2"
SUBJECTS = {
    # name: -cpu
    "intel-skylake-client": "Skylake-Client-v4",
    "intel-nehalem-with-avx2": "Nehalem-v2,avx=on,avx2=on,xsave=on,bmi1=on,bmi2=on,sse3=off",
    "intel-n270": "n270-v1",
    "intel-icelake-server-without": "Icelake-Server-v6,xsave=off,smap=off,lm=off",
    "amd-epyc-rome": "EPYC-Rome-v2",
    "amd-opteron-g2-with": "Opteron_G2-v1,sse4a=on,abm=on,cmp-legacy=on,pclmulqdq=on",
    "hygon-dhyana": "Dhyana-v2",
    "hygon-dhyana-without": "Dhyana-v2,svm=off,monitor=off,clzero=off",
    "amd-qemu64": "qemu64-v1",
    "amd-max": "max",
}


def expand(guest, argument):
    """The properties of QEMU's expansion of a -cpu argument, less booleans that are false in every spelling."""
    name, *asked = argument.split(",")
    props = {item.split("=")[0]: item.endswith("=on") for item in asked}
    props = harness.ask(guest.qmp, "query-cpu-model-expansion", type="full", model={"name": name, "props": props})["model"]["props"]
    true = {key.replace("_", "-") for key, value in props.items() if value is True}
    return {key: props[key] for key in sorted(props) if props[key] is not False or key.replace("_", "-") in true}


def dump(leaves):
    lines = ["CPU 0:"]
    for (leaf, subleaf), registers in sorted(leaves.items()):
        words = " ".join(f"{name}=0x{registers[name]:08x}" for name in witness.REGISTERS)
        lines.append(f"   0x{leaf:08x} 0x{subleaf:02x}: {words}")
    return "\n".join(lines) + "\n"


def record(rom, name, argument):
    with bare_guest.Guest(rom, MACHINE, argument) as guest:
        described = {"machine": MACHINE, "argument": argument, "unavailable": sorted(guest.property("unavailable-features")),
                     "feature-words": [word for word in guest.property("feature-words") if word["features"]],
                     "model": {"name": argument.split(",")[0], "props": expand(guest, argument)}}
        leaves = witness.decode(guest.printed())
    with open(os.path.join(FOLDER, name + ".cpuid"), "w", encoding="ascii") as file:
        file.write(dump(leaves))
    with open(os.path.join(FOLDER, name + ".json"), "w", encoding="utf-8") as file:
        json.dump(described, file, indent=0, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        firmware = bare_guest.make_firmware(os.path.join(folder, "rom"))
        for subject, cpu in SUBJECTS.items():
            record(firmware, subject, cpu)
