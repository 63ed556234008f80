/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* What a QEMU that was started for it says of the CPU that it can give. */
typedef struct {
    char *path;
    char *arch;        /* in libvirt's words */
    const char *accel; /* "kvm" or "tcg" */
    char *reply;       /* of query-cpu-model-expansion, JSON */
    char *note;        /* why it is not the accelerator that was tried first; NULL: it is */
} InvCpuProbe;

void inv_cpu_probe_free(InvCpuProbe *probe);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvCpuProbe, inv_cpu_probe_free)

/*
 * Starts the emulator @path without a machine, asks it for the full expansion of `host` (KVM) or
 * `max` (TCG), and ends it. @accel: "kvm" or "tcg"; NULL tries KVM where this account may use it,
 * then TCG. VIR_ERR_OPERATION_TIMEOUT after @deadline_ms in all; VIR_ERR_NO_SUPPORT where QEMU does
 * not tell CPUs of the architecture.
 */
InvCpuProbe *inv_cpu_probe_run(const char *path, const char *accel, guint deadline_ms, GError **error);

/* The path that @name stands for: a bare one is looked for in PATH, as the shell would. Owned by the caller; NULL for NULL. */
char *inv_cpu_probe_path(const char *name);

G_END_DECLS
