#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is told of hosts and emulators: from memory while nothing changed, and never a moment longer."""
import concurrent.futures
import os
import shutil
import subprocess
import threading

import harness

WARM_CALLS = 300
CLIENTS = 8


def real_qemu(arch="x86_64"):
    path = shutil.which("qemu-system-" + arch)
    if not path:
        raise harness.Skip(f"qemu-system-{arch} is not installed")
    return path


class CountedEmulator:
    """A program that is QEMU and writes a line for each time it is started."""

    def __init__(self, daemon):
        self.count_path = os.path.join(daemon.folder, "starts")
        self.path = os.path.join(daemon.folder, "qemu-system-x86_64")
        self.write(real_qemu())

    def _text(self, qemu):
        return f"#!/bin/sh\necho >>{self.count_path}\nexec {qemu} \"$@\"\n"

    def write(self, qemu):
        """Another file takes its place, as a package manager does it."""
        with open(self.path + ".new", "w", encoding="utf-8") as file:
            file.write(self._text(qemu))
        os.chmod(self.path + ".new", 0o755)
        os.rename(self.path + ".new", self.path)

    def write_in_place(self, qemu):
        with open(self.path, "r+", encoding="utf-8") as file:
            file.write(self._text(qemu))
            file.truncate()

    def starts(self):
        if not os.path.exists(self.count_path):
            return 0
        with open(self.count_path, encoding="utf-8") as file:
            return len(file.readlines())


def ask(connection, emulator, arch=None, machine="q35", virttype="qemu"):
    return connection.getDomainCapabilities(emulator, arch, machine, virttype, 0)


def test_warm_calls(daemon):
    """domcapabilities: the same text again and again, and no QEMU is started for it, also after a restart"""
    with harness.Daemon() as own:
        emulator = CountedEmulator(own)
        connection = own.connect()
        first = ask(connection, emulator.path)
        started = emulator.starts()
        assert started >= 1, started
        for _ in range(WARM_CALLS):
            assert ask(connection, emulator.path) == first
        assert emulator.starts() == started
        connection.close()
        own.restart()
        connection = own.connect()
        for _ in range(3):
            assert ask(connection, emulator.path) == first
        assert emulator.starts() == started
        connection.close()


def test_capabilities_warm(daemon):
    """capabilities: the same text again and again, and another one once an emulator is gone"""
    with harness.Daemon(config=None, path=None, start=False) as own:
        folder = own.folder + "/emulators"
        os.mkdir(folder)
        emulator = CountedEmulator(own)
        other = real_qemu("i386")
        os.rename(emulator.path, folder + "/qemu-system-x86_64")
        os.symlink(other, folder + "/qemu-system-i386")
        own.config_path = own.folder + "/invard.conf"
        with open(own.config_path, "w", encoding="utf-8") as file:
            file.write(f"[emulators]\nfolders={folder}\n")
        own.start(arguments=("--config", own.config_path))
        connection = own.connect()
        first = connection.getCapabilities()
        assert "<arch name='i686'>" in first and "<arch name='x86_64'>" in first
        started = emulator.starts()
        for _ in range(WARM_CALLS):
            assert connection.getCapabilities() == first
        assert emulator.starts() == started
        os.unlink(folder + "/qemu-system-i386")
        without = connection.getCapabilities()
        assert "<arch name='i686'>" not in without and "<arch name='x86_64'>" in without
        os.symlink(other, folder + "/qemu-system-i386")
        assert connection.getCapabilities() == first
        connection.close()


def test_questions_differ(daemon):
    """machine type and accelerator are told apart; an alias and its canonical name say the same"""
    emulator = real_qemu()
    libvirt = harness.import_libvirt()
    connection = daemon.connect()
    for _ in range(2):
        q35, i440fx, microvm = (ask(connection, emulator, machine=machine) for machine in ("q35", "pc", "microvm"))
        assert len({q35, i440fx, microvm}) == 3
        canonical = q35.split("<machine>")[1].split("<")[0]
        assert canonical.startswith("pc-q35-")
        assert ask(connection, emulator, machine=canonical) == q35
        for wrong in ({"machine": "q53"}, {"virttype": "xen"}, {"arch": "s390x"}):
            try:
                ask(connection, emulator, **wrong)
            except libvirt.libvirtError:
                continue
            raise AssertionError(f"{wrong} was answered")
    connection.close()


