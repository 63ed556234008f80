#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What invar tells of CPUs without a daemon: decode, expand, compare, baseline, explain, of every kind of document."""
import contextlib
import glob
import json
import os
import platform
import pty
import re
import select
import shutil
import socket
import subprocess
import tempfile
import time
import xml.etree.ElementTree as trees

import harness
import witness
from harness import Skip, rows

SAMPLES = os.path.join(harness.TOP_SRCDIR, "tests/data/cpu_documents")
MACHINES = os.path.join(harness.TOP_SRCDIR, "../shared/data/machines")
# Of all samples but capabilities.xml: the model, and what differs from it.
MODEL = "Skylake-Client-v3"
DELTA = {"hypervisor": "require", "pdpe1gb": "require", "ss": "require", "vme": "disable"}
COLOUR = "\033["
POLICIES = {"require", "disable", "force", "optional", "forbid"}


def sample(name):
    return os.path.join(SAMPLES, name)


def environment(socket_path="/nonexistent/invar-sock"):
    env = {key: value for key, value in os.environ.items() if not key.startswith(("INVAR_URI", "NO_COLOR", "XDG_"))}
    env.update({"INVAR_URI": socket_path, "LC_ALL": "C.UTF-8", "HOME": "/nonexistent", "XDG_RUNTIME_DIR": "/nonexistent",
                "INVAR_PKGDATADIR": os.environ.get("INVAR_PKGDATADIR", harness.TOP_SRCDIR)})
    return env


def invar(*arguments, code=0, stdin=None, env=None):
    """(standard output, standard error) of an invar that has no daemon, which must end with @code."""
    result = subprocess.run([harness.find_binary("invar"), *arguments], env=env or environment(), input=stdin,
                            capture_output=True, text=True, timeout=60, **({} if stdin is not None else {"stdin": subprocess.DEVNULL}))
    assert result.returncode == code, f"{arguments}: exit {result.returncode}\n{result.stdout[-2000:]}{result.stderr[-2000:]}"
    if code == 0:
        assert not result.stderr, f"{arguments}: {result.stderr}"
    return result.stdout, result.stderr


def invar_json(*arguments, **options):
    return json.loads(invar("--json", *arguments, **options)[0])


@contextlib.contextmanager
def folder():
    path = tempfile.mkdtemp(prefix="e.")
    try:
        yield path
    finally:
        shutil.rmtree(path)


def write(path, text):
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)
    return path


def check_cpu(cpu):
    """The shape that cpu-decode --json promises."""
    keys = list(cpu)
    assert keys[:6] == ["arch", "model", "vendor", "signature", "features", "expanded"], keys
    assert isinstance(cpu["arch"], str)
    for name in ("model", "vendor"):
        assert cpu[name] is None or isinstance(cpu[name], str), cpu[name]
    if cpu["signature"] is not None:
        assert set(cpu["signature"]) == {"family", "model", "stepping"}, cpu["signature"]
        assert all(isinstance(number, int) for number in cpu["signature"].values()), cpu["signature"]
    for feature in cpu["features"]:
        assert set(feature) == {"name", "policy"} and feature["policy"] in POLICIES, feature
    names = [feature["name"] for feature in cpu["features"]]
    assert len(names) == len(set(names)), names
    assert cpu["expanded"] == sorted(set(cpu["expanded"])), cpu["expanded"]
    has = set(cpu["expanded"])
    for feature in cpu["features"]:
        if feature["policy"] in ("require", "force"):
            assert feature["name"] in has, feature
        elif feature["policy"] in ("disable", "forbid"):
            assert feature["name"] not in has, feature
    return cpu


def delta(cpu):
    return {feature["name"]: feature["policy"] for feature in cpu["features"]}


