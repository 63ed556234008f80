/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs that last: how far they are, their abort, and what may be set of them while they run. */
#include "daemon/dispatch.h"
#include "daemon/domain_job.h"
#include "daemon/job_stats.h"
#include "util/error.h"

#define MIB_SHIFT 20
/* In MiB/s: as much as QEMU's own number of bytes can say. libvirt tells the same for "no limit". */
#define BANDWIDTH_MAX ((guint64)G_MAXINT64 >> MIB_SHIFT)
/* QEMU takes no longer pause than this. */
#define DOWNTIME_MAX_MS 2000000u

static gboolean
check_active(InvVm *vm, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (inv_vm_is_active(vm))
        return TRUE;
    return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "Requested operation is not valid: domain '%s' is not running", vm->name);
}

/* Of the job that runs; type NONE when none does. */
static gboolean
get_running(InvVm *vm, InvJobFigures *figures, GError **error)
{
    if (!inv_vm_get_job(vm, figures))
        return check_active(vm, error);
    if (figures->operation == VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "migration statistics are available only on the source host");
    return TRUE;
}

static gboolean
get_job_info(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_get_job_info_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);
    g_auto(InvJobFigures) figures = { 0 };

    if (!vm || !get_running(vm, &figures, error))
        return FALSE;
    inv_job_stats_fill_info(&figures, ret);
    return TRUE;
}

static gboolean
get_job_stats(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_get_job_stats_args *wanted = args;
    const unsigned int known = VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED;
    remote_domain_get_job_stats_ret *reply = ret;
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(InvTypedParams) params = NULL;
    g_auto(InvJobFigures) figures = { 0 };

    if (!inv_dispatch_check_flags(wanted->flags, known, "statistics of a job", error) ||
        !(vm = inv_dispatch_find(user_data, &wanted->dom, error)))
        return FALSE;
    if (wanted->flags & VIR_DOMAIN_JOB_STATS_COMPLETED) {
        /* Who may only look must not make others miss it. */
        gboolean keep = (wanted->flags & VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED) || inv_rpc_client_is_read_only(client);

        inv_vm_get_last_job(vm, keep, &figures);
    } else if (!get_running(vm, &figures, error)) {
        return FALSE;
    }
    reply->type = (int)figures.type;
    if (figures.type == VIR_DOMAIN_JOB_NONE)
        return TRUE;
    params = inv_job_stats_params(&figures);
    inv_typed_params_steal(params, &reply->params.params_val, &reply->params.params_len);
    return TRUE;
}

static gboolean
abort_job(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_abort_job_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_vm_abort_job(vm, 0, error);
}

static gboolean
abort_job_flags(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_abort_job_flags_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, VIR_DOMAIN_ABORT_JOB_POSTCOPY, "abort of a job", error))
        return FALSE;
    vm = inv_dispatch_find(user_data, &wanted->dom, error);
    return vm && inv_vm_abort_job(vm, wanted->flags, error);
}

/* Tells a QEMU that runs at once, whether it migrates or not: its next migration begins with it. */
static gboolean
tell_qemu(InvVm *vm, const char *parameter, guint64 value, GError **error)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);

    return qmp && inv_migration_set_parameter(qmp, parameter, value, INV_QMP_DEADLINE_MS, error);
}

static gboolean
ask_qemu(InvVm *vm, const char *parameter, guint64 *value, GError **error)
{
    g_autoptr(InvQmp) qmp = inv_vm_get_qmp(vm, error);

    return qmp && inv_migration_get_parameter(qmp, parameter, value, INV_QMP_DEADLINE_MS, error);
}

static gboolean
is_active(InvVm *vm)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    return inv_vm_is_active(vm);
}

static gboolean
set_max_downtime(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_set_max_downtime_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "maximum downtime", error))
        return FALSE;
    if (wanted->downtime == 0 || wanted->downtime > DOWNTIME_MAX_MS)
        return inv_error_set(error, VIR_ERR_INVALID_ARG,
                             "a migration's downtime of %" G_GUINT64_FORMAT " ms is not between 1 and %u", (guint64)wanted->downtime,
                             DOWNTIME_MAX_MS);
    vm = inv_dispatch_find(user_data, &wanted->dom, error);
    if (!vm || !tell_qemu(vm, "downtime-limit", wanted->downtime, error))
        return FALSE;
    inv_vm_set_tunable(vm, G_STRUCT_OFFSET(InvMigrationTunables, downtime_ms), wanted->downtime);
    return TRUE;
}

static gboolean
get_max_downtime(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_get_max_downtime_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;
    guint64 value = 0;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "maximum downtime", error) ||
        !(vm = inv_dispatch_find(user_data, &wanted->dom, error)) || !ask_qemu(vm, "downtime-limit", &value, error))
        return FALSE;
    ((remote_domain_migrate_get_max_downtime_ret *)ret)->downtime = value;
    return TRUE;
}

