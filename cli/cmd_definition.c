/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain is: its document, its name, whether it starts with the host. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/editor.h"
#include "util/error.h"

#include <string.h>

INV_RPC_AUTOCLEAN(remote_domain_define_xml_ret)
INV_RPC_AUTOCLEAN(remote_domain_define_xml_flags_ret)
INV_RPC_AUTOCLEAN(remote_domain_create_xml_ret)

static const InvOption define_options[] = {
    INV_DATA("file", INV_COMPLETE_FILE, "file containing an XML domain description"),
    INV_FLAG("validate", "validate the XML against the schema"),
    { NULL },
};

static gboolean
define_xml(InvCli *cli, char *xml, guint flags, remote_nonnull_domain *domain, GError **error)
{
    if (flags) {
        remote_domain_define_xml_flags_args call = { .xml = xml, .flags = flags };
        remote_domain_define_xml_flags_ret ret = { 0 };

        if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_DEFINE_XML_FLAGS, &call, &ret, error))
            return FALSE;
        *domain = ret.dom;
    } else {
        remote_domain_define_xml_args call = { .xml = xml };
        remote_domain_define_xml_ret ret = { 0 };

        if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_DEFINE_XML, &call, &ret, error))
            return FALSE;
        *domain = ret.dom;
    }
    return TRUE;
}

static int
run_define(InvCli *cli, const InvArgs *args, GError **error)
{
    const char *file = inv_args_string(args, "file");
    g_autofree char *xml = inv_cli_read_file(file, error);
    g_auto(remote_nonnull_domain) domain = { 0 };
    char uuid[INV_UUID_TEXT_SIZE];

    if (!xml)
        return INV_EXIT_ERROR;
    if (!define_xml(cli, xml, inv_args_flag(args, "validate") ? VIR_DOMAIN_DEFINE_VALIDATE : 0, &domain, error))
        return inv_cli_fail(cli, "Failed to define domain from %s", file);
    inv_domain_uuid_format(domain.uuid, uuid);
    return inv_cli_done(cli, domain.name, uuid, "Domain '%s' defined from %s", domain.name, file);
}

static const InvOption create_options[] = {
    INV_DATA("file", INV_COMPLETE_FILE, "file containing an XML domain description"),
    INV_FLAG("paused", "leave the guest paused after creation"),
    INV_FLAG("autodestroy", "automatically destroy the guest when invar disconnects"),
    INV_FLAG("validate", "validate the XML against the schema"),
    INV_FLAG("reset-nvram", "re-initialize NVRAM from its pristine template"),
    { NULL },
};

static int
run_create(InvCli *cli, const InvArgs *args, GError **error)
{
    static const InvFlagBit bits[] = {
        { "paused", VIR_DOMAIN_START_PAUSED },
        { "autodestroy", VIR_DOMAIN_START_AUTODESTROY },
        { "validate", VIR_DOMAIN_START_VALIDATE },
        { "reset-nvram", VIR_DOMAIN_START_RESET_NVRAM },
        { NULL, 0 },
    };
    const char *file = inv_args_string(args, "file");
    g_autofree char *xml = inv_cli_read_file(file, error);
    remote_domain_create_xml_args call = { .xml_desc = xml, .flags = inv_args_bits(args, bits) };
    g_auto(remote_domain_create_xml_ret) ret = { 0 };
    char uuid[INV_UUID_TEXT_SIZE];

    if (!xml)
        return INV_EXIT_ERROR;
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_CREATE_XML, &call, &ret, error))
        return inv_cli_fail(cli, "Failed to create domain from %s", file);
    inv_domain_uuid_format(ret.dom.uuid, uuid);
    return inv_cli_done(cli, ret.dom.name, uuid, "Domain '%s' created from %s", ret.dom.name, file);
}

static const InvOption undefine_options[] = {
    INV_DOMAIN(INV_COMPLETE_PERSISTENT),
    INV_FLAG("managed-save", "remove domain managed state file"),
    INV_FLAG("snapshots-metadata", "remove all domain snapshot metadata (vm must be inactive)"),
    INV_FLAG("checkpoints-metadata", "remove all domain checkpoint metadata (vm must be inactive)"),
    INV_FLAG("nvram", "remove nvram file"),
    INV_FLAG("keep-nvram", "keep nvram file"),
    INV_FLAG("tpm", "remove TPM state"),
    INV_FLAG("keep-tpm", "keep TPM state"),
    { NULL },
};