@rows([{"name": f"{name} is decoded", "file": name, "format": kind} for name, kind in (
    ("cpu.xml", "<cpu>"), ("domain.xml", "domain XML"), ("domcapabilities.xml", "domain capabilities"),
    ("cpudata.xml", "<cpudata>"), ("cpuid.txt", "a CPUID dump"), ("witness.txt", "a CPUID dump"),
    ("expansion.json", "a QMP expansion"))])
def test_documents(row):
    cpu = check_cpu(invar_json("cpu-decode", sample(row["file"])))
    assert cpu["format"] == row["format"], cpu["format"]
    assert (cpu["arch"], cpu["model"], cpu["vendor"]) == ("x86_64", MODEL, "Intel"), cpu
    assert cpu["signature"] == {"family": 6, "model": 94, "stepping": 3}, cpu["signature"]
    assert delta(cpu) == DELTA, delta(cpu)
    assert cpu["expanded"] == invar_json("cpu-decode", sample("cpu.xml"))["expanded"]
    with open(sample(row["file"]), encoding="utf-8") as file:
        assert invar_json("cpu-decode", "-", stdin=file.read()) == cpu
    assert invar("cpu-expand", sample(row["file"]))[0].split() == cpu["expanded"]


def test_capabilities():
    """a host's capabilities are decoded by the model's alias"""
    cpu = check_cpu(invar_json("cpu-decode", sample("capabilities.xml")))
    assert (cpu["format"], cpu["model"]) == ("capabilities", "Haswell-v4"), cpu
    assert set(delta(cpu)) == {"ds", "invtsc", "pdpe1gb", "ss", "vme"}, delta(cpu)
    assert cpu["signature"] is None


def test_other_architecture():
    """the CPU of a mainframe is decoded, and is not of this machine's architecture"""
    cpu = check_cpu(invar_json("cpu-decode", "--arch", "s390x", sample("expansion-s390x.json")))
    assert cpu["arch"] == "s390x" and cpu["model"].startswith("gen15a"), cpu["model"]
    assert "vx" in cpu["expanded"] and "vme" not in cpu["expanded"]


def test_readable():
    """without --json a person reads it"""
    text, _ = invar("cpu-decode", sample("cpuid.txt"))
    for words in ("Read from:       a CPUID dump", f"Model:           {MODEL}", "family 6, model 94, stepping 3",
                  "require (3):\n    hypervisor pdpe1gb ss\n", "disable (1):\n    vme\n"):
        assert words in text, f"{words!r} is not in:\n{text}"
    text, _ = invar("cpu-expand", "--table", sample("cpu.xml"))
    assert re.search(r"^ ss +require +yes +CPUID leaf 0x1, subleaf 0x0, edx bit 27$", text, re.M), text
    assert re.search(r"^ avx2 +model +yes +CPUID leaf 0x7, subleaf 0x0, ebx bit 5$", text, re.M), text


def test_xml():
    """the XML that is printed is read again as the same CPU, with every feature named and without"""
    cpu = invar_json("cpu-decode", sample("cpu.xml"))
    short, _ = invar("cpu-decode", "--xml", sample("cpudata.xml"))
    long, _ = invar("cpu-expand", "--xml", sample("cpudata.xml"))
    assert harness.features_of(short) == DELTA, short
    assert {name for name, policy in harness.features_of(long).items() if policy == "require"} == set(cpu["expanded"]), long
    for text in (short, long):
        assert invar_json("cpu-decode", "-", stdin=text)["expanded"] == cpu["expanded"]


def test_model():
    """a model is expanded by its name, by an alias, and an unknown one is an error with names that are near"""
    names = invar("cpu-expand", "--model", "Skylake-Client-v3")[0].split()
    assert names == sorted(set(names)) and "avx2" in names and "hle" not in names, names
    assert invar("cpu-expand", "--model", "Skylake-Client-noTSX-IBRS")[0].split() == names
    assert check_cpu(invar_json("cpu-expand", "--model", "Skylake-Client-v3"))["expanded"] == names
    _, error = invar("cpu-expand", "--model", "Skylake-Client-v33", code=1)
    assert "Skylake-Client-v33" in error and "Skylake-Client-v3" in error.replace("Skylake-Client-v33", ""), error
    assert "zarch" in invar("cpu-expand", "--model", "gen15a-base", "--arch", "s390x")[0].split()


