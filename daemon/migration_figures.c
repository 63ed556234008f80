/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_figures.h"

/* What takes longer is no network: the clocks disagree. */
#define MAX_DELAY_US (10 * G_USEC_PER_SEC)

#define ELAPSED "time_elapsed"
#define ELAPSED_NET "time_elapsed_net"
#define DOWNTIME "downtime"
#define DOWNTIME_NET "downtime_net"

/* All numbers but the times. */
static const struct {
    const char *name;
    gsize offset; /* of a guint64 in InvJobFigures */
} known[] = {
    { "memory_total", G_STRUCT_OFFSET(InvJobFigures, progress.total) },
    { "memory_processed", G_STRUCT_OFFSET(InvJobFigures, progress.transferred) },
    { "memory_remaining", G_STRUCT_OFFSET(InvJobFigures, progress.remaining) },
    { "memory_bps", G_STRUCT_OFFSET(InvJobFigures, progress.bps) },
    { "memory_constant", G_STRUCT_OFFSET(InvJobFigures, progress.duplicate_pages) },
    { "memory_normal", G_STRUCT_OFFSET(InvJobFigures, progress.normal_pages) },
    { "memory_normal_bytes", G_STRUCT_OFFSET(InvJobFigures, progress.normal_bytes) },
    { "memory_dirty_rate", G_STRUCT_OFFSET(InvJobFigures, progress.dirty_rate) },
    { "memory_iteration", G_STRUCT_OFFSET(InvJobFigures, progress.iterations) },
    { "memory_page_size", G_STRUCT_OFFSET(InvJobFigures, progress.page_size) },
    { "memory_postcopy_requests", G_STRUCT_OFFSET(InvJobFigures, progress.postcopy_requests) },
    { "disk_total", G_STRUCT_OFFSET(InvJobFigures, disk_total) },
    { "disk_processed", G_STRUCT_OFFSET(InvJobFigures, disk_done) },
    { "setup_time", G_STRUCT_OFFSET(InvJobFigures, progress.setup_ms) },
    { "compression_cache", G_STRUCT_OFFSET(InvJobFigures, progress.xbzrle_cache) },
    { "compression_bytes", G_STRUCT_OFFSET(InvJobFigures, progress.xbzrle_bytes) },
    { "compression_pages", G_STRUCT_OFFSET(InvJobFigures, progress.xbzrle_pages) },
    { "compression_cache_misses", G_STRUCT_OFFSET(InvJobFigures, progress.xbzrle_cache_miss) },
    { "compression_overflow", G_STRUCT_OFFSET(InvJobFigures, progress.xbzrle_overflow) },
};

static void
put(InvMigrationCookie *cookie, const char *name, guint64 value)
{
    if (!cookie->statistics)
        cookie->statistics = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    g_hash_table_replace(cookie->statistics, g_strdup(name), g_strdup_printf("%" G_GUINT64_FORMAT, value));
}

/* *@value as it was when it is not told. */
static gboolean
take(const InvMigrationCookie *cookie, const char *name, guint64 *value)
{
    const char *text = cookie->statistics ? g_hash_table_lookup(cookie->statistics, name) : NULL;

    return text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, value, NULL);
}

static void
put_all(InvMigrationCookie *cookie, const InvJobFigures *figures)
{
    for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
        put(cookie, known[i].name, G_STRUCT_MEMBER(guint64, figures, known[i].offset));
    put(cookie, ELAPSED, figures->elapsed_ms);
    if (figures->progress.has_downtime)
        put(cookie, DOWNTIME, figures->progress.downtime_ms);
    if (figures->has_net)
        put(cookie, ELAPSED_NET, figures->elapsed_net_ms);
    if (figures->has_net && figures->progress.has_downtime)
        put(cookie, DOWNTIME_NET, figures->downtime_net_ms);
}

/* FALSE: nothing was counted. */
static gboolean
take_all(const InvMigrationCookie *cookie, InvJobFigures *figures)
{
    if (!take(cookie, "memory_total", &figures->progress.total) || !take(cookie, ELAPSED, &figures->elapsed_ms))
        return FALSE;
    for (gsize i = 0; i < G_N_ELEMENTS(known); i++)
        take(cookie, known[i].name, &G_STRUCT_MEMBER(guint64, figures, known[i].offset));
    figures->progress.has_downtime = take(cookie, DOWNTIME, &figures->progress.downtime_ms);
    figures->has_net = take(cookie, ELAPSED_NET, &figures->elapsed_net_ms) &&
                       (!figures->progress.has_downtime || take(cookie, DOWNTIME_NET, &figures->downtime_net_ms));
    figures->has_progress = TRUE;
    return TRUE;
}

static InvMigrationCookie *
read_cookie(const InvVm *vm, const char *cookie, gsize length)
{
    g_autoptr(GError) error = NULL;
    InvMigrationCookie *theirs = length ? inv_migration_cookie_parse(cookie, length, &error) : NULL;

    if (error)
        g_message("domain %s: the other side's figures cannot be read: %s", vm->uuid_text, error->message);
    return theirs;
}

static guint64
passed_ms(gint64 from_us, gint64 to_us)
{
    return (guint64)MAX(to_us - from_us, 0) / 1000;
}

void
inv_migration_figures_tell(InvVm *vm, gint64 stopped_us, InvMigrationCookie *mine)
{
    g_auto(InvJobFigures) figures = { 0 };

    if (!inv_vm_get_job(vm, &figures) || !figures.has_progress)
        return;
    /* QEMU's own figure ends with its last byte. */
    if (stopped_us) {
        figures.progress.downtime_ms = passed_ms(stopped_us, g_get_monotonic_time());
        figures.progress.has_downtime = TRUE;
    }
    put_all(mine, &figures);
}

/* The time on the way, of which the guest has stood still for all. */
static void
add_network(InvJobFigures *figures, gint64 sent_us, gint64 asked_us)
{
    gint64 received_us = g_get_real_time() - (g_get_monotonic_time() - asked_us);

    if (!sent_us || received_us < sent_us || received_us - sent_us > MAX_DELAY_US)
        return;
    figures->has_net = TRUE;
    figures->elapsed_net_ms = figures->elapsed_ms;
    figures->downtime_net_ms = figures->progress.downtime_ms;
    figures->elapsed_ms += passed_ms(sent_us, received_us);
    figures->progress.downtime_ms += passed_ms(sent_us, received_us);
}

void
inv_migration_figures_finish(InvVm *vm, const char *cookie, gsize length, gint64 asked_us, gint64 ran_us,
                             InvMigrationCookie *mine)
{
    g_autoptr(InvMigrationCookie) theirs = read_cookie(vm, cookie, length);
    g_auto(InvJobFigures) figures = { .type = VIR_DOMAIN_JOB_COMPLETED, .operation = VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN };

    if (!theirs || !take_all(theirs, &figures))
        return;
    figures.elapsed_ms += passed_ms(asked_us, g_get_monotonic_time());
    figures.progress.downtime_ms += passed_ms(asked_us, ran_us);
    add_network(&figures, theirs->sent_us, asked_us);
    put_all(mine, &figures);
    inv_vm_set_last_job(vm, &figures);
}

void
inv_migration_figures_confirm(InvVm *vm, const char *cookie, gsize length)
{
    g_autoptr(InvMigrationCookie) theirs = read_cookie(vm, cookie, length);
    g_auto(InvJobFigures) figures = { 0 };

    if (theirs && take_all(theirs, &figures))
        inv_vm_tell_job_times(vm, &figures);
}
