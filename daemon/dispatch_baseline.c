/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Of Invar's own program: a baseline of any number of hosts. */
#include "daemon/baselines.h"
#include "daemon/dispatch.h"
#include "rpc/invar_protocol.h"
#include "util/error.h"

static gboolean
baseline_open(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_baseline_open_args *wanted = args;
    const InvCpuWords words = { inv_dispatch_optional(wanted->emulator), inv_dispatch_optional(wanted->arch),
                                inv_dispatch_optional(wanted->machine), inv_dispatch_optional(wanted->virttype) };
    InvDaemon *daemon = user_data;
    g_autoptr(InvCpuSubject) subject = NULL;
    InvCpuCommon *common;
    gint64 number;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "opening of a baseline", error) ||
        !inv_dispatch_check_emulator(client, daemon, words.emulator, error))
        return FALSE;
    subject = inv_cpu_subjects_get(daemon->cpu_subjects, daemon, &words, error);
    common = subject ? inv_cpu_common_new(daemon, subject, error) : NULL;
    number = common ? inv_baselines_open(inv_rpc_client_get_data(client), common, error) : 0;
    ((invar_baseline_open_ret *)ret)->baseline = number;
    return number != 0;
}

static gboolean
baseline_add(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_baseline_add_args *wanted = args;
    guint64 count = 0;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "addition to a baseline", error) ||
        !inv_baselines_add(inv_rpc_client_get_data(client), wanted->baseline, wanted->cpus.cpus_val, wanted->cpus.cpus_len, &count, error))
        return FALSE;
    ((invar_baseline_add_ret *)ret)->count = (gint64)count;
    return TRUE;
}

static gboolean
baseline_result(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_baseline_result_args *wanted = args;
    invar_baseline_result_ret *reply = ret;
    guint64 count = 0;

    reply->cpu = inv_baselines_result(inv_rpc_client_get_data(client), wanted->baseline, wanted->flags, &count, error);
    reply->count = (gint64)count;
    return reply->cpu != NULL;
}

static gboolean
baseline_close(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const invar_baseline_close_args *wanted = args;

    return inv_dispatch_check_flags(wanted->flags, 0, "closing of a baseline", error) &&
           inv_baselines_close(inv_rpc_client_get_data(client), wanted->baseline, error);
}

static const InvRpcMethod methods[] = {
    { INVAR_PROC_BASELINE_OPEN, baseline_open, INV_RPC_READ },
    { INVAR_PROC_BASELINE_ADD, baseline_add, INV_RPC_READ },
    { INVAR_PROC_BASELINE_RESULT, baseline_result, INV_RPC_READ },
    { INVAR_PROC_BASELINE_CLOSE, baseline_close, INV_RPC_READ },
};

const InvDispatchFamily inv_dispatch_baseline = { methods, G_N_ELEMENTS(methods) };
