/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a domain is and how it does. */
#include "daemon/decision.h"
#include "daemon/dispatch.h"
#include "util/error.h"
#include "util/fd.h"

#include <string.h>
#include <unistd.h>

#define PROC_STAT_LIMIT 4096u
/* Fields 14 and 15 of /proc/PID/stat, counted behind the name in brackets: proc(5). */
#define STAT_UTIME 12
#define STAT_STIME 13

/* Nanoseconds of processor time of a process, 0 when it is gone. */
static guint64
cpu_time_of(pid_t pid)
{
    g_autofree char *path = g_strdup_printf("/proc/%d/stat", (int)pid);
    g_autofree char *text = NULL;
    g_auto(GStrv) fields = NULL;
    const char *rest;
    long ticks = sysconf(_SC_CLK_TCK);

    if (ticks <= 0 || !inv_file_read(path, PROC_STAT_LIMIT, &text, NULL, NULL))
        return 0;
    /* The name may hold blanks and brackets itself. */
    rest = strrchr(text, ')');
    if (!rest || !rest[1])
        return 0;
    fields = g_strsplit(rest + 2, " ", -1);
    if (g_strv_length(fields) <= STAT_STIME)
        return 0;
    return (g_ascii_strtoull(fields[STAT_UTIME - 1], NULL, 10) + g_ascii_strtoull(fields[STAT_STIME - 1], NULL, 10)) *
           (G_GUINT64_CONSTANT(1000000000) / (guint64)ticks);
}

static gboolean
get_info(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_get_info_args *wanted = args;
    remote_domain_get_info_ret *reply = ret;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = inv_dispatch_find(daemon, &wanted->dom, error);
    pid_t pid = 0;

    if (!vm)
        return FALSE;
    inv_vm_read_summary(vm);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        reply->state = (unsigned char)vm->state;
        reply->maxMem = vm->summary.max_memory_kib;
        reply->memory = vm->summary.memory_kib;
        reply->nrVirtCpu = (unsigned short)MIN(vm->summary.vcpus, G_MAXUINT16);
        pid = vm->process ? inv_process_pid(vm->process) : 0;
    }
    reply->cpuTime = pid ? cpu_time_of(pid) : 0;
    return TRUE;
}

static gboolean
get_state(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_get_state_args *wanted = args;
    remote_domain_get_state_ret *reply = ret;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = NULL;
    g_autoptr(InvRegistryLock) lock = NULL;

    if (!inv_dispatch_check_flags(wanted->flags, 0, "state of a domain", error) ||
        !(vm = inv_dispatch_find(daemon, &wanted->dom, error)))
        return FALSE;
    lock = inv_registry_lock(daemon->registry);
    reply->state = (int)vm->state;
    reply->reason = vm->reason;
    return TRUE;
}

/* Puts the whole CPU that the guest sees in place of what the definition says of it. */
static gboolean
update_cpu(InvDaemon *daemon, InvVm *vm, InvDomain *domain, GError **error)
{
    g_autoptr(InvDecision) decision = NULL;
    g_autoptr(InvCpuRecord) record = NULL;
    InvCpu *updated;

    if (!inv_vm_read_record(vm, &record, error))
        return FALSE;
    if (!record)
        return TRUE;
    decision = inv_decision_new(daemon, domain, error);
    /* To name what differs from the model, the model's own features must be known. */
    if (!decision || !inv_emulator_cpu_facts(decision->emulator, domain->virt_type, decision->machine->name, INV_EXPANSIONS_ALL,
                                             inv_daemon_probe_deadline(daemon), &decision->facts, error))
        return FALSE;
    updated = inv_cpu_update(&decision->facts, domain->cpu, record, error);
    if (!updated)
        return FALSE;
    inv_cpu_free(domain->cpu);
    domain->cpu = updated;
    return TRUE;
}

