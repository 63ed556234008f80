#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Bad input: libvirt's error code, a message that says what and where, never "internal error", and nothing changed."""
import os
import subprocess
import time

import harness

GOOD = "11111111-2222-4333-8444-555555555501"
OTHER = "11111111-2222-4333-8444-555555555502"
FREE = "11111111-2222-4333-8444-555555555503"


def document(**changes):
    return harness.domain_xml("bad", **changes)


def bombs():
    entities = "".join(f"<!ENTITY e{n} '" + f"&e{n - 1};" * 10 + "'>" for n in range(1, 10))
    return f"<!DOCTYPE domain [<!ENTITY e0 'ha'>{entities}]>" + document().replace("<name>bad", "<name>&e9;")


# code: what libvirt's clients see. words: what the message must say.
DEFINE = [
    {"name": "no XML at all", "xml": "hello", "code": None, "words": []},
    {"name": "nothing", "xml": "", "code": None, "words": []},
    {"name": "an element that is not closed", "xml": "<domain type='qemu'>\n<name>bad</nam>", "code": None, "words": ["2"]},
    {"name": "another document", "xml": "<network><name>n</name></network>", "code": None, "words": ["network"]},
    {"name": "no name", "xml": document().replace("<name>bad</name>", ""), "code": None, "words": ["name"]},
    {"name": "memory that is no number", "xml": document(memory="much"), "code": None, "words": ["memory", "much"]},
    {"name": "memory that overflows", "xml": document(memory="99999999999999999999"), "code": None, "words": ["memory"]},
    {"name": "a uuid that is none", "xml": document(uuid="not-a-uuid"), "code": None, "words": ["uuid", "not-a-uuid"]},
    {"name": "an unknown policy", "xml": document(cpu=harness.relaxed("qemu64", "want:aes")), "code": None, "words": ["want"]},
    {"name": "an unknown feature", "xml": document(cpu=harness.relaxed("qemu64", "require:aess")), "code": None,
     "words": ["aess"]},
    {"name": "a feature twice", "xml": document(cpu=harness.relaxed("qemu64", "require:aes disable:aes")), "code": None,
     "words": ["aes"]},
    {"name": "a vendor_id of 11 characters", "xml": document(
        cpu="<cpu mode='custom'><model vendor_id='ElevenChars'>qemu64</model></cpu>"), "code": None, "words": ["vendor_id"]},
    {"name": "an unknown architecture", "xml": document(arch="z80"), "code": None, "words": ["z80"]},
    {"name": "a hypervisor that is none", "xml": document(virttype="vmware"), "code": None, "words": ["vmware"]},
    {"name": "entities that multiply", "xml": bombs(), "code": None, "words": []},
    {"name": "an external entity", "xml": "<!DOCTYPE domain [<!ENTITY x SYSTEM 'file:///etc/hostname'>]>"
     + document().replace("<name>bad", "<name>&x;"), "code": None, "words": []},
    {"name": "ten thousand elements deep", "xml": "<domain>" + "<a>" * 10000 + "</a>" * 10000 + "</domain>", "code": None,
     "words": []},
]

# `xml` is defined, which succeeds or not; then started.
START = [
    {"name": "an unknown model", "cpu": harness.relaxed("NoSuchModel"), "words": ["NoSuchModel"]},
    {"name": "an unknown machine", "machine": "pc-q35-99.9", "words": ["pc-q35-99.9"]},
    {"name": "an emulator that is not there", "devices": "<emulator>/nowhere/qemu-system-x86_64</emulator>",
     "words": ["/nowhere/qemu-system-x86_64"]},
    {"name": "a disk that is not there", "devices": "<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
     "<source file='/nowhere/disk.img'/><target dev='sda' bus='sata'/></disk>", "words": ["/nowhere/disk.img"]},
    {"name": "a kernel that is not there", "kernel": "/nowhere/vmlinuz", "words": ["/nowhere/vmlinuz"]},
]


def refuse(daemon, xml, code, words):
    connection = daemon.connect()
    try:
        started = time.monotonic()
        harness.expect_error(connection.defineXML, xml, code=code, words=words)
        assert time.monotonic() - started < 5, "it took too long to be refused"
        assert connection.listAllDomains() == []
    finally:
        connection.close()


@harness.rows(DEFINE)
def test_define(daemon, row):
    refuse(daemon, row["xml"], row["code"], row["words"])


@harness.rows(START)
def test_start(daemon, row):
    xml = harness.domain_xml("bad", cpu=row.get("cpu", ""), machine=row.get("machine", "q35"),
                             devices=row.get("devices", ""))
    if "kernel" in row:
        xml = xml.replace("</type>", f"</type><kernel>{row['kernel']}</kernel>")
    connection = daemon.connect()
    try:
        def define_and_start():
            connection.defineXML(xml).create()
        harness.expect_error(define_and_start, words=row["words"])
        assert connection.numOfDomains() == 0
    finally:
        connection.close()
    daemon.wait_no_qemu()


def test_taken(daemon):
    """a name or a uuid that is taken"""
    connection = daemon.connect()
    try:
        connection.defineXML(harness.domain_xml("one", uuid=GOOD))
        connection.defineXML(harness.domain_xml("two", uuid=OTHER))
        harness.expect_error(connection.defineXML, harness.domain_xml("one", uuid=FREE), code="VIR_ERR_OPERATION_FAILED",
                             words=["one", GOOD])
        harness.expect_error(connection.defineXML, harness.domain_xml("three", uuid=OTHER), code="VIR_ERR_OPERATION_FAILED",
                             words=["two", OTHER])
        assert sorted(domain.name() for domain in connection.listAllDomains()) == ["one", "two"]
    finally:
        connection.close()


