#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Clients that ask about emulators which hang: nobody else waits for them, and the daemon's end takes all with it."""
import os
import shutil
import subprocess
import time

import harness
from emulators import Counted, by_path, own_daemon

# More clients than the daemon has workers (20), on fewer emulators.
CLIENTS, EMULATORS = 30, 6
PROBE_TIMEOUT = 40


class Hung:
    """Emulators that hang behind a script which does not exec, each with several clients that ask about it."""

    def __init__(self, daemon):
        self.daemon = daemon
        folder = daemon.path("hung")
        os.makedirs(folder)
        self.paths = [os.path.join(folder, f"qemu-{number}") for number in range(EMULATORS)]
        for path in self.paths:
            with open(path, "w", encoding="utf-8") as file:
                file.write(f"#!/bin/sh\necho run >> '{path}.log'\nsleep 1000\necho '{path} woke up'\n")
            os.chmod(path, 0o755)
        self.clients = []

    def ask(self):
        command = [harness.find_binary("invar"), "domcapabilities", "--virttype", "qemu", "--emulatorbin"]
        self.clients = [subprocess.Popen(command + [self.paths[number % EMULATORS]], env=self.daemon.env, cwd=self.daemon.folder,
                                         stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                        for number in range(CLIENTS)]
        harness.wait_for(lambda: all(self.runs()), "all of them being asked", 30)

    def runs(self):
        counts = []
        for path in self.paths:
            try:
                with open(path + ".log", encoding="utf-8") as file:
                    counts.append(file.read().count("\n"))
            except FileNotFoundError:
                counts.append(0)
        return counts

    def sleepers(self):
        return [line for line in self.daemon.processes().values() if "sleep 1000" in line or self.daemon.path("hung") in line and "invar" not in line]

    def __enter__(self):
        return self

    def __exit__(self, *ignored):
        for client in self.clients:
            if client.poll() is None:
                client.kill()
            client.communicate(timeout=10)


def test_others_are_served():
    """while thirty clients ask about emulators that hang, another's define, start, list and domcapabilities are answered"""
    with own_daemon(f"probe_timeout={PROBE_TIMEOUT}\n", start=False) as daemon, Hung(daemon) as hung:
        good = Counted(daemon)
        daemon.start()
        document = daemon.write("good.xml", harness.domain_xml("good", harness.relaxed("qemu64"),
                                                               devices=f"<emulator>{good.path}</emulator>"))
        hung.ask()
        before = time.monotonic()
        daemon.invar("define", document)
        daemon.invar("start", "good")
        assert daemon.invar("list", "--name").stdout.split() == ["good"]
        assert good.path in daemon.invar("domcapabilities", "--virttype", "qemu", "--emulatorbin", good.path).stdout
        assert daemon.invar_json("emulators", good.path)[0]["state"] == "known"
        daemon.invar("destroy", "good")
        taken = time.monotonic() - before
        assert taken < PROBE_TIMEOUT / 2, taken
        # Whoever asked for the same waits for the same QEMU.
        assert hung.runs() == [1] * EMULATORS, hung.runs()
        assert not [client for client in hung.clients if client.poll() is not None]
        rows = by_path(daemon.invar_json("emulators"))
        assert rows[good.path]["state"] == "known", rows


def test_capabilities():
    """capabilities wait for no emulator that hangs, and tell of it once it answers"""
    with own_daemon(f"probe_timeout={PROBE_TIMEOUT}\n", start=False) as daemon:
        good = Counted(daemon)
        late = Counted(daemon, "qemu-system-i386", before=f"while ! test -e '{daemon.path('go')}'; do sleep 0.1; done")
        late_real = shutil.which("qemu-system-i386")
        if not late_real:
            raise harness.Skip("qemu-system-i386 is not installed")
        with open(late.path, encoding="utf-8") as file:
            text = file.read().replace(harness.QEMU, late_real)
        with open(late.path, "w", encoding="utf-8") as file:
            file.write(text)
        daemon.start()
        connection = daemon.connect()
        try:
            before = time.monotonic()
            first = connection.getCapabilities()
            assert time.monotonic() - before < PROBE_TIMEOUT / 2, time.monotonic() - before
            assert good.path in first and late.path not in first, first
            daemon.write("go", "")
            harness.wait_for(lambda: late.path in connection.getCapabilities(), "the late one", PROBE_TIMEOUT)
        finally:
            connection.close()


def test_hung_guests():
    """while thirty guests hang before they begin, another client's question that needs a worker is answered"""
    start_timeout = 15
    with own_daemon(f"[qemu]\nstart_timeout={start_timeout}\n", start=False) as daemon:
        # It answers what it can do, and sleeps as a guest.
        emulator = Counted(daemon, before='case "$*" in *guest=hung*) exec sleep 1000 ;; esac')
        daemon.start()
        names = [f"hung{number}" for number in range(CLIENTS)]
        for name in names:
            daemon.invar("define", daemon.write(name + ".xml", harness.domain_xml(
                name, harness.relaxed("qemu64"), devices=f"<emulator>{emulator.path}</emulator>")))
        starts = [subprocess.Popen([harness.find_binary("invar"), "start", name], env=daemon.env, cwd=daemon.folder,
                                   stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
                  for name in names]
        hung = lambda: sum("guest=hung" in line for line in emulator.starts())
        try:
            harness.wait_for(lambda: hung() >= 20, "twenty guests that hang", start_timeout)
            before = time.monotonic()
            daemon.invar("define", daemon.write("other.xml", harness.domain_xml("other", harness.relaxed("qemu64"))))
            assert time.monotonic() - before < start_timeout / 2, time.monotonic() - before
            for start in starts:
                assert start.wait(4 * start_timeout) == 1
        finally:
            for start in starts:
                start.kill()
                start.communicate(timeout=10)
        assert hung() == CLIENTS


def test_end():
    """the daemon's end ends all emulators that are being asked, and what they have started, and answers their clients"""
    with own_daemon(f"probe_timeout={PROBE_TIMEOUT}\n", start=False) as daemon, Hung(daemon) as hung:
        Counted(daemon)
        daemon.start()
        hung.ask()
        assert hung.sleepers()
        before = time.monotonic()
        daemon.stop()
        assert time.monotonic() - before < 10, time.monotonic() - before
        harness.wait_for(lambda: not hung.sleepers(), "the end of all emulators", 5)
        for client in hung.clients:
            assert client.wait(10) != 0
        # Nothing was learnt of them, and nothing is remembered.
        daemon.start()
        assert "not asked to the end" not in daemon.invar("emulators").stdout


def test_restart():
    """what is wrong with an emulator costs a daemon that starts again no process, nor its deadline"""
    with own_daemon("probe_timeout=3\n", start=False) as daemon:
        path = os.path.join(daemon.folder, "emulators", "qemu-system-x86_64")
        with open(path, "w", encoding="utf-8") as file:
            file.write(f"#!/bin/sh\necho run >> '{path}.log'\nexec sleep 1000\n")
        os.chmod(path, 0o755)
        daemon.start()
        error = daemon.invar_json("emulators", "--wait", path)[0]["error"]
        assert "did not greet" in error, error
        harness.wait_for(lambda: daemon.invar_json("emulators", path)[0]["state"] == "failed", "the end of the background's question", 20)
        with open(path + ".log", encoding="utf-8") as file:
            known = file.read()
        daemon.restart()
        before = time.monotonic()
        row = by_path(daemon.invar_json("emulators"))[path]
        assert row["state"] == "failed" and "did not greet" in row["error"], row
        again = daemon.invar("domcapabilities", "--virttype", "qemu", "--emulatorbin", path, check=False)
        assert "did not greet" in again.stderr, again
        assert time.monotonic() - before < 2.5, time.monotonic() - before
        time.sleep(3)
        with open(path + ".log", encoding="utf-8") as file:
            assert file.read() == known
        # Somebody wants to know it anew.
        daemon.invar("emulators", "--refresh", path, check=False)
        with open(path + ".log", encoding="utf-8") as file:
            assert len(file.read()) > len(known)


if __name__ == "__main__":
    harness.main()
