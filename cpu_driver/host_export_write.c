/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/host_export.h"
#include "cpu_driver/host_export_line.h"

#include <string.h>

struct InvHostExportWriter {
    InvJson *head;
    InvJson *emulators;
    InvJson *kernel;      /* architecture → set */
    InvJson *emulator;    /* the one that was added last, of `emulators`; borrowed */
    InvFeatureNames *names; /* the file's own numbers */
    GString *body;
    GString *machines;    /* lines of the last emulator */
};

guint64
inv_host_export_sum(const char *text, gsize length)
{
    guint64 sum = G_GUINT64_CONSTANT(0xcbf29ce484222325);

    for (gsize i = 0; i < length; i++)
        sum = (sum ^ (guint8)text[i]) * G_GUINT64_CONSTANT(0x100000001b3);
    return sum;
}

/* Takes @json over: its line with the sum and the newline. */
static void
append_line(GString *out, InvJson *json)
{
    g_autoptr(InvJson) own = json;
    g_autofree char *text = inv_json_format(own, FALSE);
    gsize length = strlen(text) - 1;

    g_string_append_len(out, text, length);
    g_string_append_printf(out, "%s%016" G_GINT64_MODIFIER "x\"}\n", INV_HOST_EXPORT_SUM, inv_host_export_sum(text, length));
}

static InvJson *
place(gsize offset, gsize length)
{
    InvJson *json = inv_json_new_array();

    inv_json_array_add(json, inv_json_new_uint(offset));
    inv_json_array_add(json, inv_json_new_uint(length));
    return json;
}

