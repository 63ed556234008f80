#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
invard on QEMUs of other machines, as they were recorded, replayed by the fake QEMU: what clients
are told of their CPUs is what those QEMUs said. And models that no map knows.

What the sessions lack is put in here, each piece with its reason: `Replayed`.
"""
import json
import os
import sys
import xml.etree.ElementTree as trees

import harness
import witness

sys.path.insert(0, os.path.join(harness.TOP_SRCDIR, "tests/fake_qemu"))
import fake_qemu  # noqa: E402

REPLIES = os.path.join(harness.TOP_SRCDIR, "../shared/data/replies")
# Models that stand for no chip: other elements of the capabilities tell of them.
GENERIC = {"max", "host", "base"}

SESSIONS = [
    {"file": "caps_7.2.0_x86_64.replies.xz", "arch": "x86_64", "machine": "pc-q35-7.2"},
    {"file": "caps_10.0.0_x86_64.replies.xz", "arch": "x86_64", "machine": "pc-q35-10.0"},
    {"file": "caps_9.2.0_s390x.replies.xz", "arch": "s390x", "machine": "s390-ccw-virtio-9.2"},
    {"file": "caps_8.2.0_aarch64.replies.xz", "arch": "aarch64", "machine": "virt-8.2"},
    {"file": "caps_7.1.0_ppc64.replies.xz", "arch": "ppc64", "machine": "pseries-7.1"},
]
ROWS = [{**session, "name": f"{session['arch']} {session['machine']} under {'KVM' if virttype == 'kvm' else 'TCG'}", "virttype": virttype}
        for session in SESSIONS for virttype in ("kvm", "qemu")]
X86 = [row for row in ROWS if row["arch"] == "x86_64"]


def each(sessions, what):
    """The rows of a test."""
    return [{**row, "name": f"{row['name']}: {what}"} for row in sessions]


class Replayed(harness.Daemon):
    """An invard that finds one emulator, which replays a session. @change: called with the fake's answers."""

    def __init__(self, row, change=None):
        self.row = row
        recording = os.path.join(REPLIES, row["file"])
        if not os.path.exists(recording):
            raise harness.Skip("the recorded sessions are not at hand")
        if row["virttype"] == "kvm":
            # Whether KVM works here says nothing of the machine that was recorded.
            harness.need_fault_points()
        super().__init__(start=False)
        sessions = fake_qemu.parts(fake_qemu.read_session(recording))
        if row["virttype"] == "qemu":
            sessions.reverse()
        self.pairs = [pair for session in sessions for pair in session]
        types = self.recorded("qom-list-types")
        answers = {
            # libvirt asks for all types at once; a type that is there serves as device here.
            "qom-list-types": [{"arguments": {"implements": "accel"}, "return": [{"name": "tcg-accel"}, {"name": "kvm-accel"}]},
                               {"arguments": {"implements": "device"}, "return": types}],
            # Nobody recorded a stopped guest: this one lacks nothing.
            "query-cpus-fast": {"return": [{"cpu-index": 0, "qom-path": "/machine/unattached/device[0]"}]},
            "qom-get": [{"arguments": {"property": "unavailable-features"}, "return": []}],
        }
        if change:
            change(self, answers)
        self.emulator = self.path("qemu-system-" + row["arch"])
        with open(self.write("fake.json", json.dumps({"session": recording, "answers": answers})), encoding="utf-8") as config:
            self.write("qemu-system-" + row["arch"], f"#!/bin/sh\nexec /usr/bin/python3 -B {fake_qemu.__file__} {config.name} \"$@\"\n")
        os.chmod(self.emulator, 0o755)
        self.env["INVAR_ASSUME_KVM"] = "1"
        try:
            self.start()
        except BaseException:
            self.close()
            raise

    def recorded(self, command, arguments=None):
        """What that QEMU returned to the first such command."""
        for asked, reply in self.pairs:
            if asked.get("execute") == command and arguments in (None, asked.get("arguments", {})):
                return reply["return"]
        raise AssertionError(f"{command} was not recorded")

    def host_props(self):
        """The properties of what stands for the host, from the recording."""
        name = "host" if self.row["virttype"] == "kvm" else "max"
        return self.recorded("query-cpu-model-expansion", {"type": "static", "model": {"name": name}})["model"]["props"]

    def capabilities(self):
        return trees.fromstring(self.invar("domcapabilities", "--virttype", self.row["virttype"], "--emulatorbin", self.emulator,
                                           "--machine", self.row["machine"]).stdout)

    def document(self, cpu):
        return harness.domain_xml("guest", cpu, machine=self.row["machine"], virttype=self.row["virttype"], arch=self.row["arch"],
                                  devices=f"<emulator>{self.emulator}</emulator>")

    def verdicts(self, cpus):
        return self.invar_many(["verdict " + self.write(f"{number}.xml", self.document(cpu)) for number, cpu in enumerate(cpus)])


