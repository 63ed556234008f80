/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What domains there are, and how they are. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cli/xml_part.h"
#include "util/error.h"

#include <stdio.h>
#include <string.h>

INV_RPC_AUTOCLEAN(remote_domain_get_os_type_ret)
INV_RPC_AUTOCLEAN(remote_domain_get_messages_ret)
INV_RPC_AUTOCLEAN(remote_node_get_security_model_ret)
INV_RPC_AUTOCLEAN(remote_domain_get_security_label_ret)

static const InvOption list_options[] = {
    INV_FLAG("inactive", "list inactive domains"),
    INV_FLAG("all", "list inactive & active domains"),
    INV_FLAG("transient", "list transient domains"),
    INV_FLAG("persistent", "list persistent domains"),
    INV_FLAG("with-snapshot", "list domains with existing snapshot"),
    INV_FLAG("without-snapshot", "list domains without a snapshot"),
    INV_FLAG("with-checkpoint", "list domains with existing checkpoint"),
    INV_FLAG("without-checkpoint", "list domains without a checkpoint"),
    INV_FLAG("state-running", "list domains in running state"),
    INV_FLAG("state-paused", "list domains in paused state"),
    INV_FLAG("state-shutoff", "list domains in shutoff state"),
    INV_FLAG("state-other", "list domains in other states"),
    INV_FLAG("autostart", "list domains with autostart enabled"),
    INV_FLAG("no-autostart", "list domains with autostart disabled"),
    INV_FLAG("with-managed-save", "list domains with managed save state"),
    INV_FLAG("without-managed-save", "list domains without managed save"),
    INV_FLAG("uuid", "list uuid's only"),
    INV_FLAG("name", "list domain names only"),
    INV_FLAG("id", "list domain IDs only"),
    INV_FLAG("table", "list table (default)"),
    INV_FLAG("title", "show domain title"),
    { NULL },
};

static guint
list_flags(const InvArgs *args)
{
    static const InvFlagBit bits[] = {
        { "transient", VIR_CONNECT_LIST_DOMAINS_TRANSIENT },
        { "persistent", VIR_CONNECT_LIST_DOMAINS_PERSISTENT },
        { "with-snapshot", VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT },
        { "without-snapshot", VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT },
        { "with-checkpoint", VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT },
        { "without-checkpoint", VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT },
        { "state-running", VIR_CONNECT_LIST_DOMAINS_RUNNING },
        { "state-paused", VIR_CONNECT_LIST_DOMAINS_PAUSED },
        { "state-shutoff", VIR_CONNECT_LIST_DOMAINS_SHUTOFF },
        { "state-other", VIR_CONNECT_LIST_DOMAINS_OTHER },
        { "autostart", VIR_CONNECT_LIST_DOMAINS_AUTOSTART },
        { "no-autostart", VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART },
        { "with-managed-save", VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE },
        { "without-managed-save", VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE },
        { NULL, 0 },
    };
    guint flags = inv_args_bits(args, bits);

    if (inv_args_flag(args, "all"))
        flags |= VIR_CONNECT_LIST_DOMAINS_ACTIVE | VIR_CONNECT_LIST_DOMAINS_INACTIVE;
    else if (inv_args_flag(args, "inactive"))
        flags |= VIR_CONNECT_LIST_DOMAINS_INACTIVE;
    else
        flags |= VIR_CONNECT_LIST_DOMAINS_ACTIVE;
    return flags;
}

/* What a row shows. FALSE: the domain went between the list and the question. */
typedef struct {
    char id[16];
    char uuid[INV_UUID_TEXT_SIZE];
    int state;
    int reason;
    char *title; /* NULL when it was not asked for */
} Row;

static gboolean
fill_row(InvCli *cli, const remote_nonnull_domain *domain, gboolean title, Row *row)
{
    g_autofree char *xml = NULL;

    if (domain->id < 0)
        g_strlcpy(row->id, "-", sizeof(row->id));
    else
        g_snprintf(row->id, sizeof(row->id), "%d", domain->id);
    inv_domain_uuid_format(domain->uuid, row->uuid);
    if (!inv_domain_state(cli, domain, &row->state, &row->reason, NULL))
        return FALSE;
    if (title) {
        xml = inv_domain_xml(cli, domain, 0, NULL);
        row->title = xml ? inv_xml_part_title(xml) : g_strdup("");
    }
    return TRUE;
}

