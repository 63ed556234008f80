/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/cpuid_data.h"
#include "cpu_driver/driver.h"
#include "cpu_driver/layers.h"
#include "util/error.h"

#include <string.h>

/* TCG has one width of physical addresses and refuses every other. */
#define TCG_PHYS_BITS 40u
#define VENDOR_ID_LENGTH 12u
/* QEMU 10 has 50 of them. */
#define MAX_WORDS 256u

/* The leaf of XSAVE: QEMU shows it to a guest with xsave only, and does not say so of the features in it. */
#define LEAF_XSAVE 0x0000000du

static const char *const arches[] = { "x86_64", "i686", NULL };

/* The feature without which @feature means nothing, or NULL. */
static const char *
owner_of(const InvCpuMap *map, const char *feature)
{
    const InvCpuMapFeature *entry = inv_cpu_map_find(map, feature);

    if (entry && !entry->is_msr && entry->mask && entry->leaf == LEAF_XSAVE)
        return "xsave";
    return entry && entry->is_msr ? inv_cpuid_msr_owner(entry->leaf) : NULL;
}

/* QEMU's words as CPUID leaves; NULL when they are none. */
static InvCpuidData *
data_of_words(const InvJson *feature_words)
{
    static const char *const registers[] = { "EAX", "EBX", "ECX", "EDX" };
    g_autoptr(InvCpuidData) data = inv_cpuid_data_new();
    guint n = inv_json_size(feature_words);

    for (guint i = 0; i < n; i++) {
        const InvJson *word = inv_json_at(feature_words, i);
        InvCpuidLeaf leaf = {
            .leaf = (guint32)inv_json_get_uint(word, "cpuid-input-eax", 0),
            .subleaf = (guint32)inv_json_get_uint(word, "cpuid-input-ecx", 0),
        };

        if (inv_cpuid_data_leaf(data, leaf.leaf, leaf.subleaf))
            continue;
        /* A word is one register: a leaf's other words come anywhere behind it. */
        for (guint k = i; k < n; k++) {
            const InvJson *other = inv_json_at(feature_words, k);
            const char *reg = inv_json_get_string(other, "cpuid-register");

            for (guint r = 0; reg && r < G_N_ELEMENTS(registers); r++) {
                if (strcmp(reg, registers[r]) == 0 && inv_json_get_uint(other, "cpuid-input-eax", 0) == leaf.leaf &&
                    inv_json_get_uint(other, "cpuid-input-ecx", 0) == leaf.subleaf)
                    leaf.regs[r] = (guint32)inv_json_get_uint(other, "features", 0);
            }
        }
        if (!inv_cpuid_data_add(data, &leaf, NULL))
            return NULL;
    }
    return g_steal_pointer(&data);
}

/* The highest leaf that a CPU has in the range of @leaf; G_MAXUINT64: not known. */
static guint64
highest_leaf(const InvJson *levels, guint32 leaf)
{
    if (leaf >= 0xc0000000u)
        return inv_json_get_uint(levels, "xlevel2", G_MAXUINT64);
    if (leaf >= 0x80000000u)
        return inv_json_get_uint(levels, "xlevel", G_MAXUINT64);
    /* A hypervisor's own leaves are shown whole. */
    return leaf >= 0x40000000u ? G_MAXUINT64 : inv_json_get_uint(levels, "level", G_MAXUINT64);
}

static gboolean
lies_beyond(const InvCpuMapFeature *feature, const InvJson *levels)
{
    return feature && !feature->is_msr && feature->mask && feature->leaf > highest_leaf(levels, feature->leaf);
}

