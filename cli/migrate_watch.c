/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/migrate_watch.h"

#include "cli/watch.h"
#include "util/error.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

INV_RPC_AUTOCLEAN(remote_domain_get_job_stats_ret)

/* How often the figures are asked for: twice a second, as virsh does. Between them Ctrl-C is looked for. */
#define POLL_US (G_USEC_PER_SEC / 2)
#define SLICE_US (G_USEC_PER_SEC / 10)
/* Of a question beside the migration: late figures are no figures. */
#define DEADLINE_MS 5000u
#define BAR_WIDTH 24u

typedef struct {
    InvCli *cli;
    InvMigrate *migrate;
    const InvMigrateWatch *options;
    InvRpcConnection *connection; /* beside those of the migration; NULL: not needed yet */
    GMutex lock;
    GCond ended;
    gboolean done;                /* guarded by lock */
    gboolean succeeded;           /* of meaning once it is done */
    GError *error;
    gboolean bar, shown;
    gboolean aborting;            /* Ctrl-C was pressed, and no abort has been accepted yet */
    gboolean aborted;
    gboolean timed_out;           /* what was to be done then is done */
    gboolean switched;            /* to postcopy */
} Watch;

static gpointer
run(gpointer data)
{
    Watch *watch = data;
    gboolean succeeded = inv_migrate_run(watch->migrate, &watch->error);

    g_mutex_lock(&watch->lock);
    watch->succeeded = succeeded;
    watch->done = TRUE;
    g_cond_signal(&watch->ended);
    g_mutex_unlock(&watch->lock);
    return NULL;
}

static gboolean
call(Watch *watch, guint32 procedure, gpointer args, gpointer ret, GError **error)
{
    if (!watch->connection)
        watch->connection = inv_rpc_connection_open_target(watch->migrate->source_target, FALSE, DEADLINE_MS, error);
    if (!watch->connection)
        return FALSE;
    if (inv_rpc_connection_call(watch->connection, &inv_rpc_remote_program, procedure, args, ret, DEADLINE_MS, error))
        return TRUE;
    /* One that is lost is opened again for the next question. */
    if (!inv_rpc_connection_wait(watch->connection, 0, NULL))
        g_clear_pointer(&watch->connection, inv_rpc_connection_close);
    return FALSE;
}

static guint64
number(const remote_domain_get_job_stats_ret *stats, const char *name)
{
    guint64 value = 0;

    inv_typed_params_get_ullong(stats->params.params_val, stats->params.params_len, name, &value, NULL);
    return value;
}

/* 100 is kept for the end. */
static guint
percent_of(guint64 total, guint64 remaining)
{
    if (!total)
        return 0;
    return (guint)MIN((double)(total - MIN(remaining, total)) * 100 / (double)total, 99);
}

static void
show_bar(Watch *watch, guint percent, const remote_domain_get_job_stats_ret *stats)
{
    char bar[BAR_WIDTH + 1];
    guint filled = percent * BAR_WIDTH / 100;
    g_autofree char *remaining = stats ? g_format_size_full(number(stats, VIR_DOMAIN_JOB_DATA_REMAINING), G_FORMAT_SIZE_IEC_UNITS) : NULL;
    g_autofree char *speed = stats ? g_format_size_full(number(stats, VIR_DOMAIN_JOB_MEMORY_BPS), G_FORMAT_SIZE_IEC_UNITS) : NULL;
    guint64 iteration = stats ? number(stats, VIR_DOMAIN_JOB_MEMORY_ITERATION) : 0;

    memset(bar, '.', BAR_WIDTH);
    memset(bar, '#', filled);
    bar[BAR_WIDTH] = '\0';
    fprintf(stderr, "\rMigration: [%s] %3u %%", bar, percent);
    if (stats)
        fprintf(stderr, "  %s to go, %s/s, pass %" G_GUINT64_FORMAT, remaining, speed, iteration);
    if (watch->aborting || watch->aborted)
        fputs("  aborting", stderr);
    else if (watch->timed_out)
        fputs(watch->options->action == INV_TIMEOUT_POSTCOPY ? "  timed out: post-copy" : "  timed out: suspended", stderr);
    fputs("\033[K", stderr);
}

static void
show(Watch *watch, guint percent, const remote_domain_get_job_stats_ret *stats)
{
    if (watch->bar)
        show_bar(watch, percent, stats);
    else
        fprintf(stderr, "\rMigration: [%3u %%]", percent);
    fflush(stderr);
    watch->shown = TRUE;
}

