# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two daemons that pass for two hosts, for the tests of migration."""
import os
import re
import subprocess
import uuid

import harness
import witness


# The others would be probed beside what a test looks at.
ONE_EMULATOR = f"[emulators]\nfolders=/nonexistent\nbinaries={harness.QEMU}\n"


class Pair:
    """`source` and `destination`: two invards, each with a host uuid of its own."""

    def __init__(self, source="", destination="", **options):
        self.source = harness.Daemon(config=self.config(source), **options)
        try:
            self.destination = harness.Daemon(config=self.config(destination), **options)
        except BaseException:
            self.source.close()
            raise

    @staticmethod
    def config(more):
        return f"[daemon]\nhost_uuid={uuid.uuid4()}\n{more}"

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        # Both, whatever the first one leaves.
        try:
            self.destination.__exit__(kind, value, trace)
        finally:
            self.source.__exit__(kind, value, trace)

    def swap(self):
        self.source, self.destination = self.destination, self.source

    def close(self):
        self.__exit__(None, None, None)

    # Guests.

    def define(self, name, **options):
        self.source.invar("define", self.source.write(name + ".xml", self.source.witness_xml(name, **options)))

    def start(self, name, **options):
        """A witness that has printed what it sees, and goes on printing. Returns that."""
        self.define(name, **options)
        self.source.invar("start", name)
        return self.source.cpuid(name)

    def destination_xml(self, name, change=lambda text: text, own_disks=False):
        """The definition for the destination: its serial line goes to a file of its own, as both hosts are one."""
        text = self.source.virsh("dumpxml", "--migratable", name).stdout
        text = text.replace(self.source.serial(name), self.destination.serial(name))
        if own_disks:
            text = text.replace(self.source.folder + "/", self.destination.folder + "/")
        return self.source.write(name + ".destination.xml", change(text))

    def migrate(self, name, *options, client="virsh", check=True, xml=True, timeout=60, uri=None, state="tcp:127.0.0.1"):
        arguments = ["migrate", name, uri or self.destination.uri, *options]
        if state and "--tunnelled" not in options:
            arguments += ["--migrateuri", state]
        if xml:
            arguments += ["--xml", self.destination_xml(name, own_disks=any("--copy-storage" in option for option in options))]
        return getattr(self.source, client)(*arguments, check=check, timeout=timeout)

    def begin(self, name, *options, **more):
        """The same without waiting for its end: a subprocess.Popen of virsh."""
        arguments = ["virsh", "-c", self.source.uri, "migrate", name, self.destination.uri, "--migrateuri", "tcp:127.0.0.1",
                     "--xml", self.destination_xml(name), *options]
        return subprocess.Popen(arguments, env=self.source.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **more)

    # What must be true afterwards.

    @staticmethod
    def state(daemon, name):
        result = daemon.virsh("domstate", name, "--reason", check=False)
        return result.stdout.strip() if result.returncode == 0 else "none"

    def states(self, name):
        return self.state(self.source, name), self.state(self.destination, name)

    @staticmethod
    def qemus(daemon, name):
        """Those that this daemon has started: both daemons' QEMUs name files of the other's folder."""
        found = {}
        for pid, command in daemon.qemus(name).items():
            try:
                # Its output goes to its own daemon's log.
                if os.readlink(f"/proc/{pid}/fd/2").startswith(daemon.folder + "/"):
                    found[pid] = command
            except OSError:
                pass
        return found

    def check_moved(self, name, before, rounds=2):
        """It runs at the destination alone, prints there, and sees the CPU that it saw before."""
        states = self.states(name)
        assert states[1].startswith("running"), states
        assert not self.qemus(self.source, name), self.qemus(self.source, name)
        assert len(self.qemus(self.destination, name)) == 1, self.qemus(self.destination, name)
        check_same(before, witness.wait_for_round(self.destination.serial(name), 30, rounds))

    def check_stayed(self, name, before):
        """It runs at the source alone, goes on printing there, and sees the CPU that it saw before."""
        states = self.states(name)
        assert states[0].startswith("running"), states
        assert not self.qemus(self.destination, name), self.qemus(self.destination, name)
        assert len(self.qemus(self.source, name)) == 1, self.qemus(self.source, name)
        with open(self.source.serial(name), "rb") as file:
            printed = len(witness.rounds(file.read()))
        check_same(before, witness.wait_for_round(self.source.serial(name), 30, printed + 2))


def watch(daemon):
    """Listens to lifecycle events. Call the result for "Started Migrated" and its like, and to end it."""
    listener = subprocess.Popen(["virsh", "-c", daemon.uri, "event", "--event", "lifecycle", "--loop", "--timeout", "60"],
                                env=daemon.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    # Registering is its first act, and it says nothing when it is done.
    harness.time.sleep(0.5)

    def end():
        listener.send_signal(harness.signal.SIGINT)
        output, _ = listener.communicate(timeout=10)
        return re.findall(r"for domain '[^']*': (.*)$", output, re.MULTILINE)
    return end


def check_same(before, after):
    """Two rounds of the witness tell of one CPU."""
    one, other = witness.decode(before), witness.decode(after)
    changed = [f"{key[0]:#x}.{key[1]:#x}: {one.get(key)} → {other.get(key)}"
               for key in sorted(set(one) | set(other)) if one.get(key) != other.get(key)]
    assert not changed, "the guest's CPU has changed:\n" + "\n".join(changed)
