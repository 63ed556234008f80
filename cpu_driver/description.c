/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/description.h"

#include "cpu_driver/expand.h"
#include "util/error.h"

#include <string.h>

void
inv_cpu_description_free(InvCpuDescription *description)
{
    if (!description)
        return;
    inv_feature_set_free(description->on);
    inv_feature_set_free(description->named);
    inv_feature_set_free(description->forced);
    inv_feature_set_free(description->forbidden);
    inv_feature_set_free(description->promised);
    g_free(description->own_vendor);
    g_free(description->own_arch);
    g_free(description);
}

gboolean
inv_cpu_is_generic_model(const char *name)
{
    /* QEMU gives each a vendor id too, since CPUID must say something. */
    return g_str_has_prefix(name, "qemu32") || g_str_has_prefix(name, "qemu64") || g_str_has_prefix(name, "kvm32") ||
           g_str_has_prefix(name, "kvm64") || strcmp(name, "base") == 0;
}

gboolean
inv_cpu_same_vendor(const char *a, const char *b)
{
    return a == b || g_strcmp0(a, b) == 0;
}

static void
set_vendor(InvCpuDescription *description, const char *vendor)
{
    const char *id = vendor ? inv_cpu_vendor_to_id(inv_cpu_vendor_from_id(vendor)) : NULL;

    /* Who is known comes back as a constant, whoever is not as the caller's own text. */
    if (id == vendor && id) {
        g_free(description->own_vendor);
        id = description->own_vendor = g_strdup(id);
    }
    description->vendor = id;
}

static gboolean
follow_host(const InvCpuBasis *basis, InvCpuDescription *description, const char *what, const InvFeatureSet *host, GError **error)
{
    const InvCpuFacts *facts = inv_cpu_basis_facts(basis);

    if (!host && !facts)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "%s is a CPU only on a host; compare the host's own description, or ask a daemon on that host", what);
    if (!host)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "%s needs to know what the host can give, and %s did not say that on machine %s", what,
                             facts->emulator, facts->machine);
    description->on = inv_feature_set_copy(host);
    if (facts)
        set_vendor(description, facts->host_vendor);
    if (facts && facts->host)
        description->phys_bits = (guint)CLAMP(inv_json_get_int(facts->host->others, "phys-bits", 0), 0, G_MAXUINT8);
    return TRUE;
}

static gboolean
refuse_no_model(const InvCpuBasis *basis, const InvCpu *cpu, GError **error)
{
    const InvCpuFacts *facts = inv_cpu_basis_facts(basis);

    if (cpu->arch)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "<cpu>: the description of a host's CPU needs a <model>");
    if (!facts)
        return inv_error_set(error, VIR_ERR_XML_ERROR, "<cpu> needs a <model>: which CPU a machine has by default, only its QEMU can tell");
    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<cpu> needs a <model>: machine %s of %s has no default CPU model",
                         facts->machine, facts->emulator);
}

static gboolean
has_vmx(const InvCpuBasis *basis, const InvCpu *cpu, const InvFeatureSet *base)
{
    const InvCpuFeature *feature = inv_cpu_find_feature(cpu, "vmx");
    guint vmx;

    if (!inv_cpu_basis_vmx(basis, &vmx))
        return FALSE;
    if (!feature)
        return inv_feature_set_has_number(base, vmx);
    switch (feature->policy) {
    case INV_CPU_POLICY_UNSET:
    case INV_CPU_POLICY_REQUIRE:
    case INV_CPU_POLICY_FORCE:
        return TRUE;
    case INV_CPU_POLICY_OPTIONAL:
    case INV_CPU_POLICY_DISABLE:
    case INV_CPU_POLICY_FORBID:
        return FALSE;
    }
    return FALSE;
}

