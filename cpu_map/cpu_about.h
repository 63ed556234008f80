/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * What there is to say to a person of each CPU feature: what it is, what a guest loses without it,
 * and which features go with which. Texts only: no verdict looks here.
 * Immutable after loading; shared by all threads.
 */
typedef struct InvCpuAbout InvCpuAbout;

typedef struct {
    const char *name;  /* libvirt's spelling */
    const char *about; /* what it is; no final period */
    const char *cost;  /* what a guest loses when it is disabled; no final period */
    /* Both NULL-terminated, libvirt's spelling, in the order of the file. What needs what is told through to the end. */
    const char *const *needs;     /* without any of these QEMU switches it off */
    const char *const *needed_by; /* QEMU switches these off when it is off */
} InvCpuAboutEntry;

/*
 * @folder: as for inv_cpu_map_load(). An architecture of which nothing is written gives an empty one.
 * Errors: VIR_ERR_SYSTEM_ERROR (not readable), VIR_ERR_CONF_SYNTAX with file and line.
 */
InvCpuAbout *inv_cpu_about_load(const char *folder, const char *arch, GError **error);
void inv_cpu_about_free(InvCpuAbout *about);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuAbout, inv_cpu_about_free)

/* @name: libvirt's spelling. NULL: nothing is written of it. Borrowed. */
const InvCpuAboutEntry *inv_cpu_about_find(const InvCpuAbout *about, const char *name);
guint inv_cpu_about_size(const InvCpuAbout *about);
const InvCpuAboutEntry *inv_cpu_about_at(const InvCpuAbout *about, guint index);

G_END_DECLS
