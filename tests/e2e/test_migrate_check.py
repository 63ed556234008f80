#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Where a domain can move: a daemon that is asked and a description of its host say the same, and say why."""
import json
import os
import pty
import random
import re
import shutil
import subprocess

import harness
import two_qemus
import migration
from host_files import HostFile, line

MACHINE = two_qemus.MACHINE


def start(daemon, name, cpu="", machine=MACHINE, **more):
    """A domain that has a record; its guest does nothing."""
    more.setdefault("memory", "64")
    document = harness.domain_xml(name, cpu=cpu, machine=machine, **more)
    daemon.invar("define", daemon.write(name + ".xml", document))
    daemon.invar("start", name, "--paused")


def drop(daemon, name):
    daemon.invar("destroy", name)
    daemon.invar("undefine", name)


def check(daemon, *words, status=None):
    """The answer to migrate-check as JSON; @status: what it must end with."""
    result = daemon.invar("--json", "migrate-check", *words, check=False)
    assert status is None or result.returncode == status, (result.returncode, result.stdout, result.stderr)
    return json.loads(result.stdout)


def only(answer):
    """The one check of one host."""
    (host,) = answer["hosts"]
    (found,) = host["checks"]
    return found


def blockers(found):
    return {blocker["feature"]: blocker["layer"] for blocker in found["blockers"]}


def export(daemon, name, *words):
    path = daemon.path(name)
    daemon.invar("host-export", "--output", path, *words, timeout=200)
    return path


def exported_host(daemon):
    """A HostFile of the shared daemon, made once."""
    if not hasattr(daemon, "exported"):
        with open(export(daemon, "host.json"), "rb") as file:
            daemon.exported = file.read()
    host = HostFile(daemon.exported)
    # Another host, which is as this one.
    host.head["uuid"] = "99999999-0000-4000-8000-000000000000"
    return host


def write_host(daemon, name, host):
    path = daemon.path(name)
    with open(path, "wb") as file:
        file.write(host if isinstance(host, bytes) else host.data())
    return path


# What is there.

def test_exported_host(daemon):
    """An export names the host, its emulators, their machine types, and has the tables that were asked for"""
    host = HostFile(daemon.invar("host-export", "--emulator", two_qemus.first(), "--machine", "pc-q35-6.0,isapc").stdout.encode())
    assert host.head["hostname"] == os.uname().nodename, host.head["hostname"]
    assert host.head["memory-total"] > host.head["memory-available"] > 0, host.head
    (emulator,) = host.head["emulators"]
    assert emulator["path"] == two_qemus.first() and emulator["usual"], emulator
    offset, length = emulator["machines"]
    machines = [json.loads(text) for text in host.body[offset:offset + length].splitlines()]
    with_table = {machine["machine"] for machine in machines if "tcg" in machine}
    assert {"pc-q35-6.0", "isapc"} <= with_table, with_table
    assert len(with_table) < len(machines), "every machine type was asked"
    assert next(machine for machine in machines if machine.get("alias") == "q35")["machine"] in with_table
    refused = daemon.invar("host-export", "--emulator", two_qemus.first(), "--machine", "pc-q35-1.2", check=False)
    assert refused.returncode == 1 and "pc-q35-1.2" in refused.stderr, refused.stderr


def test_not_to_itself(daemon):
    """The host that the domain is on is no destination, and a shut-off domain can go offline"""
    start(daemon, "stays", harness.relaxed("Nehalem"))
    for destination in (daemon.uri, export(daemon, "self.json")):
        found = only(check(daemon, "stays", destination, status=4))
        assert found["outcome"] == "cannot" and blockers(found) == {"host": "configuration"}, found
    daemon.invar("destroy", "stays")
    assert "host" in blockers(only(check(daemon, "stays", daemon.uri, status=4)))
    found = only(check(daemon, "stays", write_host(daemon, "stays.json", exported_host(daemon)), status=0))
    assert found["outcome"] == "with" and found["arguments"] == ["--offline", "--persistent"], found
    daemon.invar("undefine", "stays")


SAME = [("Nehalem", ""), ("Skylake-Client", ""), ("Haswell-noTSX", "disable:xsave"), ("EPYC", "require:svm"), ("qemu64", "require:ssse3"),
        ("Snowridge", ""), ("max", ""), ("Opteron_G3", ""), ("Conroe", "disable:lahf_lm optional:vmx"), ("kvm64", ""), (None, "")]