def test_host():
    """--host is this machine's CPU"""
    if platform.machine() != "x86_64":
        raise Skip("reading this machine's CPU is not supported on " + platform.machine())
    cpu = check_cpu(invar_json("cpu-decode", "--host"))
    assert cpu["format"] == "this machine" and cpu["arch"] == "x86_64", cpu
    with open("/proc/cpuinfo", encoding="ascii") as file:
        vendor = re.search(r"^vendor_id\s*: (\S+)$", file.read(), re.M)
    assert not vendor or cpu["vendor_id"] == vendor.group(1), cpu["vendor_id"]
    assert {"fpu", "sse2", "lm"} <= set(cpu["expanded"])


def test_emulator():
    """--emulator asks a QEMU, and what it says true is what the CPU has"""
    if not harness.QEMU:
        raise Skip("qemu-system-x86_64 is not installed")
    cpu = check_cpu(invar_json("cpu-decode", "--emulator", harness.QEMU, "--accel", "tcg"))
    assert (cpu["emulator"], cpu["accelerator"]) == (harness.QEMU, "tcg"), cpu
    bits = witness.Map(os.path.join(environment()["INVAR_PKGDATADIR"], "cpu_map"))
    with harness.bare_qemu("max") as (_, qmp):
        qmp.readline()
        harness.ask(qmp, "qmp_capabilities")
        props = harness.ask(qmp, "query-cpu-model-expansion", type="full", model={"name": "max"})["model"]["props"]
    # The machine type of that QEMU adds what a CPU without one has not: the names are compared, the few that differ are told.
    here, there = {name for name in cpu["expanded"] if name in bits.bits}, bits.true_of(props)
    assert not here ^ there, f"only here: {sorted(here - there)}, only there: {sorted(there - here)}"
    assert "Accelerator:     tcg" in invar("cpu-decode", "--emulator", os.path.basename(harness.QEMU), "--accel", "tcg")[0]


def test_compare():
    """two files are compared: relation, exit status, every reason"""
    same = invar_json("cpu-compare", sample("cpu.xml"), sample("domain.xml"))
    assert same == {"result": "identical", "reasons": []}, same
    assert "is identical to" in invar("cpu-compare", sample("cpu.xml"), sample("domain.xml"))[0]
    with folder() as path:
        small = write(path + "/small.xml", "<cpu mode='custom'><model>Haswell-v4</model></cpu>")
        more = invar_json("cpu-compare", sample("capabilities.xml"), small)
        assert more["result"] == "superset" and not any(reason["blocks"] for reason in more["reasons"]), more
        assert "is a superset of" in invar("cpu-compare", sample("capabilities.xml"), small)[0]
    output, _ = invar("--json", "cpu-compare", sample("capabilities.xml"), sample("cpu.xml"), code=1)
    less = json.loads(output)
    assert less["result"] == "incompatible"
    for reason in less["reasons"]:
        assert set(reason) == {"kind", "blocks", "feature", "layer", "text", "remedy"}, reason
    host, cpu = (set(invar_json("cpu-decode", sample(name))["expanded"]) for name in ("capabilities.xml", "cpu.xml"))
    missing = {reason["feature"] for reason in less["reasons"] if reason["kind"] == "missing"}
    assert missing == cpu - host, missing ^ (cpu - host)
    assert all(reason["blocks"] and reason["text"] and reason["remedy"] for reason in less["reasons"] if reason["kind"] == "missing")
    text, error = invar("cpu-compare", sample("capabilities.xml"), sample("cpu.xml"), code=1)
    assert "is incompatible with" in text and "rdseed" in text and not error, text
    text, error = invar("cpu-compare", "--error", sample("capabilities.xml"), sample("cpu.xml"), code=1)
    assert "the CPU is incompatible with host CPU: missing features: " in error and not text.strip(), (text, error)


