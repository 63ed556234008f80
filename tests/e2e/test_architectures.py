#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests of other architectures, and of machines without PCI: as far as their QEMU answers."""
import shutil

import harness

# model None: the machine's own default is found out and recorded.
GUESTS = [
    {"name": "aarch64 virt, a named model", "arch": "aarch64", "machine": "virt", "model": "cortex-a57"},
    {"name": "aarch64 virt, max", "arch": "aarch64", "machine": "virt", "model": "max"},
    {"name": "aarch64 virt, no <cpu>", "arch": "aarch64", "machine": "virt", "model": None},
    {"name": "riscv64 virt, whose QEMU 7.2 does not list models", "arch": "riscv64", "machine": "virt", "model": "rv64"},
    {"name": "riscv64 virt, no <cpu>", "arch": "riscv64", "machine": "virt", "model": None},
    {"name": "ppc64 pseries, libvirt's spelling", "arch": "ppc64", "machine": "pseries", "model": "POWER9", "pinned": "power9"},
    {"name": "ppc64 pseries, no <cpu>", "arch": "ppc64", "machine": "pseries", "model": None},
    {"name": "s390x, a model that TCG cannot give in full", "arch": "s390x", "machine": "s390-ccw-virtio", "model": "z13"},
    {"name": "s390x, no <cpu>", "arch": "s390x", "machine": "s390-ccw-virtio", "model": None},
    {"name": "x86_64 microvm: the alias means the latest version there", "arch": "x86_64", "machine": "microvm",
     "model": "Nehalem", "pinned": "Nehalem-v2"},
    {"name": "i686 pc", "arch": "i686", "binary": "i386", "machine": "pc", "model": "qemu32", "pinned": "qemu32-v1"},
]


@harness.rows(GUESTS)
def test_guest(daemon, row):
    binary = "qemu-system-" + row.get("binary", row["arch"])
    if not shutil.which(binary):
        raise harness.Skip(f"{binary} is not installed")
    cpu = f"<cpu><model>{row['model']}</model></cpu>" if row["model"] else ""
    daemon.invar("define", daemon.write("guest.xml", harness.domain_xml(
        "guest", cpu, machine=row["machine"], arch=row["arch"], memory="256")))
    # Paused: without anything to boot some firmware ends its guest at once.
    daemon.invar("start", "--paused", "guest")
    first = daemon.invar_json("cpu-record", "guest")
    pinned = daemon.invar("dumpxml", "--inactive", "guest").stdout
    assert "check='strict'" in pinned, pinned
    if row["model"]:
        assert f">{row.get('pinned', row['model'])}</model>" in pinned, pinned
    daemon.invar("destroy", "guest")
    daemon.invar("start", "--paused", "guest")
    assert daemon.invar_json("cpu-record", "guest")["fingerprint"] == first["fingerprint"]
    assert daemon.invar("dumpxml", "--inactive", "guest").stdout == pinned
    daemon.invar("destroy", "guest")
    daemon.invar("undefine", "guest")


if __name__ == "__main__":
    harness.main()
