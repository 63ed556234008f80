#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What is asked and set of jobs and migrations while none runs, by invar and by libvirt's own clients."""
import harness

NO_LIMIT = "8796093022207"


def start(daemon):
    daemon.invar("create", daemon.write("one.xml", harness.domain_xml("one", harness.relaxed("qemu64"))))


def both(daemon, *arguments):
    """What invar and virsh print, which is the same."""
    # virsh ends some of its lines, and not others.
    ours = daemon.invar(*arguments).stdout.rstrip()
    theirs = daemon.virsh(*arguments).stdout.rstrip()
    assert ours == theirs, f"{arguments}: {ours!r}, and virsh: {theirs!r}"
    return ours


def refused(daemon, *arguments):
    """The reason that both print."""
    ours = daemon.invar(*arguments, check=False)
    theirs = daemon.virsh(*arguments, check=False)
    assert ours.returncode == 1 and theirs.returncode == 1, (arguments, ours, theirs)
    # invar names the kind of an error where its text does not.
    assert ours.stderr.strip().endswith(theirs.stderr.strip().removeprefix("error: ")), f"{ours.stderr!r}, and virsh: {theirs.stderr!r}"
    return ours.stderr


def test_no_job(daemon):
    """a domain without a job says so"""
    start(daemon)
    for extra in ([], ["--completed"], ["--rawstats"], ["--anystats"], ["--completed", "--keep-completed"]):
        assert both(daemon, "domjobinfo", "one", *extra).startswith("Job type:"), extra
    assert daemon.invar_json("domjobinfo", "one") == {"type": "None"}
    assert "no job is active on the domain" in refused(daemon, "domjobabort", "one")
    assert "no job is active" in refused(daemon, "domjobabort", "one", "--postcopy")
    assert "post-copy can only be started while outgoing migration" in refused(daemon, "migrate-postcopy", "one")


def test_tunables(daemon):
    """speeds, downtimes and caches are kept, and read back by either client"""
    start(daemon)
    assert both(daemon, "migrate-getspeed", "one") == NO_LIMIT
    for value in ("5", "0", NO_LIMIT):
        both(daemon, "migrate-setspeed", "one", value)
        assert both(daemon, "migrate-getspeed", "one") == (value if value != "0" else NO_LIMIT)
    assert "bandwidth must be less than" in refused(daemon, "migrate-setspeed", "one", "8796093022208")
    both(daemon, "migrate-setspeed", "one", "7", "--postcopy")
    assert both(daemon, "migrate-getspeed", "one", "--postcopy") == "7"
    assert both(daemon, "migrate-getmaxdowntime", "one") == "300"
    both(daemon, "migrate-setmaxdowntime", "one", "1234")
    assert both(daemon, "migrate-getmaxdowntime", "one") == "1234"
    assert "not between 1 and 2000000" in refused(daemon, "migrate-setmaxdowntime", "one", "2000001")
    assert both(daemon, "migrate-compcache", "one", "--size", "131072") == "Compression cache: 128.000 KiB"
    assert "power of two" in refused(daemon, "migrate-compcache", "one", "--size", "131073")


def test_inactive(daemon):
    """of a domain that does not run only the next migration's speed can be set"""
    daemon.invar("define", daemon.write("two.xml", harness.domain_xml("two", harness.relaxed("qemu64"))))
    both(daemon, "migrate-setspeed", "two", "9")
    assert both(daemon, "migrate-getspeed", "two") == "9"
    for command in (["domjobinfo", "two"], ["domjobabort", "two"], ["migrate-setmaxdowntime", "two", "5"], ["migrate-getmaxdowntime", "two"],
                    ["migrate-compcache", "two"], ["migrate-postcopy", "two"], ["migrate-setspeed", "two", "5", "--postcopy"]):
        assert "domain 'two' is not running" in refused(daemon, *command), command
    assert both(daemon, "domjobinfo", "two", "--completed").startswith("Job type:")


if __name__ == "__main__":
    harness.main()
