/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/domain_ref.h"
#include "util/error.h"

#include <stdlib.h>
#include <string.h>

INV_RPC_AUTOCLEAN(remote_domain_get_xml_desc_ret)

void
inv_domain_uuid_format(const char uuid[VIR_UUID_BUFLEN], char text[INV_UUID_TEXT_SIZE])
{
    char *out = text;

    for (guint i = 0; i < VIR_UUID_BUFLEN; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10)
            *out++ = '-';
        g_snprintf(out, 3, "%02x", (guint8)uuid[i]);
        out += 2;
    }
}

gboolean
inv_domain_uuid_parse(const char *text, char uuid[VIR_UUID_BUFLEN])
{
    for (guint i = 0; i < VIR_UUID_BUFLEN; i++) {
        if (*text == '-' && i)
            text++;
        if (!g_ascii_isxdigit(text[0]) || !g_ascii_isxdigit(text[1]))
            return FALSE;
        uuid[i] = (char)(g_ascii_xdigit_value(text[0]) << 4 | g_ascii_xdigit_value(text[1]));
        text += 2;
    }
    return !*text;
}

/* All three lookups answer with the domain alone; the caller's struct takes it over. */
static gboolean
lookup(InvCli *cli, guint32 procedure, gpointer args, remote_nonnull_domain *domain, GError **error)
{
    remote_domain_lookup_by_name_ret ret = { 0 };

    G_STATIC_ASSERT(sizeof(remote_domain_lookup_by_name_ret) == sizeof(remote_domain_lookup_by_id_ret));
    G_STATIC_ASSERT(sizeof(remote_domain_lookup_by_name_ret) == sizeof(remote_domain_lookup_by_uuid_ret));
    if (!inv_cli_call(cli, procedure, args, &ret, error))
        return FALSE;
    *domain = ret.dom;
    return TRUE;
}

static gboolean
is_absent(const GError *error)
{
    return g_error_matches(error, INV_ERROR, VIR_ERR_NO_DOMAIN);
}

gboolean
inv_domain_find(InvCli *cli, const char *text, InvDomainBy by, remote_nonnull_domain *domain, GError **error)
{
    g_autoptr(GError) last = NULL;
    guint64 id;

    if (by & INV_BY_ID && g_ascii_string_to_unsigned(text, 10, 0, G_MAXINT32, &id, NULL)) {
        remote_domain_lookup_by_id_args args = { .id = (int)id };

        if (lookup(cli, REMOTE_PROC_DOMAIN_LOOKUP_BY_ID, &args, domain, &last))
            return TRUE;
    }
    if (by & INV_BY_UUID && (!last || is_absent(last))) {
        remote_domain_lookup_by_uuid_args args;

        if (inv_domain_uuid_parse(text, args.uuid)) {
            g_clear_error(&last);
            if (lookup(cli, REMOTE_PROC_DOMAIN_LOOKUP_BY_UUID, &args, domain, &last))
                return TRUE;
        }
    }
    if (by & INV_BY_NAME && (!last || is_absent(last))) {
        remote_domain_lookup_by_name_args args = { .name = (char *)text };

        g_clear_error(&last);
        if (lookup(cli, REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, &args, domain, &last))
            return TRUE;
    }
    if (!last)
        inv_error_set(&last, VIR_ERR_NO_DOMAIN, "'%s' is not what this command takes for a domain: see its help", text);
    inv_cli_fail(cli, "failed to get domain '%s'", text);
    g_propagate_error(error, g_steal_pointer(&last));
    return FALSE;
}

gboolean
inv_domain_of(InvCli *cli, const InvArgs *args, remote_nonnull_domain *domain, GError **error)
{
    return inv_domain_find(cli, inv_args_string(args, "domain"), INV_BY_ANY, domain, error);
}

static const char *const state_words[] = {
    [VIR_DOMAIN_NOSTATE] = "no state", [VIR_DOMAIN_RUNNING] = "running",   [VIR_DOMAIN_BLOCKED] = "idle",
    [VIR_DOMAIN_PAUSED] = "paused",    [VIR_DOMAIN_SHUTDOWN] = "in shutdown", [VIR_DOMAIN_SHUTOFF] = "shut off",
    [VIR_DOMAIN_CRASHED] = "crashed",  [VIR_DOMAIN_PMSUSPENDED] = "pmsuspended",
};

static const char *const running_words[] = {
    [VIR_DOMAIN_RUNNING_UNKNOWN] = "unknown",
    [VIR_DOMAIN_RUNNING_BOOTED] = "booted",
    [VIR_DOMAIN_RUNNING_MIGRATED] = "migrated",
    [VIR_DOMAIN_RUNNING_RESTORED] = "restored",
    [VIR_DOMAIN_RUNNING_FROM_SNAPSHOT] = "from snapshot",
    [VIR_DOMAIN_RUNNING_UNPAUSED] = "unpaused",
    [VIR_DOMAIN_RUNNING_MIGRATION_CANCELED] = "migration canceled",
    [VIR_DOMAIN_RUNNING_SAVE_CANCELED] = "save canceled",
    [VIR_DOMAIN_RUNNING_WAKEUP] = "event wakeup",
    [VIR_DOMAIN_RUNNING_CRASHED] = "crashed",
    [VIR_DOMAIN_RUNNING_POSTCOPY] = "post-copy",
};

