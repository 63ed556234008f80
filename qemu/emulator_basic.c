/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What a binary is, whatever machine it makes: one QEMU process on machine "none". */
#include "qemu/emulator_private.h"

#include "qemu/probe_process.h"
#include "util/error.h"

#include <string.h>

#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

/* The largest QEMUs have some 150 machines and 1500 devices: a QEMU that has far more is none. */
#define MAX_MACHINES 10000u
#define MAX_DEVICES 100000u
#define MAX_NAME 256u
/* Changes when the form of a cached text does. */
#define CACHE_FORMAT 3

static void
machine_free(gpointer data)
{
    InvMachine *machine = data;

    g_free(machine->name);
    g_free(machine->alias);
    g_free(machine->default_cpu);
    g_free(machine->default_ram_id);
    g_free(machine);
}

static gpointer
same_pointer(gpointer value)
{
    return value;
}

static InvEmulator *
emulator_new(InvEmulators *emulators, const char *path, const char *state)
{
    InvEmulator *emulator = g_new0(InvEmulator, 1);

    g_atomic_ref_count_init(&emulator->refs);
    emulator->emulators = emulators;
    emulator->path = g_strdup(path);
    emulator->state = g_strdup(state);
    emulator->machines = g_ptr_array_new_with_free_func(machine_free);
    emulator->machine_of = g_hash_table_new(g_str_hash, g_str_equal);
    emulator->devices = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    emulator->machine_facts = inv_answers_new(same_pointer, NULL, 0);
    emulator->dry_runs = inv_answers_new((InvAnswerCopy)(void *)inv_json_copy, (GDestroyNotify)inv_json_free, 1024);
    emulator->comparisons = inv_answers_new((InvAnswerCopy)(void *)inv_json_copy, (GDestroyNotify)inv_json_free, 1024);
    emulator->all_facts = g_ptr_array_new_with_free_func((GDestroyNotify)inv_machine_facts_free);
    g_mutex_init(&emulator->lock);
    return emulator;
}

InvEmulator *
inv_emulator_ref(InvEmulator *emulator)
{
    g_atomic_ref_count_inc(&emulator->refs);
    return emulator;
}

void
inv_emulator_unref(InvEmulator *emulator)
{
    if (!emulator || !g_atomic_ref_count_dec(&emulator->refs))
        return;
    inv_answers_free(emulator->machine_facts);
    inv_answers_free(emulator->dry_runs);
    inv_answers_free(emulator->comparisons);
    g_ptr_array_unref(emulator->all_facts);
    g_hash_table_unref(emulator->devices);
    g_hash_table_unref(emulator->machine_of);
    g_ptr_array_unref(emulator->machines);
    g_mutex_clear(&emulator->lock);
    g_free(emulator->display);
    g_free(emulator->package);
    g_free(emulator->version_text);
    g_free(emulator->arch);
    g_free(emulator->state);
    g_free(emulator->path);
    g_free(emulator);
}

/*
 * What QEMU answers under TCG depends on nothing but the program; under KVM on the processor, its
 * microcode, the kernel and the parameters of its modules too.
 */
char *
inv_emulator_key_of(const char *state, InvVirtType accelerator)
{
    g_autofree char *cpu = NULL;
    g_autofree char *kvm = NULL;

    switch (accelerator) {
    case INV_VIRT_QEMU:
        break;
    case INV_VIRT_KVM:
        cpu = inv_host_cpu_fingerprint();
        kvm = inv_kvm_fingerprint();
        return g_strdup_printf("format %d of " PACKAGE_STRING ", %s, %s, %s", CACHE_FORMAT, state, cpu, kvm);
    }
    return g_strdup_printf("format %d of " PACKAGE_STRING ", %s, tcg", CACHE_FORMAT, state);
}

char *
inv_emulator_key(const InvEmulator *emulator, InvVirtType accelerator)
{
    return inv_emulator_key_of(emulator->state, accelerator);
}

InvJson *
inv_emulator_cached(InvEmulator *emulator, const char *what, const char *key)
{
    g_autofree char *subject = g_strdup_printf("%s %s", emulator->path, what);
    g_autofree char *text = NULL;
    g_autoptr(GError) error = NULL;
    InvJson *json;

    text = inv_cache_get(emulator->emulators->cache, subject, key);
    if (!text)
        return NULL;
    json = inv_json_parse(text, strlen(text), &error);
    if (!json)
        g_warning("the cached answer for '%s' is damaged and is asked for again: %s", subject, error->message);
    return json;
}