def test_compare_vendors():
    """CPUs of different vendors are incompatible, and the vendor is among the reasons"""
    with folder() as path:
        amd = write(path + "/amd.xml", "<cpu mode='custom'><model>EPYC-v1</model><vendor>AMD</vendor></cpu>")
        found = json.loads(invar("--json", "cpu-compare", sample("cpu.xml"), amd, code=1)[0])
        assert any(reason["kind"] == "vendor" and reason["blocks"] for reason in found["reasons"]), found


def test_baseline():
    """a baseline is what all have: XML as virsh prints it, whatever the order and the kinds of the files"""
    files = [sample(name) for name in ("cpuid.txt", "capabilities.xml", "several.xml", "domain.xml", "expansion.json")]
    xml, _ = invar("cpu-baseline", *files)
    tree = trees.fromstring(xml)
    assert tree.tag == "cpu" and tree.get("mode") == "custom" and tree.find("model").text, xml
    assert invar("cpu-baseline", *reversed(files))[0] == xml
    found = check_cpu(invar_json("cpu-baseline", *files))
    assert found["cpus"] == 7 and found["xml"].strip() == xml.strip(), found
    for file in files:
        if not file.endswith("several.xml"):
            assert set(found["expanded"]) <= set(invar_json("cpu-decode", file)["expanded"]), file
    assert "movbe" not in found["expanded"] and "avx2" in found["expanded"]
    # The operands may be compared with it again: what all have, each has.
    assert invar_json("cpu-compare", files[0], "-", stdin=xml)["result"] in ("identical", "superset")
    assert f"Model:           {found['model']}" in invar("cpu-baseline", "--table", *files)[0]


def test_baseline_flags():
    """--features names every feature, --migratable leaves out what stops a migration"""
    xml, _ = invar("cpu-baseline", "--features", sample("cpu.xml"))
    assert {name for name, policy in harness.features_of(xml).items() if policy == "require"} == \
        set(invar_json("cpu-decode", sample("cpu.xml"))["expanded"]), xml
    assert "invtsc" in invar_json("cpu-baseline", sample("capabilities.xml"))["expanded"]
    assert "invtsc" not in invar_json("cpu-baseline", "--migratable", sample("capabilities.xml"))["expanded"]


def test_baseline_none():
    """CPUs of different vendors have no baseline, and the file is named"""
    with folder() as path:
        amd = write(path + "/amd.xml", "<cpu><arch>x86_64</arch><model>EPYC-v1</model><vendor>AMD</vendor></cpu>")
        _, error = invar("cpu-baseline", sample("cpu.xml"), amd, code=1)
        assert "amd.xml" in error, error


