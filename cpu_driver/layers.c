/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Hardware, kernel, QEMU, machine type, configuration: who of them keeps a feature from guests. */
#include "cpu_driver/layers.h"

#include "cpu_driver/driver.h"

#include <string.h>

#define INTEL "GenuineIntel"

/* What there is to know of one feature. All borrowed. */
typedef struct {
    const InvCpuFacts *facts;
    const char *name;
    const InvCpuMapFeature *entry; /* NULL: not in the map */
    InvCpuLimit limit;
    gboolean kvm;
    int hardware, kernel, known, given; /* 1, 0, -1: not known */
} Subject;

void
inv_feature_layers_free(InvFeatureLayers *layers)
{
    if (!layers)
        return;
    for (guint i = 0; i < INV_LAYERS; i++)
        g_free(layers->layers[i].text);
    g_free(layers->reason);
    g_free(layers->remedy);
    g_free(layers);
}

/* Of an accelerator's own, and no processor's. */
static gboolean
is_added(const char *name)
{
    return g_str_has_prefix(name, "kvm-") || g_str_has_prefix(name, "kvm_") || g_str_has_prefix(name, "hv-");
}

/* What QEMU leaves out of its host CPU under KVM, whatever KVM offers, and gives to whoever names it (QEMU 7.2 and 10.0). */
static gboolean
is_on_request(const Subject *subject)
{
    return g_str_has_prefix(subject->name, "hv-") || strcmp(subject->name, "kvm-hint-dedicated") == 0 ||
        (strcmp(subject->name, "topoext") == 0 && subject->kernel == 1);
}

static int
has(const InvFeatureSet *set, const char *name)
{
    return set ? inv_feature_set_has(set, name) : -1;
}

static gboolean
is_filtered(const InvCpuFacts *facts, const char *name)
{
    return facts->host_unavailable && g_strv_contains(facts->host_unavailable, name);
}

static Subject
look_at(const InvCpuFacts *facts, const char *name)
{
    const InvCpuMapFeature *entry = inv_cpu_map_find(facts->map, name);
    gboolean bit = entry && entry->mask;
    Subject subject = {
        .facts = facts,
        .name = name,
        .entry = entry,
        .limit = inv_cpu_host_limits_find(facts->limits, name),
        .kvm = facts->accelerator == INV_VIRT_KVM,
        .hardware = bit ? has(facts->hardware, name) : -1,
        .kernel = bit ? has(facts->kernel, name) : -1,
        .known = facts->host ? inv_feature_set_has(facts->host->known, name) : -1,
        .given = facts->host ? inv_feature_set_has(facts->host->on, name) && !is_filtered(facts, name) : -1,
    };

    /* What stands in an MSR is mostly not known: the kernel rarely lets it be read. */
    if (entry && entry->is_msr && subject.hardware == 0)
        subject.hardware = -1;
    if (entry && !entry->passed) {
        subject.known = 0;
        subject.given = entry->by_guest;
    }
    /* QEMU's host leaves out what cannot migrate, and gives it to whoever names it. */
    if (subject.kvm && entry && !entry->migratable && subject.known == 1 && subject.given == 0 &&
        (subject.kernel == 1 || (subject.kernel < 0 && subject.hardware == 1)))
        subject.given = 1;
    if (subject.kvm && subject.known == 1 && subject.given == 0 && is_on_request(&subject))
        subject.given = -1;
    /* All rows are of Intel's chips. */
    if (g_strcmp0(facts->host_vendor, INTEL) != 0)
        subject.limit.microcode = NULL;
    return subject;
}

static const char *
kernel_name(const Subject *subject)
{
    const char *kernel = inv_cpu_host_limits_kernel(subject->facts->limits);

    return kernel ? kernel : "its kernel";
}

static char *
newer_kernel(const Subject *subject)
{
    if (subject->limit.linux_since)
        return g_strdup_printf("run Linux %s or newer on this host", subject->limit.linux_since);
    if (strcmp(subject->name, "vmx") == 0)
        return g_strdup("load the kernel's module kvm_intel with nested=1");
    if (strcmp(subject->name, "svm") == 0)
        return g_strdup("load the kernel's module kvm_amd with nested=1");
    return g_strdup("run a newer kernel on this host, or look at the parameters of its module kvm");
}