static int
run_undefine(InvCli *cli, const InvArgs *args, GError **error)
{
    static const InvFlagBit bits[] = {
        { "managed-save", VIR_DOMAIN_UNDEFINE_MANAGED_SAVE },
        { "snapshots-metadata", VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA },
        { "checkpoints-metadata", VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA },
        { "nvram", VIR_DOMAIN_UNDEFINE_NVRAM },
        { "keep-nvram", VIR_DOMAIN_UNDEFINE_KEEP_NVRAM },
        { "tpm", VIR_DOMAIN_UNDEFINE_TPM },
        { "keep-tpm", VIR_DOMAIN_UNDEFINE_KEEP_TPM },
        { NULL, 0 },
    };
    g_auto(remote_nonnull_domain) domain = { 0 };
    char uuid[INV_UUID_TEXT_SIZE];

    if (!inv_args_exclusive(args, "nvram", "keep-nvram", error) || !inv_args_exclusive(args, "tpm", "keep-tpm", error))
        return INV_EXIT_USAGE;
    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    remote_domain_undefine_flags_args call = { .dom = domain, .flags = inv_args_bits(args, bits) };
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_UNDEFINE_FLAGS, &call, NULL, error))
        return inv_cli_fail(cli, "Failed to undefine domain '%s'", domain.name);
    inv_domain_uuid_format(domain.uuid, uuid);
    return inv_cli_done(cli, domain.name, uuid, "Domain '%s' has been undefined", domain.name);
}

static const InvOption dumpxml_options[] = {
    INV_DOMAIN(INV_COMPLETE_DOMAIN),
    INV_FLAG("inactive", "show inactive defined XML"),
    INV_FLAG("security-info", "include security sensitive information in XML dump"),
    INV_FLAG("update-cpu", "update guest CPU according to host CPU"),
    INV_FLAG("migratable", "provide XML suitable for migrations"),
    { NULL },
};

static int
run_dumpxml(InvCli *cli, const InvArgs *args, GError **error)
{
    static const InvFlagBit bits[] = {
        { "inactive", VIR_DOMAIN_XML_INACTIVE },
        { "security-info", VIR_DOMAIN_XML_SECURE },
        { "update-cpu", VIR_DOMAIN_XML_UPDATE_CPU },
        { "migratable", VIR_DOMAIN_XML_MIGRATABLE },
        { NULL, 0 },
    };
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_autofree char *xml = NULL;

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    xml = inv_domain_xml(cli, &domain, inv_args_bits(args, bits), error);
    if (!xml)
        return INV_EXIT_ERROR;
    if (cli->json)
        return inv_cli_print_json_string("xml", xml);
    inv_cli_print_document(xml);
    return INV_EXIT_OK;
}

static const InvOption rename_options[] = {
    { .name = "domain", .type = INV_OPTION_STRING, .positional = TRUE, .required = TRUE, .complete = INV_COMPLETE_INACTIVE,
      .help = "domain name or uuid" },
    INV_DATA("new-name", INV_COMPLETE_NONE, "new domain name"),
    { NULL },
};

static int
run_domrename(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    char *new_name = (char *)inv_args_string(args, "new-name");
    remote_domain_rename_ret ret = { 0 };
    char uuid[INV_UUID_TEXT_SIZE];

    if (!inv_domain_find(cli, inv_args_string(args, "domain"), INV_BY_NAME | INV_BY_UUID, &domain, error))
        return INV_EXIT_ERROR;
    remote_domain_rename_args call = { .dom = domain, .new_name = &new_name };
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_RENAME, &call, &ret, error))
        return INV_EXIT_ERROR;
    inv_domain_uuid_format(domain.uuid, uuid);
    return inv_cli_done(cli, new_name, uuid, "Domain successfully renamed");
}

static const InvOption autostart_options[] = {
    INV_DOMAIN(INV_COMPLETE_PERSISTENT),
    INV_FLAG("disable", "disable autostarting"),
    { NULL },
};

static int
run_autostart(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    gboolean disable = inv_args_flag(args, "disable");
    char uuid[INV_UUID_TEXT_SIZE];

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    remote_domain_set_autostart_args call = { .dom = domain, .autostart = !disable };
    if (!inv_cli_call(cli, REMOTE_PROC_DOMAIN_SET_AUTOSTART, &call, NULL, error))
        return inv_cli_fail(cli, "Failed to %s domain '%s' as autostarted", disable ? "unmark" : "mark", domain.name);
    inv_domain_uuid_format(domain.uuid, uuid);
    return inv_cli_done(cli, domain.name, uuid, "Domain '%s' %s as autostarted", domain.name, disable ? "unmarked" : "marked");
}

