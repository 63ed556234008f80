/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/job_stats.h"


/* QEMU's figures come one by one: what is done may be counted beyond the total for a moment. */
static guint64
rest(guint64 total, guint64 done)
{
    return total > done ? total - done : 0;
}

static void
add_times(InvTypedParams *params, const InvJobFigures *figures)
{
    const InvMigrationProgress *progress = &figures->progress;

    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_TIME_ELAPSED, figures->elapsed_ms);
    if (figures->has_net)
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_TIME_ELAPSED_NET, figures->elapsed_net_ms);
    /* Until the guest has stood still it is what QEMU expects. */
    if (progress->has_downtime || progress->expected_downtime_ms)
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_DOWNTIME,
                                    progress->has_downtime ? progress->downtime_ms : progress->expected_downtime_ms);
    if (figures->has_net && progress->has_downtime)
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_DOWNTIME_NET, figures->downtime_net_ms);
    if (progress->setup_ms)
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_SETUP_TIME, progress->setup_ms);
}

static void
add_memory(InvTypedParams *params, const InvMigrationProgress *progress)
{
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_TOTAL, progress->total);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_PROCESSED, progress->transferred);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_REMAINING, progress->remaining);
    if (progress->bps)
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_BPS, progress->bps);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_CONSTANT, progress->duplicate_pages);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_NORMAL, progress->normal_pages);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_NORMAL_BYTES, progress->normal_bytes);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE, progress->dirty_rate);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_ITERATION, progress->iterations);
    if (progress->page_size)
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, progress->page_size);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_MEMORY_POSTCOPY_REQS, progress->postcopy_requests);
}

InvTypedParams *
inv_job_stats_params(const InvJobFigures *figures)
{
    const InvMigrationProgress *progress = &figures->progress;
    g_autoptr(InvTypedParams) params = inv_typed_params_new();

    inv_typed_params_add_int(params, VIR_DOMAIN_JOB_OPERATION, (int)figures->operation);
    add_times(params, figures);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_DATA_TOTAL, progress->total + figures->disk_total);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_DATA_PROCESSED, progress->transferred + figures->disk_done);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_DATA_REMAINING,
                                progress->remaining + rest(figures->disk_total, figures->disk_done));
    add_memory(params, progress);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_DISK_TOTAL, figures->disk_total);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_DISK_PROCESSED, figures->disk_done);
    inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_DISK_REMAINING, rest(figures->disk_total, figures->disk_done));
    if (progress->xbzrle_cache) {
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_COMPRESSION_CACHE, progress->xbzrle_cache);
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_COMPRESSION_BYTES, progress->xbzrle_bytes);
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_COMPRESSION_PAGES, progress->xbzrle_pages);
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_COMPRESSION_CACHE_MISSES, progress->xbzrle_cache_miss);
        inv_typed_params_add_ullong(params, VIR_DOMAIN_JOB_COMPRESSION_OVERFLOW, progress->xbzrle_overflow);
    }
    if (progress->throttle)
        inv_typed_params_add_int(params, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE, (int)MIN(progress->throttle, 100));
    if (figures->type == VIR_DOMAIN_JOB_COMPLETED || figures->type == VIR_DOMAIN_JOB_FAILED ||
        figures->type == VIR_DOMAIN_JOB_CANCELLED)
        inv_typed_params_add_boolean(params, VIR_DOMAIN_JOB_SUCCESS, figures->type == VIR_DOMAIN_JOB_COMPLETED);
    inv_typed_params_add_string(params, VIR_DOMAIN_JOB_ERRMSG, progress->error);
    return g_steal_pointer(&params);
}

void
inv_job_stats_fill_info(const InvJobFigures *figures, remote_domain_get_job_info_ret *info)
{
    const InvMigrationProgress *progress = &figures->progress;

    info->type = (int)figures->type;
    info->timeElapsed = figures->elapsed_ms;
    info->memTotal = progress->total;
    info->memProcessed = progress->transferred;
    info->memRemaining = progress->remaining;
    info->fileTotal = figures->disk_total;
    info->fileProcessed = figures->disk_done;
    info->fileRemaining = rest(figures->disk_total, figures->disk_done);
    info->dataTotal = info->memTotal + info->fileTotal;
    info->dataProcessed = info->memProcessed + info->fileProcessed;
    info->dataRemaining = info->memRemaining + info->fileRemaining;
}

/* A domain as events name it, with the name that it has now. */
static char *
name_of(InvVm *vm, InvEventDomain *domain)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);
    char *name = g_strdup(vm->name);

    *domain = (InvEventDomain){ .name = name, .uuid = vm->uuid, .id = vm->id };
    return name;
}

static void
tell_iteration(InvVm *vm, int iteration, gpointer user_data)
{
    InvEventDomain domain;
    g_autofree char *name = name_of(vm, &domain);

    inv_events_iteration(user_data, &domain, iteration);
}

static void
tell_completed(InvVm *vm, const InvJobFigures *figures, gpointer user_data)
{
    g_autoptr(InvTypedParams) params = inv_job_stats_params(figures);
    InvEventDomain domain;
    g_autofree char *name = name_of(vm, &domain);

    inv_events_job_completed(user_data, &domain, params);
}

void
inv_job_stats_announce(InvDaemon *daemon)
{
    static const InvJobNews news = { tell_iteration, tell_completed };

    inv_registry_set_job_news(daemon->registry, &news, daemon->events);
}
