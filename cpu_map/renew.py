#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Renews the CPU models of the map, which features need which, and what accelerators force, from a QEMU.

    cpu_map/renew.py QEMU [--output FOLDER] [--dry-run]

QEMU: path of a qemu-system-x86_64, -i386 or -s390x. Prints what changed against FOLDER/<arch>/models.tsv
and, where they are, against the column "needs" of about.tsv and forced.tsv (FOLDER: where this program is),
and writes the files. What this QEMU does not know stays: an older QEMU takes nothing away. forced.tsv is
renewed where KVM works, by comparing what both accelerators make of each model.

QEMU is asked on machine none under TCG, which every QEMU has and which filters nothing of an
expansion. What TCG forces off in every model is restored as forced.tsv says.
"""
import argparse
import json
import os
import random
import re
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ARCHES = {"x86_64": "x86", "i386": "x86", "s390x": "s390x"}
COLUMNS = ["name", "aliases", "vendor", "family", "model_number", "stepping", "level", "xlevel", "static", "deprecated",
           "features", "with_vmx"]
HEAD = """# SPDX-License-Identifier: LGPL-2.1-or-later
# CPU models as QEMU defines them, libvirt's spelling of features; renewed by cpu_map/renew.py. They only
# make the description of a host short and serve comparisons without a QEMU; no verdict looks here.
# with_vmx: what comes along when vmx is switched on and nothing else is said of vmx-*.
"""
ABOUT_COLUMNS = ["name", "about", "cost", "needs"]
FORCED_COLUMNS = ["accelerator", "feature", "value", "models"]
# A model that takes every property of a feature, and means nothing else here.
BARE_MODEL = "qemu64"
# Stand for the machine they run on, or for nothing.
NO_MODELS = {"host", "max", "base"}
# Every guest has it, whatever its model.
NOT_OF_THE_MODEL = {"hypervisor"}


class Qemu:
    def __init__(self, binary, accelerator="tcg"):
        try:
            self.process = subprocess.Popen(
                [binary, "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", "none", "-accel", accelerator, "-qmp", "stdio"],
                # It warns of every feature that goes with another.
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError as error:
            sys.exit(f"{binary}: {error.strerror}")
        greeting = self.process.stdout.readline()
        self.started = bool(greeting)
        if self.started:
            self.version = json.loads(greeting)["QMP"]["version"]["qemu"]
            self.call("qmp_capabilities")
        else:
            self.process.wait(30)

    def call(self, command, **arguments):
        self.process.stdin.write(json.dumps({"execute": command, "arguments": arguments}, separators=(",", ":")) + "\n")
        self.process.stdin.flush()
        while True:
            line = self.process.stdout.readline()
            if not line:
                sys.exit(f"QEMU ended while it was asked {command}")
            reply = json.loads(line)
            if "event" not in reply:
                return reply.get("return")

    def expand(self, model, **props):
        argument = {"name": model, "props": props} if props else {"name": model}
        reply = self.call("query-cpu-model-expansion", type="full", model=argument)
        return reply and reply["model"].get("props", {})

    def quit(self):
        self.call("quit")
        self.process.wait(30)


def rows(path):
    """The rows of a table as lists; the header first. Nothing where there is no file."""
    if not os.path.exists(path):
        return []
    with open(path, encoding="utf-8") as file:
        return [line.rstrip("\n").split("\t") for line in file if line.strip() and not line.startswith("#")]


def dictionary(folder):
    """QEMU's spelling of each feature that the map knows → libvirt's. None: every name is a feature."""
    features = rows(os.path.join(folder, "features.tsv"))[1:]
    if not features:
        return None
    spelled = {row[0]: row[0] for row in features}
    known = set(spelled)
    for row in features:
        spelled.update({alias[len("qemu:"):]: row[0] for alias in row[7].split(",") if alias.startswith("qemu:")})
    for libvirt, qemu in rows(os.path.join(folder, "spelling.tsv"))[1:]:
        if libvirt in known:
            spelled[qemu] = libvirt
    return spelled


def forced(folder):
    """Feature that TCG forces off → the models whose definition does without it."""
    return {row[1]: set(row[3].removeprefix("all but ").split())
            for row in rows(os.path.join(folder, "forced.tsv"))[1:] if row[0] == "tcg" and row[2] == "off"}


def features_of(props, spelled):
    """Sorted names of what is on. A stale spelling of QEMU's never says off, so on wins."""
    on = {name for name, value in props.items() if value is True}
    names = on if spelled is None else {spelled[name] for name in on if name in spelled}
    return sorted(names - NOT_OF_THE_MODEL)


