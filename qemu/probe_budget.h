/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>
#include <sys/types.h>

G_BEGIN_DECLS

/*
 * How many QEMUs that are only asked may run at once in this program, whoever asks: as many as there
 * are processors. What somebody waits for goes first: a background probe starts only while no other
 * is young or wanted, and takes no place from them. A QEMU that has not answered for
 * INV_PROBE_SLOW_MS is not working but hanging: it keeps no other from its place, up to a limit that
 * keeps a host with nothing but sick emulators alive. Safe from any thread.
 */
#define INV_PROBE_SLOW_MS 2000u
#define INV_PROBE_MAX 64u

/* What this thread probes from now on nobody waits for. */
void inv_probe_budget_set_idle(gboolean idle);
gboolean inv_probe_budget_is_idle(void);

/* One place; in the structure of who holds it. */
typedef struct {
    gint64 since;
    gboolean idle;
    pid_t pid; /* 0: not started yet, or reaped */
    GList link;
} InvProbeSlot;

/* Of probes that are worth being run at once. */
guint inv_probe_budget_limit(void);

/*
 * Waits for a place until the monotonic time @end. VIR_ERR_RESOURCE_BUSY: there was none;
 * VIR_ERR_OPERATION_ABORTED: inv_probe_budget_stop() was called. Neither tells anything of @path.
 */
gboolean inv_probe_budget_enter(InvProbeSlot *slot, const char *path, gint64 end, GError **error);
void inv_probe_budget_leave(InvProbeSlot *slot);

/* The process of the place, a leader of its group. FALSE: the program ends, and the process with it. */
gboolean inv_probe_budget_set_pid(InvProbeSlot *slot, pid_t pid);
/* waitpid(WNOHANG), so that nobody signals a process id that is somebody else's already. TRUE: reaped. */
gboolean inv_probe_budget_reap(InvProbeSlot *slot, int *status);

/* Waits until a background probe may start; FALSE: the program ends. */
gboolean inv_probe_budget_wait_idle(void);

/* The program ends: kills what runs and refuses what comes. */
void inv_probe_budget_stop(void);
gboolean inv_probe_budget_is_stopped(void);

G_END_DECLS
