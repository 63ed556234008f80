/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The processor of this host, and for every feature who keeps it from guests. */
#include "daemon/wire_invar.h"

#include "cpu_driver/layers.h"
#include "daemon/emulator_choice.h"
#include "daemon/host.h"
#include "qemu/host_root.h"
#include "qemu/kvm.h"

static const char *
optional(char *const *text)
{
    return text ? *text : NULL;
}

static char *
text_or_empty(const char *text)
{
    return g_strdup(text ? text : "");
}

static void
fill_host(invar_host_cpu_ret *reply)
{
    g_autoptr(InvHostCpuIdentity) identity = inv_host_cpu_identity();
    g_autofree char *reason = NULL;
    g_autofree char *release = inv_root_kernel_release();

    reply->arch = g_strdup(inv_host_arch());
    reply->vendor = text_or_empty(identity->vendor_id);
    reply->name = text_or_empty(identity->model_name);
    reply->family = identity->family;
    reply->model_number = identity->model;
    reply->stepping = identity->stepping;
    reply->microcode = identity->microcode;
    reply->kernel = g_strdup_printf("Linux %s", release);
    reply->kvm = g_strdup(inv_kvm_state_to_string(inv_kvm_state(&reason)));
    reply->kvm_reason = text_or_empty(reason);
}

static void
fill_feature(invar_feature_layers *wire, const InvFeatureLayers *layers)
{
    wire->feature = g_strdup(layers->feature);
    wire->answers.answers_len = INV_LAYERS;
    wire->answers.answers_val = g_new0(int, INV_LAYERS);
    for (guint i = 0; i < INV_LAYERS; i++)
        wire->answers.answers_val[i] = layers->layers[i].answer;
    wire->available = layers->available;
    wire->migratable = layers->migratable;
    wire->layer = layers->reason ? (int)layers->layer : -1;
    wire->reason = text_or_empty(layers->reason);
    wire->remedy = text_or_empty(layers->remedy);
}

gboolean
inv_wire_host_cpu(InvDaemon *daemon, const invar_host_cpu_args *wanted, invar_host_cpu_ret *reply, GError **error)
{
    g_auto(InvEmulatorChoice) asked = { NULL };
    g_autoptr(GPtrArray) all = NULL;

    if (!inv_emulator_choose(daemon, optional(wanted->emulator), optional(wanted->arch), optional(wanted->machine),
                             optional(wanted->virttype), FALSE, &asked, error))
        return FALSE;
    fill_host(reply);
    reply->emulator = g_strdup(inv_emulator_path(asked.emulator));
    reply->emulator_version = g_strdup(inv_emulator_version_text(asked.emulator));
    reply->machine = g_strdup(asked.machine->name);
    reply->virttype = g_strdup(asked.type == INV_VIRT_KVM ? "kvm" : "qemu");
    all = inv_cpu_all_feature_layers(&asked.facts);
    reply->features.features_len = MIN(all->len, INVAR_FEATURES_MAX);
    reply->features.features_val = g_new0(invar_feature_layers, MAX(all->len, 1));
    for (guint i = 0; i < reply->features.features_len; i++)
        fill_feature(&reply->features.features_val[i], g_ptr_array_index(all, i));
    return TRUE;
}
