/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef HAVE_CONFIG_H
#include <config.h> /* strverscmp() is GNU's; in quotes it would be daemon/config.h */
#endif

#include "daemon/domain_capabilities.h"

#include "cpu_driver/followed.h"
#include "daemon/device_capabilities.h"
#include "daemon/firmware.h"
#include "daemon/guest_arch.h"
#include "daemon/host.h"
#include "daemon/host_cpu.h"
#include "daemon/xml_out.h"
#include "util/error.h"

#include <libvirt/libvirt.h>
#include <string.h>

/* The first libvirt whose clients and schemas all know <blockers> and canonical=. */
#define LIBVIRT_WITH_BLOCKERS 11000000

/* What a question is about, with every default filled in. */
typedef struct {
    InvEmulator *emulator;     /* owned */
    const InvMachine *machine; /* the emulator's */
    InvVirtType accelerator;
    InvCpuFacts facts;
} Target;

static void
target_clear(Target *target)
{
    g_clear_pointer(&target->emulator, inv_emulator_unref);
}

G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Target, target_clear)

static guint
remaining_ms(gint64 end)
{
    gint64 left = (end - g_get_monotonic_time()) / 1000;

    return left > 1 ? (guint)left : 1;
}

static gboolean
check_arch(const char *arch, GError **error)
{
    const char *nearest;

    if (!arch || inv_guest_arch_word_size(arch))
        return TRUE;
    nearest = inv_guest_arch_nearest(arch);
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "unknown architecture '%s'%s%s%s", arch, nearest ? ": did you mean '" : "",
                         nearest ? nearest : "", nearest ? "'?" : "");
}

static gboolean
choose_accelerator(Target *target, const char *virttype, GError **error)
{
    if (!virttype) {
        target->accelerator = inv_emulator_check_accelerator(target->emulator, INV_VIRT_KVM, NULL) ? INV_VIRT_KVM : INV_VIRT_QEMU;
        return TRUE;
    }
    if (g_str_equal(virttype, "qemu"))
        target->accelerator = INV_VIRT_QEMU;
    else if (g_str_equal(virttype, "kvm"))
        target->accelerator = INV_VIRT_KVM;
    else
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "unknown virtualization type '%s': Invar has 'kvm' and 'qemu'", virttype);
    return inv_emulator_check_accelerator(target->emulator, target->accelerator, error);
}

static gboolean
target_find(Target *target, InvEmulators *emulators, const char *emulatorbin, const char *arch, const char *machine,
            const char *virttype, gint64 end, GError **error)
{
    if (!check_arch(arch, error))
        return FALSE;
    if (!arch && !emulatorbin)
        arch = inv_host_arch();
    target->emulator = inv_emulators_get(emulators, emulatorbin, arch, remaining_ms(end), error);
    if (!target->emulator || !choose_accelerator(target, virttype, error))
        return FALSE;
    target->machine = inv_emulator_usual_machine(target->emulator, machine, error);
    return target->machine != NULL;
}

gboolean
inv_domain_capabilities_watch(InvEmulators *emulators, const char *emulatorbin, const char *arch, const char *virttype,
                              guint deadline_ms, InvFreshness *freshness, GError **error)
{
    g_autoptr(InvEmulator) emulator = NULL;

    inv_kvm_watch(freshness, g_strcmp0(virttype, "qemu") != 0);
    inv_emulators_watch(emulators, emulatorbin, freshness);
    emulator = inv_emulators_get(emulators, emulatorbin, arch || emulatorbin ? arch : inv_host_arch(), deadline_ms, error);
    if (!emulator)
        return FALSE;
    inv_emulators_watch(emulators, inv_emulator_path(emulator), freshness);
    inv_firmware_watch(NULL, freshness);
    return TRUE;
}

/* What the document says of CPUs: elsewhere than on x86 host-model stands on what QEMU calls the host alone. */
static InvExpansions
needed_expansions(const Target *target)
{
    return inv_guest_arch_is_x86(inv_emulator_arch(target->emulator)) ? INV_EXPANSIONS_FOLLOWED : INV_EXPANSIONS_HOST;
}

static gboolean
ask_cpu_facts(Target *target, InvExpansions expansions, gint64 end, GError **error)
{
    return inv_emulator_cpu_facts(target->emulator, target->accelerator, target->machine->name, expansions, remaining_ms(end),
                                  &target->facts, error);
}

