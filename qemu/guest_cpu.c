/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/guest_cpu.h"

#include "qemu/emulator_private.h"
#include "qemu/probe_process.h"
#include "util/error.h"

#include <string.h>

/* QEMU has some 40 feature words. */
#define MAX_WORDS 1024u

char *
inv_first_cpu_path(InvQmp *qmp, gint64 end, GError **error)
{
    g_autoptr(InvJson) cpus = NULL;
    const char *path = NULL;

    if (!inv_qmp_call(qmp, "query-cpus-fast", NULL, inv_deadline_left(end), &cpus, error))
        return NULL;
    for (guint i = 0; i < inv_json_size(cpus) && !path; i++) {
        if (inv_json_get_int(inv_json_at(cpus, i), "cpu-index", -1) == 0)
            path = inv_json_get_string(inv_json_at(cpus, i), "qom-path");
    }
    if (!path)
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU shows no CPU 0 in its answer to query-cpus-fast");
    return g_strdup(path);
}

/* What is read of the live CPU; on x86 all, elsewhere the type alone. */
static const char *const live_properties[] = { "type", "unavailable-features", "feature-words", "vendor", "model-id",
                                               "family", "model", "stepping", "level", "xlevel", "xlevel2", "phys-bits" };
enum { LIVE_TYPE, LIVE_UNAVAILABLE, LIVE_WORDS, FIRST_LIVE_VALUE };

typedef struct {
    InvQmp *qmp;
    gint64 end;
    gboolean is_x86;
    InvJson *live[G_N_ELEMENTS(live_properties)];
} Reader;

static void
reader_clear(Reader *reader)
{
    for (guint i = 0; i < G_N_ELEMENTS(live_properties); i++)
        g_clear_pointer(&reader->live[i], inv_json_free);
}
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(Reader, reader_clear)

static gboolean
is_x86(const char *arch)
{
    return strcmp(arch, "x86_64") == 0 || strcmp(arch, "i686") == 0;
}

static gboolean
read_live(Reader *reader, const char *path, GError **error)
{
    const guint n = reader->is_x86 ? G_N_ELEMENTS(live_properties) : 1;
    g_autoptr(GPtrArray) arguments = g_ptr_array_new_with_free_func((GDestroyNotify)inv_json_free);
    InvQmpCommand commands[G_N_ELEMENTS(live_properties)];

    for (guint i = 0; i < n; i++) {
        InvJson *json = inv_json_new_object();

        inv_json_object_set_string(json, "path", path);
        inv_json_object_set_string(json, "property", live_properties[i]);
        g_ptr_array_add(arguments, json);
        commands[i] = (InvQmpCommand){ "qom-get", json };
    }
    if (!inv_qmp_call_many(reader->qmp, commands, n, inv_deadline_left(reader->end), reader->live, NULL, error))
        return FALSE;
    if (!inv_json_string(reader->live[LIVE_TYPE]))
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU does not tell the type of its CPU 0");
    /* Without this list a CPU that lost features would pass for a whole one. */
    if (reader->is_x86 && inv_json_type(reader->live[LIVE_UNAVAILABLE]) != INV_JSON_ARRAY)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU does not tell what it filtered of its CPU 0");
    return TRUE;
}

/* Owned by the caller. */
static char *
live_text(const Reader *reader)
{
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < G_N_ELEMENTS(live_properties); i++) {
        g_autofree char *value = reader->live[i] ? inv_json_format(reader->live[i], FALSE) : NULL;

        g_string_append_printf(text, "%s=%s\n", live_properties[i], value ? value : "");
    }
    return g_string_free(text, FALSE);
}

char *
inv_guest_cpu_read_live(InvQmp *qmp, const char *arch, const char *path, guint deadline_ms, GError **error)
{
    g_auto(Reader) reader = { .qmp = qmp, .end = inv_deadline_end(deadline_ms), .is_x86 = is_x86(arch) };

    return read_live(&reader, path, error) ? live_text(&reader) : NULL;
}

