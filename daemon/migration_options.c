/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_options.h"

#include "rpc/typed_params.h"
#include "util/error.h"

#include <string.h>

/* libvirt's bandwidths are MiB/s, QEMU's bytes/s. */
#define MIB G_GUINT64_CONSTANT(1048576)
#define MAX_MIB_PER_SECOND (G_GUINT64_CONSTANT(1) << 32)
/* What QEMU opens when --parallel names no number. */
#define DEFAULT_CHANNELS 2u
#define MAX_CHANNELS 255u

/* Of libvirt 9.1, which Debian 12 is just older than. */
#ifndef VIR_MIGRATE_PARAM_COMPRESSION_ZLIB_LEVEL
#define VIR_MIGRATE_PARAM_COMPRESSION_ZLIB_LEVEL "compression.zlib.level"
#endif
#ifndef VIR_MIGRATE_PARAM_COMPRESSION_ZSTD_LEVEL
#define VIR_MIGRATE_PARAM_COMPRESSION_ZSTD_LEVEL "compression.zstd.level"
#endif

static const InvTypedParamSpec known[] = {
    { VIR_MIGRATE_PARAM_URI, VIR_TYPED_PARAM_STRING, FALSE },
    { VIR_MIGRATE_PARAM_DEST_NAME, VIR_TYPED_PARAM_STRING, FALSE },
    { VIR_MIGRATE_PARAM_DEST_XML, VIR_TYPED_PARAM_STRING, FALSE },
    { VIR_MIGRATE_PARAM_PERSIST_XML, VIR_TYPED_PARAM_STRING, FALSE },
    { VIR_MIGRATE_PARAM_BANDWIDTH, VIR_TYPED_PARAM_ULLONG, FALSE },
    { VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY, VIR_TYPED_PARAM_ULLONG, FALSE },
    { VIR_MIGRATE_PARAM_LISTEN_ADDRESS, VIR_TYPED_PARAM_STRING, FALSE },
    { VIR_MIGRATE_PARAM_MIGRATE_DISKS, VIR_TYPED_PARAM_STRING, TRUE },
    { VIR_MIGRATE_PARAM_DISKS_PORT, VIR_TYPED_PARAM_INT, FALSE },
    { VIR_MIGRATE_PARAM_DISKS_URI, VIR_TYPED_PARAM_STRING, FALSE },
    { VIR_MIGRATE_PARAM_COMPRESSION, VIR_TYPED_PARAM_STRING, TRUE },
    { VIR_MIGRATE_PARAM_COMPRESSION_XBZRLE_CACHE, VIR_TYPED_PARAM_ULLONG, FALSE },
    { VIR_MIGRATE_PARAM_COMPRESSION_ZLIB_LEVEL, VIR_TYPED_PARAM_INT, FALSE },
    { VIR_MIGRATE_PARAM_COMPRESSION_ZSTD_LEVEL, VIR_TYPED_PARAM_INT, FALSE },
    { VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, VIR_TYPED_PARAM_INT, FALSE },
    { VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, VIR_TYPED_PARAM_INT, FALSE },
    { VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, VIR_TYPED_PARAM_INT, FALSE },
    { NULL, 0, FALSE },
};

/* What this daemon does. */
#define SUPPORTED_FLAGS                                                                                                      \
    (VIR_MIGRATE_LIVE | VIR_MIGRATE_PEER2PEER | VIR_MIGRATE_TUNNELLED | VIR_MIGRATE_PERSIST_DEST |                           \
     VIR_MIGRATE_UNDEFINE_SOURCE | VIR_MIGRATE_PAUSED | VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_INC |           \
     VIR_MIGRATE_CHANGE_PROTECTION | VIR_MIGRATE_UNSAFE | VIR_MIGRATE_OFFLINE | VIR_MIGRATE_COMPRESSED |                     \
     VIR_MIGRATE_ABORT_ON_ERROR | VIR_MIGRATE_AUTO_CONVERGE | VIR_MIGRATE_POSTCOPY | VIR_MIGRATE_PARALLEL |                  \
     VIR_MIGRATE_POSTCOPY_RESUME)

