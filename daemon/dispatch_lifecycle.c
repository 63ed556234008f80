/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Defining, starting, changing and ending domains: all wait, on workers. */
#include "daemon/dispatch.h"
#include "daemon/domain_define.h"
#include "daemon/domain_start.h"
#include "daemon/domain_stop.h"
#include "util/error.h"

static gboolean
define(InvDaemon *daemon, const char *xml, unsigned int flags, remote_nonnull_domain *wire, GError **error)
{
    g_autoptr(InvVm) vm = inv_domain_define(daemon, xml, flags, error);

    if (vm)
        inv_dispatch_fill(wire, vm);
    return vm != NULL;
}

static gboolean
define_xml(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_define_xml_args *wanted = args;

    return define(user_data, wanted->xml, 0, &((remote_domain_define_xml_ret *)ret)->dom, error);
}

static gboolean
define_xml_flags(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_define_xml_flags_args *wanted = args;

    return define(user_data, wanted->xml, wanted->flags, &((remote_domain_define_xml_flags_ret *)ret)->dom, error);
}

static gboolean
create_xml(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_create_xml_args *wanted = args;
    g_autoptr(InvVm) vm = inv_domain_create_xml(user_data, wanted->xml_desc, wanted->flags, error);

    if (vm)
        inv_dispatch_fill(&((remote_domain_create_xml_ret *)ret)->dom, vm);
    return vm != NULL;
}

static gboolean
create(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_create_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_start(user_data, vm, 0, error);
}

static gboolean
create_with_flags(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_create_with_flags_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    if (!vm || !inv_domain_start(user_data, vm, wanted->flags, error))
        return FALSE;
    inv_dispatch_fill(&((remote_domain_create_with_flags_ret *)ret)->dom, vm);
    return TRUE;
}

static gboolean
destroy(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_destroy_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_destroy(user_data, vm, 0, error);
}

static gboolean
destroy_flags(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_destroy_flags_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_destroy(user_data, vm, wanted->flags, error);
}

static gboolean
undefine(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_undefine_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_undefine(user_data, vm, 0, error);
}

static gboolean
undefine_flags(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_undefine_flags_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_undefine(user_data, vm, wanted->flags, error);
}

static gboolean
shut_down(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_shutdown_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_shutdown(user_data, vm, FALSE, 0, error);
}

static gboolean
shutdown_flags(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_shutdown_flags_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_shutdown(user_data, vm, FALSE, wanted->flags, error);
}

static gboolean
reboot(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_reboot_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_shutdown(user_data, vm, TRUE, wanted->flags, error);
}

static gboolean
reset(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_reset_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "reset", error))
        return FALSE;
    vm = inv_dispatch_find(user_data, &wanted->dom, error);
    return vm && inv_domain_reset(user_data, vm, error);
}

static gboolean
suspend(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_suspend_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_suspend(user_data, vm, error);
}

static gboolean
resume(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_resume_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_resume(user_data, vm, error);
}

static gboolean
set_autostart(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_set_autostart_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    return vm && inv_domain_set_autostart(user_data, vm, wanted->autostart != 0, error);
}

static gboolean
rename_domain(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_rename_args *wanted = args;
    g_autoptr(InvVm) vm = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "rename", error))
        return FALSE;
    vm = inv_dispatch_find(user_data, &wanted->dom, error);
    if (!vm)
        return FALSE;
    if (!wanted->new_name)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "rename needs the new name");
    return inv_domain_rename(user_data, vm, *wanted->new_name, error);
}

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_DOMAIN_DEFINE_XML, define_xml, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_DEFINE_XML_FLAGS, define_xml_flags, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_CREATE_XML, create_xml, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_CREATE, create, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_CREATE_WITH_FLAGS, create_with_flags, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_DESTROY, destroy, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_DESTROY_FLAGS, destroy_flags, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_UNDEFINE, undefine, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_UNDEFINE_FLAGS, undefine_flags, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_SHUTDOWN, shut_down, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_SHUTDOWN_FLAGS, shutdown_flags, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_REBOOT, reboot, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_RESET, reset, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_SUSPEND, suspend, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_RESUME, resume, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_SET_AUTOSTART, set_autostart, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_RENAME, rename_domain, INV_RPC_WORKER },
};

const InvDispatchFamily inv_dispatch_lifecycle = { methods, G_N_ELEMENTS(methods) };
