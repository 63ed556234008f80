/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Jobs that last: how far they are, their abort, and what may be set of a migration while it runs. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/text.h"
#include "rpc/typed_params.h"
#include "util/error.h"

#include <string.h>

INV_RPC_AUTOCLEAN(remote_domain_get_job_stats_ret)

/* virsh's words for virDomainJobType and virDomainJobOperation. */
static const char *
type_word(int type)
{
    static const char *const words[] = { "None", "Bounded", "Unbounded", "Completed", "Failed", "Cancelled" };

    return type >= 0 && (gsize)type < G_N_ELEMENTS(words) ? words[type] : "unknown";
}

static const char *
operation_word(int operation)
{
    static const char *const words[] = { "Unknown", "Start",         "Save", "Restore", "Incoming migration", "Outgoing migration",
                                         "Snapshot", "Snapshot revert", "Dump", "Backup",  "Snapshot delete" };

    return operation >= 0 && (gsize)operation < G_N_ELEMENTS(words) ? words[operation] : "unknown";
}

#define LABEL "%-17s "

static void
print_size(const char *label, guint64 bytes, const char *per)
{
    static const char *const units[] = { "B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB" };
    double value = (double)bytes;
    gsize unit = 0;

    for (; value >= 1024 && unit + 1 < G_N_ELEMENTS(units); unit++)
        value /= 1024;
    inv_cli_print(LABEL "%-.3f %s%s\n", label, value, units[unit], per);
}

typedef remote_domain_get_job_stats_ret Stats;

/* 0 and FALSE when it is not among them. */
static gboolean
get(const Stats *stats, const char *name, guint64 *value)
{
    *value = 0;
    return inv_typed_params_find(stats->params.params_val, stats->params.params_len, name) &&
           inv_typed_params_get_ullong(stats->params.params_val, stats->params.params_len, name, value, NULL);
}

static int
get_int(const Stats *stats, const char *name)
{
    int value = 0;

    inv_typed_params_get_int(stats->params.params_val, stats->params.params_len, name, &value, NULL);
    return value;
}

static void
print_number(const Stats *stats, const char *name, const char *label, const char *unit)
{
    guint64 value;

    if (get(stats, name, &value))
        inv_cli_print(LABEL "%-12" G_GUINT64_FORMAT "%s\n", label, value, unit);
}

static void
print_size_of(const Stats *stats, const char *name, const char *label, const char *per)
{
    guint64 value;

    if (get(stats, name, &value))
        print_size(label, value, per);
}

/* Three that stand together, unless all are 0. */
static void
print_amounts(const Stats *stats, const char *word, const char *done, const char *remaining, const char *total)
{
    g_autofree char *processed_label = g_strdup_printf("%s processed:", word);
    g_autofree char *remaining_label = g_strdup_printf("%s remaining:", word);
    g_autofree char *total_label = g_strdup_printf("%s total:", word);
    guint64 values[3];

    get(stats, done, &values[0]);
    get(stats, remaining, &values[1]);
    get(stats, total, &values[2]);
    if (!values[0] && !values[1] && !values[2])
        return;
    print_size(processed_label, values[0], "");
    print_size(remaining_label, values[1], "");
    print_size(total_label, values[2], "");
}

static void
print_memory(const Stats *stats)
{
    guint64 total;

    print_amounts(stats, "Memory", VIR_DOMAIN_JOB_MEMORY_PROCESSED, VIR_DOMAIN_JOB_MEMORY_REMAINING, VIR_DOMAIN_JOB_MEMORY_TOTAL);
    if (!get(stats, VIR_DOMAIN_JOB_MEMORY_TOTAL, &total) || !total)
        return;
    print_size_of(stats, VIR_DOMAIN_JOB_MEMORY_BPS, "Memory bandwidth:", "/s");
    print_number(stats, VIR_DOMAIN_JOB_MEMORY_DIRTY_RATE, "Dirty rate:", " pages/s");
    print_number(stats, VIR_DOMAIN_JOB_MEMORY_PAGE_SIZE, "Page size:", " bytes");
    print_number(stats, VIR_DOMAIN_JOB_MEMORY_ITERATION, "Iteration:", "");
    print_number(stats, VIR_DOMAIN_JOB_MEMORY_POSTCOPY_REQS, "Postcopy requests:", "");
}

