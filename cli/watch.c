/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/watch.h"

#include <signal.h>

/* How often the wait looks whether Ctrl-C was pressed. */
#define SLICE_MS 250

static volatile sig_atomic_t interrupted;
static struct sigaction before;

static void
on_interrupt(int number)
{
    interrupted = 1;
}

void
inv_watch_begin(void)
{
    const struct sigaction action = { .sa_handler = on_interrupt };

    interrupted = 0;
    sigaction(SIGINT, &action, &before);
}

void
inv_watch_end(void)
{
    sigaction(SIGINT, &before, NULL);
}

gboolean
inv_watch_take_interrupt(void)
{
    gboolean pressed = interrupted != 0;

    interrupted = 0;
    return pressed;
}

InvWatchEnd
inv_watch_wait(InvCli *cli, guint timeout_s, const gboolean *done, GError **error)
{
    gint64 deadline = timeout_s ? g_get_monotonic_time() + (gint64)timeout_s * G_TIME_SPAN_SECOND : 0;
    gint64 left = SLICE_MS;

    while (!interrupted && left > 0 && !*done) {
        if (!inv_rpc_connection_wait(cli->connection, (guint)MIN(left, SLICE_MS), error)) {
            inv_cli_disconnect(cli);
            return INV_WATCH_LOST;
        }
        if (deadline)
            left = (deadline - g_get_monotonic_time() + 999) / 1000;
    }
    return *done ? INV_WATCH_DONE : interrupted ? INV_WATCH_INTERRUPTED : INV_WATCH_TIMED_OUT;
}

char *
inv_watch_now(void)
{
    g_autoptr(GDateTime) now = g_date_time_new_now_local();

    return g_date_time_format(now, "%Y-%m-%d %H:%M:%S.%f%z");
}
