/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What an emulator can give as a CPU: one QEMU process per machine type and accelerator, or per dry run. */
#include "qemu/emulator_private.h"

#include "cpu_driver/followed.h"
#include "qemu/kvm_cpu.h"
#include "qemu/probe_process.h"
#include "util/error.h"

#include <string.h>

/* QEMU's largest table (ppc64) has 417 models. */
#define MAX_EXPANSIONS 4096u

void
inv_machine_facts_free(InvMachineFacts *facts)
{
    if (!facts)
        return;
    inv_cpu_table_unref(facts->table);
    inv_feature_set_free(facts->hardware);
    inv_feature_set_free(facts->kernel);
    inv_cpu_host_limits_free(facts->limits);
    g_free(facts->default_model);
    g_free(facts);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvMachineFacts, inv_machine_facts_free)

const char *
inv_accelerator_name(InvVirtType accelerator)
{
    switch (accelerator) {
    case INV_VIRT_QEMU:
        return "tcg";
    case INV_VIRT_KVM:
        return "kvm";
    }
    return "tcg";
}

/* The model that stands for all that this accelerator can give. */
static const char *
host_model_name(InvVirtType accelerator)
{
    switch (accelerator) {
    case INV_VIRT_QEMU:
        return "max";
    case INV_VIRT_KVM:
        return "host";
    }
    return "max";
}

typedef struct {
    InvEmulator *emulator;
    const InvCpuMap *map;
    InvVirtType accelerator;
    const char *machine;
    InvExpansions expansions;
    const char *cpu_argument; /* dry runs only; may be NULL */
    const char *subject;
    const char *key;
    guint deadline_ms;        /* machine types' tables only */
} Question;

static InvProbeProcess *
start(const Question *question, gint64 end, GError **error)
{
    const char *const arguments[] = { "-machine", question->machine, "-accel", inv_accelerator_name(question->accelerator),
                                      question->cpu_argument ? "-cpu" : NULL, question->cpu_argument, NULL };

    return inv_probe_process_start(question->emulator->emulators->io, question->emulator->path, arguments, end, error);
}

/* QEMU's type of the machine's default CPU under this accelerator, or NULL. */
static const char *
default_type(const InvJson *machines, const char *machine)
{
    for (guint i = 0; i < inv_json_size(machines); i++) {
        if (g_strcmp0(inv_json_get_string(inv_json_at(machines, i), "name"), machine) == 0)
            return inv_json_get_string(inv_json_at(machines, i), "default-cpu-type");
    }
    return NULL;
}

static InvJson *
expansion_arguments(const char *model)
{
    InvJson *arguments = inv_json_new_object();
    InvJson *json = inv_json_new_object();

    inv_json_object_set_string(arguments, "type", "full");
    inv_json_object_set_string(json, "name", model);
    inv_json_object_set(arguments, "model", json);
    return arguments;
}

static void
take_expansion(const Question *question, InvCpuTable *table, const char *model, const InvJson *reply)
{
    const InvJson *props = inv_json_get(inv_json_get(reply, "model"), "props");
    const InvJson *deprecated = inv_json_get(reply, "deprecated-props");
    InvCpuExpansion *expansion;

    if (!props)
        return;
    expansion = inv_cpu_expansion_new(question->map, question->emulator->emulators->names, props);
    if (deprecated)
        inv_cpu_expansion_set_deprecated(expansion, question->map, deprecated);
    inv_cpu_table_set_expansion(table, model, expansion);
}

/* Expansions that this QEMU does not give are absent from the table; only a lost connection is an error. @models: of their names. */
static gboolean
expand(const Question *question, InvQmp *qmp, InvCpuTable *table, const GPtrArray *models, gint64 end, GError **error)
{
    g_autoptr(GPtrArray) arguments = g_ptr_array_new_with_free_func((GDestroyNotify)inv_json_free);
    guint n = MIN(models->len, MAX_EXPANSIONS);
    g_autofree InvQmpCommand *commands = g_new0(InvQmpCommand, n + 1);
    g_autofree InvJson **replies = g_new0(InvJson *, n + 1);
    gboolean ok;

    for (guint i = 0; i < n; i++) {
        g_ptr_array_add(arguments, expansion_arguments(g_ptr_array_index(models, i)));
        commands[i] = (InvQmpCommand){ "query-cpu-model-expansion", g_ptr_array_index(arguments, i) };
    }
    ok = n == 0 || inv_qmp_call_many(qmp, commands, n, inv_deadline_left(end), replies, NULL, error);
    for (guint i = 0; i < n; i++) {
        take_expansion(question, table, g_ptr_array_index(models, i), replies[i]);
        inv_json_free(replies[i]);
    }
    return ok;
}

