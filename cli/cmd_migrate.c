/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* A domain moves to another host. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/migrate.h"
#include "cli/migrate_watch.h"
#include "cli/text.h"
#include "util/error.h"

#include <stdio.h>
#include <string.h>

/* libvirt's names that its older headers do not have. */
#define PARAM_ZLIB_LEVEL "compression.zlib.level"
#define PARAM_ZSTD_LEVEL "compression.zstd.level"

#define NUMBER(name_, help_) { .name = (name_), .type = INV_OPTION_UINT, .help = (help_) }

static const InvOption migrate_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_DATA("desturi", INV_COMPLETE_NONE,
             "connection URI of the destination host as seen from the client(normal migration) or source(p2p migration)"),
    INV_FLAG("live", "live migration"),
    INV_FLAG("offline", "offline migration"),
    INV_FLAG("p2p", "peer-2-peer migration"),
    INV_FLAG("direct", "direct migration"),
    INV_FLAG("tunnelled", "tunnelled migration"),
    INV_FLAG("persistent", "persist VM on destination"),
    INV_FLAG("undefinesource", "undefine VM on source"),
    INV_FLAG("suspend", "do not restart the domain on the destination host"),
    INV_FLAG("copy-storage-all", "migration with non-shared storage with full disk copy"),
    INV_FLAG("copy-storage-inc",
             "migration with non-shared storage with incremental copy (same base image shared between source and destination)"),
    INV_FLAG("copy-storage-synchronous-writes",
             "force guest disk writes to be synchronously written to the destination to improve storage migration convergence"),
    INV_FLAG("change-protection", "prevent any configuration changes to domain until migration ends"),
    INV_FLAG("unsafe", "force migration even if it may be unsafe"),
    INV_FLAG("verbose", "display the progress of migration"),
    INV_FLAG("compressed", "compress repeated pages during live migration"),
    INV_FLAG("auto-converge", "force convergence during live migration"),
    INV_FLAG("rdma-pin-all", "pin all memory before starting RDMA live migration"),
    INV_FLAG("abort-on-error", "abort on soft errors during migration"),
    INV_FLAG("postcopy", "enable post-copy migration; switch to it using migrate-postcopy command"),
    INV_FLAG("postcopy-after-precopy", "automatically switch to post-copy migration after one pass of pre-copy"),
    INV_FLAG("postcopy-resume", "resume failed post-copy migration"),
    INV_FLAG("zerocopy", "use zero-copy mechanism for migrating memory pages"),
    INV_VALUE("migrateuri", INV_COMPLETE_NONE, "migration URI, usually can be omitted"),
    INV_VALUE("graphicsuri", INV_COMPLETE_NONE, "graphics URI to be used for seamless graphics migration"),
    INV_VALUE("listen-address", INV_COMPLETE_NONE, "listen address that destination should bind to for incoming migration"),
    INV_VALUE("dname", INV_COMPLETE_NONE, "rename to new name during migration (if supported)"),
    NUMBER("timeout", "run action specified by --timeout-* option (suspend by default) if live migration exceeds timeout (in seconds)"),
    INV_FLAG("timeout-suspend", "suspend the guest after timeout"),
    INV_FLAG("timeout-postcopy", "switch to post-copy after timeout"),
    INV_VALUE("xml", INV_COMPLETE_FILE, "filename containing updated XML for the target"),
    INV_VALUE("migrate-disks", INV_COMPLETE_NONE, "comma separated list of disks to be migrated"),
    NUMBER("disks-port", "port to use by target server for incoming disks migration"),
    INV_VALUE("disks-uri", INV_COMPLETE_NONE, "URI to use for disks migration (overrides --disks-port)"),
    INV_VALUE("comp-methods", INV_COMPLETE_NONE, "comma separated list of compression methods to be used"),
    NUMBER("comp-mt-level", "compress level for multithread compression"),
    NUMBER("comp-mt-threads", "number of compression threads for multithread compression"),
    NUMBER("comp-mt-dthreads", "number of decompression threads for multithread compression"),
    INV_VALUE("comp-xbzrle-cache", INV_COMPLETE_NONE, "page cache size for xbzrle compression"),
    NUMBER("comp-zlib-level", "compress level for zlib compression"),
    NUMBER("comp-zstd-level", "compress level for zstd compression"),
    NUMBER("auto-converge-initial", "initial CPU throttling rate for auto-convergence"),
    NUMBER("auto-converge-increment", "CPU throttling rate increment for auto-convergence"),
    INV_VALUE("persistent-xml", INV_COMPLETE_FILE, "filename containing updated persistent XML for the target"),
    INV_FLAG("tls", "use TLS for migration"),
    INV_VALUE("postcopy-bandwidth", INV_COMPLETE_NONE, "post-copy migration bandwidth limit in MiB/s"),
    INV_FLAG("parallel", "enable parallel migration"),
    NUMBER("parallel-connections", "number of connections for parallel migration"),
    INV_VALUE("bandwidth", INV_COMPLETE_NONE, "migration bandwidth limit in MiB/s"),
    INV_VALUE("tls-destination", INV_COMPLETE_NONE, "override the destination host name used for TLS verification"),
    { NULL },
};