def tree_map():
    return witness.Map(os.path.join(os.environ.get("INVAR_PKGDATADIR", harness.TOP_SRCDIR), "cpu_map"))


@harness.rows(each(ROWS, "which models are usable is what QEMU said"))
def test_usable(row):
    with Replayed(row) as daemon:
        mode = daemon.capabilities().find("cpu/mode[@name='custom']")
        listed = {model.text: model.get("usable") for model in mode.findall("model")}
        wanted = {definition["name"]: {None: "unknown", True: "no", False: "yes"}[
                      bool(definition["unavailable-features"]) if "unavailable-features" in definition else None]
                  for definition in daemon.recorded("query-cpu-definitions")}
        assert len(wanted) >= 20
        assert listed == {name: usable for name, usable in wanted.items() if name not in GENERIC}, (
            {name: (listed.get(name), usable) for name, usable in wanted.items() if listed.get(name) != usable})


@harness.rows(each(X86, "a verdict on each model drops exactly what QEMU called unavailable"))
def test_verdicts(row):
    with Replayed(row) as daemon:
        bits = tree_map()
        definitions = [one for one in daemon.recorded("query-cpu-definitions") if one["name"] not in GENERIC]
        verdicts = daemon.verdicts([harness.relaxed(definition["name"]) for definition in definitions])
        for definition, verdict in zip(definitions, verdicts):
            unavailable = {bits.name(name) for name in definition["unavailable-features"]} - {"ht", "cmp_legacy"}
            assert {blocker["feature"] for blocker in verdict["blockers"]} == unavailable, (definition, verdict)
            assert verdict["outcome"] == ("drops" if unavailable else "exact"), (definition, verdict)
            assert verdict["model"] == definition.get("alias-of", definition["name"]), (definition, verdict)


def with_models(daemon, answers):
    """The sessions hold no expansion of any named model: those of another QEMU serve, QEMU 7.2 under TCG."""
    with open(os.path.join(harness.TOP_SRCDIR, "tests/data/cpu/x86_64.json"), encoding="utf-8") as file:
        data = json.load(file)
    # All models of a QEMU have the same properties: those that QEMU 7.2 has not are false.
    later = {name: False for name, value in daemon.host_props().items() if isinstance(value, bool)}
    answers["query-cpu-model-expansion"] = [
        {"arguments": {"type": "full", "model": {"name": name}},
         "return": {"model": {"name": name, "props": {**later, **data["max"], **changes}}}}
        for name, changes in data["models"].items()]
    answers["query-cpu-definitions"] = {"return": [one for one in daemon.recorded("query-cpu-definitions") if one["name"] in
                                                   set(data["models"]) | {"host", "max"}]}


def expand(daemon, bits, answers, cpu):
    """The features with a bit that a <cpu> with a named model means, by that model's expansion."""
    name = cpu.findtext("model")
    for answer in answers["query-cpu-model-expansion"]:
        if answer["arguments"]["model"]["name"] == name:
            found = bits.true_of(answer["return"]["model"]["props"])
    for feature in cpu.findall("feature"):
        (found.add if feature.get("policy") == "require" else found.discard)(feature.get("name"))
    return found


