# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What a start costs without a daemon: the very command line that a daemon used, spawned again, up to
QEMU's answer to `cont`.
"""
import json
import os
import re
import socket
import subprocess
import tempfile
import time

DEADLINE = 30


def command_of(pid):
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return [argument.decode(errors="surrogateescape") for argument in file.read().rstrip(b"\0").split(b"\0")]


def _parent_of(pid):
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return int(file.read().rsplit(")", 1)[1].split()[1])
    except OSError:
        return 0


def guest_of(daemon_pid, known):
    """The command line of the one QEMU that runs: a child of the daemon, or of @known, {pid: command line}."""
    children = {int(entry) for entry in os.listdir("/proc") if entry.isdigit() and _parent_of(entry) == daemon_pid}
    for pid in sorted(children | set(known)):
        try:
            command = command_of(pid)
        except OSError:
            continue
        if "qemu-system-" in command[0]:
            return command
    raise ValueError(f"no QEMU of process {daemon_pid} was found")


def _names_file_of_daemon(value):
    """libvirt's master key: it is gone when the daemon's guest is."""
    return "masterKey" in value


def _adapt(command, monitor):
    """The same command with the listening socket @monitor in place of the daemon's."""
    adapted, index, found = [], 0, False
    while index < len(command):
        argument = command[index]
        value = command[index + 1] if index + 1 < len(command) else ""
        if argument == "-object" and _names_file_of_daemon(value):
            index += 2
            continue
        if argument in ("-chardev", "-qmp", "-mon") and re.search(r"fd=\d+", value):
            found = True
            adapted += [argument, re.sub(r"fd=\d+", f"fd={monitor}", value)]
            index += 2
            continue
        adapted.append(argument)
        index += 1
    if not found:
        raise ValueError("no inherited monitor in: " + " ".join(command))
    return adapted


def _call(stream, command):
    stream.write(json.dumps({"execute": command}).encode() + b"\n")
    stream.flush()
    while True:
        reply = json.loads(stream.readline())
        if "error" in reply:
            raise RuntimeError(f"{command}: {reply['error']}")
        if "return" in reply:
            return


def seconds_to_cont(command, user=None):
    """Spawns it, waits for the greeting, says cont; the time to its answer. The process is ended."""
    with tempfile.TemporaryDirectory(prefix="qa.", dir="/tmp") as folder:
        os.chmod(folder, 0o755)
        path = os.path.join(folder, "qmp")
        with socket.socket(socket.AF_UNIX) as listener, socket.socket(socket.AF_UNIX) as peer:
            listener.bind(path)
            listener.listen(1)
            peer.settimeout(DEADLINE)
            arguments = _adapt(command, listener.fileno())
            begin = time.monotonic()
            process = subprocess.Popen(arguments, pass_fds=(listener.fileno(),), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
                                       user=user, group=user, extra_groups=[] if user is not None else None, cwd="/")
            try:
                # Else a QEMU that ends at once would be waited for until the deadline.
                listener_copy = listener.fileno()
                peer.connect(path)
                os.set_inheritable(listener_copy, False)
                listener.close()
                with peer.makefile("rwb") as stream:
                    stream.readline()
                    _call(stream, "qmp_capabilities")
                    _call(stream, "cont")
                return time.monotonic() - begin
            finally:
                process.kill()
                process.wait(DEADLINE)
