/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions about CPUs: comparison and baseline. */
#include "cpu_driver/baseline.h"
#include "cpu_driver/compare.h"
#include "daemon/dispatch.h"
#include "daemon/host_cpu.h"
#include "util/error.h"

/* What a question about CPUs is asked of. */
typedef struct {
    InvEmulator *emulator;
    InvCpuFacts facts;
} Asked;

static void
asked_clear(Asked *asked)
{
    inv_emulator_unref(asked->emulator);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Asked, asked_clear)

static gboolean
find_asked(InvDaemon *daemon, const char *path, const char *arch, const char *machine_name, const char *virt_type,
           Asked *asked, GError **error)
{
    InvVirtType fallback = INV_VIRT_QEMU, type;
    const InvMachine *machine;
    guint deadline = inv_daemon_probe_deadline(daemon);

    asked->emulator =
        inv_emulators_get(daemon->emulators, path, arch ? arch : path ? NULL : daemon->host_arch, deadline, error);
    if (!asked->emulator)
        return FALSE;
    if (inv_emulator_check_accelerator(asked->emulator, INV_VIRT_KVM, NULL))
        fallback = INV_VIRT_KVM;
    if (!inv_dispatch_parse_virt_type(virt_type, fallback, &type, error) ||
        !inv_emulator_check_accelerator(asked->emulator, type, error))
        return FALSE;
    machine = inv_emulator_find_machine(asked->emulator, machine_name, error);
    return machine && inv_emulator_cpu_facts(asked->emulator, type, machine->name, TRUE, deadline, &asked->facts, error);
}

/* The host's processor as <capabilities> describes it; NULL when it is not known. */
static InvCpu *
host_processor(const InvCpuFacts *facts)
{
    g_autoptr(InvHostCpuDescription) description = inv_host_cpu_describe(facts);
    InvCpu *cpu;

    if (!description || !description->model)
        return NULL;
    cpu = inv_cpu_new();
    cpu->arch = g_strdup(facts->arch);
    cpu->model = g_strdup(description->model);
    for (char **feature = description->features; *feature; feature++)
        inv_cpu_set_feature(cpu, *feature, INV_CPU_POLICY_REQUIRE);
    return cpu;
}

/* @host NULL: what the hypervisor gives. */
static gboolean
compare(const Asked *asked, const InvCpu *host, const char *xml, unsigned int flags, int *result, GError **error)
{
    g_autoptr(InvCpu) cpu = NULL;
    g_autoptr(InvVerdict) why = NULL;
    virCPUCompareResult outcome = VIR_CPU_COMPARE_ERROR;

    if (!inv_dispatch_check_flags(flags, VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE | VIR_CONNECT_COMPARE_CPU_VALIDATE_XML,
                                  "CPU comparison", error))
        return FALSE;
    cpu = inv_cpu_parse(xml, error);
    if (!cpu || !inv_cpu_compare(&asked->facts, host, cpu, &outcome, &why, error))
        return FALSE;
    if (outcome == VIR_CPU_COMPARE_INCOMPATIBLE && (flags & VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE)) {
        g_autofree char *text = why ? inv_verdict_to_text(why) : g_strdup("the host does not have it");

        return inv_error_set(error, VIR_ERR_CPU_INCOMPATIBLE, "the CPU is incompatible with host CPU: %s", text);
    }
    *result = outcome;
    return TRUE;
}

static gboolean
compare_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_compare_cpu_args *wanted = args;
    g_auto(Asked) asked = { NULL };
    g_autoptr(InvCpu) host = NULL;

    if (!find_asked(user_data, NULL, NULL, NULL, NULL, &asked, error))
        return FALSE;
    /* This call is about the processor, whatever hypervisor there is; the other one about what that gives. */
    host = host_processor(&asked.facts);
    return compare(&asked, host, wanted->xml, wanted->flags, &((remote_connect_compare_cpu_ret *)ret)->result, error);
}

static gboolean
compare_hypervisor_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_compare_hypervisor_cpu_args *wanted = args;
    g_auto(Asked) asked = { NULL };

    return find_asked(user_data, inv_dispatch_optional(wanted->emulator), inv_dispatch_optional(wanted->arch), inv_dispatch_optional(wanted->machine),
                      inv_dispatch_optional(wanted->virttype), &asked, error) &&
           compare(&asked, NULL, wanted->xmlCPU, wanted->flags, &((remote_connect_compare_hypervisor_cpu_ret *)ret)->result, error);
}

/* The common CPU of @n documents, as text. */
static char *
baseline(const Asked *asked, char *const *documents, guint n, unsigned int flags, GError **error)
{
    g_autoptr(GPtrArray) cpus = g_ptr_array_new_with_free_func((GDestroyNotify)inv_cpu_free);
    g_autoptr(InvCpu) common = NULL;

    if (!inv_dispatch_check_flags(flags, VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES | VIR_CONNECT_BASELINE_CPU_MIGRATABLE,
                                  "CPU baseline", error))
        return NULL;
    if (n == 0) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "a baseline needs at least one CPU");
        return NULL;
    }
    for (guint i = 0; i < n; i++) {
        InvCpu *cpu = inv_cpu_parse(documents[i], error);

        if (!cpu) {
            g_prefix_error(error, "CPU %u: ", i + 1);
            return NULL;
        }
        g_ptr_array_add(cpus, cpu);
    }
    common = inv_cpu_baseline(&asked->facts, (const InvCpu *const *)cpus->pdata, n,
                              (flags & VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES) != 0,
                              (flags & VIR_CONNECT_BASELINE_CPU_MIGRATABLE) != 0, error);
    return common ? inv_cpu_format(common) : NULL;
}

static gboolean
baseline_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_baseline_cpu_args *wanted = args;
    remote_connect_baseline_cpu_ret *reply = ret;
    g_auto(Asked) asked = { NULL };

    if (!find_asked(user_data, NULL, NULL, NULL, NULL, &asked, error))
        return FALSE;
    reply->cpu = baseline(&asked, wanted->xmlCPUs.xmlCPUs_val, wanted->xmlCPUs.xmlCPUs_len, wanted->flags, error);
    return reply->cpu != NULL;
}

static gboolean
baseline_hypervisor_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_baseline_hypervisor_cpu_args *wanted = args;
    remote_connect_baseline_hypervisor_cpu_ret *reply = ret;
    g_auto(Asked) asked = { NULL };

    if (!find_asked(user_data, inv_dispatch_optional(wanted->emulator), inv_dispatch_optional(wanted->arch), inv_dispatch_optional(wanted->machine),
                    inv_dispatch_optional(wanted->virttype), &asked, error))
        return FALSE;
    reply->cpu = baseline(&asked, wanted->xmlCPUs.xmlCPUs_val, wanted->xmlCPUs.xmlCPUs_len, wanted->flags, error);
    return reply->cpu != NULL;
}

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_CONNECT_COMPARE_CPU, compare_cpu, INV_RPC_READ },
    { REMOTE_PROC_CONNECT_BASELINE_CPU, baseline_cpu, INV_RPC_READ },
    { REMOTE_PROC_CONNECT_COMPARE_HYPERVISOR_CPU, compare_hypervisor_cpu, INV_RPC_READ },
    { REMOTE_PROC_CONNECT_BASELINE_HYPERVISOR_CPU, baseline_hypervisor_cpu, INV_RPC_READ },
};

const InvDispatchFamily inv_dispatch_cpu = { methods, G_N_ELEMENTS(methods) };
