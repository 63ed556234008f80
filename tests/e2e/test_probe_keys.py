#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What an answer depends on: each key changed alone asks again what depends on it, and clients hear of it."""
import os

import harness
from emulators import Counted, Watch, own_daemon, settled


def write_file(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


class Host:
    """A kernel whose every word is a test's own; KVM is played by a QEMU that is given TCG instead."""

    def __init__(self, daemon):
        harness.need_fault_points()
        self.root = daemon.path("host")
        self.write("/proc/sys/kernel/osrelease", "6.1.0-test\n")
        self.write("/proc/cpuinfo", "processor: 0\nvendor_id: GenuineIntel\nmicrocode: 0x1\nflags: fpu\n\n")
        self.write("/sys/devices/system/cpu/cpu0/microcode/version", "0x1\n")
        self.write("/sys/module/kvm/parameters/ignore_msrs", "N\n")
        self.write("/dev/kvm", "")
        daemon.env.update(INVAR_HOST_ROOT=self.root, INVAR_ASSUME_KVM="1")

    def write(self, path, text):
        write_file(self.root + path, text)


PLAY_KVM = "for word; do shift; case \"$word\" in kvm) word=tcg ;; esac; set -- \"$@\" \"$word\"; done"
KVM_QUESTION = "-accel kvm"


def change_microcode(daemon, host):
    host.write("/proc/cpuinfo", "processor: 0\nvendor_id: GenuineIntel\nmicrocode: 0x2\nflags: fpu\n\n")
    host.write("/sys/devices/system/cpu/cpu0/microcode/version", "0x2\n")


def change_parameter(daemon, host):
    host.write("/sys/module/kvm/parameters/ignore_msrs", "Y\n")


def change_kernel(daemon, host):
    """A kernel changes while no program runs."""
    daemon.stop()
    host.write("/proc/sys/kernel/osrelease", "6.2.0-test\n")
    daemon.start()


def load_module(daemon, host):
    host.write("/sys/module/kvm_intel/parameters/nested", "Y\n")


KEYS = [
    {"name": "another microcode asks KVM's tables again, and nothing else", "change": change_microcode, "told": "cpu"},
    {"name": "another module parameter asks KVM's tables again, and nothing else", "change": change_parameter, "told": "kvm"},
    {"name": "another module asks KVM's tables again, and nothing else", "change": load_module, "told": "kvm"},
    {"name": "another kernel asks KVM's tables again, and nothing else", "change": change_kernel, "told": None},
]


def with_kvm(daemon):
    """(host, emulator): one domain under TCG, one under KVM, and all that they need is known."""
    host, emulator = Host(daemon), Counted(daemon, edit=PLAY_KVM)
    daemon.start()
    for virttype in ("qemu", "kvm"):
        daemon.invar("define", daemon.write("d.xml", harness.domain_xml(virttype, harness.relaxed("qemu64"), virttype=virttype)))
    settled(emulator)
    return host, emulator


@harness.rows(KEYS)
def test_key(row):
    with own_daemon(start=False) as daemon:
        host, emulator = with_kvm(daemon)
        known = emulator.starts()
        assert sum(KVM_QUESTION in line for line in known) == 1, known
        if row["told"]:
            with Watch(daemon) as watch:
                watch.wait_for(emulator.path, "known")
                row["change"](daemon, host)
                watch.wait_for(None, "changed", row["told"])
                watch.wait_for(emulator.path, "known", "kvm pc-q35")
        else:
            row["change"](daemon, host)
            harness.wait_for(lambda: len(emulator.starts()) > len(known), "the question under the other kernel")
        settled(emulator)
        fresh = emulator.starts()[len(known):]
        assert len(fresh) == 1 and KVM_QUESTION in fresh[0], fresh


def test_kvm_device():
    """/dev/kvm vanishes, may not be used, and appears: clients hear of each, and what was known holds again"""
    with own_daemon(start=False) as daemon:
        host, emulator = with_kvm(daemon)
        device, known = host.root + "/dev/kvm", emulator.starts()
        works = lambda: {a["name"]: a for a in daemon.invar_json("emulators", emulator.path)[0]["accelerators"]}["kvm"]["works"]
        with Watch(daemon) as watch:
            watch.wait_for(emulator.path, "known")
            os.unlink(device)
            assert "absent" in watch.wait_for(None, "changed", "kvm")["reason"]
            assert not works()
            harness.wait_for(lambda: "kvm" not in daemon.invar("verdict", "qemu", check=False).stderr, "TCG goes on")
            host.write("/dev/kvm", "")
            assert "works" in watch.wait_for(None, "changed", "kvm")["reason"]
            assert works()
            if os.geteuid() != 0:
                os.chmod(device, 0)
                assert "kvm works" not in watch.wait_for(None, "changed", "kvm")["reason"].split("and was")[0]
                assert not works()
                os.chmod(device, 0o600)
                watch.wait_for(None, "changed", "kvm")
        settled(emulator)
        # The same KVM as before: its answers hold.
        assert emulator.starts() == known, emulator.starts()[len(known):]


if __name__ == "__main__":
    harness.main()
