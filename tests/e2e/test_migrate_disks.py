# SPDX-License-Identifier: LGPL-2.1-or-later
"""Disks that are copied along with a guest, as a whole or on top of a backing file: what arrives is what was there."""
import contextlib
import os
import re
import shutil
import socket

import harness
import migration

CPU = harness.relaxed("Skylake-Client")
MIB = 1 << 20
_pair = None


def pair():
    global _pair
    if not _pair:
        _pair = migration.Pair(migration.ONE_EMULATOR, migration.ONE_EMULATOR)
    return _pair


def disk_xml(path, target):
    return (f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
            f"<target dev='{target}' bus='virtio'/></disk>")


def backed_xml(daemon, path, base, target):
    """At the destination: it is made on top of the backing file that is named."""
    return (f"<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='{path}'/>"
            f"<backingStore type='file'><format type='raw'/><source file='{base}'/></backingStore>"
            f"<target dev='{target}' bus='virtio'/></disk>")


def write(path, at, text):
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(text)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextlib.contextmanager
def guest(name):
    """A witness with two disks more, vda and vdb, each with content of its own on top of one backing file."""
    if not shutil.which("qemu-img"):
        raise harness.Skip("qemu-img is not installed")
    both = pair()
    base = both.source.path("base.raw")
    with open(base, "wb") as file:
        file.truncate(16 * MIB)
    write(base, 3 * MIB, b"of the base" * 1000)
    for target in ("vda", "vdb"):
        overlay = both.source.path(target + ".qcow2")
        both.source.run("qemu-img", "create", "-q", "-f", "qcow2", "-F", "raw", "-b", base, overlay)
        both.source.run("qemu-io", "-f", "qcow2", "-c", f"write -q -P {ord(target[-1])} 5M 2M", overlay)
    shutil.copyfile(base, both.destination.path("base.raw"))
    before = both.start(name, cpu=CPU, devices="".join(disk_xml(both.source.path(t + ".qcow2"), t) for t in ("vda", "vdb")))
    try:
        yield both, before
    finally:
        for daemon in (both.source, both.destination):
            with contextlib.suppress(Exception):
                daemon.reset()
            for file in os.listdir(daemon.folder):
                if file.endswith((".qcow2", ".raw", ".img")):
                    os.unlink(daemon.path(file))


def for_destination(both, name, targets):
    """The definition there, with the copied disks on that host's own backing file; the others stay where they are."""
    def change(text):
        for target in targets:
            text = re.sub(r"<disk [^>]*>(?:(?!</disk>).)*<target dev='" + target + r"'.*?</disk>",
                          backed_xml(both.destination, both.destination.path(target + ".qcow2"),
                                     both.destination.path("base.raw"), target), text, flags=re.DOTALL)
        return text
    return both.destination_xml(name, change)


def compare(both, target):
    both.source.run("qemu-img", "compare", "-q", both.source.path(target + ".qcow2"), both.destination.path(target + ".qcow2"))


def move(both, name, targets, *options, check=True):
    return both.source.virsh("migrate", name, both.destination.uri, "--live", "--migrateuri", "tcp:127.0.0.1", "--xml",
                             for_destination(both, name, targets), *options, check=check)


@harness.rows([
    {"name": "both", "options": ["--migrate-disks", "vda,vdb"], "targets": ["vda", "vdb"]},
    {"name": "one", "options": ["--migrate-disks", "vdb"], "targets": ["vdb"]},
    {"name": "p2p", "options": ["--p2p", "--migrate-disks", "vda"], "targets": ["vda"]},
    {"name": "a port of its own", "options": ["--migrate-disks", "vda", "--disks-port", "PORT"], "targets": ["vda"]},
    {"name": "an address of its own", "options": ["--migrate-disks", "vda", "--disks-uri", "tcp://127.0.0.1:PORT"], "targets": ["vda"]},
    {"name": "a socket of its own", "options": ["--migrate-disks", "vda", "--disks-uri", "unix:///FOLDER/disks.sock"], "targets": ["vda"]},
])
def test_incremental(row):
    """--copy-storage-inc: what is not in the backing file is copied, and the whole is what it was"""
    with guest("layered") as (both, before):
        port = str(free_port())
        options = [option.replace("PORT", port).replace("/FOLDER", both.destination.folder) for option in row["options"]]
        move(both, "layered", row["targets"], "--copy-storage-inc", *options)
        both.check_moved("layered", before)
        both.destination.virsh("destroy", "layered")
        for target in row["targets"]:
            compare(both, target)
            info = both.destination.run("qemu-img", "info", both.destination.path(target + ".qcow2")).stdout
            assert "backing file: " + both.destination.path("base.raw") in info, info
            # No more than the overlay, and what QEMU writes beside it.
            assert os.stat(both.destination.path(target + ".qcow2")).st_blocks * 512 < 4 * MIB, "the backing file was copied, too"
        for target in {"vda", "vdb"} - set(row["targets"]):
            assert not os.path.exists(both.destination.path(target + ".qcow2"))


@harness.rows([{"name": name, "format": kind, "size": size} for kind in ("qcow2", "raw")
               for name, size in ((f"{kind}, larger", 17), (f"{kind}, smaller", 15))])
def test_other_size(row):
    """an image of another size at the destination is refused: the guest would see another disk"""
    with guest("measured") as (both, before):
        target = both.destination.path("vda.qcow2")
        both.destination.run("qemu-img", "create", "-q", "-f", row["format"], target, f"{row['size']}M")
        xml = for_destination(both, "measured", ["vda"])
        if row["format"] == "raw":
            with open(xml, encoding="utf-8") as file:
                text = re.sub(r"type='qcow2'(/><source file='" + re.escape(target) + ")", r"type='raw'\1", file.read())
            text = re.sub(r"<backingStore type='file'>.*?</backingStore>", "", text)
            xml = both.source.write("measured.destination.xml", text)
        result = both.source.virsh("migrate", "measured", both.destination.uri, "--live", "--migrateuri", "tcp:127.0.0.1", "--xml", xml,
                                   "--copy-storage-all", "--migrate-disks", "vda", check=False)
        assert result.returncode, result
        assert f"{row['size'] * MIB} bytes in place of {16 * MIB}" in result.stderr, result.stderr
        both.check_stayed("measured", before)
        assert os.path.exists(target), "what was there before is gone"


def test_leftovers():
    """both daemons are as they were: no process, no port"""
    pair().close()


if __name__ == "__main__":
    harness.main()
