#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Every CPU model of QEMU on old and new machines: what Invar predicts, what QEMU reports of a stopped
guest, and what the guest itself prints.

The witness is the guest's firmware here, so that a guest costs some 60 ms; that it prints the same
as behind a BIOS, and starts through invard, are tested in test_cpu_starts.py.
"""
import concurrent.futures
import time

import bare_guest
import harness
import witness
from cpu_prediction import AT_ONCE, BY_TOPOLOGY, look, machines, map_of_tree, predictions

# Fourteen hundred QEMUs take 50 s on two idle processors, and many times that on busy ones.
harness.FILE_DEADLINE = 600

# What is no difference, and why.
TOPOLOGY_BITS = {(1, 0, "edx"): 1 << 28, (0x80000001, 0, "ecx"): 1 << 1}
# Words of which QEMU says that they hold features and which are no features of the map: leaf 0xd, sub-leaf 0 lists
# the areas of XSAVE, which follow from the features; 0xC0000001 is VIA's; 0x40000001 and 0x40000003 are KVM's and
# Hyper-V's, which TCG does not show.
NOT_FEATURES = {(0xD, 0, "eax"), (0xD, 0, "edx"), (0xD, 1, "ecx"), (0xD, 1, "edx")}
# AMD's copy in leaf 0x80000001 of bits of leaf 1.
COPIED = {(0x80000001, 0, "edx"): ((1, 0, "edx"), 0x0183F3FD)}
# What the guest of a bare model reads otherwise than that of the settled argument which Invar passes at every start:
# QEMU lays the CPUID out before it filters, so a bare model keeps traces of features that it has not got.
TRACES = [
    # Dropped feature, leaf, register (None: all): the areas of XSAVE, the highest sub-leaf of leaf 7.
    ("avx512f", 0xD, None),
    ("avx512-bf16", 7, "eax"),
]


def differences(bits, prediction, bare, settled):
    """What of the three does not agree, a line each."""
    predicted, argument, dropped = prediction
    said = {bits.name(name) for name in bare[0]}
    if said - BY_TOPOLOGY != dropped:
        yield f"Invar drops {sorted(dropped)}, QEMU filters {sorted(said)}"
    if {bits.name(name) for name in settled[0]} - BY_TOPOLOGY:
        yield f"of -cpu {argument} QEMU still filters {settled[0]}"
    leaves = witness.decode(settled[2])
    others = witness.decode(bare[2])
    for leaf, subleaf in sorted(set(leaves) | set(others)):
        for register in witness.REGISTERS:
            one, other = (each.get((leaf, subleaf), {}).get(register, 0) for each in (leaves, others))
            traced = any(feature in dropped and leaf == where and which in (None, register) for feature, where, which in TRACES)
            if one != other and not traced:
                yield (f"leaf {leaf:#x}/{subleaf:#x} {register}: {other:#x} for a guest of the bare model, {one:#x} for that of "
                       f"-cpu {argument}")
    seen = bits.seen(leaves)
    if seen - BY_TOPOLOGY != predicted - BY_TOPOLOGY:
        yield (f"the guest reads {sorted(seen - predicted - BY_TOPOLOGY)} beyond what is predicted, and lacks "
               f"{sorted(predicted - seen - BY_TOPOLOGY)}")
    yield from words_that_differ(bits, settled[1], leaves)


def words_that_differ(bits, words, leaves):
    """QEMU's own report of a stopped guest, and what that guest then read, bit by bit."""
    for place, reported in words.items():
        leaf, subleaf, register = place
        # Leaves beyond the highest of their range are not printed, nor are VIA's.
        if place in NOT_FEATURES or (leaf, subleaf) not in leaves and not reported:
            continue
        printed = leaves.get((leaf, subleaf), {}).get(register, 0)
        if leaf < 0x40000000 or 0x80000000 <= leaf < 0xC0000000:
            if (reported ^ printed) & ~TOPOLOGY_BITS.get(place, 0):
                yield f"leaf {leaf:#x}/{subleaf:#x} {register}: QEMU reports {reported:#x}, the guest reads {printed:#x}"
            source, copied = COPIED.get(place, (place, 0))
            copies = printed & copied & leaves.get(source[:2], {}).get(source[2], 0)
            unknown = printed & ~bits.known(place) & ~copies
            if unknown:
                yield f"leaf {leaf:#x}/{subleaf:#x} {register}: the map does not know {unknown:#x}"


def test_all(daemon):
    """every model on old and new machines: the prediction is what QEMU reports and what the guest prints"""
    bits, rom = map_of_tree(), bare_guest.make_firmware(daemon.path("rom"))
    wrong, count = [], 0
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for machine in machines():
            started = time.monotonic()
            predicted = predictions(daemon, machine, bits)
            asked = time.monotonic()
            # A name without a version comes to the argument of a model that has one: once is enough.
            arguments = set(predicted) | {argument for _, argument, _ in predicted.values()}
            looks = {argument: pool.submit(look, rom, machine, argument) for argument in sorted(arguments)}
            for model, prediction in predicted.items():
                bare, settled = looks[model].result(), looks[prediction[1]].result()
                wrong += [f"{machine} {model}: {line}" for line in differences(bits, prediction, bare, settled)]
            count += len(predicted)
            harness.say(f"{machine}: {len(predicted)} models, asked {asked - started:.1f} s, looked {time.monotonic() - asked:.1f} s")
    for line in wrong:
        harness.say(line)
    assert count >= 300, f"only {count} models were there to look at"
    assert not wrong, f"{len(wrong)} differences"


if __name__ == "__main__":
    harness.main()
