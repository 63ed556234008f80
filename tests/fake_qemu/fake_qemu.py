#!/usr/bin/python3 -B
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A stand-in for an emulator binary, as good or as bad as a test wants it.

A test makes an executable "qemu-system-ARCH" that runs

    exec /usr/bin/python3 -B fake_qemu.py CONFIG "$@"

where CONFIG is a JSON file:

    mode        what it does, one of MODES below ("answer" when absent)
    session     a recorded session (*.replies.xz): commands and replies in turn, paired by order. Where
                a session under TCG follows one under KVM, "-accel" tells which of them answers first
    answers     {command: reply} or {command: [{"arguments": {...}, "return": ...}, ...]}; the first
                whose arguments are a part of the command's is taken. They go before the session
    lacks       names of commands that get CommandNotFound
    greeting    {"major": 7, "minor": 2, "micro": 0, "package": ""}
    machines    machine types that "-machine" accepts; absent: all
    cpus        CPU models that "-cpu" accepts; absent: all
    stderr      text for standard error, before anything else
    status      exit status of the mode "exit"
    delay_ms    of the mode "slow", before each message
    log         a file to which a line per run is appended
"""

import copy
import json
import lzma
import os
import socket
import sys
import time

# What a process that should hang does at most, if a test forgets it.
LIFETIME_S = 60

MODES = (
    "answer", "hang", "hang-after-greeting", "die-mid-reply", "garbage", "huge", "deep", "exit", "kill", "slow",
)


def read_session(path):
    """The (command, reply) pairs of a recorded session, in order."""
    with lzma.open(path, "rt", encoding="utf-8") as file:
        text = file.read()
    decoder = json.JSONDecoder()
    position, pairs, command = 0, [], None
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position >= len(text):
            return pairs
        value, position = decoder.raw_decode(text, position)
        if command is None:
            command = value
        else:
            pairs.append((command, value))
            command = None


def options(argv):
    """QEMU's arguments as {name: [values]}."""
    found, name = {}, None
    for argument in argv:
        if argument.startswith("-"):
            name = argument.lstrip("-")
            found.setdefault(name, [])
        elif name:
            found[name].append(argument)
    return found


def is_part(small, large):
    if isinstance(small, dict):
        return isinstance(large, dict) and all(is_part(value, large.get(name)) for name, value in small.items())
    return small == large


def parts(pairs):
    """The sessions of which the recording consists: each begins with its greeting's capabilities."""
    found = []
    for pair in pairs:
        if pair[0].get("execute") == "qmp_capabilities" or not found:
            found.append([])
        found[-1].append(pair)
    return found


