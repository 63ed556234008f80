#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon of another host: over ssh, with a client in ssh's place that runs the command here, and over TCP."""
import contextlib
import os
import shutil
import socket
import subprocess
import threading

import harness

# What sshd does with the command of its client: the words after "--" are host and command.
SSH = """#!/bin/sh
printf '%s\\n' "$@" > {record}
while [ "$1" != -- ]; do shift; done
case $2 in
    closed) echo 'ssh: connect to host closed port 22: Connection refused' >&2; exit 255 ;;
esac
exec env -u INVAR_URI PATH={path} sh -c "$3"
"""


def with_ssh(daemon, path):
    """The environment of a client whose ssh leads to this host, where PATH is @path."""
    folder = daemon.path("bin")
    if not os.path.isdir(folder):
        os.mkdir(folder)
    with open(folder + "/ssh", "w", encoding="utf-8") as file:
        file.write(SSH.format(record=daemon.path("ssh.words"), path=path))
    os.chmod(folder + "/ssh", 0o755)
    return dict(daemon.env, PATH=folder + ":" + daemon.env["PATH"])


def invar(environment, uri, *arguments, check=True):
    return subprocess.run([harness.find_binary("invar"), "-c", uri, *arguments], env=environment, stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, timeout=60, check=check)


def invar_folder():
    return os.path.dirname(harness.find_binary("invar"))