/* The JSON value of a property given as text, in the type in which QEMU shows it, or by its look when it does not. */
static InvJson *
value_from_text(const char *text, const InvJson *shown)
{
    const gboolean on = strcmp(text, "on") == 0 || strcmp(text, "yes") == 0 || strcmp(text, "true") == 0 || strcmp(text, "y") == 0;
    const gboolean off = strcmp(text, "off") == 0 || strcmp(text, "no") == 0 || strcmp(text, "false") == 0 || strcmp(text, "n") == 0;
    const InvJsonType type = shown ? inv_json_type(shown) : on || off ? INV_JSON_BOOLEAN : INV_JSON_NUMBER;
    char *end = NULL;
    gint64 number;

    if (type == INV_JSON_BOOLEAN && (on || off))
        return inv_json_new_boolean(on);
    number = g_ascii_strtoll(text, &end, 0);
    if (type == INV_JSON_NUMBER && *text && !*end)
        return inv_json_new_int(number);
    return inv_json_new_string(text);
}

/* The properties of a -cpu argument: "Model,a=on,b=3,+c,-d". check and enforce do not make a CPU. */
static InvJson *
properties_of(const char *cpu_argument, const InvJson *shown)
{
    g_auto(GStrv) parts = g_strsplit(cpu_argument, ",", -1);
    InvJson *props = inv_json_new_object();

    for (char **part = *parts ? parts + 1 : parts; *part; part++) {
        char *equals = strchr(*part, '=');
        const char *name = *part;
        const char *value = equals ? equals + 1 : "on";

        if (equals)
            *equals = '\0';
        if (!equals && (*name == '+' || *name == '-')) {
            value = *name == '+' ? "on" : "off";
            name++;
        }
        if (*name && strcmp(name, "check") != 0 && strcmp(name, "enforce") != 0)
            inv_json_object_set(props, name, value_from_text(value, inv_json_get(shown, name)));
    }
    return props;
}

/*
 * *@props: what the model and @asked (may be NULL) make, as the reply's "props" object. Architectures
 * that cannot expand this model give an empty one; on x86 that is an error.
 */
static gboolean
expand(Reader *reader, const char *model, const InvJson *asked, InvJson **props, GError **error)
{
    g_autoptr(InvJson) arguments = inv_json_new_object();
    g_autoptr(InvJson) reply = NULL;
    InvJson *json = inv_json_new_object();
    const InvQmpCommand command = { "query-cpu-model-expansion", arguments };
    GError *refused = NULL;
    const InvJson *found;

    inv_json_object_set_string(arguments, "type", "full");
    inv_json_object_set_string(json, "name", model);
    if (asked && inv_json_size(asked))
        inv_json_object_set(json, "props", inv_json_copy(asked));
    inv_json_object_set(arguments, "model", json);
    if (!inv_qmp_call_many(reader->qmp, &command, 1, inv_deadline_left(reader->end), &reply, &refused, error))
        return FALSE;
    if (refused && reader->is_x86) {
        g_propagate_prefixed_error(error, refused, "the CPU model '%s' cannot be expanded: ", model);
        return FALSE;
    }
    g_clear_error(&refused);
    found = inv_json_get(inv_json_get(reply, "model"), "props");
    if (!found && reader->is_x86)
        return inv_error_set(error, VIR_ERR_OPERATION_FAILED, "QEMU's expansion of the CPU model '%s' has no properties", model);
    *props = found ? inv_json_copy(found) : inv_json_new_object();
    return TRUE;
}

typedef struct {
    guint32 leaf, subleaf;
    char reg[4];
    guint32 bits;
} Word;

static int
compare_words(gconstpointer a, gconstpointer b)
{
    const Word *x = a;
    const Word *y = b;

    if (x->leaf != y->leaf)
        return x->leaf < y->leaf ? -1 : 1;
    if (x->subleaf != y->subleaf)
        return x->subleaf < y->subleaf ? -1 : 1;
    return strcmp(x->reg, y->reg);
}

/* Bits that tell how many threads and cores there are, not which CPU it is: ht and cmp-legacy. */
static guint32
without_topology(const Word *word)
{
    if (word->leaf == 1 && strcmp(word->reg, "EDX") == 0)
        return word->bits & ~(G_GUINT64_CONSTANT(1) << 28);
    if (word->leaf == 0x80000001u && strcmp(word->reg, "ECX") == 0)
        return word->bits & ~(G_GUINT64_CONSTANT(1) << 1);
    return word->bits;
}

