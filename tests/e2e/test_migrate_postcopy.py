# SPDX-License-Identifier: LGPL-2.1-or-later
"""Postcopy: the guest runs at the destination while its memory follows, also after the channel broke in between."""
import contextlib
import os
import re

import harness
import migration

CPU = harness.relaxed("Skylake-Client")


def need_userfaultfd():
    with contextlib.suppress(OSError):
        with open("/proc/sys/vm/unprivileged_userfaultfd", encoding="ascii") as file:
            if os.geteuid() == 0 or file.read().strip() == "1":
                return
    raise harness.Skip("QEMU may not use userfaultfd here (vm.unprivileged_userfaultfd)")


@contextlib.contextmanager
def guest(name, memory=64):
    """Two daemons, and a witness on one of them; what it does not use of its memory is sent all the same, page by page."""
    need_userfaultfd()
    with migration.Pair(migration.ONE_EMULATOR, migration.ONE_EMULATOR) as both:
        text = both.source.witness_xml(name, cpu=CPU)
        text = re.sub(r"<memory unit='MiB'>\d+", f"<memory unit='MiB'>{memory}", text)
        both.source.invar("define", both.source.write(name + ".xml", text))
        both.source.invar("start", name)
        yield both, both.source.cpuid(name)


STYLES = [
    {"name": "direct", "options": []},
    {"name": "p2p", "options": ["--p2p"]},
]


@harness.rows(STYLES)
def test_postcopy(row):
    """--postcopy --postcopy-after-precopy"""
    with guest("late") as (both, before):
        both.migrate("late", "--live", "--postcopy", "--postcopy-after-precopy", "--bandwidth", "4", *row["options"])
        both.check_moved("late", before)
        assert both.states("late") == ("shut off (migrated)", "running (migrated)"), both.states("late")


@harness.rows(STYLES)
def test_recovery(row):
    """the channel is cut in the middle of a postcopy: both sides wait, and it is taken up again"""
    with guest("torn", memory=1024) as (both, before):
        client = both.begin("torn", "--live", "--postcopy", "--bandwidth", "1", "--postcopy-bandwidth", "1", *row["options"])
        harness.wait_for(lambda: "Memory remaining" in both.source.virsh("domjobinfo", "torn", check=False).stdout, "a job")
        # In the first pass, so that much is left to follow.
        both.source.virsh("migrate-postcopy", "torn")
        harness.wait_for(lambda: both.states("torn")[1].startswith("running"), "the guest to run there", 60)
        assert both.states("torn")[0] == "paused (post-copy)", both.states("torn")
        # What would end one half of the guest is refused.
        result = both.source.virsh("domjobabort", "torn", check=False)
        assert result.returncode == 1 and "post-copy" in result.stderr, result
        result = both.source.virsh("resume", "torn", check=False)
        assert result.returncode == 1, result
        both.source.virsh("domjobabort", "--postcopy", "torn")
        _, errors = client.communicate(timeout=60)
        assert client.returncode == 1 and "--postcopy-resume" in errors, errors
        assert both.states("torn") == ("paused (post-copy failed)", "running (post-copy failed)"), both.states("torn")
        result = both.migrate("torn", "--live", check=False)
        assert result.returncode == 1 and "interrupted" in result.stderr, result.stderr
        both.source.virsh("migrate-setspeed", "torn", "--postcopy", "0")
        both.migrate("torn", "--live", "--postcopy", "--postcopy-resume", *row["options"])
        both.check_moved("torn", before)
        assert both.states("torn") == ("shut off (migrated)", "running (migrated)"), both.states("torn")


def test_no_postcopy():
    """postcopy is not begun in a migration that was not prepared for it"""
    with guest("early") as (both, before):
        client = both.begin("early", "--live", "--bandwidth", "1")
        harness.wait_for(lambda: "Unbounded" in both.source.virsh("domjobinfo", "early", check=False).stdout, "a job")
        result = both.source.virsh("migrate-postcopy", "early", check=False)
        assert result.returncode == 1 and "--postcopy" in result.stderr, result.stderr
        both.source.virsh("domjobabort", "early")
        client.communicate(timeout=30)
        both.check_stayed("early", before)


if __name__ == "__main__":
    harness.main()
