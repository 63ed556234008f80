#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every call of libvirt's clients about CPUs, with all flags: virsh and python3-libvirt, and the streamed baseline on the raw socket."""
import itertools
import os
import shutil
import socket
import struct
import subprocess
import xml.etree.ElementTree as trees

import harness
import test_malformed_rpc as wire

SCHEMAS = "/usr/share/libvirt/schemas"
BASELINE_OPEN, BASELINE_ADD, BASELINE_RESULT, BASELINE_CLOSE = 11, 12, 13, 14
INCOMPATIBLE, IDENTICAL, SUPERSET = 0, 1, 2

MACHINES = [
    {"name": "x86_64 q35", "arch": "x86_64", "machine": "q35"},
    {"name": "x86_64 i440fx", "arch": "x86_64", "machine": "pc"},
    {"name": "x86_64 microvm", "arch": "x86_64", "machine": "microvm"},
    {"name": "s390x", "arch": "s390x", "machine": "s390-ccw-virtio"},
    {"name": "aarch64", "arch": "aarch64", "machine": "virt"},
    {"name": "ppc64", "arch": "ppc64", "machine": "pseries"},
    {"name": "riscv64", "arch": "riscv64", "machine": "virt"},
]
# Two documents of each, for a baseline. None: QEMU has no answer, and Invar no dictionary.
DOCUMENTS = {
    "x86_64": (harness.cpu_xml("Nehalem", None, "require:aes"), harness.cpu_xml("Westmere", None, "disable:pclmuldq")),
    "s390x": (harness.cpu_xml("z13", None), harness.cpu_xml("z14", None, "disable:gs")),
    "aarch64": None, "ppc64": None, "riscv64": None,
}


def need_emulator(arch):
    if not shutil.which("qemu-system-" + arch):
        raise harness.Skip(f"qemu-system-{arch} is not installed")


def need_validator():
    if not shutil.which("virt-xml-validate") or not os.path.isdir(SCHEMAS):
        raise harness.Skip("virt-xml-validate and libvirt's schemas are not installed")


def assert_valid(daemon, text, schema):
    """By libvirt's own schema and with its own tool."""
    path = daemon.write("document.xml", text)
    result = daemon.run("virt-xml-validate", path, schema, check=False)
    assert result.returncode == 0, f"{result.stdout}{result.stderr}\n{text}"