KINDS = SAME + [("mode:host-model", ""), ("mode:maximum", "")]


def cpu_of(model, features):
    if not model:
        return ""
    if model.startswith("mode:"):
        return f"<cpu mode='{model[5:]}'/>"
    return harness.relaxed(model, features)


def name_of(model):
    return "vm-" + re.sub("[^a-z0-9]", "-", (model or "default").lower())


def compare_online_and_offline(source, destination, tag):
    """Every kind of CPU, started at @source: asked of @destination, and of its export, it is the same verdict."""
    path = destination.path("same.json")
    seen = {}
    for model, features in KINDS:
        start(source, name_of(model), cpu_of(model, features))
    if not os.path.exists(path):
        export(destination, "same.json", "--machine", MACHINE)
    for model, _ in KINDS:
        domain = name_of(model)
        if tag != "same":
            # The path of the emulator is another host's: the same is found here under another.
            text = source.invar("domain-export", domain).stdout
            domain = source.write("moved.json", re.sub("<emulator>.*?</emulator>", "", text))
        online, offline = check(source, domain, destination.uri, path)["hosts"]
        online, offline = online["checks"][0], offline["checks"][0]
        for member in ("outcome", "blockers", "model", "machine", "argument", "emulator_version"):
            assert online[member] == offline[member], (tag, model, member, online, offline)
        seen[model] = offline
        drop(source, name_of(model))
    return seen


def test_same_qemu():
    """Two daemons with one QEMU: every domain can move, and the export says so too"""
    two_qemus.first()
    with migration.Pair() as pair:
        seen = compare_online_and_offline(pair.source, pair.destination, "same")
        assert all(found["outcome"] == "can" for found in seen.values()), seen


def daemon_of(emulator):
    """A daemon of another host, that has this QEMU alone."""
    return harness.Daemon(config=migration.Pair.config(f"[emulators]\nfolders=/nonexistent\nbinaries={emulator}\n"))


def test_to_newer_qemu():
    """To a newer QEMU: the same verdict asked and exported; named models keep their CPU there"""
    first, second = two_qemus.both()
    with daemon_of(first) as source, daemon_of(second) as destination:
        seen = compare_online_and_offline(source, destination, "newer")
        assert {found["emulator_version"].split(".")[0] for found in seen.values()} != {"7"}, seen
        for model in ("Nehalem", "Skylake-Client", "EPYC", "qemu64", "kvm64", "Opteron_G3"):
            assert seen[model]["outcome"] == "can", (model, seen[model])


def test_to_older_qemu():
    """To an older QEMU: the same verdict asked and exported; what that lacks is refused by name"""
    first, second = two_qemus.both()
    with daemon_of(second) as source, daemon_of(first) as destination:
        seen = compare_online_and_offline(source, destination, "older")
        assert seen["Skylake-Client"]["outcome"] == "cannot", seen["Skylake-Client"]
        assert {"rdseed", "3dnowprefetch"} <= set(blockers(seen["Skylake-Client"])), seen["Skylake-Client"]
        assert "x2apic" in blockers(seen["max"]), seen["max"]
        for found in seen["Skylake-Client"]["blockers"]:
            assert found["reason"] and found["remedy"], found
        assert seen["qemu64"]["outcome"] == "can", seen["qemu64"]


@harness.rows([{"name": f"{model}, to a{'n older' if older else ' newer'} QEMU: what is said is what a migration comes to",
                "model": model, "older": older}
               for model in ("Skylake-Client", "Nehalem", "EPYC", "max") for older in (False, True)])
def test_migration_agrees(row):
    one, other = two_qemus.both() if not row["older"] else reversed(two_qemus.both())
    emulators = f"[emulators]\nfolders=/nonexistent\nbinaries={one}:{other}\n"
    with migration.Pair(emulators, emulators) as pair:
        document = two_qemus.of(one, pair.source.witness_xml("guest", harness.relaxed(row["model"]), MACHINE))
        pair.source.invar("define", pair.source.write("guest.xml", document))
        pair.source.invar("start", "guest")
        before = pair.source.cpuid("guest")
        domain = pair.source.write("guest.json", pair.source.invar("domain-export", "guest").stdout.replace(one, other))
        said = only(check(pair.source, domain, pair.destination.uri))
        with open(pair.destination_xml("guest", lambda text: two_qemus.of(other, text)), encoding="utf-8") as file:
            xml = file.name
        done = pair.source.virsh("migrate", "guest", pair.destination.uri, "--live", "--migrateuri", "tcp:127.0.0.1", "--xml", xml, check=False)
        assert (said["outcome"] == "can") == (done.returncode == 0), (said, done.stderr)
        if done.returncode:
            assert blockers(said) and all(feature in done.stderr for feature in blockers(said)), (blockers(said), done.stderr)
            pair.check_stayed("guest", before)
        else:
            assert not two_qemus.changed(before, pair.destination.cpuid("guest"))


