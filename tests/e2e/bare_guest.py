# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU without any daemon, stopped at first, whose firmware is the witness: what it reports, and what its guest reads."""
import socket
import subprocess

import harness
import witness

# On an idle machine such a guest is there and has printed its round within 60 ms.
DEADLINE = 30


def make_firmware(path):
    """Makes the file @path; returns its name."""
    harness.need_witness()
    with open(harness.WITNESS_IMAGE, "rb") as image, open(path, "wb") as rom:
        rom.write(witness.firmware(image.read()))
    return path


class Guest:
    """A QEMU with -S and the witness as its firmware."""

    def __init__(self, rom, machine, cpu):
        monitor, their_monitor = socket.socketpair()
        serial, their_serial = socket.socketpair()
        self.process = subprocess.Popen(
            [harness.QEMU, "-S", "-machine", machine, "-accel", "tcg", "-cpu", cpu, "-m", "16", "-nodefaults",
             "-no-user-config", "-display", "none", "-bios", rom,
             "-chardev", f"socket,id=monitor,fd={their_monitor.fileno()}", "-mon", "chardev=monitor,mode=control",
             "-chardev", f"socket,id=serial,fd={their_serial.fileno()}", "-serial", "chardev:serial"],
            pass_fds=[their_monitor.fileno(), their_serial.fileno()], stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        their_monitor.close()
        their_serial.close()
        monitor.settimeout(DEADLINE)
        serial.settimeout(DEADLINE)
        self.what = f"-machine {machine} -cpu {cpu}"
        self.serial = serial
        self.monitor = monitor
        self.qmp = monitor.makefile("rw")

    def __enter__(self):
        self.qmp.readline()
        harness.ask(self.qmp, "qmp_capabilities")
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.qmp.close()
        self.monitor.close()
        self.serial.close()

    def dry_run(self):
        """(names that QEMU says it filters, its feature words as {(leaf, sub-leaf, register): bits})."""
        words = {}
        for word in self.property("feature-words"):
            words[(word["cpuid-input-eax"], word.get("cpuid-input-ecx", 0), word["cpuid-register"].lower())] = word["features"]
        return self.property("unavailable-features"), words

    def property(self, name):
        """A QOM property of CPU 0."""
        path = harness.ask(self.qmp, "query-cpus-fast")[0]["qom-path"]
        return harness.ask(self.qmp, "qom-get", path=path, property=name)

    def printed(self):
        """The guest's round, as bytes."""
        harness.ask(self.qmp, "cont")
        log = b""
        while not witness.rounds(log):
            try:
                chunk = self.serial.recv(65536)
            except TimeoutError as error:
                raise TimeoutError(f"the witness of {self.what} got no further than {log[-200:]!r}") from error
            if not chunk:
                raise AssertionError(f"QEMU {self.what} ended before the witness did: {log[-200:]!r}")
            log += chunk
        return witness.rounds(log)[0]