static gboolean
hides_leaves(const InvCpuMap *map, const InvCpuExpansion *expansion)
{
    for (guint i = 0; i < inv_cpu_map_size(map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(map, i);

        if (lies_beyond(feature, expansion->others) && inv_feature_set_has(expansion->on, feature->name))
            return TRUE;
    }
    return FALSE;
}

char **
inv_cpu_hidden_features(const InvCpuMap *map, const InvJson *feature_words, const InvJson *levels)
{
    g_autoptr(GStrvBuilder) builder = g_strv_builder_new();
    g_autoptr(InvFeatureNames) names = inv_feature_names_new();
    g_autoptr(InvCpuidData) data = NULL;
    g_autoptr(InvFeatureSet) on = NULL;
    g_autofree const char **list = NULL;

    if (inv_json_type(feature_words) == INV_JSON_ARRAY && inv_json_size(feature_words) <= MAX_WORDS)
        data = data_of_words(feature_words);
    if (!data)
        return g_strv_builder_end(builder);
    on = inv_cpuid_data_features(data, map, names);
    list = inv_feature_set_list(on);
    for (guint i = 0; list[i]; i++) {
        const char *owner = owner_of(map, list[i]);

        if ((owner && !inv_feature_set_has(on, owner)) || lies_beyond(inv_cpu_map_find(map, list[i]), levels))
            g_strv_builder_add(builder, list[i]);
    }
    return g_strv_builder_end(builder);
}

static const char *
lacks_owner(const InvCpuFacts *facts, const InvCpuRequest *request, const char *feature)
{
    const char *owner = owner_of(facts->map, feature);
    const InvAsked *asked = owner ? inv_cpu_request_find(request, owner) : NULL;
    const InvCpuModel *model = owner && request->model ? inv_cpu_table_find(facts->table, request->model) : NULL;
    g_autoptr(InvFeatureSet) gives = NULL;

    if (asked)
        return asked->on ? NULL : owner;
    if (model && model->expansion)
        return inv_feature_set_has(model->expansion->on, owner) ? NULL : owner;
    /* Not known of the model: what can be had here and is filtered lacks its whole. An MSR's own bits may be filtered for more reasons. */
    gives = owner && !inv_cpu_map_find(facts->map, feature)->is_msr ? inv_cpu_host_gives(facts) : NULL;
    return gives && inv_feature_set_has(gives, feature) ? owner : NULL;
}

static char *
take_out_remedy(const InvCpu *cpu, const InvCpuRequest *request, const char *feature, const char *otherwise)
{
    const InvAsked *asked = inv_cpu_request_find(request, feature);

    if (request->held)
        return g_strconcat(otherwise, "; " INV_HELD_REMEDY, NULL);
    if (asked && asked->origin == INV_ORIGIN_USER)
        return g_strdup_printf("%s, or take it only where it can be had: <feature name='%s' policy='optional'/>", otherwise, feature);
    if (cpu && cpu->model)
        return g_strdup_printf("%s, or take it out: <feature name='%s' policy='disable'/>, or let the first start drop it: "
                               "<model check='relaxed'>",
                               otherwise, feature);
    return g_strdup_printf("%s, or take it out: <feature name='%s' policy='disable'/>", otherwise, feature);
}

/* The host gives it, and all the same not here. */
static void
explain_together(const InvCpuFacts *facts, const char *feature, InvLayer *layer, char **reason, char **advice)
{
    if (facts->accelerator == INV_VIRT_KVM) {
        *layer = INV_LAYER_MACHINE;
        *reason = g_strdup_printf("the host gives %s, but machine %s of %s does not with this model and its other features", feature,
                                  facts->machine, facts->emulator);
        *advice = g_strdup("choose a newer machine type or another model");
    } else {
        *layer = INV_LAYER_QEMU;
        *reason = g_strdup_printf("%s emulates %s (TCG), but not together with this model and its other features", facts->emulator, feature);
        *advice = g_strdup("choose another model");
    }
}

static void
explain(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRequest *request, const char *feature, InvLayer *layer, char **reason,
        char **remedy)
{
    const char *owner = lacks_owner(facts, request, feature);
    const InvCpuModel *model = request->model ? inv_cpu_table_find(facts->table, request->model) : NULL;
    const InvJson *levels = model && model->expansion ? model->expansion->others : NULL;
    const InvCpuMapFeature *entry = inv_cpu_map_find(facts->map, feature);
    g_autoptr(InvFeatureSet) gives = inv_cpu_host_gives(facts);
    gboolean host_gives = gives && inv_feature_set_has(gives, feature);
    g_autofree char *advice = NULL;

    if (owner) {
        *layer = INV_LAYER_CONFIGURATION;
        *reason = g_strdup_printf("%s is a part of %s, which this CPU does not have", feature, owner);
        *remedy = g_strdup_printf("ask for its whole: <feature name='%s' policy='require'/>, or take it out: "
                                  "<feature name='%s' policy='disable'/>",
                                  owner, feature);
        return;
    }
    if (host_gives && levels && lies_beyond(entry, levels)) {
        *layer = INV_LAYER_MACHINE;
        *reason = g_strdup_printf("%s is in CPUID leaf 0x%08x, and machine %s lets %s have leaves up to 0x%08" G_GINT64_MODIFIER "x only",
                                  feature, entry->leaf, facts->machine, request->model, highest_leaf(levels, entry->leaf));
        advice = g_strdup("choose a newer machine type");
    } else if (host_gives) {
        explain_together(facts, feature, layer, reason, &advice);
    } else {
        inv_cpu_blame(facts, feature, layer, reason, &advice);
    }
    /* KVM would show it, and other things that the guest has not seen. */
    if (request->held && facts->accelerator != INV_VIRT_KVM && *layer == INV_LAYER_QEMU) {
        g_free(advice);
        advice = g_strdup(INV_HELD_TCG_ADVICE);
    }
    *remedy = take_out_remedy(cpu, request, feature, advice);
}

/* Everything comparable that the host can really give; NULL with an error when that was not asked. */
static InvFeatureSet *
target_of_host(const InvCpuFacts *facts, const char *what, GError **error)
{
    g_autoptr(InvFeatureSet) comparable = inv_cpu_comparable(facts->map, inv_cpu_table_names(facts->table));
    InvFeatureSet *target = inv_cpu_host_gives(facts);

    if (!target) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s needs to know what the host can give, and %s did not say that on machine %s",
                      what, facts->emulator, facts->machine);
        return NULL;
    }
    inv_feature_set_intersect(target, comparable);
    return target;
}

