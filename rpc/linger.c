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

/* Where others want the processor, whoever looks for work instead of sleeping loses it for longer than a wake-up takes. */
#define YIELD_US 50
#define PAUSE_US 50000
#define PAUSE_MAX_US 1000000

typedef struct {
    GSource source;
    /* Monotonic times; I/O thread only. */
    gint64 until;
    gint64 paused_until;      /* somebody else wanted the processor */
    gint64 pause;             /* how long the next pause is */
    gint64 last;              /* when somebody was answered */
    const gint64 *last_one;   /* who: only compared */
} Linger;

static gboolean
prepare(GSource *source, int *timeout)
{
    Linger *linger = (Linger *)source;
    gint64 before = g_get_monotonic_time();
    gint64 now;

    *timeout = -1;
    if (before >= linger->until)
        return FALSE;
    /* The client may be waiting for this very processor. */
    sched_yield();
    now = g_get_monotonic_time();
    *timeout = 0;
    if (now - before > YIELD_US) {
        linger->paused_until = now + linger->pause;
        linger->pause = MIN(linger->pause * 2, PAUSE_MAX_US);
        linger->until = 0;
    }
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
    ((Linger *)source)->pause = PAUSE_US;
    g_source_set_static_name(source, "rpc linger");
    g_source_attach(source, context);
    return source;
}

void
inv_rpc_linger_answered(GSource *source, gint64 *answered)
{
    Linger *linger = (Linger *)source;
    gint64 now = g_get_monotonic_time();

    if (linger) {
        /* Several that are busy keep the loop awake themselves, and need the processors. */
        gboolean alone = linger->last_one == answered || now - linger->last >= LINGER_US;

        /* It was of use: the machine is not that busy. */
        if (now < linger->until)
            linger->pause = PAUSE_US;
        linger->until = alone && now >= linger->paused_until && now - *answered < LINGER_US ? now + LINGER_US : 0;
        linger->last = now;
        linger->last_one = answered;
    }
    *answered = now;
}
