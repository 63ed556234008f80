# SPDX-License-Identifier: LGPL-2.1-or-later
"""
Migration between two bare QEMUs over loopback, driven by QMP alone: what a daemon is measured against.
Prints one JSON object per line and migration:

    {"who": "qemu", "guest": "idle", "round": 0, "memory_mib": 512, "dirty_mib": 0, "total_ms": …, "wall_ms": …,
     "downtime_ms": …, "stop_to_resume_ms": …, "transferred": …, "iterations": …}

total_ms, downtime_ms: QEMU's own figures. wall_ms: from `migrate` to the answer of `cont`. stop_to_resume_ms: from
the source's STOP to the destination's RESUME, by the times that both put into their events.

usage: bare_migration.py [--qemu PATH] [--to PATH] [--accel tcg] [--machine TYPE] [--memory MIB] [--dirty MIB] [--rounds N]
"""
import argparse
import json
import os
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

DEADLINE = 30
PAGE = 4096
SECTOR = 512
IMAGE = 1 << 20  # SeaBIOS boots from nothing smaller
# The guest's program and data below 1 MiB are the firmware's; the last MiB is too on small machines.
FIRST = 1 << 20
READY = b"R"
# Where the firmware puts the sector; in it the table of segments, and what runs with them.
BASE = 0x7C00
TABLE = BASE + 0x40
CODE = BASE + 0x80
UUID = "6ba7b811-9dad-11d1-80b4-00c04fd430c8"
FLAT_CODE = 0x00CF9A000000FFFF
FLAT_DATA = 0x00CF92000000FFFF


def boot_sector(memory_mib, dirty_mib):
    """
    A guest that writes a word into each of its pages from 1 MiB on, so that none is a page of zeros, prints READY
    on COM1, and then either halts for ever (dirty_mib 0) or writes to the first dirty_mib of them for ever.
    """
    end = (memory_mib - 2) << 20
    dirty_end = FIRST + (dirty_mib << 20)
    real = bytearray(
        b"\xfa"              # cli
        b"\x31\xc0\x8e\xd8"  # xor ax,ax; mov ds,ax
        b"\xe4\x92\x0c\x02\xe6\x92")  # the A20 gate: in al,0x92; or al,2; out 0x92,al
    real += b"\x0f\x01\x16" + struct.pack("<H", TABLE)  # lgdt [TABLE]
    real += b"\x0f\x20\xc0\x0c\x01\x0f\x22\xc0"         # mov eax,cr0; or al,1; mov cr0,eax
    real += b"\x66\xea" + struct.pack("<IH", CODE, 8)   # jmp 8:CODE
    table = struct.pack("<HIQQQ", 23, TABLE + 6, 0, FLAT_CODE, FLAT_DATA)

    flat = bytearray(
        b"\x66\xb8\x10\x00\x8e\xd8"  # mov ax,0x10; mov ds,ax
        b"\x31\xdb")                 # xor ebx,ebx
    flat += b"\xbf" + struct.pack("<I", FIRST)         # mov edi,FIRST
    flat += b"\x89\x3f"                                # 1: mov [edi],edi
    flat += b"\x81\xc7" + struct.pack("<I", PAGE)      # add edi,PAGE
    flat += b"\x81\xff" + struct.pack("<I", end)       # cmp edi,end
    flat += b"\x72\xf0"                                # jb 1b
    flat += b"\x66\xba\xf8\x03\xb0" + READY + b"\xee"  # mov dx,0x3f8; mov al,READY; out dx,al
    if dirty_mib:
        flat += b"\xbf" + struct.pack("<I", FIRST)          # 2: mov edi,FIRST
        flat += b"\x43"                                     # inc ebx
        flat += b"\x89\x1f"                                 # 3: mov [edi],ebx
        flat += b"\x81\xc7" + struct.pack("<I", PAGE)       # add edi,PAGE
        flat += b"\x81\xff" + struct.pack("<I", dirty_end)  # cmp edi,dirty_end
        flat += b"\x72\xf0"                                 # jb 3b
        flat += b"\xeb\xe8"                                 # jmp 2b
    else:
        flat += b"\xf4\xeb\xfd"                             # 2: hlt; jmp 2b
    sector = bytearray(SECTOR)
    for address, part in ((BASE, real), (TABLE, table), (CODE, flat), (BASE + SECTOR - 2, b"\x55\xaa")):
        sector[address - BASE:address - BASE + len(part)] = part
    return bytes(sector)


class Refused(Exception):
    """QEMU's own words."""


