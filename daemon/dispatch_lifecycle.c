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

/* The calls that name a domain, do one thing to it and give nothing back. */
#define DOMAIN_CALL(name, call)                                                                                  \
    static gboolean call_##name(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error) \
    {                                                                                                            \
        const remote_domain_##name##_args *wanted = args;                                                        \
        InvDaemon *daemon = user_data;                                                                           \
        g_autoptr(InvVm) vm = inv_dispatch_find(daemon, &wanted->dom, error);                                    \
                                                                                                                 \
        return vm && (call);                                                                                     \
    }

DOMAIN_CALL(create, inv_domain_start(daemon, vm, 0, error))
DOMAIN_CALL(destroy, inv_domain_destroy(daemon, vm, 0, error))
DOMAIN_CALL(destroy_flags, inv_domain_destroy(daemon, vm, wanted->flags, error))
DOMAIN_CALL(undefine, inv_domain_undefine(daemon, vm, 0, error))
DOMAIN_CALL(undefine_flags, inv_domain_undefine(daemon, vm, wanted->flags, error))
DOMAIN_CALL(shutdown, inv_domain_shutdown(daemon, vm, FALSE, 0, error))
DOMAIN_CALL(shutdown_flags, inv_domain_shutdown(daemon, vm, FALSE, wanted->flags, error))
DOMAIN_CALL(reboot, inv_domain_shutdown(daemon, vm, TRUE, wanted->flags, error))
DOMAIN_CALL(reset, inv_dispatch_check_flags(wanted->flags, 0, "reset", error) && inv_domain_reset(daemon, vm, error))
DOMAIN_CALL(suspend, inv_domain_suspend(daemon, vm, error))
DOMAIN_CALL(resume, inv_domain_resume(daemon, vm, error))
DOMAIN_CALL(set_autostart, inv_domain_set_autostart(daemon, vm, wanted->autostart != 0, error))

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
    { REMOTE_PROC_DOMAIN_CREATE, call_create, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_CREATE_WITH_FLAGS, create_with_flags, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_DESTROY, call_destroy, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_DESTROY_FLAGS, call_destroy_flags, INV_RPC_PRIORITY },
    { REMOTE_PROC_DOMAIN_UNDEFINE, call_undefine, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_UNDEFINE_FLAGS, call_undefine_flags, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_SHUTDOWN, call_shutdown, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_SHUTDOWN_FLAGS, call_shutdown_flags, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_REBOOT, call_reboot, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_RESET, call_reset, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_SUSPEND, call_suspend, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_RESUME, call_resume, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_SET_AUTOSTART, call_set_autostart, INV_RPC_WORKER },
    { REMOTE_PROC_DOMAIN_RENAME, rename_domain, INV_RPC_WORKER },
};

const InvDispatchFamily inv_dispatch_lifecycle = { methods, G_N_ELEMENTS(methods) };
