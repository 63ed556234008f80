/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_driver.h"

#include <glib.h>

/* Facts as a real QEMU gave them, recorded by tests/data/cpu/record.py. */
typedef struct {
    InvCpuMap *map;
    InvFeatureNames *names;
    InvCpuTable *table;
    InvCpuExpansion *host;
    InvFeatureSet *hardware; /* NULL until a test fills it */
    InvFeatureSet *kernel;   /* likewise */
    InvJson *json;
    char *file; /* that they are from */
    InvCpuFacts facts;
} CpuFacts;

/*
 * @arch: "x86_64", "s390x", "aarch64" or "ppc64", or "x86_64-next", of the QEMU of Debian's next release. Fails the
 * process when the recording cannot be read.
 */
CpuFacts *cpu_facts_load(const char *arch);
/* @folder: of the map, in place of the tree's. */
CpuFacts *cpu_facts_load_with(const char *arch, const char *folder);
void cpu_facts_free(CpuFacts *all);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuFacts, cpu_facts_free)

/* The raw recording's props of "max", borrowed; of another x86 model, owned by the caller. */
const InvJson *cpu_facts_max(const CpuFacts *all);
InvJson *cpu_facts_props(const CpuFacts *all, const char *model);

/* The CPU that this QEMU made of @argument, owned by the caller; NULL with the argument printed when no run of it was recorded. */
InvGuestCpu *cpu_facts_guest(const CpuFacts *all, const char *argument);

/*
 * What QEMU filters of @request: from the table, else from the recorded dry runs (owned by the
 * caller). NULL with the argument printed when no run of it was recorded.
 */
char **cpu_facts_unavailable(const CpuFacts *all, const InvCpuRequest *request);