def _replaced(change):
    real_qemu("i386")
    with harness.Daemon() as own:
        emulator = CountedEmulator(own)
        connection = own.connect()
        first = ask(connection, emulator.path, machine="pc")
        assert "<arch>x86_64</arch>" in first
        change(emulator, real_qemu("i386"))
        other = ask(connection, emulator.path, machine="pc")
        assert "<arch>i686</arch>" in other, other[:300]
        assert ask(connection, emulator.path, machine="pc") == other
        change(emulator, real_qemu())
        assert ask(connection, emulator.path, machine="pc") == first
        os.chmod(emulator.path, 0o644)
        libvirt = harness.import_libvirt()
        try:
            ask(connection, emulator.path, machine="pc")
            raise AssertionError("what cannot be executed was answered for")
        except libvirt.libvirtError as error:
            assert "executable" in str(error), error
        os.chmod(emulator.path, 0o755)
        assert ask(connection, emulator.path, machine="pc") == first
        connection.close()


def test_binary_replaced(daemon):
    """another file in the emulator's place is another answer, without a restart"""
    _replaced(CountedEmulator.write)


def test_binary_written(daemon):
    """so is another content in the same file"""
    _replaced(CountedEmulator.write_in_place)


def test_refresh(daemon):
    """a refresh on request asks QEMU again, and says the same"""
    with harness.Daemon() as own:
        emulator = CountedEmulator(own)
        connection = own.connect()
        first = ask(connection, emulator.path)
        started = emulator.starts()
        own.invar("emulators", "--refresh", emulator.path)
        assert ask(connection, emulator.path) == first
        assert emulator.starts() > started
        connection.close()


class IsolatedDaemon(harness.Daemon):
    """One whose /dev/kvm can be replaced without anybody else's noticing."""

    def start(self, fault=None, arguments=()):
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(["unshare", "--mount", "--propagation", "private", harness.find_binary("invard"),
                                             "--session", *arguments], env=self.env, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, cwd="/", start_new_session=True)
        self.wait_ready()

    def inside(self, *command):
        return subprocess.run(["nsenter", "--target", str(self.process.pid), "--mount", *command], check=True)


def test_kvm_changes(daemon):
    """/dev/kvm replaced under the running daemon: the next answer knows"""
    if os.geteuid() != 0 or not shutil.which("nsenter") or not os.path.exists("/dev/kvm"):
        raise harness.Skip("needs root, nsenter and a /dev/kvm")
    if subprocess.run(["unshare", "--mount", "true"], check=False, capture_output=True).returncode != 0:
        raise harness.Skip("mounts cannot be separated here")
    libvirt = harness.import_libvirt()
    emulator = real_qemu()
    with IsolatedDaemon() as own:
        connection = own.connect()
        before = connection.getCapabilities()
        default = ask(connection, emulator, virttype=None)
        under_tcg = ask(connection, emulator)
        own.inside("mount", "--bind", "/dev/null", "/dev/kvm")
        assert "<domain>qemu</domain>" in ask(connection, emulator, virttype=None)
        assert "<domain type='kvm'" not in connection.getCapabilities()
        try:
            ask(connection, emulator, virttype="kvm")
            raise AssertionError("KVM is /dev/null, and was answered for")
        except libvirt.libvirtError as error:
            assert "KVM" in str(error), error
        assert ask(connection, emulator) == under_tcg
        own.inside("umount", "/dev/kvm")
        assert ask(connection, emulator, virttype=None) == default
        assert connection.getCapabilities() == before
        connection.close()


def test_stress(daemon):
    """many clients and a binary that is replaced all the time: each answer is one of the two, whole"""
    real_qemu("i386")
    with harness.Daemon() as own:
        emulator = CountedEmulator(own)
        connection = own.connect()
        first = ask(connection, emulator.path, machine="pc")
        emulator.write(real_qemu("i386"))
        second = ask(connection, emulator.path, machine="pc")
        connection.close()
        assert first != second
        stop = threading.Event()

        def replace():
            turn = 0
            while not stop.wait(0.3):
                turn += 1
                emulator.write(real_qemu("i386" if turn % 2 else "x86_64"))

        def work(_):
            client = own.connect()
            texts = {ask(client, emulator.path, machine="pc") for _ in range(150)}
            client.close()
            return texts
        thread = threading.Thread(target=replace)
        thread.start()
        try:
            with concurrent.futures.ThreadPoolExecutor(CLIENTS) as pool:
                texts = set().union(*pool.map(work, range(CLIENTS)))
        finally:
            stop.set()
            thread.join()
        assert texts <= {first, second}, len(texts)
        emulator.write(real_qemu())
        connection = own.connect()
        assert ask(connection, emulator.path, machine="pc") == first
        connection.close()


if __name__ == "__main__":
    harness.main()