static const InvFlagBit flag_bits[] = {
    { "live", VIR_MIGRATE_LIVE },
    { "offline", VIR_MIGRATE_OFFLINE },
    { "p2p", VIR_MIGRATE_PEER2PEER },
    { "tunnelled", VIR_MIGRATE_TUNNELLED },
    { "persistent", VIR_MIGRATE_PERSIST_DEST },
    { "undefinesource", VIR_MIGRATE_UNDEFINE_SOURCE },
    { "suspend", VIR_MIGRATE_PAUSED },
    { "copy-storage-all", VIR_MIGRATE_NON_SHARED_DISK },
    { "copy-storage-inc", VIR_MIGRATE_NON_SHARED_INC },
    { "copy-storage-synchronous-writes", VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES },
    { "change-protection", VIR_MIGRATE_CHANGE_PROTECTION },
    { "unsafe", VIR_MIGRATE_UNSAFE },
    { "compressed", VIR_MIGRATE_COMPRESSED },
    { "auto-converge", VIR_MIGRATE_AUTO_CONVERGE },
    { "rdma-pin-all", VIR_MIGRATE_RDMA_PIN_ALL },
    { "abort-on-error", VIR_MIGRATE_ABORT_ON_ERROR },
    { "postcopy", VIR_MIGRATE_POSTCOPY },
    /* As virsh: the switch itself is the client's, once the first pass is over. */
    { "postcopy-after-precopy", VIR_MIGRATE_POSTCOPY },
    { "postcopy-resume", VIR_MIGRATE_POSTCOPY_RESUME },
    { "zerocopy", VIR_MIGRATE_ZEROCOPY },
    { "tls", VIR_MIGRATE_TLS },
    { "parallel", VIR_MIGRATE_PARALLEL },
    { NULL, 0 },
};

/* How the value of an option travels. */
typedef enum { AS_TEXT, AS_LIST, AS_FILE, AS_INT, AS_ULLONG } ParamKind;