def test_absent(daemon):
    """a domain that is not there, by name, uuid and id"""
    connection = daemon.connect()
    try:
        harness.expect_error(connection.lookupByName, "nobody", code="VIR_ERR_NO_DOMAIN", words=["nobody"])
        harness.expect_error(connection.lookupByUUIDString, GOOD, code="VIR_ERR_NO_DOMAIN", words=[GOOD])
        harness.expect_error(connection.lookupByID, 4711, code="VIR_ERR_NO_DOMAIN", words=["4711"])
        domain = connection.defineXML(harness.domain_xml("gone"))
        connection.lookupByName("gone").undefine()
        harness.expect_error(domain.create, code="VIR_ERR_NO_DOMAIN")
    finally:
        connection.close()


def test_wrong_state(daemon):
    """a call in the wrong state is VIR_ERR_OPERATION_INVALID and says which state it is in"""
    connection = daemon.connect()
    try:
        domain = connection.defineXML(daemon.witness_xml("guest", harness.relaxed("qemu64")))
        for call in (domain.destroy, domain.suspend, domain.resume, domain.shutdown, domain.reset, domain.reboot):
            harness.expect_error(call, code="VIR_ERR_OPERATION_INVALID", words=["running"])
        domain.create()
        harness.expect_error(domain.create, code="VIR_ERR_OPERATION_INVALID", words=["running"])
        assert len(daemon.qemus()) == 1
    finally:
        connection.close()


def test_transient_autostart(daemon):
    """a transient domain has no autostart"""
    connection = daemon.connect()
    try:
        domain = connection.createXML(daemon.witness_xml("guest", harness.relaxed("qemu64")))
        harness.expect_error(domain.setAutostart, True, code="VIR_ERR_OPERATION_INVALID", words=["transient"])
    finally:
        connection.close()


def test_unknown_flags(daemon):
    """flags that mean nothing are refused"""
    connection = daemon.connect()
    try:
        harness.expect_error(connection.defineXMLFlags, document(), 1 << 30, code="VIR_ERR_INVALID_ARG")
        domain = connection.defineXML(document())
        harness.expect_error(domain.createWithFlags, 1 << 30, code="VIR_ERR_INVALID_ARG")
    finally:
        connection.close()


def test_validate(daemon):
    """VIR_DOMAIN_DEFINE_VALIDATE refuses what the schema of <cpu> does not know"""
    libvirt = harness.import_libvirt()
    connection = daemon.connect()
    try:
        wrong = document(cpu="<cpu mode='custom'><modell>qemu64</modell></cpu>")
        harness.expect_error(connection.defineXMLFlags, wrong, libvirt.VIR_DOMAIN_DEFINE_VALIDATE, words=["modell"])
        connection.defineXMLFlags(document(cpu=harness.relaxed("qemu64")), libvirt.VIR_DOMAIN_DEFINE_VALIDATE)
    finally:
        connection.close()


def test_unreadable_disk(daemon):
    """a disk that may not be read"""
    if os.geteuid() == 0:
        raise harness.Skip("root may read everything")
    path = daemon.write("secret.img", "x" * 512)
    os.chmod(path, 0)
    xml = harness.domain_xml("bad", devices=f"<disk type='file' device='disk'><driver name='qemu' type='raw'/>"
                             f"<source file='{path}'/><target dev='sda' bus='sata'/></disk>")
    connection = daemon.connect()
    try:
        harness.expect_error(connection.defineXML(xml).create, words=[path])
    finally:
        connection.close()


@harness.rows([
    {"name": "configuration: a key that is misspelt", "text": "[cpu]\ndefault_chekc=strict\n", "words": ["default_chekc"]},
    {"name": "configuration: a value that is none", "text": "[cpu]\ndefault_check=maybe\n",
     "words": ["default_check", "maybe"]},
    {"name": "configuration: a group that is none", "text": "[cpuu]\n", "words": ["cpuu"]},
    {"name": "configuration: no key file", "text": "hello\n", "words": []},
])
def test_config(row):
    daemon = harness.Daemon(config=row["text"], start=False)
    try:
        for arguments in (["--session"], ["--session", "--check-config"]):
            result = subprocess.run([harness.find_binary("invard"), *arguments], env=daemon.env, capture_output=True,
                                    text=True, timeout=20, stdin=subprocess.DEVNULL, check=False)
            assert result.returncode != 0, result
            for word in [*row["words"], "invard.conf"]:
                assert word in result.stdout + result.stderr, result
    finally:
        daemon.close()


def test_config_strict():
    """configuration: default_check=strict turns the default round"""
    with harness.Daemon(config="[cpu]\ndefault_check=strict\n") as daemon:
        connection = daemon.connect()
        try:
            domain = connection.defineXML(daemon.witness_xml("guest", harness.cpu_xml("Skylake-Client", None)))
            harness.expect_error(domain.create, code="VIR_ERR_CONFIG_UNSUPPORTED")
        finally:
            connection.close()
        daemon.wait_no_qemu()


if __name__ == "__main__":
    harness.main()
