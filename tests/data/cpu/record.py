#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records what a real QEMU says of CPU models: the input of the unit tests of cpu_driver/.

    record.py            renews every file here from the QEMUs of this machine
    record.py ARGUMENT   also asks x86 what it would filter of this -cpu argument
    record.py FILE ARGUMENT
                         also reads the CPU that the QEMU of this file makes of it

The QEMU of x86_64-next.json is that of scripts/second-qemu.sh, in the folder INVAR_SECOND_QEMU; without it
the file stays as it is.
"""
import json
import os
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
SECOND = os.path.join(os.environ.get("INVAR_SECOND_QEMU", "/nonexistent"), "qemu-system-x86_64")
# What is read of a guest's CPU beside its expansion: see qemu/guest_cpu.c.
LIVE = ["vendor", "model-id", "family", "model", "stepping", "level", "xlevel", "xlevel2", "phys-bits"]
SUBJECTS = [
    # file, binary, machine, models kept (None: all), expansions of all versioned models?
    ("x86_64.json", "qemu-system-x86_64", "pc-q35-7.2", None, True),
    ("x86_64-next.json", SECOND, "pc-q35-7.2", None, True),
    ("s390x.json", "qemu-system-s390x", "s390-ccw-virtio-7.2", ["max", "qemu", "z13", "z14", "gen15a", "host"], False),
    ("aarch64.json", "qemu-system-aarch64", "virt-7.2", ["max", "cortex-a57", "cortex-a72", "a64fx", "host"], False),
    ("ppc64.json", "qemu-system-ppc64", "pseries-7.2", ["power8_v2.0", "power9_v2.0", "power9", "power10_v2.0"], False),
]


class Qemu:
    def __init__(self, binary, machine, *extra):
        self.process = subprocess.Popen(
            [binary, "-S", "-no-user-config", "-nodefaults", "-nographic", "-machine", machine, "-accel", "tcg",
             "-qmp", "stdio", *extra], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.version = json.loads(self.process.stdout.readline())["QMP"]["version"]["qemu"]
        self.call("qmp_capabilities")

    def call(self, command, **arguments):
        self.process.stdin.write(json.dumps({"execute": command, "arguments": arguments}) + "\n")
        self.process.stdin.flush()
        while True:
            reply = json.loads(self.process.stdout.readline())
            if "event" not in reply:
                return reply.get("return")

    def expand(self, model):
        reply = self.call("query-cpu-model-expansion", type="full", model={"name": model})
        return reply["model"]["props"] if reply else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.call("quit")
        self.process.communicate()


def dry_run(binary, machine, argument):
    with Qemu(binary, machine, "-cpu", argument) as qemu:
        path = qemu.call("query-cpus-fast")[0]["qom-path"]
        return qemu.call("qom-get", path=path, property="unavailable-features")


def properties(argument):
    """The properties of a -cpu argument, as QMP takes them."""
    found = {}
    for part in argument.split(",")[1:]:
        name, value = part.split("=", 1)
        found[name] = {"on": True, "off": False}.get(value, int(value) if value.lstrip("-").isdigit() else value)
    return found


def guest(binary, machine, argument, maximum):
    """The CPU of a stopped guest, as invard reads it: what differs from max, and the words less what follows the topology."""
    with Qemu(binary, machine, "-cpu", argument) as qemu:
        path = qemu.call("query-cpus-fast")[0]["qom-path"]
        props = qemu.call("query-cpu-model-expansion", type="full",
                          model={"name": argument.split(",")[0], "props": properties(argument)})["model"]["props"]
        props.update({name: qemu.call("qom-get", path=path, property=name) for name in LIVE})
        words = {}
        for word in qemu.call("qom-get", path=path, property="feature-words"):
            place = (word["cpuid-input-eax"], word.get("cpuid-input-ecx", 0), word["cpuid-register"].lower())
            by_topology = {(1, 0, "edx"): 1 << 28, (0x80000001, 0, "ecx"): 1 << 1}.get(place, 0)
            words[place] = word["features"] & ~by_topology
        return {"unavailable": qemu.call("qom-get", path=path, property="unavailable-features"),
                "words": " ".join(f"{leaf:08x}.{subleaf:x}.{register}={words[leaf, subleaf, register]:08x}"
                                  for leaf, subleaf, register in sorted(words)),
                "props": {k: props[k] for k in sorted(props) if props[k] != maximum.get(k)}}


def write(path, data):
    """One line per model, so that a difference between two recordings can be read."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("{\n")
        for number, (key, value) in enumerate(data.items()):
            end = ",\n" if number + 1 < len(data) else "\n"
            if key in ("models", "dry_runs", "definitions", "guests") and value:
                opening, closing = ("[", "]") if isinstance(value, list) else ("{", "}")
                lines = ([json.dumps(v) for v in value] if isinstance(value, list)
                         else [f"{json.dumps(k)}: {json.dumps(value[k])}" for k in sorted(value)])
                file.write(f"{json.dumps(key)}: {opening}\n" + ",\n".join(lines) + f"\n{closing}{end}")
            else:
                file.write(f"{json.dumps(key)}: {json.dumps(value)}{end}")
        file.write("}\n")


def record(file, binary, machine, kept, expand, more, guests):
    path = os.path.join(FOLDER, file)
    dry_runs, known_guests = {}, {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as old:
            data = json.load(old)
        dry_runs, known_guests = data.get("dry_runs", {}), data.get("guests", {})
    with Qemu(binary, machine) as qemu:
        version = "{major}.{minor}.{micro}".format(**qemu.version)
        definitions = [d for d in qemu.call("query-cpu-definitions") if kept is None or d["name"] in kept]
        machines = {m["name"]: m for m in qemu.call("query-machines")}
        maximum = qemu.expand("max")
        models = {}
        if expand:
            for definition in definitions:
                name = definition["name"]
                if "alias-of" not in definition and name not in ("max", "host"):
                    props = qemu.expand(name)
                    # Only what differs from max: whole expansions would be 1 MB of repetition.
                    models[name] = {k: props[k] for k in sorted(props) if props[k] != maximum.get(k)}
    if expand:
        for argument in sorted(set(dry_runs) | set(more)):
            dry_runs[argument] = dry_run(binary, machine, argument)
    guests = {argument: guest(binary, machine, argument, maximum) for argument in sorted(set(known_guests) | set(guests))}
    for definition in definitions:
        definition.pop("typename" if expand else None, None)
    data = {"emulator": f"QEMU {version}", "machine": machine, "default_type": machines[machine].get("default-cpu-type"),
            "definitions": definitions, "max": maximum, "models": models, "dry_runs": dry_runs}
    write(path, {**data, "guests": guests} if guests else data)


if __name__ == "__main__":
    wanted = sys.argv[1:]
    only = wanted.pop(0) if wanted and wanted[0].endswith(".json") else None
    for subject in SUBJECTS:
        if subject[1] == SECOND and not os.path.exists(SECOND):
            continue
        if only:
            if subject[0] == only:
                record(*subject, [], wanted)
        elif not wanted or subject[0] == "x86_64.json":
            record(*subject, wanted, [])
