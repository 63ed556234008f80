#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""An <emulator>, machine type or accelerator that cannot be: its own message when it is defined, and the definition is kept."""
import os
import shutil
import socket
import stat

import harness
from emulators import Counted, by_path, fake, own_daemon

UUID = "11111111-2222-4333-8444-555555555501"
ELF_ARM = shutil.which("qemu-system-arm")


def folder(path):
    os.mkdir(path)


def text(path, mode=0o644):
    with open(path, "w", encoding="utf-8") as file:
        file.write("This is no emulator.\n")
    os.chmod(path, mode)


def not_executable(path):
    shutil.copy(harness.QEMU, path)
    os.chmod(path, 0o644)


def unix_socket(path):
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(path)


def unreadable_script(path):
    if os.geteuid() == 0:
        raise harness.Skip("root may read every file")
    text(path)
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"#!/bin/sh\nexec {harness.QEMU} \"$@\"\n")
    os.chmod(path, 0o111)


def below_a_file(path):
    text(path)
    return path + "/qemu-system-x86_64"


def locked_folder(path):
    if os.geteuid() == 0:
        raise harness.Skip("root may look into every folder")
    os.mkdir(path)
    os.chmod(path, 0)
    return path + "/qemu-system-x86_64"


def other_architecture(path):
    if not ELF_ARM:
        raise harness.Skip("qemu-system-arm is not installed")
    os.symlink(ELF_ARM, path)


# make: puts it at the path; it may return another path that means it. words: of the error, which names the path too.
EMULATORS = [
    {"name": "absent", "make": lambda path: None, "words": ["does not exist"]},
    {"name": "a folder", "make": folder, "words": ["is a folder"]},
    {"name": "a device", "make": lambda path: "/dev/null", "words": ["is a device"]},
    {"name": "a text file", "make": text, "words": ["is no program"]},
    {"name": "a text file that is executable", "make": lambda path: text(path, 0o755), "words": ["is no program"]},
    {"name": "a program that is not executable", "make": not_executable, "words": ["is not executable"]},
    {"name": "a script that may not be read", "make": unreadable_script, "words": ["Permission denied"]},
    {"name": "a socket", "make": unix_socket, "words": ["is not a regular file"]},
    {"name": "below a file", "make": below_a_file, "words": ["does not exist"]},
    {"name": "in a folder that may not be entered", "make": locked_folder, "words": ["cannot be looked at"]},
    {"name": "a dangling link", "make": lambda path: os.symlink("/nowhere/qemu", path), "words": ["does not exist"]},
    {"name": "another program", "make": lambda path: os.symlink(shutil.which("true"), path), "words": ["exited with status 0"]},
    {"name": "for another architecture", "make": other_architecture, "words": ["is for armv7l, not for x86_64"]},
    {"name": "a relative path", "make": lambda path: "qemu-system-x86_64", "words": ["must be the absolute path"]},
]


def document(path=None, **changes):
    return harness.domain_xml("held", harness.relaxed("qemu64"), uuid=UUID,
                              devices=f"<emulator>{path or harness.QEMU}</emulator>", **changes)


def refused(daemon, xml, words):
    """Neither a new domain nor another definition of one that there is: which is as it was."""
    connection = daemon.connect()
    try:
        error = harness.expect_error(connection.defineXML, xml, words=words)
        assert connection.listAllDomains() == []
        domain = connection.defineXML(document())
        before = domain.XMLDesc()
        again = harness.expect_error(connection.defineXML, xml, words=words)
        assert again.get_error_message() == error.get_error_message()
        assert domain.XMLDesc() == before
        domain.undefine()
        return error.get_error_message()
    finally:
        connection.close()


@harness.rows(EMULATORS)
def test_defined(daemon, row):
    if not harness.QEMU:
        raise harness.Skip("qemu-system-x86_64 is not installed")
    place = daemon.path("emulator of " + row["name"])
    path = row["make"](place) or place
    try:
        refused(daemon, document(path), row["words"] + [path] * os.path.isabs(path))
    finally:
        if os.path.isdir(place):
            # Else nobody could remove what is in it.
            os.chmod(place, 0o700)


# What becomes of an emulator after the domain was defined.
@harness.rows([row for row in EMULATORS if row["name"] in ("absent", "a folder", "a text file", "another program")])
def test_kept(row):
    with own_daemon(start=False) as daemon:
        emulator = Counted(daemon, "qemu", "other")
        daemon.start()
        daemon.invar("define", daemon.write("held.xml", document(emulator.path)))
        before = daemon.invar("dumpxml", "held").stdout
        daemon.stop()
        os.unlink(emulator.path)
        row["make"](emulator.path)
        daemon.start()
        assert daemon.invar("dumpxml", "held").stdout == before
        started = daemon.invar("start", "held", check=False)
        assert started.returncode == 1 and emulator.path in started.stderr, started
        for word in row["words"]:
            assert word in started.stderr, started
        assert daemon.invar("dumpxml", "held").stdout == before
        # It comes back, and nobody has to say so.
        if os.path.isdir(emulator.path):
            os.rmdir(emulator.path)
        emulator.write()
        assert daemon.invar("start", "held", check=False).returncode == 0
        daemon.invar("destroy", "held")