static gboolean
take_model(const InvCpuBasis *basis, const InvCpu *cpu, InvCpuDescription *description, const InvFeatureSet *host, GError **error)
{
    const InvCpuFacts *facts = inv_cpu_basis_facts(basis);
    const char *name = cpu->model ? cpu->model : facts && !cpu->arch ? facts->default_model : NULL;
    InvCpuBasisModel model;

    if (!name)
        return refuse_no_model(basis, cpu, error);
    if (strcmp(name, "host") == 0 || strcmp(name, "max") == 0) {
        description->passes_host = *name == 'h';
        return follow_host(basis, description, description->passes_host ? "model 'host'" : "model 'max'", host, error);
    }
    if (!inv_cpu_basis_find_model(basis, name, &model, error))
        return FALSE;
    description->model = model.name;
    description->level = model.level;
    description->xlevel = model.xlevel;
    set_vendor(description, model.vendor);
    description->on = inv_feature_set_copy(inv_cpu_basis_model_set(&model, inv_cpu_tells_vmx_parts(cpu) && has_vmx(basis, cpu, model.on)));
    return TRUE;
}

static gboolean
take_base(const InvCpuBasis *basis, const InvCpu *cpu, InvCpuDescription *description, const InvFeatureSet *host, GError **error)
{
    switch (cpu->mode) {
    case INV_CPU_MODE_UNSET:
    case INV_CPU_MODE_CUSTOM:
        return take_model(basis, cpu, description, host, error);
    case INV_CPU_MODE_HOST_PASSTHROUGH:
        description->passes_host = TRUE;
        return follow_host(basis, description, "mode='host-passthrough'", host, error);
    case INV_CPU_MODE_HOST_MODEL:
        return follow_host(basis, description, "mode='host-model'", host, error);
    case INV_CPU_MODE_MAXIMUM:
        return follow_host(basis, description, "mode='maximum'", host, error);
    }
    return TRUE;
}

static void
drop(InvCpuDescription *description, guint number)
{
    inv_feature_set_remove_number(description->on, number);
    inv_feature_set_remove_number(description->promised, number);
}

static void
take_policy(InvCpuDescription *description, const InvCpuBasisFeature *feature, InvCpuPolicy policy)
{
    guint number = feature->number;

    switch (policy) {
    case INV_CPU_POLICY_UNSET:
        inv_feature_set_add_number(description->on, number);
        return;
    case INV_CPU_POLICY_REQUIRE:
        inv_feature_set_add_number(description->on, number);
        if (feature->promisable)
            inv_feature_set_add_number(description->promised, number);
        return;
    case INV_CPU_POLICY_FORCE:
        inv_feature_set_add_number(description->on, number);
        inv_feature_set_add_number(description->forced, number);
        return;
    case INV_CPU_POLICY_FORBID:
        if (feature->promisable)
            inv_feature_set_add_number(description->forbidden, number);
        drop(description, number);
        return;
    case INV_CPU_POLICY_OPTIONAL:
    case INV_CPU_POLICY_DISABLE:
        drop(description, number);
        return;
    }
}

static gboolean
take_features(const InvCpuBasis *basis, const InvCpu *cpu, InvCpuDescription *description, GError **error)
{
    for (guint i = 0; i < cpu->features->len; i++) {
        const InvCpuFeature *feature = g_ptr_array_index(cpu->features, i);
        const InvCpuBasisFeature *known;
        const char *name = inv_cpu_basis_canonical(basis, feature->name, &known, error);
        guint number;

        if (!name)
            return FALSE;
        number = known ? known->number : inv_feature_names_intern(inv_cpu_basis_names(basis), name);
        if (inv_feature_set_has_number(description->named, number))
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU feature '%s' is given twice, perhaps in two spellings", name);
        inv_feature_set_add_number(description->named, number);
        /* A name without a bit tells nothing of the processor. */
        if (known && known->entry->mask)
            take_policy(description, known, feature->policy);
    }
    return TRUE;
}

static InvCpuDescription *
new_description(const InvCpuBasis *basis)
{
    InvCpuDescription *description = g_new0(InvCpuDescription, 1);
    InvFeatureNames *names = inv_cpu_basis_names(basis);

    description->arch = inv_cpu_basis_arch(basis);
    description->named = inv_feature_set_new(names);
    description->forced = inv_feature_set_new(names);
    description->forbidden = inv_feature_set_new(names);
    return description;
}