static int
list_table(InvCli *cli, const remote_connect_list_all_domains_ret *list, gboolean title)
{
    g_autoptr(InvTable) table = title ? inv_table_new("Id", "Name", "State", "Title", NULL) : inv_table_new("Id", "Name", "State", NULL);
    g_autofree char *text = NULL;

    for (guint i = 0; i < list->domains.domains_len; i++) {
        const remote_nonnull_domain *domain = &list->domains.domains_val[i];
        Row row = { 0 };

        if (fill_row(cli, domain, title, &row))
            inv_table_add(table, row.id, domain->name, inv_domain_state_text(row.state), row.title, NULL);
        g_free(row.title);
    }
    text = inv_table_format(table, !cli->quiet, 0);
    inv_cli_print("%s", text);
    return INV_EXIT_OK;
}

static int
list_json(InvCli *cli, const remote_connect_list_all_domains_ret *list, gboolean title)
{
    InvJson *array = inv_json_new_array();

    for (guint i = 0; i < list->domains.domains_len; i++) {
        const remote_nonnull_domain *domain = &list->domains.domains_val[i];
        InvJson *object;
        Row row = { 0 };

        if (!fill_row(cli, domain, title, &row))
            continue;
        object = inv_json_new_object();
        if (domain->id >= 0)
            inv_json_object_set_int(object, "id", domain->id);
        else
            inv_json_object_set(object, "id", inv_json_new_null());
        inv_json_object_set_string(object, "name", domain->name);
        inv_json_object_set_string(object, "uuid", row.uuid);
        inv_json_object_set_string(object, "state", inv_domain_state_text(row.state));
        inv_json_object_set_string(object, "reason", inv_domain_reason_text(row.state, row.reason));
        inv_json_object_set_string(object, "title", row.title);
        inv_json_array_add(array, object);
        g_free(row.title);
    }
    return inv_cli_print_json(array);
}

/* --uuid, --name and --id alone or together: a word each, for scripts. */
static int
list_words(const remote_connect_list_all_domains_ret *list, const InvArgs *args)
{
    for (guint i = 0; i < list->domains.domains_len; i++) {
        const remote_nonnull_domain *domain = &list->domains.domains_val[i];
        g_autoptr(GString) line = g_string_new(NULL);
        g_autofree char *name = inv_text_escape(domain->name, INV_TEXT_LINE);
        char uuid[INV_UUID_TEXT_SIZE];

        inv_domain_uuid_format(domain->uuid, uuid);
        if (inv_args_flag(args, "uuid"))
            g_string_append_printf(line, "%s ", uuid);
        if (inv_args_flag(args, "id") && domain->id >= 0)
            g_string_append_printf(line, "%d ", domain->id);
        else if (inv_args_flag(args, "id"))
            g_string_append(line, "- ");
        if (inv_args_flag(args, "name"))
            g_string_append_printf(line, "%s ", name);
        g_string_truncate(line, line->len - 1);
        inv_cli_print("%s\n", line->str);
    }
    return INV_EXIT_OK;
}

static int
run_list(InvCli *cli, const InvArgs *args, GError **error)
{
    static const char *const words[] = { "uuid", "name", "id" };
    g_auto(remote_connect_list_all_domains_ret) list = { 0 };
    gboolean only_words = FALSE;

    for (guint i = 0; i < G_N_ELEMENTS(words); i++) {
        if (!inv_args_exclusive(args, "table", words[i], error))
            return INV_EXIT_USAGE;
        only_words = only_words || inv_args_flag(args, words[i]);
    }
    if (!inv_domain_list(cli, list_flags(args), &list, error))
        return inv_cli_fail(cli, "Failed to list domains");
    if (cli->json)
        return list_json(cli, &list, inv_args_flag(args, "title"));
    if (only_words)
        return list_words(&list, args);
    return list_table(cli, &list, inv_args_flag(args, "title"));
}