static void
open_mode(InvXmlOut *out, const char *name, gboolean supported)
{
    inv_xml_out_open(out, "mode");
    inv_xml_out_attribute(out, "name", name);
    inv_xml_out_attribute(out, "supported", supported ? "yes" : "no");
}

static void
write_follower_mode(InvXmlOut *out, const char *mode, const char *enum_name, gboolean supported)
{
    open_mode(out, mode, supported);
    if (supported)
        inv_device_capabilities_write_enum(out, enum_name, (const char *const[]){ "on", "off", NULL });
    inv_xml_out_close(out);
}

/* "MODEL,aes=on,pni=off,vendor=…" → require aes, disable pni: QEMU's argument is what host-model really means. */
static void
write_argument_features(InvXmlOut *out, const InvCpuFacts *facts, const char *argument)
{
    g_auto(GStrv) parts = g_strsplit(argument, ",", -1);

    for (char **part = parts + 1; *parts && *part; part++) {
        char *value = strchr(*part, '=');
        gboolean on;

        if (!value)
            continue;
        *value++ = '\0';
        on = g_str_equal(value, "on");
        if (!on && !g_str_equal(value, "off"))
            continue;
        inv_xml_out_open(out, "feature");
        inv_xml_out_attribute(out, "policy", on ? "require" : "disable");
        inv_xml_out_attribute(out, "name", inv_cpu_map_to_libvirt(facts->map, *part));
        inv_xml_out_close(out);
    }
}

static void
write_host_model(InvXmlOut *out, const InvCpuFacts *facts)
{
    g_autoptr(InvCpu) cpu = inv_cpu_new();
    g_autoptr(InvCpuRequest) request = NULL;
    g_autofree char *argument = NULL;
    g_autoptr(GError) error = NULL;

    cpu->mode = INV_CPU_MODE_HOST_MODEL;
    request = inv_cpu_resolve(facts, cpu, &error);
    argument = request ? inv_cpu_request_argument(request, FALSE) : NULL;
    if (!argument || !inv_cpu_request_model(request)) {
        g_debug("host-model is not supported on %s: %s", facts->machine, error ? error->message : "QEMU chooses the CPU");
        open_mode(out, "host-model", FALSE);
        inv_xml_out_close(out);
        return;
    }
    open_mode(out, "host-model", TRUE);
    inv_xml_out_open(out, "model");
    inv_xml_out_attribute(out, "fallback", "forbid");
    inv_xml_out_text(out, inv_cpu_model_client_name(facts->table, inv_cpu_request_model(request)));
    inv_xml_out_close(out);
    if (facts->host_vendor)
        inv_xml_out_element(out, "vendor", inv_cpu_vendor_from_id(facts->host_vendor));
    write_argument_features(out, facts, argument);
    inv_xml_out_close(out);
}

static const char *
usable_word(const InvCpuModel *model)
{
    if (!model->has_usable)
        return "unknown";
    return model->unavailable && *model->unavailable ? "no" : "yes";
}

static void
write_model(InvXmlOut *out, const InvCpuFacts *facts, const InvCpuModel *model, gboolean blockers)
{
    const char *id = inv_cpu_vendor_of_model(facts->table, facts->models, facts->accelerator, model);
    const char *vendor = id ? inv_cpu_vendor_from_id(id) : NULL;

    inv_xml_out_open(out, "model");
    inv_xml_out_attribute(out, "usable", usable_word(model));
    if (model->deprecated)
        inv_xml_out_attribute(out, "deprecated", "yes");
    inv_xml_out_attribute(out, "vendor", vendor ? vendor : "unknown");
    if (blockers)
        inv_xml_out_attribute(out, "canonical", model->alias_of);
    inv_xml_out_text(out, model->name);
    inv_xml_out_close(out);
    if (!blockers || !model->has_usable || !model->unavailable || !*model->unavailable)
        return;
    inv_xml_out_open(out, "blockers");
    inv_xml_out_attribute(out, "model", model->name);
    for (char **feature = model->unavailable; *feature; feature++)
        inv_xml_out_element_with(out, "feature", "name", *feature);
    inv_xml_out_close(out);
}

/* Alphabetically, but numbers by value: EPYC-v2 before EPYC-v10. */
static int
compare_models(gconstpointer a, gconstpointer b)
{
    return strverscmp((*(const InvCpuModel *const *)a)->name, (*(const InvCpuModel *const *)b)->name);
}

