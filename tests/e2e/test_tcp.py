#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The daemon of another host: over ssh, with a client in ssh's place that runs the command here, and over TCP."""
import os
import shutil
import subprocess

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
