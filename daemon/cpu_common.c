/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/cpu_common.h"

#include "cpu_driver/baseline.h"
#include "daemon/cpu_model_info.h"
#include "daemon/dispatch.h"
#include "qemu/emulator_compare.h"
#include "util/error.h"

#define LABEL_MAX 128

struct InvCpuCommon {
    InvDaemon *daemon; /* borrowed */
    InvCpuSubject *subject;
    InvCpuBaseliner *baseliner; /* NULL: QEMU finds it */
    /* What QEMU found so far; NULL before the first. */
    InvJson *model;
    InvJson *full;
    guint64 count;
};

InvCpuCommon *
inv_cpu_common_new(InvDaemon *daemon, InvCpuSubject *subject, GError **error)
{
    const InvCpuFacts *facts = &subject->choice.facts;
    InvCpuCommon *common;

    if (!subject->basis && !inv_cpu_arch_asks_qemu(facts->arch)) {
        inv_error_set(error, VIR_ERR_NO_SUPPORT, "the baseline of CPUs is not supported by the %s CPU driver", facts->arch);
        return NULL;
    }
    common = g_new0(InvCpuCommon, 1);
    common->daemon = daemon;
    common->subject = inv_cpu_subject_ref(subject);
    if (subject->basis)
        common->baseliner = inv_cpu_baseliner_new(subject->basis);
    return common;
}

void
inv_cpu_common_free(InvCpuCommon *common)
{
    if (!common)
        return;
    inv_cpu_baseliner_free(common->baseliner);
    inv_json_free(common->model);
    inv_json_free(common->full);
    inv_cpu_subject_unref(common->subject);
    g_free(common);
}

guint64
inv_cpu_common_count(const InvCpuCommon *common)
{
    return common->count;
}

static gboolean
add_described(InvCpuBaseliner *baseliner, const InvCpuDescription *description, guint64 number, GError **error)
{
    char label[LABEL_MAX];

    g_snprintf(label, sizeof(label), "CPU %" G_GUINT64_FORMAT " (%s)", number, description->model ? description->model : "the host's");
    return inv_cpu_baseliner_add(baseliner, description, label, error);
}

static gboolean
add_document(InvCpuCommon *common, const char *text, gboolean keep, GError **error)
{
    g_autoptr(InvCpuDocument) document = inv_cpu_subject_read(common->subject, text, keep, error);

    if (!document) {
        g_prefix_error(error, "CPU %" G_GUINT64_FORMAT ": ", common->count + 1);
        return FALSE;
    }
    if (!add_described(common->baseliner, document->description, common->count + 1, error))
        return FALSE;
    common->count++;
    return TRUE;
}

static InvJson *
to_model(const InvCpuFacts *facts, const char *text, GError **error)
{
    g_autoptr(InvCpu) cpu = inv_cpu_read(text, error);

    if (cpu && cpu->arch && g_strcmp0(cpu->arch, facts->arch) != 0) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "a CPU of architecture '%.32s' has no baseline with CPUs of %s", cpu->arch, facts->arch);
        return NULL;
    }
    return cpu ? inv_cpu_to_model_info(facts, cpu, error) : NULL;
}

/* The models of @models, the first of which may be what was common before, folded by QEMU. */
static gboolean
fold(InvCpuCommon *common, GPtrArray *models, GError **error)
{
    const InvEmulatorChoice *choice = &common->subject->choice;
    InvJson *full = NULL;
    InvJson *model = inv_emulator_common_model(choice->emulator, choice->type, choice->machine->name, (const InvJson *const *)models->pdata,
                                               models->len, inv_daemon_probe_deadline(common->daemon), &full, error);

    if (!model) {
        inv_cpu_model_info_explain(&choice->facts, (const InvJson *const *)models->pdata, models->len, error);
        return FALSE;
    }
    inv_json_free(common->model);
    inv_json_free(common->full);
    common->model = model;
    common->full = full;
    return TRUE;
}

static gboolean
ask_qemu(InvCpuCommon *common, char *const *documents, guint n, GError **error)
{
    const InvCpuFacts *facts = &common->subject->choice.facts;
    g_autoptr(GPtrArray) models = g_ptr_array_new_with_free_func((GDestroyNotify)inv_json_free);
    g_autoptr(GError) failure = NULL;
    guint taken;

    if (common->model)
        g_ptr_array_add(models, inv_json_copy(common->model));
    for (taken = 0; taken < n && !failure; taken++) {
        InvJson *model = to_model(facts, documents[taken], &failure);

        if (!model)
            break;
        g_ptr_array_add(models, model);
    }
    if (taken && !fold(common, models, error))
        return FALSE;
    common->count += taken;
    if (!failure)
        return TRUE;
    g_propagate_prefixed_error(error, g_steal_pointer(&failure), "CPU %" G_GUINT64_FORMAT ": ", common->count + 1);
    return FALSE;
}

gboolean
inv_cpu_common_add(InvCpuCommon *common, char *const *documents, guint n, gboolean keep, GError **error)
{
    if (!common->baseliner)
        return n == 0 || ask_qemu(common, documents, n, error);
    for (guint i = 0; i < n; i++) {
        if (!add_document(common, documents[i], keep, error))
            return FALSE;
    }
    return TRUE;
}

static char *
write_result(const InvCpuBaseliner *baseliner, unsigned int flags, GError **error)
{
    g_autoptr(InvCpu) cpu = inv_cpu_baseliner_result(baseliner, (flags & VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES) != 0,
                                                     (flags & VIR_CONNECT_BASELINE_CPU_MIGRATABLE) != 0, error);

    return cpu ? inv_cpu_format(cpu) : NULL;
}

char *
inv_cpu_common_result(const InvCpuCommon *common, unsigned int flags, GError **error)
{
    gboolean expand = (flags & VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES) != 0;
    g_autoptr(InvCpu) cpu = NULL;

    if (!inv_dispatch_check_flags(flags, VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES | VIR_CONNECT_BASELINE_CPU_MIGRATABLE,
                                  "CPU baseline", error))
        return NULL;
    if (!common->count) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "a baseline needs at least one CPU");
        return NULL;
    }
    if (common->baseliner)
        return write_result(common->baseliner, flags, error);
    /* Whatever s390x models have can migrate: that is what QEMU's models are made for. */
    cpu = inv_cpu_from_model_info(&common->subject->choice.facts, expand && common->full ? common->full : common->model, expand, error);
    return cpu ? inv_cpu_format(cpu) : NULL;
}

char *
inv_cpu_common_of_known(InvCpuSubject *subject, char *const *documents, guint n, unsigned int flags)
{
    g_autoptr(InvCpuBaseliner) baseliner = NULL;

    if (!subject->basis || !n || flags & ~(VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES | VIR_CONNECT_BASELINE_CPU_MIGRATABLE))
        return NULL;
    baseliner = inv_cpu_baseliner_new(subject->basis);
    for (guint i = 0; i < n; i++) {
        g_autoptr(InvCpuDocument) document = inv_cpu_documents_find(subject->documents, documents[i]);

        /* Its error is found again, and told, by who reads all of them. */
        if (!document || !add_described(baseliner, document->description, i + 1, NULL))
            return NULL;
    }
    return write_result(baseliner, flags, NULL);
}
