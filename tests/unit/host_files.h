/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/host_export.h"
#include "tests/unit/cpu_facts.h"

/* A description of a host in memory, for inv_host_export_open(). */
typedef struct {
    const char *text;
    gsize length;
} HostFile;

gssize host_file_read(gpointer data, guint64 offset, char *buffer, gsize length);

/* Lines that have room for a sum get the right one: what is wrong with them is then behind the sums. */
void host_file_fix_sums(char *text, gsize length);

/* The domain of a guest on the machine of @facts: @cpu (XML, or NULL), and @record, which is taken over, or NULL. */
InvMigrationSubject *host_file_subject(const InvCpuFacts *facts, const char *cpu, InvCpuRecord *record);

/* What a guest of @model would have seen: its expansion without @without (a feature, or NULL). NULL: it has none. */
InvCpuRecord *host_file_record(const InvCpuFacts *facts, const InvCpuModel *model, const char *without);
