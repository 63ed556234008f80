/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/migration.h"

#include "util/error.h"

#include <string.h>

/* What QEMU 2.x to 10.x begin with; said again where an earlier try may have left other figures. */
#define THROTTLE_INITIAL 20u
#define THROTTLE_INCREMENT 10u
#define COMPRESSION_LEVEL 1

void
inv_migration_settings_clear(InvMigrationSettings *settings)
{
    g_free(settings->multifd_compression);
    memset(settings, 0, sizeof *settings);
}

static gboolean
call_with(InvQmp *qmp, const char *command, InvJson *arguments, guint deadline_ms, GError **error)
{
    g_autoptr(InvJson) owned = arguments;

    return inv_qmp_call(qmp, command, owned, deadline_ms, NULL, error);
}

/* What one QEMU can do, as it says itself. */
typedef struct {
    InvJson *capabilities;
    InvJson *parameters;
} Abilities;

static void
abilities_clear(Abilities *abilities)
{
    g_clear_pointer(&abilities->capabilities, inv_json_free);
    g_clear_pointer(&abilities->parameters, inv_json_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Abilities, abilities_clear)

static gboolean
ask_abilities(InvQmp *qmp, Abilities *abilities, guint deadline_ms, GError **error)
{
    const InvQmpCommand commands[] = { { "query-migrate-capabilities", NULL }, { "query-migrate-parameters", NULL } };
    InvJson *replies[G_N_ELEMENTS(commands)] = { NULL };
    GError *errors[G_N_ELEMENTS(commands)] = { NULL };
    gboolean ok = inv_qmp_call_many(qmp, commands, G_N_ELEMENTS(commands), deadline_ms, replies, errors, error);

    abilities->capabilities = replies[0];
    abilities->parameters = replies[1];
    for (gsize i = 0; i < G_N_ELEMENTS(errors); i++) {
        if (!errors[i])
            continue;
        if (ok)
            g_propagate_error(error, g_steal_pointer(&errors[i]));
        g_clear_error(&errors[i]);
        ok = FALSE;
    }
    return ok;
}

static gboolean
has_capability(const Abilities *abilities, const char *name)
{
    for (guint i = 0; i < inv_json_size(abilities->capabilities); i++) {
        if (g_strcmp0(inv_json_get_string(inv_json_at(abilities->capabilities, i), "capability"), name) == 0)
            return TRUE;
    }
    return FALSE;
}

static void
add_capability(InvJson *list, const char *name, gboolean state)
{
    InvJson *entry = inv_json_new_object();

    inv_json_object_set_string(entry, "capability", name);
    inv_json_object_set_boolean(entry, "state", state);
    inv_json_array_add(list, entry);
}

/* Each is set or cleared, so that nothing of an earlier try stays. NULL: something that was asked for is not there. */
static InvJson *
make_capabilities(const Abilities *abilities, const InvMigrationSettings *settings, gboolean incoming, GError **error)
{
    const struct {
        const char *name;
        gboolean wanted, required;
    } rows[] = {
        { "events", TRUE, TRUE },
        { "return-path", !settings->one_way, FALSE },
        { "validate-uuid", TRUE, FALSE },
        { "late-block-activate", incoming, FALSE },
        { "pause-before-switchover", settings->pause_before_switchover && !incoming, TRUE },
        { "postcopy-ram", settings->postcopy, TRUE },
        { "auto-converge", settings->auto_converge && !incoming, TRUE },
        { "xbzrle", settings->xbzrle, TRUE },
        { "multifd", settings->multifd_channels > 0, TRUE },
    };
    g_autoptr(InvJson) list = inv_json_new_array();
    g_autoptr(InvJson) arguments = inv_json_new_object();

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (has_capability(abilities, rows[i].name)) {
            add_capability(list, rows[i].name, rows[i].wanted);
        } else if (rows[i].wanted && rows[i].required) {
            inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "the migration capability '%s' is not supported by this QEMU",
                          rows[i].name);
            return NULL;
        }
    }
    inv_json_object_set(arguments, "capabilities", g_steal_pointer(&list));
    return g_steal_pointer(&arguments);
}

static gboolean
check_parameter(const InvJson *parameters, const char *name, GError **error)
{
    return inv_json_get(parameters, name) != NULL ||
        inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "the migration parameter '%s' is not supported by this QEMU", name);
}

static gboolean
add_parameter(InvJson *arguments, const Abilities *abilities, const char *name, guint64 value, GError **error)
{
    if (!check_parameter(abilities->parameters, name, error))
        return FALSE;
    inv_json_object_set_uint(arguments, name, value);
    return TRUE;
}