/* Models that a domain can name with mode='custom'; borrowed from the table. */
static GPtrArray *
custom_models(const InvCpuTable *table)
{
    GPtrArray *models = g_ptr_array_new();

    for (guint i = 0; i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(table, i);

        if (!inv_cpu_model_is_generic(model->name))
            g_ptr_array_add(models, (gpointer)model);
    }
    g_ptr_array_sort(models, compare_models);
    return models;
}

static void
write_cpu(InvXmlOut *out, const Target *target, gboolean blockers)
{
    const InvCpuFacts *facts = &target->facts;
    g_autoptr(GPtrArray) models = custom_models(facts->table);

    inv_xml_out_open(out, "cpu");
    write_follower_mode(out, "host-passthrough", "hostPassthroughMigratable", target->accelerator == INV_VIRT_KVM);
    write_follower_mode(out, "maximum", "maximumMigratable", inv_cpu_table_find(facts->table, "max") != NULL);
    write_host_model(out, facts);
    open_mode(out, "custom", models->len > 0);
    for (guint i = 0; i < models->len; i++)
        write_model(out, facts, g_ptr_array_index(models, i), blockers);
    inv_xml_out_close(out);
    inv_xml_out_close(out);
}

char *
inv_domain_capabilities_format_full(InvEmulators *emulators, const char *emulatorbin, const char *arch, const char *machine,
                                    const char *virttype, gboolean blockers, guint deadline_ms, GError **error)
{
    gint64 end = g_get_monotonic_time() + (gint64)deadline_ms * 1000;
    g_autoptr(InvXmlOut) out = NULL;
    g_autoptr(GError) cpu_error = NULL;
    g_auto(Target) target = { NULL };

    if (!target_find(&target, emulators, emulatorbin, arch, machine, virttype, end, error))
        return NULL;
    if (!ask_cpu_facts(&target, needed_expansions(&target), end, &cpu_error)) {
        /* Boards that QEMU does not even start without a kernel image are asked about too: there it is silent on CPUs. */
        if (inv_guest_arch_is_x86(inv_emulator_arch(target.emulator)) || inv_error_code(cpu_error) == VIR_ERR_OPERATION_TIMEOUT) {
            g_propagate_error(error, g_steal_pointer(&cpu_error));
            return NULL;
        }
        g_info("The domain capabilities of %s say nothing of CPUs: %s", target.machine->name, cpu_error->message);
    }
    out = inv_xml_out_new();
    inv_xml_out_open(out, "domainCapabilities");
    inv_xml_out_element(out, "path", inv_emulator_path(target.emulator));
    inv_xml_out_element(out, "domain", target.accelerator == INV_VIRT_KVM ? "kvm" : "qemu");
    inv_xml_out_element(out, "machine", target.machine->name);
    inv_xml_out_element(out, "arch", inv_emulator_arch(target.emulator));
    if (target.machine->max_cpus) {
        inv_xml_out_open(out, "vcpu");
        inv_xml_out_attribute_uint(out, "max", target.machine->max_cpus);
        inv_xml_out_close(out);
    }
    inv_device_capabilities_write_os(out, target.emulator, target.machine);
    if (!cpu_error)
        write_cpu(out, &target, blockers);
    inv_device_capabilities_write(out, target.emulator, target.machine);
    inv_xml_out_close(out);
    return inv_xml_out_finish(out);
}

char *
inv_domain_capabilities_format(InvEmulators *emulators, const char *emulatorbin, const char *arch, const char *machine,
                               const char *virttype, guint deadline_ms, GError **error)
{
    return inv_domain_capabilities_format_full(emulators, emulatorbin, arch, machine, virttype,
                                               LIBVIR_VERSION_NUMBER >= LIBVIRT_WITH_BLOCKERS, deadline_ms, error);
}

char **
inv_cpu_model_names(InvEmulators *emulators, const char *arch, guint deadline_ms, GError **error)
{
    gint64 end = g_get_monotonic_time() + (gint64)deadline_ms * 1000;
    g_autoptr(GPtrArray) models = NULL;
    g_auto(Target) target = { NULL };
    char **names;

    if (!target_find(&target, emulators, NULL, arch, NULL, NULL, end, error) || !ask_cpu_facts(&target, INV_EXPANSIONS_HOST, end, error))
        return NULL;
    models = custom_models(target.facts.table);
    names = g_new0(char *, models->len + 1);
    for (guint i = 0; i < models->len; i++)
        names[i] = g_strdup(((const InvCpuModel *)g_ptr_array_index(models, i))->name);
    return names;
}