static const char *
host_vendor(const Question *question, const InvCpuTable *table)
{
    const InvCpuModel *host = inv_cpu_table_find(table, host_model_name(question->accelerator));

    return host && host->expansion ? inv_json_get_string(host->expansion->others, "vendor") : NULL;
}

/* The host's own is there. Class by class, as long as host-model could not stand on a model of one. */
static gboolean
expand_followed(const Question *question, InvQmp *qmp, InvCpuTable *table, gint64 end, GError **error)
{
    const InvCpuModels *known = inv_emulators_models(question->emulator->emulators, question->emulator->arch);
    const char *vendor = host_vendor(question, table);
    g_autoptr(GPtrArray) names = inv_cpu_strange_names(table, known);

    for (guint rank = 0; rank < INV_CPU_CLASSES; rank++) {
        g_autoptr(GPtrArray) followed = inv_cpu_followed_names(table, known, vendor, rank);

        for (guint i = 0; i < followed->len; i++) {
            if (!g_ptr_array_find(names, g_ptr_array_index(followed, i), NULL))
                g_ptr_array_add(names, g_ptr_array_index(followed, i));
        }
        /* In one go with the first class that has any. */
        if (!followed->len)
            continue;
        if (!expand(question, qmp, table, names, end, error))
            return FALSE;
        g_ptr_array_set_size(names, 0);
        if (inv_cpu_followed_suffices(table, known, question->accelerator, vendor, rank))
            return TRUE;
    }
    return expand(question, qmp, table, names, end, error);
}

static gboolean
expand_all(const Question *question, InvQmp *qmp, InvCpuTable *table, gint64 end, GError **error)
{
    g_autoptr(GPtrArray) names = g_ptr_array_new();

    for (guint i = 0; i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(table, i);

        if (!model->expansion)
            g_ptr_array_add(names, model->name);
    }
    return expand(question, qmp, table, names, end, error);
}

/* Beyond the host's own. */
static gboolean
expand_more(const Question *question, InvQmp *qmp, InvCpuTable *table, gint64 end, GError **error)
{
    switch (question->expansions) {
    case INV_EXPANSIONS_HOST:
        return TRUE;
    case INV_EXPANSIONS_FOLLOWED:
        return expand_followed(question, qmp, table, end, error);
    case INV_EXPANSIONS_ALL:
        return expand_all(question, qmp, table, end, error);
    }
    return TRUE;
}

/*
 * The models as QEMU's own CPU types name them (qom-list-types): names and types are all that is
 * known then. An empty array where QEMU does not answer that either.
 */
static InvJson *
definitions_of_types(const InvJson *types)
{
    InvJson *definitions = inv_json_new_array();

    for (guint i = 0; i < inv_json_size(types); i++) {
        const char *type = inv_json_get_string(inv_json_at(types, i), "name");
        g_autofree char *model = inv_cpu_type_to_model(type);
        InvJson *definition;

        if (!model)
            continue;
        definition = inv_json_new_object();
        inv_json_object_set_string(definition, "name", model);
        inv_json_object_set_string(definition, "typename", type);
        inv_json_object_set_boolean(definition, "static", FALSE);
        inv_json_array_add(definitions, definition);
    }
    return definitions;
}

static InvJson *
cpu_types_arguments(void)
{
    InvJson *arguments = inv_json_new_object();

    inv_json_object_set_string(arguments, "implements", "cpu");
    inv_json_object_set_boolean(arguments, "abstract", FALSE);
    return arguments;
}

