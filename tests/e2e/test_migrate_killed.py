# SPDX-License-Identifier: LGPL-2.1-or-later
"""A QEMU or the client ends in the middle of a migration, of either style: nothing else does."""
import os
import signal
import subprocess

import harness
import migrate_failures as failures

NAME = failures.NAME
STYLES = [{"name": style, "options": options} for style, options in failures.STYLES.items()]


def rows(what):
    return [dict(row, name=f"{row['name']}: {what}") for row in STYLES]


def kill_qemu(both, daemon):
    (pid,) = both.qemus(daemon, NAME)
    os.kill(pid, signal.SIGKILL)


def check_lost(both):
    """The guest is gone with its QEMU, and both sides say so; another one can be started and moved."""
    harness.wait_for(lambda: both.states(NAME)[0] in ("shut off (crashed)", "none"), "the source to tell of the crash")
    harness.wait_for(lambda: both.states(NAME)[1].startswith(("none", "shut off")), "the destination's end")
    harness.wait_for(lambda: not both.qemus(both.source, NAME) and not both.qemus(both.destination, NAME), "the end of QEMU")
    assert not both.ports(), both.ports()
    both.renew()


@harness.rows(rows("the source's QEMU is killed while it sends"))
def test_source_qemu(row):
    """the source's QEMU is killed while it sends"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*row["options"], gate=gate)
        gate.wait_held()
        kill_qemu(both, both.source)
        both.failed(client, "QEMU", gone=True)
        check_lost(both)


@harness.rows(rows("the destination's QEMU is killed while it receives"))
def test_destination_qemu(row):
    """the destination's QEMU is killed while it receives"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*row["options"], gate=gate)
        gate.wait_held()
        kill_qemu(both, both.destination)
        both.failed(client)
        both.check_ended(False)


@harness.rows(rows("the destination's QEMU is killed when all was sent"))
def test_destination_qemu_at_the_end(row):
    """the destination's QEMU is killed when all was sent, before Finish"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*row["options"], gate=gate)
        gate.wait_held()
        with failures.halted(both.destination.process.pid):
            gate.open()
            harness.wait_for(lambda: both.store_phases(both.source) == [failures.UNDECIDED], "all to be sent")
            kill_qemu(both, both.destination)
        both.failed(client)
        both.check_ended(False)


@harness.rows(rows("the source's QEMU is killed when all was sent"))
def test_source_qemu_at_the_end(row):
    """the source's QEMU is killed when all was sent: the guest goes on at the destination"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*row["options"], gate=gate)
        gate.wait_held()
        with failures.halted(both.destination.process.pid):
            gate.open()
            harness.wait_for(lambda: both.store_phases(both.source) == [failures.UNDECIDED], "all to be sent")
            kill_qemu(both, both.source)
            harness.wait_for(lambda: not both.qemus(both.source, NAME), "QEMU's end")
        both.succeeded(client)
        both.check_ended(True)
        both.swap()


@harness.rows(rows("the destination's QEMU hangs for a second"))
def test_hangs(row):
    """the destination's QEMU hangs for a second: nothing is lost but time"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*row["options"], gate=gate)
        gate.wait_held()
        (pid,) = both.qemus(both.destination, NAME)
        with failures.halted(pid):
            gate.open()
            failures.pause(1)
        both.succeeded(client)
        both.check_ended(True)
        both.swap()


def test_client_while_sending():
    """direct: the client is killed while the state is sent"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*failures.DIRECT, gate=gate)
        gate.wait_held()
        client.kill()
        client.wait()
        both.check_ended(False)


def test_client_p2p():
    """p2p: the client is killed while the state is sent: the daemons go on without it"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*failures.P2P, gate=gate)
        gate.wait_held()
        client.kill()
        client.wait()
        gate.open()
        both.check_ended(True)
        both.swap()


@harness.rows(rows("the client is killed during Prepare"))
def test_client_during_prepare(row):
    """the client is killed during Prepare"""
    with failures.case() as both:
        with failures.halted(both.destination.process.pid):
            client = both.attempt(*row["options"])
            # It has asked what the destination can do, or waits for that answer: the daemon finds both at once.
            failures.pause(0.3)
            client.kill()
            client.wait()
        if row["options"] == failures.DIRECT:
            both.check_ended(False)
        else:
            # The source's daemon drives it on.
            both.check_ended(True)
            both.swap()


def test_client_during_finish():
    """direct: the client is killed when all was sent: the destination decides, and the source follows it"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*failures.DIRECT, gate=gate)
        gate.wait_held()
        with failures.halted(both.destination.process.pid):
            gate.open()
            harness.wait_for(lambda: both.store_phases(both.source) == [failures.UNDECIDED], "all to be sent")
            client.kill()
            client.wait()
            both.check_standing_still()
        # Whether Finish had come before the client went is the destination's to know.
        harness.wait_for(lambda: [state.split()[0] for state in both.states(NAME)].count("running") == 1 and
                         not any(state.startswith("paused") for state in both.states(NAME)), f"one guest: {both.states(NAME)}", 30)
        moved = both.states(NAME)[1].startswith("running")
        both.check_ended(moved)
        if moved:
            both.swap()


def test_abort_undecided():
    """an administrator's domjobabort lets an undecided guest go on while its destination cannot be asked"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        client = both.attempt(*failures.P2P, gate=gate)
        gate.wait_held()
        with failures.halted(both.destination.process.pid):
            gate.open()
            harness.wait_for(lambda: both.store_phases(both.source) == [failures.UNDECIDED], "all to be sent")
            both.destination.kill()
        both.failed(client, "stands still")
        both.check_standing_still()
        both.source.virsh("domjobabort", NAME)
        harness.wait_for(lambda: both.state(both.source, NAME).startswith("running"), "the guest to go on", 30)
        assert "stands still" not in both.source.virsh("dominfo", NAME).stdout
        both.destination.start()
        both.check_ended(False)


def test_destroy_undecided():
    """an administrator's destroy ends an undecided guest; it cannot be started while it may run elsewhere"""
    with failures.case() as both, failures.Gate(after=200000) as gate:
        if NAME not in both.defined[0]:
            both.renew()
            both.ready()
        client = both.attempt(*failures.P2P, gate=gate)
        gate.wait_held()
        with failures.halted(both.destination.process.pid):
            gate.open()
            harness.wait_for(lambda: both.store_phases(both.source) == [failures.UNDECIDED], "all to be sent")
            both.destination.kill()
        both.failed(client, "stands still")
        both.check_standing_still()
        both.source.virsh("destroy", NAME)
        start = subprocess.Popen(["virsh", "-c", both.source.uri, "start", NAME], env=both.source.env, stdin=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL)
        failures.pause(1)
        assert start.poll() is None and not both.qemus(both.source, NAME), "a guest that may run elsewhere was started"
        both.destination.start()
        assert start.wait(40) == 0
        both.check_ended(False)


def test_nothing_left():
    """both daemons end, and nothing is left running"""
    failures.close()


if __name__ == "__main__":
    harness.main()
