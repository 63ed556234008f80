/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A client that calls again as soon as it has its answer finds the I/O thread asleep each time, and
 * to wake it takes longer than to answer. For such a client the loop stays awake for a moment: it
 * polls without waiting, so that every other socket and monitor is served as ever.
 */
#include "rpc/server_private.h"

#include <sched.h>

/* About what a call costs whose both ends have to be woken. A client whose next call takes longer gains nothing by it. */
#define LINGER_US 100

typedef struct {
    GSource source;
    gint64 until; /* monotonic; I/O thread only */
} Linger;

static gboolean
prepare(GSource *source, int *timeout)
{
    const Linger *linger = (const Linger *)source;
    gboolean lingers = g_get_monotonic_time() < linger->until;

    *timeout = lingers ? 0 : -1;
    /* The client may be waiting for this very processor. */
    if (lingers)
        sched_yield();
    return FALSE;
}

static gboolean
check(GSource *source)
{
    return FALSE;
}

static gboolean
dispatch(GSource *source, GSourceFunc callback, gpointer user_data)
{
    return G_SOURCE_CONTINUE;
}

GSource *
inv_rpc_linger_new(GMainContext *context)
{
    static GSourceFuncs functions = { .prepare = prepare, .check = check, .dispatch = dispatch };
    GSource *source;

    /* With one processor the client could not even call while we look for its call. */
    if (g_get_num_processors() < 2)
        return NULL;
    source = g_source_new(&functions, sizeof(Linger));
    g_source_set_static_name(source, "rpc linger");
    g_source_attach(source, context);
    return source;
}

void
inv_rpc_linger_answered(GSource *source, gint64 *answered)
{
    gint64 now = g_get_monotonic_time();

    if (source && now - *answered < LINGER_US)
        ((Linger *)source)->until = now + LINGER_US;
    *answered = now;
}