static gboolean
add_multifd(InvJson *arguments, const Abilities *abilities, const InvMigrationSettings *settings, GError **error)
{
    const char *method = settings->multifd_compression ? settings->multifd_compression : "none";
    g_autofree char *level = g_strdup_printf("multifd-%s-level", method);
    guint64 figure = settings->multifd_level > 0 ? (guint64)settings->multifd_level : COMPRESSION_LEVEL;

    if (!add_parameter(arguments, abilities, "multifd-channels", settings->multifd_channels, error))
        return FALSE;
    if (!settings->multifd_compression && !inv_json_get(abilities->parameters, "multifd-compression"))
        return TRUE;
    if (!check_parameter(abilities->parameters, "multifd-compression", error))
        return FALSE;
    inv_json_object_set_string(arguments, "multifd-compression", method);
    return !settings->multifd_compression || add_parameter(arguments, abilities, level, figure, error);
}

static gboolean
add_source_parameters(InvJson *arguments, const Abilities *abilities, const InvMigrationSettings *settings, GError **error)
{
    const struct {
        const char *name;
        gboolean set;
        guint64 value;
    } rows[] = {
        { "max-bandwidth", TRUE, settings->bandwidth },
        { "max-postcopy-bandwidth", settings->postcopy, settings->postcopy_bandwidth },
        { "downtime-limit", settings->downtime_ms > 0, settings->downtime_ms },
        { "cpu-throttle-initial", settings->auto_converge,
          settings->throttle_initial ? settings->throttle_initial : THROTTLE_INITIAL },
        { "cpu-throttle-increment", settings->auto_converge,
          settings->throttle_increment ? settings->throttle_increment : THROTTLE_INCREMENT },
        { "xbzrle-cache-size", settings->xbzrle && settings->xbzrle_cache > 0, settings->xbzrle_cache },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].set && !add_parameter(arguments, abilities, rows[i].name, rows[i].value, error))
            return FALSE;
    }
    return TRUE;
}

/* QEMU 7.2 takes these together and fails, or does less, only once the migration runs. */
static gboolean
check_together(const InvMigrationSettings *settings, GError **error)
{
    const struct {
        const char *what, *with;
        gboolean both;
    } rows[] = {
        { "postcopy", "several connections (multifd)", settings->postcopy && settings->multifd_channels },
        { "xbzrle compression", "several connections (multifd)", settings->xbzrle && settings->multifd_channels },
        { "postcopy", "a channel in one direction (a tunnel)", settings->postcopy && settings->one_way },
        { "several connections (multifd)", "a single channel (a tunnel)", settings->multifd_channels && settings->one_way },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (rows[i].both)
            return inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED, "%s together with %s is not supported by QEMU", rows[i].what,
                                 rows[i].with);
    }
    if (settings->multifd_compression && !settings->multifd_channels)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "the compression '%s' needs several connections (multifd)",
                             settings->multifd_compression);
    return TRUE;
}

/* What this QEMU was built without, or its host does not let it do, is no failure of its own. */
static gboolean
explain_refusal(GError *refused, GError **error)
{
    gboolean postcopy = strstr(refused->message, "ostcopy is not supported") != NULL;

    if (postcopy)
        g_prefix_error(&refused, "postcopy needs a host that gives QEMU's account userfaultfd (sysctl vm.unprivileged_userfaultfd=1): ");
    if (postcopy || strstr(refused->message, "does not accept value"))
        refused->code = VIR_ERR_OPERATION_UNSUPPORTED;
    g_propagate_error(error, refused);
    return FALSE;
}

gboolean
inv_migration_configure(InvQmp *qmp, const InvMigrationSettings *settings, gboolean incoming, guint deadline_ms, GError **error)
{
    g_auto(Abilities) abilities = { NULL, NULL };
    g_autoptr(InvJson) capabilities = NULL;
    g_autoptr(InvJson) parameters = inv_json_new_object();
    GError *refused = NULL;

    if (!check_together(settings, error) || !ask_abilities(qmp, &abilities, deadline_ms, error))
        return FALSE;
    capabilities = make_capabilities(&abilities, settings, incoming, error);
    if (!capabilities || (settings->multifd_channels && !add_multifd(parameters, &abilities, settings, error)) ||
        (!incoming && !add_source_parameters(parameters, &abilities, settings, error)))
        return FALSE;
    if (inv_qmp_call(qmp, "migrate-set-capabilities", capabilities, deadline_ms, NULL, &refused) &&
        (inv_json_size(parameters) == 0 ||
         inv_qmp_call(qmp, "migrate-set-parameters", parameters, deadline_ms, NULL, &refused)))
        return TRUE;
    return explain_refusal(refused, error);
}

