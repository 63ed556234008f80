/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/config.h"

#include "qemu/emulator.h"
#include "rpc/uri.h"
#include "util/error.h"
#include "util/log.h"

#include <string.h>

/* Where a value goes is its offset in InvConfig; how it is read follows its kind. */
typedef enum {
    KIND_UINT,
    KIND_STRING,
    KIND_PATHS,
    KIND_LOG_LEVEL,
    KIND_CHECK,
    KIND_ADDRESSES,
    KIND_UUID,
} Kind;

typedef struct {
    const char *group;
    const char *key;
    Kind kind;
    gsize offset;
    guint min, max; /* KIND_UINT */
} Key;

static const Key keys[] = {
    { "daemon", "log_level", KIND_LOG_LEVEL, G_STRUCT_OFFSET(InvConfig, log_level), 0, 0 },
    { "daemon", "max_clients", KIND_UINT, G_STRUCT_OFFSET(InvConfig, max_clients), 1, 100000 },
    { "daemon", "max_client_requests", KIND_UINT, G_STRUCT_OFFSET(InvConfig, max_client_requests), 1, 1000 },
    { "daemon", "workers", KIND_UINT, G_STRUCT_OFFSET(InvConfig, workers), 1, 1000 },
    { "daemon", "priority_workers", KIND_UINT, G_STRUCT_OFFSET(InvConfig, priority_workers), 1, 1000 },
    { "daemon", "keepalive_interval", KIND_UINT, G_STRUCT_OFFSET(InvConfig, keepalive_interval), 1, 86400 },
    { "daemon", "keepalive_count", KIND_UINT, G_STRUCT_OFFSET(InvConfig, keepalive_count), 1, 1000 },
    { "daemon", "autostart_parallel", KIND_UINT, G_STRUCT_OFFSET(InvConfig, autostart_parallel), 1, 256 },
    { "daemon", "socket_group", KIND_STRING, G_STRUCT_OFFSET(InvConfig, socket_group), 0, 0 },
    { "daemon", "listen_tcp", KIND_ADDRESSES, G_STRUCT_OFFSET(InvConfig, listen_tcp), 0, 0 },
    { "daemon", "host_uuid", KIND_UUID, G_STRUCT_OFFSET(InvConfig, host_uuid), 0, 0 },
    { "cpu", "default_check", KIND_CHECK, G_STRUCT_OFFSET(InvConfig, default_check), 0, 0 },
    { "emulators", "folders", KIND_PATHS, G_STRUCT_OFFSET(InvConfig, emulator_folders), 0, 0 },
    { "emulators", "binaries", KIND_PATHS, G_STRUCT_OFFSET(InvConfig, emulator_binaries), 0, 0 },
    { "emulators", "probe_timeout", KIND_UINT, G_STRUCT_OFFSET(InvConfig, probe_timeout), 1, 3600 },
    { "qemu", "user", KIND_STRING, G_STRUCT_OFFSET(InvConfig, qemu_user), 0, 0 },
    { "qemu", "group", KIND_STRING, G_STRUCT_OFFSET(InvConfig, qemu_group), 0, 0 },
    { "qemu", "start_timeout", KIND_UINT, G_STRUCT_OFFSET(InvConfig, start_timeout), 1, 3600 },
};

InvConfig *
inv_config_new(void)
{
    InvConfig *config = g_new0(InvConfig, 1);

    config->log_level = G_LOG_LEVEL_MESSAGE;
    config->max_clients = 5000;
    config->max_client_requests = 5;
    config->workers = 20;
    config->priority_workers = 5;
    config->keepalive_interval = 5;
    config->keepalive_count = 5;
    config->default_check = INV_CPU_MODEL_CHECK_RELAXED;
    config->start_timeout = 60;
    config->probe_timeout = 30;
    config->autostart_parallel = 4;
    return config;
}

void
inv_config_free(InvConfig *config)
{
    if (!config)
        return;
    g_strfreev(config->emulator_folders);
    g_strfreev(config->emulator_binaries);
    g_free(config->socket_group);
    g_strfreev(config->listen_tcp);
    g_free(config->host_uuid);
    g_free(config->qemu_user);
    g_free(config->qemu_group);
    g_free(config);
}

static const Key *
find_key(const char *group, const char *name)
{
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        if (strcmp(keys[i].group, group) == 0 && (!name || strcmp(keys[i].key, name) == 0))
            return &keys[i];
    }
    return NULL;
}

/* The known words, for an error message. @group NULL: the groups themselves. */
static char *
list_known(const char *group)
{
    GString *list = g_string_new(NULL);
    const char *last = "";

    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        const char *word = group ? keys[i].key : keys[i].group;

        if ((group && strcmp(keys[i].group, group) != 0) || strcmp(word, last) == 0)
            continue;
        g_string_append_printf(list, "%s%s", list->len ? ", " : "", word);
        last = word;
    }
    return g_string_free(list, FALSE);
}

static gboolean
check_names(GKeyFile *file, const char *path, GError **error)
{
    g_auto(GStrv) groups = g_key_file_get_groups(file, NULL);

    for (char **group = groups; *group; group++) {
        g_auto(GStrv) names = NULL;
        g_autofree char *known = list_known(find_key(*group, NULL) ? *group : NULL);

        if (!find_key(*group, NULL))
            return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: there is no group [%s]; known: %s", path, *group, known);
        names = g_key_file_get_keys(file, *group, NULL, NULL);
        for (char **name = names; name && *name; name++) {
            if (!find_key(*group, *name))
                return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: group [%s] has no key '%s'; known: %s", path, *group,
                                     *name, known);
        }
    }
    return TRUE;
}

