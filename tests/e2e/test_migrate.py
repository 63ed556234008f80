# SPDX-License-Identifier: LGPL-2.1-or-later
"""Guests move between two invards by the real virsh: every option does what it says, and the CPU stays."""
import contextlib
import os
import re
import shutil
import subprocess
import time
import xml.etree.ElementTree as tree

import harness
import migration

CPU = harness.relaxed("Skylake-Client")
_pair = None


def pair():
    """One pair for the whole file: a test's guests have a name of their own."""
    global _pair
    if not _pair:
        _pair = migration.Pair(migration.ONE_EMULATOR, migration.ONE_EMULATOR)
    return _pair


@contextlib.contextmanager
def guest(name, **options):
    """A witness on the source, and both sides clean afterwards."""
    both = pair()
    before = both.start(name, cpu=options.pop("cpu", CPU), **options)
    try:
        yield both, before
    finally:
        for daemon in (both.source, both.destination):
            with contextlib.suppress(Exception):
                daemon.reset()


MOVES = [
    {"name": "live", "options": ["--live"]},
    {"name": "not live", "options": []},
    {"name": "p2p", "options": ["--live", "--p2p"]},
    {"name": "persistent", "options": ["--live", "--persistent"], "persistent": True},
    {"name": "undefinesource", "options": ["--live", "--undefinesource"], "source": "none"},
    {"name": "p2p persistent undefinesource", "options": ["--live", "--p2p", "--persistent", "--undefinesource"], "source": "none", "persistent": True},
    {"name": "change-protection abort-on-error", "options": ["--live", "--change-protection", "--abort-on-error"]},
    {"name": "auto-converge", "options": ["--live", "--auto-converge", "--auto-converge-initial", "30"]},
    {"name": "compressed", "options": ["--live", "--compressed"]},
    {"name": "parallel", "options": ["--live", "--parallel", "--parallel-connections", "3"]},
    {"name": "parallel zstd", "options": ["--live", "--parallel", "--compressed", "--comp-methods", "zstd"]},
    {"name": "bandwidth", "options": ["--live", "--bandwidth", "200"]},
    {"name": "copy-storage-all", "options": ["--live", "--copy-storage-all"]},
    {"name": "p2p copy-storage-all", "options": ["--live", "--p2p", "--copy-storage-all"]},
    {"name": "p2p tunnelled", "options": ["--live", "--p2p", "--tunnelled", "--persistent"], "persistent": True},
    {"name": "tunnelled, not live", "options": ["--p2p", "--tunnelled"]},
    {"name": "timeout", "options": ["--live", "--timeout", "60"]},
    {"name": "verbose", "options": ["--live", "--verbose"], "says": "Migration: [100 %]"},
]


@harness.rows(MOVES)
def test_move(row):
    """a guest moves by virsh migrate"""
    with guest("mover") as (both, before):
        result = both.migrate("mover", *row["options"])
        assert row.get("says", "") in result.stdout + result.stderr, result
        both.check_moved("mover", before)
        assert both.state(both.source, "mover") == row.get("source", "shut off (migrated)"), both.states("mover")
        persistent = both.destination.virsh("dominfo", "mover").stdout
        assert ("Persistent:     yes" in persistent) == row.get("persistent", False), persistent
        if row.get("persistent"):
            record = both.destination.invar_json("cpu-record", "mover")
            assert record == both.source.invar_json("cpu-record", "mover") if "source" not in row else record


def test_suspended():
    """--suspend: it stands still at the destination until it is resumed there"""
    with guest("sleeper") as (both, before):
        both.migrate("sleeper", "--live", "--suspend")
        assert both.states("sleeper") == ("shut off (migrated)", "paused (user)"), both.states("sleeper")
        both.destination.virsh("resume", "sleeper")
        both.check_moved("sleeper", before)


def test_paused_guest():
    """a guest that was paused is paused there, too"""
    with guest("still") as (both, before):
        both.source.virsh("suspend", "still")
        both.migrate("still", "--live")
        assert both.states("still")[1].startswith("paused"), both.states("still")
        both.destination.virsh("resume", "still")
        both.check_moved("still", before)


