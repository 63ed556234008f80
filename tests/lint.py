#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Rules of the house that no compiler knows. Each has its reason beside it."""
import os
import re
import sys

TOP = os.path.abspath(os.environ.get("INVAR_TOP_SRCDIR", os.path.join(os.path.dirname(__file__), "..")))

# A room includes only what lies below it: so that each can be read, tested and replaced alone.
FLOORS = {"util": 0, "cpu_map": 0, "xml": 1, "cpu_driver": 2, "store": 3, "qemu": 4, "rpc": 4, "daemon": 5, "cli": 5}
# One room more on a floor of which the upper knows the lower's data.
BESIDE = {("cpu_map", "util")}
FILE_LINES = 1000
FUNCTION_LINES = 80


def files(*suffixes, folders=None):
    for folder in folders or [*FLOORS, "schemas", "tests", "scripts"]:
        for base, names, found in os.walk(os.path.join(TOP, folder)):
            names[:] = [name for name in names if name not in ("data", "corpus", "__pycache__")]
            for name in sorted(found):
                if name.endswith(suffixes):
                    yield os.path.relpath(os.path.join(base, name), TOP)


def read(path):
    with open(os.path.join(TOP, path), encoding="utf-8") as file:
        return file.read()


def without_comments(text):
    """C with its comments and literals blanked, line numbers kept."""
    def blank(match):
        found = match.group(0)
        return '""' if found[0] in "\"'" else re.sub(r"[^\n]", " ", found)
    return re.sub(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', blank, text, flags=re.S)


def matches(path, pattern, text=None):
    text = read(path) if text is None else text
    for number, line in enumerate(text.splitlines(), 1):
        found = re.search(pattern, line)
        if found:
            yield f"{path}:{number}: {line.strip()[:100]}", found


def floors():
    """a room includes only what lies below it"""
    for path in files(".c", ".h", folders=FLOORS):
        room = path.split("/")[0]
        for where, found in matches(path, r'^\s*#\s*include\s+"([a-z_]+)/'):
            other = found.group(1)
            if other not in FLOORS:
                yield f"{where}: no room of that name"
            elif other != room and FLOORS[other] >= FLOORS[room] and (room, other) not in BESIDE:
                yield where


def one_json():
    """only util/json.c includes yajl: it can be replaced, and its limits cannot be gone round"""
    for path in files(".c", ".h"):
        if path != "util/json.c":
            for where, _ in matches(path, r"#\s*include\s*[<\"]yajl"):
                yield where


def licence():
    """every file says its licence in its first lines"""
    scripts = [path for path in ("check", "try", "autogen.sh", ".ci/run") if os.path.exists(os.path.join(TOP, path))]
    for path in [*files(".c", ".h", ".S", ".py", ".sh", ".x"), *scripts]:
        if "SPDX-License-Identifier: LGPL-2.1-or-later" not in "\n".join(read(path).splitlines()[:3]):
            yield path


def file_length():
    """no file of a thousand lines: it holds more than one thing"""
    for path in files(".c", ".h", ".py", ".S"):
        lines = read(path).count("\n")
        if lines >= FILE_LINES:
            yield f"{path}: {lines} lines"


def function_length():
    """functions below 80 lines: one can be seen whole"""
    for path in files(".c"):
        start = name = None
        for number, line in enumerate(without_comments(read(path)).splitlines(), 1):
            named = re.match(r"([a-z_][a-z0-9_]*)\(", line)
            if named:
                name = named.group(1)
            if line == "{":
                start = number
            elif line == "}" and start:
                if number - start + 1 >= FUNCTION_LINES:
                    yield f"{path}:{start}: {name}: {number - start + 1} lines"
                start = None


def machine_paths():
    """no path of the machine that it was written on: it exists nowhere else (examples may say /home/x)"""
    for path in [*files(".c", ".h", ".py", ".sh", ".inc", ".S", ".conf", ".service"), "Makefile.am", "configure.ac"]:
        for where, _ in matches(path, r"(?<![\w.])/(home/(?!x/)|work/|root/|Users/)\w"):
            if path != "tests/lint.py":
                yield where


def unfinished():
    """nothing is marked as unfinished: what is missing says "not supported" to who asks for it"""
    for path in files(".c", ".h", ".py", ".sh", ".inc", ".x", ".S"):
        for where, _ in matches(path, r"\b(TODO|FIXME|XXX|HACK)\b"):
            if path != "tests/lint.py":
                yield where


def no_shell():
    """no sleep(), no system(), no popen(): a wait is for something and has a deadline; arguments are no shell's"""
    for path in files(".c", ".h", folders=FLOORS):
        text = without_comments(read(path))
        for where, _ in matches(path, r"\b(sleep|usleep|g_usleep|nanosleep|system|popen)\s*\(", text):
            yield where


def no_goto():
    """no goto: ownership is in the declaration (g_autoptr)"""
    for path in files(".c", ".h"):
        for where, _ in matches(path, r"\bgoto\b", without_comments(read(path))):
            yield where


def bounded_text():
    """no sprintf, strcpy, strcat, gets: they do not know the size of what they write to"""
    for path in files(".c", ".h"):
        for where, _ in matches(path, r"\b(sprintf|vsprintf|strcpy|strcat|gets)\s*\(", without_comments(read(path))):
            yield where


RULES = (floors, one_json, licence, file_length, function_length, machine_paths, unfinished, no_shell, no_goto,
         bounded_text)


def main():
    print(f"1..{len(RULES)}")
    well = True
    for number, rule in enumerate(RULES, 1):
        broken = list(rule())
        for line in broken:
            print("# " + line)
        print(f"{'not ' if broken else ''}ok {number} - {rule.__doc__}")
        well = well and not broken
    sys.exit(0 if well else 1)


if __name__ == "__main__":
    main()
