#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The witness itself, on a bare QEMU: other tests believe it, so it is held against QEMU's own word."""
import harness
import witness


def test_same():
    """two boots of one model print the same round, byte for byte"""
    printed = []
    for _ in range(2):
        with harness.bare_qemu("Skylake-Client") as (serial, _):
            printed.append(witness.wait_for_round(serial))
    assert printed[0] == printed[1]


def test_other():
    """another model prints another round"""
    printed = []
    for cpu in ("Skylake-Client", "EPYC"):
        with harness.bare_qemu(cpu) as (serial, _):
            printed.append(witness.decode(witness.wait_for_round(serial)))
    assert witness.vendor(printed[0]) == "GenuineIntel", printed[0][(0, 0)]
    assert witness.vendor(printed[1]) == "AuthenticAMD", printed[1][(0, 0)]


def test_believed():
    """every feature word that QEMU reports is what the guest reads"""
    with harness.bare_qemu("Skylake-Client") as (serial, qmp):
        leaves = witness.decode(witness.wait_for_round(serial))
        qmp.readline()
        harness.ask(qmp, "qmp_capabilities")
        path = harness.ask(qmp, "query-cpus-fast")[0]["qom-path"]
        words = harness.ask(qmp, "qom-get", path=path, property="feature-words")
    compared = 0
    for word in words:
        leaf, subleaf = word["cpuid-input-eax"], word.get("cpuid-input-ecx", 0)
        register = word["cpuid-register"].lower()
        if (leaf, subleaf) not in leaves:
            assert word["features"] == 0 or leaf > leaves[(leaf & 0xC0000000, 0)]["eax"] or leaf >= 0xC0000000, word
            continue
        seen = leaves[(leaf, subleaf)][register]
        # OSXSAVE and OSPKE mirror CR4, which firmware sets or does not. HT follows the topology.
        ignore = {(1, "ecx"): 1 << 27, (7, "ecx"): 1 << 4, (1, "edx"): 1 << 28}.get((leaf, register), 0)
        # Leaf 0xd is computed from what the CPU has; as a feature word only its sub-leaf 1 is one.
        assert leaf == 0xD and subleaf == 0 or seen & ~ignore == word["features"] & ~ignore, (
            f"leaf {leaf:#x}/{subleaf:#x} {register}: the guest reads {seen:#x}, QEMU says {word['features']:#x}")
        compared += 1
    assert compared >= 10, f"only {compared} words were there to compare"


def test_half_round():
    """a half round is none, and rubbish in a round is told"""
    log = witness.START + b"00000000 00000000 0000000d 756e6547 6c65746e 49656e69\r\n" + witness.END
    assert witness.rounds(log[:-3]) == []
    assert witness.rounds(b"SeaBIOS\r\n" + log + log[:20]) == [log]
    assert witness.vendor(witness.decode(log)) == "GenuineIntel"
    for wrong in (log.replace(b"0000000d", b"0000000g"), log.replace(witness.END, log[len(witness.START):])):
        try:
            witness.decode(wrong)
        except ValueError:
            continue
        raise AssertionError(f"decoded: {wrong!r}")


if __name__ == "__main__":
    harness.main()