/* Owned by the caller. */
static char *
format_set(InvHostExportWriter *writer, const InvFeatureSet *set)
{
    g_autofree const char **list = inv_feature_set_list(set);
    g_autoptr(GString) text = g_string_new(NULL);

    for (guint i = 0; list[i]; i++) {
        guint number = inv_feature_names_intern(writer->names, list[i]);
        int digit;

        while (text->len <= number / 4)
            g_string_append_c(text, '0');
        digit = g_ascii_xdigit_value(text->str[number / 4]) | (1 << number % 4);
        text->str[number / 4] = "0123456789abcdef"[digit];
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
set_set(InvHostExportWriter *writer, InvJson *json, const char *name, const InvFeatureSet *set)
{
    g_autofree char *text = format_set(writer, set);

    inv_json_object_set_string(json, name, text);
}

static InvJson *
settings_json(const InvCpuHostSettings *settings)
{
    InvJson *json = inv_json_new_object();

    inv_json_object_set_string(json, "release", settings->release);
    inv_json_object_set_string(json, "cmdline", settings->cmdline);
    inv_json_object_set_strv(json, "parameters", settings->parameters);
    if (settings->chip && settings->chip->vendor) {
        InvJson *chip = inv_json_new_array();

        inv_json_array_add_string(chip, settings->chip->vendor);
        inv_json_array_add(chip, inv_json_new_uint(settings->chip->family));
        inv_json_array_add(chip, inv_json_new_uint(settings->chip->model_number));
        inv_json_array_add(chip, inv_json_new_uint(settings->chip->stepping));
        inv_json_object_set(json, "chip", chip);
    }
    return json;
}

InvHostExportWriter *
inv_host_export_writer_new(const InvHostExportHead *head)
{
    InvHostExportWriter *writer = g_new0(InvHostExportWriter, 1);

    writer->names = inv_feature_names_new();
    writer->body = g_string_new(NULL);
    writer->machines = g_string_new(NULL);
    writer->emulators = inv_json_new_array();
    writer->kernel = inv_json_new_object();
    writer->head = inv_json_new_object();
    inv_json_object_set_int(writer->head, "invar-host", INV_HOST_EXPORT_VERSION);
    inv_json_object_set_string(writer->head, "hostname", head->hostname);
    inv_json_object_set_string(writer->head, "uuid", head->uuid);
    inv_json_object_set_int(writer->head, "exported", head->exported);
    inv_json_object_set_string(writer->head, "arch", head->arch);
    inv_json_object_set_uint(writer->head, "memory-total", head->memory_total);
    inv_json_object_set_uint(writer->head, "memory-available", head->memory_available);
    if (head->has_settings) {
        append_line(writer->body, settings_json(&head->settings));
        inv_json_object_set(writer->head, "settings", place(0, writer->body->len));
    }
    if (head->hardware)
        set_set(writer, writer->head, "hardware", head->hardware);
    return writer;
}

static void
finish_emulator(InvHostExportWriter *writer)
{
    if (!writer->emulator)
        return;
    inv_json_object_set(writer->emulator, "machines", place(writer->body->len, writer->machines->len));
    g_string_append_len(writer->body, writer->machines->str, writer->machines->len);
    g_string_truncate(writer->machines, 0);
    writer->emulator = NULL;
}

void
inv_host_export_writer_add_emulator(InvHostExportWriter *writer, const InvHostExportEmulator *emulator)
{
    InvJson *json = inv_json_new_object();
    InvJson *line = inv_json_new_object();
    g_autofree char *joined = emulator->devices ? g_strjoinv(" ", (char **)emulator->devices) : g_strdup("");
    g_autofree char *devices = g_strdup_printf(" %s ", joined);
    gsize offset;

    finish_emulator(writer);
    inv_json_object_set_string(json, "path", emulator->path);
    inv_json_object_set_string(json, "arch", emulator->arch);
    inv_json_object_set_string(json, "version", emulator->version);
    if (emulator->is_usual)
        inv_json_object_set_boolean(json, "usual", TRUE);
    inv_json_object_set_string(json, "tcg", emulator->tcg ? emulator->tcg : "");
    inv_json_object_set_string(json, "kvm", emulator->kvm ? emulator->kvm : "");
    offset = writer->body->len;
    inv_json_object_set_string(line, "devices", devices);
    append_line(writer->body, line);
    inv_json_object_set(json, "devices", place(offset, writer->body->len - offset));
    writer->emulator = json;
    inv_json_array_add(writer->emulators, json);
}

/* Of the properties that are no booleans only what describes a CPU: the rest is QEMU's own business. */
static InvJson *
others_json(const InvJson *others)
{
    static const char *const kept[] = { "vendor", "family", "model", "stepping", "level", "xlevel", "xlevel2", "level-func7",
                                        "min-level", "min-xlevel",
                                        "min-xlevel2", "phys-bits", "model-id", NULL };
    InvJson *json = inv_json_new_object();

    for (guint i = 0; i < inv_json_size(others); i++) {
        const InvJson *value = NULL;
        const char *name = inv_json_member(others, i, &value);

        if (g_strv_contains(kept, name))
            inv_json_object_set(json, name, inv_json_copy(value));
    }
    return json;
}

static void
append_model(InvHostExportWriter *writer, const InvCpuModel *model, const InvCpuExpansion *expansion, const InvFeatureSet *known)
{
    InvJson *line = inv_json_new_object();

    inv_json_object_set_string(line, "model", model->name);
    if (model->alias_of) {
        inv_json_object_set_string(line, "alias-of", model->alias_of);
        append_line(writer->body, line);
        return;
    }
    inv_json_object_set_string(line, "type", model->type_name);
    if (model->has_usable)
        inv_json_object_set_strv(line, "unavailable", (const char *const *)model->unavailable);
    if (expansion) {
        set_set(writer, line, "on", expansion->on);
        if (!known || !inv_feature_set_is_equal(known, expansion->known))
            set_set(writer, line, "known", expansion->known);
        inv_json_object_set(line, "others", others_json(expansion->others));
        if (expansion->deprecated)
            inv_json_object_set_strv(line, "deprecated", (const char *const *)expansion->deprecated);
    }
    append_line(writer->body, line);
}

/* The model of @facts that stands for the host, or NULL. */
static const InvCpuModel *
host_model(const InvCpuFacts *facts)
{
    const InvCpuModel *model = inv_cpu_table_find(facts->table, facts->accelerator == INV_VIRT_KVM ? "host" : "max");

    return facts->host ? model : NULL;
}

static InvJson *
append_table(InvHostExportWriter *writer, const InvCpuFacts *facts)
{
    InvJson *line = inv_json_new_object();
    const InvCpuModel *host = host_model(facts);
    const InvFeatureSet *known = facts->host ? facts->host->known : NULL;
    g_autoptr(InvFeatureSet) proved = inv_cpu_proved_features(facts->table);
    gsize offset = writer->body->len;

    inv_json_object_set_string(line, "table", facts->machine);
    inv_json_object_set_string(line, "accelerator", facts->accelerator == INV_VIRT_KVM ? "kvm" : "tcg");
    inv_json_object_set_string(line, "default-model", facts->default_model);
    inv_json_object_set_string(line, "host-model", host ? host->name : NULL);
    if (known)
        set_set(writer, line, "known", known);
    set_set(writer, line, "proved", proved);
    append_line(writer->body, line);
    for (guint i = 0; i < inv_cpu_table_size(facts->table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(facts->table, i);

        append_model(writer, model, model == host ? facts->host : model->expansion, known);
    }
    if (facts->kernel && !inv_json_get(writer->kernel, facts->arch))
        set_set(writer, writer->kernel, facts->arch, facts->kernel);
    return place(offset, writer->body->len - offset);
}

void
inv_host_export_writer_add_machine(InvHostExportWriter *writer, const InvHostExportMachine *machine)
{
    InvJson *line = inv_json_new_object();

    inv_json_object_set_string(line, "machine", machine->name);
    inv_json_object_set_string(line, "alias", machine->alias);
    if (machine->is_default)
        inv_json_object_set_boolean(line, "default", TRUE);
    inv_json_object_set_uint(line, "max-vcpus", machine->max_vcpus);
    if (machine->tcg)
        inv_json_object_set(line, "tcg", append_table(writer, machine->tcg));
    if (machine->kvm)
        inv_json_object_set(line, "kvm", append_table(writer, machine->kvm));
    append_line(writer->machines, line);
}

/* The list in the order of the numbers. */
static void
append_names(InvHostExportWriter *writer)
{
    InvJson *line = inv_json_new_object();
    InvJson *array = inv_json_new_array();
    guint n = inv_feature_names_count(writer->names);
    g_autoptr(InvFeatureSet) all = inv_feature_set_new(writer->names);
    g_autofree const char **ordered = g_new0(const char *, n + 1);
    g_autofree const char **list = NULL;
    gsize offset = writer->body->len;

    for (guint i = 0; i < n; i++)
        inv_feature_set_add_number(all, i);
    list = inv_feature_set_list(all);
    for (guint i = 0; list[i]; i++)
        ordered[inv_feature_names_intern(writer->names, list[i])] = list[i];
    for (guint i = 0; i < n; i++)
        inv_json_array_add_string(array, ordered[i]);
    inv_json_object_set(line, "names", array);
    append_line(writer->body, line);
    inv_json_object_set(writer->head, "names", place(offset, writer->body->len - offset));
}

char *
inv_host_export_writer_end(InvHostExportWriter *writer)
{
    GString *text = g_string_new(NULL);

    finish_emulator(writer);
    append_names(writer);
    inv_json_object_set(writer->head, "kernel", writer->kernel);
    inv_json_object_set(writer->head, "emulators", writer->emulators);
    append_line(text, writer->head);
    g_string_append_len(text, writer->body->str, writer->body->len);
    g_string_free(writer->body, TRUE);
    g_string_free(writer->machines, TRUE);
    inv_feature_names_free(writer->names);
    g_free(writer);
    return g_string_free(text, FALSE);
}