def number(props, name):
    value = props.get(name)
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else "-"


def models_of(qemu, folder):
    spelled, hidden = dictionary(folder), forced(folder)
    definitions = qemu.call("query-cpu-definitions")
    aliases = {}
    for entry in definitions:
        if entry.get("alias-of"):
            aliases.setdefault(entry["alias-of"], []).append(entry["name"])
    models = {}
    for entry in definitions:
        name = entry["name"]
        props = None if name in NO_MODELS or entry.get("alias-of") else qemu.expand(name)
        if props is None:
            continue
        features = sorted({*features_of(props, spelled), *(one for one, without in hidden.items() if name not in without)})
        nested = features_of(qemu.expand(name, vmx=True) or {}, spelled) if "vmx" in props and "vmx" not in features else []
        models[name] = [name, " ".join(sorted(aliases.get(name, []))), props.get("vendor", "-"), number(props, "family"),
                        number(props, "model"), number(props, "stepping"), number(props, "level"), number(props, "xlevel"),
                        "yes" if entry["static"] else "no", "yes" if entry.get("deprecated") else "no", " ".join(features),
                        " ".join(sorted(set(nested) - set(features) - {"vmx"}))]
    return models


def order(name):
    return [int(part) if part.isdigit() else part for part in re.split(r"(\d+)", name.lower())], name


def changes(before, after):
    """What differs, a line each."""
    for name in sorted(set(before) | set(after), key=order):
        if name not in before:
            yield f"{name}: new"
            continue
        for column, old, new in zip(COLUMNS[1:], before[name][1:], after[name][1:]):
            if old == new:
                continue
            if column in ("features", "with_vmx", "aliases"):
                gone, come = set(old.split()) - set(new.split()), set(new.split()) - set(old.split())
                yield f"{name}: {column}: " + " ".join([*(f"+{one}" for one in sorted(come)), *(f"-{one}" for one in sorted(gone))])
            else:
                yield f"{name}: {column}: {old} -> {new}"


def suspects(features, lost_without):
    """Those whose loss may take others along, by few questions: groups of them are switched off at once, and
    what a feature takes along is lost with each of its groups, or in it. Who is suspected wrongly only costs
    a question more."""
    draw = random.Random(1)
    taken = {feature: set(features) for feature in features}
    for _ in range(48):
        group = {feature for feature in features if draw.random() < 0.3}
        allowed = lost_without(group) | group
        for feature in group:
            taken[feature] &= allowed
    return [feature for feature in features if taken[feature] - {feature}]


def needs_of(qemu, folder):
    """Feature → those without which this QEMU switches it off, though it is asked for."""
    spelled = dictionary(folder) or {}
    properties = {}
    for name, value in (qemu.expand(BARE_MODEL) or {}).items():
        if isinstance(value, bool) and name in spelled:
            properties.setdefault(spelled[name], []).append(name)

    def left_without(features):
        asked = {name: feature not in features for feature, names in properties.items() for name in names}
        return set(features_of(qemu.expand(BARE_MODEL, **asked) or {}, spelled))

    at_most = left_without(())

    def lost_without(features):
        return at_most - left_without(features) - set(features)

    needs = {}
    for feature in suspects(list(properties), lost_without):
        for lost in lost_without({feature}):
            needs.setdefault(lost, set()).add(feature)
    return needs


class Table:
    """A data file of the map: its leading comment, its columns and its rows by their first @key columns."""

    def __init__(self, path, columns, head="", key=1):
        self.path, self.columns, self.head = path, columns, head
        if os.path.exists(path):
            with open(path, encoding="utf-8") as file:
                self.head = "".join(line for line in file if line.startswith("#"))
        found = rows(path)
        if found and found[0] != columns:
            sys.exit(f"{path}: the columns are not the expected ones")
        self.rows = {" ".join(row[:key]): row for row in found[1:]}

    def write(self, names):
        os.makedirs(os.path.dirname(self.path), exist_ok=True)
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(self.head + "\t".join(self.columns) + "\n")
            file.writelines("\t".join(self.rows[name]) + "\n" for name in names)
        os.replace(self.path + ".new", self.path)


def renew_models(qemu, folder, known, dry_run):
    """What changed, a line each."""
    table = Table(os.path.join(folder, "models.tsv"), COLUMNS, HEAD)
    before = table.rows
    table.rows = {**before, **models_of(qemu, known)}
    listed = list(changes(before, table.rows))
    if listed and not dry_run:
        table.write(sorted(table.rows, key=order))
    return listed


