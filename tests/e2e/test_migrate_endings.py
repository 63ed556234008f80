# SPDX-License-Identifier: LGPL-2.1-or-later
"""A daemon that an administrator ends while a guest is on its way: nothing of the migration is left, on either side."""
import contextlib
import os
import signal
import subprocess
import time

import harness
import migration

CPU = harness.relaxed("Skylake-Client")
# How long the end of a daemon may take.
QUICK = 6
_pair = None


def pair():
    global _pair
    if not _pair:
        _pair = migration.Pair(migration.ONE_EMULATOR, migration.ONE_EMULATOR)
    return _pair


@contextlib.contextmanager
def guest(name):
    both = pair()
    before = both.start(name, cpu=CPU)
    try:
        yield both, before
    finally:
        for daemon in (both.source, both.destination):
            if not daemon.running():
                daemon.start()
            with contextlib.suppress(Exception):
                daemon.reset()


def end(daemon):
    began = time.monotonic()
    daemon.stop()
    assert time.monotonic() - began < QUICK, f"its end took {time.monotonic() - began:.1f} s: {daemon.log_tail()}"


def begin(both, name, *options):
    """virsh migrate, not waited for."""
    state = [] if "--tunnelled" in options else ["--migrateuri", "tcp:127.0.0.1"]
    xml = both.destination_xml(name, own_disks="--copy-storage-all" in options)
    return subprocess.Popen(["virsh", "-c", both.source.uri, "migrate", name, both.destination.uri, *state, "--xml", xml, *options],
                            env=both.source.env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def is_sending(both, name):
    """Bytes of the guest move."""
    text = both.source.virsh("domjobinfo", name, check=False).stdout
    return "Memory processed" in text and "Memory processed: 0.000" not in " ".join(text.split())


STYLES = [("direct", ["--live"]), ("p2p", ["--live", "--p2p"]), ("tunnelled", ["--live", "--p2p", "--tunnelled"]), ("not live", [])]


@harness.rows([{"name": f"{style}, the {side}'s", "options": options, "side": side}
               for style, options in STYLES for side in ("source", "destination")])
def test_while_sending(row):
    """a daemon ends while a guest is sent: it runs on at its source, and moves when both are there again"""
    with guest("settled") as (both, before):
        client = begin(both, "settled", "--bandwidth", "1", *row["options"])
        harness.wait_for(lambda: is_sending(both, "settled"), "the first bytes")
        daemon = getattr(both, row["side"])
        end(daemon)
        _, errors = client.communicate(timeout=20)
        assert client.returncode == 1 and errors, errors
        harness.wait_for(lambda: not both.qemus(both.destination, "settled"), "the end of the destination's QEMU")
        daemon.start()
        both.check_stayed("settled", before)
        assert both.states("settled")[1] == "none", both.states("settled")
        assert "no job" in both.source.virsh("domjobabort", "settled", check=False).stderr
        both.migrate("settled", "--live")
        both.check_moved("settled", before)


@harness.rows([{"name": f"the {side}'s", "side": side} for side in ("source", "destination")])
def test_while_copying(row):
    """a daemon ends while a disk is copied: the copy is gone, and the next one is whole"""
    with guest("copied") as (both, before):
        disk = both.source.path("copied.img")
        with open(disk, "ab") as file:
            file.truncate(64 << 20)
            file.seek(8 << 20)
            file.write(b"x" * (32 << 20))
        both.source.virsh("destroy", "copied")
        both.source.virsh("start", "copied")
        client = begin(both, "copied", "--live", "--copy-storage-all", "--bandwidth", "2")
        harness.wait_for(lambda: os.path.exists(both.destination.path("copied.img")), "the copy")
        harness.wait_for(lambda: "File processed" in both.source.virsh("domjobinfo", "copied", check=False).stdout, "the first blocks")
        daemon = getattr(both, row["side"])
        end(daemon)
        _, errors = client.communicate(timeout=20)
        assert client.returncode == 1 and errors, errors
        daemon.start()
        harness.wait_for(lambda: not both.qemus(both.destination, "copied"), "the end of the destination's QEMU")
        assert not os.path.exists(both.destination.path("copied.img")), "the copy is left"
        both.migrate("copied", "--live", "--copy-storage-all")
        harness.wait_for(lambda: both.states("copied")[1].startswith("running"), "the guest there")
        both.destination.virsh("destroy", "copied")
        both.source.run("cmp", disk, both.destination.path("copied.img"))
        os.unlink(both.destination.path("copied.img"))


@harness.rows([{"name": f"{style}, the {side}'s", "options": options, "side": side}
               for style, options in STYLES[:3] for side in ("source", "destination")])
def test_before_the_end(row):
    """a daemon ends when all was sent and nothing is decided: the other side's answer counts, and one of both runs it"""
    with guest("torn") as (both, before):
        client = begin(both, "torn", "--bandwidth", "4", *row["options"])
        harness.wait_for(lambda: both.state(both.destination, "torn").startswith("paused"), "who waits for the guest")
        # Finish waits in it, and an answer to the source, too.
        both.destination.process.send_signal(signal.SIGSTOP)
        try:
            harness.wait_for(lambda: both.state(both.source, "torn") == "paused (migrating)", "the guest's standstill", 30)
            time.sleep(0.5)
            if row["side"] == "source":
                end(both.source)
            else:
                both.destination.process.terminate()
        finally:
            both.destination.process.send_signal(signal.SIGCONT)
        if row["side"] == "source":
            both.source.start()
        else:
            assert both.destination.process.wait(QUICK) == 0
            both.destination.start()
        client.communicate(timeout=30)

        def decided():
            states = both.states("torn")
            return sum(state.startswith("running") for state in states) == 1 and "paused" not in "".join(states)
        harness.wait_for(decided, f"the guest on one side: {both.states('torn')}", 30)
        if both.states("torn")[1].startswith("running"):
            harness.wait_for(lambda: not both.qemus(both.source, "torn"), "the end of the source's QEMU")
            both.check_moved("torn", before)
        else:
            both.check_stayed("torn", before)


def test_leftovers():
    """both daemons are as they were: no process, no port"""
    pair().close()


if __name__ == "__main__":
    harness.main()
