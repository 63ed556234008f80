/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Questions about CPUs: comparison and baseline. */
#include "cpu_driver/compare.h"
#include "daemon/cpu_common.h"
#include "daemon/cpu_model_info.h"
#include "daemon/dispatch.h"
#include "qemu/emulator_compare.h"
#include "util/error.h"

#include <string.h>

/* Bytes of a document that may be read on the I/O thread: a host's CPU takes some 3 KiB. */
#define SHORT_DOCUMENT 8192u
#define COMPARE_FLAGS (VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE | VIR_CONNECT_COMPARE_CPU_VALIDATE_XML)

/* The call is about the host's own processor, whatever hypervisor there is; else about what that gives. */
static const InvCpuWords this_host = { NULL };

static InvCpuWords
words_of(remote_string emulator, remote_string arch, remote_string machine, remote_string virt_type)
{
    return (InvCpuWords){ inv_dispatch_optional(emulator), inv_dispatch_optional(arch), inv_dispatch_optional(machine),
                          inv_dispatch_optional(virt_type) };
}

static gboolean
incompatible(const char *why, unsigned int flags, virCPUCompareResult *result, GError **error)
{
    *result = VIR_CPU_COMPARE_INCOMPATIBLE;
    if (!(flags & VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE))
        return TRUE;
    return inv_error_set(error, VIR_ERR_CPU_INCOMPATIBLE, "the CPU is incompatible with host CPU: %s", why);
}

/* QEMU's answer for people: what it holds responsible. */
static char *
tell_difference(const InvCpuFacts *facts, const InvModelComparison *comparison)
{
    static const char *const relations[] = {
        [INV_MODELS_IDENTICAL] = "what the host has", /* never told */
        [INV_MODELS_SUPERSET] = "less than the host has, which match='strict' does not allow",
        [INV_MODELS_SUBSET] = "more than the host has",
        [INV_MODELS_INCOMPATIBLE] = "different from what the host has",
    };
    gboolean models = g_strv_contains((const char *const *)comparison->responsible, "type");
    g_autoptr(GString) text = g_string_new(NULL);
    guint told = 0;

    g_string_append_printf(text, "%s on machine %s finds it %s", facts->emulator, facts->machine, relations[comparison->relation]);
    for (char **name = comparison->responsible; *name; name++) {
        if (strcmp(*name, "type") != 0)
            g_string_append_printf(text, "%s%s", told++ ? ", " : "; responsible are: ", *name);
    }
    if (models)
        g_string_append(text, "; the models are of different generations");
    return g_string_free(g_steal_pointer(&text), FALSE);
}

/* A feature that the document forbids and the host has: QEMU's comparison has no word for it. */
static const char *
forbidden_feature(const InvCpuFacts *facts, const InvCpu *cpu)
{
    for (guint i = 0; facts->host && i < cpu->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);

        if (feature->policy == INV_CPU_POLICY_FORBID && inv_feature_set_has(facts->host->on, feature->name))
            return feature->name;
    }
    return NULL;
}

static gboolean
compare_by_qemu(InvDaemon *daemon, InvCpuSubject *subject, const InvCpu *cpu, unsigned int flags, virCPUCompareResult *result,
                GError **error)
{
    const InvEmulatorChoice *choice = &subject->choice;
    g_autoptr(InvJson) host = inv_cpu_host_model_info(&choice->facts);
    g_autoptr(InvJson) wanted = NULL;
    g_autoptr(InvModelComparison) comparison = NULL;
    g_autofree char *why = NULL;
    const char *forbidden;

    if (cpu->arch && strcmp(cpu->arch, choice->facts.arch) != 0) {
        why = g_strdup_printf("the CPU is %.32s, the host's is %s", cpu->arch, choice->facts.arch);
        return incompatible(why, flags, result, error);
    }
    wanted = inv_cpu_to_model_info(&choice->facts, cpu, error);
    if (!wanted)
        return FALSE;
    forbidden = forbidden_feature(&choice->facts, cpu);
    if (forbidden) {
        why = g_strdup_printf("%.64s is forbidden and the host has it", forbidden);
        return incompatible(why, flags, result, error);
    }
    comparison = inv_emulator_compare_models(choice->emulator, choice->type, choice->machine->name, host, wanted,
                                             inv_daemon_probe_deadline(daemon), error);
    if (!comparison) {
        inv_cpu_model_info_explain(&choice->facts, (const InvJson *const[]){ wanted }, 1, error);
        return FALSE;
    }
    *result = comparison->relation == INV_MODELS_IDENTICAL ? VIR_CPU_COMPARE_IDENTICAL : VIR_CPU_COMPARE_SUPERSET;
    if (comparison->relation == INV_MODELS_IDENTICAL ||
        (comparison->relation == INV_MODELS_SUPERSET && cpu->match != INV_CPU_MATCH_STRICT))
        return TRUE;
    why = tell_difference(&choice->facts, comparison);
    return incompatible(why, flags, result, error);
}

