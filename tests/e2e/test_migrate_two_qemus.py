#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""
A running guest moves between two QEMUs of different versions with the CPU that it has, or is refused before its
destination is started.

What the witness prints is compared word by word. Of an AMD CPU no word may differ. Of an Intel one SYSCALL in leaf
0x80000001 is left out (two_qemus.visible()): TCG of QEMU 10 tells of it only while the processor is in 64-bit mode, TCG of
7.2 always, and the witness asks from 16-bit mode. That depends on the mode that the asker is in and on no property: QEMU has
the feature on on both sides, and so has the record. Whoever may use the instruction, a 64-bit kernel, reads the same.
"""
import contextlib
import os
import re
import shutil

import harness
import migration
import two_qemus
import witness

_pair = None


def pair():
    """One pair for the whole file; a guest's QEMU is chosen by its definition."""
    global _pair
    if not _pair:
        emulators = f"[emulators]\nfolders=/nonexistent\nbinaries={':'.join(two_qemus.both())}\n"
        _pair = migration.Pair(emulators, emulators)
    return _pair


@contextlib.contextmanager
def guest(name, emulator, cpu, vcpus=1):
    """A witness on the source under @emulator, as (pair, what it has printed); both sides are clean afterwards."""
    two_qemus.both()
    both = pair()
    document = two_qemus.of(emulator, both.source.witness_xml(name, cpu, two_qemus.MACHINE))
    if vcpus > 1:
        document = document.replace("<vcpu>1</vcpu>", f"<vcpu>{vcpus}</vcpu>")
    for daemon in (both.source, both.destination):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(daemon.serial(name))
    try:
        both.source.invar("define", both.source.write(name + ".xml", document))
        both.source.invar("start", name)
        yield both, both.source.cpuid(name)
    finally:
        for daemon in (both.source, both.destination):
            with contextlib.suppress(Exception):
                daemon.reset()


def move(both, name, emulator, *options, client="virsh", check=True):
    """Migrates to the destination's @emulator; the definition that is kept there names it, too."""
    path = both.destination_xml(name, lambda text: two_qemus.of(emulator, text))
    arguments = ["migrate", name, both.destination.uri, *options, "--xml", path]
    if "--persistent" in options:
        arguments += ["--persistent-xml", path]
    if not {"--tunnelled", "--offline"} & set(options):
        arguments += ["--migrateuri", "tcp:127.0.0.1"]
    return getattr(both.source, client)(*arguments, check=check, timeout=90)


def check_arrived(both, name, before, emulator):
    """It runs under @emulator at the destination alone, goes on printing there, and no word of its CPUID is another one."""
    states = both.states(name)
    assert states[1].startswith("running"), states
    assert not both.qemus(both.source, name), both.qemus(both.source, name)
    (pid,) = both.qemus(both.destination, name)
    # The second one is a script that executes the program.
    program = os.readlink(f"/proc/{pid}/exe")
    assert (program == os.path.realpath(two_qemus.first())) == (emulator == two_qemus.first()), program
    after = witness.wait_for_round(both.destination.serial(name), 30, 2)
    assert not two_qemus.changed(before, after), two_qemus.changed(before, after)
    if witness.vendor(witness.decode(before)) != "GenuineIntel":
        migration.check_same(before, after)
    return after


STYLES = [("direct", "virsh", []), ("p2p", "virsh", ["--p2p"]), ("invar", "invar", []),
          ("postcopy", "virsh", ["--postcopy", "--postcopy-after-precopy", "--bandwidth", "8"]),
          ("tunnelled", "virsh", ["--p2p", "--tunnelled"])]
MODELS = ["Skylake-Client", "EPYC", "Nehalem", "qemu64"]


def may_postcopy():
    with contextlib.suppress(OSError):
        with open("/proc/sys/vm/unprivileged_userfaultfd", encoding="ascii") as file:
            return os.geteuid() == 0 or file.read().strip() == "1"
    return False


@harness.rows([{"name": f"{model}, {style}: from the older QEMU to the newer one no CPUID word changes", "model": model,
                "style": style, "client": client, "options": options}
               for model in MODELS for style, client, options in STYLES if model == "Skylake-Client" or style == "direct"])
def test_upgrade(row):
    if row["style"] == "postcopy" and not may_postcopy():
        raise harness.Skip("QEMU may not use userfaultfd here (vm.unprivileged_userfaultfd)")
    first, second = two_qemus.both()
    with guest("traveller", first, harness.relaxed(row["model"])) as (both, before):
        record = both.source.invar_json("cpu-record", "traveller")["fingerprint"]
        move(both, "traveller", second, "--live", "--persistent", *row["options"], client=row["client"])
        check_arrived(both, "traveller", before, second)
        assert both.destination.invar_json("cpu-record", "traveller")["fingerprint"] == record