/* riscv64 and others have no query-cpu-definitions in older QEMUs. The types are asked for there alone: QEMU loads all its modules for them. */
static gboolean
define(const Question *question, InvQmp *qmp, InvCpuTable *table, const InvJson *definitions, const GError *refused, gint64 end,
       GError **error)
{
    g_autoptr(InvJson) arguments = NULL;
    g_autoptr(InvJson) named = NULL;
    GError *no_types = NULL;
    InvJson *types = NULL;

    if (definitions)
        return inv_cpu_table_set_definitions(table, question->map, definitions, error);
    if (refused && refused->code != VIR_ERR_OPERATION_UNSUPPORTED)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", refused->message);
    arguments = cpu_types_arguments();
    if (!inv_qmp_call_many(qmp, &(InvQmpCommand){ "qom-list-types", arguments }, 1, inv_deadline_left(end), &types, &no_types, error))
        return FALSE;
    g_clear_error(&no_types);
    named = definitions_of_types(types);
    inv_json_free(types);
    return inv_cpu_table_set_definitions(table, question->map, named, error);
}

enum { ASK_DEFINITIONS, ASK_MACHINES, ASK_HOST, N_ASKED };

static gboolean
fill_table(const Question *question, InvQmp *qmp, InvCpuTable *table, InvJson *const *replies, GError *const *refused, gint64 end,
           GError **error)
{
    if (!define(question, qmp, table, replies[ASK_DEFINITIONS], refused[ASK_DEFINITIONS], end, error))
        return FALSE;
    take_expansion(question, table, host_model_name(question->accelerator), replies[ASK_HOST]);
    return expand_more(question, qmp, table, end, error);
}

/* What is cached of a machine: its table and its default CPU's type. */
static InvJson *
ask_machine(const Question *question, InvQmp *qmp, gint64 end, GError **error)
{
    g_autoptr(InvJson) host = expansion_arguments(host_model_name(question->accelerator));
    const InvQmpCommand commands[N_ASKED] = {
        [ASK_DEFINITIONS] = { "query-cpu-definitions", NULL },
        [ASK_MACHINES] = { "query-machines", NULL },
        [ASK_HOST] = { "query-cpu-model-expansion", host },
    };
    g_autoptr(InvCpuTable) table = inv_cpu_table_new(question->emulator->arch, question->machine, question->emulator->emulators->names);
    InvJson *replies[N_ASKED] = { NULL };
    GError *refused[N_ASKED] = { NULL };
    InvJson *json = NULL;

    if (inv_qmp_call_many(qmp, commands, N_ASKED, inv_deadline_left(end), replies, refused, error) &&
        fill_table(question, qmp, table, replies, refused, end, error)) {
        json = inv_json_new_object();
        inv_json_object_set(json, "table", inv_cpu_table_to_json(table));
        inv_json_object_set_string(json, "default-type", default_type(replies[ASK_MACHINES], question->machine));
    }
    for (guint i = 0; i < N_ASKED; i++) {
        inv_json_free(replies[i]);
        g_clear_error(&refused[i]);
    }
    return json;
}