static void
print_rest(const Stats *stats)
{
    const remote_typed_param *message =
        inv_typed_params_find(stats->params.params_val, stats->params.params_len, VIR_DOMAIN_JOB_ERRMSG);
    int throttle = get_int(stats, VIR_DOMAIN_JOB_AUTO_CONVERGE_THROTTLE);

    print_number(stats, VIR_DOMAIN_JOB_MEMORY_CONSTANT, "Constant pages:", "");
    print_number(stats, VIR_DOMAIN_JOB_MEMORY_NORMAL, "Normal pages:", "");
    print_size_of(stats, VIR_DOMAIN_JOB_MEMORY_NORMAL_BYTES, "Normal data:", "");
    print_number(stats, VIR_DOMAIN_JOB_DOWNTIME, stats->type == VIR_DOMAIN_JOB_COMPLETED ? "Total downtime:" : "Expected downtime:", " ms");
    print_number(stats, VIR_DOMAIN_JOB_DOWNTIME_NET, "Downtime w/o network:", " ms");
    print_number(stats, VIR_DOMAIN_JOB_SETUP_TIME, "Setup time:", " ms");
    print_size_of(stats, VIR_DOMAIN_JOB_COMPRESSION_CACHE, "Compression cache:", "");
    print_size_of(stats, VIR_DOMAIN_JOB_COMPRESSION_BYTES, "Compressed data:", "");
    print_number(stats, VIR_DOMAIN_JOB_COMPRESSION_PAGES, "Compressed pages:", " ");
    print_number(stats, VIR_DOMAIN_JOB_COMPRESSION_CACHE_MISSES, "Compression cache misses:", " ");
    print_number(stats, VIR_DOMAIN_JOB_COMPRESSION_OVERFLOW, "Compression overflows:", " ");
    if (throttle)
        inv_cli_print(LABEL "%-13d\n", "Auto converge throttle:", throttle);
    if (message && message->value.type == VIR_TYPED_PARAM_STRING) {
        g_autofree char *text = inv_text_escape(message->value.remote_typed_param_value_u.s, INV_TEXT_LINE);

        inv_cli_print(LABEL "%s\n", "Error message:", text);
    }
}

static void
print_stats(const Stats *stats, gboolean any)
{
    inv_cli_print(LABEL "%-12s\n", "Job type:", type_word(stats->type));
    if (stats->type == VIR_DOMAIN_JOB_NONE || (!any && (stats->type == VIR_DOMAIN_JOB_FAILED || stats->type == VIR_DOMAIN_JOB_CANCELLED)))
        return;
    inv_cli_print(LABEL "%-12s\n", "Operation:", operation_word(get_int(stats, VIR_DOMAIN_JOB_OPERATION)));
    print_number(stats, VIR_DOMAIN_JOB_TIME_ELAPSED, "Time elapsed:", " ms");
    print_number(stats, VIR_DOMAIN_JOB_TIME_ELAPSED_NET, "Time elapsed w/o network:", " ms");
    if (stats->type == VIR_DOMAIN_JOB_BOUNDED)
        print_number(stats, VIR_DOMAIN_JOB_TIME_REMAINING, "Time remaining:", " ms");
    print_amounts(stats, "Data", VIR_DOMAIN_JOB_DATA_PROCESSED, VIR_DOMAIN_JOB_DATA_REMAINING, VIR_DOMAIN_JOB_DATA_TOTAL);
    print_memory(stats);
    print_amounts(stats, "File", VIR_DOMAIN_JOB_DISK_PROCESSED, VIR_DOMAIN_JOB_DISK_REMAINING, VIR_DOMAIN_JOB_DISK_TOTAL);
    print_size_of(stats, VIR_DOMAIN_JOB_DISK_BPS, "File bandwidth:", "/s");
    print_rest(stats);
}