void
inv_emulator_cache(InvEmulator *emulator, const char *what, const char *key, const InvJson *json)
{
    g_autofree char *subject = g_strdup_printf("%s %s", emulator->path, what);
    g_autofree char *text = inv_json_format(json, FALSE);

    inv_cache_put(emulator->emulators->cache, subject, key, text);
}

char *
inv_cpu_type_to_model(const char *type)
{
    g_autofree char *model = NULL;
    char *target;

    if (!type || !g_str_has_suffix(type, "-cpu"))
        return NULL;
    model = g_strndup(type, strlen(type) - strlen("-cpu"));
    target = strrchr(model, '-');
    if (!target || target == model)
        return NULL;
    *target = '\0';
    return g_steal_pointer(&model);
}

/* QEMU's name of a target to libvirt's name of an architecture. */
static const char *
arch_of_target(const char *target)
{
    static const struct {
        const char *qemu;
        const char *libvirt;
    } names[] = { { "i386", "i686" }, { "arm", "armv7l" } };

    for (guint i = 0; i < G_N_ELEMENTS(names); i++) {
        if (strcmp(target, names[i].qemu) == 0)
            return names[i].libvirt;
    }
    return target;
}

static gboolean
is_name(const char *text)
{
    return text && *text && strlen(text) <= MAX_NAME;
}

static void
add_machine(InvEmulator *emulator, const InvJson *json)
{
    const char *name = inv_json_get_string(json, "name");
    const char *alias = inv_json_get_string(json, "alias");
    InvMachine *machine;

    if (!is_name(name) || g_hash_table_contains(emulator->machine_of, name) || emulator->machines->len >= MAX_MACHINES)
        return;
    machine = g_new0(InvMachine, 1);
    machine->name = g_strdup(name);
    machine->alias = is_name(alias) ? g_strdup(alias) : NULL;
    machine->is_default = inv_json_get_boolean(json, "is-default", FALSE);
    machine->deprecated = inv_json_get_boolean(json, "deprecated", FALSE);
    machine->max_cpus = (guint)CLAMP(inv_json_get_int(json, "cpu-max", 0), 0, G_MAXINT);
    machine->default_cpu = inv_cpu_type_to_model(inv_json_get_string(json, "default-cpu-type"));
    machine->hotpluggable_cpus = inv_json_get_boolean(json, "hotpluggable-cpus", FALSE);
    machine->numa_mem_supported = inv_json_get_boolean(json, "numa-mem-supported", FALSE);
    machine->default_ram_id = g_strdup(inv_json_get_string(json, "default-ram-id"));
    g_ptr_array_add(emulator->machines, machine);
    g_hash_table_insert(emulator->machine_of, machine->name, machine);
}

/* An alias never hides a canonical name. */
static void
add_aliases(InvEmulator *emulator)
{
    for (guint i = 0; i < emulator->machines->len; i++) {
        InvMachine *machine = g_ptr_array_index(emulator->machines, i);

        if (machine->alias && !g_hash_table_contains(emulator->machine_of, machine->alias))
            g_hash_table_insert(emulator->machine_of, machine->alias, machine);
    }
}

static gboolean
list_has_type(const InvJson *types, const char *name)
{
    for (guint i = 0; i < inv_json_size(types); i++) {
        if (g_strcmp0(inv_json_get_string(inv_json_at(types, i), "name"), name) == 0)
            return TRUE;
    }
    return FALSE;
}

/* From the answers, or what the cache kept of them. */
static gboolean
fill(InvEmulator *emulator, const InvJson *json, GError **error)
{
    const InvJson *version = inv_json_get(json, "version");
    const InvJson *machines = inv_json_get(json, "machines");
    const InvJson *devices = inv_json_get(json, "devices");
    const char *target = inv_json_get_string(json, "target");

    if (!is_name(target) || !inv_json_get(version, "major"))
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "'%s' answers but does not tell its version or target: it is no QEMU that can be used",
                             emulator->path);
    emulator->arch = g_strdup(arch_of_target(target));
    emulator->major = (guint)CLAMP(inv_json_get_int(version, "major", 0), 0, 999);
    emulator->minor = (guint)CLAMP(inv_json_get_int(version, "minor", 0), 0, 999);
    emulator->micro = (guint)CLAMP(inv_json_get_int(version, "micro", 0), 0, 999);
    emulator->version_text = g_strdup_printf("%u.%u.%u", emulator->major, emulator->minor, emulator->micro);
    emulator->display = g_strdup_printf("QEMU %s", emulator->version_text);
    emulator->package = g_strdup(inv_json_get_string(json, "package") ?: "");
    emulator->has_kvm = inv_json_get_boolean(json, "kvm", FALSE);
    emulator->has_tcg = inv_json_get_boolean(json, "tcg", FALSE);
    for (guint i = 0; i < inv_json_size(machines); i++)
        add_machine(emulator, inv_json_at(machines, i));
    add_aliases(emulator);
    for (guint i = 0; i < inv_json_size(devices) && i < MAX_DEVICES; i++) {
        const char *device = inv_json_string(inv_json_at(devices, i));

        if (is_name(device))
            g_hash_table_add(emulator->devices, g_strdup(device));
    }
    return TRUE;
}