def renew_needs(qemu, folder, known, dry_run):
    """What changed, a line each. The texts are people's: without the file there is nothing to renew."""
    table = Table(os.path.join(folder, "about.tsv"), ABOUT_COLUMNS)
    listed = []
    needs = needs_of(qemu, known) if table.rows else {}
    for name, row in table.rows.items():
        old = set(row[3].split(",")) - {"-"}
        new = old | needs.get(name, set())
        if new != old:
            listed.append(f"{name}: needs: " + " ".join(f"+{one}" for one in sorted(new - old)))
            row[3] = ",".join(sorted(new))
    if listed and not dry_run:
        table.write(table.rows)
    return listed


def by_model(qemu, spelled):
    """Model → the features that it has under this QEMU's accelerator."""
    names = [entry["name"] for entry in qemu.call("query-cpu-definitions") if not entry.get("alias-of") and entry["name"] not in NO_MODELS]
    return {name: set(features_of(qemu.expand(name) or {}, spelled)) for name in names}


def forced_rows(tcg, kvm, folder):
    """What each of the two sets whatever a model says, where the other shows that the model says otherwise."""
    spelled, bits = dictionary(folder), set(dictionary(folder).values())
    spelled.update({qemu: libvirt for libvirt, qemu in rows(os.path.join(folder, "spelling.tsv"))[1:]})
    needs = {row[0]: row[3].split(",") for row in rows(os.path.join(folder, "about.tsv"))[1:]}
    under_tcg, under_kvm = by_model(tcg, spelled), by_model(kvm, spelled)
    off = {feature for feature in spelled.values() if not any(feature in has for has in under_kvm.values())}
    for feature in sorted(set(spelled.values())):
        hidden = [name for name, has in under_tcg.items() if feature not in has]
        without = [name for name, has in under_kvm.items() if feature not in has]
        if not hidden and feature not in off or len(hidden) == len(under_tcg) and feature in off:
            continue
        if len(hidden) == len(under_tcg) and feature in bits:
            yield ["tcg", feature, "off", "all but " + " ".join(sorted(without, key=order)) if without else "all"]
        elif not without:
            yield ["kvm", feature, "on", "-"]
        elif feature in off and not off & set(needs.get(feature, [])):
            yield ["kvm", feature, "off", "-"]


def renew_forced(qemu, binary, folder, known, dry_run):
    """What changed, a line each. Nothing where KVM does not work."""
    path = os.path.join(folder, "forced.tsv")
    table = Table(path, FORCED_COLUMNS, key=2)
    kvm = Qemu(binary, "kvm") if os.path.exists(path) else None
    listed = []
    if not kvm or not kvm.started:
        return listed
    for row in forced_rows(qemu, kvm, known):
        name = " ".join(row[:2])
        if table.rows.get(name) != row:
            listed.append(f"{name}: {row[2]}, {row[3]}")
            table.rows[name] = row
    kvm.quit()
    if listed and not dry_run:
        table.write(table.rows)
    return listed


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", maxsplit=1)[0])
    parser.add_argument("qemu", help="path of a QEMU binary")
    parser.add_argument("--output", default=HERE, metavar="FOLDER", help="the map's folder (default: where this program is)")
    parser.add_argument("--dry-run", action="store_true", help="only print what would change")
    options = parser.parse_args()

    qemu = Qemu(options.qemu)
    if not qemu.started:
        sys.exit(f"{options.qemu} did not start")
    target = qemu.call("query-target")["arch"]
    if target not in ARCHES:
        qemu.quit()
        sys.exit(f"the map has no models of {target}: QEMU does not expand them by name")
    folder = os.path.join(options.output, ARCHES[target])
    # The dictionary is the tree's own, wherever the tables are written.
    known = os.path.join(HERE, ARCHES[target])
    # What is forced first: the models' features are made from it.
    listed = [*renew_forced(qemu, options.qemu, folder, known, options.dry_run), *renew_models(qemu, folder, known, options.dry_run),
              *renew_needs(qemu, folder, known, options.dry_run)]
    qemu.quit()
    for line in listed:
        print(line)
    version = ".".join(str(qemu.version[part]) for part in ("major", "minor", "micro"))
    print(f"QEMU {version}, {ARCHES[target]}: {len(listed)} changes")


if __name__ == "__main__":
    main()