/* The processor has it, KVM does not offer it. */
static void
blame_kernel(const Subject *subject, InvLayer *layer, char **reason, char **advice)
{
    if (subject->limit.setting && !subject->limit.hides_cpuid) {
        *layer = INV_LAYER_CONFIGURATION;
        *reason = g_strdup_printf("the host's processor has %s, and %s keeps it from guests", subject->name, subject->limit.setting);
        *advice = g_strdup(subject->limit.remedy);
        return;
    }
    *layer = INV_LAYER_KERNEL;
    if (subject->limit.erratum) {
        *reason = g_strdup_printf("the host's processor shows %s, its kernel (KVM) does not offer what is broken on it (%s)", subject->name,
                                  subject->limit.erratum);
        *advice = g_strdup("update the host's microcode, or run the domain on a host whose processor is not affected");
        return;
    }
    *advice = newer_kernel(subject);
    if (subject->limit.linux_since)
        *reason = g_strdup_printf("the host's processor has %s, its kernel (%s, KVM) does not offer it to guests; Linux %s does",
                                  subject->name, kernel_name(subject), subject->limit.linux_since);
    else
        *reason = g_strdup_printf("the host's processor has %s, its kernel (KVM) does not offer it to guests", subject->name);
}

/* CPUID does not show it: nor would it, once a setting or microcode took it away. */
static void
blame_hardware(const Subject *subject, InvLayer *layer, char **reason, char **advice)
{
    const InvFeatureSet *hardware = subject->facts->hardware;

    *layer = INV_LAYER_HARDWARE;
    *advice = g_strdup("run the domain on a host whose processor has it");
    if (subject->limit.setting && subject->limit.hides_cpuid && hardware && inv_feature_set_has(hardware, "tsx-ctrl")) {
        *layer = INV_LAYER_CONFIGURATION;
        *reason = g_strdup_printf("%s takes %s from the host's processor", subject->limit.setting, subject->name);
        g_free(*advice);
        *advice = g_strdup(subject->limit.remedy);
    } else if (subject->limit.microcode) {
        *reason = g_strdup_printf("the host's processor does not have %s (%s)", subject->name, subject->limit.microcode);
    } else {
        *reason = g_strdup_printf("the host's processor does not have %s", subject->name);
    }
}

static void
blame_tcg(const Subject *subject, InvLayer *layer, char **reason, char **advice)
{
    *layer = INV_LAYER_QEMU;
    *reason = g_strdup_printf("%s does not emulate %s (TCG)", subject->facts->emulator, subject->name);
    *advice = g_strdup("run the domain under KVM (<domain type='kvm'>) on a host whose CPU has it");
}

/* KVM offers it, or what KVM offers does not tell of it. */
static void
blame_qemu(const Subject *subject, InvLayer *layer, char **reason, char **advice)
{
    const InvCpuFacts *facts = subject->facts;

    if (subject->known == 1 && subject->limit.machine_setting) {
        g_autofree char *values = g_strjoinv(" or ", (char **)subject->limit.machine_values);

        *layer = INV_LAYER_CONFIGURATION;
        *reason = g_strdup_printf("%s goes with %s=%s only, and machine %s of %s is set otherwise", subject->name,
                                  subject->limit.machine_setting, values, facts->machine, facts->emulator);
        *advice = g_strdup(subject->limit.machine_remedy);
        return;
    }
    if (subject->known == 1 && subject->kernel == 1) {
        *layer = INV_LAYER_MACHINE;
        *reason = g_strdup_printf("the host's kernel (KVM) offers %s and %s knows it, machine %s does not give it to guests", subject->name,
                                  facts->emulator, facts->machine);
        *advice = g_strdup("choose another machine type, or use a newer QEMU");
        return;
    }
    if (subject->known == 1 && is_added(subject->name)) {
        /* What KVM says of these has no place in the map; QEMU gives what it knows and KVM offers. */
        *layer = INV_LAYER_KERNEL;
        *reason = g_strdup_printf("%s knows %s, and does not give it to guests of machine %s with this kernel's KVM", facts->emulator,
                                  subject->name, facts->machine);
        *advice = g_strdup("run a newer kernel on this host");
        return;
    }
    *layer = INV_LAYER_QEMU;
    *advice = g_strdup("use a newer QEMU");
    if (subject->known == 1)
        *reason = g_strdup_printf("%s does not give %s to guests of machine %s here", facts->emulator, subject->name, facts->machine);
    else if (subject->kernel == 1)
        *reason = g_strdup_printf("the host's kernel (KVM) offers %s, %s does not pass it on to machine %s", subject->name, facts->emulator,
                                  facts->machine);
    else
        *reason = g_strdup_printf("%s does not know %s", facts->emulator, subject->name);
}

