/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/record.h"

#include "util/error.h"

#include <stdlib.h>
#include <string.h>

/* Of the text under the fingerprint: another form of that text needs another number. */
#define FINGERPRINT_FORM "invar-cpu-record 1"
#define RECORD_VERSION 1
#define WORD_BREAKS " \t\n;"

/* QEMU 10 has some 600 properties and 50 words. */
#define MAX_FEATURES 4096u
#define MAX_NAME 128u
#define MAX_WORDS_BYTES 65536u
#define MAX_ASKED_BYTES (1024u * 1024)

/* What is recorded of the properties that are no booleans: our field, QEMU's name. */
static const struct {
    const char *qemu;
    gsize offset;
    gboolean later; /* not in the first records */
} numbers[] = {
    { "family", G_STRUCT_OFFSET(InvCpuRecord, family) },
    { "model", G_STRUCT_OFFSET(InvCpuRecord, model_number) },
    { "stepping", G_STRUCT_OFFSET(InvCpuRecord, stepping) },
    { "level", G_STRUCT_OFFSET(InvCpuRecord, level) },
    { "xlevel", G_STRUCT_OFFSET(InvCpuRecord, xlevel) },
    { "xlevel2", G_STRUCT_OFFSET(InvCpuRecord, xlevel2) },
    { "phys-bits", G_STRUCT_OFFSET(InvCpuRecord, phys_bits) },
    { "level-func7", G_STRUCT_OFFSET(InvCpuRecord, level_func7), .later = TRUE },
};

static gint64
number_of(const InvCpuRecord *record, guint index)
{
    return G_STRUCT_MEMBER(gint64, record, numbers[index].offset);
}

void
inv_guest_cpu_free(InvGuestCpu *guest)
{
    if (!guest)
        return;
    g_free(guest->machine);
    g_free(guest->type_name);
    g_free(guest->model);
    inv_cpu_expansion_free(guest->cpu);
    g_strfreev(guest->unavailable);
    g_free(guest->words);
    g_free(guest->path);
    g_free(guest->live);
    g_free(guest);
}

void
inv_cpu_record_free(InvCpuRecord *record)
{
    if (!record)
        return;
    g_free(record->arch);
    g_free(record->machine);
    g_free(record->model);
    g_free(record->vendor);
    g_free(record->brand);
    g_strfreev(record->on);
    g_strfreev(record->off);
    g_free(record->words);
    g_free(record->asked);
    g_free(record->asked_machine);
    g_free(record->fingerprint);
    g_free(record);
}

InvCpuRecord *
inv_cpu_record_copy(const InvCpuRecord *record)
{
    InvCpuRecord *copy;

    if (!record)
        return NULL;
    /* The numbers; each text in turn becomes the copy's own. */
    copy = g_memdup2(record, sizeof(*record));
    copy->arch = g_strdup(record->arch);
    copy->machine = g_strdup(record->machine);
    copy->model = g_strdup(record->model);
    copy->vendor = g_strdup(record->vendor);
    copy->brand = g_strdup(record->brand);
    copy->on = g_strdupv(record->on);
    copy->off = g_strdupv(record->off);
    copy->words = g_strdup(record->words);
    copy->asked = g_strdup(record->asked);
    copy->asked_machine = g_strdup(record->asked_machine);
    copy->fingerprint = g_strdup(record->fingerprint);
    return copy;
}

/* "key length:value", so that no value can pass for the next line. */
static void
hash_text(GChecksum *checksum, const char *key, const char *value)
{
    g_autofree char *line = value ? g_strdup_printf("%s %zu:%s\n", key, strlen(value), value) : g_strdup_printf("%s -\n", key);

    g_checksum_update(checksum, (const guchar *)line, -1);
}

/* A word apart by white space or semicolons, "00000007.1.eax=00000000", in which no bit is on. */
static gboolean
is_zero(const char *word)
{
    const char *equals = strchr(word, '=');

    return equals && equals[1] && strspn(equals + 1, "0") == strlen(equals + 1);
}

/* Without those that a newer QEMU knows and in which it has nothing on: a guest reads zeros of either. NULL: NULL. */
static char *
words_that_count(const char *words)
{
    g_auto(GStrv) list = words ? g_strsplit_set(words, WORD_BREAKS, -1) : NULL;
    g_autoptr(GString) text = words ? g_string_new(NULL) : NULL;

    for (char **word = list; word && *word; word++) {
        if (**word && !is_zero(*word))
            g_string_append_printf(text, "%s%s", text->len ? " " : "", *word);
    }
    return text ? g_string_free(g_steal_pointer(&text), FALSE) : NULL;
}

/*
 * The fingerprint is what the guest can see, so that it is the same on every host and under every
 * QEMU that make this CPU. Names that are off are not in it: a newer QEMU knows more names, and to
 * a guest "off" and "never heard of" are the same.
 */
