# SPDX-License-Identifier: LGPL-2.1-or-later
"""
What QEMU itself takes: the same conversations that probing has, without a daemon. What a daemon can
do about them is only to have several at once.
"""
import concurrent.futures
import json
import os
import socket
import subprocess
import time

DEADLINE = 30
# invard's own number: one for each processor.
AT_ONCE = 2
# qemu/emulator_basic.c asks these of machine `none`.
BASIC = (("qmp_capabilities", None), ("query-version", None), ("query-target", None), ("query-kvm", None),
         ("qom-list-types", {"implements": "accel", "abstract": False}), ("query-machines", None),
         ("qom-list-types", {"implements": "device", "abstract": True}))


def converse(path, arguments, questions):
    """Seconds from the start of the emulator at @path to its last answer; all questions are sent at once."""
    ours, theirs = socket.socketpair()
    begin = time.monotonic()
    process = subprocess.Popen([path, "-S", "-no-user-config", "-nodefaults", "-nographic", *arguments,
                                "-chardev", f"socket,id=qmp,fd={theirs.fileno()}", "-mon", "chardev=qmp,mode=control"],
                               pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        theirs.close()
        ours.settimeout(DEADLINE)
        with ours, ours.makefile("rb") as answers:
            answers.readline()
            ours.sendall(b"".join(json.dumps({"execute": name, **({"arguments": given} if given else {})}).encode() + b"\n"
                                  for name, given in questions))
            left = len(questions)
            while left:
                line = answers.readline()
                if not line:
                    raise OSError(f"{path} ended in the conversation")
                left -= b'"return"' in line[:12] or b'"error"' in line[:12]
        return time.monotonic() - begin
    finally:
        process.kill()
        process.wait()


def emulators():
    """Each qemu-system-* binary of the search path once."""
    found = {}
    for folder in (*os.environ["PATH"].split(":"), "/usr/libexec"):
        for name in os.listdir(folder) if os.path.isdir(folder) else ():
            path = os.path.join(folder, name)
            if name.startswith("qemu-system-") and os.access(path, os.X_OK):
                found.setdefault(os.path.realpath(path), path)
    return sorted(found.values())


def one(path):
    """One emulator and what its capabilities on q35 depend on, but for the models that host-model may stand on."""
    begin = time.monotonic()
    basic(path)
    model = {"type": "full", "model": {"name": "max"}}
    converse(path, ["-machine", "q35", "-accel", "tcg"],
             (("qmp_capabilities", None), ("query-cpu-definitions", None), ("query-machines", None),
              ("query-cpu-model-expansion", model)))
    return time.monotonic() - begin


def basic(path):
    """As invard does: an emulator without TCG is asked again with another accelerator."""
    for accelerator in ("tcg", "kvm", "qtest"):
        try:
            return converse(path, ["-machine", "none", "-accel", accelerator], BASIC)
        except OSError as error:
            failure = error
    raise failure


def every():
    """(seconds, emulators): all of them, two at a time."""
    paths = emulators()
    begin = time.monotonic()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        list(pool.map(basic, paths))
    return time.monotonic() - begin, len(paths)