def free_port(family=socket.AF_INET):
    with socket.socket(family) as probe:
        probe.bind(("::1" if family == socket.AF_INET6 else "127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def listening(more="", address="127.0.0.1"):
    """A daemon that listens on a port of its own, and its URI; others may take the port first."""
    for attempt in range(5):
        port = free_port()
        daemon = harness.Daemon(config=f"[daemon]\nlisten_tcp={address}:{port}{more}\n", start=False)
        with daemon:
            try:
                daemon.start()
            except AssertionError:
                if attempt < 4 and "Address already in use" in daemon.log_tail():
                    continue
                raise
            yield daemon, f"qemu+tcp://{address}:{port}/session"
            return


def test_tcp_clients():
    """qemu+tcp: virsh, python3-libvirt and invar define, start, list and destroy, and get events"""
    with listening() as (daemon, uri):
        def virsh(*arguments):
            return daemon.run("virsh", "-c", uri, *arguments).stdout
        virsh("define", daemon.write("guest.xml", harness.domain_xml("guest")))
        events = subprocess.Popen(["virsh", "-c", uri, "event", "--event", "lifecycle", "--timeout", "60"], env=daemon.env,
                                  stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        with events:
            # It says nothing when it is ready: start until it hears of it.
            heard = []
            reader = threading.Thread(target=lambda: heard.append(events.stdout.readline()))
            reader.start()

            def started():
                virsh("start", "guest")
                reader.join(1)
                virsh("destroy", "guest")
                return not reader.is_alive()
            harness.wait_for(started, "an event over TCP", 60)
        assert "lifecycle" in heard[0], heard
        connection = harness.import_libvirt().open(uri)
        try:
            domain = connection.lookupByName("guest")
            domain.create()
            assert domain.isActive() and not connection.isSecure()
        finally:
            connection.close()
        assert invar(daemon.env, uri, "list", "--name").stdout.split() == ["guest"]
        assert virsh("uri").strip() == uri
        virsh("destroy", "guest")


def test_tcp_ipv6():
    """qemu+tcp over IPv6, and several addresses"""
    try:
        port = free_port(socket.AF_INET6)
    except OSError as problem:
        raise harness.Skip("this host has no IPv6") from problem
    with listening(f", [::1]:{port}") as (daemon, uri):
        for each in (uri, f"qemu+tcp://[::1]:{port}/session"):
            assert daemon.run("virsh", "-c", each, "hostname").stdout == daemon.virsh("hostname").stdout
            assert invar(daemon.env, each, "hostname").stdout == daemon.invar("hostname").stdout


@contextlib.contextmanager
def other_host():
    """(its address for us, our address for it, words in front of a command that make it run there, the link to cut)"""
    name = f"invar-{os.getpid()}"
    link = f"inv{os.getpid()}"
    net = f"198.18.{os.getpid() % 250}"
    ours, its = net + ".1", net + ".2"

    def ip(*words, check=True):
        return subprocess.run(["ip", *words], check=check, capture_output=True, text=True)
    if os.getuid() != 0 or not shutil.which("ip") or ip("netns", "add", name, check=False).returncode != 0:
        raise harness.Skip("network namespaces cannot be made here")
    try:
        ip("link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", name)
        ip("address", "add", ours + "/30", "dev", link)
        ip("link", "set", link, "up")
        ip("-n", name, "address", "add", its + "/30", "dev", "eth0")
        ip("-n", name, "link", "set", "eth0", "up")
        yield its, ours, ["ip", "netns", "exec", name], link
    finally:
        ip("link", "delete", link, check=False)
        ip("netns", "delete", name, check=False)


def test_tcp_cut():
    """a client whose host is cut off is noticed, both when nothing is said and when an event is on its way"""
    with other_host() as (_, ours, there, link):
        config = "\nlog_level=debug\nkeepalive_interval=1\nkeepalive_count=1"
        with listening(config, ours) as (daemon, uri):
            def gone():
                return daemon.log_tail(100000).count("is gone")

            def watcher(*words):
                return subprocess.Popen([*there, harness.find_binary("invar"), "-c", uri, *words], env=daemon.env,
                                        stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            with watcher("event", "--all", "--loop") as listener, watcher() as shell:
                try:
                    # The shell connects with its first command, and then says nothing.
                    shell.stdin.write(b"uri\n")
                    shell.stdin.flush()
                    harness.wait_for(lambda: daemon.log_tail(100000).count(" port ") >= 2, "two clients over TCP")
                    before = gone()
                    subprocess.run(["ip", "link", "set", link, "down"], check=True)
                    daemon.virsh("define", daemon.write("guest.xml", harness.domain_xml("guest")))
                    # virsh itself has come and gone.
                    harness.wait_for(lambda: gone() >= before + 3, "the end of both", 20)
                finally:
                    listener.kill()
                    shell.kill()


def test_tcp_is_off(daemon):
    """without listen_tcp there is no TCP socket; a bad address is refused by name"""
    with open(f"/proc/{daemon.process.pid}/net/tcp", encoding="ascii") as table:
        inodes = {line.split()[9] for line in table.readlines()[1:]}
    own = {os.readlink(f"/proc/{daemon.process.pid}/fd/{fd}") for fd in os.listdir(f"/proc/{daemon.process.pid}/fd")}
    assert not own & {f"socket:[{inode}]" for inode in inodes}
    result = invar(daemon.env, f"qemu+tcp://127.0.0.1:{free_port()}/session", "list", check=False)
    assert result.returncode == 1 and "Connection refused" in result.stderr and "listen_tcp" in result.stderr, result.stderr
    with harness.Daemon(config="[daemon]\nlisten_tcp=somewhere\n", start=False) as other:
        result = other.run(harness.find_binary("invard"), "--session", "--check-config", check=False)
    assert result.returncode == 6 and "'somewhere' is no address" in result.stderr, result


def test_host_uuid():
    """host_uuid: what capabilities say is the configuration's"""
    wanted = "5d1fbf6c-2a0f-4c93-9f5e-0d6ac5e9a001"
    with harness.Daemon(config=f"[daemon]\nhost_uuid={wanted.upper()}\n") as daemon:
        assert f"<uuid>{wanted}</uuid>" in daemon.virsh("capabilities").stdout


def test_ssh(daemon):
    """qemu+ssh: the session's daemon by default, any with ?socket=, and ssh gets the user, the port, and no question"""
    environment = with_ssh(daemon, f"{invar_folder()}:/usr/bin:/bin")
    assert invar(environment, "qemu+ssh://host/session", "uri").stdout.strip() == "qemu:///session"
    invar(environment, "qemu+ssh://host/session", "define", daemon.write("guest.xml", harness.domain_xml("guest")))
    uri = f"qemu+ssh://somebody@host:2222/session?socket={daemon.socket}"
    assert invar(environment, uri, "list", "--all", "--name").stdout.split() == ["guest"]
    with open(daemon.path("ssh.words"), encoding="utf-8") as file:
        words = file.read().splitlines()
    options = words[:words.index("--")]
    assert "BatchMode=yes" in options and options[-4:] == ["-p", "2222", "-l", "somebody"], words
    invar(environment, uri, "undefine", "guest")


def test_ssh_without_invar(daemon):
    """qemu+ssh where invar is not installed: netcat carries the messages"""
    if not shutil.which("nc"):
        raise harness.Skip("nc is not installed")
    folder = daemon.path("no-invar")
    os.mkdir(folder)
    for name in ("sh", "env", "nc"):
        os.symlink(shutil.which(name), f"{folder}/{name}")
    environment = with_ssh(daemon, folder)
    for uri in ("qemu+ssh://host/session", f"qemu+ssh://host/session?socket={daemon.socket}"):
        assert invar(environment, uri, "hostname").stdout == daemon.invar("hostname").stdout


def test_ssh_fails(daemon):
    """qemu+ssh: what ssh, and what the relay, complains of is what the client says"""
    environment = with_ssh(daemon, f"{invar_folder()}:/usr/bin:/bin")
    for uri, reason in (("qemu+ssh://closed/system", "Connection refused"),
                        ("qemu+ssh://host/session?socket=/nonexistent/sock", "/nonexistent/sock"),
                        ("qemu+ssh://-oProxyCommand=touch/system", "begins with '-'")):
        result = invar(environment, uri, "list", check=False)
        assert result.returncode != 0 and reason in result.stderr, (uri, result.stderr)
    result = invar(dict(environment, PATH="/nonexistent"), "qemu+ssh://host/system", "list", check=False)
    assert result.returncode == 1 and "cannot start ssh" in result.stderr, result.stderr


if __name__ == "__main__":
    harness.main()
