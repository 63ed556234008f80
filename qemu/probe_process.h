/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/qmp.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * A QEMU that is started to be asked and never runs a guest: -S, no devices, no configuration, its
 * monitor on a socket that it inherits. It dies with the thread that started it, and is killed when
 * it is freed: there is nothing in it to save. Used by one thread.
 */
typedef struct InvProbeProcess InvProbeProcess;

/* Milliseconds from now to the monotonic time @end, at least 1. */
guint inv_deadline_left(gint64 end);
/* The monotonic time @deadline_ms from now. */
gint64 inv_deadline_end(guint deadline_ms);

/*
 * @arguments: what comes behind the options that all probes share, NULL-terminated. @end: monotonic
 * time. A QEMU that ends before it greets is VIR_ERR_CONFIG_UNSUPPORTED with its own words, one that
 * does not greet in time VIR_ERR_OPERATION_TIMEOUT. It waits for its place as probe_budget.h says,
 * and a thread that is marked there makes it one of idle priority.
 */
InvProbeProcess *inv_probe_process_start(InvIoThread *io, const char *path, const char *const *arguments, gint64 end, GError **error);
void inv_probe_process_free(InvProbeProcess *process);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvProbeProcess, inv_probe_process_free)

/* Borrowed. */
InvQmp *inv_probe_process_qmp(InvProbeProcess *process);

/*
 * Behind a failed call: when the connection is gone because QEMU ended, *@error becomes how it
 * ended and its last words; when a deadline was missed because QEMU got no processor to run on,
 * it becomes VIR_ERR_RESOURCE_BUSY. Returns FALSE.
 */
gboolean inv_probe_process_explain(InvProbeProcess *process, GError **error);

/*
 * Whether such an error may have come of how the host was at that moment (no memory, no room, a
 * signal from outside) and not of the emulator: then it tells nothing of another day.
 */
gboolean inv_probe_failure_passes(const GError *error);

/* QEMU's words for people: without the program's name before each line, and without warnings when there is an error. */
char *inv_probe_clean_words(const char *text, const char *program);

G_END_DECLS