char *
inv_guest_cpu_words(const InvJson *feature_words)
{
    g_autoptr(GArray) words = g_array_new(FALSE, FALSE, sizeof(Word));
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < inv_json_size(feature_words) && i < MAX_WORDS; i++) {
        const InvJson *json = inv_json_at(feature_words, i);
        const char *reg = inv_json_get_string(json, "cpuid-register");
        Word word = {
            .leaf = (guint32)inv_json_get_uint(json, "cpuid-input-eax", 0),
            .subleaf = (guint32)inv_json_get_uint(json, "cpuid-input-ecx", 0),
            .bits = (guint32)inv_json_get_uint(json, "features", 0),
        };

        if (!reg || strlen(reg) >= sizeof(word.reg))
            continue;
        g_strlcpy(word.reg, reg, sizeof(word.reg));
        g_array_append_val(words, word);
    }
    g_array_sort(words, compare_words);
    for (guint i = 0; i < words->len; i++) {
        const Word *word = &g_array_index(words, Word, i);
        g_autofree char *reg = g_ascii_strdown(word->reg, -1);

        g_string_append_printf(text, "%s%08x.%x.%s=%08x", i ? " " : "", word->leaf, word->subleaf, reg, without_topology(word));
    }
    return g_string_free(text, FALSE);
}

/* What the guest sees: what was expanded, less what QEMU filtered unless it was told not to filter. */
static void
take_features(Reader *reader, InvGuestCpu *guest, const InvCpuMap *map, InvFeatureNames *names, InvJson *props)
{
    const gboolean forced = inv_json_get_boolean(props, "x-force-features", FALSE);
    g_auto(GStrv) hidden = NULL;

    for (guint i = FIRST_LIVE_VALUE; i < G_N_ELEMENTS(live_properties); i++) {
        if (reader->live[i])
            inv_json_object_set(props, live_properties[i], inv_json_copy(reader->live[i]));
    }
    guest->cpu = inv_cpu_expansion_new(map, names, props);
    if (!reader->is_x86)
        return;
    guest->unavailable = inv_cpu_names_to_libvirt(map, reader->live[LIVE_UNAVAILABLE]);
    for (char **name = guest->unavailable; *name && !forced; name++)
        inv_feature_set_remove(guest->cpu->on, *name);
    hidden = inv_cpu_hidden_features(map, reader->live[LIVE_WORDS], props);
    for (char **name = hidden; *name; name++)
        inv_feature_set_remove(guest->cpu->on, *name);
    if (inv_json_type(reader->live[LIVE_WORDS]) == INV_JSON_ARRAY)
        guest->words = inv_guest_cpu_words(reader->live[LIVE_WORDS]);
}

InvGuestCpu *
inv_guest_cpu_read(InvQmp *qmp, const char *arch, const InvCpuMap *map, InvFeatureNames *names, const char *machine,
                   const char *cpu_argument, guint deadline_ms, GError **error)
{
    g_auto(Reader) reader = {
        .qmp = qmp,
        .end = inv_deadline_end(deadline_ms),
        .is_x86 = is_x86(arch),
    };
    g_autofree char *path = inv_first_cpu_path(qmp, reader.end, error);
    g_autoptr(InvGuestCpu) guest = g_new0(InvGuestCpu, 1);
    g_autofree char *asked_model = NULL;
    g_autoptr(InvJson) props = NULL;

    if (!path || !read_live(&reader, path, error))
        return NULL;
    guest->machine = g_strdup(machine);
    guest->type_name = g_strdup(inv_json_string(reader.live[LIVE_TYPE]));
    guest->model = inv_cpu_type_to_model(guest->type_name);
    asked_model = cpu_argument ? g_strndup(cpu_argument, strcspn(cpu_argument, ",")) : g_strdup(guest->model);
    if (!guest->model || !*asked_model) {
        inv_error_set(error, VIR_ERR_OPERATION_FAILED, "the CPU type '%s' of QEMU's CPU 0 does not tell its model", guest->type_name);
        return NULL;
    }
    if (!expand(&reader, asked_model, NULL, &props, error))
        return NULL;
    if (cpu_argument && strchr(cpu_argument, ',')) {
        g_autoptr(InvJson) asked = properties_of(cpu_argument, props);

        g_clear_pointer(&props, inv_json_free);
        if (!expand(&reader, asked_model, asked, &props, error))
            return NULL;
    }
    take_features(&reader, guest, map, names, props);
    guest->live = live_text(&reader);
    guest->path = g_steal_pointer(&path);
    return g_steal_pointer(&guest);
}