static void
ask_list(const InvCpuFacts *facts, InvCpuRequest *request, const InvFeatureSet *set, InvCpuPolicy policy, InvOrigin origin)
{
    const InvFeatureSet *known = inv_cpu_known_features(facts, request->model);
    g_autofree const char **list = inv_feature_set_list(set);

    for (guint i = 0; list[i]; i++) {
        if (!known || inv_feature_set_has(known, list[i]))
            inv_cpu_request_ask(request, facts->map, list[i], policy, origin);
    }
}

static gboolean
host_model(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    g_autoptr(InvFeatureSet) comparable = inv_cpu_comparable(facts->map, inv_cpu_table_names(facts->table));
    g_autoptr(InvFeatureSet) target = target_of_host(facts, "mode='host-model'", error);
    g_autoptr(InvFeatureSet) gives = NULL;
    g_autoptr(InvFeatureSet) more = NULL;
    g_autoptr(InvFeatureSet) less = NULL;
    const InvCpuModel *model;

    if (!target)
        return FALSE;
    model = inv_cpu_nearest_model(facts, facts->host_vendor, target);
    if (!model)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "mode='host-model': %s has no CPU model of the host's vendor (%s) on machine %s; take mode='maximum'",
                             facts->emulator, facts->host_vendor ? facts->host_vendor : "not known", facts->machine);
    request->model = g_strdup(model->name);
    gives = inv_cpu_model_gives(facts, model, comparable);
    more = inv_feature_set_difference(target, gives);
    ask_list(facts, request, more, INV_CPU_POLICY_REQUIRE, INV_ORIGIN_HOST_MODEL);
    /* What the model has and the host has not: that is also what QEMU would filter. */
    less = inv_feature_set_copy(model->expansion->on);
    inv_feature_set_intersect(less, comparable);
    inv_feature_set_subtract(less, target);
    ask_list(facts, request, less, INV_CPU_POLICY_DISABLE, INV_ORIGIN_HOST_MODEL);
    return TRUE;
}

