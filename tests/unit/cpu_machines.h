/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/basis.h"
#include "tests/unit/decode_checks.h"

#include <glib.h>

/* The map's models and a basis of them, and every machine of which there is data in ../shared. */
typedef struct {
    DecodeTools tools;
    InvCpuBasis *basis;
    GPtrArray *machines; /* of CpuMachine, owned, by name; empty where the data is absent */
} CpuWorld;

typedef struct {
    char *name;
    InvCpuSeen *cpuid;
    InvCpuSeen *qemu;       /* what QEMU says of `host`; NULL: nobody asked */
    InvFeatureSet *enabled; /* of .enabled.xml; NULL: absent */
} CpuMachine;

/* @folder: of the map; NULL: the tree's. Fails the process when that cannot be read, or a file of a machine. */
CpuWorld *cpu_world_load(const char *folder);
void cpu_world_free(CpuWorld *world);

/* The names of the machines, of char *, sorted; empty where the data is absent. */
GPtrArray *cpu_machine_names(void);
/* The text of the machine's file of this ending; NULL: it has none. */
char *cpu_machine_text(const char *machine, const char *suffix, gsize *length);
/* The same as CPUID leaves, and QEMU's expansion of `host`. NULL: absent. Fail the process when there is one that cannot be read. */
InvCpuidData *cpu_machine_words(const char *machine, const char *suffix);
InvJson *cpu_machine_expansion(const char *machine);
