/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * What keeps a thread of a pool for seconds although there is nothing to do for it: an emulator that
 * hangs, another call that goes first. It says so, and whoever owns the pool lets another thread
 * work in its place. Threads that belong to no such pool need not know: then nothing happens.
 */
typedef struct {
    /* FALSE: so many wait already that no other thread comes for this one. Both on the thread that waits. */
    gboolean (*begin)(gpointer user_data);
    void (*end)(gpointer user_data);
    gpointer user_data;
} InvLongWaitOwner;

/* For this thread from now on; borrowed; NULL: nobody's. */
void inv_long_wait_set_owner(const InvLongWaitOwner *owner);

/*
 * A wait begins, and ends: pairs, which may be nested. FALSE: this thread's work is left undone
 * meanwhile, so the wait should be a short one.
 */
gboolean inv_long_wait_begin(void);
void inv_long_wait_end(void);

/*
 * g_cond_wait_until() in a loop that looks what came: at first as any other, and from
 * INV_LONG_WAIT_AFTER_MS after @began on as a long wait, since by then nobody works for it. FALSE: it
 * is @end. Both monotonic times.
 */
#define INV_LONG_WAIT_AFTER_MS 2000
gboolean inv_long_wait_on(GCond *cond, GMutex *lock, gint64 began, gint64 end);

G_END_DECLS