def test_renamed():
    """--dname: another name at the destination, the same guest"""
    with guest("old") as (both, before):
        uuid = both.source.virsh("domuuid", "old").stdout.strip()
        both.migrate("old", "--live", "--persistent", "--dname", "new")
        assert both.destination.virsh("domuuid", "new").stdout.strip() == uuid
        assert both.state(both.destination, "old") == "none"
        harness.wait_for(lambda: os.path.getsize(both.destination.serial("old")) > 0, "the guest's first words there")
        migration.check_same(before, both.destination.cpuid("old", 2))


def test_offline():
    """--offline: the definition moves, with its record; nothing is started"""
    both = pair()
    with guest("defined") as (both, before):
        both.source.virsh("destroy", "defined")
        both.migrate("defined", "--offline", "--persistent", "--undefinesource", xml=False)
        assert both.states("defined") == ("none", "shut off (unknown)"), both.states("defined")
        assert both.destination.invar_json("cpu-record", "defined")
        both.destination.virsh("start", "defined")
        # The definition names the source's file.
        migration.check_same(before, both.source.cpuid("defined"))


def test_back_and_forth():
    """there and back again, five times"""
    with guest("pendulum") as (both, before):
        for _ in range(5):
            both.migrate("pendulum", "--live", "--persistent", "--undefinesource")
            both.check_moved("pendulum", before)
            both.swap()
        both.swap()


def test_persistent_xml():
    """--persistent-xml: what is kept there is the client's own definition"""
    with guest("kept") as (both, before):
        text = both.source.virsh("dumpxml", "--inactive", "--security-info", "kept").stdout
        text = re.sub(r"<name>kept</name>", "<name>kept</name>\n  <title>moved</title>", text)
        both.migrate("kept", "--live", "--persistent", "--persistent-xml", both.source.write("kept.persistent.xml", text))
        both.check_moved("kept", before)
        assert tree.fromstring(both.destination.virsh("dumpxml", "--inactive", "kept").stdout).findtext("title") == "moved"


ADDRESSES = [
    {"name": "options of QEMU's", "address": "127.0.0.1:4444,to=4500"},
    {"name": "out of the brackets", "address": "::]:4444,to=4500,x=["},
    {"name": "a comma", "address": "localhost,ipv6=off"},
]


@harness.rows(ADDRESSES)
def test_listen_address(row):
    """--listen-address: no more than an address comes through to QEMU"""
    with guest("listens") as (both, before):
        result = both.migrate("listens", "--live", "--listen-address", row["address"], check=False)
        assert result.returncode == 1 and "neither a host's name nor an address" in result.stderr, result.stderr
        both.check_stayed("listens", before)


RNG = "<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>"
ABI = [
    {"name": "memory", "change": lambda text: text.replace("<memory unit='KiB'>65536<", "<memory unit='KiB'>131072<"),
     "words": "memory size"},
    {"name": "machine type", "change": lambda text: text.replace("pc-q35-7.2", "pc-q35-7.1"),
     "words": "machine type"},
    {"name": "a device", "change": lambda text: text.replace("</devices>", RNG + "</devices>"), "words": "the guest would see other devices: rng"},
    {"name": "another domain", "change": lambda text: re.sub(r"<uuid>[0-9a-f]{8}", "<uuid>00000000", text),
     "words": "UUID"},
    {"name": "broken", "change": lambda text: text.replace("</domain>", ""),
     "words": "XML"},
]


@harness.rows(ABI)
def test_other_hardware(row):
    """--xml that would show the guest other hardware is refused, and the guest stays"""
    with guest("picky") as (both, before):
        path = both.destination_xml("picky", row["change"])
        result = both.source.virsh("migrate", "picky", both.destination.uri, "--live", "--migrateuri", "tcp:127.0.0.1", "--xml",
                                   path, check=False)
        assert result.returncode and row["words"] in result.stderr, result.stderr
        both.check_stayed("picky", before)


def other_cpu(text):
    return lambda document: re.sub(r"<cpu.*</cpu>", text, document, flags=re.DOTALL)