/* What libvirt has, and this daemon has not: each is refused by its name in virsh. */
static const struct {
    unsigned int flag;
    const char *name;
} unsupported[] = {
    { VIR_MIGRATE_TLS, "an encrypted migration stream (--tls)" },
    { VIR_MIGRATE_RDMA_PIN_ALL, "migration over RDMA (--rdma-pin-all)" },
    { VIR_MIGRATE_NON_SHARED_SYNCHRONOUS_WRITES, "synchronous writes while disks are copied (--copy-storage-synchronous-writes)" },
    { VIR_MIGRATE_ZEROCOPY, "zero-copy sending (--zerocopy)" },
};

void
inv_migration_options_free(InvMigrationOptions *options)
{
    if (!options)
        return;
    g_free(options->dname);
    g_free(options->xml);
    g_free(options->persistent_xml);
    g_free(options->uri);
    g_free(options->listen_address);
    g_free(options->disks_uri);
    g_strfreev(options->disks);
    inv_migration_settings_clear(&options->settings);
    g_free(options);
}

static gboolean
check_flags(unsigned int flags, GError **error)
{
    for (gsize i = 0; i < G_N_ELEMENTS(unsupported); i++) {
        if (flags & unsupported[i].flag)
            return inv_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "%s is not supported by Invar", unsupported[i].name);
    }
    if (flags & ~(unsigned int)SUPPORTED_FLAGS)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unsupported flags (0x%x) in a migration",
                             flags & ~(unsigned int)SUPPORTED_FLAGS);
    if ((flags & VIR_MIGRATE_TUNNELLED) && !(flags & VIR_MIGRATE_PEER2PEER))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "a tunnelled migration goes from daemon to daemon: give --p2p as well");
    if ((flags & VIR_MIGRATE_NON_SHARED_DISK) && (flags & VIR_MIGRATE_NON_SHARED_INC))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "--copy-storage-all and --copy-storage-inc exclude each other");
    if ((flags & VIR_MIGRATE_TUNNELLED) && (flags & (VIR_MIGRATE_POSTCOPY | VIR_MIGRATE_PARALLEL | VIR_MIGRATE_NON_SHARED_DISK |
                                                     VIR_MIGRATE_NON_SHARED_INC)))
        return inv_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                             "a tunnel carries one stream: --postcopy, --parallel and --copy-storage-* are not supported with "
                             "--tunnelled");
    if ((flags & VIR_MIGRATE_POSTCOPY) && (flags & VIR_MIGRATE_PARALLEL))
        return inv_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "--parallel is not supported with --postcopy");
    if ((flags & VIR_MIGRATE_POSTCOPY_RESUME) && !(flags & VIR_MIGRATE_POSTCOPY))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "--postcopy-resume goes with --postcopy");
    return TRUE;
}

static gboolean
check_offline(unsigned int flags, GError **error)
{
    if (!(flags & VIR_MIGRATE_OFFLINE))
        return TRUE;
    if (flags & (VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_INC))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "offline migration cannot handle non-shared storage");
    if (!(flags & VIR_MIGRATE_PERSIST_DEST))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "offline migration must be specified with the persistent flag set");
    if (flags & VIR_MIGRATE_TUNNELLED)
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID, "tunnelled offline migration does not make sense");
    return TRUE;
}

static gboolean
take_bandwidth(const char *name, guint64 mib, guint64 *bytes, GError **error)
{
    if (mib > MAX_MIB_PER_SECOND)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "%s %" G_GUINT64_FORMAT " MiB/s is too much: at most %" G_GUINT64_FORMAT,
                             name, mib, (guint64)MAX_MIB_PER_SECOND);
    *bytes = mib * MIB;
    return TRUE;
}

static gboolean
take_number(const remote_typed_param *params, guint n, const char *name, gint min, gint max, gint *value, GError **error)
{
    if (!inv_typed_params_get_int(params, n, name, value, error))
        return FALSE;
    if (inv_typed_params_find(params, n, name) && (*value < min || *value > max))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "%s %d is out of range: from %d to %d", name, *value, min, max);
    return TRUE;
}

static gboolean
needs_flag(const remote_typed_param *params, guint n, const char *name, unsigned int flags, unsigned int flag,
           const char *option, GError **error)
{
    if (inv_typed_params_find(params, n, name) && !(flags & flag))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "%s has no meaning without %s", name, option);
    return TRUE;
}

