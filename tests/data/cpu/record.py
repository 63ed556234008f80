#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Records what a real QEMU says of CPU models: the input of the unit tests of cpu_driver/.

    record.py            renews every file here from the QEMUs of this machine
    record.py ARGUMENT   also asks x86 what it would filter of this -cpu argument
"""
import json
import os
import subprocess
import sys

FOLDER = os.path.dirname(os.path.abspath(__file__))
SUBJECTS = [
    # file, binary, machine, models kept (None: all), expansions of all versioned models?
    ("x86_64.json", "qemu-system-x86_64", "pc-q35-7.2", None, True),
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


def write(path, data):
    """One line per model, so that a difference between two recordings can be read."""
    with open(path, "w", encoding="utf-8") as file:
        file.write("{\n")
        for number, (key, value) in enumerate(data.items()):
            end = ",\n" if number + 1 < len(data) else "\n"
            if key in ("models", "dry_runs", "definitions") and value:
                opening, closing = ("[", "]") if isinstance(value, list) else ("{", "}")
                lines = ([json.dumps(v) for v in value] if isinstance(value, list)
                         else [f"{json.dumps(k)}: {json.dumps(value[k])}" for k in sorted(value)])
                file.write(f"{json.dumps(key)}: {opening}\n" + ",\n".join(lines) + f"\n{closing}{end}")
            else:
                file.write(f"{json.dumps(key)}: {json.dumps(value)}{end}")
        file.write("}\n")


def record(file, binary, machine, kept, expand, more):
    path = os.path.join(FOLDER, file)
    dry_runs = {}
    if os.path.exists(path):
        with open(path, encoding="utf-8") as old:
            dry_runs = json.load(old).get("dry_runs", {})
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
    for definition in definitions:
        definition.pop("typename" if expand else None, None)
    write(path, {"emulator": f"QEMU {version}", "machine": machine, "default_type": machines[machine].get("default-cpu-type"),
                 "definitions": definitions, "max": maximum, "models": models, "dry_runs": dry_runs})


if __name__ == "__main__":
    for subject in SUBJECTS:
        if len(sys.argv) == 1 or subject[4]:
            record(*subject, sys.argv[1:])
