#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
invar host-cpu: who keeps which CPU feature from guests. With this host's own QEMU under TCG, on several machine types,
and with recorded QEMUs on machines whose processor and KVM are replayed from tests/data/kvm.
"""
import json
import os
import re
import subprocess

import harness
import test_recorded_sessions

DATA = os.path.join(harness.TOP_SRCDIR, "tests/data/kvm")
LAYERS = ["hardware", "kernel", "QEMU", "machine type", "configuration"]
SESSION = {"file": "caps_10.0.0_x86_64.replies.xz", "arch": "x86_64", "machine": "pc-q35-10.0", "virttype": "kvm"}


def table(answer):
    return {row["feature"]: row for row in answer["features"]}


def machines(daemon, *prefixes):
    """The oldest machine type of each family that this QEMU has."""
    emulator = daemon.invar_json("emulators", harness.QEMU)[0]
    names = [machine["name"] for machine in emulator["machines"]]
    # "pc-q35-2.4" before "pc-q35-2.10": by value.
    return [min((name for name in names if name.startswith(prefix)), key=lambda name: [int(part) for part in name.split("-")[-1].split(".")])
            for prefix in prefixes]


def need_qemu():
    if not harness.QEMU:
        raise harness.Skip("qemu-system-x86_64 is not installed")


def expansion_of_max(machine):
    """What QEMU itself says, asked without any daemon."""
    commands = [{"execute": "qmp_capabilities"},
                {"execute": "query-cpu-model-expansion", "arguments": {"type": "full", "model": {"name": "max"}}},
                {"execute": "quit"}]
    run = subprocess.run([harness.QEMU, "-machine", machine, "-accel", "tcg", "-S", "-nodefaults", "-display", "none", "-qmp", "stdio"],
                         input="".join(json.dumps(command) + "\n" for command in commands), stdout=subprocess.PIPE, check=True,
                         timeout=60, encoding="utf-8")
    for line in run.stdout.splitlines():
        model = json.loads(line).get("return", {}).get("model") if line.startswith('{"return"') else None
        if model:
            return model["props"]
    raise AssertionError(run.stdout)


def test_table(daemon):
    """every feature with a bit, in order, each that a guest cannot have with layer, reason and remedy"""
    need_qemu()
    answer = daemon.invar_json("host-cpu", "--virttype", "qemu")
    assert answer["arch"] == os.uname().machine and answer["kernel"].endswith(os.uname().release), answer
    assert answer["virttype"] == "qemu" and answer["emulator"], answer
    rows = answer["features"]
    names = [row["feature"] for row in rows]
    assert names == sorted(set(names), key=str.encode) and len(names) > 350, len(names)
    bits = test_recorded_sessions.tree_map()
    assert set(bits.bits) <= set(names), set(bits.bits) - set(names)
    for row in rows:
        assert list(row["layers"]) == LAYERS, row
        if row["available"]:
            assert row["layer"] is None and row["reason"] is None and row["remedy"] is None, row
        else:
            assert row["layer"] in LAYERS and row["reason"] and row["remedy"], row
    missing = daemon.invar_json("host-cpu", "--virttype", "qemu", "--missing")["features"]
    assert missing == [row for row in rows if row["available"] is False]


def test_text(daemon):
    """for people: what the machine is, a row for each feature, and the reasons, once for all of which they are the same"""
    need_qemu()
    text = daemon.invar("host-cpu", "--virttype", "qemu").stdout
    for word in ("Processor:", "Kernel:", "KVM:", "Emulator:", "Machine:", "Hardware", "Allowed", "a guest can have"):
        assert word in text, word
    rows = [line.split() for line in text.splitlines()]
    assert ["avx512f"] in [row[:1] for row in rows if row[-2:] == ["no:", "QEMU"]], text
    assert ["sse2"] in [row[:1] for row in rows if row[-3:] == ["can", "have", "it"]], text
    assert "\033[" not in text
    quiet = daemon.invar("--quiet", "host-cpu", "--virttype", "qemu").stdout
    assert "Processor:" not in quiet and "avx512f" in quiet


def test_errors(daemon):
    """a machine type or an emulator that is not there is told by its name"""
    need_qemu()
    for option, value in (("--machine", "no-such-machine"), ("--emulator", "/nowhere/qemu"), ("--virttype", "xen")):
        run = daemon.invar("host-cpu", option, value, check=False)
        assert run.returncode == 1 and value in run.stderr, run


def test_machines_differ_as_qemu_says(daemon):
    """on microvm and on the oldest pc and q35, what a guest can have is what that machine's own QEMU gives to `max`"""
    need_qemu()
    bits = test_recorded_sessions.tree_map()
    for machine in ["microvm", *machines(daemon, "pc-i440fx-", "pc-q35-")]:
        answer = daemon.invar_json("host-cpu", "--virttype", "qemu", "--machine", machine)
        assert answer["machine"] == machine, answer["machine"]
        on = {bits.name(name) for name, value in expansion_of_max(machine).items() if value is True}
        rows = table(answer)
        given = {name for name, row in rows.items() if row["available"]} & set(bits.bits)
        unpassed = set(bits.unpassed)
        assert given - unpassed == on & set(bits.bits) - unpassed, (machine, (given - unpassed) ^ (on & set(bits.bits) - unpassed))