static char *
make_fingerprint(const InvCpuRecord *record, gboolean first_form)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    g_autofree char *words = first_form ? g_strdup(record->words) : words_that_count(record->words);

    hash_text(checksum, "form", FINGERPRINT_FORM);
    hash_text(checksum, "arch", record->arch);
    hash_text(checksum, "machine", record->machine);
    hash_text(checksum, "model", record->model);
    hash_text(checksum, "vendor", record->vendor);
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, number_of(record, i));

        if (numbers[i].later && (first_form || number_of(record, i) < 0))
            continue;
        hash_text(checksum, numbers[i].qemu, text);
    }
    for (char **name = record->on; *name; name++) {
        if (!inv_cpu_map_follows_topology(*name))
            hash_text(checksum, "on", *name);
    }
    hash_text(checksum, "words", words);
    if (record->brand && !first_form)
        hash_text(checksum, "brand", record->brand);
    return g_strdup(g_checksum_get_string(checksum));
}

static char **
copy_list(const char **list)
{
    char **copy = g_strdupv((char **)list);

    g_free(list);
    return copy;
}

InvCpuRecord *
inv_cpu_record_new(const char *arch, const InvGuestCpu *guest)
{
    InvCpuRecord *record = g_new0(InvCpuRecord, 1);

    record->arch = g_strdup(arch);
    record->machine = g_strdup(guest->machine);
    record->model = g_strdup(guest->model);
    record->words = g_strdup(guest->words);
    record->asked = g_strdup("");
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        G_STRUCT_MEMBER(gint64, record, numbers[i].offset) = -1;
    if (guest->cpu) {
        g_autoptr(InvFeatureSet) off = inv_feature_set_difference(guest->cpu->known, guest->cpu->on);

        record->on = copy_list(inv_feature_set_list(guest->cpu->on));
        record->off = copy_list(inv_feature_set_list(off));
        record->vendor = g_strdup(inv_json_get_string(guest->cpu->others, "vendor"));
        record->brand = g_strdup(inv_json_get_string(guest->cpu->others, "model-id"));
        for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
            G_STRUCT_MEMBER(gint64, record, numbers[i].offset) = inv_json_get_int(guest->cpu->others, numbers[i].qemu, -1);
    } else {
        record->on = g_new0(char *, 1);
        record->off = g_new0(char *, 1);
    }
    record->fingerprint = make_fingerprint(record, FALSE);
    return record;
}

InvJson *
inv_cpu_record_to_json(const InvCpuRecord *record)
{
    InvJson *json = inv_json_new_object();

    inv_json_object_set_int(json, "version", RECORD_VERSION);
    inv_json_object_set_string(json, "arch", record->arch);
    inv_json_object_set_string(json, "machine", record->machine);
    inv_json_object_set_string(json, "cpu", record->model);
    inv_json_object_set_string(json, "vendor", record->vendor);
    inv_json_object_set_string(json, "brand", record->brand);
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        inv_json_object_set_int(json, numbers[i].qemu, number_of(record, i));
    inv_json_object_set_strv(json, "on", (const char *const *)record->on);
    inv_json_object_set_strv(json, "off", (const char *const *)record->off);
    inv_json_object_set_string(json, "words", record->words);
    inv_json_object_set_string(json, "asked", record->asked);
    inv_json_object_set_string(json, "asked-machine", record->asked_machine);
    inv_json_object_set_string(json, "fingerprint", record->fingerprint);
    return json;
}

static gboolean
is_sorted(char *const *list)
{
    for (guint i = 0; list[0] && list[i + 1]; i++) {
        if (strcmp(list[i], list[i + 1]) >= 0)
            return FALSE;
    }
    return TRUE;
}

/* A name that QEMU could have: it is compared with QEMU's, shown, and nothing in it ends a property of -cpu. */
static gboolean
is_name(const char *text)
{
    gsize length = strlen(text);

    for (const char *p = text; *p; p++) {
        if (!g_ascii_isgraph(*p) || strchr(",=<>&'\"", *p))
            return FALSE;
    }
    return length > 0 && length <= MAX_NAME;
}

static gboolean
are_names(char *const *list)
{
    guint n = 0;

    for (; list[n]; n++) {
        if (n >= MAX_FEATURES || !is_name(list[n]))
            return FALSE;
    }
    return TRUE;
}

static gboolean
is_text(const char *text, gsize limit)
{
    return !text || (strlen(text) <= limit && g_utf8_validate(text, -1, NULL));
}

/* A record may come from another host, and a fingerprint says nothing of who made it. */
static gboolean
is_sane(const InvCpuRecord *record)
{
    return record->arch && is_name(record->arch) && record->machine && is_name(record->machine) &&
           (!record->model || is_name(record->model)) && is_text(record->vendor, MAX_NAME) && is_text(record->brand, MAX_NAME) &&
           is_text(record->words, MAX_WORDS_BYTES) && is_text(record->asked, MAX_ASKED_BYTES) &&
           (!record->asked_machine || is_text(record->asked_machine, MAX_NAME)) && are_names(record->on) && are_names(record->off);
}

