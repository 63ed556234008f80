# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of `invar host-export`, taken apart and put together again: cpu_driver/host_export.h says how they are made."""
import json

SUM = b',"sum":"'


def fnv(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = ((value ^ byte) * 0x100000001b3) & 0xffffffffffffffff
    return value


def line(value):
    """The bytes of a line, with its sum."""
    value = {name: member for name, member in value.items() if name != "sum"}
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode()[:-1]
    return text + SUM + b"%016x\"}\n" % fnv(text)


class HostFile:
    """A description: its first line as a dict, and the rest as bytes. Lines change in place when they keep their length."""

    def __init__(self, data):
        first, self.body = data.split(b"\n", 1)
        self.head = json.loads(first)

    def data(self):
        return line(self.head) + self.body

    def names(self):
        offset, length = self.head["names"]
        return json.loads(self.body[offset:offset + length])["names"]

    def table(self, emulator, machine, accelerator="tcg"):
        """(offset, lines) of a table."""
        offset, length = emulator["machines"]
        for text in self.body[offset:offset + length].splitlines():
            found = json.loads(text)
            if found["machine"] == machine:
                offset, length = found[accelerator]
                return offset, self.body[offset:offset + length].splitlines(keepends=True)
        raise KeyError(machine)

    def edit_line(self, emulator, machine, kind, name, change, accelerator="tcg"):
        """change(dict) edits the line of that "model" or "table", which must keep its length."""
        offset, lines = self.table(emulator, machine, accelerator)
        for text in lines:
            value = json.loads(text)
            if value.get(kind) == name:
                change(value)
                fresh = line(value)
                assert len(fresh) == len(text), (len(fresh), len(text))
                self.body = self.body[:offset] + fresh + self.body[offset + len(text):]
                return
            offset += len(text)
        raise KeyError(name)

    def put(self, lines):
        """Where the @lines, of dicts, stand now."""
        fresh = b"".join(map(line, lines))
        self.body += fresh
        return [len(self.body) - len(fresh), len(fresh)]

    def machines(self, emulator):
        offset, length = emulator["machines"]
        return [json.loads(text) for text in self.body[offset:offset + length].splitlines()]

    def edit_table(self, emulator, machine, change, accelerator="tcg"):
        """change(dict) edits every line of the table."""
        _, lines = self.table(emulator, machine, accelerator)
        lines = [json.loads(text) for text in lines]
        for value in lines:
            change(value)
        place = self.put(lines)
        emulator["machines"] = self.put([dict(value, **{accelerator: place}) if value["machine"] == machine else value
                                         for value in self.machines(emulator)])

    def without(self, value, feature, member="on"):
        """The line of a model without @feature; its length stays. Had it that?"""
        number = self.names().index(feature)
        digits = list(value.get(member, ""))
        if number // 4 >= len(digits) or not int(digits[number // 4], 16) >> number % 4 & 1:
            return False
        digits[number // 4] = "%x" % (int(digits[number // 4], 16) & ~(1 << number % 4))
        value[member] = "".join(digits)
        return True

    def hide(self, emulator, machine, feature, accelerator="tcg"):
        """As on a host that cannot give @feature, for domains that ask for more than a model; no line changes its length."""
        self.edit_line(emulator, machine, "model", "max", lambda value: self.without(value, feature), accelerator)
        self.edit_line(emulator, machine, "table", machine, lambda value: self.without(value, feature, "proved"), accelerator)

    def take_away(self, emulator, machine, feature, accelerator="tcg"):
        """As on a host that cannot give @feature."""
        def change(value):
            if "proved" in value:
                self.without(value, feature, "proved")
            elif value.get("model") == "max":
                self.without(value, feature)
            elif self.without(dict(value), feature) and feature not in value["unavailable"]:
                value["unavailable"] = sorted(value["unavailable"] + [feature])
        self.edit_table(emulator, machine, change, accelerator)
