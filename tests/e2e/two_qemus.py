# SPDX-License-Identifier: LGPL-2.1-or-later
"""What tests with two QEMUs share: where the second one is, and the same domain for either."""
import os
import re

import harness
import witness

# A folder that scripts/second-qemu.sh has filled, or its emulator; without the variable, where the build is.
SECOND = os.environ.get("INVAR_SECOND_QEMU") or os.path.join(harness.TOP_BUILDDIR, "second-qemu")
# The newest machine type that both have.
MACHINE = "pc-q35-7.2"


def second():
    """The path of the second QEMU; the test is skipped where there is none."""
    path = os.path.join(SECOND, "qemu-system-x86_64") if os.path.isdir(SECOND) else SECOND
    if not os.access(path, os.X_OK):
        raise harness.Skip("no second QEMU: scripts/second-qemu.sh FOLDER makes one, INVAR_SECOND_QEMU=FOLDER says where")
    return path


def first():
    if not harness.QEMU:
        raise harness.Skip("qemu-system-x86_64 is not installed")
    return harness.QEMU


def both():
    return first(), second()


def of(emulator, document):
    """The same domain, of another emulator."""
    document = re.sub("<emulator>.*?</emulator>", "", document)
    return document.replace("<devices>", f"<devices><emulator>{emulator}</emulator>", 1)


def visible(round_of_witness):
    """
    The leaves of a round. TCG of QEMU 10 has an Intel CPU say that it has SYSCALL in 64-bit mode only, as the real ones do,
    TCG of 7.2 in every mode, whatever the CPU is asked to be; the witness is in 16-bit mode.
    """
    leaves = witness.decode(round_of_witness)
    if witness.vendor(leaves) == "GenuineIntel":
        leaves[(0x80000001, 0)]["edx"] &= ~(1 << 11)
    return leaves


def changed(before, after):
    """The CPUID words on which two rounds of the witness differ."""
    old, new = visible(before), visible(after)
    words = [(*leaf, register, old.get(leaf, {}).get(register, 0), new.get(leaf, {}).get(register, 0))
             for leaf in sorted(set(old) | set(new)) for register in witness.REGISTERS]
    return [f"{leaf:08x}.{subleaf:x}.{register}: {a:08x} -> {b:08x}" for leaf, subleaf, register, a, b in words if a != b]