def emulator_answer(row, arguments, command, **question):
    """What a QEMU without any daemon says."""
    ours, theirs = socket.socketpair()
    process = subprocess.Popen(["qemu-system-" + row["arch"], "-S", "-nodefaults", "-no-user-config", "-display", "none", *arguments,
                                "-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"],
                               pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        theirs.close()
        ours.settimeout(20)
        with ours, ours.makefile("rw") as qmp:
            qmp.readline()
            harness.ask(qmp, "qmp_capabilities")
            return harness.ask(qmp, command, **question)
    finally:
        process.kill()
        process.wait()


@harness.rows(MACHINES)
def test_schemas(daemon, row):
    """What is answered follows libvirt's schemas"""
    need_emulator(row["arch"])
    need_validator()
    connection = daemon.connect()
    try:
        text = connection.getDomainCapabilities(None, row["arch"], row["machine"], "qemu")
        assert_valid(daemon, text, "domaincaps")
        assert daemon.virsh("domcapabilities", "--arch", row["arch"], "--machine", row["machine"], "--virttype", "qemu").stdout.strip() \
            == text.strip()
        documents = DOCUMENTS[row["arch"]]
        if documents is None:
            for call in (lambda: connection.baselineHypervisorCPU(None, row["arch"], row["machine"], "qemu", ["<cpu mode='maximum'/>"]),
                         lambda: connection.compareHypervisorCPU(None, row["arch"], row["machine"], "qemu", "<cpu mode='maximum'/>")):
                harness.expect_error(call, code="VIR_ERR_NO_SUPPORT", words=[f"not supported by the {row['arch']} CPU driver"])
            return
        for flags in range(4):
            cpu = connection.baselineHypervisorCPU(None, row["arch"], row["machine"], "qemu", list(documents), flags)
            assert_valid(daemon, cpu, "cpu")
            # What is common to both is had by each.
            other = connection.baselineHypervisorCPU(None, row["arch"], row["machine"], "qemu", [*reversed(documents), cpu], flags)
            assert other == cpu, f"{cpu}\n{other}"
    finally:
        connection.close()


def test_capabilities(daemon):
    """The host's capabilities follow libvirt's schema, and its CPU is identical to itself"""
    need_validator()
    connection = daemon.connect()
    try:
        text = connection.getCapabilities()
        root = trees.fromstring(text)
        cpu = root.find("host/cpu")
        # Schemas of libvirt 9 forget the dot in the features of a host's CPU, where libvirt itself writes sse4.1.
        dotted = [feature for feature in cpu.findall("feature") if "." in feature.get("name")]
        for feature in dotted:
            cpu.remove(feature)
        assert_valid(daemon, trees.tostring(root, encoding="unicode"), "capability")
        cpu.extend(dotted)
        if cpu.find("model") is None:
            raise harness.Skip("no QEMU of this host has a model that fits its CPU")
        document = trees.tostring(cpu, encoding="unicode")
        assert connection.compareCPU(document, 0) == IDENTICAL
        assert connection.compareCPU(document, 0) == IDENTICAL, "the second answer, from memory, is another one"
        # virsh takes the <cpu> out of the whole document.
        assert "identical" in daemon.virsh("cpu-compare", daemon.write("caps.xml", text)).stdout
        assert "identical" in daemon.virsh("cpu-compare", "--error", "--validate", daemon.write("cpu.xml", document)).stdout
        assert_valid(daemon, connection.baselineCPU([document, document], 0), "cpu")
    finally:
        connection.close()


COMPARISONS = [
    {"name": "a part of what TCG gives", "cpu": harness.cpu_xml("Nehalem", None), "result": SUPERSET},
    {"name": "all that TCG gives", "cpu": "<cpu mode='maximum'/>", "result": IDENTICAL},
    {"name": "a feature that TCG lacks", "cpu": harness.cpu_xml("Nehalem", None, "require:avx512f"), "result": INCOMPATIBLE,
     "words": ["avx512f"]},
    {"name": "two at once, in any order", "cpu": harness.cpu_xml("Nehalem", None, "require:hle require:avx512f"),
     "result": INCOMPATIBLE, "words": ["avx512f", "hle"]},
    {"name": "a feature that must not be there", "cpu": harness.cpu_xml("Nehalem", None, "forbid:sse4.2"), "result": INCOMPATIBLE,
     "words": ["sse4.2", "forbidden"]},
    {"name": "a feature that is optional", "cpu": harness.cpu_xml("Nehalem", None, "optional:avx512f"), "result": SUPERSET},
    {"name": "nothing beyond", "cpu": harness.cpu_xml("Nehalem", None, "", " match='strict'"), "result": INCOMPATIBLE, "words": ["strict"]},
    {"name": "the host's own CPU", "cpu": "<cpu mode='host-passthrough'/>", "result": INCOMPATIBLE, "words": ["KVM"]},
    {"name": "another architecture", "cpu": "<cpu><arch>s390x</arch><model>z13</model></cpu>", "result": INCOMPATIBLE, "words": ["s390x"]},
    {"name": "a model that is not known", "cpu": harness.cpu_xml("Nehalen", None), "code": "VIR_ERR_CONFIG_UNSUPPORTED", "words": ["Nehalem"]},
    {"name": "a feature that is not known", "cpu": harness.cpu_xml("Nehalem", None, "require:avx512ff"), "code": "VIR_ERR_CONFIG_UNSUPPORTED",
     "words": ["avx512f"]},
    {"name": "no XML", "cpu": "<cpu", "code": "VIR_ERR_XML_ERROR", "words": ["line 1"]},
    {"name": "another element", "cpu": "<domain/>", "code": "VIR_ERR_XML_ERROR", "words": ["<cpu>"]},
    {"name": "an element that no schema has", "cpu": "<cpu>\n <model>Nehalem</model>\n <bogus/>\n</cpu>", "result": SUPERSET,
     "invalid": ["line 3", "bogus"]},
]


@harness.rows(COMPARISONS)
def test_compare(daemon, row):
    """hypervisor-cpu-compare"""
    need_emulator("x86_64")
    libvirt = harness.import_libvirt()
    connection = daemon.connect()
    path = daemon.write("cpu.xml", row["cpu"])
    arguments = ("--arch", "x86_64", "--machine", "q35", "--virttype", "qemu", path)

    def compare(flags=0):
        return connection.compareHypervisorCPU(None, "x86_64", "q35", "qemu", row["cpu"], flags)

    def refused_by_virsh(*options):
        return daemon.virsh("hypervisor-cpu-compare", *options, *arguments, check=False)

    try:
        if "code" in row:
            harness.expect_error(compare, code=row["code"], words=row["words"])
            return
        assert compare() == row["result"]
        assert compare() == row["result"], "the second answer, from memory, is another one"
        if row["result"] == INCOMPATIBLE:
            for _ in range(2):
                harness.expect_error(compare, libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE, code="VIR_ERR_CPU_INCOMPATIBLE",
                                     words=row["words"])
            assert all(word in refused_by_virsh("--error").stderr for word in row["words"])
        else:
            assert compare(libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE) == row["result"]
        if "invalid" in row:
            harness.expect_error(compare, libvirt.VIR_CONNECT_COMPARE_CPU_VALIDATE_XML, code="VIR_ERR_XML_INVALID_SCHEMA",
                                 words=row["invalid"])
            assert all(word in refused_by_virsh("--validate").stderr for word in row["invalid"])
        else:
            assert compare(libvirt.VIR_CONNECT_COMPARE_CPU_VALIDATE_XML) == row["result"]
        harness.expect_error(compare, 1 << 10, code="VIR_ERR_INVALID_ARG", words=["flags"])
    finally:
        connection.close()


S390X_PAIRS = [
    {"name": "less", "model": "z900-base", "props": {}}, {"name": "the same", "model": "qemu", "props": {}},
    {"name": "the same, less one", "model": "qemu", "props": {"vx": False}}, {"name": "other things", "model": "z13", "props": {}},
    {"name": "a newer one", "model": "z14", "props": {"gs": False, "vx": True}},
]


@harness.rows(S390X_PAIRS)
def test_s390x_comparison(daemon, row):
    """s390x: QEMU's own answer, with what it holds responsible"""
    need_emulator("s390x")
    libvirt = harness.import_libvirt()
    row = {**row, "arch": "s390x"}
    answer = emulator_answer(row, ["-M", "s390-ccw-virtio", "-accel", "tcg"], "query-cpu-model-comparison", modela={"name": "max"},
                             modelb={"name": row["model"], **({"props": row["props"]} if row["props"] else {})})
    features = " ".join(("require:" if on else "disable:") + name for name, on in row["props"].items())
    connection = daemon.connect()

    def compare(flags=0):
        return connection.compareHypervisorCPU(None, "s390x", "s390-ccw-virtio", "qemu", harness.cpu_xml(row["model"], None, features), flags)

    try:
        expected = {"identical": IDENTICAL, "superset": SUPERSET}.get(answer["result"], INCOMPATIBLE)
        assert compare() == expected, answer
        if expected == INCOMPATIBLE:
            harness.expect_error(compare, libvirt.VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE, code="VIR_ERR_CPU_INCOMPATIBLE",
                                 words=[name for name in answer["responsible-properties"] if name != "type"])
    finally:
        connection.close()


def test_s390x_baseline(daemon):
    """s390x: QEMU's own baseline, of two and of many in any order"""
    need_emulator("s390x")
    answer = emulator_answer({"arch": "s390x"}, ["-M", "s390-ccw-virtio", "-accel", "tcg"], "query-cpu-model-baseline",
                             modela={"name": "z13"}, modelb={"name": "z14"})["model"]
    connection = daemon.connect()
    try:
        def baseline(*models, flags=0):
            return connection.baselineHypervisorCPU(None, "s390x", None, "qemu", [harness.cpu_xml(model, None) for model in models], flags)

        cpu = baseline("z13", "z14")
        assert f">{answer['name']}<" in cpu, cpu
        assert harness.features_of(cpu) == {name: "require" if on else "disable" for name, on in answer["props"].items()}
        texts = {baseline(*order) for order in itertools.permutations(("z13", "z14", "zEC12"))}
        assert len(texts) == 1, texts
        assert set(harness.features_of(baseline("z13", "z14", flags=1))) > set(harness.features_of(cpu))
        harness.expect_error(connection.compareHypervisorCPU, None, "s390x", None, "qemu", harness.cpu_xml("z13", None, "require:vxx"), 0,
                             code="VIR_ERR_CONFIG_UNSUPPORTED", words=["vxx", "nearest are: vx"])
        harness.expect_error(baseline, "z13", "z99", code="VIR_ERR_CONFIG_UNSUPPORTED", words=["CPU 2", "z99"])
    finally:
        connection.close()


def test_baseline(daemon):
    """cpu-baseline and hypervisor-cpu-baseline, with their flags"""
    need_emulator("x86_64")
    libvirt = harness.import_libvirt()
    expand, migratable = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES, libvirt.VIR_CONNECT_BASELINE_CPU_MIGRATABLE
    documents = [harness.cpu_xml("Nehalem", None, "require:invtsc require:aes"), harness.cpu_xml("Westmere", None, "require:invtsc")]
    path = daemon.write("cpus.xml", "".join(documents))
    connection = daemon.connect()
    try:
        def baseline(flags=0, cpus=None):
            return connection.baselineHypervisorCPU(None, "x86_64", "q35", "qemu", documents if cpus is None else cpus, flags)

        for flags, options in ((0, ()), (expand, ("--features",)), (migratable, ("--migratable",)),
                               (expand | migratable, ("--features", "--migratable"))):
            cpu = baseline(flags)
            assert baseline(flags) == cpu, "the second answer, from memory, is another one"
            features = harness.features_of(cpu)
            assert features["aes"] == "require", cpu
            assert ("invtsc" in features) == (not flags & migratable), cpu
            assert ("sse2" in features) == bool(flags & expand), cpu
            printed = daemon.virsh("hypervisor-cpu-baseline", "--arch", "x86_64", "--machine", "q35", "--virttype", "qemu", *options, path)
            assert printed.stdout.strip() == cpu.strip(), printed.stdout
            assert harness.features_of(daemon.virsh("cpu-baseline", *options, path).stdout)["aes"] == "require"
            assert connection.compareHypervisorCPU(None, "x86_64", "q35", "qemu", cpu, 0) == (
                INCOMPATIBLE if "invtsc" in features else SUPERSET)
        harness.expect_error(baseline, 0, [], code="VIR_ERR_INVALID_ARG", words=["at least one"])
        harness.expect_error(baseline, 0, [documents[0], harness.cpu_xml("Bogus", None)], code="VIR_ERR_CONFIG_UNSUPPORTED", words=["CPU 2", "Bogus"])
        harness.expect_error(baseline, 0, [harness.cpu_xml("Nehalem", None), harness.cpu_xml("EPYC", None)], code="VIR_ERR_OPERATION_FAILED",
                             words=["Intel", "AMD"])
        harness.expect_error(baseline, 1 << 10, code="VIR_ERR_INVALID_ARG", words=["flags"])
    finally:
        connection.close()


def test_emulator_goes(daemon):
    """What is answered from memory ends with the emulator that it was about"""
    need_emulator("x86_64")
    connection = daemon.connect()
    path = daemon.path("qemu-system-x86_64")
    document = harness.cpu_xml("Nehalem", None)

    def compare():
        return connection.compareHypervisorCPU(path, "x86_64", "q35", "qemu", document, 0)

    def is_refused():
        libvirt = harness.import_libvirt()
        try:
            compare()
        except libvirt.libvirtError as error:
            return error.get_error_message()
        return None

    try:
        for text in ("#!/bin/sh\nexec qemu-system-x86_64 \"$@\"\n", "#!/bin/sh\necho no more >&2\nexit 1\n"):
            with open(path + ".new", "w", encoding="ascii") as file:
                file.write(text)
            os.chmod(path + ".new", 0o755)
            os.rename(path + ".new", path)
            if "exec" in text:
                assert [compare() for _ in range(3)] == [SUPERSET] * 3
        assert "no more" in harness.wait_for(is_refused, "the other emulator's words", seconds=2)
        os.unlink(path)
        assert "does not exist" in harness.wait_for(lambda: "exist" in (is_refused() or "") and is_refused(), "the missing file", seconds=2)
    finally:
        connection.close()


@harness.rows([{"name": arch, "arch": arch} for arch in ("x86_64", "i686", "s390x", "aarch64", "ppc64", "riscv64")])
def test_models(daemon, row):
    """cpu-models, as QEMU lists them"""
    need_emulator({"i686": "i386"}.get(row["arch"], row["arch"]))
    connection = daemon.connect()
    try:
        names = connection.getCPUModelNames(row["arch"], 0)
        assert names and len(set(names)) == len(names)
        assert daemon.virsh("cpu-models", row["arch"]).stdout.split() == names
        harness.expect_error(connection.getCPUModelNames, row["arch"], 1, code="VIR_ERR_INVALID_ARG", words=["flags"])
        harness.expect_error(connection.getCPUModelNames, "z80", 0, words=["z80"])
    finally:
        connection.close()
    if row["arch"] not in ("i686", "riscv64"):
        machine = {"aarch64": "virt", "s390x": "s390-ccw-virtio", "ppc64": "pseries", "x86_64": "pc"}[row["arch"]]
        known = {model["name"] for model in emulator_answer(row, ["-M", machine, "-accel", "tcg"], "query-cpu-definitions")}
        assert set(names) <= known, set(names) - known


class Baselines(wire.Peer):
    """The streamed baseline of Invar's own program."""

    def ask(self, procedure, payload):
        return self.call(procedure, payload, program=wire.INVAR)

    def taken(self, procedure, payload):
        fields, answer = self.ask(procedure, payload)
        assert fields[5] == 0, wire.error_of((fields, answer))
        return answer

    def start(self, arch="x86_64"):
        words = b"".join(wire.opt_string(word) if word else struct.pack(">I", 0) for word in (None, arch, None, "qemu"))
        return self.ask(BASELINE_OPEN, words + struct.pack(">I", 0))

    def begin(self, arch="x86_64"):
        fields, answer = self.start(arch)
        assert fields[5] == 0, wire.error_of((fields, answer))
        return struct.unpack(">q", answer)[0]

    @staticmethod
    def batch(number, cpus):
        return struct.pack(">qI", number, len(cpus)) + b"".join(map(wire.string, cpus)) + struct.pack(">I", 0)

    def add(self, number, cpus):
        return struct.unpack(">q", self.taken(BASELINE_ADD, self.batch(number, cpus)))[0]

    def result(self, number, flags=0):
        answer = self.taken(BASELINE_RESULT, struct.pack(">qI", number, flags))
        size = struct.unpack(">I", answer[:4])[0]
        return answer[4:4 + size].decode(), struct.unpack(">q", answer[-8:])[0]

    def end(self, number):
        return self.ask(BASELINE_CLOSE, struct.pack(">qI", number, 0))


def resident_kib(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmRSS:"))


def has_sanitizers():
    with open(harness.find_binary("invard"), "rb") as file:
        return b"__asan_init" in file.read()


def hosts(count):
    """Different ones, all of which have aes."""
    names = ("avx", "f16c", "fma", "movbe", "rdrand", "bmi1", "bmi2", "adx", "smap", "smep", "erms", "fsgsbase", "rdseed", "x2apic")
    for number in range(count):
        yield (f"<cpu><arch>x86_64</arch><model>{('Nehalem', 'Westmere', 'SandyBridge')[number % 3]}</model><feature name='aes'/>"
               + "".join(f"<feature name='{name}'/>" for bit, name in enumerate(names) if name != "avx" and number >> bit & 1) + "</cpu>")


def test_streamed_baseline(daemon):
    """A baseline of 12,800 hosts, in parts: the same as at once, and nothing grows"""
    need_emulator("x86_64")
    connection = daemon.connect()
    peer = Baselines(daemon)
    try:
        peer.open()
        few = list(hosts(200))
        number = peer.begin()
        assert peer.add(number, few[:3]) == 3
        assert peer.add(number, few[3:]) == 200
        for flags in (0, 1, 2, 3):
            assert peer.result(number, flags) == (connection.baselineHypervisorCPU(None, "x86_64", None, "qemu", few, flags), 200)
        other = peer.begin()
        before, batch = None, list(hosts(12800))
        for start in range(0, len(batch), 256):
            peer.add(other, batch[start:start + 256])
            before = before or resident_kib(daemon.process.pid)
        grown = resident_kib(daemon.process.pid) - before
        cpu, count = peer.result(other)
        assert count == 12800 and harness.features_of(cpu)["aes"] == "require", cpu
        # The sanitizers keep what was freed.
        assert grown < 8192 or has_sanitizers(), f"{grown} KiB more after 50 batches than after one"
        harness.say(f"{grown} KiB more after 12,800 hosts than after 256")
        assert peer.end(other)[0][5] == 0 and peer.end(number)[0][5] == 0
    finally:
        peer.socket.close()
        connection.close()


def test_streamed_baseline_of_s390x(daemon):
    """A baseline in parts where QEMU finds it"""
    need_emulator("s390x")
    connection = daemon.connect()
    peer = Baselines(daemon)
    try:
        peer.open()
        cpus = [harness.cpu_xml(model, None) for model in ("z14", "z13", "zEC12", "z13s")]
        number = peer.begin("s390x")
        for cpu in cpus:
            peer.add(number, [cpu])
        assert peer.result(number) == (connection.baselineHypervisorCPU(None, "s390x", None, "qemu", cpus, 0), len(cpus))
    finally:
        peer.socket.close()
        connection.close()


def test_streamed_baseline_limits(daemon):
    """Limits, bad documents and other clients' numbers"""
    need_emulator("x86_64")
    peer, other = Baselines(daemon), Baselines(daemon)
    good, bad = harness.cpu_xml("Nehalem", None), harness.cpu_xml("Bogus", None)
    try:
        peer.open()
        other.open()
        number = peer.begin()
        code, text = wire.error_of(peer.ask(BASELINE_RESULT, struct.pack(">qI", number, 0)))
        assert "at least one" in text, text
        code, text = wire.error_of(peer.ask(BASELINE_ADD, Baselines.batch(number, [good, good, bad, good])))
        assert code == 67 and "CPU 3" in text and "Bogus" in text, (code, text)
        assert peer.result(number)[1] == 2, "those before the bad one are in"
        code, text = wire.error_of(peer.ask(BASELINE_ADD, Baselines.batch(number, [good] * 257)))
        assert code == wire.VIR_ERR_RPC, (code, text)
        assert peer.add(number, [good] * 256) == 258
        code, text = wire.error_of(peer.ask(BASELINE_ADD, Baselines.batch(number, [harness.cpu_xml("EPYC", None)])))
        assert "Intel" in text and "AMD" in text, text
        assert peer.add(number, []) == 258
        # Numbers are the connection's own.
        code, text = wire.error_of(other.ask(BASELINE_ADD, Baselines.batch(number, [good])))
        assert code == 8 and "no baseline" in text, (code, text)
        for _ in range(15):
            peer.begin()
        code, text = wire.error_of(peer.start())
        assert "16 baselines" in text, text
        assert peer.end(number)[0][5] == 0
        code, text = wire.error_of(peer.end(number))
        assert code == 8, (code, text)
        peer.begin()
        peer.socket.close()
        # What a client left behind is no other's limit.
        for _ in range(16):
            other.begin()
    finally:
        peer.socket.close()
        other.socket.close()


if __name__ == "__main__":
    harness.main()