enum { ASK_TARGET, ASK_KVM, ASK_ACCELERATORS, ASK_MACHINES, ASK_DEVICES, N_ASKED };

static InvJson *
types_argument(const char *implements)
{
    InvJson *arguments = inv_json_new_object();

    inv_json_object_set_string(arguments, "implements", implements);
    return arguments;
}

/* Whether the answers that nothing can replace are there. */
static gboolean
check_answers(InvJson *const *replies, GError *const *errors, const InvQmpCommand *commands, GError **error)
{
    static const guint needed[] = { ASK_TARGET, ASK_ACCELERATORS, ASK_MACHINES, ASK_DEVICES };

    for (guint i = 0; i < G_N_ELEMENTS(needed); i++) {
        if (!replies[needed[i]])
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "this QEMU cannot be used, it does not answer '%s' (%s)",
                                 commands[needed[i]].command, errors[needed[i]] ? errors[needed[i]]->message : "an empty reply");
    }
    return TRUE;
}

/* The answers in the form that is cached: the machines as QEMU gives them, of the devices the names. */
static InvJson *
summarize(const InvJson *greeting, InvJson **replies)
{
    const InvJson *version = inv_json_get(inv_json_get(greeting, "QMP"), "version");
    const InvJson *accelerators = replies[ASK_ACCELERATORS];
    InvJson *json = inv_json_new_object();
    InvJson *devices = inv_json_new_array();

    if (inv_json_get(version, "qemu"))
        inv_json_object_set(json, "version", inv_json_copy(inv_json_get(version, "qemu")));
    inv_json_object_set_string(json, "package", inv_json_get_string(version, "package"));
    inv_json_object_set_string(json, "target", inv_json_get_string(replies[ASK_TARGET], "arch"));
    inv_json_object_set_boolean(json, "kvm", inv_json_get_boolean(replies[ASK_KVM], "present", FALSE) ||
                                                 list_has_type(accelerators, "kvm-accel"));
    inv_json_object_set_boolean(json, "tcg", list_has_type(accelerators, "tcg-accel"));
    inv_json_object_set(json, "machines", g_steal_pointer(&replies[ASK_MACHINES]));
    for (guint i = 0; i < inv_json_size(replies[ASK_DEVICES]); i++)
        inv_json_array_add_string(devices, inv_json_get_string(inv_json_at(replies[ASK_DEVICES], i), "name"));
    inv_json_object_set(json, "devices", devices);
    return json;
}

static InvJson *
ask(InvProbeProcess *process, gint64 end, GError **error)
{
    g_autoptr(InvJson) accelerator_types = types_argument("accel");
    g_autoptr(InvJson) device_types = types_argument("device");
    const InvQmpCommand commands[N_ASKED] = {
        [ASK_TARGET] = { "query-target", NULL },
        [ASK_KVM] = { "query-kvm", NULL },
        [ASK_ACCELERATORS] = { "qom-list-types", accelerator_types },
        [ASK_MACHINES] = { "query-machines", NULL },
        [ASK_DEVICES] = { "qom-list-types", device_types },
    };
    InvJson *replies[N_ASKED] = { NULL };
    GError *errors[N_ASKED] = { NULL };
    InvQmp *qmp = inv_probe_process_qmp(process);
    InvJson *json = NULL;

    if (!inv_qmp_call_many(qmp, commands, N_ASKED, inv_deadline_left(end), replies, errors, error) ||
        !check_answers(replies, errors, commands, error))
        inv_probe_process_explain(process, error);
    else
        json = summarize(inv_qmp_greeting(qmp), replies);
    for (guint i = 0; i < N_ASKED; i++) {
        inv_json_free(replies[i]);
        g_clear_error(&errors[i]);
    }
    return json;
}