def test_machine(daemon):
    """a machine type that this QEMU has not"""
    message = refused(daemon, document(machine="pc-q35-99.9"), ["pc-q35-99.9"])
    assert "did you mean" in message or harness.QEMU in message, message


def test_accelerator_not_built(daemon):
    """an accelerator that QEMU was not built with"""
    if not ELF_ARM:
        raise harness.Skip("qemu-system-arm is not installed")
    xml = harness.domain_xml("held", arch="armv7l", machine="virt", virttype="kvm", uuid=UUID,
                             devices=f"<emulator>{ELF_ARM}</emulator>")
    message = refused(daemon, xml, [ELF_ARM, "without KVM"])
    assert "does not work" not in message, message


ANSWERS = {
    "query-target": {"return": {"arch": "x86_64"}},
    "query-kvm": {"return": {"enabled": False, "present": True}},
    "qom-list-types": {"return": [{"name": "kvm-accel"}]},
    "query-machines": {"return": [{"name": "pc-q35-7.2", "alias": "q35", "cpu-max": 4, "is-default": True}]},
}


def test_tcg_not_built():
    """emulation by a QEMU that was built without it"""
    with own_daemon() as daemon:
        path = fake(daemon, "qemu-without-tcg", answers=ANSWERS)
        message = refused(daemon, document(path), [path, "built without TCG", "<domain type='kvm'>"])
        assert "does not work" not in message, message


def locked_device(path):
    if os.geteuid() == 0:
        raise harness.Skip("root may open every device")
    for name in ("/dev/mem", "/dev/port", "/dev/cpu_dma_latency", "/dev/loop-control", "/dev/mapper/control"):
        if os.path.exists(name) and stat.S_ISCHR(os.stat(name).st_mode) and not os.access(name, os.R_OK):
            os.symlink(name, path)
            return
    raise harness.Skip("there is no device that only root may open")


KVM = [
    {"name": "no /dev/kvm", "make": lambda path: None, "words": ["there is no"]},
    {"name": "a /dev/kvm that is a file", "make": text, "words": ["is not a device"]},
    {"name": "a /dev/kvm that is another device", "make": lambda path: os.symlink("/dev/null", path), "words": ["does not answer as KVM"]},
    {"name": "a /dev/kvm that this user may not open", "make": locked_device, "words": ["cannot be opened", "must belong to the group"]},
]


@harness.rows(KVM)
def test_accelerator_not_working(row):
    """an accelerator that QEMU was built with and that does not work here"""
    harness.need_fault_points()
    with own_daemon(start=False) as daemon:
        os.makedirs(daemon.path("host/dev"))
        row["make"](daemon.path("host/dev/kvm"))
        daemon.env["INVAR_HOST_ROOT"] = daemon.path("host")
        daemon.start()
        message = refused(daemon, document(virttype="kvm"), ["KVM does not work on this host", *row["words"]])
        assert "built" not in message, message


CONFIGURED = ("absent", "a folder", "a device", "a text file", "a program that is not executable", "a dangling link", "below a file",
              "a socket")


@harness.rows([{**row, "name": row["name"] + " in the configuration"} for row in EMULATORS if row["name"] in CONFIGURED])
def test_configured(row):
    with own_daemon("binaries=FOLDER/configured\n", start=False) as daemon:
        place = daemon.path("configured")
        path = row["make"](place) or place
        with open(daemon.config_path, encoding="utf-8") as file:
            config = file.read().replace(place, path)
        with open(daemon.config_path, "w", encoding="utf-8") as file:
            file.write(config)
        checked = daemon.run(harness.find_binary("invard"), "--session", "--check-config", check=False)
        assert checked.returncode == 6 and "[emulators] binaries" in checked.stderr, checked
        # The daemon says so and works on, and so do its domains.
        daemon.start()
        listed = by_path(daemon.invar_json("emulators"))[path]
        assert listed["state"] == "failed", listed
        for word in [*row["words"], path]:
            assert word in checked.stderr and word in daemon.log_tail() and word in listed["error"], (word, checked, listed)
        daemon.invar("define", daemon.write("held.xml", document()))
        daemon.restart()
        assert daemon.invar("list", "--all", "--name").stdout.split() == ["held"]


if __name__ == "__main__":
    harness.main()
