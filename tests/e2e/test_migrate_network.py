# SPDX-License-Identifier: LGPL-2.1-or-later
"""Two daemons on networks of their own, and the wire between them is cut, for a second or for good."""
import contextlib
import os
import shutil
import subprocess

import harness
import migrate_failures as failures

NAME = failures.NAME
ADDRESSES = ("192.0.2.1", "192.0.2.2")
PORT = 16509
LISTEN = "listen_tcp={}:16509\nkeepalive_interval=1\nkeepalive_count=3\n"


def ip(*arguments):
    return subprocess.run(["ip", *arguments], capture_output=True, text=True, check=True).stdout


class Inside(harness.Daemon):
    """A daemon in a network namespace."""
    namespace = None

    def start(self, fault=None, arguments=()):
        env = dict(self.env)
        if fault:
            env["INVAR_FAULT"] = fault
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["nsenter", f"--net=/run/netns/{self.namespace}", harness.find_binary("invard"), "--session", *arguments], env=env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd="/", start_new_session=True)
        self.wait_ready()


class Apart(failures.Field):
    """The pair with a wire between its sides."""

    def __init__(self):
        if os.geteuid() != 0:
            raise harness.Skip("only root can make networks")
        if not shutil.which("ip") or not shutil.which("nsenter"):
            raise harness.Skip("ip or nsenter is not installed")
        self.names = [f"invar{os.getpid()}{side}" for side in "ab"]
        try:
            for name in self.names:
                ip("netns", "add", name)
            ip("link", "add", "wire", "netns", self.names[0], "type", "veth", "peer", "name", "wire", "netns", self.names[1])
        except subprocess.CalledProcessError as error:
            self.remove()
            raise harness.Skip(f"no network can be made here: {error.stderr.strip()}") from error
        for name, address in zip(self.names, ADDRESSES):
            ip("-n", name, "link", "set", "lo", "up")
            ip("-n", name, "addr", "add", f"{address}/24", "dev", "wire")
            ip("-n", name, "link", "set", "wire", "up")
        plain = harness.Daemon
        harness.Daemon = Inside
        try:
            super().__init__(LISTEN.format(ADDRESSES[0]), LISTEN.format(ADDRESSES[1]), start=False)
        finally:
            harness.Daemon = plain
        for daemon, name, address in zip((self.source, self.destination), self.names, ADDRESSES):
            daemon.namespace, daemon.address = name, address
            daemon.start()

    def cut(self):
        """Nothing arrives any more, and nobody is told."""
        ip("-n", self.destination.namespace, "link", "set", "wire", "down")

    def mend(self):
        ip("-n", self.destination.namespace, "link", "set", "wire", "up")
        for name in self.names:
            harness.wait_for(lambda name=name: "state UP" in ip("-n", name, "link", "show", "wire"), "the wire")
            # The kernel remembers for a while that nobody was there.
            ip("-n", name, "neigh", "flush", "dev", "wire")

    def attempt(self, *options, gate=None):
        arguments = ["nsenter", f"--net=/run/netns/{self.source.namespace}", "virsh", "-k", "1", "-K", "3", "-c", self.source.uri, "migrate", NAME,
                     f"qemu+tcp://{self.destination.address}:{PORT}/session", *options, "--migrateuri",
                     f"tcp:{self.destination.address}", "--xml", self.destination_xml(NAME)]
        return subprocess.Popen(arguments, env=self.source.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    def ports(self):
        """In these namespaces nobody else is."""
        found = []
        for name in self.names:
            table = subprocess.run(["nsenter", f"--net=/run/netns/{name}", "cat", "/proc/net/tcp", "/proc/net/tcp6"],
                                   capture_output=True, text=True, check=True).stdout
            for line in table.splitlines():
                fields = line.split()
                if len(fields) > 3 and fields[3] == "0A":
                    port = int(fields[1].rsplit(":", 1)[1], 16)
                    if failures.FIRST_PORT <= port <= failures.LAST_PORT:
                        found.append(("port", port))
        return found

    def remove(self):
        for name in self.names:
            subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)

    def __exit__(self, kind, value, trace):
        with contextlib.suppress(Exception):
            self.mend()
        for daemon in (self.source, self.destination):
            with contextlib.suppress(Exception):
                daemon.reset()
        try:
            super().__exit__(kind, value, trace)
        finally:
            self.remove()


def apart():
    if not failures._field:
        failures._field = Apart()
    return failures.case()


STYLES = [{"name": style, "options": options} for style, options in failures.STYLES.items()]


def rows(what):
    return [dict(row, name=f"{row['name']}: {what}") for row in STYLES]


def begin_slowly(both, options):
    """Begun, and its state is on its way."""
    client = both.attempt(*options)
    harness.wait_for(lambda: both.qemus(both.destination, NAME) and
                     "Memory processed" in both.source.virsh("domjobinfo", NAME, check=False).stdout, "the state to be sent", 20)
    return client


@harness.rows(rows("cut for a second while the state is sent"))
def test_second(row):
    """cut for a second: TCP makes up for it"""
    with apart() as both:
        client = begin_slowly(both, [*row["options"], "--bandwidth", "1"])
        both.cut()
        failures.pause(1)
        both.mend()
        both.succeeded(client)
        both.check_ended(True)
        both.swap()


@harness.rows(rows("cut for good while the state is sent"))
def test_for_good(row):
    """cut for good while the state is sent: each side ends it alone"""
    with apart() as both:
        client = begin_slowly(both, [*row["options"], "--bandwidth", "1"])
        both.cut()
        both.failed(client)
        # Neither waits for the other.
        both.check_ended(False, seconds=30)
        both.mend()


@harness.rows(rows("cut when all was sent, before Finish"))
def test_before_finish(row):
    """cut when all was sent, before Finish: the guest stands still until the destination can be asked"""
    with apart() as both:
        client = begin_slowly(both, [*row["options"], "--bandwidth", "1"])
        with failures.halted(both.destination.process.pid):
            harness.wait_for(lambda: both.store_phases(both.source) == [failures.UNDECIDED], "all to be sent", 20)
            both.cut()
        both.failed(client)
        # The client's own destination is asked by its UNIX socket, which no network is in the way of.
        if row["options"] == failures.P2P:
            both.check_standing_still()
        both.mend()
        harness.wait_for(lambda: not any(state.startswith("paused") for state in both.states(NAME)), "the outcome", 30)
        moved = both.states(NAME)[1].startswith("running")
        both.check_ended(moved)
        if moved:
            both.swap()


def test_after_decision():
    """p2p: cut when the destination has decided and its answer is lost: the source's guest stands still, then it is ended"""
    harness.need_fault_points()
    with apart() as both:
        both.destination.restart("migrate-in-finished")
        client = both.attempt(*failures.P2P)
        both.destination.wait_dead(20)
        both.cut()
        both.destination.start()
        both.failed(client, "stands still")
        both.check_standing_still()
        harness.wait_for(lambda: both.state(both.destination, NAME).startswith("running"), "the guest to run there")
        both.mend()
        both.check_ended(True, seconds=40)
        both.swap()


def test_nothing_left():
    """both daemons end, and nothing is left running"""
    failures.close()


if __name__ == "__main__":
    harness.main()
