#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""CPU models and single features, started through invard: what the record says is what the guest reads."""
import concurrent.futures
import json
import re

import bare_guest
import harness
import witness
from cpu_prediction import AT_ONCE, BY_TOPOLOGY, VERSION, look, machines, map_of_tree, predictions


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
        models = [item for item in sorted(predictions(daemon, machine, bits).items()) if re.search(VERSION, item[0])]
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
            settled = look(rom, machine, prediction[1])[2]
            assert behind_bios == settled, f"{name}: a BIOS makes a difference:\n{behind_bios}\n{settled}"
            record = daemon.invar_json("cpu-record", name)
            leaves = witness.decode(behind_bios)
            wrong = {key: (record.get(key), value) for key, value in identity(leaves).items() if record.get(key) != value}
            assert not wrong, f"{name}, record and guest: {wrong}"
            assert set(record["on"]) & set(bits.bits) - BY_TOPOLOGY == prediction[0] - BY_TOPOLOGY, name
            assert (record["machine"], record["model"]) == (machine, model), record
            daemon.invar("destroy", name)


def settled_start(daemon, bits, rom, name, cpu, machine="q35"):
    """Starts it through invard: what its record has on beyond what its guest reads, and the other way round."""
    document = re.sub("<disk.*?</disk>", "", daemon.witness_xml(name, cpu, machine)).replace("</type>", f"</type><loader type='rom'>{rom}</loader>")
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
    {"name": "no <cpu> on old and new machines: the record is what the guest reads", "cpu": ""},
    {"name": "mode maximum on old and new machines: the record is what the guest reads", "cpu": "<cpu mode='maximum'/>"},
    {"name": "mode host-model on old and new machines: the record is what the guest reads", "cpu": "<cpu mode='host-model'/>"},
])
def test_modes(daemon, row):
    bits, rom = map_of_tree(), bare_guest.make_firmware(daemon.path("rom"))
    for machine in machines():
        found = settled_start(daemon, bits, rom, "guest." + machine, row["cpu"], machine)
        assert found == ([], []), f"{machine}: recorded and not read {found[0]}, read and not recorded {found[1]}"


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