static char *
default_model(const InvCpuTable *table, const char *type)
{
    for (guint i = 0; type && i < inv_cpu_table_size(table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(table, i);

        if (g_strcmp0(model->type_name, type) == 0)
            return g_strdup(model->name);
    }
    return inv_cpu_type_to_model(type);
}

/* What KVM offers: its part in these answers is in the key of the cache, and asking it anew costs microseconds. */
static InvFeatureSet *
kernel_features(const Question *question)
{
    g_autoptr(InvCpuidData) data = NULL;

    if (question->accelerator != INV_VIRT_KVM || (strcmp(question->emulator->arch, "x86_64") != 0 && strcmp(question->emulator->arch, "i686") != 0))
        return NULL;
    data = inv_kvm_cpuid_data(NULL);
    return data ? inv_cpuid_data_features(data, question->map, question->emulator->emulators->names) : NULL;
}

/* Read with what KVM offers, and for the same accelerator: the parameters of KVM's modules are in the key of the cache. */
static InvCpuHostLimits *
host_limits(const Question *question)
{
    const InvCpuLimits *limits = inv_emulators_limits(question->emulator->emulators, question->emulator->arch);

    return limits && question->accelerator == INV_VIRT_KVM ? inv_kvm_host_limits(limits, question->map) : NULL;
}

static InvMachineFacts *
facts_from_json(const Question *question, const InvJson *json, GError **error)
{
    g_autoptr(InvMachineFacts) facts = g_new0(InvMachineFacts, 1);
    const char *arch = question->emulator->arch;
    InvFeatureNames *names = question->emulator->emulators->names;

    facts->table = inv_cpu_table_from_json(inv_json_get(json, "table"), names, error);
    if (!facts->table)
        return NULL;
    facts->default_model = default_model(facts->table, inv_json_get_string(json, "default-type"));
    facts->host = inv_cpu_table_find(facts->table, host_model_name(question->accelerator));
    if (facts->host && facts->host->expansion)
        facts->host_vendor = inv_json_get_string(facts->host->expansion->others, "vendor");
    facts->hardware = inv_host_cpuid(question->map, names, arch);
    facts->kernel = kernel_features(question);
    facts->limits = host_limits(question);
    return g_steal_pointer(&facts);
}

static char *
facts_subject(InvVirtType accelerator, const char *machine, InvExpansions expansions)
{
    static const char *const words[] = {
        [INV_EXPANSIONS_HOST] = "definitions", [INV_EXPANSIONS_FOLLOWED] = "followed", [INV_EXPANSIONS_ALL] = "expansions"
    };

    return g_strdup_printf("%s %s %s", inv_accelerator_name(accelerator), machine, words[expansions]);
}

static gboolean
has_facts(const InvEmulator *emulator, const char *subject, const char *key)
{
    g_autofree char *whole = g_strdup_printf("%s %s", emulator->path, subject);

    return inv_cache_has(emulator->emulators->cache, whole, key);
}

gboolean
inv_emulator_has_cpu_facts(InvEmulator *emulator, InvVirtType accelerator, const char *machine, InvExpansions expansions)
{
    g_autofree char *key = inv_emulator_key(emulator, accelerator);

    for (guint more = expansions; more <= INV_EXPANSIONS_ALL; more++) {
        g_autofree char *subject = facts_subject(accelerator, machine, (InvExpansions)more);

        if (has_facts(emulator, subject, key))
            return TRUE;
    }
    return FALSE;
}

/* The answers with more expansions serve who asks for fewer. */
static InvJson *
cached_machine(const Question *question)
{
    for (guint more = question->expansions; more <= INV_EXPANSIONS_ALL; more++) {
        g_autofree char *subject = facts_subject(question->accelerator, question->machine, (InvExpansions)more);
        InvJson *json = inv_emulator_cached(question->emulator, subject, question->key);

        if (json)
            return json;
    }
    return NULL;
}

static InvMachineFacts *
ask_for_facts(const Question *question, gint64 end, GError **error)
{
    g_autoptr(InvProbeProcess) process = start(question, end, error);
    g_autoptr(InvJson) json = NULL;
    g_autoptr(InvMachineFacts) facts = NULL;

    if (!process)
        return NULL;
    json = ask_machine(question, inv_probe_process_qmp(process), end, error);
    if (!json) {
        inv_probe_process_explain(process, error);
        return NULL;
    }
    facts = facts_from_json(question, json, error);
    if (facts)
        inv_emulator_cache(question->emulator, question->subject, question->key, json);
    return g_steal_pointer(&facts);
}

static gpointer
get_machine_facts(gpointer user_data, gint64 end, GError **error)
{
    const Question *question = user_data;
    g_autoptr(InvJson) json = cached_machine(question);
    g_autoptr(InvMachineFacts) facts = json ? facts_from_json(question, json, NULL) : NULL;

    if (!facts) {
        InvEmulators *emulators = question->emulator->emulators;
        const char *path = question->emulator->path;
        g_autofree char *state = inv_with_libraries(question->key);
        InvEmulatorChange change;
        g_autoptr(GError) failure = NULL;

        if (inv_failure_recall(emulators, path, question->subject, state, question->deadline_ms, error))
            return NULL;
        change = inv_emulators_begin(emulators, path, question->subject);
        facts = ask_for_facts(question, end, &failure);
        inv_emulators_end(emulators, &change, failure);
        if (!facts) {
            inv_failure_keep(emulators, path, question->subject, state, question->deadline_ms, failure);
            g_propagate_error(error, g_steal_pointer(&failure));
            return NULL;
        }
    }
    g_mutex_lock(&question->emulator->lock);
    g_ptr_array_add(question->emulator->all_facts, facts);
    g_mutex_unlock(&question->emulator->lock);
    return g_steal_pointer(&facts);
}

/* Fills what all questions need; @machine becomes canonical. */
static gboolean
prepare(Question *question, GError **error)
{
    const InvMachine *machine = inv_emulator_find_machine(question->emulator, question->machine, error);

    if (!machine)
        return FALSE;
    question->machine = machine->name;
    question->map = inv_emulators_map(question->emulator->emulators, question->emulator->arch, error);
    return question->map != NULL;
}

gboolean
inv_emulator_probed_cpu_facts(InvEmulator *emulator, InvVirtType accelerator, const char *machine, InvExpansions expansions,
                              guint deadline_ms, InvCpuFacts *facts, GError **error)
{
    Question question = { .emulator = emulator, .accelerator = accelerator, .machine = machine, .expansions = expansions,
                          .deadline_ms = deadline_ms };
    g_autofree char *key = inv_emulator_key(emulator, accelerator);
    g_autofree char *cpu = inv_host_cpu_fingerprint();
    /* The facts have this host's own processor beside QEMU's answers, which under TCG do not depend on it. */
    g_autofree char *in_memory = g_strdup_printf("%s, %s", key, cpu);
    g_autofree char *subject = NULL;
    const InvMachineFacts *found;

    if (!prepare(&question, error))
        return FALSE;
    subject = facts_subject(accelerator, question.machine, expansions);
    question.subject = subject;
    question.key = key;
    found = inv_answers_ask(emulator->machine_facts, subject, in_memory, deadline_ms, get_machine_facts, &question, error);
    if (!found) {
        g_prefix_error(error, "machine type %s under %s: ", question.machine, inv_accelerator_name(accelerator));
        return FALSE;
    }
    *facts = (InvCpuFacts){
        .map = question.map,
        .models = inv_emulators_models(emulator->emulators, emulator->arch),
        .table = found->table,
        .arch = emulator->arch,
        .emulator = emulator->display,
        .accelerator = accelerator,
        .machine = question.machine,
        .default_model = found->default_model,
        .host = found->host ? found->host->expansion : NULL,
        .host_unavailable = found->host ? (const char *const *)found->host->unavailable : NULL,
        .hardware = found->hardware,
        .kernel = found->kernel,
        .limits = found->limits,
        .host_vendor = found->host_vendor,
    };
    return TRUE;
}

gboolean
inv_emulator_cpu_facts(InvEmulator *emulator, InvVirtType accelerator, const char *machine, InvExpansions expansions, guint deadline_ms,
                       InvCpuFacts *facts, GError **error)
{
    return inv_emulator_check_accelerator(emulator, accelerator, error) &&
        inv_emulator_probed_cpu_facts(emulator, accelerator, machine, expansions, deadline_ms, facts, error);
}

/* What a dry run reads of a CPU. Only x86 has these: elsewhere the answer is null, "does not say". */
static const char *const dry_properties[] = { "unavailable-features", "feature-words", "level", "xlevel", "xlevel2" };
enum { DRY_UNAVAILABLE, DRY_WORDS, FIRST_DRY_LEVEL };

static gboolean
read_dry_properties(InvQmp *qmp, const char *path, gint64 end, InvJson **replies, GError **error)
{
    g_autoptr(GPtrArray) arguments = g_ptr_array_new_with_free_func((GDestroyNotify)inv_json_free);
    InvQmpCommand commands[G_N_ELEMENTS(dry_properties)];
    GError *refused[G_N_ELEMENTS(dry_properties)] = { NULL };
    gboolean answered;

    for (guint i = 0; i < G_N_ELEMENTS(dry_properties); i++) {
        InvJson *json = inv_json_new_object();

        inv_json_object_set_string(json, "path", path);
        inv_json_object_set_string(json, "property", dry_properties[i]);
        g_ptr_array_add(arguments, json);
        commands[i] = (InvQmpCommand){ "qom-get", json };
    }
    answered = inv_qmp_call_many(qmp, commands, G_N_ELEMENTS(commands), inv_deadline_left(end), replies, refused, error);
    for (guint i = 0; i < G_N_ELEMENTS(refused); i++)
        g_clear_error(&refused[i]);
    return answered;
}

/* What QEMU filters, and what it hides. */
static InvJson *
unavailable_of(const InvCpuMap *map, InvJson *const *replies)
{
    InvJson *json = inv_json_new_object();
    g_autoptr(InvJson) levels = inv_json_new_object();
    g_autoptr(InvJson) all = NULL;
    g_auto(GStrv) hidden = NULL;
    g_auto(GStrv) list = NULL;

    if (inv_json_type(replies[DRY_UNAVAILABLE]) != INV_JSON_ARRAY) {
        inv_json_object_set(json, "unavailable", inv_json_new_null());
        return json;
    }
    for (guint i = FIRST_DRY_LEVEL; i < G_N_ELEMENTS(dry_properties); i++) {
        if (replies[i])
            inv_json_object_set(levels, dry_properties[i], inv_json_copy(replies[i]));
    }
    hidden = inv_cpu_hidden_features(map, replies[DRY_WORDS], levels);
    all = inv_json_copy(replies[DRY_UNAVAILABLE]);
    for (char **name = hidden; *name; name++)
        inv_json_array_add_string(all, inv_cpu_map_to_qemu(map, *name));
    list = inv_cpu_names_to_libvirt(map, all);
    inv_json_object_set_strv(json, "unavailable", (const char *const *)list);
    return json;
}

static InvJson *
ask_unavailable(const Question *question, InvQmp *qmp, gint64 end, GError **error)
{
    g_autofree char *path = inv_first_cpu_path(qmp, end, error);
    InvJson *replies[G_N_ELEMENTS(dry_properties)] = { NULL };
    InvJson *json = NULL;

    if (path && read_dry_properties(qmp, path, end, replies, error))
        json = unavailable_of(question->map, replies);
    for (guint i = 0; i < G_N_ELEMENTS(replies); i++)
        inv_json_free(replies[i]);
    return json;
}

static gpointer
get_dry_run(gpointer user_data, gint64 end, GError **error)
{
    const Question *question = user_data;
    g_autoptr(InvJson) json = inv_emulator_cached(question->emulator, question->subject, question->key);
    g_autoptr(InvProbeProcess) process = NULL;

    if (json && inv_json_get(json, "unavailable"))
        return g_steal_pointer(&json);
    g_clear_pointer(&json, inv_json_free);
    process = start(question, end, error);
    if (!process)
        return NULL;
    json = ask_unavailable(question, inv_probe_process_qmp(process), end, error);
    if (!json) {
        inv_probe_process_explain(process, error);
        return NULL;
    }
    inv_emulator_cache(question->emulator, question->subject, question->key, json);
    return g_steal_pointer(&json);
}

gboolean
inv_emulator_dry_run(InvEmulator *emulator, InvVirtType accelerator, const char *machine, const char *cpu_argument, guint deadline_ms,
                     char ***unavailable, GError **error)
{
    Question question = { .emulator = emulator, .accelerator = accelerator, .machine = machine, .cpu_argument = cpu_argument };
    g_autofree char *key = NULL;
    g_autofree char *subject = NULL;
    g_autoptr(InvJson) json = NULL;

    if (!inv_emulator_check_accelerator(emulator, accelerator, error) || !prepare(&question, error))
        return FALSE;
    key = inv_emulator_key(emulator, accelerator);
    subject = g_strdup_printf("%s %s dry-run %s", inv_accelerator_name(accelerator), question.machine, cpu_argument ? cpu_argument : "");
    question.subject = subject;
    question.key = key;
    json = inv_answers_ask(emulator->dry_runs, subject, key, deadline_ms, get_dry_run, &question, error);
    if (!json) {
        g_prefix_error(error, "CPU '%s' on machine type %s under %s: ", cpu_argument ? cpu_argument : "of the machine",
                       question.machine, inv_accelerator_name(accelerator));
        return FALSE;
    }
    *unavailable = inv_json_type(inv_json_get(json, "unavailable")) == INV_JSON_ARRAY ? inv_json_get_strv(json, "unavailable") : NULL;
    return TRUE;
}
