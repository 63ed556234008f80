/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Lookups and lists of domains: the registry alone, answered at once. */
#include "daemon/dispatch.h"
#include "util/error.h"

#include <string.h>

static gboolean
lookup_by_uuid(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_lookup_by_uuid_args *wanted = args;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = inv_registry_get_uuid(daemon->registry, (const unsigned char *)wanted->uuid, error);

    if (vm)
        inv_dispatch_fill(&((remote_domain_lookup_by_uuid_ret *)ret)->dom, vm);
    return vm != NULL;
}

static gboolean
lookup_by_name(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_lookup_by_name_args *wanted = args;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = inv_registry_get_name(daemon->registry, wanted->name, error);

    if (vm)
        inv_dispatch_fill(&((remote_domain_lookup_by_name_ret *)ret)->dom, vm);
    return vm != NULL;
}

static gboolean
lookup_by_id(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_lookup_by_id_args *wanted = args;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = inv_registry_get_id(daemon->registry, wanted->id, error);

    if (vm)
        inv_dispatch_fill(&((remote_domain_lookup_by_id_ret *)ret)->dom, vm);
    return vm != NULL;
}

/*
 * virConnectListAllDomainsFlags are groups of opposite bits: none of a group set means all of it.
 * A domain is listed when it fits every group.
 */
static gboolean
fits_group(unsigned int flags, unsigned int yes, unsigned int no, gboolean is)
{
    return !(flags & (yes | no)) || (is ? (flags & yes) != 0 : (flags & no) != 0);
}

static gboolean
fits_state(unsigned int flags, const InvVm *vm)
{
    const unsigned int group = VIR_CONNECT_LIST_DOMAINS_RUNNING | VIR_CONNECT_LIST_DOMAINS_PAUSED |
                               VIR_CONNECT_LIST_DOMAINS_SHUTOFF | VIR_CONNECT_LIST_DOMAINS_OTHER;

    if (!(flags & group))
        return TRUE;
    if (vm->state == VIR_DOMAIN_RUNNING)
        return (flags & VIR_CONNECT_LIST_DOMAINS_RUNNING) != 0;
    if (vm->state == VIR_DOMAIN_PAUSED)
        return (flags & VIR_CONNECT_LIST_DOMAINS_PAUSED) != 0;
    if (vm->state == VIR_DOMAIN_SHUTOFF)
        return (flags & VIR_CONNECT_LIST_DOMAINS_SHUTOFF) != 0;
    return (flags & VIR_CONNECT_LIST_DOMAINS_OTHER) != 0;
}

static gboolean
fits(unsigned int flags, const InvVm *vm)
{
    return fits_group(flags, VIR_CONNECT_LIST_DOMAINS_ACTIVE, VIR_CONNECT_LIST_DOMAINS_INACTIVE, inv_vm_is_active(vm)) &&
           fits_group(flags, VIR_CONNECT_LIST_DOMAINS_PERSISTENT, VIR_CONNECT_LIST_DOMAINS_TRANSIENT,
                      inv_vm_is_persistent(vm)) &&
           fits_group(flags, VIR_CONNECT_LIST_DOMAINS_AUTOSTART, VIR_CONNECT_LIST_DOMAINS_NO_AUTOSTART, vm->autostart) &&
           /* Nothing is saved, snapshotted or checkpointed by this daemon yet. */
           fits_group(flags, VIR_CONNECT_LIST_DOMAINS_MANAGEDSAVE, VIR_CONNECT_LIST_DOMAINS_NO_MANAGEDSAVE, FALSE) &&
           fits_group(flags, VIR_CONNECT_LIST_DOMAINS_HAS_SNAPSHOT, VIR_CONNECT_LIST_DOMAINS_NO_SNAPSHOT, FALSE) &&
           fits_group(flags, VIR_CONNECT_LIST_DOMAINS_HAS_CHECKPOINT, VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT, FALSE) &&
           fits_state(flags, vm);
}

/* The domains that fit @flags, of InvVm with a reference. */
static GPtrArray *
list_fitting(InvDaemon *daemon, unsigned int flags)
{
    g_autoptr(GPtrArray) all = inv_registry_list(daemon->registry);
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);
    GPtrArray *list = g_ptr_array_new_with_free_func((GDestroyNotify)inv_vm_unref);

    for (guint i = 0; i < all->len; i++) {
        InvVm *vm = g_ptr_array_index(all, i);

        if (fits(flags, vm))
            g_ptr_array_add(list, inv_vm_ref(vm));
    }
    return list;
}