static const struct {
    const char *option;
    const char *param;
    ParamKind kind;
} param_rows[] = {
    { "migrateuri", VIR_MIGRATE_PARAM_URI, AS_TEXT },
    { "graphicsuri", VIR_MIGRATE_PARAM_GRAPHICS_URI, AS_TEXT },
    { "listen-address", VIR_MIGRATE_PARAM_LISTEN_ADDRESS, AS_TEXT },
    { "dname", VIR_MIGRATE_PARAM_DEST_NAME, AS_TEXT },
    { "xml", VIR_MIGRATE_PARAM_DEST_XML, AS_FILE },
    { "persistent-xml", VIR_MIGRATE_PARAM_PERSIST_XML, AS_FILE },
    { "migrate-disks", VIR_MIGRATE_PARAM_MIGRATE_DISKS, AS_LIST },
    { "disks-port", VIR_MIGRATE_PARAM_DISKS_PORT, AS_INT },
    { "disks-uri", VIR_MIGRATE_PARAM_DISKS_URI, AS_TEXT },
    { "comp-methods", VIR_MIGRATE_PARAM_COMPRESSION, AS_LIST },
    { "comp-mt-level", VIR_MIGRATE_PARAM_COMPRESSION_MT_LEVEL, AS_INT },
    { "comp-mt-threads", VIR_MIGRATE_PARAM_COMPRESSION_MT_THREADS, AS_INT },
    { "comp-mt-dthreads", VIR_MIGRATE_PARAM_COMPRESSION_MT_DTHREADS, AS_INT },
    { "comp-xbzrle-cache", VIR_MIGRATE_PARAM_COMPRESSION_XBZRLE_CACHE, AS_ULLONG },
    { "comp-zlib-level", PARAM_ZLIB_LEVEL, AS_INT },
    { "comp-zstd-level", PARAM_ZSTD_LEVEL, AS_INT },
    { "auto-converge-initial", VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, AS_INT },
    { "auto-converge-increment", VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, AS_INT },
    { "bandwidth", VIR_MIGRATE_PARAM_BANDWIDTH, AS_ULLONG },
    { "postcopy-bandwidth", VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY, AS_ULLONG },
    { "parallel-connections", VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, AS_INT },
    { "tls-destination", VIR_MIGRATE_PARAM_TLS_DESTINATION, AS_TEXT },
};

static gboolean
requires(const InvArgs *args, const char *option, const char *needed, GError **error)
{
    if (inv_args_flag(args, option) && !inv_args_flag(args, needed))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "Option --%s is required by option --%s", needed, option);
    return TRUE;
}

static gboolean
check_options(const InvArgs *args, GError **error)
{
    gboolean timeout_action = inv_args_flag(args, "timeout-suspend") || inv_args_flag(args, "timeout-postcopy");

    if (!inv_args_exclusive(args, "live", "offline", error) ||
        !inv_args_exclusive(args, "timeout-suspend", "timeout-postcopy", error) ||
        !requires(args, "postcopy-after-precopy", "postcopy", error) || !requires(args, "timeout-postcopy", "postcopy", error) ||
        !requires(args, "persistent-xml", "persistent", error) || !requires(args, "tls-destination", "tls", error))
        return FALSE;
    if (inv_args_flag(args, "timeout") && !inv_args_flag(args, "live"))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "migrate: Unexpected timeout for offline migration");
    if (timeout_action && !inv_args_flag(args, "timeout"))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "migrate: Unexpected --timeout-* option without --timeout");
    if (inv_args_flag(args, "timeout") && inv_args_uint(args, "timeout", 0) < 1)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "migrate: Invalid timeout");
    if (inv_args_flag(args, "direct"))
        return inv_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                             "direct migration, by the hypervisors alone, is not supported by QEMU: leave --direct out, or use --p2p");
    if (inv_args_flag(args, "tunnelled") && !inv_args_flag(args, "p2p"))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "cannot perform tunnelled migration without using peer2peer flag");
    return TRUE;
}

static gboolean
add_list(InvTypedParams *params, const char *name, const char *option, const char *value, GError **error)
{
    g_auto(GStrv) parts = g_strsplit(value, ",", -1);

    for (guint i = 0; parts[i]; i++) {
        if (!*parts[i])
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "--%s '%s' has an empty part", option, value);
        inv_typed_params_add_string(params, name, parts[i]);
    }
    return TRUE;
}

