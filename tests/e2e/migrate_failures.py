# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What the tests of migrations that fail half-way share: a pair of daemons with one guest that is
healthy before and after every case, a gate in the way of its state, and what must be true at the end
of each: one runnable guest with the CPU that it had, and nothing half done on either side.
"""
import contextlib
import os
import socket
import sqlite3
import subprocess
import threading
import time

import harness
import migration
import witness

CPU = harness.relaxed("Skylake-Client")
NAME = "g"
# As in store/store.h.
OUT, IN = 0, 1
FINISHED, CANCELLED, SENDING, UNDECIDED = 2, 3, 4, 5
FIRST_PORT, LAST_PORT = 49152, 49215

# By libvirt's client, of a connection that it gave up itself.
CLIENTS_OWN = "internal error: connection closed due to keepalive timeout"

DIRECT = ["--live"]
P2P = ["--live", "--p2p"]
STYLES = {"direct": DIRECT, "p2p": P2P}


class Gate:
    """
    In the way of the state: listens where the source sends it, passes it on to where the destination
    listens. Closed, it holds what comes; cut, both ends lose their connection.
    """

    def __init__(self, after=None, back=None, corrupt=None, cut=None):
        """@after, @back: bytes after which it closes, of either direction; @corrupt, @cut: of the first."""
        self.after, self.back, self.corrupt, self.cut_at = after, back, corrupt, cut
        self.passed = [0, 0]
        self.held = threading.Event()
        self.opened = threading.Event()
        self.ends = []
        self.listener = socket.socket()
        # Little fits on the way: the source still has the rest.
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(8)
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self.serve, daemon=True)
        self.thread.start()

    @property
    def options(self):
        return ["--migrateuri", f"tcp:127.0.0.1:{self.port}", "--listen-address", "127.0.0.2"]

    def serve(self):
        with contextlib.suppress(OSError):
            while True:
                near, _ = self.listener.accept()
                try:
                    far = socket.create_connection(("127.0.0.2", self.port), 5)
                except OSError:
                    near.close()
                    continue
                far.settimeout(None)
                self.ends += [near, far]
                for one, other, direction in ((near, far, 0), (far, near, 1)):
                    threading.Thread(target=self.carry, args=(one, other, direction), daemon=True).start()

    def carry(self, one, other, direction):
        with contextlib.suppress(OSError):
            while True:
                limit = (self.after, self.back)[direction]
                if limit is not None and self.passed[direction] >= limit and not self.opened.is_set():
                    self.held.set()
                    self.opened.wait()
                data = one.recv(4096)
                if not data and direction == 0:
                    other.shutdown(socket.SHUT_WR)
                    return
                if not data:
                    break
                at = self.passed[direction]
                if direction == 0 and self.corrupt is not None and at <= self.corrupt < at + len(data):
                    data = bytes(byte ^ 0xA5 for byte in data)
                self.passed[direction] += len(data)
                other.sendall(data)
                if direction == 0 and self.cut_at is not None and self.passed[0] >= self.cut_at:
                    self.cut()
                    return
        # Who received it has closed, or is dead.
        if direction == 1:
            self.cut()

    def wait_held(self):
        assert self.held.wait(20), f"the state did not come: {self.passed} bytes passed"

    def open(self):
        self.opened.set()

    def cut(self):
        for end in self.ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def close(self):
        self.open()
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.cut()

    def __enter__(self):
        return self

    def __exit__(self, kind, value, trace):
        self.close()


class Field(migration.Pair):
    """A pair with the guest NAME, which is on `source` whenever a case begins."""

    def __init__(self, source="", destination="", **options):
        super().__init__(source + "\n" + migration.ONE_EMULATOR, destination + "\n" + migration.ONE_EMULATOR, **options)
        self.before = None
        self.defined = None

    def ready(self):
        """As every case finds it."""
        for daemon in (self.source, self.destination):
            if not daemon.running():
                daemon.start()
        if not self.state(self.source, NAME).startswith("running"):
            self.renew()
        self.defined = [self.definitions(daemon) for daemon in (self.source, self.destination)]

    def renew(self):
        """A guest from the beginning, after it was lost."""
        for daemon in (self.source, self.destination):
            daemon.reset()
        self.before = self.start(NAME, cpu=CPU)
        self.check_clean(self.source)

    @staticmethod
    def definitions(daemon):
        return set(daemon.virsh("list", "--all", "--persistent", "--name").stdout.split())

    # A migration.

    def attempt(self, *options, gate=None):
        """virsh migrate, begun."""
        arguments = ["virsh", "-c", self.source.uri, "migrate", NAME, self.destination.uri, *options,
                     *(gate.options if gate else ["--migrateuri", "tcp:127.0.0.1"]), "--xml", self.destination_xml(NAME)]
        return subprocess.Popen(arguments, env=self.source.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True)

    @staticmethod
    def failed(client, *words, seconds=60, gone=False):
        """
        The client's error, which says each of @words and is nobody's internal one. @gone: the domain is not
        there any more; virsh 9.0, which asks after its job meanwhile, may end by that before its error comes.
        """
        output, errors = client.communicate(timeout=seconds)
        assert client.returncode != 0, f"the migration succeeded: {output}"
        if gone and not errors.strip():
            return errors
        assert "error:" in errors and "internal error" not in errors.replace(CLIENTS_OWN, ""), errors
        for word in words:
            assert word in errors, f"{errors!r} does not say {word!r}"
        return errors

    @staticmethod
    def succeeded(client, seconds=60):
        output, errors = client.communicate(timeout=seconds)
        assert client.returncode == 0, f"exit {client.returncode}: {output}{errors}"

    # What must be true at its end.

    def check_ended(self, moved, options=(), seconds=20):
        """All of it, waiting for what is still being brought to order."""
        here, there = (self.destination, self.source) if moved else (self.source, self.destination)
        harness.wait_for(lambda: self.state(here, NAME).startswith("running") and
                         not self.state(there, NAME).startswith(("running", "paused")),
                         f"the guest to be {'at the destination' if moved else 'back'}: {self.states(NAME)}", seconds)
        source, destination = (set(names) for names in self.defined)
        if moved and "--undefinesource" in options:
            source.discard(NAME)
        if moved and "--persistent" in options:
            destination.add(NAME)
        harness.wait_for(lambda: [self.definitions(daemon) for daemon in (self.source, self.destination)] == [source, destination],
                         "the right definitions", 5)
        self.check_clean(here)
        (self.check_moved if moved else self.check_stayed)(NAME, self.before)

    def check_clean(self, here):
        """The guest is at @here; neither side has anything else of it."""
        there = self.destination if here is self.source else self.source
        harness.wait_for(lambda: len(self.qemus(here, NAME)) == 1 and not self.qemus(there, NAME), "one QEMU", 10)
        try:
            harness.wait_for(lambda: not self.leftovers(here, there), "the end of what is left", 10)
        except TimeoutError as error:
            raise AssertionError(f"left of the migration: {self.leftovers(here, there)}") from error

    def leftovers(self, here, there):
        found = []
        for daemon in (here, there):
            with contextlib.closing(sqlite3.connect(f"file:{daemon.store_path}?mode=ro", uri=True)) as store:
                for row in store.execute("SELECT role, phase, running, xml, record FROM migration"):
                    if row[0] != IN or row[1] not in (FINISHED, CANCELLED) or row[2] or row[3] or row[4]:
                        found.append(("migration", daemon.folder, row))
                running = store.execute("SELECT pid, started FROM running").fetchall()
                if running != ([(pid, 1) for pid in self.qemus(daemon, NAME)] if daemon is here else []):
                    found.append(("running", daemon.folder, running))
            job = daemon.virsh("domjobinfo", NAME, check=False).stdout
            if "Unbounded" in job or "Bounded" in job:
                found.append(("job", daemon.folder, job))
            messages = daemon.virsh("dominfo", NAME, check=False).stdout
            if "stands still" in messages or "tried again" in messages:
                found.append(("message", daemon.folder, messages))
        return found + self.ports()

    @staticmethod
    def store_phases(daemon, role=OUT):
        with contextlib.closing(sqlite3.connect(f"file:{daemon.store_path}?mode=ro", uri=True)) as store:
            return [row[0] for row in store.execute("SELECT phase FROM migration WHERE role = ?", (role,))]

    def ports(self):
        """Those of libvirt's range on which a process of these daemons listens."""
        own = set()
        for daemon in (self.source, self.destination):
            for pid in daemon.processes():
                with contextlib.suppress(OSError):
                    for fd in os.listdir(f"/proc/{pid}/fd"):
                        with contextlib.suppress(OSError):
                            own.add(os.readlink(f"/proc/{pid}/fd/{fd}"))
        found = []
        for table in ("/proc/net/tcp", "/proc/net/tcp6"):
            with contextlib.suppress(OSError), open(table, encoding="ascii") as file:
                for line in file.readlines()[1:]:
                    fields = line.split()
                    port = int(fields[1].rsplit(":", 1)[1], 16)
                    if fields[3] == "0A" and FIRST_PORT <= port <= LAST_PORT and f"socket:[{fields[9]}]" in own:
                        found.append(("port", port))
        return found

    def check_next(self):
        """The next attempt works; the guest's new side is the source then."""
        self.succeeded(self.attempt(*P2P))
        self.defined = [self.definitions(daemon) for daemon in (self.source, self.destination)]
        self.check_ended(True)
        self.swap()

    def check_standing_still(self):
        """At the source, whose messages say why, while the destination cannot be asked."""
        harness.wait_for(lambda: self.state(self.source, NAME) == "paused (migrating)",
                         f"the guest to stand still ({self.state(self.source, NAME)})", 30)
        harness.wait_for(lambda: "stands still" in self.source.virsh("dominfo", NAME).stdout, "a message that tells of it", 30)
        result = self.source.virsh("resume", NAME, check=False)
        assert result.returncode != 0 and "until that has ended" in result.stderr, result.stderr

    def wait_sending(self):
        harness.wait_for(lambda: "Unbounded" in self.source.virsh("domjobinfo", NAME, check=False).stdout, "the job")


