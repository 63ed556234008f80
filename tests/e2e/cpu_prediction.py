# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What Invar predicts of a CPU model: the features of the model on a machine (cpu-explain, feature by feature), less
those that its verdict on a domain with that model says the guest will not get. Invar's own word alone.
"""
import os
import re

import bare_guest
import harness
import witness

# QEMUs at a time: the project is tested on two processors.
AT_ONCE = 2
# Bits that follow the topology, never the model: an expansion has them as the model is written, a guest of one
# thread reads none.
BY_TOPOLOGY = {"ht", "cmp_legacy"}
# Models that are no chip's: they follow the host, or are the bare minimum that QEMU builds upon.
NO_CHIPS = {"max", "host", "base"}
VERSION = r"-v[0-9]+$"


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
    """
    {model: (the features with a bit that its guest will have, the -cpu argument, what it drops)}, for each versioned
    model and each name without a version, which means one of them or, on old machines, itself.
    """
    features = sorted(name for name in bits.bits if name not in bits.unpassed)
    answers = daemon.invar_many([f"cpu-explain {name} --machine {machine} --virttype qemu" for name in features])
    have = {}
    for name, answer in zip(features, answers):
        assert answer["feature"] == name, answer
        for model in answer["emulator_models"]:
            have.setdefault(model, set()).add(name)
    models = sorted(set(have) - NO_CHIPS)
    paths = [daemon.write(f"{model}.xml", harness.domain_xml("guest", harness.relaxed(model), machine=machine)) for model in models]
    found = {}
    for model, verdict in zip(models, daemon.invar_many(["verdict " + path for path in paths])):
        assert verdict["machine"] == machine, verdict
        assert verdict["model"] == model or not re.search(VERSION, model) and have[model] == have[verdict["model"]], verdict
        assert verdict["outcome"] in ("exact", "drops"), verdict
        dropped = {blocker["feature"] for blocker in verdict["blockers"]}
        found[model] = (have[model] - dropped, verdict["argument"], dropped)
    return found


def look(rom, machine, argument):
    """(what QEMU filters, its feature words, the guest's round) of a -cpu argument."""
    with bare_guest.Guest(rom, machine, argument) as guest:
        filtered, words = guest.dry_run()
        return filtered, words, guest.printed()
