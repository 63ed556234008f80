/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

struct InvProgress {
    GMutex lock;
    GCond ended;
    gboolean end; /* guarded by lock */
    GThread *thread;
    char *what;
};

static gpointer
show(gpointer data)
{
    InvProgress *progress = data;
    gint64 start = g_get_monotonic_time();
    guint seconds = 1;
    gboolean shown = FALSE;

    g_mutex_lock(&progress->lock);
    while (!progress->end) {
        gint64 next = start + (gint64)seconds * G_TIME_SPAN_SECOND;

        if (g_cond_wait_until(&progress->ended, &progress->lock, next) || progress->end)
            continue;
        fprintf(stderr, "\r%s … %u s", progress->what, seconds);
        fflush(stderr);
        shown = TRUE;
        seconds++;
    }
    g_mutex_unlock(&progress->lock);
    if (shown)
        fputs("\r\033[K", stderr);
    return NULL;
}

InvProgress *
inv_progress_new(const char *what)
{
    InvProgress *progress;

    if (!what || !isatty(STDERR_FILENO))
        return NULL;
    progress = g_new0(InvProgress, 1);
    g_mutex_init(&progress->lock);
    g_cond_init(&progress->ended);
    progress->what = g_strdup(what);
    progress->thread = g_thread_new("progress", show, progress);
    return progress;
}

void
inv_progress_free(InvProgress *progress)
{
    if (!progress)
        return;
    g_mutex_lock(&progress->lock);
    progress->end = TRUE;
    g_cond_signal(&progress->ended);
    g_mutex_unlock(&progress->lock);
    g_thread_join(progress->thread);
    g_mutex_clear(&progress->lock);
    g_cond_clear(&progress->ended);
    g_free(progress->what);
    g_free(progress);
}