static const InvOption domstate_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_FLAG("reason", "also print reason for the state"),
    { NULL },
};

static int
run_domstate(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    int state, reason;

    if (!inv_domain_of(cli, args, &domain, error) || !inv_domain_state(cli, &domain, &state, &reason, error))
        return INV_EXIT_ERROR;
    if (cli->json) {
        InvJson *json = inv_json_new_object();

        inv_json_object_set_string(json, "state", inv_domain_state_text(state));
        inv_json_object_set_string(json, "reason", inv_domain_reason_text(state, reason));
        return inv_cli_print_json(json);
    }
    if (inv_args_flag(args, "reason"))
        inv_cli_print("%s (%s)\n", inv_domain_state_text(state), inv_domain_reason_text(state, reason));
    else
        inv_cli_print("%s\n", inv_domain_state_text(state));
    return INV_EXIT_OK;
}

static const InvOption domid_options[] = { INV_DATA("domain", INV_COMPLETE_DOMAIN, "domain name or uuid"), { NULL } };
static const InvOption domname_options[] = { INV_DATA("domain", INV_COMPLETE_DOMAIN, "domain id or uuid"), { NULL } };
static const InvOption domuuid_options[] = { INV_DATA("domain", INV_COMPLETE_DOMAIN, "domain id or name"), { NULL } };

static int
run_domid(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };

    if (!inv_domain_find(cli, inv_args_string(args, "domain"), INV_BY_NAME | INV_BY_UUID, &domain, error))
        return INV_EXIT_ERROR;
    if (cli->json) {
        InvJson *json = inv_json_new_object();

        inv_json_object_set(json, "id", domain.id >= 0 ? inv_json_new_int(domain.id) : inv_json_new_null());
        return inv_cli_print_json(json);
    }
    if (domain.id >= 0)
        inv_cli_print("%d\n", domain.id);
    else
        inv_cli_print("-\n");
    return INV_EXIT_OK;
}

static int
run_domname(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_autofree char *name = NULL;

    if (!inv_domain_find(cli, inv_args_string(args, "domain"), INV_BY_ID | INV_BY_UUID, &domain, error))
        return INV_EXIT_ERROR;
    if (cli->json)
        return inv_cli_print_json_string("name", domain.name);
    name = inv_text_escape(domain.name, INV_TEXT_LINE);
    inv_cli_print("%s\n", name);
    return INV_EXIT_OK;
}

static int
run_domuuid(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    char uuid[INV_UUID_TEXT_SIZE];

    if (!inv_domain_find(cli, inv_args_string(args, "domain"), INV_BY_ANY, &domain, error))
        return INV_EXIT_ERROR;
    inv_domain_uuid_format(domain.uuid, uuid);
    if (cli->json)
        return inv_cli_print_json_string("uuid", uuid);
    inv_cli_print("%s\n", uuid);
    return INV_EXIT_OK;
}

/* What dominfo knows. The numbers below zero are "the daemon does not say". */
typedef struct {
    char *os_type;
    int state;
    int reason;
    remote_domain_get_info_ret info;
    int persistent;
    int autostart;
    int managed_save;
    char *security_model;
    char *security_doi;
    char *security_label;
    int enforcing;
} Info;

static void
info_clear(Info *info)
{
    g_free(info->os_type);
    g_free(info->security_model);
    g_free(info->security_doi);
    g_free(info->security_label);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Info, info_clear)

/* On the wire these are arrays of characters, whose trailing NUL may or may not be counted. */
static char *
text_of(const char *chars, guint length)
{
    return g_strndup(chars ? chars : "", length);
}