static gboolean
set_max_speed(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_set_max_speed_args *wanted = args;
    const gboolean postcopy = (wanted->flags & VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY) != 0;
    g_autoptr(InvVm) vm = NULL;
    guint64 bytes, told;

    if (!inv_dispatch_check_flags(wanted->flags, VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY, "maximum speed", error))
        return FALSE;
    if (wanted->bandwidth > BANDWIDTH_MAX)
        return inv_error_set(error, VIR_ERR_OVERFLOW, "bandwidth must be less than %" G_GUINT64_FORMAT, BANDWIDTH_MAX + 1);
    vm = inv_dispatch_find(user_data, &wanted->dom, error);
    /* What a guest's own memory is fetched with belongs to its QEMU alone. */
    if (!vm || (postcopy && !check_active(vm, error)))
        return FALSE;
    /* QEMU knows "no limit" of postcopy alone; precopy's is the largest number. */
    bytes = wanted->bandwidth == BANDWIDTH_MAX ? 0 : (guint64)wanted->bandwidth << MIB_SHIFT;
    told = bytes || postcopy ? bytes : (guint64)G_MAXINT64;
    if (is_active(vm) && !tell_qemu(vm, postcopy ? "max-postcopy-bandwidth" : "max-bandwidth", told, error))
        return FALSE;
    inv_vm_set_tunable(vm, postcopy ? G_STRUCT_OFFSET(InvMigrationTunables, postcopy_bandwidth)
                                    : G_STRUCT_OFFSET(InvMigrationTunables, bandwidth), bytes);
    return TRUE;
}

static gboolean
get_max_speed(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_get_max_speed_args *wanted = args;
    remote_domain_migrate_get_max_speed_ret *reply = ret;
    g_autoptr(InvVm) vm = NULL;
    InvMigrationTunables tunables;
    guint64 bytes = 0;

    if (!inv_dispatch_check_flags(wanted->flags, VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY, "maximum speed", error) ||
        !(vm = inv_dispatch_find(user_data, &wanted->dom, error)))
        return FALSE;
    if (wanted->flags & VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY) {
        if (!ask_qemu(vm, "max-postcopy-bandwidth", &bytes, error))
            return FALSE;
        /* Rounded up, so that a small limit does not look like none; of postcopy 0 is none. */
        reply->bandwidth = (bytes >> MIB_SHIFT) + ((bytes & ((1u << MIB_SHIFT) - 1)) != 0);
        return TRUE;
    }
    inv_vm_get_tunables(vm, &tunables);
    reply->bandwidth = tunables.bandwidth ? tunables.bandwidth >> MIB_SHIFT : BANDWIDTH_MAX;
    return TRUE;
}

static gboolean
get_compression_cache(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_get_compression_cache_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;
    guint64 value = 0;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "compression cache", error) ||
        !(vm = inv_dispatch_find(user_data, &wanted->dom, error)) || !ask_qemu(vm, "xbzrle-cache-size", &value, error))
        return FALSE;
    ((remote_domain_migrate_get_compression_cache_ret *)ret)->cacheSize = value;
    return TRUE;
}

static gboolean
set_compression_cache(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_set_compression_cache_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "compression cache", error) ||
        !(vm = inv_dispatch_find(user_data, &wanted->dom, error)) ||
        !tell_qemu(vm, "xbzrle-cache-size", wanted->cacheSize, error))
        return FALSE;
    inv_vm_set_tunable(vm, G_STRUCT_OFFSET(InvMigrationTunables, compression_cache), wanted->cacheSize);
    return TRUE;
}

static gboolean
check_postcopy(InvVm *vm, GError **error)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(vm->registry);

    if (!inv_vm_is_active(vm))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "Requested operation is not valid: domain '%s' is not running",
                             vm->name);
    if (inv_vm_job_operation_locked(vm) != VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "post-copy can only be started while outgoing migration of domain '%s' is in progress", vm->name);
    return TRUE;
}

static gboolean
start_postcopy(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_migrate_start_post_copy_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(InvQmp) qmp = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "start of post-copy", error) ||
        !(vm = inv_dispatch_find(user_data, &wanted->dom, error)) || !check_postcopy(vm, error))
        return FALSE;
    if (!(inv_vm_job_flags(vm) & VIR_MIGRATE_POSTCOPY))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "switching to post-copy requires the migration to be started with VIR_MIGRATE_POSTCOPY flag "
                             "(migrate --postcopy)");
    qmp = inv_vm_get_qmp(vm, error);
    return qmp && inv_migration_start_postcopy(qmp, INV_QMP_DEADLINE_MS, error);
}

/*
 * A client sends these while its own call of the migration is outstanding: each overtakes. What asks
 * QEMU has the workers of those that do.
 */
static const InvRpcMethod methods[] = {
    { REMOTE_PROC_DOMAIN_GET_JOB_INFO, get_job_info, INV_RPC_INLINE | INV_RPC_READ },
    { REMOTE_PROC_DOMAIN_GET_JOB_STATS, get_job_stats, INV_RPC_INLINE | INV_RPC_READ },
    { REMOTE_PROC_DOMAIN_ABORT_JOB, abort_job, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_ABORT_JOB_FLAGS, abort_job_flags, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_MIGRATE_SET_MAX_DOWNTIME, set_max_downtime, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_MIGRATE_GET_MAX_DOWNTIME, get_max_downtime, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_MIGRATE_SET_MAX_SPEED, set_max_speed, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_MIGRATE_GET_MAX_SPEED, get_max_speed, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_MIGRATE_GET_COMPRESSION_CACHE, get_compression_cache, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_MIGRATE_SET_COMPRESSION_CACHE, set_compression_cache, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_MIGRATE_START_POST_COPY, start_postcopy, INV_RPC_PRIORITY },
};

const InvDispatchFamily inv_dispatch_job = { methods, G_N_ELEMENTS(methods) };