static gboolean
start_postcopy(Watch *watch)
{
    remote_domain_migrate_start_post_copy_args args = { .dom = watch->migrate->domain };

    watch->switched = watch->switched || call(watch, REMOTE_PROC_DOMAIN_MIGRATE_START_POST_COPY, &args, NULL, NULL);
    return watch->switched;
}

/* A daemon that has no figures, or not yet, is no failure of the migration. */
static void
poll_figures(Watch *watch, gboolean progress)
{
    remote_domain_get_job_stats_args args = { .dom = watch->migrate->domain };
    g_auto(remote_domain_get_job_stats_ret) stats = { 0 };

    if (!call(watch, REMOTE_PROC_DOMAIN_GET_JOB_STATS, &args, &stats, NULL) ||
        (stats.type != VIR_DOMAIN_JOB_BOUNDED && stats.type != VIR_DOMAIN_JOB_UNBOUNDED))
        return;
    if (watch->options->after_precopy && !watch->switched && number(&stats, VIR_DOMAIN_JOB_MEMORY_ITERATION) > 1)
        start_postcopy(watch);
    if (progress)
        show(watch, percent_of(number(&stats, VIR_DOMAIN_JOB_DATA_TOTAL), number(&stats, VIR_DOMAIN_JOB_DATA_REMAINING)), &stats);
}

/* Ctrl-C: until there is a job that can be aborted, none shall begin. */
static void
try_abort(Watch *watch)
{
    remote_domain_abort_job_args args = { .dom = watch->migrate->domain };
    g_autoptr(GError) error = NULL;

    g_atomic_int_set(&watch->migrate->stop, 1);
    watch->aborted = call(watch, REMOTE_PROC_DOMAIN_ABORT_JOB, &args, NULL, &error);
    if (watch->aborted || strstr(error->message, "no job is active") == NULL)
        watch->aborting = FALSE;
    if (!watch->aborted && !watch->aborting) {
        fprintf(stderr, "\r%scannot abort the migration: %s\n", watch->bar ? "\033[K" : "", error->message);
        watch->shown = FALSE;
    }
}

/* As often as it takes: the job may not have begun, or the daemon be busy. */
static void
act_on_timeout(Watch *watch)
{
    if (watch->options->action == INV_TIMEOUT_POSTCOPY) {
        watch->timed_out = start_postcopy(watch);
    } else {
        remote_domain_suspend_args args = { .dom = watch->migrate->domain };

        watch->timed_out = call(watch, REMOTE_PROC_DOMAIN_SUSPEND, &args, NULL, NULL);
    }
}

/* TRUE: the migration has ended. */
static gboolean
wait_slice(Watch *watch)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&watch->lock);

    if (!watch->done)
        g_cond_wait_until(&watch->ended, &watch->lock, g_get_monotonic_time() + SLICE_US);
    return watch->done;
}

static void
watch_until_done(Watch *watch)
{
    gint64 start = g_get_monotonic_time(), next_poll = start + POLL_US;
    gboolean progress = watch->bar || watch->options->verbose;
    gint64 timeout = start + (gint64)watch->options->timeout_s * G_USEC_PER_SEC;

    while (!wait_slice(watch)) {
        gint64 now = g_get_monotonic_time();
        gboolean turn = now >= next_poll;

        if (inv_watch_take_interrupt() && !watch->aborted)
            watch->aborting = TRUE;
        if (watch->aborting)
            try_abort(watch);
        if (!turn)
            continue;
        if (watch->options->action != INV_TIMEOUT_NONE && !watch->timed_out && now >= timeout)
            act_on_timeout(watch);
        if (progress || watch->options->after_precopy)
            poll_figures(watch, progress);
        next_poll = g_get_monotonic_time() + POLL_US;
    }
}

gboolean
inv_migrate_run_watched(InvCli *cli, InvMigrate *migrate, const InvMigrateWatch *options, GError **error)
{
    Watch watch = { .cli = cli, .migrate = migrate, .options = options };
    GThread *thread;

    watch.bar = isatty(STDERR_FILENO) && !cli->quiet;
    g_mutex_init(&watch.lock);
    g_cond_init(&watch.ended);
    inv_watch_begin();
    thread = g_thread_new("migrate", run, &watch);
    watch_until_done(&watch);
    g_thread_join(thread);
    inv_watch_end();
    if (watch.succeeded && (watch.shown || options->verbose))
        show(&watch, 100, NULL);
    if (watch.shown)
        fputc('\n', stderr);
    inv_rpc_connection_close(watch.connection);
    g_mutex_clear(&watch.lock);
    g_cond_clear(&watch.ended);
    if (watch.error)
        g_propagate_error(error, watch.error);
    return watch.succeeded;
}