/* A daemon without security drivers is no reason to show nothing. */
static void
fill_security(InvCli *cli, const remote_nonnull_domain *domain, Info *info)
{
    g_auto(remote_node_get_security_model_ret) model = { 0 };
    g_auto(remote_domain_get_security_label_ret) label = { 0 };
    remote_domain_get_security_label_args args = { .dom = *domain };

    if (!inv_cli_call(cli, REMOTE_PROC_NODE_GET_SECURITY_MODEL, NULL, &model, NULL) || !model.model.model_len || !*model.model.model_val)
        return;
    info->security_model = text_of(model.model.model_val, model.model.model_len);
    info->security_doi = text_of(model.doi.doi_val, model.doi.doi_len);
    if (domain->id < 0 || !inv_cli_call(cli, REMOTE_PROC_DOMAIN_GET_SECURITY_LABEL, &args, &label, NULL))
        return;
    info->security_label = text_of(label.label.label_val, label.label.label_len);
    info->enforcing = label.enforcing;
}

static gboolean
fill_info(InvCli *cli, const remote_nonnull_domain *domain, Info *info, GError **error)
{
    remote_domain_get_os_type_args os_args = { .dom = *domain };
    g_auto(remote_domain_get_os_type_ret) os = { 0 };
    remote_domain_get_info_args info_args = { .dom = *domain };
    remote_domain_is_persistent_args persistent_args = { .dom = *domain };
    remote_domain_is_persistent_ret persistent = { .persistent = -1 };
    remote_domain_get_autostart_args autostart_args = { .dom = *domain };
    remote_domain_get_autostart_ret autostart = { .autostart = -1 };
    remote_domain_has_managed_save_image_args save_args = { .dom = *domain };
    remote_domain_has_managed_save_image_ret save = { .result = -1 };

    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_GET_OS_TYPE, &os_args, &os, error) ||
        !inv_domain_state(cli, domain, &info->state, &info->reason, error) ||
        !inv_cli_call(cli, REMOTE_PROC_DOMAIN_GET_INFO, &info_args, &info->info, error))
        return FALSE;
    info->os_type = g_strdup(os.type);
    inv_cli_call(cli, REMOTE_PROC_DOMAIN_IS_PERSISTENT, &persistent_args, &persistent, NULL);
    inv_cli_call(cli, REMOTE_PROC_DOMAIN_GET_AUTOSTART, &autostart_args, &autostart, NULL);
    inv_cli_call(cli, REMOTE_PROC_DOMAIN_HAS_MANAGED_SAVE_IMAGE, &save_args, &save, NULL);
    info->persistent = persistent.persistent;
    info->autostart = autostart.autostart;
    info->managed_save = save.result;
    fill_security(cli, domain, info);
    return TRUE;
}

static const char *
yes_no(int answer)
{
    return answer < 0 ? "unknown" : answer ? "yes" : "no";
}

static void
print_info(const remote_nonnull_domain *domain, const Info *info)
{
    enum { WIDTH = 15 };
    char uuid[INV_UUID_TEXT_SIZE];

    inv_domain_uuid_format(domain->uuid, uuid);
    if (domain->id >= 0)
        inv_cli_print_field(WIDTH, "Id", "%d", domain->id);
    else
        inv_cli_print_field(WIDTH, "Id", "-");
    inv_cli_print_field(WIDTH, "Name", "%s", domain->name);
    inv_cli_print_field(WIDTH, "UUID", "%s", uuid);
    inv_cli_print_field(WIDTH, "OS Type", "%s", info->os_type);
    inv_cli_print_field(WIDTH, "State", "%s", inv_domain_state_text(info->state));
    inv_cli_print_field(WIDTH, "CPU(s)", "%d", info->info.nrVirtCpu);
    if (info->info.cpuTime)
        inv_cli_print_field(WIDTH, "CPU time", "%.1fs", (double)info->info.cpuTime / 1e9);
    inv_cli_print_field(WIDTH, "Max memory", "%" G_GUINT64_FORMAT " KiB", (guint64)info->info.maxMem);
    inv_cli_print_field(WIDTH, "Used memory", "%" G_GUINT64_FORMAT " KiB", (guint64)info->info.memory);
    inv_cli_print_field(WIDTH, "Persistent", "%s", yes_no(info->persistent));
    if (info->autostart >= 0)
        inv_cli_print_field(WIDTH, "Autostart", "%s", info->autostart ? "enable" : "disable");
    inv_cli_print_field(WIDTH, "Managed save", "%s", yes_no(info->managed_save));
    if (info->security_model) {
        inv_cli_print_field(WIDTH, "Security model", "%s", info->security_model);
        inv_cli_print_field(WIDTH, "Security DOI", "%s", info->security_doi);
    }
    if (info->security_label && *info->security_label)
        inv_cli_print_field(WIDTH, "Security label", "%s (%s)", info->security_label, info->enforcing ? "enforcing" : "permissive");
}