/* One method at a time: XBZRLE for a plain stream, zlib or zstd for parallel ones. */
static gboolean
take_compression(InvMigrationOptions *options, const remote_typed_param *params, guint n, GError **error)
{
    InvMigrationSettings *settings = &options->settings;
    g_auto(GStrv) methods = NULL;
    gint zlib = -1, zstd = -1;

    settings->multifd_level = -1;
    if (!inv_typed_params_get_strings(params, n, VIR_MIGRATE_PARAM_COMPRESSION, &methods, error) ||
        !inv_typed_params_get_ullong(params, n, VIR_MIGRATE_PARAM_COMPRESSION_XBZRLE_CACHE, &settings->xbzrle_cache, error) ||
        !take_number(params, n, VIR_MIGRATE_PARAM_COMPRESSION_ZLIB_LEVEL, 0, 9, &zlib, error) ||
        !take_number(params, n, VIR_MIGRATE_PARAM_COMPRESSION_ZSTD_LEVEL, 0, 20, &zstd, error))
        return FALSE;
    if (methods && !(options->flags & VIR_MIGRATE_COMPRESSED))
        options->flags |= VIR_MIGRATE_COMPRESSED;
    if (!(options->flags & VIR_MIGRATE_COMPRESSED))
        return !settings->xbzrle_cache || inv_error_set(error, VIR_ERR_INVALID_ARG, "%s has no meaning without --compressed",
                                                        VIR_MIGRATE_PARAM_COMPRESSION_XBZRLE_CACHE);
    if (methods && methods[0] && methods[1])
        return inv_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "one method of compression at a time is supported, not '%s' and '%s'",
                             methods[0], methods[1]);
    if (!methods || !methods[0] || strcmp(methods[0], "xbzrle") == 0) {
        settings->xbzrle = TRUE;
        return !(options->flags & VIR_MIGRATE_PARALLEL) ||
               inv_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                             "compression 'xbzrle' is not supported with --parallel: choose --comp-methods zlib or zstd");
    }
    if (strcmp(methods[0], "zlib") != 0 && strcmp(methods[0], "zstd") != 0)
        return inv_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED,
                             "compression '%s' is not supported: xbzrle, or with --parallel zlib or zstd", methods[0]);
    if (!(options->flags & VIR_MIGRATE_PARALLEL))
        return inv_error_set(error, VIR_ERR_ARGUMENT_UNSUPPORTED, "compression '%s' is supported with --parallel only", methods[0]);
    settings->multifd_compression = g_strdup(methods[0]);
    settings->multifd_level = strcmp(methods[0], "zlib") == 0 ? zlib : zstd;
    return TRUE;
}

static gboolean
take_settings(InvMigrationOptions *options, const remote_typed_param *params, guint n, GError **error)
{
    InvMigrationSettings *settings = &options->settings;
    guint64 bandwidth = 0, postcopy = 0;
    gint initial = 0, increment = 0, channels = (gint)DEFAULT_CHANNELS;

    if (!inv_typed_params_get_ullong(params, n, VIR_MIGRATE_PARAM_BANDWIDTH, &bandwidth, error) ||
        !inv_typed_params_get_ullong(params, n, VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY, &postcopy, error) ||
        !take_bandwidth(VIR_MIGRATE_PARAM_BANDWIDTH, bandwidth, &settings->bandwidth, error) ||
        !take_bandwidth(VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY, postcopy, &settings->postcopy_bandwidth, error) ||
        !take_number(params, n, VIR_MIGRATE_PARAM_AUTO_CONVERGE_INITIAL, 1, 99, &initial, error) ||
        !take_number(params, n, VIR_MIGRATE_PARAM_AUTO_CONVERGE_INCREMENT, 1, 99, &increment, error) ||
        !take_number(params, n, VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, 1, (gint)MAX_CHANNELS, &channels, error) ||
        !needs_flag(params, n, VIR_MIGRATE_PARAM_BANDWIDTH_POSTCOPY, options->flags, VIR_MIGRATE_POSTCOPY, "--postcopy", error) ||
        !needs_flag(params, n, VIR_MIGRATE_PARAM_PARALLEL_CONNECTIONS, options->flags, VIR_MIGRATE_PARALLEL, "--parallel", error))
        return FALSE;
    /* libvirt's client keeps this flag, and not its parameters, from the destination. */
    settings->auto_converge = (options->flags & VIR_MIGRATE_AUTO_CONVERGE) != 0;
    settings->throttle_initial = (guint)initial;
    settings->throttle_increment = (guint)increment;
    settings->postcopy = (options->flags & VIR_MIGRATE_POSTCOPY) != 0;
    settings->multifd_channels = options->flags & VIR_MIGRATE_PARALLEL ? (guint)channels : 0;
    return take_compression(options, params, n, error);
}