static gboolean
get_xml_desc(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_get_xml_desc_args *wanted = args;
    const unsigned int known =
        VIR_DOMAIN_XML_SECURE | VIR_DOMAIN_XML_INACTIVE | VIR_DOMAIN_XML_UPDATE_CPU | VIR_DOMAIN_XML_MIGRATABLE;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = inv_dispatch_find(daemon, &wanted->dom, error);
    g_autoptr(InvDomain) domain = NULL;
    InvFormatFlags flags = INV_FORMAT_INACTIVE;

    if (!vm || !inv_dispatch_check_flags(wanted->flags, known, "XML of a domain", error))
        return FALSE;
    if ((wanted->flags & VIR_DOMAIN_XML_SECURE) && inv_rpc_client_is_read_only(client))
        return inv_error_set(error, VIR_ERR_OPERATION_DENIED, "read only access prevents showing a domain's secrets");
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

        if (vm->live && !((wanted->flags & VIR_DOMAIN_XML_INACTIVE) && inv_vm_is_persistent(vm))) {
            domain = inv_domain_copy(vm->live);
            domain->id = vm->id;
            flags |= wanted->flags & VIR_DOMAIN_XML_INACTIVE ? 0 : INV_FORMAT_LIVE;
        }
    }
    if (!domain)
        domain = inv_vm_read_inactive(vm, error);
    if (!domain)
        return FALSE;
    if ((wanted->flags & VIR_DOMAIN_XML_UPDATE_CPU) && !update_cpu(daemon, vm, domain, error))
        return FALSE;
    if (wanted->flags & VIR_DOMAIN_XML_SECURE)
        flags |= INV_FORMAT_SECURE;
    if (wanted->flags & VIR_DOMAIN_XML_MIGRATABLE)
        flags |= INV_FORMAT_MIGRATABLE;
    ((remote_domain_get_xml_desc_ret *)ret)->xml = inv_domain_format(domain, flags);
    return TRUE;
}

static gboolean
get_os_type(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_get_os_type_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    if (!vm)
        return FALSE;
    /* The parser takes no other. */
    ((remote_domain_get_os_type_ret *)ret)->type = g_strdup("hvm");
    return TRUE;
}