static void
refuse_extra(InvCpuRequest *request, const char *name)
{
    g_autofree char *reason = g_strdup_printf("match='strict' allows no feature beyond the model's, and the host gives %s", name);
    g_autofree char *remedy = g_strdup_printf("name it: <feature name='%s' policy='require'/> or policy='disable', or take match='exact'", name);

    inv_cpu_request_refuse(request, name, INV_LAYER_CONFIGURATION, reason, remedy);
}

/* minimum: the model and all that the host gives beyond it. strict: refused when the host gives anything beyond it. */
static gboolean
match(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    const InvCpuExpansion *expansion = inv_cpu_need_expansion(facts, request->model, error);
    g_autoptr(InvFeatureSet) extra = NULL;
    g_autofree const char **list = NULL;

    if (!expansion)
        return FALSE;
    extra = target_of_host(facts, request->match == INV_CPU_MATCH_MINIMUM ? "match='minimum'" : "match='strict'", error);
    if (!extra)
        return FALSE;
    inv_feature_set_subtract(extra, expansion->on);
    if (request->match == INV_CPU_MATCH_MINIMUM) {
        ask_list(facts, request, extra, INV_CPU_POLICY_REQUIRE, INV_ORIGIN_MINIMUM);
        return TRUE;
    }
    list = inv_feature_set_list(extra);
    for (guint i = 0; list[i]; i++) {
        if (!inv_cpu_request_find(request, list[i]))
            refuse_extra(request, list[i]);
    }
    return TRUE;
}

static void
check_vendor(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuRequest *request)
{
    const char *id = inv_cpu_vendor_to_id(cpu->vendor);
    gboolean kvm = facts->accelerator == INV_VIRT_KVM;
    g_autofree char *reason = NULL;

    if (g_strcmp0(id, facts->host_vendor) == 0)
        return;
    reason = g_strdup_printf("the domain wants a CPU by %s, %s is by %s", cpu->vendor, kvm ? "the host's" : "what QEMU emulates here",
                             facts->host_vendor ? inv_cpu_vendor_from_id(facts->host_vendor) : "a vendor that is not known");
    inv_cpu_request_refuse(request, "vendor", kvm ? INV_LAYER_HARDWARE : INV_LAYER_QEMU, reason,
                           kvm ? "run the domain on a host of that vendor, or take <vendor> out"
                               : "run the domain under KVM on a host of that vendor, or take <vendor> out");
}

static gboolean
add_vendor_id(const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    const char *id = cpu->vendor_id;

    /* It goes onto QEMU's command line, where a comma would begin the next property. */
    if (strlen(id) != VENDOR_ID_LENGTH || strchr(id, ','))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<model vendor_id='%.64s'>: exactly %u characters, without a comma", id,
                             VENDOR_ID_LENGTH);
    inv_cpu_request_add_property(request, "vendor=%s", id);
    return TRUE;
}