def test_there_and_back():
    """7.2, 10.0, 7.2 and again: the guest keeps the CPU that it was started with"""
    first, second = two_qemus.both()
    with guest("pendulum", first, harness.relaxed("Skylake-Client")) as (both, before):
        try:
            for emulator in (second, first, second, first):
                move(both, "pendulum", emulator, "--live", "--persistent", "--undefinesource")
                check_arrived(both, "pendulum", before, emulator)
                both.swap()
        finally:
            if both.states("pendulum")[1] != "none":
                both.swap()


def test_offline():
    """a definition goes to the other QEMU with its record, and its guest is started there with the same CPU"""
    first, second = two_qemus.both()
    with guest("packed", first, harness.relaxed("Skylake-Client")) as (both, before):
        both.source.virsh("destroy", "packed")
        move(both, "packed", second, "--offline", "--persistent", "--undefinesource")
        assert both.states("packed")[0] == "none", both.states("packed")
        both.destination.virsh("start", "packed")
        after = witness.wait_for_round(both.destination.serial("packed"), 30, 1)
        assert not two_qemus.changed(before, after), two_qemus.changed(before, after)


def test_two_vcpus():
    """-smp 2: ht, which the newer QEMU tells of and the older one does not, is no other CPU"""
    first, second = two_qemus.both()
    cpu = harness.relaxed("EPYC").replace("</model>", "</model><topology sockets='1' cores='2' threads='1'/>")
    with guest("twins", first, cpu, vcpus=2) as (both, before):
        move(both, "twins", second, "--live")
        check_arrived(both, "twins", before, second)


def blockers(text):
    """The features that a refusal names."""
    return set(re.findall(r"^  (\S+)  +(?:hardware|kernel|QEMU|machine type|configuration)  ", text, re.M))


REFUSED = [("Skylake-Client", {"3dnowprefetch", "rdseed", "x2apic"}), ("EPYC", {"3dnowprefetch", "rdseed", "sha-ni"})]


@harness.rows([{"name": f"{model} of the newer QEMU, {style}: refused by the older one for {', '.join(sorted(lacking))}",
                "model": model, "lacking": lacking, "options": options, "client": client}
               for model, lacking in REFUSED for style, client, options in STYLES[:3]])
def test_refused(row):
    first, second = two_qemus.both()
    with guest("newcomer", second, harness.relaxed(row["model"])) as (both, before):
        result = move(both, "newcomer", first, "--live", *row["options"], client=row["client"], check=False)
        assert result.returncode and blockers(result.stderr) == row["lacking"], result.stderr
        # No QEMU was started for it.
        assert not os.path.exists(both.destination.serial("newcomer"))
        both.check_stayed("newcomer", before)
        assert both.state(both.destination, "newcomer") == "none"
        # With what it is from there it goes.
        move(both, "newcomer", second, "--live", *row["options"], client=row["client"])
        check_arrived(both, "newcomer", before, second)


def test_refused_offline():
    """the definition alone is refused by the same names: its guest could not be started there"""
    first, second = two_qemus.both()
    with guest("letter", second, harness.relaxed("Skylake-Client")) as (both, _before):
        both.source.virsh("destroy", "letter")
        result = move(both, "letter", first, "--offline", "--persistent", check=False)
        assert result.returncode and blockers(result.stderr) == {"3dnowprefetch", "rdseed", "x2apic"}, result.stderr
        assert both.states("letter") == ("shut off (destroyed)", "none"), both.states("letter")


def test_without_what_the_older_lacks():
    """what both have goes from the newer QEMU to the older one"""
    first, second = two_qemus.both()
    cpu = harness.relaxed("Skylake-Client", "disable:3dnowprefetch disable:rdseed disable:x2apic")
    with guest("modest", second, cpu) as (both, before):
        move(both, "modest", first, "--live")
        check_arrived(both, "modest", before, first)


def test_host_without_it():
    """a host that has no QEMU for the guest's architecture refuses, and the guest stays"""
    arm = shutil.which("qemu-system-aarch64")
    if not arm:
        raise harness.Skip("qemu-system-aarch64 is not installed")
    with migration.Pair(migration.ONE_EMULATOR, f"[emulators]\nfolders=/nonexistent\nbinaries={arm}\n") as both:
        before = both.start("lost", cpu=harness.relaxed("Skylake-Client"))
        path = both.destination_xml("lost", lambda text: re.sub("<emulator>.*?</emulator>", "", text))
        result = both.source.virsh("migrate", "lost", both.destination.uri, "--live", "--xml", path, check=False)
        assert result.returncode and "x86_64" in result.stderr, result.stderr
        both.check_stayed("lost", before)


def test_leftovers():
    """both daemons are as they were"""
    pair().close()


if __name__ == "__main__":
    harness.main()
