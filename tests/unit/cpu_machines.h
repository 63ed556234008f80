/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/basis.h"
#include "cpu_driver/decode.h"

#include <glib.h>

/* The map's models and a basis of them, and every machine of which there is data in ../shared. */
typedef struct {
    InvCpuMap *map;
    InvCpuModels *models;
    InvFeatureNames *names;
    InvCpuDecoder *decoder;
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
