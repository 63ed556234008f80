/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/long_wait.h"

typedef struct {
    const InvLongWaitOwner *owner;
    guint depth;
    gboolean replaced; /* while depth > 0: another thread works for this one */
} Waiter;

static GPrivate this_thread = G_PRIVATE_INIT(g_free);

void
inv_long_wait_set_owner(const InvLongWaitOwner *owner)
{
    Waiter *waiter = g_private_get(&this_thread);

    if (!waiter) {
        waiter = g_new0(Waiter, 1);
        g_private_set(&this_thread, waiter);
    }
    g_return_if_fail(!waiter->depth);
    waiter->owner = owner;
}

gboolean
inv_long_wait_begin(void)
{
    Waiter *waiter = g_private_get(&this_thread);

    if (!waiter || !waiter->owner)
        return TRUE;
    if (waiter->depth++ == 0)
        waiter->replaced = waiter->owner->begin(waiter->owner->user_data);
    return waiter->replaced;
}

void
inv_long_wait_end(void)
{
    Waiter *waiter = g_private_get(&this_thread);

    if (!waiter || !waiter->owner)
        return;
    g_return_if_fail(waiter->depth);
    if (--waiter->depth == 0 && waiter->replaced)
        waiter->owner->end(waiter->owner->user_data);
}

gboolean
inv_long_wait_on(GCond *cond, GMutex *lock, gint64 began, gint64 end)
{
    gint64 is_long = began + INV_LONG_WAIT_AFTER_MS * G_TIME_SPAN_MILLISECOND;
    gboolean in_time;

    if (g_get_monotonic_time() < is_long)
        return g_cond_wait_until(cond, lock, MIN(is_long, end)) || g_get_monotonic_time() < end;
    inv_long_wait_begin();
    in_time = g_cond_wait_until(cond, lock, end);
    inv_long_wait_end();
    return in_time;
}