gboolean
inv_migration_listen(InvQmp *qmp, const char *address, gboolean *in_use, guint deadline_ms, GError **error)
{
    InvJson *arguments = inv_json_new_object();
    GError *refused = NULL;
    gboolean taken = inv_migration_address_in_use(address);

    inv_json_object_set_string(arguments, "uri", address);
    if (in_use)
        *in_use = taken;
    if (taken) {
        inv_json_free(arguments);
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "cannot wait for a migration on '%s': the address is in use", address);
    }
    if (call_with(qmp, "migrate-incoming", arguments, deadline_ms, &refused))
        return TRUE;
    /* QEMU has no word of its own for it; it runs in the C locale. */
    if (in_use)
        *in_use = strstr(refused->message, "Address already in use") != NULL;
    g_propagate_prefixed_error(error, refused, "cannot wait for a migration on '%s': ", address);
    return FALSE;
}

gboolean
inv_migration_listen_recover(InvQmp *qmp, const char *address, guint deadline_ms, GError **error)
{
    g_autoptr(InvJson) arguments = inv_json_new_object();

    inv_json_object_set_string(arguments, "uri", address);
    return inv_qmp_call_out_of_band(qmp, "migrate-recover", arguments, deadline_ms, error);
}

gboolean
inv_migration_start(InvQmp *qmp, const char *address, gboolean resume, guint deadline_ms, GError **error)
{
    InvJson *arguments = inv_json_new_object();

    inv_json_object_set_string(arguments, "uri", address);
    if (resume)
        inv_json_object_set_boolean(arguments, "resume", TRUE);
    return call_with(qmp, "migrate", arguments, deadline_ms, error);
}

gboolean
inv_migration_continue(InvQmp *qmp, guint deadline_ms, GError **error)
{
    InvJson *arguments = inv_json_new_object();

    inv_json_object_set_string(arguments, "state", inv_migration_state_to_string(INV_MIGRATION_PRE_SWITCHOVER));
    return call_with(qmp, "migrate-continue", arguments, deadline_ms, error);
}

gboolean
inv_migration_start_postcopy(InvQmp *qmp, guint deadline_ms, GError **error)
{
    return inv_qmp_call(qmp, "migrate-start-postcopy", NULL, deadline_ms, NULL, error);
}

gboolean
inv_migration_pause_postcopy(InvQmp *qmp, guint deadline_ms, GError **error)
{
    return inv_qmp_call_out_of_band(qmp, "migrate-pause", NULL, deadline_ms, error);
}

static gboolean
is_postcopy(InvMigrationState state)
{
    return state == INV_MIGRATION_POSTCOPY || state == INV_MIGRATION_POSTCOPY_PAUSED || state == INV_MIGRATION_POSTCOPY_RECOVER;
}

gboolean
inv_migration_cancel(InvQmp *qmp, guint deadline_ms, GError **error)
{
    InvMigrationProgress progress = { .state = INV_MIGRATION_NONE };
    InvMigrationState state;

    if (!inv_migration_query(qmp, &progress, deadline_ms, error))
        return FALSE;
    state = progress.state;
    inv_migration_progress_clear(&progress);
    if (is_postcopy(state))
        return inv_error_set(error, VIR_ERR_OPERATION_INVALID,
                             "the migration is in its postcopy ('%s') and cannot be cancelled: the guest runs at the destination",
                             inv_migration_state_to_string(state));
    return inv_qmp_call(qmp, "migrate_cancel", NULL, deadline_ms, NULL, error);
}

gboolean
inv_migration_get_parameter(InvQmp *qmp, const char *name, guint64 *value, guint deadline_ms, GError **error)
{
    g_autoptr(InvJson) parameters = NULL;

    return inv_qmp_call(qmp, "query-migrate-parameters", NULL, deadline_ms, &parameters, error) &&
        check_parameter(parameters, name, error) &&
        (inv_json_uint(inv_json_get(parameters, name), value) ||
         inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU's migration parameter '%s' is no number", name));
}

gboolean
inv_migration_set_parameter(InvQmp *qmp, const char *name, guint64 value, guint deadline_ms, GError **error)
{
    InvJson *arguments;
    guint64 before;

    if (!inv_migration_get_parameter(qmp, name, &before, deadline_ms, error))
        return FALSE;
    arguments = inv_json_new_object();
    inv_json_object_set_uint(arguments, name, value);
    return call_with(qmp, "migrate-set-parameters", arguments, deadline_ms, error);
}