static InvCpuDescription *
describe_foreign(const InvCpuBasis *basis, const InvCpu *cpu)
{
    InvCpuDescription *description = new_description(basis);

    description->foreign = TRUE;
    description->arch = description->own_arch = g_strdup(cpu->arch);
    description->match = cpu->match;
    description->on = inv_feature_set_new(inv_cpu_basis_names(basis));
    description->promised = inv_feature_set_new(inv_cpu_basis_names(basis));
    return description;
}

/* What a model has it has whole, whether or not that can migrate: without it QEMU would filter. */
static void
promise_model(const InvCpuBasis *basis, InvCpuDescription *description)
{
    if (!description->model) {
        description->promised = inv_feature_set_new(inv_cpu_basis_names(basis));
        return;
    }
    description->promised = inv_feature_set_copy(description->on);
    inv_feature_set_intersect(description->promised, inv_cpu_basis_promisable(basis));
    inv_feature_set_intersect(description->promised, inv_cpu_basis_describable(basis));
}

InvCpuDescription *
inv_cpu_describe(const InvCpuBasis *basis, const InvCpu *cpu, const InvFeatureSet *host, GError **error)
{
    g_autoptr(InvCpuDescription) description = NULL;

    if (cpu->features->len > INV_CPU_MAX_PROPERTIES) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the <cpu> names %u features; no CPU has more than %u", cpu->features->len,
                      INV_CPU_MAX_PROPERTIES);
        return NULL;
    }
    if (!inv_cpu_basis_arch_fits(basis, cpu->arch))
        return describe_foreign(basis, cpu);
    if (!inv_cpu_basis_can_describe(basis, "describing CPUs", error))
        return NULL;
    description = new_description(basis);
    description->match = cpu->match;
    if (!take_base(basis, cpu, description, host, error))
        return NULL;
    /* The parts go before anything named, so that the order of the document never matters. */
    if (!has_vmx(basis, cpu, description->on))
        inv_feature_set_subtract(description->on, inv_cpu_basis_vmx_parts(basis));
    promise_model(basis, description);
    if (!take_features(basis, cpu, description, error))
        return NULL;
    if (cpu->vendor) {
        description->names_vendor = TRUE;
        set_vendor(description, cpu->vendor);
    }
    if (cpu->maxphysaddr == INV_CPU_MAXPHYSADDR_EMULATE && cpu->maxphysaddr_bits) {
        description->phys_bits = cpu->maxphysaddr_bits;
        description->wants_phys_bits = TRUE;
    }
    inv_feature_set_intersect(description->on, inv_cpu_basis_describable(basis));
    return g_steal_pointer(&description);
}

InvCpuDescription *
inv_cpu_describe_machine(const InvCpuBasis *basis, const InvCpuSeen *seen, GError **error)
{
    InvFeatureNames *names = inv_cpu_basis_names(basis);
    g_autoptr(InvCpuDescription) description = NULL;

    if (!inv_cpu_basis_can_describe(basis, "describing machines", error))
        return NULL;
    description = new_description(basis);
    description->whole = TRUE;
    description->names_vendor = seen->vendor != NULL;
    description->phys_bits = seen->phys_bits;
    description->level = seen->level;
    description->xlevel = seen->xlevel;
    set_vendor(description, seen->vendor);
    if (inv_feature_set_names(seen->features) == names) {
        description->on = inv_feature_set_copy(seen->features);
    } else {
        g_autofree const char **list = inv_feature_set_list(seen->features);

        description->on = inv_feature_set_new(names);
        inv_feature_set_add_list(description->on, list);
    }
    inv_feature_set_intersect(description->on, inv_cpu_basis_describable(basis));
    description->promised = inv_feature_set_copy(description->on);
    inv_feature_set_intersect(description->promised, inv_cpu_basis_promisable(basis));
    return g_steal_pointer(&description);
}