def test_ten_thousand_hosts():
    """the baseline of 10,000 hosts takes about a second, and memory does not grow with their number"""
    with folder() as path:
        hosts = []
        for number in range(10000):
            extra = "".join(f"<feature name='{name}'/>" for bit, name in enumerate(("ds", "ss", "vmx", "pdpe1gb", "invtsc", "ht"))
                            if number >> bit & 1)
            hosts.append(f"<cpu><arch>x86_64</arch><model>Haswell-v{1 + number % 4}</model><vendor>Intel</vendor>{extra}</cpu>\n")
        most = {}
        # What a sanitizer keeps of freed memory is none of ours.
        env = {**environment(), "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=1"}
        for count in (1000, 10000):
            write(path + "/hosts.xml", "".join(hosts[:count]))
            started = time.monotonic()
            process = subprocess.Popen([harness.find_binary("invar"), "--json", "cpu-baseline", path + "/hosts.xml"],
                                       env=env, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
            found = json.load(process.stdout)
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            process.stdout.close()
            assert process.returncode == 0 and found["cpus"] == count, found
            assert found["model"] == "Haswell-v2", found["model"]
            most[count] = usage.ru_maxrss
        took = time.monotonic() - started
        size = os.path.getsize(path + "/hosts.xml") // 1024
    harness.say(f"{took:.2f} s for 10000 hosts; KiB at most: {most}, the file: {size}")
    assert took < 20, took
    # The file itself is held, at most twice while it is read; else nothing that counts.
    assert most[10000] - most[1000] < 3 * size + 4096, most


def test_explain():
    """cpu-explain needs no daemon, and says nothing of there being none"""
    facts = invar_json("cpu-explain", "avx2")
    assert (facts["feature"], facts["bit"]) == ("avx2", "CPUID leaf 0x7, subleaf 0x0, ebx bit 5"), facts
    assert facts["migratable"] is True and facts["daemon"] is False and facts["register"] == "ebx" and facts["mask"] == "0x20", facts
    assert "Skylake-Client-v3" in facts["models"] and "Nehalem-v1" not in facts["models"]
    assert facts["cost"] and isinstance(facts["needs"], list) and isinstance(facts["needed_by"], list), facts
    if platform.machine() == "x86_64":
        assert facts["host"] == ("avx2" in invar_json("cpu-decode", "--host")["expanded"])
    assert invar_json("cpu-explain", "sse4_1")["feature"] == "sse4.1"
    assert invar_json("cpu-explain", "invtsc")["migratable"] is False
    text, _ = invar("cpu-explain", "avx2")
    assert "When disabled:   " in text and "Models that have it (" in text, text
    _, error = invar("cpu-explain", "avx22", code=1)
    assert "avx22" in error and "avx2" in error.replace("avx22", ""), error
    # Who asks for a daemon's answer is told that there is none.
    _, error = invar("cpu-explain", "avx2", "--machine", "pc-q35-7.2", code=1)
    assert "/nonexistent/invar-sock" in error, error


def test_no_connection():
    """no command but cpu-explain connects to a daemon that is there"""
    with folder() as path, socket.socket(socket.AF_UNIX) as server:
        server.bind(path + "/sock")
        server.listen(8)
        server.settimeout(0)
        env = environment(path + "/sock")
        for arguments in (("cpu-decode", sample("cpu.xml")), ("cpu-expand", "--model", "486"), ("cpu-baseline", sample("several.xml")),
                          ("cpu-compare", sample("cpu.xml"), sample("cpu.xml"))):
            invar(*arguments, env=env)
            try:
                server.accept()
            except BlockingIOError:
                continue
            raise AssertionError(f"{arguments} connected")


ERRORS = [
    {"name": "a file that is not there", "arguments": ["cpu-decode", "{folder}/none"], "words": ["{folder}/none", "No such file"]},
    {"name": "a folder", "arguments": ["cpu-expand", "{folder}"], "words": ["{folder}", "Is a directory", "give a file"]},
    {"name": "an empty file", "content": "", "words": ["{file} is empty", "give a domain's XML"]},
    {"name": "a binary", "content": "\x7fELF\0\0", "words": ["'{file}' is not text", "give a domain's XML"]},
    {"name": "no document", "content": "hello, world\n", "words": ["{file}: ", "'hello, world'"]},
    {"name": "XML that is cut off", "content": "<cpu mode='custom'>\n<model>", "words": ["{file}: "]},
    {"name": "another document", "content": "<network><name>default</name></network>", "words": ["{file}: "]},
    {"name": "JSON without a CPU", "content": "{\"return\": {}}", "words": ["{file}: "]},
    {"name": "an unknown model", "content": "<cpu><model>Haswel</model></cpu>", "words": ["{file}: ", "'Haswel'"]},
    {"name": "a feature that is none", "content": "<cpu><model>Haswell-v1</model><feature name='avx22'/></cpu>",
     "words": ["{file}: ", "avx22"]},
    {"name": "two CPUs to decode", "arguments": ["cpu-decode", sample("several.xml")], "words": ["several.xml: ", "second CPU"]},
    {"name": "the second of three files", "arguments": ["cpu-baseline", sample("cpu.xml"), "{folder}/none", sample("cpu.xml")],
     "words": ["{folder}/none"]},
    {"name": "a mainframe's baseline", "arguments": ["cpu-baseline", sample("expansion-s390x.json")],
     "words": ["s390x is not supported", "ask a daemon with hypervisor-cpu-baseline"]},
    {"name": "a mainframe's comparison", "arguments": ["cpu-compare", sample("expansion-s390x.json"), sample("expansion-s390x.json")],
     "words": ["s390x is not supported", "ask a daemon with hypervisor-cpu-compare"]},
    {"name": "a baseline of two architectures", "arguments": ["cpu-baseline", sample("cpu.xml"), sample("expansion-s390x.json")],
     "words": ["expansion-s390x.json is of s390x, and the baseline is of x86_64"]},
    {"name": "no CPU to decode", "arguments": ["cpu-decode"], "code": 2, "words": ["a FILE, --host or --emulator"]},
    {"name": "two places", "arguments": ["cpu-expand", sample("cpu.xml"), "--model", "486"], "code": 2, "words": ["exactly one of"]},
    {"name": "no emulator", "arguments": ["cpu-decode", "--emulator", "/nonexistent/qemu"],
     "words": ["'/nonexistent/qemu'", "give the path of a QEMU"]},
    {"name": "an emulator that is none", "arguments": ["cpu-decode", "--emulator", "/bin/true"], "words": ["'/bin/true'", "exited with status 0"]},
    {"name": "--accel without an emulator", "arguments": ["cpu-decode", "--accel", "tcg", sample("cpu.xml")], "code": 2,
     "words": ["--emulator"]},
    {"name": "validation of two files", "arguments": ["cpu-compare", "--validate", sample("cpu.xml"), sample("cpu.xml")], "code": 2,
     "words": ["--validate is not supported"]},
    {"name": "one file, which the daemon compares", "arguments": ["cpu-compare", sample("cpu.xml")], "words": ["/nonexistent/invar-sock"]},
]


@rows([{**row, "name": "refused: " + row["name"]} for row in ERRORS])
def test_errors(row):
    with folder() as path:
        places = {"folder": path, "file": path + "/document"}
        arguments = [word.format(**places) for word in row.get("arguments", ["cpu-decode", "{file}"])]
        if "content" in row:
            write(places["file"], row["content"])
        output, error = invar(*arguments, code=row.get("code", 1))
    assert not output.strip(), output
    assert error.startswith("error: "), error
    for words in row["words"]:
        assert words.format(**places) in error, f"{words.format(**places)!r} is not in: {error}"
    assert "internal error" not in error, error


def test_too_large():
    """a file that is too large is refused before it is read"""
    with folder() as path:
        with open(path + "/large", "wb") as file:
            file.truncate(1 << 40)
        _, error = invar("cpu-baseline", path + "/large", code=1)
        assert "is larger than" in error and path + "/large" in error, error


def test_hung_emulator():
    """an emulator that says nothing is given up after the time that was allowed, and is gone"""
    with folder() as path:
        script = write(path + "/qemu", "#!/bin/sh\nexec sleep 1000\n")
        os.chmod(script, 0o755)
        started = time.monotonic()
        _, error = invar("--timeout", "1", "cpu-decode", "--emulator", script, "--accel", "tcg", code=1)
        assert time.monotonic() - started < 10 and "did not greet" in error and script in error, error


def on_terminal(*arguments, env=None):
    """What a command writes to a terminal."""
    control, terminal = pty.openpty()
    try:
        process = subprocess.Popen([harness.find_binary("invar"), *arguments], env={**environment(), **(env or {})}, stdin=terminal,
                                   stdout=terminal, stderr=terminal)
        os.close(terminal)
        written = b""
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            ready, _, _ = select.select([control], [], [], 1)
            try:
                part = os.read(control, 65536) if ready else b""
            except OSError:
                break
            if ready and not part:
                break
            written += part
        assert process.wait(10) in (0, 1)
        return written.decode()
    finally:
        os.close(control)


@rows([{"name": f"colours on a terminal only: {arguments[0]}", "arguments": arguments} for arguments in (
    ["cpu-decode", sample("cpu.xml")], ["cpu-expand", sample("cpu.xml")], ["cpu-explain", "avx2"],
    ["cpu-compare", sample("capabilities.xml"), sample("cpu.xml")], ["cpu-baseline", "--table", sample("several.xml")])])
def test_colours(row):
    arguments = row["arguments"]
    assert COLOUR in on_terminal(*arguments)
    assert COLOUR not in on_terminal("--no-color", *arguments)
    assert COLOUR not in on_terminal(*arguments, env={"NO_COLOR": "1"})
    assert COLOUR not in on_terminal("--json", *arguments)
    assert COLOUR not in invar(*arguments, code=1 if arguments[0] == "cpu-compare" else 0)[0]


def test_json_behind():
    """--json may stand behind the command, and holds for that command alone"""
    text, _ = invar("-q", f"cpu-expand --model 486 --json; cpu-expand --model 486")
    document, names = text[:text.rindex("}") + 1], text[text.rindex("}") + 1:]
    assert json.loads(document)["expanded"] == names.split(), text


def test_real_machines():
    """every machine of the shared data is decoded, from its CPUID and from its QEMU's answer"""
    files = sorted(glob.glob(MACHINES + "/*.cpuid.xml") + glob.glob(MACHINES + "/*.qmp.json"))
    if not files:
        raise Skip("../shared/data/machines is not there")
    for file in files:
        cpu = check_cpu(invar_json("cpu-decode", file))
        assert cpu["vendor"] and cpu["signature"] and len(cpu["expanded"]) > 20, (file, cpu)
        signature = file.replace(".cpuid.xml", ".sig").replace(".qmp.json", ".sig")
        if file.endswith(".cpuid.xml") and os.path.exists(signature):
            with open(signature, encoding="ascii") as text:
                numbers = {name: int(number) for name, number in re.findall(r"^(\w+): +(\d+) ", text.read(), re.M)}
            assert numbers == cpu["signature"], (file, numbers, cpu["signature"])
        again = set(invar_json("cpu-decode", "-", stdin=invar("cpu-decode", "--xml", file)[0])["expanded"])
        assert again == set(cpu["expanded"]), (file, again ^ set(cpu["expanded"]))
    intel = [file for file in files if "Core-i7" in file and file.endswith(".cpuid.xml")]
    common = set(invar_json("cpu-baseline", *intel)["expanded"])
    for file in intel:
        assert common <= set(invar_json("cpu-decode", file)["expanded"]), file


# Beside a daemon: what it adds, and virsh's verbs that ask it.


def test_explain_with_daemon(daemon):
    """a daemon adds what each layer gives to a guest, and which of the emulator's models have the feature"""
    facts = daemon.invar_json("cpu-explain", "avx2")
    assert facts["daemon"] is True and facts["layers"] and facts["emulator_models"], facts
    assert {"layer", "answer", "text"} <= set(facts["layers"][0]), facts["layers"]
    assert "Layer " in daemon.invar("cpu-explain", "avx2").stdout
    facts = daemon.invar_json("cpu-explain", "avx2", "--virttype", "qemu", "--machine", "q35")
    assert facts["daemon"] is True, facts


def test_machines_are_sorted(daemon):
    """emulators lists machine types by family, the newest of each first"""
    if not harness.QEMU:
        raise Skip("qemu-system-x86_64 is not installed")
    machines = [machine["name"] for machine in daemon.invar_json("emulators", harness.QEMU)[0]["machines"]]
    versions = [tuple(int(part) for part in name[len("pc-q35-"):].split(".")) for name in machines if name.startswith("pc-q35-")]
    assert len(versions) > 2 and versions == sorted(versions, reverse=True), versions
    families = [re.sub(r"[0-9.]+$", "", name).lower() for name in machines]
    assert families == sorted(families), families


def test_daemon_verbs(daemon):
    """virsh's verbs and flags about CPUs answer through the daemon"""
    virttype = ("--virttype", "qemu")
    names = daemon.invar("cpu-models", "--arch", "x86_64").stdout.split()
    assert "Skylake-Client-v3" in names or "Skylake-Client" in names, names
    small = daemon.write("small.xml", "<cpu mode='custom' match='exact'><model>486-v1</model></cpu>")
    alien = daemon.write("alien.xml", "<cpu mode='custom' match='exact'><model>486-v1</model>"
                                      "<feature policy='require' name='avx512-4fmaps'/></cpu>")
    invalid = daemon.write("invalid.xml", "<cpu mode='custom' match='exact'><model>486-v1</model><frob/></cpu>")
    for command in (["cpu-compare"], ["hypervisor-cpu-compare", *virttype]):
        good = daemon.invar(*command, small, "--validate")
        assert "is a superset of CPU described in" in good.stdout, good.stdout
        bad = daemon.invar(*command, alien, check=False)
        assert bad.returncode == 1 and "is incompatible with" in bad.stdout, bad
        bad = daemon.invar(*command, alien, "--error", check=False)
        assert bad.returncode == 1 and "avx512-4fmaps" in bad.stderr and "error: " in bad.stderr, bad
        bad = daemon.invar(*command, invalid, "--validate", check=False)
        assert bad.returncode == 1 and "frob" in bad.stderr, bad
    short = daemon.invar("hypervisor-cpu-baseline", *virttype, "--migratable", sample("several.xml")).stdout
    long = daemon.invar("hypervisor-cpu-baseline", *virttype, "--features", sample("several.xml")).stdout
    assert len(harness.features_of(long)) > len(harness.features_of(short)), (short, long)
    assert daemon.invar("hypervisor-cpu-baseline", *virttype, "--model", "486-v1").stdout.count("<model") == 1


def test_many_cpus(daemon):
    """hypervisor-cpu-baseline takes more CPUs than libvirt's wire does, and names the one that it cannot take"""
    hosts = ["<cpu><arch>x86_64</arch><model>{}</model><vendor>Intel</vendor></cpu>".format(("Haswell-v4", "Skylake-Client-v3")[number % 2])
             for number in range(700)]
    found = daemon.invar("hypervisor-cpu-baseline", "--virttype", "qemu", daemon.write("many.xml", "\n".join(hosts))).stdout
    few = daemon.invar("hypervisor-cpu-baseline", "--virttype", "qemu", daemon.write("few.xml", "\n".join(hosts[:2]))).stdout
    assert found == few and "<model" in found, (found, few)
    hosts[600] = "<cpu><arch>x86_64</arch><model>Frob</model></cpu>"
    bad = daemon.invar("hypervisor-cpu-baseline", "--virttype", "qemu", daemon.write("bad.xml", "\n".join(hosts)), check=False)
    assert bad.returncode == 1 and "601" in bad.stderr and "'Frob'" in bad.stderr and "bad.xml" in bad.stderr, bad


def test_hypervisor_models(daemon):
    """hypervisor-cpu-models lists the models of the domain capabilities"""
    tree = trees.fromstring(daemon.invar("domcapabilities", "--virttype", "qemu").stdout)
    models = tree.findall("cpu/mode[@name='custom']/model")
    names = daemon.invar("hypervisor-cpu-models", "--virttype", "qemu").stdout.split()
    assert names == [model.text for model in models if model.get("usable") == "yes"], names
    names = daemon.invar("hypervisor-cpu-models", "--virttype", "qemu", "--all").stdout.split()
    assert names == [model.text for model in models], names


if __name__ == "__main__":
    harness.main()
