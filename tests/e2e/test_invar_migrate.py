#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""invar migrate as a person uses it: what it moves, shows and says, and what a Ctrl-C leaves."""
import json
import os
import pty
import select
import signal
import subprocess
import sys
import time

import harness
import migration

sys.path.insert(0, os.path.join(harness.TOP_SRCDIR, "tests/bench"))
import bare_migration  # noqa: E402

CPU = harness.relaxed("qemu64")
# MiB/s, of a guest that changes its memory faster.
SPEED = 8


class Moving:
    """An `invar migrate` under way, on a terminal of its own or with pipes."""

    def __init__(self, pair, name, *options, terminal=False):
        self.control = None
        command = [harness.find_binary("invar"), "migrate", name, pair.destination.uri, "--migrateuri", "tcp:127.0.0.1",
                   "--xml", pair.destination_xml(name), *options]
        errors = subprocess.PIPE
        if terminal:
            self.control, errors = pty.openpty()
        self.process = subprocess.Popen(command, env=pair.source.env, cwd=pair.source.folder, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.PIPE, stderr=errors, text=not terminal)
        if terminal:
            os.close(errors)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(20)
        if self.control is not None:
            os.close(self.control)

    def screen(self, until, seconds=30):
        """What the terminal was sent until those words came, or until the end."""
        shown = b""
        deadline = time.monotonic() + seconds
        while until is None or until.encode() not in shown:
            ready, _, _ = select.select([self.control], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                raise AssertionError(f"{until!r} did not come: {shown!r}")
            try:
                part = os.read(self.control, 65536)
            except OSError:
                part = b""
            if not part:
                break
            shown += part
        return shown.decode()

    def end(self, seconds=60):
        """Exit status and what was written to the two streams, of one without a terminal."""
        output, errors = self.process.communicate(timeout=seconds)
        return self.process.returncode, output, errors


def start_busy(pair, name):
    """A guest that writes to its memory faster than its migration may send it: that goes on until something is done."""
    with open(pair.source.path(name + ".img"), "wb") as file:
        file.write(bare_migration.boot_sector(64, 16).ljust(bare_migration.IMAGE, b"\0"))
    pair.define(name, cpu=CPU)
    pair.source.invar("start", name)
    bare_migration.wait_for_ready(pair.source.serial(name))
    pair.source.invar("migrate-setspeed", name, str(SPEED))


def sends(pair, name):
    """The guest's memory is on its way."""
    return pair.source.invar_json("domjobinfo", name).get("memory_total", 0) > 0


def check_states(pair, name, source, destination):
    states = pair.states(name)
    assert states[0].startswith(source) and states[1].startswith(destination), states
    counts = [len(pair.qemus(daemon, name)) for daemon in (pair.source, pair.destination)]
    assert counts == [int(state != "none" and state != "shut off") for state in (source, destination)], counts


def test_direct():
    """a guest moves, and nothing is said of it; --json says it"""
    with migration.Pair() as pair:
        before = pair.start("one", cpu=CPU)
        result = pair.migrate("one", "--live", client="invar")
        assert result.stdout.strip() == "" and result.stderr.strip() == "", result
        pair.check_moved("one", before)
        figures = pair.source.invar_json("domjobinfo", "one", "--completed")
        assert figures["type"] == "Completed" and figures["operation"] == "Outgoing migration" and figures["success"], figures
        before = pair.start("two", cpu=CPU)
        answer = json.loads(pair.migrate("two", "--live", "--json", client="invar").stdout)
        assert answer["domain"] == "two" and "migrated" in answer["message"], answer
        pair.check_moved("two", before)


def test_peer_to_peer():
    """--p2p: the source leads, and the client waits"""
    with migration.Pair() as pair:
        before = pair.start("one", cpu=CPU)
        pair.migrate("one", "--live", "--p2p", client="invar")
        pair.check_moved("one", before)


def test_options():
    """--persistent, --undefinesource, --dname and --suspend do what they do with virsh"""
    with migration.Pair() as pair:
        pair.start("one", cpu=CPU)
        pair.migrate("one", "--live", "--persistent", "--undefinesource", "--suspend", "--dname", "other", client="invar")
        assert pair.state(pair.source, "one") == "none"
        assert pair.state(pair.destination, "other").startswith("paused")
        assert pair.destination.invar("list", "--all", "--persistent", "--name").stdout.split() == ["other"]


def test_offline():
    """--offline moves the definition alone"""
    with migration.Pair() as pair:
        pair.define("one", cpu=CPU)
        pair.migrate("one", "--offline", "--persistent", client="invar", state=None)
        assert pair.state(pair.destination, "one").startswith("shut off")
        assert not pair.qemus(pair.source, "one") and not pair.qemus(pair.destination, "one")


def test_verbose():
    """--verbose counts, wherever standard error goes"""
    with migration.Pair() as pair:
        before = pair.start("one", cpu=CPU)
        result = pair.migrate("one", "--live", "--verbose", client="invar")
        assert result.stderr.endswith("Migration: [100 %]\n"), result.stderr
        pair.check_moved("one", before)


def test_bar():
    """a terminal gets a bar that grows, and its last line is full"""
    with migration.Pair() as pair:
        start_busy(pair, "one")
        with Moving(pair, "one", "--live", terminal=True) as moving:
            shown = moving.screen("to go")
            assert "Migration: [" in shown and "/s, pass " in shown, shown
            pair.source.invar("migrate-setspeed", "one", "0")
            rest = moving.screen(None)
            assert moving.process.wait(30) == 0, rest
            assert "100 %" in rest and "#" * 24 in rest, rest
        check_states(pair, "one", "shut off", "running")


def test_interrupt():
    """Ctrl-C aborts the migration: the guest goes on where it was, and the next attempt works"""
    with migration.Pair() as pair:
        start_busy(pair, "one")
        for options in (["--live"], ["--live", "--p2p"]):
            with Moving(pair, "one", *options) as moving:
                harness.wait_for(lambda: sends(pair, "one"), "the job")
                moving.process.send_signal(signal.SIGINT)
                status, output, errors = moving.end(30)
            assert status == 1 and output.strip() == "", (status, output)
            assert "abort" in errors.lower() or "cancel" in errors.lower(), errors
            check_states(pair, "one", "running", "none")
            assert pair.source.invar_json("domjobinfo", "one")["type"] == "None"
        pair.source.invar("migrate-setspeed", "one", "0")
        pair.migrate("one", "--live", client="invar")
        check_states(pair, "one", "shut off", "running")


def test_domjobabort():
    """domjobabort from elsewhere: the client says that it was cancelled, and the statistics too"""
    with migration.Pair() as pair:
        start_busy(pair, "one")
        with Moving(pair, "one", "--live") as moving:
            harness.wait_for(lambda: sends(pair, "one"), "the job")
            pair.source.virsh("domjobabort", "one")
            status, _, errors = moving.end(30)
        assert status == 1 and "cancel" in errors, (status, errors)
        check_states(pair, "one", "running", "none")
        assert pair.source.invar_json("domjobinfo", "one", "--completed")["type"] == "Cancelled"


def test_destroy():
    """a destroy comes through a migration at once, and ends it"""
    with migration.Pair() as pair:
        start_busy(pair, "one")
        with Moving(pair, "one", "--live") as moving:
            harness.wait_for(lambda: sends(pair, "one"), "the job")
            started = time.monotonic()
            pair.source.invar("destroy", "one")
            assert time.monotonic() - started < 20
            status, _, errors = moving.end(30)
        assert status == 1 and errors.startswith("error:"), (status, errors)
        check_states(pair, "one", "shut off", "none")


def test_timeout():
    """--timeout suspends the guest, which arrives all the same"""
    with migration.Pair() as pair:
        start_busy(pair, "one")
        with Moving(pair, "one", "--live", "--timeout", "1") as moving:
            # Busy as it is, nothing else ends it.
            status, _, errors = moving.end()
        assert status == 0, errors
        check_states(pair, "one", "shut off", "running")


def test_postcopy():
    """--timeout-postcopy, --postcopy-after-precopy and migrate-postcopy end a migration that would not"""
    for options in (["--timeout", "1", "--timeout-postcopy"], ["--postcopy-after-precopy"], None):
        with migration.Pair() as pair:
            start_busy(pair, "one")
            with Moving(pair, "one", "--live", "--postcopy", *(options or [])) as moving:
                if not options:
                    harness.wait_for(lambda: sends(pair, "one"), "the job")
                    pair.source.invar("migrate-postcopy", "one")
                # Busy as it is, nothing else ends it.
                status, _, errors = moving.end()
            assert status == 0, errors
            check_states(pair, "one", "shut off", "running")


def test_events():
    """invar event hears of passes while the migration runs, and of the figures at its end"""
    with migration.Pair() as pair:
        pair.start("one", cpu=CPU)
        path = pair.source.path("heard")

        def heard():
            with open(path, encoding="utf-8") as file:
                return file.read()

        def registered():
            pair.source.invar("suspend", "one")
            pair.source.invar("resume", "one")
            return "Suspended Paused" in heard()

        with open(path, "w", encoding="utf-8") as file:
            watcher = subprocess.Popen([harness.find_binary("invar"), "event", "--all", "--loop", "--timeout", "60"],
                                       env=pair.source.env, stdin=subprocess.DEVNULL, stdout=file)
        try:
            harness.wait_for(registered, "the first event", step=0.2)
            pair.migrate("one", "--live", client="invar")
            harness.wait_for(lambda: "\tsuccess: yes" in heard(), "the job's completion")
        finally:
            watcher.terminate()
            watcher.wait(20)
        text = heard()
        assert "event 'migration-iteration' for domain 'one': iteration: '1'" in text, text
        assert "event 'job-completed' for domain 'one':\n\toperation: 5\n" in text, text


BAD = [
    ("two ways at once", ["--live", "--offline"], 2, "--live and --offline are mutually exclusive"),
    ("a timeout without --live", ["--timeout", "5"], 2, "Unexpected timeout for offline migration"),
    ("a timeout's action alone", ["--timeout-suspend"], 2, "without --timeout"),
    ("--tunnelled without --p2p", ["--tunnelled"], 2, "without using peer2peer"),
    ("--direct", ["--direct"], 2, "not supported by QEMU"),
    ("a bandwidth that is none", ["--bandwidth", "fast"], 2, "'fast' for <bandwidth> option is malformed"),
    ("an empty disk", ["--migrate-disks", "vda,,vdb"], 2, "empty part"),
    ("a file that is not there", ["--persistent", "--persistent-xml", "/nowhere.xml"], 2, "/nowhere.xml"),
    ("postcopy after nothing", ["--postcopy-after-precopy"], 2, "--postcopy is required by option --postcopy-after-precopy"),
]


def test_bad_options(daemon):
    """what cannot be meant is refused before anybody is asked"""
    for name, options, status, words in BAD:
        result = daemon.invar("migrate", "one", "qemu:///system", *options, check=False)
        assert result.returncode == status and words in result.stderr, f"{name}: {result}"


def test_bad_destinations(daemon):
    """a destination that is not there, or is no URI, leaves the guest where it is"""
    daemon.invar("create", daemon.write("one.xml", harness.domain_xml("one", CPU)))
    for uri, words in (("qemu+unix:///session?socket=/nowhere", "/nowhere"), ("qemu+tls://host/system", "not supported"),
                       ("nonsense", "nonsense"), ("qemu+tcp://127.0.0.1:1/system", "127.0.0.1")):
        result = daemon.invar("migrate", "one", uri, "--live", check=False)
        assert result.returncode in (1, 2) and words in result.stderr, (uri, result)
        assert daemon.invar("domstate", "one").stdout.strip() == "running"
        assert daemon.invar_json("domjobinfo", "one") == {"type": "None"}


if __name__ == "__main__":
    harness.main()
