#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Every CPU model of QEMU on old and new machines: what Invar predicts, what QEMU reports of a stopped
guest, and what the guest itself prints.

Invar's prediction is its own word alone: the features of a model on a machine (cpu-explain, feature
by feature), less those that its verdict on a domain with that model says the guest will not get.
The witness is the guest's firmware here, so that a guest costs some 60 ms; that it prints the same
as behind a BIOS is tested below, as are some full starts through invard.
"""
import concurrent.futures
import json
import os
import re
import time

import bare_guest
import harness
import witness

# QEMUs at a time: the project is tested on two processors.
AT_ONCE = 2

# What is no difference, and why.
# Bits that follow the topology, never the model: an expansion has them as the model is written, a guest of one
# thread reads none.
BY_TOPOLOGY = {"ht", "cmp_legacy"}
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


def machines():
    """The newest, a middle and the oldest of each family that this QEMU has, and microvm."""
    with harness.bare_qemu("qemu64") as (_, qmp):
        qmp.readline()
        harness.ask(qmp, "qmp_capabilities")
        known = [machine["name"] for machine in harness.ask(qmp, "query-machines")]
    chosen = []
    for family in ("pc-q35", "pc-i440fx"):
        versions = sorted((name for name in known if re.fullmatch(family + r"-[0-9.]+", name)),
                          key=lambda name: [int(part) for part in name[len(family) + 1:].split(".")])
        chosen += [versions[-1], versions[len(versions) // 2], versions[0]]
    return chosen + (["microvm"] if "microvm" in known else [])


def map_of_tree():
    return witness.Map(os.path.join(os.environ.get("INVAR_PKGDATADIR", harness.TOP_SRCDIR), "cpu_map"))


def predictions(daemon, machine, bits):
    """{versioned model: (the features with a bit that its guest will have, the -cpu argument, what it drops)}."""
    features = sorted(name for name in bits.bits if name not in bits.unpassed)
    answers = daemon.invar_many([f"cpu-explain {name} --machine {machine} --virttype qemu" for name in features])
    have = {}
    for name, answer in zip(features, answers):
        assert answer["feature"] == name, answer
        for model in answer["emulator_models"]:
            have.setdefault(model, set()).add(name)
    models = sorted(model for model in have if re.search(r"-v[0-9]+$", model))
    paths = [daemon.write(f"{model}.xml", harness.domain_xml("guest", harness.relaxed(model), machine=machine)) for model in models]
    found = {}
    for model, verdict in zip(models, daemon.invar_many(["verdict " + path for path in paths])):
        assert verdict["model"] == model and verdict["machine"] == machine, verdict
        assert verdict["outcome"] in ("exact", "drops"), verdict
        dropped = {blocker["feature"] for blocker in verdict["blockers"]}
        found[model] = (have[model] - dropped, verdict["argument"], dropped)
    return found


def look(rom, machine, model, argument):
    """(filtered, feature words, round) of the bare model, and the same of the argument that Invar would pass."""
    found = []
    for cpu in [model] + [argument] * (argument != model):
        with bare_guest.Guest(rom, machine, cpu) as guest:
            filtered, words = guest.dry_run()
            found.append((filtered, words, guest.printed()))
    return found[0], found[-1]


def differences(bits, model, prediction, bare, settled):
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
            looks = {model: pool.submit(look, rom, machine, model, predicted[model][1]) for model in predicted}
            for model, future in looks.items():
                wrong += [f"{machine} {model}: {line}" for line in differences(bits, model, predicted[model], *future.result())]
            count += len(predicted)
            harness.say(f"{machine}: {len(predicted)} models, asked {asked - started:.1f} s, looked {time.monotonic() - asked:.1f} s")
    for line in wrong:
        harness.say(line)
    assert count >= 300, f"only {count} models were there to look at"
    assert not wrong, f"{len(wrong)} differences"


def identity(leaves):
    """What the guest reads of its processor's identity, in the words of a CPU record."""
    signature = leaves[(1, 0)]["eax"]
    family, number = signature >> 8 & 15, signature >> 4 & 15
    if family in (6, 15):
        number |= (signature >> 16 & 15) << 4
    highest = leaves[(0x80000000, 0)]["eax"]
    found = {"vendor": witness.vendor(leaves), "family": family + (signature >> 20 & 255 if family == 15 else 0),
             "model_number": number, "stepping": signature & 15, "level": leaves[(0, 0)]["eax"],
             # Where there is no such leaf another one answers.
             "xlevel": highest if highest >> 31 else 0}
    if highest >> 31 and highest >= 0x80000008:
        found["phys_bits"] = leaves[(0x80000008, 0)]["eax"] & 255
    return found


