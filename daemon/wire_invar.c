/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/wire_invar.h"

#include "cpu_driver/layers.h"
#include "daemon/emulator_choice.h"
#include "daemon/kept_answers.h"
#include "daemon/prober.h"
#include "util/error.h"

#include <string.h>

/* A nullable string of the wire; NULL for NULL. */
static char **
new_optional(const char *text)
{
    char **optional = NULL;

    if (text) {
        optional = g_new0(char *, 1);
        *optional = g_strdup(text);
    }
    return optional;
}

char **
inv_wire_new_strings(char *const *values, guint count)
{
    char **copy = g_new0(char *, MAX(count, 1));

    for (guint i = 0; i < count; i++)
        copy[i] = g_strdup(values[i]);
    return copy;
}

void
inv_wire_fill_verdict(invar_verdict *wire, const InvVerdict *verdict)
{
    guint count = MIN(verdict->blockers->len, INVAR_BLOCKERS_MAX);

    wire->outcome = (int)verdict->outcome;
    wire->model = new_optional(verdict->model);
    wire->machine = new_optional(verdict->machine);
    wire->argument = new_optional(verdict->argument);
    wire->blockers.blockers_len = count;
    wire->blockers.blockers_val = g_new0(invar_blocker, MAX(count, 1));
    for (guint i = 0; i < count; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->blockers, i);

        wire->blockers.blockers_val[i] = (invar_blocker){
            .feature = g_strdup(blocker->feature),
            .layer = (int)blocker->layer,
            .reason = g_strdup(blocker->reason ? blocker->reason : ""),
            .remedy = g_strdup(blocker->remedy ? blocker->remedy : ""),
        };
    }
    wire->text = inv_verdict_to_text(verdict);
}

invar_record *
inv_wire_new_record(const InvCpuRecord *record)
{
    invar_record *wire;

    if (!record)
        return NULL;
    wire = g_new0(invar_record, 1);
    wire->arch = g_strdup(record->arch ? record->arch : "");
    wire->machine = g_strdup(record->machine ? record->machine : "");
    wire->model = g_strdup(record->model ? record->model : "");
    wire->vendor = new_optional(record->vendor);
    wire->family = record->family;
    wire->model_number = record->model_number;
    wire->stepping = record->stepping;
    wire->level = record->level;
    wire->xlevel = record->xlevel;
    wire->xlevel2 = record->xlevel2;
    wire->phys_bits = record->phys_bits;
    wire->on.on_len = record->on ? MIN(g_strv_length(record->on), INVAR_FEATURES_MAX) : 0;
    wire->on.on_val = inv_wire_new_strings(record->on, wire->on.on_len);
    wire->off.off_len = record->off ? MIN(g_strv_length(record->off), INVAR_FEATURES_MAX) : 0;
    wire->off.off_val = inv_wire_new_strings(record->off, wire->off.off_len);
    wire->asked = g_strdup(record->asked ? record->asked : "");
    wire->fingerprint = g_strdup(record->fingerprint ? record->fingerprint : "");
    return wire;
}

void
inv_wire_fill_revision(invar_revision *wire, const InvRevision *revision)
{
    wire->number = revision->number;
    wire->time = revision->time;
    wire->reason = g_strdup(revision->reason ? revision->reason : "");
    wire->has_record = revision->has_record;
}

static void
fill_accelerator(invar_accelerator *wire, InvEmulator *emulator, InvVirtType type)
{
    gboolean built = type == INV_VIRT_KVM ? inv_emulator_has_kvm(emulator) : inv_emulator_has_tcg(emulator);
    g_autoptr(GError) error = NULL;

    wire->name = g_strdup(type == INV_VIRT_KVM ? "kvm" : "tcg");
    wire->works = inv_emulator_check_accelerator(emulator, type, &error);
    /* Without the emulator's name, so that a list can say it once for all that it holds for. */
    wire->reason = g_strdup(!built ? "not built into this emulator" : error ? error->message : "");
}

static void
fill_machine(invar_machine *wire, const InvMachine *machine)
{
    wire->name = g_strdup(machine->name);
    wire->alias = new_optional(machine->alias);
    wire->is_default = machine->is_default;
    wire->deprecated = machine->deprecated;
    wire->max_cpus = machine->max_cpus;
}