static gboolean
add_param(InvTypedParams *params, const InvArgs *args, guint row, GError **error)
{
    const char *option = param_rows[row].option, *name = param_rows[row].param;
    const char *value = inv_args_string(args, option);
    g_autofree char *text = NULL;
    guint64 number;

    if (!value)
        return TRUE;
    switch (param_rows[row].kind) {
    case AS_TEXT:
        inv_typed_params_add_string(params, name, value);
        return TRUE;
    case AS_LIST:
        return add_list(params, name, option, value, error);
    case AS_FILE:
        text = inv_cli_read_file(value, error);
        inv_typed_params_add_string(params, name, text);
        return text != NULL;
    case AS_INT:
        inv_typed_params_add_int(params, name, (gint)inv_args_uint(args, option, 0));
        return TRUE;
    case AS_ULLONG:
        if (!g_ascii_string_to_unsigned(value, 10, 0, G_MAXUINT64, &number, NULL))
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "Numeric value '%s' for <%s> option is malformed or out of range", value,
                                 option);
        inv_typed_params_add_ullong(params, name, number);
        return TRUE;
    }
    return FALSE;
}

static InvTypedParams *
collect_params(const InvArgs *args, GError **error)
{
    g_autoptr(InvTypedParams) params = inv_typed_params_new();

    for (guint i = 0; i < G_N_ELEMENTS(param_rows); i++) {
        if (!add_param(params, args, i, error))
            return NULL;
    }
    return g_steal_pointer(&params);
}

static InvMigrateWatch
watch_options(const InvArgs *args)
{
    InvMigrateWatch options = {
        .timeout_s = inv_args_uint(args, "timeout", 0),
        .verbose = inv_args_flag(args, "verbose"),
        .after_precopy = inv_args_flag(args, "postcopy-after-precopy"),
    };

    if (options.timeout_s)
        options.action = inv_args_flag(args, "timeout-postcopy") ? INV_TIMEOUT_POSTCOPY : INV_TIMEOUT_SUSPEND;
    return options;
}

static int
report_done(InvCli *cli, const InvMigrate *migrate)
{
    char uuid[INV_UUID_TEXT_SIZE];

    if (migrate->warning) {
        g_autofree char *text = inv_text_escape(migrate->warning, INV_TEXT_LINE);

        fprintf(stderr, "warning: %s\n", text);
    }
    /* As virsh: it has worked when nothing is said. */
    if (!cli->json)
        return INV_EXIT_OK;
    inv_domain_uuid_format(migrate->domain.uuid, uuid);
    return inv_cli_done(cli, migrate->domain.name, uuid, "Domain '%s' migrated to '%s'", migrate->domain.name, migrate->dest_uri);
}

static int
run_migrate(InvCli *cli, const InvArgs *args, GError **error)
{
    const InvMigrateWatch options = watch_options(args);
    g_autoptr(InvTypedParams) params = NULL;
    g_autoptr(InvRpcTarget) dest = NULL;
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_autofree char *warning = NULL;
    InvMigrate migrate = {
        .source_target = cli->target,
        .dest_uri = inv_args_string(args, "desturi"),
        .flags = inv_args_bits(args, flag_bits),
        .timeout_ms = cli->timeout_ms,
    };
    gboolean moved;

    if (!check_options(args, error) || !(params = collect_params(args, error)))
        return INV_EXIT_USAGE;
    if (!inv_args_flag(args, "p2p") && !(dest = inv_rpc_target_parse(migrate.dest_uri, error)))
        return INV_EXIT_USAGE;
    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    migrate.dest_target = dest;
    migrate.domain = domain;
    migrate.params = params;
    moved = inv_migrate_run_watched(cli, &migrate, &options, error);
    warning = migrate.warning;
    return moved ? report_done(cli, &migrate) : INV_EXIT_ERROR;
}

const InvCommand inv_migrate_commands[] = {
    { "migrate", "migrate domain to another host",
      "Migrate domain to another host.  Add --live for live migration. On a terminal a bar\nshows how far it is; Ctrl-C aborts the migration, "
      "and the guest stays where it is.",
      migrate_options, run_migrate, FALSE },
    { NULL },
};