/* The accelerators with which machine "none" can be had in any build, the likely first. */
static InvProbeProcess *
start_on_none(InvEmulators *emulators, const char *path, gint64 end, GError **error)
{
    static const char *const accelerators[] = { "tcg", "kvm", "qtest" };
    g_autoptr(GError) first = NULL;
    InvProbeProcess *process = NULL;

    for (guint i = 0; i < G_N_ELEMENTS(accelerators) && !process; i++) {
        const char *const arguments[] = { "-machine", "none", "-accel", accelerators[i], NULL };
        g_autoptr(GError) failure = NULL;

        process = inv_probe_process_start(emulators->io, path, arguments, end, &failure);
        if (failure && !first)
            first = g_steal_pointer(&failure);
        /* Only a build without the accelerator is worth another try. */
        if (!process && !strstr(first->message, "accelerator"))
            break;
    }
    if (!process)
        g_propagate_error(error, g_steal_pointer(&first));
    return process;
}

static gboolean
ask_and_fill(InvEmulator *emulator, const char *key, gint64 end, GError **error)
{
    g_autoptr(InvProbeProcess) process = start_on_none(emulator->emulators, emulator->path, end, error);
    g_autoptr(InvJson) json = process ? ask(process, end, error) : NULL;

    if (!json || !fill(emulator, json, error))
        return FALSE;
    inv_emulator_cache(emulator, INV_EMULATOR_BASIC, key, json);
    return TRUE;
}

InvEmulator *
inv_emulator_probe(InvEmulators *emulators, const char *path, const char *state, gint64 end, GError **error)
{
    g_autoptr(InvEmulator) emulator = emulator_new(emulators, path, state);
    g_autofree char *key = inv_emulator_key(emulator, INV_VIRT_QEMU);
    g_autoptr(InvJson) json = inv_emulator_cached(emulator, INV_EMULATOR_BASIC, key);
    g_autoptr(GError) failure = NULL;
    InvEmulatorChange change;

    if (json && fill(emulator, json, NULL))
        return g_steal_pointer(&emulator);
    change = inv_emulators_begin(emulators, path, "");
    if (!ask_and_fill(emulator, key, end, &failure)) {
        inv_emulators_end(emulators, &change, failure);
        g_propagate_error(error, g_steal_pointer(&failure));
        return NULL;
    }
    inv_emulators_end(emulators, &change, NULL);
    return g_steal_pointer(&emulator);
}

const char *
inv_emulator_path(const InvEmulator *emulator)
{
    return emulator->path;
}

const char *
inv_emulator_arch(const InvEmulator *emulator)
{
    return emulator->arch;
}

guint
inv_emulator_version(const InvEmulator *emulator)
{
    return emulator->major * 1000000 + emulator->minor * 1000 + emulator->micro;
}

const char *
inv_emulator_version_text(const InvEmulator *emulator)
{
    return emulator->version_text;
}

const char *
inv_emulator_package(const InvEmulator *emulator)
{
    return emulator->package;
}

gboolean
inv_emulator_has_kvm(const InvEmulator *emulator)
{
    return emulator->has_kvm;
}

gboolean
inv_emulator_has_tcg(const InvEmulator *emulator)
{
    return emulator->has_tcg;
}

gboolean
inv_emulator_check_accelerator(InvEmulator *emulator, InvVirtType accelerator, GError **error)
{
    g_autofree char *reason = NULL;

    switch (accelerator) {
    case INV_VIRT_QEMU:
        if (emulator->has_tcg)
            return TRUE;
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the emulator '%s' was built without TCG: use <domain type='kvm'>",
                             emulator->path);
    case INV_VIRT_KVM:
        if (!emulator->has_kvm)
            return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                                 "the emulator '%s' was built without KVM for %s: use <domain type='qemu'>", emulator->path,
                                 emulator->arch);
        if (inv_kvm_state(&reason) == INV_KVM_WORKS)
            return TRUE;
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "KVM does not work on this host: %s", reason);
    }
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "accelerator %d is not known", (int)accelerator);
}

guint
inv_emulator_n_machines(const InvEmulator *emulator)
{
    return emulator->machines->len;
}

const InvMachine *
inv_emulator_machine_at(const InvEmulator *emulator, guint index)
{
    return index < emulator->machines->len ? g_ptr_array_index(emulator->machines, index) : NULL;
}

gboolean
inv_emulator_has_device(const InvEmulator *emulator, const char *type)
{
    return g_hash_table_contains(emulator->devices, type);
}

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

char **
inv_emulator_list_devices(const InvEmulator *emulator)
{
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);
    GHashTableIter iter;
    gpointer name;

    g_hash_table_iter_init(&iter, emulator->devices);
    while (g_hash_table_iter_next(&iter, &name, NULL))
        g_ptr_array_add(list, g_strdup(name));
    g_ptr_array_sort(list, compare_names);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_steal(list, NULL);
}