# What a host lacks.

def lacks_feature(host, emulator):
    host.take_away(emulator, MACHINE, "aes")


def lacks_model(host, emulator):
    host.edit_table(emulator, MACHINE, lambda value: value.update(model=value.get("model", "").replace("Westmere", "Eastmere")))


def lacks_machine(host, emulator):
    emulator["machines"] = host.put([value for value in host.machines(emulator) if value["machine"] != MACHINE])


def lacks_table(host, emulator):
    emulator["machines"] = host.put([{name: member for name, member in value.items() if name != "tcg" or value["machine"] != MACHINE}
                                     for value in host.machines(emulator)])


def lacks_device(host, emulator):
    offset, length = emulator["devices"]
    devices = json.loads(host.body[offset:offset + length])["devices"]
    emulator["devices"] = host.put([{"devices": devices.replace(" virtio-rng-pci ", " ")}])


def few_vcpus(host, emulator):
    emulator["machines"] = host.put([dict(value, **{"max-vcpus": 1}) for value in host.machines(emulator)])


LACKING = [
    {"name": "nothing: it can", "change": lambda host, emulator: None, "refused": {}},
    {"name": "a feature of the guest", "change": lacks_feature, "refused": {"aes": "QEMU"}, "says": "does not emulate|TCG"},
    {"name": "its model", "change": lacks_model, "refused": {"model": "QEMU"}, "says": "Westmere"},
    {"name": "its machine type", "change": lacks_machine, "refused": {"machine": "machine type"}, "says": MACHINE},
    {"name": "the table of its machine type", "change": lacks_table, "refused": {"model": "QEMU"}, "says": "exported without"},
    {"name": "a device", "change": lacks_device, "refused": {"device virtio-rng-pci": "QEMU"}, "says": "virtio-rng-pci"},
    {"name": "vCPUs", "change": few_vcpus, "refused": {"vcpu": "machine type"}, "says": "at most 1"},
    {"name": "TCG", "change": lambda host, emulator: emulator.update(tcg="built without TCG"), "refused": {"accelerator": "kernel"},
     "says": "built without TCG"},
    {"name": "an emulator for the architecture", "change": lambda host, emulator: emulator.update(arch="m68k"),
     "refused": {"emulator": "QEMU"}, "says": "no emulator .* for x86_64"},
    {"name": "memory", "change": lambda host, emulator: host.head.update({"memory-total": 1 << 25}), "refused": {"memory": "hardware"},
     "says": "32 MiB in all"},
    {"name": "free memory", "change": lambda host, emulator: host.head.update({"memory-available": 1 << 25}),
     "refused": {"memory": "hardware"}, "says": "when it was exported"},
]


@harness.rows([dict(row, name=f"A host that lacks {row['name']}") for row in LACKING])
def test_lacking(daemon, row):
    rng = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
    document = harness.domain_xml("guest", harness.relaxed("Westmere"), MACHINE, devices=rng).replace("<vcpu>1<", "<vcpu>2<")
    daemon.invar("define", daemon.write("guest.xml", document))
    daemon.invar("start", "guest", "--paused")
    host = exported_host(daemon)
    row["change"](host, next(emulator for emulator in host.head["emulators"] if emulator.get("usual")))
    found = only(check(daemon, "guest", write_host(daemon, "lacking.json", host), status=4 if row["refused"] else 0))
    assert blockers(found) == row["refused"], found
    assert not row["refused"] or re.search(row["says"], found["blockers"][0]["reason"]), found
    assert all(blocker["remedy"] for blocker in found["blockers"]), found