static void
fill_emulator(invar_emulator *wire, InvEmulator *emulator)
{
    guint count = MIN(inv_emulator_n_machines(emulator), INVAR_MACHINES_MAX);

    wire->arch = g_strdup(inv_emulator_arch(emulator));
    wire->qemu_version = g_strdup(inv_emulator_version_text(emulator));
    wire->package = g_strdup(inv_emulator_package(emulator));
    wire->accelerators.accelerators_len = 2;
    wire->accelerators.accelerators_val = g_new0(invar_accelerator, 2);
    fill_accelerator(&wire->accelerators.accelerators_val[0], emulator, INV_VIRT_KVM);
    fill_accelerator(&wire->accelerators.accelerators_val[1], emulator, INV_VIRT_QEMU);
    wire->machines.machines_len = count;
    wire->machines.machines_val = g_new0(invar_machine, MAX(count, 1));
    for (guint i = 0; i < count; i++)
        fill_machine(&wire->machines.machines_val[i], inv_emulator_machine_at(emulator, i));
}

/* An emulator whose probe failed is listed with the reason, one that nobody has asked yet with its state. */
static void
list_one(InvDaemon *daemon, const char *path, gboolean at_once, invar_emulator *wire)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvEmulator) emulator = NULL;
    InvEmulatorState state;

    if (at_once) {
        state = inv_emulators_peek(daemon->emulators, path, &emulator, &error);
    } else {
        emulator = inv_emulators_get(daemon->emulators, path, NULL, inv_daemon_probe_deadline(daemon), &error);
        state = emulator ? INV_EMULATOR_KNOWN : INV_EMULATOR_FAILED;
    }
    if (state == INV_EMULATOR_UNKNOWN)
        inv_prober_want(daemon->prober, path);
    wire->path = g_strdup(path);
    wire->state = (int)state;
    if (emulator) {
        fill_emulator(wire, emulator);
        return;
    }
    wire->error = error ? new_optional(error->message) : NULL;
    wire->arch = g_strdup("");
    wire->qemu_version = g_strdup("");
    wire->package = g_strdup("");
}

gboolean
inv_wire_list_emulators(InvDaemon *daemon, const char *path, unsigned int flags, invar_list_emulators_ret *reply,
                        GError **error)
{
    const char *only[] = { path, NULL };
    g_auto(GStrv) paths = path ? g_strdupv((char **)only) : inv_prober_list(daemon);
    guint count = MIN(g_strv_length(paths), INVAR_EMULATORS_MAX);
    gboolean at_once = (flags & INVAR_EMULATORS_AT_ONCE) != 0;

    if (flags & INVAR_EMULATORS_REFRESH) {
        for (guint i = 0; i < count; i++)
            inv_emulators_refresh(daemon->emulators, paths[i]);
        inv_kept_answers_forget(daemon->kept);
    }
    if (!path && !at_once) {
        /* Several at once; each is asked for again below, from memory. */
        g_autoptr(GPtrArray) all = inv_emulators_probe_all(daemon->emulators, inv_daemon_probe_deadline(daemon), NULL);

        g_debug("%u of %u emulators answer", all->len, count);
    }
    reply->emulators.emulators_val = g_new0(invar_emulator, MAX(count, 1));
    reply->emulators.emulators_len = count;
    for (guint i = 0; i < count; i++)
        list_one(daemon, paths[i], at_once, &reply->emulators.emulators_val[i]);
    return TRUE;
}

static const char *
optional(char *const *text)
{
    return text ? *text : NULL;
}

static gboolean
choose(InvDaemon *daemon, const invar_list_models_args *wanted, gboolean expansions, InvEmulatorChoice *asked, GError **error)
{
    return inv_emulator_choose(daemon, optional(wanted->emulator), optional(wanted->arch), optional(wanted->machine),
                               optional(wanted->virttype), expansions, asked, error);
}