static void
print_raw(const Stats *stats)
{
    inv_cli_print("Job type: %d\n\n", stats->type);
    for (guint i = 0; i < stats->params.params_len; i++) {
        g_autofree char *line = inv_typed_param_format(&stats->params.params_val[i]);
        g_autofree char *shown = inv_text_escape(line, INV_TEXT_LINE);

        inv_cli_print("%s\n", shown);
    }
}

static int
print_json(const Stats *stats)
{
    InvJson *json = inv_json_new_object();

    inv_json_object_set_string(json, "type", type_word(stats->type));
    for (guint i = 0; i < stats->params.params_len; i++) {
        const remote_typed_param *param = &stats->params.params_val[i];
        const remote_typed_param_value *value = &param->value;

        if (value->type == VIR_TYPED_PARAM_STRING)
            inv_json_object_set_string(json, param->field, value->remote_typed_param_value_u.s);
        else if (value->type == VIR_TYPED_PARAM_BOOLEAN)
            inv_json_object_set_boolean(json, param->field, value->remote_typed_param_value_u.b != 0);
        else if (value->type == VIR_TYPED_PARAM_ULLONG)
            inv_json_object_set_int(json, param->field, (gint64)MIN(value->remote_typed_param_value_u.ul, (u_int64_t)G_MAXINT64));
        else if (value->type == VIR_TYPED_PARAM_INT && !strcmp(param->field, VIR_DOMAIN_JOB_OPERATION))
            inv_json_object_set_string(json, param->field, operation_word(value->remote_typed_param_value_u.i));
        else if (value->type == VIR_TYPED_PARAM_INT)
            inv_json_object_set_int(json, param->field, value->remote_typed_param_value_u.i);
    }
    return inv_cli_print_json(json);
}

static const InvOption info_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_FLAG("completed", "return statistics of a recently completed job"),
    INV_FLAG("keep-completed", "don't destroy statistics of a recently completed job when reading"),
    INV_FLAG("anystats", "print statistics for any kind of job (even failed ones)"),
    INV_FLAG("rawstats", "print the raw data returned by the daemon"),
    { NULL },
};

static int
run_info(InvCli *cli, const InvArgs *args, GError **error)
{
    static const InvFlagBit bits[] = {
        { "completed", VIR_DOMAIN_JOB_STATS_COMPLETED },
        /* It asks for a completed one, too. */
        { "keep-completed", VIR_DOMAIN_JOB_STATS_COMPLETED | VIR_DOMAIN_JOB_STATS_KEEP_COMPLETED },
        { NULL, 0 },
    };
    g_auto(remote_nonnull_domain) domain = { 0 };
    remote_domain_get_job_stats_args call = { .flags = inv_args_bits(args, bits) };
    g_auto(remote_domain_get_job_stats_ret) stats = { 0 };

    if (!inv_args_exclusive(args, "rawstats", "anystats", error))
        return INV_EXIT_USAGE;
    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    call.dom = domain;
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_GET_JOB_STATS, &call, &stats, error))
        return INV_EXIT_ERROR;
    if (cli->json)
        return print_json(&stats);
    if (inv_args_flag(args, "rawstats"))
        print_raw(&stats);
    else
        print_stats(&stats, inv_args_flag(args, "anystats"));
    return INV_EXIT_OK;
}

/* virsh says nothing when one of these has worked. */
static int
done(InvCli *cli, const remote_nonnull_domain *domain, const char *what)
{
    char uuid[INV_UUID_TEXT_SIZE];

    if (!cli->json)
        return INV_EXIT_OK;
    inv_domain_uuid_format(domain->uuid, uuid);
    return inv_cli_done(cli, domain->name, uuid, "%s", what);
}

