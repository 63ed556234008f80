/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The host and its hypervisor. */
#include "cli/commands.h"
#include "cli/domain_ref.h"
#include "cli/text.h"
#include "util/error.h"

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

INV_RPC_AUTOCLEAN(remote_connect_get_capabilities_ret)
INV_RPC_AUTOCLEAN(remote_connect_get_domain_capabilities_ret)
INV_RPC_AUTOCLEAN(remote_connect_get_hostname_ret)
INV_RPC_AUTOCLEAN(remote_connect_get_uri_ret)
INV_RPC_AUTOCLEAN(remote_connect_get_type_ret)
INV_RPC_AUTOCLEAN(remote_connect_get_sysinfo_ret)

/* An answer that is a document. */
static int
show_document(InvCli *cli, const char *text)
{
    if (cli->json)
        return inv_cli_print_json_string("xml", text);
    inv_cli_print_document(text);
    return INV_EXIT_OK;
}

static int
show_word(InvCli *cli, const char *name, const char *text)
{
    g_autofree char *shown = inv_text_escape(text, INV_TEXT_LINE);

    if (cli->json)
        return inv_cli_print_json_string(name, text);
    inv_cli_print("%s\n", shown);
    return INV_EXIT_OK;
}

static int
run_capabilities(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_connect_get_capabilities_ret) ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_CAPABILITIES, NULL, &ret, error))
        return inv_cli_fail(cli, "failed to get capabilities");
    return show_document(cli, ret.capabilities);
}

static const InvOption domcapabilities_options[] = {
    INV_VALUE("virttype", INV_COMPLETE_VIRTTYPE, "virtualization type (/domain/@type)"),
    INV_VALUE("emulatorbin", INV_COMPLETE_FILE, "path to emulator binary (/domain/devices/emulator)"),
    INV_VALUE("arch", INV_COMPLETE_ARCH, "domain architecture (/domain/os/type/@arch)"),
    INV_VALUE("machine", INV_COMPLETE_NONE, "machine type (/domain/os/type/@machine)"),
    { NULL },
};

char *
inv_domain_capabilities(InvCli *cli, const InvArgs *args, const char *emulator_option, GError **error)
{
    char *emulator = (char *)inv_args_string(args, emulator_option);
    char *arch = (char *)inv_args_string(args, "arch");
    char *machine = (char *)inv_args_string(args, "machine");
    char *virttype = (char *)inv_args_string(args, "virttype");
    remote_connect_get_domain_capabilities_args call = {
        .emulatorbin = emulator ? &emulator : NULL,
        .arch = arch ? &arch : NULL,
        .machine = machine ? &machine : NULL,
        .virttype = virttype ? &virttype : NULL,
    };
    g_auto(remote_connect_get_domain_capabilities_ret) ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_DOMAIN_CAPABILITIES, &call, &ret, error))
        return NULL;
    return g_strdup(ret.capabilities);
}

static int
run_domcapabilities(InvCli *cli, const InvArgs *args, GError **error)
{
    g_autofree char *xml = inv_domain_capabilities(cli, args, "emulatorbin", error);

    return xml ? show_document(cli, xml) : inv_cli_fail(cli, "failed to get emulator capabilities");
}

static int
run_nodeinfo(InvCli *cli, const InvArgs *args, GError **error)
{
    enum { WIDTH = 20 };
    remote_node_get_info_ret node = { 0 };
    g_autofree char *model = NULL;

    if (!inv_cli_call(cli, REMOTE_PROC_NODE_GET_INFO, NULL, &node, error))
        return inv_cli_fail(cli, "failed to get node information");
    model = g_strndup(node.model, sizeof(node.model));
    if (cli->json) {
        InvJson *json = inv_json_new_object();

        inv_json_object_set_string(json, "model", model);
        inv_json_object_set_int(json, "cpus", node.cpus);
        inv_json_object_set_int(json, "mhz", node.mhz);
        inv_json_object_set_int(json, "sockets", node.sockets);
        inv_json_object_set_int(json, "cores_per_socket", node.cores);
        inv_json_object_set_int(json, "threads_per_core", node.threads);
        inv_json_object_set_int(json, "numa_cells", node.nodes);
        inv_json_object_set_uint(json, "memory_kib", node.memory);
        return inv_cli_print_json(json);
    }
    inv_cli_print_field(WIDTH, "CPU model", "%s", model);
    inv_cli_print_field(WIDTH, "CPU(s)", "%d", node.cpus);
    if (node.mhz)
        inv_cli_print_field(WIDTH, "CPU frequency", "%d MHz", node.mhz);
    inv_cli_print_field(WIDTH, "CPU socket(s)", "%d", node.sockets);
    inv_cli_print_field(WIDTH, "Core(s) per socket", "%d", node.cores);
    inv_cli_print_field(WIDTH, "Thread(s) per core", "%d", node.threads);
    inv_cli_print_field(WIDTH, "NUMA cell(s)", "%d", node.nodes);
    inv_cli_print_field(WIDTH, "Memory size", "%" G_GUINT64_FORMAT " KiB", (guint64)node.memory);
    return INV_EXIT_OK;
}