static void
print_messages(InvCli *cli, const remote_nonnull_domain *domain)
{
    remote_domain_get_messages_args args = { .dom = *domain };
    g_auto(remote_domain_get_messages_ret) ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_GET_MESSAGES, &args, &ret, NULL))
        return;
    for (guint i = 0; i < ret.msgs.msgs_len; i++) {
        g_autofree char *text = inv_text_escape(ret.msgs.msgs_val[i], INV_TEXT_LINE);

        inv_cli_print("%-15s %s\n", i ? "" : "Messages:", text);
    }
}

static void
set_answer(InvJson *json, const char *name, int answer)
{
    inv_json_object_set(json, name, answer < 0 ? inv_json_new_null() : inv_json_new_boolean(answer > 0));
}

static int
info_json(const remote_nonnull_domain *domain, const Info *info)
{
    InvJson *json = inv_json_new_object();
    char uuid[INV_UUID_TEXT_SIZE];

    inv_domain_uuid_format(domain->uuid, uuid);
    inv_json_object_set(json, "id", domain->id >= 0 ? inv_json_new_int(domain->id) : inv_json_new_null());
    inv_json_object_set_string(json, "name", domain->name);
    inv_json_object_set_string(json, "uuid", uuid);
    inv_json_object_set_string(json, "os_type", info->os_type);
    inv_json_object_set_string(json, "state", inv_domain_state_text(info->state));
    inv_json_object_set_string(json, "reason", inv_domain_reason_text(info->state, info->reason));
    inv_json_object_set_int(json, "vcpus", info->info.nrVirtCpu);
    inv_json_object_set_uint(json, "cpu_time_ns", info->info.cpuTime);
    inv_json_object_set_uint(json, "max_memory_kib", info->info.maxMem);
    inv_json_object_set_uint(json, "memory_kib", info->info.memory);
    set_answer(json, "persistent", info->persistent);
    set_answer(json, "autostart", info->autostart);
    set_answer(json, "managed_save", info->managed_save);
    inv_json_object_set_string(json, "security_model", info->security_model);
    inv_json_object_set_string(json, "security_label", info->security_label);
    return inv_cli_print_json(json);
}

static const InvOption dominfo_options[] = { INV_DOMAIN(INV_COMPLETE_DOMAIN), { NULL } };

static int
run_dominfo(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_auto(Info) info = { 0 };

    if (!inv_domain_of(cli, args, &domain, error) || !fill_info(cli, &domain, &info, error))
        return INV_EXIT_ERROR;
    if (cli->json)
        return info_json(&domain, &info);
    print_info(&domain, &info);
    print_messages(cli, &domain);
    return INV_EXIT_OK;
}

const InvCommand inv_monitor_commands[] = {
    { "domid", "convert a domain name or UUID to domain id", NULL, domid_options, run_domid, FALSE },
    { "dominfo", "domain information", "Returns basic information about the domain.", dominfo_options, run_dominfo, FALSE },
    { "domname", "convert a domain id or UUID to domain name", NULL, domname_options, run_domname, FALSE },
    { "domstate", "domain state", "Returns state about a domain.", domstate_options, run_domstate, FALSE },
    { "domuuid", "convert a domain name or id to domain UUID", NULL, domuuid_options, run_domuuid, FALSE },
    { "list", "list domains", "Returns list of domains.", list_options, run_list, FALSE },
    { NULL },
};