class Elsewhere(test_recorded_sessions.Replayed):
    """A recorded QEMU on a machine of tests/data/kvm, whose QEMU filters from `host` what its KVM does not offer: @lost."""

    def __init__(self, cpu, kvm, release, boot, parameters, lost):
        self.lost = lost
        self.files = {"proc/sys/kernel/osrelease": release, "proc/cmdline": boot, "dev/kvm": ""}
        for parameter in parameters:
            module, name, value = re.fullmatch(r"(\w+)\.(\w+)=(\w+)", parameter).groups()
            self.files[f"sys/module/{module}/parameters/{name}"] = value
        self.recordings = {"INVAR_HOST_CPUID": os.path.join(DATA, cpu), "INVAR_KVM_CPUID": os.path.join(DATA, kvm)}
        super().__init__(SESSION, Elsewhere.change)

    def change(self, answers):
        for name, text in self.files.items():
            os.makedirs(os.path.dirname(self.path("root/" + name)), exist_ok=True)
            self.write("root/" + name, text + "\n")
        self.env.update(self.recordings, INVAR_HOST_ROOT=self.path("root"))
        props = {**self.host_props(), **dict.fromkeys(self.lost, False)}
        # The stopped guest of a dry run lacks the same.
        answers["qom-get"] = [{"arguments": {"property": "unavailable-features"}, "return": self.lost}]
        answers["query-cpu-model-expansion"] = [{"arguments": {"model": {"name": "host"}}, "return": {"model": {"name": "host", "props": props}}}]

    def ask(self, command):
        return self.invar_json(*command, "--emulator", self.emulator, "--machine", SESSION["machine"], "--virttype", "kvm")


NESTED = "kvm_intel.nested=N"
SETTINGS = [
    {"feature": "amx-tile", "layer": "kernel", "reason": "(Linux 5.15.0-91-generic, KVM) does not offer it to guests; Linux 5.17 does",
     "remedy": "run Linux 5.17 or newer on this host"},
    {"feature": "smap", "layer": "configuration", "reason": "the boot option nosmap keeps it from guests", "remedy": "without nosmap"},
    {"feature": "vmx", "layer": "configuration", "reason": NESTED, "remedy": "kvm_intel with nested=1"},
    {"feature": "rtm", "layer": "configuration", "reason": "the boot option tsx=off takes rtm", "remedy": "tsx=on"},
    {"feature": "sse4a", "layer": "hardware", "reason": "processor does not have sse4a", "remedy": "whose processor has it"},
    {"feature": "pcid", "layer": "machine type", "reason": "machine pc-q35-10.0 does not give it", "remedy": "another machine type"},
]


def check_row(row, told):
    assert told["layer"] == row["layer"] and row["reason"] in told["reason"] and row["remedy"] in told["remedy"], (row, told)


def test_settings_and_kernels():
    """on a replayed Sapphire Rapids: an older kernel, a boot option, a module's parameter, the processor and the machine type are told apart"""
    with Elsewhere("sapphire.cpu.txt", "sapphire-5.15.kvm.txt", "5.15.0-91-generic", "quiet nosmap tsx=off", [NESTED],
                   [row["feature"] for row in SETTINGS]) as daemon:
        rows = table(daemon.ask(["host-cpu"]))
        assert rows["avx2"]["available"] and all(rows["avx2"]["layers"].values()), rows["avx2"]
        for row in SETTINGS:
            check_row(row, rows[row["feature"]])
            explained = {layer["layer"]: layer for layer in daemon.ask(["cpu-explain", row["feature"]])["layers"]}
            assert list(explained) == LAYERS and explained["machine type"]["answer"] is False, explained
        # A verdict says the same of what QEMU filters.
        answer = daemon.verdicts(["<cpu mode='custom'><model check='strict'>qemu64</model>" +
                                  "".join(f"<feature name='{row['feature']}' policy='require'/>" for row in SETTINGS) + "</cpu>"])[0]
        assert answer["outcome"] == "refused", answer
        blockers = {blocker["feature"]: blocker for blocker in answer["blockers"]}
        for row in SETTINGS:
            check_row(row, blockers[row["feature"]])
        tile = {layer["layer"]: layer["text"] for layer in daemon.ask(["cpu-explain", "amx-tile"])["layers"]}
        assert "Linux 5.17 does" in tile["kernel"], tile


if __name__ == "__main__":
    harness.main()