static int
run_hostname(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_connect_get_hostname_ret) ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_HOSTNAME, NULL, &ret, error))
        return inv_cli_fail(cli, "failed to get hostname");
    return show_word(cli, "hostname", ret.hostname);
}

static int
run_uri(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_connect_get_uri_ret) ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_URI, NULL, &ret, error))
        return inv_cli_fail(cli, "failed to get URI");
    return show_word(cli, "uri", ret.uri);
}

static int
run_sysinfo(InvCli *cli, const InvArgs *args, GError **error)
{
    remote_connect_get_sysinfo_args call = { 0 };
    g_auto(remote_connect_get_sysinfo_ret) ret = { 0 };

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_SYSINFO, &call, &ret, error))
        return inv_cli_fail(cli, "failed to get sysinfo");
    return show_document(cli, ret.sysinfo);
}

/* libvirt packs 9.0.1 into 9000001. */
static char *
version_text(guint64 number)
{
    return g_strdup_printf("%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT ".%" G_GUINT64_FORMAT, number / 1000000, number / 1000 % 1000,
                           number % 1000);
}

static const InvOption version_options[] = { INV_FLAG("daemon", "report daemon version too"), { NULL } };

static int
run_version(InvCli *cli, const InvArgs *args, GError **error)
{
    g_auto(remote_connect_get_type_ret) type = { 0 };
    remote_connect_get_version_ret hypervisor = { 0 };
    remote_connect_get_lib_version_ret daemon = { 0 };
    g_autofree char *hypervisor_text = NULL;
    g_autofree char *daemon_text = NULL;
    g_autofree char *name = NULL;

    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_TYPE, NULL, &type, error))
        return inv_cli_fail(cli, "failed to get hypervisor type");
    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_VERSION, NULL, &hypervisor, error))
        return inv_cli_fail(cli, "failed to get the hypervisor version");
    if (!inv_cli_call(cli, REMOTE_PROC_CONNECT_GET_LIB_VERSION, NULL, &daemon, error))
        return inv_cli_fail(cli, "failed to get the daemon version");
    hypervisor_text = version_text(hypervisor.hv_ver);
    daemon_text = version_text(daemon.lib_ver);
    name = inv_text_escape(type.type, INV_TEXT_LINE);
    if (cli->json) {
        InvJson *json = inv_json_new_object();

        inv_json_object_set_string(json, "invar", PACKAGE_VERSION);
        inv_json_object_set_string(json, "api", daemon_text);
        inv_json_object_set_string(json, "hypervisor", type.type);
        inv_json_object_set_string(json, "hypervisor_version", hypervisor.hv_ver ? hypervisor_text : NULL);
        return inv_cli_print_json(json);
    }
    inv_cli_print("Compiled against library: invar " PACKAGE_VERSION "\nUsing library: invar " PACKAGE_VERSION "\n");
    inv_cli_print("Using API: %s %s\n", name, daemon_text);
    if (hypervisor.hv_ver)
        inv_cli_print("Running hypervisor: %s %s\n", name, hypervisor_text);
    else
        inv_cli_print("Cannot extract running %s hypervisor version\n", name);
    if (inv_args_flag(args, "daemon"))
        inv_cli_print("Running against daemon: %s\n", daemon_text);
    return INV_EXIT_OK;
}

const InvCommand inv_host_commands[] = {
    { "capabilities", "capabilities", "Returns capabilities of hypervisor/driver.", NULL, run_capabilities, FALSE },
    { "domcapabilities", "domain capabilities", "Returns capabilities of emulator with respect to host and the daemon.",
      domcapabilities_options, run_domcapabilities, FALSE },
    { "hostname", "print the hypervisor hostname", NULL, NULL, run_hostname, FALSE },
    { "nodeinfo", "node information", "Returns basic information about the node.", NULL, run_nodeinfo, FALSE },
    { "sysinfo", "print the hypervisor sysinfo", "output an XML string for the hypervisor sysinfo, if available", NULL, run_sysinfo,
      FALSE },
    { "uri", "print the hypervisor canonical URI", NULL, NULL, run_uri, FALSE },
    { "version", "show version", "Display the system version information.", version_options, run_version, FALSE },
    { NULL },
};