static gboolean
take_string(const remote_typed_param *params, guint n, const char *name, char **out, GError **error)
{
    const char *text = NULL;

    if (!inv_typed_params_get_string(params, n, name, &text, error))
        return FALSE;
    *out = g_strdup(text);
    return TRUE;
}

/* It becomes a part of what QEMU reads, where a comma or a bracket would begin something else. */
static gboolean
check_listen_address(const InvMigrationOptions *options, GError **error)
{
    g_autofree char *address = NULL, *host = NULL, *path = NULL;
    guint port = 0;

    if (!options->listen_address)
        return TRUE;
    address = inv_migration_address_tcp(options->listen_address, 1);
    if (inv_migration_uri_parse(address, &host, &port, &path, NULL) && g_strcmp0(host, options->listen_address) == 0)
        return TRUE;
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "%s '%.255s' is neither a host's name nor an address", VIR_MIGRATE_PARAM_LISTEN_ADDRESS,
                         options->listen_address);
}

static gboolean
check_for_copies(const remote_typed_param *params, guint n, unsigned int flags, GError **error)
{
    static const char *const of_copies[] = { VIR_MIGRATE_PARAM_MIGRATE_DISKS, VIR_MIGRATE_PARAM_DISKS_PORT, VIR_MIGRATE_PARAM_DISKS_URI };

    for (gsize i = 0; i < G_N_ELEMENTS(of_copies); i++) {
        if (!needs_flag(params, n, of_copies[i], flags, VIR_MIGRATE_NON_SHARED_DISK | VIR_MIGRATE_NON_SHARED_INC,
                        "--copy-storage-all or --copy-storage-inc", error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
take_texts(InvMigrationOptions *options, const remote_typed_param *params, guint n, GError **error)
{
    gint port = 0;

    if (!take_string(params, n, VIR_MIGRATE_PARAM_DEST_NAME, &options->dname, error) ||
        !take_string(params, n, VIR_MIGRATE_PARAM_DEST_XML, &options->xml, error) ||
        !take_string(params, n, VIR_MIGRATE_PARAM_PERSIST_XML, &options->persistent_xml, error) ||
        !take_string(params, n, VIR_MIGRATE_PARAM_URI, &options->uri, error) ||
        !take_string(params, n, VIR_MIGRATE_PARAM_LISTEN_ADDRESS, &options->listen_address, error) ||
        !take_string(params, n, VIR_MIGRATE_PARAM_DISKS_URI, &options->disks_uri, error) ||
        !inv_typed_params_get_strings(params, n, VIR_MIGRATE_PARAM_MIGRATE_DISKS, &options->disks, error) ||
        !take_number(params, n, VIR_MIGRATE_PARAM_DISKS_PORT, 0, G_MAXUINT16, &port, error))
        return FALSE;
    options->disks_port = (guint)port;
    return check_for_copies(params, n, options->flags, error) && check_listen_address(options, error);
}

InvMigrationOptions *
inv_migration_options_read(const remote_typed_param *params, guint n, unsigned int flags, GError **error)
{
    g_autoptr(InvMigrationOptions) options = g_new0(InvMigrationOptions, 1);

    options->flags = flags;
    if (!check_flags(flags, error) || !check_offline(flags, error) || !inv_typed_params_validate(params, n, known, error) ||
        !take_texts(options, params, n, error) || !take_settings(options, params, n, error))
        return NULL;
    return g_steal_pointer(&options);
}

InvMigrationOptions *
inv_migration_options_read_old(guint64 flags, const char *dname, const char *uri, const char *xml, guint64 bandwidth,
                               GError **error)
{
    g_autoptr(InvTypedParams) list = inv_typed_params_new();

    if (flags > G_MAXUINT32) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "unsupported flags (0x%" G_GINT64_MODIFIER "x) in a migration", flags);
        return NULL;
    }
    inv_typed_params_add_string(list, VIR_MIGRATE_PARAM_DEST_NAME, dname);
    inv_typed_params_add_string(list, VIR_MIGRATE_PARAM_URI, uri);
    inv_typed_params_add_string(list, VIR_MIGRATE_PARAM_DEST_XML, xml);
    if (bandwidth)
        inv_typed_params_add_ullong(list, VIR_MIGRATE_PARAM_BANDWIDTH, bandwidth);
    return inv_migration_options_read((const remote_typed_param *)list->data, list->len, (unsigned int)flags, error);
}