@harness.rows([
    {"name": "another model", "cpu": harness.cpu_xml("Nehalem", None), "words": ["recorded as Skylake-Client-v1", "would get Nehalem-v1"]},
    {"name": "none", "cpu": "", "words": ["recorded as Skylake-Client-v1", "would get qemu64-v1"]},
    {"name": "a feature less", "cpu": harness.relaxed("Skylake-Client", "disable:aes"), "words": ["aes", "the definition has aes off"]},
])
def test_other_cpu(row):
    """--xml with another CPU is refused by what differs, and the guest stays"""
    with guest("proud") as (both, before):
        result = both.source.virsh("migrate", "proud", both.destination.uri, "--live", "--migrateuri", "tcp:127.0.0.1", "--xml",
                                   both.destination_xml("proud", other_cpu(row["cpu"])), check=False)
        assert result.returncode, result
        for word in row["words"]:
            assert word in result.stderr, result.stderr
        assert both.states("proud")[1] == "none", both.states("proud")
        both.check_stayed("proud", before)


@harness.rows([
    {"name": "as it was asked for", "change": other_cpu(CPU)},
    {"name": "its elements in another order", "change": lambda text: re.sub(
        r"(<feature [^>]*/>)(.*)(<feature [^>]*/>)(\s*</cpu>)", r"\3\2\1\4", text, flags=re.DOTALL)},
])
def test_same_cpu(row):
    """--xml that says the same CPU in other words is accepted"""
    with guest("same") as (both, before):
        both.source.virsh("migrate", "same", both.destination.uri, "--live", "--migrateuri", "tcp:127.0.0.1", "--xml",
                          both.destination_xml("same", row["change"]))
        both.check_moved("same", before)


REFUSED = [
    (["--tls"], "(--tls) is not supported by Invar"),
    (["--tls", "--tls-destination", "there"], "not supported by Invar"),
    (["--rdma-pin-all"], "(--rdma-pin-all) is not supported by Invar"),
    (["--zerocopy", "--parallel"], "(--zerocopy) is not supported by Invar"),
    (["--copy-storage-all", "--copy-storage-synchronous-writes"], "(--copy-storage-synchronous-writes) is not supported by Invar"),
    (["--graphicsuri", "spice://there:1"], "'graphics_uri' is not supported"),
    (["--comp-methods", "mt"], "compression 'mt' is not supported"),
    (["--comp-mt-level", "1"], "'compression.mt.level' is not supported"),
    (["--comp-mt-threads", "2"], "'compression.mt.threads' is not supported"),
    (["--comp-mt-dthreads", "2"], "'compression.mt.dthreads' is not supported"),
    (["--comp-xbzrle-cache", "1000000"], "no meaning without --compressed"),
    (["--direct"], "direct migration is not supported"),
    (["--auto-converge-initial", "20"], "no meaning without --auto-converge"),
    (["--auto-converge-increment", "20"], "no meaning without --auto-converge"),
    (["--postcopy-bandwidth", "5"], "no meaning without --postcopy"),
    (["--parallel-connections", "3"], "no meaning without --parallel"),
    (["--migrate-disks", "sda"], "no meaning without --copy-storage-all"),
    (["--disks-port", "4000"], "no meaning without --copy-storage-all"),
    (["--disks-uri", "tcp://127.0.0.1:4001"], "no meaning without --copy-storage-all"),
    (["--migrate-disks", "sdz", "--copy-storage-all"], "no disk 'sdz'"),
    (["--postcopy", "--postcopy-resume"], "nothing to take up again"),
]


def test_refused_options():
    """what Invar does not do, or would have no effect, is refused by its name, and the guest stays"""
    with guest("asked") as (both, before):
        for options, words in REFUSED:
            try:
                result = both.migrate("asked", "--live", *options, check=False, timeout=15)
            except harness.subprocess.TimeoutExpired:
                # virsh 9.0 waits for ever when the answer is there before it begins to wait.
                result = both.migrate("asked", "--live", *options, check=False, timeout=15)
            assert result.returncode and words in result.stderr, (options, result.stderr)
            assert both.states("asked")[1] == "none", (options, both.states("asked"))
        # An address to listen on is one that works.
        result = both.migrate("asked", "--live", "--listen-address", "192.0.2.1", check=False)
        assert result.returncode and "192.0.2.1" in result.stderr, result.stderr
        both.check_stayed("asked", before)
        both.migrate("asked", "--live", "--listen-address", "127.0.0.1")
        both.check_moved("asked", before)