static const char *const paused_words[] = {
    [VIR_DOMAIN_PAUSED_UNKNOWN] = "unknown",
    [VIR_DOMAIN_PAUSED_USER] = "user",
    [VIR_DOMAIN_PAUSED_MIGRATION] = "migrating",
    [VIR_DOMAIN_PAUSED_SAVE] = "saving",
    [VIR_DOMAIN_PAUSED_DUMP] = "dumping",
    [VIR_DOMAIN_PAUSED_IOERROR] = "I/O error",
    [VIR_DOMAIN_PAUSED_WATCHDOG] = "watchdog",
    [VIR_DOMAIN_PAUSED_FROM_SNAPSHOT] = "from snapshot",
    [VIR_DOMAIN_PAUSED_SHUTTING_DOWN] = "shutting down",
    [VIR_DOMAIN_PAUSED_SNAPSHOT] = "creating snapshot",
    [VIR_DOMAIN_PAUSED_CRASHED] = "crashed",
    [VIR_DOMAIN_PAUSED_STARTING_UP] = "starting up",
    [VIR_DOMAIN_PAUSED_POSTCOPY] = "post-copy",
    [VIR_DOMAIN_PAUSED_POSTCOPY_FAILED] = "post-copy failed",
};

static const char *const shutdown_words[] = {
    [VIR_DOMAIN_SHUTDOWN_UNKNOWN] = "unknown",
    [VIR_DOMAIN_SHUTDOWN_USER] = "user",
};

static const char *const shutoff_words[] = {
    [VIR_DOMAIN_SHUTOFF_UNKNOWN] = "unknown",     [VIR_DOMAIN_SHUTOFF_SHUTDOWN] = "shutdown",
    [VIR_DOMAIN_SHUTOFF_DESTROYED] = "destroyed", [VIR_DOMAIN_SHUTOFF_CRASHED] = "crashed",
    [VIR_DOMAIN_SHUTOFF_MIGRATED] = "migrated",   [VIR_DOMAIN_SHUTOFF_SAVED] = "saved",
    [VIR_DOMAIN_SHUTOFF_FAILED] = "failed",       [VIR_DOMAIN_SHUTOFF_FROM_SNAPSHOT] = "from snapshot",
    [VIR_DOMAIN_SHUTOFF_DAEMON] = "daemon",
};

static const char *const crashed_words[] = {
    [VIR_DOMAIN_CRASHED_UNKNOWN] = "unknown",
    [VIR_DOMAIN_CRASHED_PANICKED] = "panicked",
};

/* The number is the daemon's: it may be newer than this program, or wrong. */
static const char *
word_at(const char *const *words, gsize count, int number, const char *fallback)
{
    return number >= 0 && (gsize)number < count && words[number] ? words[number] : fallback;
}

const char *
inv_domain_state_text(int state)
{
    return word_at(state_words, G_N_ELEMENTS(state_words), state, "no state");
}

const char *
inv_domain_reason_text(int state, int reason)
{
    switch (state) {
    case VIR_DOMAIN_RUNNING:
        return word_at(running_words, G_N_ELEMENTS(running_words), reason, "unknown");
    case VIR_DOMAIN_PAUSED:
        return word_at(paused_words, G_N_ELEMENTS(paused_words), reason, "unknown");
    case VIR_DOMAIN_SHUTDOWN:
        return word_at(shutdown_words, G_N_ELEMENTS(shutdown_words), reason, "unknown");
    case VIR_DOMAIN_SHUTOFF:
        return word_at(shutoff_words, G_N_ELEMENTS(shutoff_words), reason, "unknown");
    case VIR_DOMAIN_CRASHED:
        return word_at(crashed_words, G_N_ELEMENTS(crashed_words), reason, "unknown");
    default:
        return "unknown";
    }
}

gboolean
inv_domain_state(InvCli *cli, const remote_nonnull_domain *domain, int *state, int *reason, GError **error)
{
    remote_domain_get_state_args args = { .dom = *domain };
    remote_domain_get_state_ret ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_GET_STATE, &args, &ret, error))
        return FALSE;
    *state = ret.state;
    *reason = ret.reason;
    return TRUE;
}

char *
inv_domain_xml(InvCli *cli, const remote_nonnull_domain *domain, guint flags, GError **error)
{
    remote_domain_get_xml_desc_args args = { .dom = *domain, .flags = flags };
    g_auto(remote_domain_get_xml_desc_ret) ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_GET_XML_DESC, &args, &ret, error))
        return NULL;
    return g_strdup(ret.xml);
}

static int
compare_domains(const void *a, const void *b)
{
    const remote_nonnull_domain *one = a;
    const remote_nonnull_domain *other = b;

    if ((one->id < 0) != (other->id < 0))
        return one->id < 0 ? 1 : -1;
    if (one->id >= 0 && one->id != other->id)
        return one->id < other->id ? -1 : 1;
    return g_ascii_strcasecmp(one->name, other->name);
}

gboolean
inv_domain_list(InvCli *cli, guint flags, remote_connect_list_all_domains_ret *list, GError **error)
{
    remote_connect_list_all_domains_args args = { .need_results = 1, .flags = flags };

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_LIST_ALL_DOMAINS, &args, list, error))
        return FALSE;
    if (list->domains.domains_len)
        qsort(list->domains.domains_val, list->domains.domains_len, sizeof(*list->domains.domains_val), compare_domains);
    return TRUE;
}