def test_disks(daemon):
    """A disk that is not there must be copied along, what cannot be copied refuses, and an export cannot know"""
    disk, medium = daemon.path("disk.img"), daemon.path("medium.iso")
    for path in (disk, medium):
        with open(path, "wb") as file:
            file.truncate(1 << 20)
    devices = (f"<disk type='file' device='disk'><source file='{disk}'/><target dev='vda' bus='virtio'/></disk>"
               f"<disk type='file' device='cdrom'><source file='{medium}'/><target dev='sda' bus='sata'/><readonly/></disk>")
    start(daemon, "disks", devices=devices)
    path = daemon.path("disks.json")
    with open(path, "w", encoding="utf-8") as file:
        json.dump(dict(json.loads(daemon.invar("domain-export", "disks").stdout), **{"host-uuid": None}), file)
    daemon.invar("destroy", "disks")
    daemon.invar("undefine", "disks")
    assert only(check(daemon, path, daemon.uri, status=0))["outcome"] == "can"
    os.unlink(disk)
    found = only(check(daemon, path, daemon.uri, status=0))
    assert found["outcome"] == "with" and found["arguments"] == ["--copy-storage-all"], found
    os.unlink(medium)
    found = only(check(daemon, path, daemon.uri, status=4))
    assert blockers(found) == {"disk sda": "configuration"}, found
    found = only(check(daemon, path, write_host(daemon, "disks-host.json", exported_host(daemon)), status=0))
    assert found["outcome"] == "can" and sum("was not looked at" in note for note in found["notes"]) == 2, found


# Each changes the disk's file and the medium's as the destination has them; says what migrate-check answers, and what Prepare names.
FILES = [
    {"name": "the same files", "change": lambda disk, medium: None, "outcome": "can"},
    {"name": "a copy of the disk", "change": lambda disk, medium: copied(disk), "outcome": "with", "names": ["disk sda", "another file", "--copy-storage-all"]},
    {"name": "no disk", "change": lambda disk, medium: disk + ".none", "outcome": "with", "names": ["disk sda", "not there", "--copy-storage-all"]},
    {"name": "a copy of the medium", "change": lambda disk, medium: copied(medium), "outcome": "can"},
    {"name": "another medium of the same size", "change": lambda disk, medium: copied(medium, b"other"), "outcome": "cannot",
     "names": ["disk sdb", "another file", "eject"]},
    {"name": "no medium", "change": lambda disk, medium: medium + ".none", "outcome": "cannot", "names": ["disk sdb", "not there", "eject"]},
]


def copied(path, begins=b""):
    """Another file with the same bytes, but the first ones."""
    shutil.copyfile(path, path + ".copy")
    with open(path + ".copy", "r+b") as file:
        file.write(begins)
    return path + ".copy"


@harness.rows([dict(row, name=f"The destination has {row['name']}: Prepare decides as the check does") for row in FILES])
def test_files_agree(row):
    two_qemus.first()
    with migration.Pair(migration.ONE_EMULATOR, migration.ONE_EMULATOR) as pair:
        source = pair.source
        medium = source.write("medium.iso", "a medium" * 20000)
        before = pair.start("guest", cpu=harness.relaxed("Nehalem"), machine=MACHINE,
                            devices=f"<disk type='file' device='cdrom'><source file='{medium}'/><target dev='sdb' bus='sata'/><readonly/></disk>")
        disk = re.search("<source file='(.*?)'/>\\s*<target dev='sda'", source.virsh("dumpxml", "guest").stdout).group(1)
        there = row["change"](disk, medium)

        def of_destination(text):
            return text.replace(there.rsplit(".", 1)[0], there) if there else text

        exported = json.loads(source.invar("domain-export", "guest").stdout)
        exported["xml"] = of_destination(exported["xml"])
        said = only(check(source, source.write("guest.json", json.dumps(exported)), pair.destination.uri))
        assert said["outcome"] == row["outcome"], said
        arguments = ["migrate", "guest", pair.destination.uri, "--live", "--migrateuri", "tcp:127.0.0.1", "--xml",
                     pair.destination_xml("guest", of_destination)]
        done = source.virsh(*arguments, check=False)
        assert (done.returncode == 0) == (row["outcome"] == "can"), (said, done.stderr)
        if done.returncode:
            assert all(name in done.stderr for name in row["names"]), done.stderr
            pair.check_stayed("guest", before)
            # What is missing cannot be overridden, what is another one can; and a disk can be copied.
            if not there.endswith(".none"):
                source.virsh(*arguments, "--unsafe")
            elif row["outcome"] == "with":
                source.virsh(*arguments, "--copy-storage-all")
            else:
                return
        pair.check_moved("guest", before)