def test_other_order():
    """--xml in another order, with another layout, is the same hardware"""
    def turned(text):
        root = tree.fromstring(text)
        devices = root.find("devices")
        devices[:] = reversed(list(devices))
        root[:] = reversed(list(root))
        return tree.tostring(root, encoding="unicode")

    with guest("tidy") as (both, before):
        both.source.virsh("migrate", "tidy", both.destination.uri, "--live", "--migrateuri", "tcp:127.0.0.1", "--xml",
                          both.destination_xml("tidy", turned))
        both.check_moved("tidy", before)


def test_abort():
    """domjobabort while it is sent: the guest stays; the next attempt works"""
    with guest("undecided") as (both, before):
        client = both.begin("undecided", "--live", "--bandwidth", "1")
        harness.wait_for(lambda: "Outgoing" in both.source.virsh("domjobinfo", "undecided", check=False).stdout or
                         "Unbounded" in both.source.virsh("domjobinfo", "undecided", check=False).stdout, "a job")
        both.source.virsh("domjobabort", "undecided")
        _, errors = client.communicate(timeout=30)
        assert client.returncode == 1 and "canceled by client" in errors, errors
        both.check_stayed("undecided", before)
        assert both.state(both.destination, "undecided") == "none"
        both.migrate("undecided", "--live")
        both.check_moved("undecided", before)


def test_abort_too_late():
    """domjobabort once all is sent is refused, and the guest arrives"""
    with guest("decided") as (both, before):
        client = both.begin("decided", "--live", "--bandwidth", "2")
        # Prepare has been answered then.
        harness.wait_for(lambda: "Memory processed" in both.source.virsh("domjobinfo", "decided", check=False).stdout, "a job")
        # Its QEMU takes the state without it; Finish waits.
        both.destination.process.send_signal(harness.signal.SIGSTOP)
        try:
            harness.wait_for(lambda: both.state(both.source, "decided") == "paused (migrating)", "the guest's standstill", 30)
            time.sleep(1)
            result = both.source.virsh("domjobabort", "decided", check=False)
            assert result.returncode and "all of the guest was sent" in result.stderr, result
        finally:
            both.destination.process.send_signal(harness.signal.SIGCONT)
        _, errors = client.communicate(timeout=30)
        assert client.returncode == 0, errors
        both.check_moved("decided", before)


def job_lines(text):
    return {key.strip(): re.sub(r"\s+", " ", value.strip()) for key, _, value in (line.partition(":") for line in text.splitlines()) if value}


@harness.rows([
    {"name": "managed by the client", "options": ["--live"]},
    {"name": "p2p", "options": ["--live", "--p2p"]},
    {"name": "not live, with its disk", "options": ["--copy-storage-all"]},
    {"name": "paused guest", "options": ["--live"], "paused": True},
])
def test_completed(row):
    """domjobinfo --completed tells the same on both sides, of the whole migration"""
    with guest("counted") as (both, _before):
        if row.get("paused"):
            both.source.virsh("suspend", "counted")
        began = time.monotonic()
        both.migrate("counted", *row["options"])
        lasted = (time.monotonic() - began) * 1000
        told = {(client, side): job_lines(getattr(daemon, client)("domjobinfo", "counted", "--completed", "--keep-completed").stdout)
                for client in ("virsh", "invar") for side, daemon in (("source", both.source), ("destination", both.destination))}
        for client in ("virsh", "invar"):
            source, destination = told[client, "source"], told[client, "destination"]
            assert source.pop("Operation") == "Outgoing migration" and destination.pop("Operation") == "Incoming migration", told
            assert source["Job type"] == destination["Job type"] == "Completed", told
            assert source == destination, (source, destination)
            for line in ("Memory total", "Memory processed", "Time elapsed w/o network", "Total downtime", "Downtime w/o network"):
                assert line in source, (line, source)
            times = [int(source[line].split()[0]) for line in ("Downtime w/o network", "Total downtime", "Time elapsed")]
            assert sorted(times) == times and times[-1] < lasted, (times, lasted)
            assert row.get("paused") or times[0] > 0, times
            assert ("File processed" in source) == ("--copy-storage-all" in row["options"]), source
        assert told["virsh", "source"] == told["invar", "source"], told
        # It is told once to who does not ask to keep it.
        for daemon in (both.source, both.destination):
            assert "Completed" in daemon.virsh("domjobinfo", "counted", "--completed").stdout
            assert "Completed" not in daemon.virsh("domjobinfo", "counted", "--completed").stdout