static gboolean
check_schema(const char *xml, GError **error)
{
    const char *folder = g_getenv("INVAR_PKGDATADIR");
    g_autofree char *schema = g_build_filename(folder ? folder : INV_PKGDATADIR, "schemas", "invar-cpu-document.rng", NULL);

    return inv_cpu_validate_schema(xml, schema, error);
}

/* With all reasons, and for documents that follow the host. */
static gboolean
compare_fully(InvCpuSubject *subject, const InvCpu *host, const InvCpu *cpu, unsigned int flags, virCPUCompareResult *result, GError **error)
{
    g_autoptr(InvVerdict) why = NULL;
    g_autofree char *text = NULL;

    if (!inv_cpu_compare_on(subject->basis, host, cpu, result, &why, error))
        return FALSE;
    if (*result != VIR_CPU_COMPARE_INCOMPATIBLE)
        return TRUE;
    text = why ? inv_verdict_to_text(why) : g_strdup("the host does not have it");
    return incompatible(text, flags, result, error);
}

/* What is compared with: the processor, or what guests get where it is not known. */
static const InvCpuDescription *
host_of(const InvCpuSubject *subject, gboolean processor)
{
    return processor && subject->hardware ? subject->hardware : subject->gives;
}

/* By sets alone. What needs words (a refusal, an error), or follows the host, is for the other. */
static InvRpcOutcome
compare_shortly(InvCpuSubject *subject, gboolean processor, const char *xml, unsigned int flags, int *answer)
{
    const InvCpuDescription *host = subject->basis ? host_of(subject, processor) : NULL;
    g_autoptr(InvCpuDocument) document = NULL;
    virCPUCompareResult result;

    if (!host)
        return INV_RPC_LATER;
    document = inv_cpu_subject_read(subject, xml, TRUE, NULL);
    if (!document || (!document->description->model && !document->description->foreign))
        return INV_RPC_LATER;
    result = inv_cpu_subject_compare(subject, host, document->description);
    if (result == VIR_CPU_COMPARE_INCOMPATIBLE && (flags & VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE))
        return INV_RPC_LATER;
    *answer = (int)result;
    return INV_RPC_DONE;
}

static gboolean
compare(InvDaemon *daemon, const InvCpuWords *words, gboolean processor, const char *xml, unsigned int flags, int *answer, GError **error)
{
    g_autoptr(InvCpuSubject) subject = NULL;
    g_autoptr(InvCpu) cpu = NULL;
    virCPUCompareResult result = VIR_CPU_COMPARE_ERROR;
    gboolean ok;

    if (!inv_dispatch_check_flags(flags, COMPARE_FLAGS, "CPU comparison", error) ||
        ((flags & VIR_CONNECT_COMPARE_CPU_VALIDATE_XML) && !check_schema(xml, error)))
        return FALSE;
    subject = inv_cpu_subjects_get(daemon->cpu_subjects, daemon, words, error);
    if (!subject)
        return FALSE;
    if (compare_shortly(subject, processor, xml, flags, answer) == INV_RPC_DONE)
        return TRUE;
    cpu = inv_cpu_read(xml, error);
    if (!cpu)
        return FALSE;
    if (inv_cpu_arch_asks_qemu(subject->choice.facts.arch))
        ok = compare_by_qemu(daemon, subject, cpu, flags, &result, error);
    else if (!subject->basis)
        ok = inv_error_set(error, VIR_ERR_NO_SUPPORT, "comparing CPUs is not supported by the %s CPU driver", subject->choice.facts.arch);
    else
        ok = compare_fully(subject, processor ? subject->processor : NULL, cpu, flags, &result, error);
    *answer = (int)result;
    return ok;
}

/* On the I/O thread: from memory, and with a document that is read in a moment. */
static InvRpcOutcome
compare_quickly(InvDaemon *daemon, const InvCpuWords *words, gboolean processor, const char *xml, unsigned int flags, int *answer)
{
    g_autoptr(InvCpuSubject) subject = NULL;

    if ((flags & ~VIR_CONNECT_COMPARE_CPU_FAIL_INCOMPATIBLE) || strlen(xml) > SHORT_DOCUMENT)
        return INV_RPC_LATER;
    subject = inv_cpu_subjects_peek(daemon->cpu_subjects, daemon, words);
    return subject ? compare_shortly(subject, processor, xml, flags, answer) : INV_RPC_LATER;
}

static gboolean
compare_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_compare_cpu_args *wanted = args;
    remote_connect_compare_cpu_ret *reply = ret;

    return compare(user_data, &this_host, TRUE, wanted->xml, wanted->flags, &reply->result, error);
}

static InvRpcOutcome
compare_cpu_quickly(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_compare_cpu_args *wanted = args;
    remote_connect_compare_cpu_ret *reply = ret;

    return compare_quickly(user_data, &this_host, TRUE, wanted->xml, wanted->flags, &reply->result);
}