static int
print_value(const InvCli *cli, const char *name, guint64 value)
{
    InvJson *json;

    if (!cli->json) {
        inv_cli_print("%" G_GUINT64_FORMAT "\n", value);
        return INV_EXIT_OK;
    }
    json = inv_json_new_object();
    inv_json_object_set_int(json, name, (gint64)MIN(value, (guint64)G_MAXINT64));
    return inv_cli_print_json(json);
}

/* Numbers beyond those that an option of the parser takes. */
static gboolean
parse_number(const InvArgs *args, const char *name, guint64 *value, GError **error)
{
    const char *text = inv_args_string(args, name);

    if (g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, value, NULL))
        return TRUE;
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "Numeric value '%s' for <%s> option is malformed or out of range", text, name);
}

static const InvOption abort_options[] = {
    INV_DOMAIN(INV_COMPLETE_ACTIVE),
    INV_FLAG("postcopy", "interrupt post-copy migration"),
    { NULL },
};

static int
run_abort(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    gboolean aborted;

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    if (inv_args_flag(args, "postcopy")) {
        remote_domain_abort_job_flags_args call = { .dom = domain, .flags = VIR_DOMAIN_ABORT_JOB_POSTCOPY };

        aborted = inv_cli_call(cli, REMOTE_PROC_DOMAIN_ABORT_JOB_FLAGS, &call, NULL, error);
    } else {
        remote_domain_abort_job_args call = { .dom = domain };

        aborted = inv_cli_call(cli, REMOTE_PROC_DOMAIN_ABORT_JOB, &call, NULL, error);
    }
    return aborted ? done(cli, &domain, "Job aborted") : INV_EXIT_ERROR;
}

static const InvOption set_downtime_options[] = {
    INV_DOMAIN(INV_COMPLETE_ACTIVE),
    INV_DATA("downtime", INV_COMPLETE_NONE, "maximum tolerable downtime (in milliseconds) for migration"),
    { NULL },
};

static int
run_set_downtime(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    remote_domain_migrate_set_max_downtime_args call = { 0 };
    guint64 downtime = 0;

    if (!parse_number(args, "downtime", &downtime, error))
        return INV_EXIT_USAGE;
    if (downtime < 1) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "migrate: Invalid downtime");
        return INV_EXIT_USAGE;
    }
    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    call.dom = domain;
    call.downtime = downtime;
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_MIGRATE_SET_MAX_DOWNTIME, &call, NULL, error))
        return INV_EXIT_ERROR;
    return done(cli, &domain, "Maximum downtime set");
}

static const InvOption get_downtime_options[] = {
    INV_DOMAIN(INV_COMPLETE_ACTIVE),
    { NULL },
};

static int
run_get_downtime(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    remote_domain_migrate_get_max_downtime_args call = { 0 };
    remote_domain_migrate_get_max_downtime_ret ret = { 0 };

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    call.dom = domain;
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_MIGRATE_GET_MAX_DOWNTIME, &call, &ret, error))
        return INV_EXIT_ERROR;
    return print_value(cli, "downtime", ret.downtime);
}

static const InvOption set_speed_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_DATA("bandwidth", INV_COMPLETE_NONE, "migration bandwidth limit in MiB/s"),
    INV_FLAG("postcopy", "set post-copy migration bandwidth"),
    { NULL },
};

static const InvFlagBit speed_bits[] = { { "postcopy", VIR_DOMAIN_MIGRATE_MAX_SPEED_POSTCOPY }, { NULL, 0 } };

static int
run_set_speed(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    remote_domain_migrate_set_max_speed_args call = { .flags = inv_args_bits(args, speed_bits) };
    guint64 bandwidth = 0;

    if (!parse_number(args, "bandwidth", &bandwidth, error))
        return INV_EXIT_USAGE;
    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    call.dom = domain;
    call.bandwidth = bandwidth;
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_MIGRATE_SET_MAX_SPEED, &call, NULL, error))
        return INV_EXIT_ERROR;
    return done(cli, &domain, "Maximum bandwidth set");
}

