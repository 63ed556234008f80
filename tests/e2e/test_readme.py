#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""The README's example runs as it is printed there."""
import os
import re
import subprocess

import harness

# What differs from one machine and moment to the next.
QEMU_VERSION = re.compile(r"QEMU \d+\.\d+\.\d+")
# Not every command of the example succeeds: that is what it shows.
EXITS = {"invar verdict witness": 3, "invar start exacting": 1}


def readme(title):
    """The section of that title."""
    with open(os.path.join(harness.TOP_SRCDIR, "README.md"), encoding="utf-8") as file:
        return re.search(rf"^## {title}$(.*?)(?=^## )", file.read(), re.M | re.S).group(1)


def session(text):
    """[(command, expected output)] of every `$ command` in the fenced blocks."""
    steps = []
    for block in re.findall(r"^```\n(\$ .*?)^```$", text, re.M | re.S):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            command, _, output = part.partition("\n")
            steps.append((command, output.strip()))
    return steps


def same_qemu(daemon, text):
    """The texts can be compared only where QEMU is the README's."""
    here = {emulator["version"] for emulator in daemon.invar_json("emulators", "--wait") if emulator["arch"] == "x86_64"}
    return here == {version.split()[1] for version in QEMU_VERSION.findall(text)}


def test_example():
    """every command of the example ends and prints as the README says"""
    text = readme("An example")
    document = re.search(r"^```xml\n(.*?)^```$", text, re.M | re.S).group(1)
    steps = session(text)
    assert len(steps) >= 5, steps
    with harness.Daemon() as daemon:
        daemon.write("witness.xml", document)
        daemon.write("exacting.xml", document.replace("relaxed", "strict").replace("witness", "exacting"))
        compare = same_qemu(daemon, text)
        for command, expected in [*steps[:4], ("invar define exacting.xml", None), *steps[4:]]:
            result = daemon.invar(*command.split()[1:], check=False)
            printed = (result.stdout + result.stderr).strip()
            assert result.returncode == EXITS.get(command, 0), (command, result)
            if compare and expected is not None:
                assert printed == expected, f"{command}\n--- README\n{expected}\n--- here\n{printed}"


def test_without_a_daemon():
    """the commands that need no daemon print what the README says, from the tree's own files"""
    steps = session(readme("CPUs, without a daemon"))
    assert len(steps) >= 3, steps
    environment = dict(os.environ, INVAR_URI="/nonexistent/invar-sock", NO_COLOR="1")
    for command, expected in steps:
        result = subprocess.run([harness.find_binary("invar"), *command.split()[1:]], cwd=harness.TOP_SRCDIR, env=environment, timeout=60,
                                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        printed = (result.stdout + result.stderr).strip()
        assert result.returncode == ("incompatible" in expected), (command, result)
        assert printed == expected, f"{command}\n--- README\n{expected}\n--- here\n{printed}"


if __name__ == "__main__":
    harness.main()