static gboolean
compare_hypervisor_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_compare_hypervisor_cpu_args *wanted = args;
    remote_connect_compare_hypervisor_cpu_ret *reply = ret;
    const InvCpuWords words = words_of(wanted->emulator, wanted->arch, wanted->machine, wanted->virttype);

    return inv_dispatch_check_emulator(client, user_data, words.emulator, error) &&
           compare(user_data, &words, FALSE, wanted->xmlCPU, wanted->flags, &reply->result, error);
}

static InvRpcOutcome
compare_hypervisor_cpu_quickly(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_compare_hypervisor_cpu_args *wanted = args;
    remote_connect_compare_hypervisor_cpu_ret *reply = ret;
    const InvCpuWords words = words_of(wanted->emulator, wanted->arch, wanted->machine, wanted->virttype);

    return compare_quickly(user_data, &words, FALSE, wanted->xmlCPU, wanted->flags, &reply->result);
}

/* The common CPU of @n documents, as text. */
static char *
baseline(InvDaemon *daemon, const InvCpuWords *words, char *const *documents, guint n, unsigned int flags, GError **error)
{
    g_autoptr(InvCpuSubject) subject = inv_cpu_subjects_get(daemon->cpu_subjects, daemon, words, error);
    g_autoptr(InvCpuCommon) common = subject ? inv_cpu_common_new(daemon, subject, error) : NULL;

    return common && inv_cpu_common_add(common, documents, n, TRUE, error) ? inv_cpu_common_result(common, flags, error) : NULL;
}

static InvRpcOutcome
baseline_quickly(InvDaemon *daemon, const InvCpuWords *words, char *const *documents, guint n, unsigned int flags, char **cpu)
{
    g_autoptr(InvCpuSubject) subject = inv_cpu_subjects_peek(daemon->cpu_subjects, daemon, words);

    *cpu = subject ? inv_cpu_common_of_known(subject, documents, n, flags) : NULL;
    return *cpu ? INV_RPC_DONE : INV_RPC_LATER;
}

static gboolean
baseline_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_baseline_cpu_args *wanted = args;
    remote_connect_baseline_cpu_ret *reply = ret;

    reply->cpu = baseline(user_data, &this_host, wanted->xmlCPUs.xmlCPUs_val, wanted->xmlCPUs.xmlCPUs_len, wanted->flags, error);
    return reply->cpu != NULL;
}

static InvRpcOutcome
baseline_cpu_quickly(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_baseline_cpu_args *wanted = args;
    remote_connect_baseline_cpu_ret *reply = ret;

    return baseline_quickly(user_data, &this_host, wanted->xmlCPUs.xmlCPUs_val, wanted->xmlCPUs.xmlCPUs_len, wanted->flags, &reply->cpu);
}

static gboolean
baseline_hypervisor_cpu(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_baseline_hypervisor_cpu_args *wanted = args;
    remote_connect_baseline_hypervisor_cpu_ret *reply = ret;
    const InvCpuWords words = words_of(wanted->emulator, wanted->arch, wanted->machine, wanted->virttype);

    if (!inv_dispatch_check_emulator(client, user_data, words.emulator, error))
        return FALSE;
    reply->cpu = baseline(user_data, &words, wanted->xmlCPUs.xmlCPUs_val, wanted->xmlCPUs.xmlCPUs_len, wanted->flags, error);
    return reply->cpu != NULL;
}

static InvRpcOutcome
baseline_hypervisor_cpu_quickly(InvRpcClient *client, gpointer args, gpointer ret, gpointer user_data, GError **error)
{
    const remote_connect_baseline_hypervisor_cpu_args *wanted = args;
    remote_connect_baseline_hypervisor_cpu_ret *reply = ret;
    const InvCpuWords words = words_of(wanted->emulator, wanted->arch, wanted->machine, wanted->virttype);

    return baseline_quickly(user_data, &words, wanted->xmlCPUs.xmlCPUs_val, wanted->xmlCPUs.xmlCPUs_len, wanted->flags, &reply->cpu);
}

static const InvRpcMethod methods[] = {
    { REMOTE_PROC_CONNECT_COMPARE_CPU, compare_cpu, INV_RPC_READ, compare_cpu_quickly },
    { REMOTE_PROC_CONNECT_BASELINE_CPU, baseline_cpu, INV_RPC_READ, baseline_cpu_quickly },
    { REMOTE_PROC_CONNECT_COMPARE_HYPERVISOR_CPU, compare_hypervisor_cpu, INV_RPC_READ, compare_hypervisor_cpu_quickly },
    { REMOTE_PROC_CONNECT_BASELINE_HYPERVISOR_CPU, baseline_hypervisor_cpu, INV_RPC_READ, baseline_hypervisor_cpu_quickly },
};

const InvDispatchFamily inv_dispatch_cpu = { methods, G_N_ELEMENTS(methods) };