static void
fill_model(invar_cpu_model *wire, const InvCpuModel *model)
{
    guint count = model->unavailable ? MIN(g_strv_length(model->unavailable), INVAR_FEATURES_MAX) : 0;

    wire->name = g_strdup(model->name);
    wire->alias_of = new_optional(model->alias_of);
    wire->usable = !model->has_usable ? -1 : count == 0;
    wire->deprecated = model->deprecated;
    wire->unavailable.unavailable_len = count;
    wire->unavailable.unavailable_val = inv_wire_new_strings(model->unavailable, count);
}

gboolean
inv_wire_list_models(InvDaemon *daemon, const invar_list_models_args *wanted, invar_list_models_ret *reply, GError **error)
{
    g_auto(InvEmulatorChoice) asked = { NULL };
    guint count;

    if (!choose(daemon, wanted, FALSE, &asked, error))
        return FALSE;
    count = MIN(inv_cpu_table_size(asked.facts.table), INVAR_MODELS_MAX);
    reply->emulator = g_strdup(inv_emulator_path(asked.emulator));
    reply->machine = g_strdup(asked.machine->name);
    reply->virttype = g_strdup(asked.type == INV_VIRT_KVM ? "kvm" : "qemu");
    reply->models.models_len = count;
    reply->models.models_val = g_new0(invar_cpu_model, MAX(count, 1));
    for (guint i = 0; i < count; i++)
        fill_model(&reply->models.models_val[i], inv_cpu_table_at(asked.facts.table, i));
    return TRUE;
}

static char *
describe_bit(const InvCpuMapFeature *feature)
{
    static const char *const registers[] = { "eax", "ebx", "ecx", "edx" };
    int bit = feature ? g_bit_nth_lsf((gulong)feature->mask, -1) : -1;

    if (bit < 0)
        return g_strdup("");
    if (feature->is_msr)
        return g_strdup_printf("MSR 0x%x bit %d", feature->leaf, bit);
    return g_strdup_printf("CPUID leaf 0x%x, subleaf 0x%x, %s bit %d", feature->leaf, feature->subleaf,
                           registers[feature->reg], bit);
}

static void
explain_layers(const InvCpuFacts *facts, const char *name, invar_explain_ret *reply)
{
    g_autoptr(InvFeatureLayers) layers = inv_cpu_feature_layers(facts, name);

    reply->layers.layers_len = INV_LAYERS;
    reply->layers.layers_val = g_new0(invar_layer_answer, INV_LAYERS);
    for (guint i = 0; i < INV_LAYERS; i++)
        reply->layers.layers_val[i] = (invar_layer_answer){
            .layer = (int)i,
            .answer = layers->layers[i].answer,
            .text = g_strdup(layers->layers[i].text),
        };
}

gboolean
inv_wire_explain(InvDaemon *daemon, const invar_explain_args *wanted, invar_explain_ret *reply, GError **error)
{
    const invar_list_models_args where = {
        .emulator = wanted->emulator,
        .arch = wanted->arch,
        .machine = wanted->machine,
        .virttype = wanted->virttype,
    };
    g_auto(InvEmulatorChoice) asked = { NULL };
    const InvCpuMapFeature *feature;
    const char *name;

    if (!choose(daemon, &where, TRUE, &asked, error))
        return FALSE;
    feature = inv_cpu_map_find(asked.facts.map, wanted->feature);
    name = feature ? feature->name : wanted->feature;
    if (!feature && !(asked.facts.host && inv_feature_set_has(asked.facts.host->known, name)))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "neither Invar's map nor %s knows a CPU feature '%s' of %s",
                             asked.facts.emulator, wanted->feature, asked.facts.arch);
    reply->feature = g_strdup(name);
    reply->qemu = g_strdup(feature ? feature->qemu : name);
    reply->bit = describe_bit(feature);
    reply->migratable = feature ? feature->migratable : TRUE;
    explain_layers(&asked.facts, name, reply);
    reply->models.models_val = g_new0(char *, MAX(inv_cpu_table_size(asked.facts.table), 1));
    for (guint i = 0; i < inv_cpu_table_size(asked.facts.table) && i < INVAR_MODELS_MAX; i++) {
        const InvCpuModel *model = inv_cpu_table_at(asked.facts.table, i);

        if (model->expansion && inv_feature_set_has(model->expansion->on, name))
            reply->models.models_val[reply->models.models_len++] = g_strdup(model->name);
    }
    return TRUE;
}