static void
add_phys_bits(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuRequest *request)
{
    gboolean kvm = facts->accelerator == INV_VIRT_KVM;
    guint bits = cpu->maxphysaddr_bits;
    gint64 host_bits = facts->host ? inv_json_get_int(facts->host->others, "phys-bits", 0) : 0;
    g_autofree char *reason = NULL;

    if (cpu->maxphysaddr == INV_CPU_MAXPHYSADDR_NONE)
        return;
    if (cpu->maxphysaddr == INV_CPU_MAXPHYSADDR_PASSTHROUGH) {
        if (!kvm)
            inv_cpu_request_refuse(request, "maxphysaddr", INV_LAYER_CONFIGURATION,
                                   "only KVM can pass on the width of the host's physical addresses; this domain runs under TCG",
                                   "run the domain under KVM (<domain type='kvm'>), or take <maxphysaddr> out");
        inv_cpu_request_add_property(request, "host-phys-bits=on");
        if (cpu->maxphysaddr_limit)
            inv_cpu_request_add_property(request, "host-phys-bits-limit=%u", cpu->maxphysaddr_limit);
        return;
    }
    if (!kvm && bits != TCG_PHYS_BITS) {
        reason = g_strdup_printf("%s emulates physical addresses of %u bits and no other (TCG), not of %u", facts->emulator,
                                 TCG_PHYS_BITS, bits);
        inv_cpu_request_refuse(request, "maxphysaddr", INV_LAYER_QEMU, reason,
                               "take <maxphysaddr> out, or run the domain under KVM (<domain type='kvm'>)");
        return;
    }
    if (kvm && host_bits > 0 && bits > (guint64)host_bits) {
        reason = g_strdup_printf("the host's physical addresses have %" G_GINT64_FORMAT " bits, the domain wants %u", host_bits, bits);
        inv_cpu_request_refuse(request, "maxphysaddr", INV_LAYER_HARDWARE, reason,
                               "ask for at most as many bits as the host has, or run the domain on a host that has more");
    }
    /* The models that follow the host take the host's width unless they are told not to. */
    if (kvm && request->mode != INV_CPU_MODE_CUSTOM && request->mode != INV_CPU_MODE_HOST_MODEL)
        inv_cpu_request_add_property(request, "host-phys-bits=off");
    inv_cpu_request_add_property(request, "phys-bits=%u", bits);
}

static gboolean
add_cache(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    switch (cpu->cache) {
    case INV_CPU_CACHE_NONE:
        return TRUE;
    case INV_CPU_CACHE_EMULATE:
        if (cpu->cache_level >= 0 && cpu->cache_level != 3)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "<cache mode='emulate' level='%d'>: QEMU can emulate level 3 only",
                                 cpu->cache_level);
        inv_cpu_request_add_property(request, "l3-cache=on");
        return TRUE;
    case INV_CPU_CACHE_PASSTHROUGH:
        if (request->mode != INV_CPU_MODE_HOST_PASSTHROUGH && request->mode != INV_CPU_MODE_MAXIMUM)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "<cache mode='passthrough'> goes with mode='host-passthrough' or mode='maximum' only");
        inv_cpu_request_add_property(request, "host-cache-info=on");
        inv_cpu_request_add_property(request, "l3-cache=off");
        return TRUE;
    case INV_CPU_CACHE_DISABLE:
        inv_cpu_request_add_property(request, "l3-cache=off");
        return TRUE;
    }
    return TRUE;
}

static gboolean
properties(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    if (cpu->vendor)
        check_vendor(facts, cpu, request);
    if (cpu->vendor_id && !add_vendor_id(cpu, request, error))
        return FALSE;
    if (cpu->migratable != INV_TRISTATE_UNSET) {
        if (request->mode != INV_CPU_MODE_HOST_PASSTHROUGH && request->mode != INV_CPU_MODE_MAXIMUM)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "<cpu migratable=> goes with mode='host-passthrough' or mode='maximum' only");
        inv_cpu_request_add_property(request, "migratable=%s", cpu->migratable == INV_TRISTATE_ON ? "on" : "off");
    }
    add_phys_bits(facts, cpu, request);
    return add_cache(facts, cpu, request, error);
}

const InvCpuDriver inv_cpu_driver_x86 = {
    .arches = arches,
    .takes_features = TRUE,
    .tells_filtered = TRUE,
    .hides_leaves = hides_leaves,
    .lacks_owner = lacks_owner,
    .host_model = host_model,
    .match = match,
    .properties = properties,
    .explain = explain,
};
