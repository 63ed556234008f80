#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What one machine type is, and not another: capabilities, verdicts and starts go by the table that QEMU gives on that
machine. Compared with QEMU itself, asked without any daemon.
"""
import json
import subprocess
import xml.etree.ElementTree as trees

import harness
import test_recorded_sessions

ALIASES = ["Nehalem", "EPYC", "Skylake-Server", "qemu64"]
GENERIC = {"host", "max", "base"}


def version(name):
    """"pc-q35-2.10" is newer than "pc-q35-2.9"."""
    return [int(part) for part in name.split("-")[-1].split(".")]


def machines():
    """microvm, and the oldest and the newest of pc and q35 that this QEMU has."""
    if not harness.QEMU:
        return []
    text = subprocess.run([harness.QEMU, "-machine", "help"], stdout=subprocess.PIPE, check=True, encoding="utf-8").stdout
    names = [line.split()[0] for line in text.splitlines()[1:]]
    chosen = ["microvm"] if "microvm" in names else []
    for family in ("pc-i440fx-", "pc-q35-"):
        own = sorted((name for name in names if name.startswith(family)), key=version)
        chosen += [own[0], own[-1]] if own else []
    return chosen


ROWS = [{"name": f"{machine}: capabilities, verdict and start go by its own table", "machine": machine} for machine in machines()]


def definitions(machine):
    """{name: what QEMU says of this model on this machine}."""
    run = subprocess.run([harness.QEMU, "-machine", machine, "-accel", "tcg", "-S", "-nodefaults", "-display", "none", "-qmp", "stdio"],
                         input="".join(json.dumps({"execute": command}) + "\n"
                                       for command in ("qmp_capabilities", "query-cpu-definitions", "quit")),
                         stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True, timeout=60, encoding="utf-8")
    for line in run.stdout.splitlines():
        reply = json.loads(line).get("return")
        if isinstance(reply, list):
            return {definition["name"]: definition for definition in reply}
    raise AssertionError(run.stdout)


def domain(machine, model):
    return harness.domain_xml("guest", f"<cpu><model check='relaxed'>{model}</model></cpu>", machine=machine)


@harness.rows(ROWS)
def test_machine(daemon, row):
    machine = row["machine"]
    bits = test_recorded_sessions.tree_map()
    truth = definitions(machine)
    mode = trees.fromstring(daemon.invar("domcapabilities", "--virttype", "qemu", "--machine", machine).stdout).find("cpu/mode[@name='custom']")
    listed = {model.text: model for model in mode.findall("model")}
    assert set(listed) == set(truth) - GENERIC, set(listed) ^ (set(truth) - GENERIC)
    for name, model in listed.items():
        assert model.get("usable") == ("no" if truth[name]["unavailable-features"] else "yes"), (name, model.attrib)
        # Clients of libvirt before 10.2 know no canonical=.
        assert model.get("canonical") in (None, truth[name].get("alias-of")), (name, model.attrib)
    for blockers in mode.findall("blockers"):
        wanted = {bits.name(feature) for feature in truth[blockers.get("model")]["unavailable-features"]}
        assert {feature.get("name") for feature in blockers} == wanted, blockers.get("model")
    paths = [daemon.write(f"{alias}.xml", domain(machine, alias)) for alias in ALIASES]
    for alias, verdict in zip(ALIASES, daemon.invar_many(["verdict " + path for path in paths])):
        pinned = truth[alias].get("alias-of", alias)
        assert (verdict["model"], verdict["machine"]) == (pinned, machine), (alias, verdict)
        filtered = {bits.name(feature) for feature in truth[pinned]["unavailable-features"]} - {"ht", "cmp_legacy"}
        blockers = {blocker["feature"]: blocker for blocker in verdict["blockers"]}
        assert set(blockers) >= filtered, (alias, filtered, verdict)
        # Beyond those QEMU hides what stands in leaves that the machine does not let the model have, and does not list it.
        assert all(blockers[name]["layer"] in ("machine type", "configuration") for name in set(blockers) - filtered), (alias, filtered, verdict)
        assert all(blocker["layer"] and blocker["reason"] and blocker["remedy"] for blocker in blockers.values()), verdict


@harness.rows([{**row, "name": f"{row['machine']}: a start pins the version that the alias has there"} for row in ROWS])
def test_pin(daemon, row):
    machine = row["machine"]
    pinned = definitions(machine)["Nehalem"].get("alias-of", "Nehalem")
    daemon.invar("define", daemon.write("guest.xml", domain(machine, "Nehalem")))
    daemon.invar("start", "--paused", "guest")
    record = daemon.invar_json("cpu-record", "guest")
    daemon.invar("destroy", "guest")
    xml = daemon.invar("dumpxml", "--inactive", "guest").stdout
    daemon.invar("undefine", "guest")
    assert (record["model"], record["machine"]) == (pinned, machine), record
    assert f">{pinned}</model>" in xml and "check='strict'" in xml, xml
    assert f"machine='{machine}'" in xml or f'machine="{machine}"' in xml, xml


def test_versions_differ():
    """the alias means another version on microvm than on the oldest pc, in this QEMU itself: else the rows above show little"""
    if not ROWS:
        raise harness.Skip("qemu-system-x86_64 is not installed")
    found = {machine: tuple(definitions(machine)[alias].get("alias-of") for alias in ALIASES) for machine in machines()}
    assert len(set(found.values())) > 1, found


if __name__ == "__main__":
    harness.main()