static gboolean
read_uint(const Key *key, const char *text, guint *value, const char *path, GError **error)
{
    guint64 number;

    if (!g_ascii_string_to_unsigned(text, 10, key->min, key->max, &number, NULL))
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: [%s] %s=%s is not a whole number from %u to %u", path,
                             key->group, key->key, text, key->min, key->max);
    *value = (guint)number;
    return TRUE;
}

static gboolean
read_check(const Key *key, const char *text, InvCpuModelCheck *value, const char *path, GError **error)
{
    if (strcmp(text, "strict") == 0)
        *value = INV_CPU_MODEL_CHECK_STRICT;
    else if (strcmp(text, "relaxed") == 0)
        *value = INV_CPU_MODEL_CHECK_RELAXED;
    else
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: [%s] %s=%s is neither 'strict' nor 'relaxed'", path, key->group,
                             key->key, text);
    return TRUE;
}

static gboolean
read_paths(const Key *key, const char *text, char ***value, const char *path, GError **error)
{
    g_auto(GStrv) folders = g_strsplit(text, ":", -1);

    for (char **folder = folders; *folder; folder++) {
        if (!g_path_is_absolute(*folder))
            return inv_error_set(error, VIR_ERR_CONF_SYNTAX,
                                 "%s: [%s] %s: '%s' is not an absolute path; write several as /a:/b", path, key->group,
                                 key->key, *folder);
    }
    g_strfreev(*value);
    *value = g_steal_pointer(&folders);
    return TRUE;
}

/* Several are parted by commas; none at all turns it off. */
static gboolean
read_addresses(const Key *key, const char *text, char ***value, const char *path, GError **error)
{
    g_auto(GStrv) addresses = *text ? g_strsplit(text, ",", -1) : NULL;

    for (char **each = addresses; each && *each; each++) {
        g_autoptr(GError) cause = NULL;
        g_autofree char *address = NULL;
        guint port;

        if (!inv_rpc_address_parse(g_strstrip(*each), &address, &port, &cause))
            return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: [%s] %s: %s", path, key->group, key->key, cause->message);
    }
    g_strfreev(*value);
    *value = g_steal_pointer(&addresses);
    return TRUE;
}

/* As libvirtd, none whose digits are all the same: firmware without a uuid has such. */
static gboolean
read_uuid(const Key *key, const char *text, char **value, const char *path, GError **error)
{
    g_autofree char *lower = g_ascii_strdown(text, -1);
    const char same[] = { *lower, '-', '\0' };

    if (*text && (!g_uuid_string_is_valid(text) || strspn(lower, same) == strlen(lower)))
        return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: [%s] %s=%s is no uuid, or one whose digits are all the same: take one from uuidgen",
                             path, key->group, key->key, text);
    g_free(*value);
    *value = *text ? g_steal_pointer(&lower) : NULL;
    return TRUE;
}

static gboolean
read_value(InvConfig *config, const Key *key, const char *text, const char *path, GError **error)
{
    gpointer field = G_STRUCT_MEMBER_P(config, key->offset);

    switch (key->kind) {
    case KIND_UINT:
        return read_uint(key, text, field, path, error);
    case KIND_CHECK:
        return read_check(key, text, field, path, error);
    case KIND_PATHS:
        return read_paths(key, text, field, path, error);
    case KIND_ADDRESSES:
        return read_addresses(key, text, field, path, error);
    case KIND_UUID:
        return read_uuid(key, text, field, path, error);
    case KIND_LOG_LEVEL:
        if (!inv_log_level_from_name(text, field))
            return inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: [%s] %s=%s is none of debug, info, message, warning", path,
                                 key->group, key->key, text);
        return TRUE;
    case KIND_STRING:
        g_free(*(char **)field);
        *(char **)field = *text ? g_strdup(text) : NULL;
        return TRUE;
    }
    return TRUE;
}

InvConfig *
inv_config_load(const char *path, gboolean must_exist, GError **error)
{
    g_autoptr(InvConfig) config = inv_config_new();
    g_autoptr(GKeyFile) file = g_key_file_new();
    g_autoptr(GError) cause = NULL;

    if (!g_key_file_load_from_file(file, path, G_KEY_FILE_NONE, &cause)) {
        if (!must_exist && g_error_matches(cause, G_FILE_ERROR, G_FILE_ERROR_NOENT))
            return g_steal_pointer(&config);
        inv_error_set(error, VIR_ERR_CONF_SYNTAX, "%s: %s", path, cause->message);
        return NULL;
    }
    if (!check_names(file, path, error))
        return NULL;
    for (gsize i = 0; i < G_N_ELEMENTS(keys); i++) {
        g_autofree char *text = g_key_file_get_value(file, keys[i].group, keys[i].key, NULL);

        if (text && !read_value(config, &keys[i], g_strstrip(text), path, error))
            return NULL;
    }
    return g_steal_pointer(&config);
}

char **
inv_config_missing(const InvConfig *config)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();

    for (char **binary = config->emulator_binaries; binary && *binary; binary++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *state = inv_emulators_fingerprint(*binary, FALSE, &error);
        g_autofree char *sentence = NULL;

        if (state)
            continue;
        sentence = g_strdup_printf("[emulators] binaries: %s: install it, or take it off the list", error->message);
        g_strv_builder_add(builder, sentence);
    }
    return g_strv_builder_end(builder);
}