InvCpuRecord *
inv_cpu_record_from_json(const InvJson *json, GError **error)
{
    g_autoptr(InvCpuRecord) record = g_new0(InvCpuRecord, 1);
    g_autofree char *fingerprint = NULL, *first_form = NULL;

    if (inv_json_get_int(json, "version", -1) != RECORD_VERSION) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "this is not a CPU record in the form of this version of Invar");
        return NULL;
    }
    record->arch = g_strdup(inv_json_get_string(json, "arch"));
    record->machine = g_strdup(inv_json_get_string(json, "machine"));
    record->model = g_strdup(inv_json_get_string(json, "cpu"));
    record->vendor = g_strdup(inv_json_get_string(json, "vendor"));
    record->brand = g_strdup(inv_json_get_string(json, "brand"));
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        G_STRUCT_MEMBER(gint64, record, numbers[i].offset) = inv_json_get_int(json, numbers[i].qemu, -1);
    record->on = inv_json_get_strv(json, "on");
    record->off = inv_json_get_strv(json, "off");
    record->words = g_strdup(inv_json_get_string(json, "words"));
    record->asked = g_strdup(inv_json_get_string(json, "asked"));
    record->asked_machine = g_strdup(inv_json_get_string(json, "asked-machine"));
    record->fingerprint = g_strdup(inv_json_get_string(json, "fingerprint"));
    fingerprint = make_fingerprint(record, FALSE);
    first_form = make_fingerprint(record, TRUE);
    if (!record->brand && record->level_func7 < 0 && g_strcmp0(first_form, record->fingerprint) == 0) {
        g_free(record->fingerprint);
        record->fingerprint = g_strdup(fingerprint);
    }
    if (!is_sane(record)) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the CPU record has a name or a text that no QEMU gives: it was damaged or made by hand");
        return NULL;
    }
    if (!is_sorted(record->on) || !is_sorted(record->off) || g_strcmp0(fingerprint, record->fingerprint) != 0) {
        inv_error_set(error, VIR_ERR_INVALID_ARG,
                      "the CPU record does not match its fingerprint: it was damaged or changed by hand; restore it from a copy, or "
                      "reopen the domain's record");
        return NULL;
    }
    return g_steal_pointer(&record);
}

static void
compare_texts(GPtrArray *lines, const char *what, const char *before, const char *after)
{
    if (g_strcmp0(before, after) != 0)
        g_ptr_array_add(lines, g_strdup_printf("%s: %s → %s", what, before ? before : "none", after ? after : "none"));
}

static void
compare_features(GPtrArray *lines, char *const *before, char *const *after)
{
    while (*before || *after) {
        int order = !*before ? 1 : !*after ? -1 : strcmp(*before, *after);
        const char *name = order <= 0 ? *before : *after;

        if (order != 0 && !inv_cpu_map_follows_topology(name))
            g_ptr_array_add(lines, g_strdup_printf("feature %s: %s", name, order < 0 ? "on → off" : "off → on"));
        before += order <= 0;
        after += order >= 0;
    }
}

/* What of @words, a text of words apart by white space, is not in the other. */
static char *
words_without(const char *words, const char *other)
{
    g_auto(GStrv) mine = g_strsplit_set(words, WORD_BREAKS, -1);
    g_auto(GStrv) theirs = g_strsplit_set(other, WORD_BREAKS, -1);
    g_autoptr(GString) text = g_string_new(NULL);

    for (char **word = mine; *word; word++) {
        if (**word && !g_strv_contains((const char *const *)theirs, *word))
            g_string_append_printf(text, "%s%s", text->len ? " " : "", *word);
    }
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static void
compare_words(GPtrArray *lines, const char *before, const char *after)
{
    g_autofree char *old = words_that_count(before);
    g_autofree char *new = words_that_count(after);
    g_autofree char *gone = NULL;
    g_autofree char *come = NULL;

    /* An architecture or a QEMU that has no words to show says nothing about a change. */
    if (!before || !after || strcmp(old, new) == 0)
        return;
    /* A word that is zero on one side only is named on both. */
    gone = words_without(before, after);
    come = words_without(after, before);
    g_ptr_array_add(lines, g_strdup_printf("CPUID words: %s → %s", gone, come));
}

char **
inv_cpu_record_compare(const InvCpuRecord *before, const InvCpuRecord *after)
{
    g_autoptr(GPtrArray) lines = g_ptr_array_new_with_free_func(g_free);

    compare_texts(lines, "architecture", before->arch, after->arch);
    compare_texts(lines, "machine", before->machine, after->machine);
    compare_texts(lines, "model", before->model, after->model);
    compare_texts(lines, "vendor", before->vendor, after->vendor);
    if (before->brand && after->brand)
        compare_texts(lines, "brand", before->brand, after->brand);
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        if (numbers[i].later && (number_of(before, i) < 0 || number_of(after, i) < 0))
            continue;
        if (number_of(before, i) != number_of(after, i))
            g_ptr_array_add(lines, g_strdup_printf("%s: %" G_GINT64_FORMAT " → %" G_GINT64_FORMAT,
                                                   strcmp(numbers[i].qemu, "model") == 0 ? "model number" : numbers[i].qemu,
                                                   number_of(before, i), number_of(after, i)));
    }
    compare_features(lines, before->on, after->on);
    compare_words(lines, before->words, after->words);
    g_ptr_array_add(lines, NULL);
    return (char **)g_ptr_array_steal(lines, NULL);
}