class Qemu:
    """A QEMU that is driven through a socket which it was born with."""

    def __init__(self, binary, log, arguments):
        ours, theirs = socket.socketpair()
        with theirs, open(log, "ab") as out:
            self.process = subprocess.Popen(
                [binary, *arguments, "-chardev", f"socket,id=monitor,fd={theirs.fileno()}", "-mon", "chardev=monitor,mode=control"],
                pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL, stdout=out, stderr=out)
        ours.settimeout(DEADLINE)
        self.socket = ours
        self.stream = ours.makefile("rwb")
        self.events = []
        self._read()
        self.call("qmp_capabilities")

    def _read(self):
        line = self.stream.readline()
        if not line:
            raise Refused("QEMU closed its monitor")
        return json.loads(line)

    def call(self, command, **arguments):
        message = {"execute": command, "arguments": {name.replace("_", "-"): value for name, value in arguments.items()}}
        self.stream.write(json.dumps(message).encode() + b"\n")
        self.stream.flush()
        while True:
            reply = self._read()
            if "event" in reply:
                self.events.append(reply)
            elif "error" in reply:
                raise Refused(f"{command}: {reply['error']['desc']}")
            else:
                return reply["return"]

    def wait(self, name, **data):
        """The first event of this name and data, since the start or still to come."""
        seen = 0
        while True:
            for event in self.events[seen:]:
                if event["event"] == name and all(event.get("data", {}).get(key) == value for key, value in data.items()):
                    return event
                if event["event"] == "MIGRATION" and event["data"]["status"] == "failed":
                    raise Refused(str(self.call("query-migrate").get("error-desc")))
            seen = len(self.events)
            message = self._read()
            if "event" in message:
                self.events.append(message)

    def close(self):
        self.process.kill()
        self.process.wait(DEADLINE)
        self.stream.close()
        self.socket.close()


def common_arguments(machine, accel, memory_mib, image, serial):
    node = {"driver": "raw", "node-name": "disk", "read-only": True, "file": {"driver": "file", "filename": image}}
    return ["-S", "-no-user-config", "-nodefaults", "-display", "none", "-machine", f"{machine},accel={accel}", "-cpu", "qemu64",
            "-m", str(memory_mib), "-uuid", UUID, "-blockdev", json.dumps(node), "-device", "virtio-blk-pci,drive=disk,bootindex=1",
            "-chardev", f"file,id=serial,path={serial}", "-serial", "chardev:serial"]


def set_up(qemu, capabilities):
    known = {entry["capability"] for entry in qemu.call("query-migrate-capabilities")}
    qemu.call("migrate-set-capabilities",
              capabilities=[{"capability": name, "state": True} for name in capabilities if name in known])


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_ready(serial):
    """A file tells nobody that it has grown: it is looked at."""
    end = time.monotonic() + DEADLINE
    while not (os.path.exists(serial) and os.path.getsize(serial) >= len(READY)):
        if time.monotonic() > end:
            raise TimeoutError("the guest did not say that it is ready")
        time.sleep(0.01)


def stamp(event):
    return event["timestamp"]["seconds"] * 1000 + event["timestamp"]["microseconds"] / 1000


def move(source, destination):
    """Migrates and lets the guest go on; the figures."""
    common = ["events", "return-path", "validate-uuid"]
    set_up(source, common + ["pause-before-switchover"])
    set_up(destination, common + ["late-block-activate"])
    source.call("migrate-set-parameters", max_bandwidth=0)
    address = f"tcp:127.0.0.1:{free_port()}"
    destination.call("migrate-incoming", uri=address)
    begin = time.monotonic()
    source.call("migrate", uri=address)
    source.wait("MIGRATION", status="pre-switchover")
    source.call("migrate-continue", state="pre-switchover")
    source.wait("MIGRATION", status="completed")
    destination.wait("MIGRATION", status="completed")
    destination.call("cont")
    wall = time.monotonic() - begin
    stop = source.wait("STOP")
    resume = destination.wait("RESUME")
    said = source.call("query-migrate")
    return {"total_ms": said["total-time"], "wall_ms": round(wall * 1000, 1), "downtime_ms": said["downtime"],
            "stop_to_resume_ms": round(stamp(resume) - stamp(stop), 1), "transferred": said["ram"]["transferred"],
            "iterations": said["ram"]["dirty-sync-count"]}


def measure(options, dirty_mib):
    with tempfile.TemporaryDirectory(prefix="invar-move.") as folder:
        image = os.path.join(folder, "boot.raw")
        with open(image, "wb") as file:
            file.write(boot_sector(options.memory, dirty_mib).ljust(IMAGE, b"\0"))
        sides = []
        try:
            for name, binary, more in (("from", options.qemu, []), ("to", options.to, ["-incoming", "defer"])):
                serial = os.path.join(folder, name + ".serial")
                arguments = common_arguments(options.machine, options.accel, options.memory, image, serial)
                sides.append(Qemu(binary, os.path.join(folder, name + ".log"), arguments + more))
            sides[0].call("cont")
            wait_for_ready(os.path.join(folder, "from.serial"))
            # What stopped and started before is not the migration's.
            sides[0].events.clear()
            return move(*sides)
        finally:
            for side in sides:
                side.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--qemu", default=shutil.which("qemu-system-x86_64"))
    parser.add_argument("--to", help="the destination's QEMU, where it is another")
    parser.add_argument("--accel", default="tcg")
    parser.add_argument("--machine", default="pc-q35-7.2")
    parser.add_argument("--memory", type=int, default=512, help="MiB")
    parser.add_argument("--dirty", type=int, default=32, help="MiB that the dirtying guest writes to for ever")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    options.to = options.to or options.qemu
    if not options.qemu:
        print("no qemu-system-x86_64", file=sys.stderr)
        return 77
    if not 0 < options.dirty < options.memory - 3:
        parser.error("--dirty must be smaller than --memory")
    for number in range(options.rounds):
        for guest, dirty_mib in (("idle", 0), ("dirtying", options.dirty)):
            figures = {"who": "qemu", "guest": guest, "round": number, "memory_mib": options.memory, "dirty_mib": dirty_mib}
            figures.update(measure(options, dirty_mib))
            print(json.dumps(figures), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