def test_name_taken():
    """Another domain with the name asks for --dname; a stranger with the uuid refuses"""
    two_qemus.first()
    with migration.Pair() as pair:
        source, destination = pair.source, pair.destination
        start(source, "wanted", uuid="11111111-2222-4333-8444-555555555555")
        destination.invar("define", destination.write("x.xml", harness.domain_xml("wanted")))
        found = only(check(source, "wanted", destination.uri, status=0))
        assert found["outcome"] == "with" and found["arguments"] == ["--dname NAME"], found
        destination.reset()
        destination.invar("define", destination.write("x.xml", harness.domain_xml("other", uuid="11111111-2222-4333-8444-555555555555")))
        found = only(check(source, "wanted", destination.uri, status=4))
        assert blockers(found) == {"domain": "configuration"} and "other" in found["blockers"][0]["reason"], found


# Many.

def test_fleet(daemon):
    """A folder of hosts: a table within the terminal's width, coloured there and only there, and --all as a matrix"""
    start(daemon, "one", harness.relaxed("Westmere"))
    start(daemon, "two", harness.relaxed("kvm64"))
    folder = daemon.path("fleet")
    os.makedirs(folder, exist_ok=True)
    for number in range(5):
        host = exported_host(daemon)
        host.head["hostname"] = f"host-{number}-with-a-very-long-name.of.some.department.example.org"
        if number >= 3:
            host.take_away(host.head["emulators"][0], MACHINE, "aes")
        with open(f"{folder}/{number}.json", "wb") as file:
            file.write(host.data())
    result = daemon.invar("migrate-check", "one", folder, check=False)
    assert result.returncode == 4, (result.returncode, result.stderr)
    assert "3 can, 0 can with arguments, 2 cannot" in result.stdout, result.stdout
    assert result.stdout.count("feature:    aes") == 1, result.stdout
    assert "\033" not in result.stdout and max(map(len, result.stdout.splitlines())) <= 80, result.stdout
    matrix = daemon.invar("migrate-check", "--all", folder, check=False).stdout
    assert re.search(r"Host +one +two\n", matrix), matrix
    assert len(re.findall(r"cannot +can\n", matrix)) == 2 and len(re.findall(r"can +can\n", matrix)) == 3, matrix
    for words, coloured in (((), True), (("--no-color",), False)):
        shown = on_terminal(daemon, *words, "migrate-check", "one", folder)
        assert ("\033[31mcannot\033[0m" in shown) == coloured and "cannot" in shown, shown
    daemon.reset()


def on_terminal(daemon, *words):
    """What a terminal would show."""
    ours, theirs = pty.openpty()
    environment = {name: value for name, value in daemon.env.items() if name != "NO_COLOR"}
    environment["TERM"] = "xterm-256color"
    with subprocess.Popen([harness.find_binary("invar"), *words], stdin=subprocess.DEVNULL, stdout=theirs, stderr=subprocess.DEVNULL,
                          env=environment) as process:
        os.close(theirs)
        text = b""
        try:
            while True:
                part = os.read(ours, 65536)
                if not part:
                    break
                text += part
        except OSError:
            pass
        process.wait(20)
    os.close(ours)
    return text.decode()


# Files that are none.