static const InvOption get_speed_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_FLAG("postcopy", "get post-copy migration bandwidth"),
    { NULL },
};

static int
run_get_speed(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    remote_domain_migrate_get_max_speed_args call = { .flags = inv_args_bits(args, speed_bits) };
    remote_domain_migrate_get_max_speed_ret ret = { 0 };

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    call.dom = domain;
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_MIGRATE_GET_MAX_SPEED, &call, &ret, error))
        return INV_EXIT_ERROR;
    return print_value(cli, "bandwidth", ret.bandwidth);
}

static const InvOption cache_options[] = {
    INV_DOMAIN(INV_COMPLETE_ACTIVE),
    INV_VALUE("size", INV_COMPLETE_NONE, "requested size of the cache (in bytes) used for compression"),
    { NULL },
};

static int
run_cache(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    remote_domain_migrate_get_compression_cache_args get_call = { 0 };
    remote_domain_migrate_get_compression_cache_ret ret = { 0 };
    remote_domain_migrate_set_compression_cache_args set_call = { 0 };
    guint64 size = 0;

    if (inv_args_flag(args, "size") && !parse_number(args, "size", &size, error))
        return INV_EXIT_USAGE;
    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    get_call.dom = set_call.dom = domain;
    set_call.cacheSize = size;
    if (inv_args_flag(args, "size") &&
        !inv_cli_call(cli, REMOTE_PROC_DOMAIN_MIGRATE_SET_COMPRESSION_CACHE, &set_call, NULL, error))
        return INV_EXIT_ERROR;
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_MIGRATE_GET_COMPRESSION_CACHE, &get_call, &ret, error))
        return INV_EXIT_ERROR;
    if (cli->json)
        return print_value(cli, "size", ret.cacheSize);
    print_size("Compression cache:", ret.cacheSize, "");
    return INV_EXIT_OK;
}

static const InvOption postcopy_options[] = {
    INV_DOMAIN(INV_COMPLETE_ACTIVE),
    { NULL },
};

static int
run_postcopy(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    remote_domain_migrate_start_post_copy_args call = { 0 };

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    call.dom = domain;
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_MIGRATE_START_POST_COPY, &call, NULL, error))
        return INV_EXIT_ERROR;
    return done(cli, &domain, "Migration switched to post-copy");
}

const InvCommand inv_job_commands[] = {
    { "domjobabort", "abort active domain job", "Aborts the currently running domain job", abort_options, run_abort, FALSE },
    { "domjobinfo", "domain job information", "Returns information about jobs running on a domain.", info_options, run_info, FALSE },
    { "migrate-compcache", "get/set compression cache size",
      "Get/set size of the cache (in bytes) used for compressing repeatedly transferred\nmemory pages during live migration.",
      cache_options, run_cache, FALSE },
    { "migrate-getmaxdowntime", "get maximum tolerable downtime",
      "Get maximum tolerable downtime of a domain which is being live-migrated to another\nhost.", get_downtime_options,
      run_get_downtime, FALSE },
    { "migrate-getspeed", "Get the maximum migration bandwidth", "Get the maximum migration bandwidth (in MiB/s) for a domain.",
      get_speed_options, run_get_speed, FALSE },
    { "migrate-postcopy", "Switch running migration from pre-copy to post-copy",
      "Switch running migration from pre-copy to post-copy. The migration must have been\nstarted with --postcopy option.",
      postcopy_options, run_postcopy, FALSE },
    { "migrate-setmaxdowntime", "set maximum tolerable downtime",
      "Set maximum tolerable downtime of a domain which is being live-migrated to another\nhost.", set_downtime_options,
      run_set_downtime, FALSE },
    { "migrate-setspeed", "Set the maximum migration bandwidth",
      "Set the maximum migration bandwidth (in MiB/s) for a domain which is being migrated\nto another host.", set_speed_options,
      run_set_speed, FALSE },
    { NULL },
};