_field = None


def field():
    """One for the whole file, made anew after a case that failed."""
    global _field
    if not _field:
        _field = Field()
    return _field


@contextlib.contextmanager
def case():
    """One case: begins and ends with a healthy guest."""
    global _field
    both = field()
    try:
        both.ready()
        yield both
        both.check_next()
    except BaseException:
        _field = None
        for daemon in (both.source, both.destination):
            daemon.show_log()
            if daemon.running():
                harness.say(daemon.virsh("dominfo", NAME, check=False).stdout)
        with contextlib.suppress(AssertionError):
            both.close()
        raise


def close():
    """The last test of a file: nothing is left running."""
    if _field:
        # Each side's guest names images in the other's folder.
        for daemon in (_field.source, _field.destination):
            daemon.reset()
        _field.close()


def rounds(daemon):
    with open(daemon.serial(NAME), "rb") as file:
        return len(witness.rounds(file.read()))


def stopped(pid):
    """Is the process stopped by a signal?"""
    with open(f"/proc/{pid}/stat", encoding="ascii") as file:
        return file.read().rsplit(")", 1)[1].split()[0] == "T"


@contextlib.contextmanager
def halted(pid):
    """SIGSTOP, and SIGCONT at the end."""
    os.kill(pid, 19)
    harness.wait_for(lambda: stopped(pid), "a process to stop")
    try:
        yield
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, 18)


def pause(seconds):
    """For what must not happen meanwhile: nothing can be waited for."""
    time.sleep(seconds)