static void
blame(const Subject *subject, InvLayer *layer, char **reason, char **advice)
{
    if (subject->entry && !subject->entry->passed) {
        *layer = INV_LAYER_QEMU;
        *reason = g_strdup_printf("QEMU does not know %s", subject->name);
        *advice = g_strdup("no QEMU can give it to a guest");
    } else if (!subject->kvm) {
        blame_tcg(subject, layer, reason, advice);
    } else if (subject->kernel == 1) {
        blame_qemu(subject, layer, reason, advice);
    } else if (subject->hardware == 1) {
        blame_kernel(subject, layer, reason, advice);
    } else if (subject->hardware == 0) {
        blame_hardware(subject, layer, reason, advice);
    } else if (subject->entry && subject->entry->mask) {
        *layer = INV_LAYER_HARDWARE;
        *reason = g_strdup_printf("the host (hardware or kernel) does not give %s", subject->name);
        *advice = g_strdup("run the domain on a host that has it");
    } else {
        blame_qemu(subject, layer, reason, advice);
    }
}

void
inv_cpu_blame(const InvCpuFacts *facts, const char *feature, InvLayer *layer, char **reason, char **advice)
{
    const Subject subject = look_at(facts, feature);

    blame(&subject, layer, reason, advice);
}

static void
set_answer(InvFeatureLayers *layers, InvLayer layer, int answer, char *text)
{
    layers->layers[layer] = (InvLayerAnswer){ .answer = answer, .text = text };
}

static char *
hardware_text(const Subject *subject)
{
    if (!subject->entry || !subject->entry->mask)
        return g_strdup("it is no feature of a processor");
    if (subject->hardware < 0)
        return g_strdup(subject->entry->is_msr ? "it stands in an MSR, which was not read" : "this host's processor was not read");
    if (subject->hardware)
        return g_strdup("this host's processor has it");
    return subject->limit.microcode ? g_strdup_printf("this host's processor does not have it (%s)", subject->limit.microcode)
                                    : g_strdup("this host's processor does not have it");
}

static char *
kernel_text(const Subject *subject)
{
    if (!subject->kvm)
        return g_strdup("not asked: under TCG no kernel feature is used");
    if (subject->kernel < 0)
        return g_strdup(subject->entry && subject->entry->mask ? "KVM was not asked" : "KVM has no bit for it");
    if (subject->kernel)
        return g_strdup("KVM offers it to guests");
    if (subject->given == 1)
        return g_strdup("KVM does not list it, and QEMU adds it");
    if (subject->limit.linux_since)
        return g_strdup_printf("KVM of %s does not offer it to guests; Linux %s does", kernel_name(subject), subject->limit.linux_since);
    return g_strdup("KVM does not offer it to guests");
}

static char *
qemu_text(const Subject *subject)
{
    const char *emulator = subject->facts->emulator;

    if (subject->entry && !subject->entry->passed)
        return g_strdup(subject->entry->by_guest ? "QEMU has no property for it: the guest's own system sets it" : "no QEMU can give it to a guest");
    if (subject->known < 0)
        return g_strdup_printf("%s was not asked", emulator);
    if (!subject->known)
        return g_strdup_printf("%s does not know it", emulator);
    if (subject->kvm)
        return g_strdup_printf("%s knows it", emulator);
    return g_strdup_printf("%s knows it, and its TCG %s it", emulator, subject->given ? "emulates" : "does not emulate");
}