def test_events():
    """the clients of both sides hear of it, in the order in which libvirt tells it"""
    with guest("star") as (both, before):
        here = migration.watch(both.source)
        there = migration.watch(both.destination)
        both.migrate("star", "--live")
        both.check_moved("star", before)
        time.sleep(0.3)
        source, destination = here(), there()
        assert [e for e in source if e.startswith(("Suspended", "Stopped"))] == ["Suspended Migrated", "Stopped Migrated"], source
        assert [e for e in destination if e.startswith(("Started", "Resumed"))] == ["Started Migrated", "Resumed Migrated"], destination


def test_no_second_job():
    """while a guest is sent it cannot be sent again, undefined or started; it can be suspended and destroyed"""
    with guest("busy") as (both, _before):
        client = both.begin("busy", "--live", "--bandwidth", "1")
        harness.wait_for(lambda: "Unbounded" in both.source.virsh("domjobinfo", "busy", check=False).stdout, "a job")
        result = both.migrate("busy", "--live", check=False)
        assert result.returncode == 1 and "already being migrated" in result.stderr, result.stderr
        both.source.virsh("suspend", "busy")
        both.source.virsh("destroy", "busy")
        _, errors = client.communicate(timeout=30)
        assert client.returncode == 1, errors
        assert both.states("busy") == ("shut off (destroyed)", "none"), both.states("busy")


def test_started_meanwhile():
    """a domain of that uuid that is being started at the destination is no place for another guest"""
    with guest("twin") as (both, before):
        slow = both.destination.path("slow")
        program = both.destination.write("slow-qemu", f"#!/bin/sh\n[ -e {slow} ] && sleep 3\nexec {harness.QEMU} \"$@\"\n")
        os.chmod(program, 0o755)
        text = both.source.virsh("dumpxml", "--inactive", "--migratable", "twin").stdout
        text = text.replace(both.source.folder + "/", both.destination.folder + "/")
        shutil.copy(both.source.path("twin.img"), both.destination.path("twin.img"))
        text = re.sub("<emulator>.*</emulator>", f"<emulator>{program}</emulator>", text)
        assert program in text, text
        both.destination.invar("define", both.destination.write("twin.xml", text))
        both.destination.invar("verdict", "twin")
        both.destination.write("slow", "")
        with subprocess.Popen([harness.find_binary("invar"), "-c", both.destination.uri, "start", "twin"], env=both.destination.env,
                              stdout=subprocess.DEVNULL) as start:
            harness.wait_for(lambda: both.destination.processes(), "a start")
            result = both.migrate("twin", "--live", check=False)
            assert start.wait(timeout=30) == 0
        assert result.returncode == 1 and "was started on this host meanwhile" in result.stderr, result.stderr
        assert len(both.qemus(both.destination, "twin")) == 1, both.qemus(both.destination, "twin")
        assert both.state(both.destination, "twin").startswith("running"), both.states("twin")
        both.destination.virsh("destroy", "twin")
        both.destination.virsh("undefine", "twin")
        os.remove(slow)
        both.check_stayed("twin", before)


def test_leftovers():
    """both daemons are as they were: no process, no port, no row but outcomes"""
    both = pair()
    both.close()


if __name__ == "__main__":
    harness.main()
