#!/usr/bin/env python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""gen_program.py OUTPUT.c NAME_protocol.x...

Writes the InvRpcProgram of each .x file. Names tie a procedure to its payload: FOO_PROC_BAR = 7 in
enum foo_procedure has the arguments struct foo_bar_args, the result struct foo_bar_ret or, when it
is an event, the message struct foo_bar_msg, each of which may be absent.
"""
import os
import re
import sys


def without_comments(text):
    return re.sub(r"/\*.*?\*/", " ", text, flags=re.S)


def read_program(path):
    with open(path, encoding="utf-8") as stream:
        text = without_comments(stream.read())
    name = os.path.basename(path)[: -len("_protocol.x")]
    upper = name.upper()
    found = re.search(r"enum\s+%s_procedure\s*\{([^}]*)\}" % name, text)
    if not found:
        sys.exit("%s: there is no enum %s_procedure" % (path, name))
    procedures = []
    for entry in filter(None, (part.strip() for part in found.group(1).split(","))):
        match = re.fullmatch(r"%s_PROC_([A-Z0-9_]+)\s*=\s*(\d+)" % upper, entry)
        if not match:
            sys.exit("%s: '%s' is not of the form %s_PROC_NAME = NUMBER" % (path, entry, upper))
        procedures.append((int(match.group(2)), match.group(1)))
    procedures.sort()
    numbers = [number for number, _ in procedures]
    if len(set(numbers)) != len(numbers):
        sys.exit("%s: a procedure's number is there twice" % path)
    structs = set(re.findall(r"\bstruct\s+(\w+)\s*\{", text))
    unused = {s for s in structs if re.fullmatch(r"%s_\w+_(args|ret|msg)" % name, s)}
    rows = []
    for number, procedure in procedures:
        base = "%s_%s" % (name, procedure.lower())
        args = base + "_args" if base + "_args" in structs else None
        ret = next((base + end for end in ("_ret", "_msg") if base + end in structs), None)
        unused -= {args, ret}
        rows.append((number, procedure, args, ret))
    if unused:
        sys.exit("%s: no procedure has the payload %s" % (path, ", ".join(sorted(unused))))
    return name, upper, rows


def payload(struct):
    return "(xdrproc_t)xdr_%s, sizeof(%s)" % (struct, struct) if struct else "NULL, 0"


def main():
    output, inputs = sys.argv[1], sys.argv[2:]
    programs = [read_program(path) for path in inputs]
    lines = ["/* Written by rpc/gen_program.py: do not edit. */", '#include "rpc/program.h"', ""]
    lines += ['#include "rpc/%s_protocol.h"' % name for name, _, _ in programs]
    for name, upper, rows in programs:
        lines += ["", "static const InvRpcProcedure %s_procedures[] = {" % name]
        for number, procedure, args, ret in rows:
            lines.append('    { %d, "%s", %s, %s },' % (number, procedure, payload(args), payload(ret)))
        lines += [
            "};",
            "",
            "const InvRpcProgram inv_rpc_%s_program = {" % name,
            "    .number = %s_PROGRAM," % upper,
            "    .version = %s_PROTOCOL_VERSION," % upper,
            '    .name = "%s",' % name,
            "    .procedures = %s_procedures," % name,
            "    .n_procedures = G_N_ELEMENTS(%s_procedures)," % name,
            "};",
        ]
    with open(output + ".tmp", "w", encoding="utf-8") as stream:
        stream.write("\n".join(lines) + "\n")
    os.replace(output + ".tmp", output)


if __name__ == "__main__":
    main()