def flipped(data, at):
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def broken_files(host):
    """(name, bytes, what the error says)"""
    data = host.data()
    head = len(line(host.head))
    emulator = next(emulator for emulator in host.head["emulators"] if emulator.get("usual"))
    table, _ = host.table(emulator, MACHINE)
    model = host.body.index(b'{"model":"Westmere-v1"', table)
    beyond = HostFile(data)
    next(emulator for emulator in beyond.head["emulators"] if emulator.get("usual"))["machines"] = [1 << 62, 100]
    huge = HostFile(data)
    next(emulator for emulator in huge.head["emulators"] if emulator.get("usual"))["machines"] = [0, 1 << 40]
    newer = HostFile(data)
    newer.head["invar-host"] = 2
    return [
        ("empty", b"", "no description of a host"),
        ("text", b"hello\n", "no description of a host"),
        ("binary", bytes(range(256)) * 100, "no description of a host"),
        ("xml", b"<domain/>", "no description of a host"),
        ("one line without an end", b'{"invar-host":1' + b" " * 3000000, "first line does not end"),
        ("cut in the first line", data[:head // 2], "first line does not end"),
        ("cut in the table", data[:head + model + 50], "it ends here"),
        ("cut before the features", data[:head + host.head["names"][0] + 10], "it ends here"),
        ("a bit in the first line", flipped(data, 30), "sum"),
        ("a bit in the model's line", flipped(data, head + model + 60), "sum"),
        ("a bit in the features", flipped(data, head + host.head["names"][0] + 40), "sum"),
        ("a bit in the devices", flipped(data, head + emulator["devices"][0] + 40), "sum"),
        ("a newer version", newer.data(), "of version 2"),
        ("a place beyond the file", beyond.data(), "it ends here"),
        ("a place larger than all memory", huge.data(), "leads nowhere"),
    ]


def test_broken_files(daemon):
    """Damaged, cut and foreign files each have their error, which names the file, and spoil no other"""
    start(daemon, "guest", harness.relaxed("Westmere"))
    host = exported_host(daemon)
    broken = broken_files(host)
    folder = daemon.path("broken")
    os.makedirs(folder)
    for number, (_, data, _) in enumerate(broken):
        with open(f"{folder}/{number:02d}.json", "wb") as file:
            file.write(data)
    with open(f"{folder}/good.json", "wb") as file:
        file.write(host.data())
    os.mkfifo(f"{folder}/pipe")
    answer = check(daemon, "guest", folder, "/nonexistent/x.json", "qemu+unix:///session?socket=/nonexistent/sock", "qemu+foo://x/system", status=1)
    found = {item["destination"]: item["checks"][0] for item in answer["hosts"]}
    assert found[f"{folder}/good.json"]["outcome"] == "can", found
    for number, (name, _, says) in enumerate(broken):
        item = found[f"{folder}/{number:02d}.json"]
        assert item["outcome"] == "unknown" and says in item["error"] and f"{number:02d}.json" in item["error"], (name, item)
    assert "neither a file" in found[f"{folder}/pipe"]["error"], found
    assert "x.json" in found["/nonexistent/x.json"]["error"]
    assert "/nonexistent/sock" in found["qemu+unix:///session?socket=/nonexistent/sock"]["error"]
    assert "qemu+foo" in found["qemu+foo://x/system"]["error"]


def test_random_damage(daemon):
    """A file with bytes changed anywhere says the truth or that it is damaged, never another verdict"""
    start(daemon, "guest", harness.relaxed("Westmere"))
    data = exported_host(daemon).data()
    chance = random.Random(5)
    folder = daemon.path("random")
    os.makedirs(folder)
    for number in range(200):
        wrong = bytearray(data)
        for _ in range(chance.choice((1, 2, 50, 5000))):
            wrong[chance.randrange(len(wrong))] = chance.randrange(256)
        with open(f"{folder}/{number:03d}", "wb") as file:
            file.write(wrong)
    answer = check(daemon, "guest", folder, status=1)
    assert len(answer["hosts"]) == 200
    outcomes = {host["checks"][0]["outcome"] for host in answer["hosts"]}
    assert outcomes <= {"can", "unknown"}, [host for host in answer["hosts"] if host["checks"][0]["outcome"] == "cannot"]


def test_hostile_domain(daemon):
    """What is no domain, or claims a record that is none, has its error at the client and from the daemon"""
    host = write_host(daemon, "h.json", exported_host(daemon))
    start(daemon, "guest", harness.relaxed("Westmere"))
    good = json.loads(daemon.invar("domain-export", "guest").stdout)
    record = dict(good["record"], on=good["record"]["on"] + ["zzz"])
    for text, says in (("{}", "no domain"), ("[]", "no domain"), ("{", "file '"), ("", "no domain in it"), ("<domain>", "file|XML|line"),
                       (json.dumps(dict(good, record=record)), "fingerprint"), (json.dumps(dict(good, xml="<domain/>")), "name|type"),
                       (json.dumps(dict(good, devices=["a"] * 5000)), "not believed"), (json.dumps(dict(good, **{"invar-domain": 2})), "no domain")):
        result = daemon.invar("migrate-check", daemon.write("bad.json", text), host, check=False)
        assert result.returncode == 1 and re.search(says, result.stderr), (text[:80], result.stderr)
    bare = daemon.write("bare.xml", harness.domain_xml("bare", harness.relaxed("Westmere"), MACHINE))
    found = only(check(daemon, bare, host, status=0))
    assert found["outcome"] == "with" and any("not known" in note for note in found["notes"]), found


if __name__ == "__main__":
    harness.main()