/* The plain getters differ in what they read, and in the name of the field that takes it. */
#define GETTER(procedure, prepare, field, expression)                                                                          \
    static gboolean procedure(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)  \
    {                                                                                                                 \
        const remote_domain_##procedure##_args *wanted = args;                                                        \
        InvDaemon *daemon = user_data;                                                                                \
        g_autoptr(InvVm) vm = inv_dispatch_find(daemon, &wanted->dom, error);                                         \
        g_autoptr(InvRegistryLock) lock = NULL;                                                                       \
                                                                                                                      \
        if (!vm)                                                                                                      \
            return FALSE;                                                                                             \
        prepare;                                                                                                      \
        lock = inv_registry_lock(daemon->registry);                                                                   \
        ((remote_domain_##procedure##_ret *)ret)->field = (expression);                                               \
        return TRUE;                                                                                                  \
    }

GETTER(get_max_memory, inv_vm_read_summary(vm), memory, vm->summary.max_memory_kib)
GETTER(get_max_vcpus, inv_vm_read_summary(vm), num, (int)vm->summary.max_vcpus)
GETTER(is_active, (void)0, active, inv_vm_is_active(vm))
GETTER(is_persistent, (void)0, persistent, inv_vm_is_persistent(vm))
GETTER(get_autostart, (void)0, autostart, vm->autostart)
/* The live definition of a running domain is never changed by this daemon yet. */
GETTER(is_updated, (void)0, updated, FALSE)
/* Nothing is saved or snapshotted by this daemon yet: so there is none. */
GETTER(has_managed_save_image, (void)0, result, FALSE)
GETTER(snapshot_num, (void)0, num, 0)

static gboolean
list_all_snapshots(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_list_all_snapshots_args *wanted = args;
    g_autoptr(InvVm) vm = inv_dispatch_find(user_data, &wanted->dom, error);

    /* The zeroed reply is the empty list. */
    return vm != NULL;
}

static gboolean
get_messages(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_domain_get_messages_args *wanted = args;
    remote_domain_get_messages_ret *reply = ret;
    InvDaemon *daemon = user_data;
    g_autoptr(InvVm) vm = inv_dispatch_find(daemon, &wanted->dom, error);
    g_autoptr(InvRegistryLock) lock = NULL;

    if (!vm)
        return FALSE;
    /* That its definition cannot be read is one of them. */
    inv_vm_read_summary(vm);
    lock = inv_registry_lock(daemon->registry);
    if (!vm->messages)
        return TRUE;
    reply->msgs.msgs_val = g_new0(char *, MAX(vm->messages->len, 1));
    for (guint i = 0; i < vm->messages->len; i++)
        reply->msgs.msgs_val[reply->msgs.msgs_len++] = g_strdup(g_ptr_array_index(vm->messages, i));
    return TRUE;
}

/* What needs a definition is answered at once where it was read already; every argument begins with the domain. */
static gboolean
is_to_be_read(gpointer args, InvDaemon *daemon)
{
    g_autoptr(InvVm) vm = inv_dispatch_find(daemon, args, NULL);
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(daemon->registry);

    return vm && vm->unread;
}

#define QUICK(procedure)                                                                                                       \
    static InvRpcOutcome quick_##procedure(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error) \
    {                                                                                                                          \
        if (is_to_be_read(args, user_data))                                                                                    \
            return INV_RPC_LATER;                                                                                              \
        return procedure(client, args, ret, user_data, error) ? INV_RPC_DONE : INV_RPC_FAILED;                                 \
    }

QUICK(get_info)
QUICK(get_max_memory)
QUICK(get_max_vcpus)
QUICK(get_messages)

#define AT_ONCE (INV_RPC_INLINE | INV_RPC_READ)
/* A document may be megabytes: a worker reads and formats it. */
#define SOON (INV_RPC_PRIORITY | INV_RPC_READ)

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_DOMAIN_GET_INFO, get_info, SOON, quick_get_info, NULL },
    { REMOTE_PROC_DOMAIN_GET_STATE, get_state, AT_ONCE },
    { REMOTE_PROC_DOMAIN_GET_XML_DESC, get_xml_desc, SOON },
    { REMOTE_PROC_DOMAIN_GET_OS_TYPE, get_os_type, AT_ONCE },
    { REMOTE_PROC_DOMAIN_GET_MAX_MEMORY, get_max_memory, SOON, quick_get_max_memory, NULL },
    { REMOTE_PROC_DOMAIN_GET_MAX_VCPUS, get_max_vcpus, SOON, quick_get_max_vcpus, NULL },
    { REMOTE_PROC_DOMAIN_IS_ACTIVE, is_active, AT_ONCE },
    { REMOTE_PROC_DOMAIN_IS_PERSISTENT, is_persistent, AT_ONCE },
    { REMOTE_PROC_DOMAIN_IS_UPDATED, is_updated, AT_ONCE },
    { REMOTE_PROC_DOMAIN_GET_AUTOSTART, get_autostart, AT_ONCE },
    { REMOTE_PROC_DOMAIN_HAS_MANAGED_SAVE_IMAGE, has_managed_save_image, AT_ONCE },
    { REMOTE_PROC_DOMAIN_SNAPSHOT_NUM, snapshot_num, AT_ONCE },
    { REMOTE_PROC_DOMAIN_LIST_ALL_SNAPSHOTS, list_all_snapshots, AT_ONCE },
    { REMOTE_PROC_DOMAIN_GET_MESSAGES, get_messages, SOON, quick_get_messages, NULL },
};

const InvDispatchFamily inv_dispatch_info = { methods, G_N_ELEMENTS(methods) };
