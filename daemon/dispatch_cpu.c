/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions about CPUs: comparison and baseline. */
#include "cpu_driver/baseline.h"
#include "cpu_driver/compare.h"
#include "daemon/dispatch.h"
#include "daemon/emulator_choice.h"
#include "daemon/host_cpu.h"
#include "util/error.h"

/* The hypervisor that a client names, as far as it does. */
static gboolean
choose(InvDaemon *daemon, remote_string emulator, remote_string arch, remote_string machine, remote_string virt_type,
       InvEmulatorChoice *asked, GError **error)
{
    return inv_emulator_choose(daemon, inv_dispatch_optional(emulator), inv_dispatch_optional(arch),
                               inv_dispatch_optional(machine), inv_dispatch_optional(virt_type), TRUE, asked, error);
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
compare(const InvEmulatorChoice *asked, const InvCpu *host, const char *xml, unsigned int flags, int *result, GError **error)
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
    g_auto(InvEmulatorChoice) asked = { NULL };
    g_autoptr(InvCpu) host = NULL;

    if (!inv_emulator_choose(user_data, NULL, NULL, NULL, NULL, TRUE, &asked, error))
        return FALSE;
    /* This call is about the processor, whatever hypervisor there is; the other one about what that gives. */
    host = host_processor(&asked.facts);
    return compare(&asked, host, wanted->xml, wanted->flags, &((remote_connect_compare_cpu_ret *)ret)->result, error);
}

static gboolean
compare_hypervisor_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_compare_hypervisor_cpu_args *wanted = args;
    g_auto(InvEmulatorChoice) asked = { NULL };

    return choose(user_data, wanted->emulator, wanted->arch, wanted->machine, wanted->virttype, &asked, error) &&
           compare(&asked, NULL, wanted->xmlCPU, wanted->flags, &((remote_connect_compare_hypervisor_cpu_ret *)ret)->result, error);
}

/* The common CPU of @n documents, as text. */
static char *
baseline(const InvEmulatorChoice *asked, char *const *documents, guint n, unsigned int flags, GError **error)
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
    g_auto(InvEmulatorChoice) asked = { NULL };

    if (!inv_emulator_choose(user_data, NULL, NULL, NULL, NULL, TRUE, &asked, error))
        return FALSE;
    reply->cpu = baseline(&asked, wanted->xmlCPUs.xmlCPUs_val, wanted->xmlCPUs.xmlCPUs_len, wanted->flags, error);
    return reply->cpu != NULL;
}

static gboolean
baseline_hypervisor_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_baseline_hypervisor_cpu_args *wanted = args;
    remote_connect_baseline_hypervisor_cpu_ret *reply = ret;
    g_auto(InvEmulatorChoice) asked = { NULL };

    if (!choose(user_data, wanted->emulator, wanted->arch, wanted->machine, wanted->virttype, &asked, error))
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