@harness.rows(each(X86, "host-model, expanded by QEMU's own models, is what the host has"))
def test_host_model(row):
    kept = {}

    def change(daemon, answers):
        with_models(daemon, answers)
        kept.update(answers)
    with Replayed(row, change) as daemon:
        bits = tree_map()
        model = daemon.capabilities().find("cpu/mode[@name='host-model']")
        assert model.get("supported") == "yes"
        wanted = bits.true_of(daemon.host_props()) | {
            bits.name(name) for name, value in daemon.host_props().items() if value is True and bits.name(name) in bits.msrs}
        got = expand(daemon, bits, kept, model)
        msrs = {name for name in got if name in bits.msrs}
        # What cannot migrate is no part of a host-model; what follows the topology is of no CPU.
        aside = {"ht", "cmp_legacy", "invtsc"} | set(bits.msrs)
        assert got - aside == wanted - aside, (sorted(got - wanted - aside), sorted(wanted - got - aside))
        assert msrs <= wanted, sorted(msrs - wanted)


INVENTED = "Invented-Lake"


def invent(daemon, answers):
    """Three models that no map knows: the host itself, one that lacks something here, and the alias of the first."""
    with_models(daemon, answers)
    props = {**daemon.host_props(), "invented-feature": True}
    rich = {**props, "invented-beyond": True}
    host = "host" if daemon.row["virttype"] == "kvm" else "max"
    for name, own in ((host, {**props, "invented-beyond": False}), (INVENTED + "-v1", props), (INVENTED + "-v2", rich)):
        answers["query-cpu-model-expansion"].insert(0, {"arguments": {"type": "full", "model": {"name": name}},
                                                        "return": {"model": {"name": name, "props": own}}})
    answers["query-cpu-definitions"]["return"] += [
        {"name": name, "typename": name + "-x86_64-cpu", "static": False, "migration-safe": True, "deprecated": False,
         "unavailable-features": missing, **alias}
        for name, missing, alias in ((INVENTED, [], {"alias-of": INVENTED + "-v1"}), (INVENTED + "-v1", [], {}),
                                     (INVENTED + "-v2", ["invented-beyond"], {}))]


@harness.rows(each(X86, "a model that only this QEMU knows is usable at once, by this QEMU's own expansion"))
def test_invented(row):
    with Replayed(row, invent) as daemon:
        capabilities = daemon.capabilities()
        models = {model.text: model for model in capabilities.findall("cpu/mode[@name='custom']/model")}
        usable = {name: models[name].get("usable") for name in models if name.startswith(INVENTED)}
        assert usable == {INVENTED: "yes", INVENTED + "-v1": "yes", INVENTED + "-v2": "no"}, usable
        assert models[INVENTED].get("vendor") == "AMD", trees.tostring(models[INVENTED])
        # No other is as near to the host: so it is what host-model stands for.
        host_model = capabilities.find("cpu/mode[@name='host-model']")
        assert host_model.findtext("model") in (INVENTED, INVENTED + "-v1"), trees.tostring(host_model)
        assert not host_model.findall("feature"), trees.tostring(host_model)

        plain, poorer, without = daemon.verdicts([harness.relaxed(INVENTED), harness.relaxed(INVENTED + "-v2"),
                                                  harness.relaxed(INVENTED, "disable:invented-feature disable:aes")])
        assert (plain["outcome"], plain["model"], plain["argument"]) == ("exact", INVENTED + "-v1", INVENTED + "-v1"), plain
        assert poorer["outcome"] == "drops" and [one["feature"] for one in poorer["blockers"]] == ["invented-beyond"], poorer
        assert without["argument"] == INVENTED + "-v1,aes=off,invented-feature=off", without
        daemon.invar("define", daemon.write("guest.xml", daemon.document(harness.relaxed(INVENTED))))
        assert INVENTED in daemon.invar("dumpxml", "guest").stdout
        explained = daemon.invar_json("cpu-explain", "invented-feature", "--emulator", daemon.emulator, "--machine", row["machine"],
                                      "--virttype", row["virttype"])
        host = "host" if row["virttype"] == "kvm" else "max"
        assert sorted(explained["emulator_models"]) == sorted([INVENTED + "-v1", INVENTED + "-v2", host]), explained
        refused = daemon.invar("define", daemon.write("guest.xml", daemon.document(harness.relaxed("Invented-Lace"))), check=False)
        assert refused.returncode == 1 and INVENTED in refused.stderr, refused


if __name__ == "__main__":
    harness.main()
