/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_table.h"
#include "util/json.h"

#include <glib.h>

G_BEGIN_DECLS

/* What QEMU really made, read from a stopped guest before its first instruction. */
typedef struct {
    char *machine;           /* canonical */
    char *type_name;         /* QOM type of CPU 0 */
    char *model;             /* versioned model of that type */
    InvCpuExpansion *cpu;    /* on: features that the guest sees */
    char **unavailable;      /* filtered, libvirt's names; NULL: this architecture does not say */
    char *words;             /* canonical text of QEMU's feature-words, less bits that follow the topology; NULL: none */
    char *path;              /* of CPU 0 in QEMU's tree of objects; NULL: not from a QEMU */
    char *live;              /* as inv_guest_cpu_read_live(), at the same time; NULL like that */
} InvGuestCpu;

void inv_guest_cpu_free(InvGuestCpu *guest);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvGuestCpu, inv_guest_cpu_free)

/* The ABI record of a domain: what its guest saw, and shall see for ever. */
typedef struct {
    char *arch;
    char *machine;     /* canonical */
    char *model;       /* versioned, QEMU's name */
    char *vendor;      /* "GenuineIntel", or NULL */
    char *brand;       /* "Intel Core Processor (Skylake)"; NULL: not known */
    gint64 family, model_number, stepping, level, xlevel, xlevel2, phys_bits, level_func7; /* -1: not known */
    char **on, **off;  /* libvirt's names, sorted */
    char *words;       /* as InvGuestCpu.words, or NULL */
    char *asked;       /* the <cpu> element as asked for on the first start ("" when there was none) */
    char *asked_machine;
    /*
     * SHA-256, 64 hex digits, over what the guest can see: all of the above but `asked`,
     * `asked_machine`, `off` and words of zero (a newer QEMU knows more names and words; to a guest
     * they are as absent as before) and features that follow the topology.
     */
    char *fingerprint;
} InvCpuRecord;

void inv_cpu_record_free(InvCpuRecord *record);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuRecord, inv_cpu_record_free)

/* Every text is the copy's own. NULL: NULL. */
InvCpuRecord *inv_cpu_record_copy(const InvCpuRecord *record);

InvCpuRecord *inv_cpu_record_new(const char *arch, const InvGuestCpu *guest);

InvJson *inv_cpu_record_to_json(const InvCpuRecord *record);
/*
 * Refuses a record whose fingerprint does not match its content. One by an Invar that knew less (no brand, no
 * level-func7, words of zero under the fingerprint) gets the fingerprint of today.
 */
InvCpuRecord *inv_cpu_record_from_json(const InvJson *json, GError **error);

/*
 * What changed from @before to @after, a line each ("feature rtm: on → off"); empty when they are
 * the same CPU. What an older Invar did not record (brand, level-func7) is no change. NULL-terminated, owned by the caller.
 */
char **inv_cpu_record_compare(const InvCpuRecord *before, const InvCpuRecord *after);

G_END_DECLS
