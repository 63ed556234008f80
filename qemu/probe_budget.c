/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/probe_budget.h"

#include "util/error.h"

#include <signal.h>
#include <sys/wait.h>

/* Each probe keeps one processor busy; more than this many only fight for the disk. */
#define MAX_AT_ONCE 8u

static GPrivate idle_thread; /* not NULL: this thread's probes are background */

static GMutex lock;
static GCond changed;
static GQueue slots = G_QUEUE_INIT; /* of InvProbeSlot, borrowed; guarded by lock, as all that follows */
static guint n_waiting;             /* askers without a place whom somebody waits for */
static gboolean stopped;

void
inv_probe_budget_set_idle(gboolean idle)
{
    g_private_set(&idle_thread, GINT_TO_POINTER(idle));
}

gboolean
inv_probe_budget_is_idle(void)
{
    return GPOINTER_TO_INT(g_private_get(&idle_thread));
}

guint
inv_probe_budget_limit(void)
{
    return CLAMP(g_get_num_processors(), 1, MAX_AT_ONCE);
}

/* How many places of this kind are taken by who still works; *@next: when the first of them grows old. */
static guint
count_young_locked(gboolean idle, guint *all, gint64 *next)
{
    gint64 now = g_get_monotonic_time();
    guint young = 0;

    *all = 0;
    for (const GList *link = slots.head; link; link = link->next) {
        const InvProbeSlot *slot = link->data;
        gint64 old = slot->since + INV_PROBE_SLOW_MS * G_TIME_SPAN_MILLISECOND;

        if (slot->idle != idle)
            continue;
        (*all)++;
        if (old <= now)
            continue;
        young++;
        *next = MIN(*next, old);
    }
    return young;
}

static gboolean
has_place_locked(gboolean idle, gint64 *next)
{
    guint all;

    if (idle && (n_waiting || count_young_locked(FALSE, &all, next)))
        return FALSE;
    return count_young_locked(idle, &all, next) < inv_probe_budget_limit() && all < INV_PROBE_MAX;
}

static gboolean
wait_for_place_locked(gboolean idle, gint64 end)
{
    gboolean in_time = TRUE;

    while (!stopped && in_time) {
        gint64 next = end;

        if (has_place_locked(idle, &next))
            return TRUE;
        if (!g_cond_wait_until(&changed, &lock, next))
            in_time = g_get_monotonic_time() < end;
    }
    return FALSE;
}

gboolean
inv_probe_budget_enter(InvProbeSlot *slot, const char *path, gint64 end, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);
    gboolean idle = inv_probe_budget_is_idle();
    gboolean found;

    n_waiting += !idle;
    found = wait_for_place_locked(idle, end);
    n_waiting -= !idle;
    if (!found) {
        g_cond_broadcast(&changed);
        if (stopped)
            return inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "'%s' was not asked: the program ends", path);
        return inv_error_set(error, VIR_ERR_RESOURCE_BUSY,
                             "'%s' was not asked in time: %u other emulators are being asked; try again", path, slots.length);
    }
    slot->since = g_get_monotonic_time();
    slot->idle = idle;
    slot->pid = 0;
    slot->link = (GList){ .data = slot };
    g_queue_push_tail_link(&slots, &slot->link);
    return TRUE;
}

void
inv_probe_budget_leave(InvProbeSlot *slot)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    if (!slot->link.data)
        return;
    g_queue_unlink(&slots, &slot->link);
    slot->link.data = NULL;
    g_cond_broadcast(&changed);
}

gboolean
inv_probe_budget_set_pid(InvProbeSlot *slot, pid_t pid)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    slot->pid = pid;
    return !stopped;
}

gboolean
inv_probe_budget_reap(InvProbeSlot *slot, int *status)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    siginfo_t info = { 0 };

    if (slot->pid && waitid(P_PID, (id_t)slot->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == slot->pid) {
        /* A script that did not exec leaves its QEMU behind; the group is its own until the leader is reaped. */
        kill(-slot->pid, SIGKILL);
        waitpid(slot->pid, status, WNOHANG);
        slot->pid = 0;
    }
    return slot->pid == 0;
}

gboolean
inv_probe_budget_wait_idle(void)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    return wait_for_place_locked(TRUE, G_MAXINT64);
}

void
inv_probe_budget_stop(void)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    stopped = TRUE;
    for (const GList *link = slots.head; link; link = link->next) {
        const InvProbeSlot *slot = link->data;

        if (slot->pid > 0) {
            kill(-slot->pid, SIGKILL);
            kill(slot->pid, SIGKILL);
        }
    }
    g_cond_broadcast(&changed);
}

gboolean
inv_probe_budget_is_stopped(void)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&lock);

    return stopped;
}