static char *
machine_text(const Subject *subject)
{
    const char *machine = subject->facts->machine;

    if (subject->given < 0)
        return g_strdup_printf("%s: %s", machine,
                               subject->known == 1 ? "only a guest that names it may have it, which was not tried" : "not known");
    if (!subject->given)
        return g_strdup_printf("%s: a guest cannot have it", machine);
    return g_strdup_printf("%s: a guest can have it%s", machine,
                           subject->entry && !subject->entry->migratable ? ", and cannot migrate then" : "");
}

static void
answer_configuration(const Subject *subject, InvFeatureLayers *layers)
{
    /* A setting that this processor does not heed, or that hides what was never there, forbids nothing. */
    gboolean forbids = layers->available == 0 && layers->layer == INV_LAYER_CONFIGURATION;
    const char *setting = subject->limit.setting ? subject->limit.setting : subject->limit.machine_setting;

    if (!subject->kvm)
        set_answer(layers, INV_LAYER_CONFIGURATION, -1, g_strdup("not asked: under TCG no setting of the kernel matters"));
    else if (!subject->facts->limits)
        set_answer(layers, INV_LAYER_CONFIGURATION, -1, g_strdup("the settings of the kernel were not read"));
    else if (forbids)
        set_answer(layers, INV_LAYER_CONFIGURATION, 0, g_strdup_printf("%s forbids it", setting));
    else
        set_answer(layers, INV_LAYER_CONFIGURATION, 1, g_strdup("no setting that is known forbids it"));
}

InvFeatureLayers *
inv_cpu_feature_layers(const InvCpuFacts *facts, const char *feature)
{
    const Subject subject = look_at(facts, feature);
    InvFeatureLayers *layers = g_new0(InvFeatureLayers, 1);

    layers->feature = subject.entry ? subject.entry->name : g_intern_string(feature);
    layers->migratable = !subject.entry || subject.entry->migratable;
    layers->available = subject.given;
    if (layers->available == 0)
        blame(&subject, &layers->layer, &layers->reason, &layers->remedy);
    set_answer(layers, INV_LAYER_HARDWARE, subject.hardware, hardware_text(&subject));
    set_answer(layers, INV_LAYER_KERNEL, subject.kvm ? subject.kernel : -1, kernel_text(&subject));
    set_answer(layers, INV_LAYER_QEMU, !subject.kvm && subject.known == 1 ? subject.given : subject.known, qemu_text(&subject));
    set_answer(layers, INV_LAYER_MACHINE, subject.given, machine_text(&subject));
    answer_configuration(&subject, layers);
    return layers;
}

static void
free_layers(gpointer data)
{
    inv_feature_layers_free(data);
}

GPtrArray *
inv_cpu_all_feature_layers(const InvCpuFacts *facts)
{
    InvFeatureNames *names = inv_cpu_table_names(facts->table);
    g_autoptr(InvFeatureSet) wanted = inv_feature_set_new(names);
    g_autofree const char **known = facts->host ? inv_feature_set_list(facts->host->known) : NULL;
    g_autofree const char **list = NULL;
    GPtrArray *all = g_ptr_array_new_with_free_func(free_layers);

    for (guint i = 0; i < inv_cpu_map_size(facts->map); i++) {
        const InvCpuMapFeature *feature = inv_cpu_map_at(facts->map, i);

        if (feature->mask)
            inv_feature_set_add(wanted, feature->name);
    }
    for (guint i = 0; known && known[i]; i++) {
        if (!inv_cpu_map_size(facts->map) || is_added(known[i]))
            inv_feature_set_add(wanted, known[i]);
    }
    list = inv_feature_set_list(wanted);
    for (guint i = 0; list[i]; i++)
        g_ptr_array_add(all, inv_cpu_feature_layers(facts, list[i]));
    return all;
}