static gboolean
list_all_domains(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_list_all_domains_args *wanted = args;
    remote_connect_list_all_domains_ret *reply = ret;
    g_autoptr(GPtrArray) list = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, (VIR_CONNECT_LIST_DOMAINS_NO_CHECKPOINT << 1) - 1, "list of domains", error))
        return FALSE;
    list = list_fitting(user_data, wanted->flags);
    if (list->len > REMOTE_DOMAIN_LIST_MAX)
        return inv_error_set(error, VIR_ERR_RPC, "%u domains are more than the %d that libvirt's protocol can list", list->len,
                             REMOTE_DOMAIN_LIST_MAX);
    reply->ret = list->len;
    if (!wanted->need_results)
        return TRUE;
    reply->domains.domains_len = list->len;
    reply->domains.domains_val = g_new0(remote_nonnull_domain, list->len);
    for (guint i = 0; i < list->len; i++)
        inv_dispatch_fill(&reply->domains.domains_val[i], g_ptr_array_index(list, i));
    return TRUE;
}

static gboolean
num_of_domains(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    InvDaemon *daemon = user_data;

    ((remote_connect_num_of_domains_ret *)ret)->num =
        (int)inv_registry_count(daemon->registry, fits, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    return TRUE;
}

static gboolean
num_of_defined_domains(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    InvDaemon *daemon = user_data;

    ((remote_connect_num_of_defined_domains_ret *)ret)->num =
        (int)inv_registry_count(daemon->registry, fits, VIR_CONNECT_LIST_DOMAINS_INACTIVE);
    return TRUE;
}

/* The client says how many it has room for. */
static gboolean
check_max(int max, GError **error)
{
    if (max < 0 || max > REMOTE_DOMAIN_LIST_MAX)
        return inv_error_set(error, VIR_ERR_RPC, "a list of %d domains was asked for: the limit is %d", max,
                             REMOTE_DOMAIN_LIST_MAX);
    return TRUE;
}

static gboolean
list_domains(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_list_domains_args *wanted = args;
    remote_connect_list_domains_ret *reply = ret;
    g_autoptr(GPtrArray) list = NULL;

    if (!check_max(wanted->maxids, error))
        return FALSE;
    list = list_fitting(user_data, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
    reply->ids.ids_val = g_new0(int, MAX(list->len, 1));
    for (guint i = 0; i < list->len && reply->ids.ids_len < (guint)wanted->maxids; i++) {
        const InvVm *vm = g_ptr_array_index(list, i);

        if (inv_vm_is_active(vm))
            reply->ids.ids_val[reply->ids.ids_len++] = vm->id;
    }
    return TRUE;
}

static gboolean
list_defined_domains(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_list_defined_domains_args *wanted = args;
    remote_connect_list_defined_domains_ret *reply = ret;
    InvDaemon *daemon = user_data;
    g_autoptr(GPtrArray) list = NULL;
    g_autoptr(InvRegistryLock) lock = NULL;

    if (!check_max(wanted->maxnames, error))
        return FALSE;
    list = list_fitting(user_data, VIR_CONNECT_LIST_DOMAINS_INACTIVE);
    lock = inv_registry_lock(daemon->registry);
    reply->names.names_val = g_new0(char *, MAX(list->len, 1));
    for (guint i = 0; i < list->len && i < (guint)wanted->maxnames; i++)
        reply->names.names_val[reply->names.names_len++] = g_strdup(((const InvVm *)g_ptr_array_index(list, i))->name);
    return TRUE;
}

#define AT_ONCE (INV_RPC_INLINE | INV_RPC_READ)

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_DOMAIN_LOOKUP_BY_UUID, lookup_by_uuid, AT_ONCE },
    { REMOTE_PROC_DOMAIN_LOOKUP_BY_NAME, lookup_by_name, AT_ONCE },
    { REMOTE_PROC_DOMAIN_LOOKUP_BY_ID, lookup_by_id, AT_ONCE },
    { REMOTE_PROC_CONNECT_LIST_ALL_DOMAINS, list_all_domains, AT_ONCE },
    { REMOTE_PROC_CONNECT_NUM_OF_DOMAINS, num_of_domains, AT_ONCE },
    { REMOTE_PROC_CONNECT_NUM_OF_DEFINED_DOMAINS, num_of_defined_domains, AT_ONCE },
    { REMOTE_PROC_CONNECT_LIST_DOMAINS, list_domains, AT_ONCE },
    { REMOTE_PROC_CONNECT_LIST_DEFINED_DOMAINS, list_defined_domains, AT_ONCE },
};

const InvDispatchFamily inv_dispatch_list = { methods, G_N_ELEMENTS(methods) };