static const InvOption edit_options[] = {
    INV_DOMAIN(INV_COMPLETE_PERSISTENT),
    INV_FLAG("skip-validate", "skip validation of the XML against the schema"),
    { NULL },
};

/* The document as it is now, against what the editor was given: somebody else may have been faster. */
static gboolean
check_unchanged(InvCli *cli, const remote_nonnull_domain *domain, const char *before, GError **error)
{
    g_autofree char *now = inv_domain_xml(cli, domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, error);

    if (!now)
        return FALSE;
    if (strcmp(now, before))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the XML configuration was changed by another user: edit it again");
    return TRUE;
}

/* One attempt to take the edited text over. INV_EXIT_ERROR: @error says why, and another attempt may do. */
static int
apply_edit(InvCli *cli, const remote_nonnull_domain *domain, const char *before, char *after, guint flags, GError **error)
{
    g_auto(remote_nonnull_domain) defined = { 0 };
    char uuid[INV_UUID_TEXT_SIZE];

    if (!check_unchanged(cli, domain, before, error) || !define_xml(cli, after, flags, &defined, error))
        return INV_EXIT_ERROR;
    inv_domain_uuid_format(defined.uuid, uuid);
    return inv_cli_done(cli, defined.name, uuid, "Domain '%s' XML configuration edited.", defined.name);
}

static int
edit_document(InvCli *cli, const remote_nonnull_domain *domain, const char *before, guint flags, GError **error)
{
    g_autoptr(InvEditor) editor = inv_editor_new("invar-", ".xml", before, error);
    char answer = 'y';

    if (!editor)
        return INV_EXIT_ERROR;
    for (;;) {
        g_autofree char *after = NULL;
        g_autoptr(GError) cause = NULL;

        if (answer == 'y' && !inv_editor_run(editor, error))
            return INV_EXIT_ERROR;
        after = inv_editor_text(editor, error);
        if (!after)
            return INV_EXIT_ERROR;
        if (!strcmp(before, after))
            return inv_cli_done(cli, domain->name, NULL, "Domain '%s' XML configuration not changed.", domain->name);
        if (apply_edit(cli, domain, before, after, flags, &cause) == INV_EXIT_OK)
            return INV_EXIT_OK;
        inv_cli_report(cli, cause);
        answer = inv_cli_ask("Failed. Try again? (y: edit again, i: without validation, n: give up)", "yin");
        if (answer == 'i')
            flags &= ~(guint)VIR_DOMAIN_DEFINE_VALIDATE;
        if (!answer || answer == 'n') {
            inv_editor_keep(editor);
            inv_error_set(error, VIR_ERR_OPERATION_ABORTED, "nothing was changed; your text is in %s", inv_editor_path(editor));
            return INV_EXIT_ERROR;
        }
    }
}

static int
run_edit(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_nonnull_domain) domain = { 0 };
    g_autofree char *before = NULL;

    if (!inv_domain_of(cli, args, &domain, error))
        return INV_EXIT_ERROR;
    before = inv_domain_xml(cli, &domain, VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_SECURE, error);
    if (!before)
        return INV_EXIT_ERROR;
    return edit_document(cli, &domain, before, inv_args_flag(args, "skip-validate") ? 0 : VIR_DOMAIN_DEFINE_VALIDATE, error);
}

const InvCommand inv_definition_commands[] = {
    { "autostart", "autostart a domain", "Configure a domain to be automatically started at boot.", autostart_options,
      run_autostart, FALSE },
    { "create", "create a domain from an XML file", "Create a domain.", create_options, run_create, FALSE },
    { "define", "define (but don't start) a domain from an XML file", "Define a domain.", define_options, run_define, FALSE },
    { "domrename", "rename a domain", "Rename an inactive domain.", rename_options, run_domrename, FALSE },
    { "dumpxml", "domain information in XML", "Output the domain information as an XML dump to stdout.", dumpxml_options,
      run_dumpxml, FALSE },
    { "edit", "edit XML configuration for a domain",
      "Edit the XML configuration for a domain with $VISUAL, $EDITOR or vi. What the\n"
      "daemon refuses can be edited again.",
      edit_options, run_edit, FALSE },
    { "undefine", "undefine a domain", "Undefine an inactive domain, or convert persistent to transient.", undefine_options,
      run_undefine, FALSE },
    { NULL },
};