def test_full_starts(daemon):
    """started through invard, behind a BIOS: the same round, and the record says what the guest prints"""
    bits, rom = map_of_tree(), bare_guest.make_firmware(daemon.path("rom"))
    for turn, machine in enumerate(machines()):
        models = sorted(predictions(daemon, machine, bits).items())
        # Others on each machine: seven machines see a quarter of all.
        for model, prediction in models[turn::len(models) // 3]:
            name = f"{machine}.{model}"
            document = daemon.witness_xml(name, harness.relaxed(model), machine=machine)
            if machine == "microvm":
                # Its BIOS was not seen to start from a disk: there the witness is the firmware once more.
                document = re.sub("<disk.*?</disk>", "", document).replace("</type>", f"</type><loader type='rom'>{rom}</loader>")
            daemon.invar("define", daemon.write("guest.xml", document))
            daemon.invar("start", name)
            behind_bios = daemon.cpuid(name)
            _, settled = look(rom, machine, model, prediction[1])
            assert behind_bios == settled[2], f"{name}: a BIOS makes a difference:\n{behind_bios}\n{settled[2]}"
            record = daemon.invar_json("cpu-record", name)
            leaves = witness.decode(behind_bios)
            wrong = {key: (record.get(key), value) for key, value in identity(leaves).items() if record.get(key) != value}
            assert not wrong, f"{name}, record and guest: {wrong}"
            assert set(record["on"]) & set(bits.bits) - BY_TOPOLOGY == prediction[0] - BY_TOPOLOGY, name
            assert (record["machine"], record["model"]) == (machine, model), record
            daemon.invar("destroy", name)


def settled_start(daemon, bits, rom, name, cpu):
    """Starts it through invard: what its record has on beyond what its guest reads, and the other way round."""
    document = re.sub("<disk.*?</disk>", "", daemon.witness_xml(name, cpu)).replace("</type>", f"</type><loader type='rom'>{rom}</loader>")
    daemon.invar("define", daemon.write(name + ".xml", document))
    daemon.invar("start", name)
    record = set(daemon.invar_json("cpu-record", name)["on"]) & set(bits.bits)
    seen = bits.seen(witness.decode(daemon.cpuid(name)))
    daemon.invar("destroy", name)
    return sorted(record - seen - BY_TOPOLOGY), sorted(seen - record - BY_TOPOLOGY)


def test_one_changed(daemon):
    """one feature switched off in a rich model, or on in a poor one: the record is what the guest reads"""
    bits, rom = map_of_tree(), bare_guest.make_firmware(daemon.path("rom"))
    predicted = predictions(daemon, machines()[0], bits)
    rich, poor = predicted["EPYC-Milan-v1"][0] | predicted["Icelake-Server-v6"][0], predicted["n270-v1"][0]
    changes = [("Icelake-Server-v6", "disable", name) for name in sorted(predicted["Icelake-Server-v6"][0])]
    changes += [("n270-v1", "optional", name) for name in sorted(rich - poor)]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        starts = {change: pool.submit(settled_start, daemon, bits, rom, ".".join(change).replace("_", "-"),
                                      harness.relaxed(change[0], f"{change[1]}:{change[2]}")) for change in changes}
        wrong = [f"{change}: recorded and not read {start.result()[0]}, read and not recorded {start.result()[1]}"
                 for change, start in starts.items() if start.result() != ([], [])]
    assert len(changes) >= 80, changes
    assert not wrong, "\n".join(wrong)


@harness.rows([
    {"name": "a part of xsave without xsave is refused where it is required", "model": "n270-v1", "features": "require:xgetbv1",
     "words": ["xgetbv1", "xsave"]},
    {"name": "a part of xsave without xsave is refused where it is forced", "model": "n270-v1", "features": "force:xsaveopt",
     "words": ["xsaveopt", "xsave"]},
    {"name": "who disables xsave loses its parts and is not refused", "model": "EPYC-v1", "features": "disable:xsave", "words": None},
])
def test_parts_of_xsave(daemon, row):
    document = daemon.witness_xml("guest", harness.relaxed(row["model"], row["features"]))
    verdict = json.loads(daemon.invar("--json", "verdict", daemon.write("guest.xml", document), check=False).stdout)
    reasons = " ".join(blocker["feature"] + ": " + blocker["reason"] for blocker in verdict["blockers"])
    if row["words"] is None:
        assert verdict["outcome"] in ("exact", "drops") and "xsaveopt" not in reasons, verdict
        assert "xsaveopt=off" in verdict["argument"], verdict
    else:
        assert verdict["outcome"] == "refused", verdict
        assert all(word in reasons for word in row["words"]), reasons


if __name__ == "__main__":
    harness.main()