class Fake:
    def __init__(self, config, argv):
        self.config = config
        self.mode = config.get("mode", "answer")
        self.options = options(argv)
        sessions = parts(read_session(config["session"])) if "session" in config else []
        if "kvm" not in self.options.get("accel", []):
            sessions.reverse()
        self.pairs = [pair for session in sessions for pair in session]
        self.socket = None

    def fail(self, text):
        print(f"{sys.argv[0]}: {text}", file=sys.stderr, flush=True)
        sys.exit(1)

    def check_arguments(self):
        machine = self.options.get("machine", ["none"])[0].split(",")[0]
        cpu = self.options.get("cpu", [""])[0].split(",")[0]
        if machine != "none" and machine not in self.config.get("machines", [machine]):
            self.fail("unsupported machine type\nUse -machine help to list supported machines")
        if cpu and cpu not in self.config.get("cpus", [cpu]):
            self.fail(f"unable to find CPU model '{cpu}'")

    def connect(self):
        """The monitor's socket, passed as QEMU takes it: a connected descriptor, or one that listens."""
        for value in self.options.get("chardev", []):
            kind, *rest = value.split(",")
            settings = dict(item.partition("=")[::2] for item in rest)
            if kind == "socket" and "fd" in settings:
                self.socket = socket.socket(fileno=int(settings["fd"]))
                if settings.get("server", "off") == "on":
                    self.socket, _ = self.socket.accept()
                return
        self.fail("no monitor was asked for")

    def send(self, message):
        if self.mode == "slow":
            time.sleep(self.config.get("delay_ms", 100) / 1000)
        self.socket.sendall(json.dumps(message).encode() + b"\r\n")

    def greet(self):
        version = dict(self.config.get("greeting", {"major": 7, "minor": 2, "micro": 0}))
        package = version.pop("package", "")
        self.send({"QMP": {"version": {"qemu": version, "package": package}, "capabilities": ["oob"]}})

    def scripted(self, name, arguments):
        answer = self.config.get("answers", {}).get(name)
        if not isinstance(answer, list):
            return answer
        for each in answer:
            if is_part(each.get("arguments", {}), arguments):
                return each
        return None

    def recorded(self, name, arguments):
        """The first recorded reply to the same command with the same arguments."""
        for command, reply in self.pairs:
            if command.get("execute") == name and command.get("arguments", {}) == arguments:
                return reply
        if name == "query-cpu-model-expansion" and arguments.get("type") == "full":
            # On x86 only this was recorded. It has every feature, and what else identifies the CPU.
            return self.recorded(name, {**arguments, "type": "static"})
        return None

    def answer(self, command):
        name, arguments = command.get("execute"), command.get("arguments", {})
        if name == "qmp_capabilities":
            return {"return": {}}
        reply = None
        if name not in self.config.get("lacks", []):
            reply = self.scripted(name, arguments) or self.recorded(name, arguments)
        if reply is None:
            text = f"The command {name} has not been found"
            return {"error": {"class": "CommandNotFound", "desc": text}}
        reply = copy.deepcopy(reply)
        reply.pop("arguments", None)
        return reply

    def misbehave(self, text):
        """What the modes that break off do in the middle of their first real answer."""
        if self.mode == "hang-after-greeting":
            time.sleep(LIFETIME_S)
        elif self.mode == "die-mid-reply":
            self.socket.sendall(text[: len(text) // 2])
            os._exit(3)
        elif self.mode == "garbage":
            self.socket.sendall(b"\x00\xff these are not the replies you are looking for\n")
            time.sleep(LIFETIME_S)
        elif self.mode == "deep":
            self.socket.sendall(b"[" * 100000 + b"\n")
            time.sleep(LIFETIME_S)
        elif self.mode == "huge":
            self.socket.sendall(b'{"return": "')
            chunk = b"x" * (1 << 20)
            for _ in range(100):
                self.socket.sendall(chunk)
            self.socket.sendall(b'"}\n')

    def serve(self):
        self.greet()
        for line in self.socket.makefile("rb"):
            command = json.loads(line)
            reply = self.answer(command)
            if "id" in command:
                reply["id"] = command["id"]
            if command["execute"] != "qmp_capabilities" and self.mode not in ("answer", "slow"):
                self.misbehave(json.dumps(reply).encode())
            self.send(reply)
            if command["execute"] == "quit":
                return

    def run(self):
        if "log" in self.config:
            with open(self.config["log"], "a", encoding="utf-8") as file:
                file.write(" ".join(sys.argv[2:]) + "\n")
        if self.config.get("stderr"):
            print(self.config["stderr"], file=sys.stderr, flush=True)
        if self.mode == "exit":
            return self.config.get("status", 1)
        if self.mode == "kill":
            os.kill(os.getpid(), 9)
        if self.mode == "hang":
            time.sleep(LIFETIME_S)
        self.check_arguments()
        self.connect()
        try:
            self.serve()
        except (BrokenPipeError, ConnectionResetError):
            pass
        return 0


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        config = json.load(file)
    if config.get("mode", "answer") not in MODES:
        sys.exit(f"fake_qemu.py: no such mode: {config['mode']}")
    return Fake(config, sys.argv[2:]).run()


if __name__ == "__main__":
    sys.exit(main())
