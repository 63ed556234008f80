/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/host_export.h"

#include "cpu_driver/host_export_line.h"
#include "util/error.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Debian's 27 emulators make a first line of 8 KiB; most hosts' fits into the first piece that is read. */
#define FIRST_READ 16384u
#define MAX_HEAD (1024u * 1024u)
/* x86's largest table is 90 KiB, with room for QEMUs that know ten times as much. */
#define MAX_PLACE (4u * 1024u * 1024u)
#define MAX_NAMES 8192u
#define MAX_NAME 128u
#define MAX_EMULATORS 1024u
/* Lists of names that are remembered: a fleet has a handful of QEMUs. */
#define MAX_KEPT_LISTS 256u
#define CHECKSUM_DIGITS 16u

typedef struct {
    char *text;      /* the line */
    gsize length;
    guint *numbers;  /* by place in the line */
    guint n;
} NameList;

typedef struct {
    InvCpuMap *map;
    InvCpuModels *models;
    InvCpuLimits *limits;
} Dictionary;

struct InvHostExportReader {
    char *folder;
    InvFeatureNames *names;
    GMutex lock;
    GHashTable *dictionaries; /* arch → Dictionary; guarded by lock; entries are immutable */
    GHashTable *lists;        /* the sum as text → NameList; likewise */
};

struct InvHostExport {
    InvHostExportReader *reader; /* borrowed */
    InvHostExportRead read;
    gpointer data;
    InvJson *head;
    guint64 body;          /* where the places count from */
    char *first;           /* what was read at once, and how much */
    gsize first_length;
    /* what the questions have found so far */
    const InvJson *emulator;   /* of head */
    InvVirtType accelerator;
    char *machine, *display;
    InvJson *machine_line;
    char *devices;         /* the line, NULL: not asked yet */
    InvCpuTable *table;
    InvFeatureSet *hardware, *kernel, *proved;
    InvCpuHostLimits *limits;
    char *default_model, *host_vendor;
    GError *damage;        /* the file's, not the host's */
};

static void
name_list_free(gpointer data)
{
    NameList *list = data;

    g_free(list->text);
    g_free(list->numbers);
    g_free(list);
}

static void
dictionary_free(gpointer data)
{
    Dictionary *dictionary = data;

    inv_cpu_limits_free(dictionary->limits);
    inv_cpu_models_free(dictionary->models);
    inv_cpu_map_free(dictionary->map);
    g_free(dictionary);
}

InvHostExportReader *
inv_host_export_reader_new(const char *folder)
{
    InvHostExportReader *reader = g_new0(InvHostExportReader, 1);

    reader->folder = g_strdup(folder ? folder : inv_cpu_map_default_folder());
    reader->names = inv_feature_names_new();
    g_mutex_init(&reader->lock);
    reader->dictionaries = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, dictionary_free);
    reader->lists = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, name_list_free);
    return reader;
}

void
inv_host_export_reader_free(InvHostExportReader *reader)
{
    if (!reader)
        return;
    g_hash_table_unref(reader->dictionaries);
    g_hash_table_unref(reader->lists);
    g_mutex_clear(&reader->lock);
    inv_feature_names_free(reader->names);
    g_free(reader->folder);
    g_free(reader);
}

static Dictionary *
dictionary_load(const char *folder, const char *arch, GError **error)
{
    g_autofree Dictionary *dictionary = g_new0(Dictionary, 1);

    dictionary->map = inv_cpu_map_load(folder, arch, error);
    if (!dictionary->map)
        return NULL;
    /* Both only explain: what cannot be read is not known. */
    dictionary->models = inv_cpu_models_load(folder, arch, NULL);
    dictionary->limits = inv_cpu_limits_load(folder, arch, dictionary->map, NULL);
    return g_steal_pointer(&dictionary);
}

static const Dictionary *
dictionary_of(InvHostExportReader *reader, const char *arch, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&reader->lock);
    Dictionary *dictionary = g_hash_table_lookup(reader->dictionaries, arch);

    if (!dictionary) {
        dictionary = dictionary_load(reader->folder, arch, error);
        if (dictionary)
            g_hash_table_insert(reader->dictionaries, g_strdup(arch), dictionary);
    }
    return dictionary;
}

/* VIR_ERR_INVALID_ARG with where. Returns FALSE. */
static gboolean
damaged(GError **error, guint64 offset, const char *what)
{
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "the description of a host is damaged at byte %" G_GUINT64_FORMAT ": %s; export it anew",
                         offset, what);
}

/* Exactly @length bytes at @offset, with a NUL behind. Owned by the caller. */
static char *
read_exactly(const InvHostExport *host, guint64 offset, gsize length, GError **error)
{
    g_autofree char *text = g_malloc(length + 1);
    gsize have = 0;

    if (offset <= host->first_length && length <= host->first_length - offset) {
        memcpy(text, host->first + offset, length);
        have = length;
    }
    while (have < length) {
        gssize got = host->read(host->data, offset + have, text + have, length - have);

        if (got < 0) {
            inv_error_set_errno(error, errno, "reading the description of a host failed");
            return NULL;
        }
        if (got == 0) {
            damaged(error, offset + have, "it ends here, and there should be more");
            return NULL;
        }
        have += (gsize)got;
    }
    text[length] = '\0';
    return g_steal_pointer(&text);
}

/* A line without its newline: its sum is right. @offset: of the line, for messages. */
static gboolean
check_line(const char *line, gsize length, guint64 offset, GError **error)
{
    const gsize tail = strlen(INV_HOST_EXPORT_SUM) + CHECKSUM_DIGITS + 2;
    char digits[CHECKSUM_DIGITS + 1];

    if (length <= tail || memcmp(line + length - tail, INV_HOST_EXPORT_SUM, strlen(INV_HOST_EXPORT_SUM)) != 0 ||
        memcmp(line + length - 2, "\"}", 2) != 0)
        return damaged(error, offset, "there is no line with a sum at its end");
    g_snprintf(digits, sizeof(digits), "%016" G_GINT64_MODIFIER "x", inv_host_export_sum(line, length - tail));
    if (memcmp(digits, line + length - 2 - CHECKSUM_DIGITS, CHECKSUM_DIGITS) != 0)
        return damaged(error, offset, "the line is not what its sum was made of");
    return TRUE;
}

static InvJson *
parse_line(const char *line, gsize length, guint64 offset, GError **error)
{
    InvJson *json;

    if (!check_line(line, length, offset, error))
        return NULL;
    json = inv_json_parse(line, length, error);
    if (!json)
        g_prefix_error(error, "the description of a host, at byte %" G_GUINT64_FORMAT ": ", offset);
    return json;
}

/* What is at a place [offset, length] of the body; *@offset becomes the file's. Owned by the caller. */
static char *
read_place(const InvHostExport *host, const InvJson *place, guint64 *offset, gsize *length, GError **error)
{
    guint64 from, size;

    if (inv_json_size(place) != 2 || !inv_json_uint(inv_json_at(place, 0), &from) || !inv_json_uint(inv_json_at(place, 1), &size) ||
        size == 0 || size > MAX_PLACE || from > G_MAXINT64 - MAX_HEAD - MAX_PLACE) {
        damaged(error, 0, "its first line leads nowhere");
        return NULL;
    }
    *offset = host->body + from;
    *length = (gsize)size;
    return read_exactly(host, *offset, *length, error);
}

/* The line that begins with @prefix: NULL without an error when there is none. Its length, without the newline. */
static const char *
find_line(const char *text, gsize length, const char *prefix, gsize *line_length)
{
    const char *end = text + length;
    gsize n = strlen(prefix);

    for (const char *line = text; line < end;) {
        const char *newline = memchr(line, '\n', (gsize)(end - line));

        if (!newline)
            return NULL;
        if ((gsize)(newline - line) >= n && memcmp(line, prefix, n) == 0) {
            *line_length = (gsize)(newline - line);
            return line;
        }
        line = newline + 1;
    }
    return NULL;
}

/* {"KEY":"VALUE" as the writer writes it. Owned by the caller. */
static char *
prefix_of(const char *key, const char *value)
{
    g_autoptr(InvJson) json = inv_json_new_string(value);
    g_autofree char *text = inv_json_format(json, FALSE);

    return g_strdup_printf("{\"%s\":%s", key, text);
}

/* The parsed line of @block that begins with {"KEY":"VALUE"; NULL without an error: there is none. */
static InvJson *
line_of(const char *block, gsize length, guint64 offset, const char *key, const char *value, GError **error)
{
    g_autofree char *prefix = prefix_of(key, value);
    gsize line_length = 0;
    const char *line = find_line(block, length, prefix, &line_length);

    return line ? parse_line(line, line_length, offset + (guint64)(line - block), error) : NULL;
}

/* Numbers for the names of a line, that @text is. */
static NameList *
name_list_new(InvHostExportReader *reader, const char *text, gsize length, guint64 offset, GError **error)
{
    g_autoptr(InvJson) json = parse_line(text, length, offset, error);
    const InvJson *names = inv_json_get(json, "names");
    NameList *list;
    guint n = inv_json_size(names);

    if (!json)
        return NULL;
    if (!names || inv_json_type(names) != INV_JSON_ARRAY || n > MAX_NAMES) {
        damaged(error, offset, "the list of features is none");
        return NULL;
    }
    list = g_new0(NameList, 1);
    list->numbers = g_new0(guint, n + 1);
    list->n = n;
    list->length = length;
    list->text = g_memdup2(text, length);
    for (guint i = 0; i < n; i++) {
        const char *name = inv_json_string(inv_json_at(names, i));

        /* It may go onto a command line's explanation, never onto a command line. */
        if (!name || !*name || strlen(name) > MAX_NAME || strpbrk(name, ",= ")) {
            name_list_free(list);
            damaged(error, offset, "a feature has no usable name");
            return NULL;
        }
        list->numbers[i] = inv_feature_names_intern(reader->names, name);
    }
    return list;
}

/* The file's list of names: most files of a fleet have the same. Borrowed from the reader. */
static const NameList *
name_list(InvHostExport *host, GError **error)
{
    InvHostExportReader *reader = host->reader;
    guint64 offset = 0;
    gsize length = 0;
    g_autofree char *text = read_place(host, inv_json_get(host->head, "names"), &offset, &length, error);
    g_autofree char *key = NULL;
    NameList *list;

    if (!text)
        return NULL;
    if (text[length - 1] == '\n')
        length--;
    key = g_strndup(text + length - MIN(length, CHECKSUM_DIGITS + 2), CHECKSUM_DIGITS);
    g_mutex_lock(&reader->lock);
    list = g_hash_table_lookup(reader->lists, key);
    g_mutex_unlock(&reader->lock);
    if (list && list->length == length && memcmp(list->text, text, length) == 0)
        return list;
    if (list) {
        damaged(error, offset, "its features have the sum of other features");
        return NULL;
    }
    list = name_list_new(reader, text, length, offset, error);
    if (!list)
        return NULL;

    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&reader->lock);
    NameList *other = g_hash_table_lookup(reader->lists, key);

    if (other) {
        name_list_free(list);
        return other;
    }
    if (g_hash_table_size(reader->lists) >= MAX_KEPT_LISTS) {
        name_list_free(list);
        damaged(error, offset, "more different lists of features than a fleet has QEMUs");
        return NULL;
    }
    g_hash_table_insert(reader->lists, g_steal_pointer(&key), list);
    return list;
}

/* NULL when @text is no set of @list. */
static InvFeatureSet *
parse_set(InvHostExport *host, const NameList *list, const char *text)
{
    g_autoptr(InvFeatureSet) set = inv_feature_set_new(host->reader->names);

    for (gsize i = 0; text[i]; i++) {
        int digit = g_ascii_xdigit_value(text[i]);

        if (digit < 0 || i > MAX_NAMES / 4)
            return NULL;
        for (guint bit = 0; digit >> bit; bit++) {
            gsize number = i * 4 + bit;

            if (!(digit >> bit & 1))
                continue;
            if (number >= list->n)
                return NULL;
            inv_feature_set_add_number(set, list->numbers[number]);
        }
    }
    return g_steal_pointer(&set);
}

static InvJson *
read_head(InvHostExport *host, GError **error)
{
    const char *newline;

    for (gsize size = FIRST_READ; ; size = MIN(size * 8, MAX_HEAD)) {
        gboolean ended = FALSE;

        host->first = g_realloc(host->first, size);
        while (host->first_length < size && !ended) {
            gssize got = host->read(host->data, host->first_length, host->first + host->first_length, size - host->first_length);

            if (got < 0) {
                inv_error_set_errno(error, errno, "reading the description of a host failed");
                return NULL;
            }
            ended = got == 0;
            host->first_length += (gsize)got;
        }
        newline = memchr(host->first, '\n', host->first_length);
        if (newline || ended || size >= MAX_HEAD)
            break;
    }
    if (!g_str_has_prefix(host->first_length > strlen("{\"invar-host\":") ? host->first : "", "{\"invar-host\":")) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "this is no description of a host: make one there with invar host-export");
        return NULL;
    }
    if (!newline) {
        damaged(error, host->first_length, "its first line does not end");
        return NULL;
    }
    host->body = (guint64)(newline - host->first) + 1;
    return parse_line(host->first, (gsize)(newline - host->first), 0, error);
}

InvHostExport *
inv_host_export_open(InvHostExportReader *reader, InvHostExportRead read, gpointer data, GError **error)
{
    g_autoptr(InvHostExport) host = g_new0(InvHostExport, 1);
    gint64 version;

    host->reader = reader;
    host->read = read;
    host->data = data;
    host->head = read_head(host, error);
    if (!host->head)
        return NULL;
    version = inv_json_get_int(host->head, "invar-host", -1);
    if (version != INV_HOST_EXPORT_VERSION) {
        inv_error_set(error, VIR_ERR_INVALID_ARG,
                      "this description of a host is of version %" G_GINT64_FORMAT ", and this Invar reads version %d: export it anew", version,
                      INV_HOST_EXPORT_VERSION);
        return NULL;
    }
    if (inv_json_size(inv_json_get(host->head, "emulators")) > MAX_EMULATORS) {
        damaged(error, 0, "it has more emulators than a host has");
        return NULL;
    }
    return g_steal_pointer(&host);
}

/* What a question has found is forgotten with it. */
static void
forget(InvHostExport *host)
{
    host->emulator = NULL;
    g_clear_pointer(&host->display, g_free);
    g_clear_pointer(&host->machine, g_free);
    g_clear_pointer(&host->machine_line, inv_json_free);
    g_clear_pointer(&host->devices, g_free);
    g_clear_pointer(&host->table, inv_cpu_table_unref);
    g_clear_pointer(&host->hardware, inv_feature_set_free);
    g_clear_pointer(&host->kernel, inv_feature_set_free);
    g_clear_pointer(&host->proved, inv_feature_set_free);
    g_clear_pointer(&host->limits, inv_cpu_host_limits_free);
    g_clear_pointer(&host->default_model, g_free);
    g_clear_pointer(&host->host_vendor, g_free);
    g_clear_error(&host->damage);
}

void
inv_host_export_free(InvHostExport *host)
{
    if (!host)
        return;
    forget(host);
    inv_json_free(host->head);
    g_free(host->first);
    g_free(host);
}

const char *
inv_host_export_hostname(const InvHostExport *host)
{
    return inv_json_get_string(host->head, "hostname");
}

static gboolean
find_emulator(gpointer data, const char *path, const char *arch, GError **error)
{
    InvHostExport *host = data;
    const InvJson *emulators = inv_json_get(host->head, "emulators");
    const char *other = NULL;

    for (guint i = 0; i < inv_json_size(emulators); i++) {
        const InvJson *emulator = inv_json_at(emulators, i);
        const char *at = inv_json_get_string(emulator, "path");

        if (!at || g_strcmp0(inv_json_get_string(emulator, "arch"), arch) != 0)
            continue;
        if (path ? strcmp(at, path) == 0 : inv_json_get_boolean(emulator, "usual", FALSE)) {
            const char *version = inv_json_get_string(emulator, "version");

            host->emulator = emulator;
            host->display = g_strdup_printf("QEMU %s", version ? version : "?");
            return TRUE;
        }
        other = at;
    }
    if (!path)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the host has no QEMU for %s", arch);
    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "the host has no emulator %s for %s%s%s", path, arch, other ? ", but " : "",
                         other ? other : "");
}

static const char *
emulator_version(gpointer data)
{
    return inv_json_get_string(((InvHostExport *)data)->emulator, "version");
}

static const char *
accelerator_key(InvVirtType accelerator)
{
    return accelerator == INV_VIRT_KVM ? "kvm" : "tcg";
}

static gboolean
check_accelerator(gpointer data, InvVirtType accelerator, GError **error)
{
    InvHostExport *host = data;
    const char *reason = inv_json_get_string(host->emulator, accelerator_key(accelerator));

    host->accelerator = accelerator;
    if (reason && *reason)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s", reason);
    if (!reason)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "whether %s works there is not in the host's description",
                             accelerator_key(accelerator));
    return TRUE;
}

/* Keeps the first trouble with the file itself. Returns FALSE. */
static gboolean
file_trouble(InvHostExport *host, GError *cause, GError **error)
{
    if (error)
        *error = g_error_copy(cause);
    if (!host->damage)
        host->damage = cause;
    else
        g_error_free(cause);
    return FALSE;
}

/* An alias, or the default: every line is looked at. */
static InvJson *
machine_by_alias(const char *block, gsize length, guint64 offset, const char *name, GError **error)
{
    const char *line = block;

    while (line < block + length) {
        const char *newline = memchr(line, '\n', (gsize)(block + length - line));
        g_autoptr(InvJson) json = NULL;

        if (!newline)
            break;
        json = parse_line(line, (gsize)(newline - line), offset + (guint64)(line - block), error);
        if (!json)
            return NULL;
        if (name ? g_strcmp0(inv_json_get_string(json, "alias"), name) == 0 : inv_json_get_boolean(json, "default", FALSE))
            return g_steal_pointer(&json);
        line = newline + 1;
    }
    return NULL;
}

static gboolean
find_machine(gpointer data, const char *name, const char **canonical, guint *max_vcpus, GError **error)
{
    InvHostExport *host = data;
    GError *cause = NULL;
    guint64 offset = 0;
    gsize length = 0;
    g_autofree char *block = read_place(host, inv_json_get(host->emulator, "machines"), &offset, &length, &cause);

    if (block && name)
        host->machine_line = line_of(block, length, offset, "machine", name, &cause);
    if (block && !host->machine_line && !cause)
        host->machine_line = machine_by_alias(block, length, offset, name, &cause);
    if (cause)
        return file_trouble(host, cause, error);
    if (!host->machine_line)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s there has no machine type %s", host->display,
                             name ? name : "that is its default");
    host->machine = g_strdup(inv_json_get_string(host->machine_line, "machine"));
    *canonical = host->machine;
    *max_vcpus = (guint)MIN(inv_json_get_uint(host->machine_line, "max-vcpus", 0), G_MAXINT);
    return TRUE;
}

static InvCpuModel *
model_of_line(InvHostExport *host, const NameList *list, const InvFeatureSet *known, const InvJson *line)
{
    InvCpuModel *model = g_new0(InvCpuModel, 1);
    const char *on = inv_json_get_string(line, "on");
    const char *own_known = inv_json_get_string(line, "known");
    const InvJson *others = inv_json_get(line, "others");

    model->name = g_strdup(inv_json_get_string(line, "model"));
    model->type_name = g_strdup(inv_json_get_string(line, "type"));
    model->alias_of = g_strdup(inv_json_get_string(line, "alias-of"));
    model->has_usable = inv_json_get(line, "unavailable") != NULL;
    if (model->has_usable)
        model->unavailable = inv_json_get_strv(line, "unavailable");
    if (!on)
        return model;
    model->expansion = g_new0(InvCpuExpansion, 1);
    model->expansion->on = parse_set(host, list, on);
    model->expansion->known = own_known ? parse_set(host, list, own_known) : known ? inv_feature_set_copy(known) : NULL;
    model->expansion->others = others ? inv_json_copy(others) : inv_json_new_object();
    if (inv_json_get(line, "deprecated"))
        model->expansion->deprecated = inv_json_get_strv(line, "deprecated");
    if (!model->expansion->on || !model->expansion->known) {
        inv_cpu_model_free(model);
        return NULL;
    }
    return model;
}

/* Adds @name and, of an alias, what it stands for. A model that is not there is none. */
static gboolean
add_model(InvHostExport *host, const NameList *list, const InvFeatureSet *known, const char *block, gsize length, guint64 offset,
          const char *name, GError **error)
{
    GError *cause = NULL;
    g_autoptr(InvJson) line = NULL;
    const char *alias_of;
    InvCpuModel *model;

    if (inv_cpu_table_find(host->table, name))
        return TRUE;
    line = line_of(block, length, offset, "model", name, &cause);
    if (cause) {
        g_propagate_error(error, cause);
        return FALSE;
    }
    if (!line)
        return TRUE;
    model = model_of_line(host, list, known, line);
    if (!model)
        return damaged(error, offset, "a CPU model's features are no set");
    if (!inv_cpu_table_add(host->table, model, error))
        return FALSE;
    alias_of = inv_json_get_string(line, "alias-of");
    return !alias_of || add_model(host, list, known, block, length, offset, alias_of, error);
}

/* A set of the head or a table's line; *@set stays NULL where there is none. */
static gboolean
read_set(InvHostExport *host, const NameList *list, const InvJson *json, const char *name, guint64 offset, InvFeatureSet **set, GError **error)
{
    const char *text = inv_json_get_string(json, name);

    if (!text)
        return TRUE;
    *set = parse_set(host, list, text);
    return *set || damaged(error, offset, "a set of features is none");
}

/* The one line at @place. */
static InvJson *
read_line(const InvHostExport *host, const InvJson *place, GError **error)
{
    guint64 offset = 0;
    gsize length = 0;
    g_autofree char *text = read_place(host, place, &offset, &length, error);

    return text ? parse_line(text, length - 1, offset, error) : NULL;
}

/* What KVM is set to there; nothing where the file does not say. */
static gboolean
read_limits(InvHostExport *host, const Dictionary *dictionary, GError **error)
{
    const InvJson *place = inv_json_get(host->head, "settings");
    gboolean wanted = dictionary->limits && place && host->accelerator == INV_VIRT_KVM;
    g_autoptr(InvJson) settings = wanted ? read_line(host, place, error) : NULL;
    const InvJson *chip = inv_json_get(settings, "chip");
    g_auto(GStrv) parameters = inv_json_get_strv(settings, "parameters");
    guint64 numbers[3] = { 0 };
    InvCpuSignature signature = { .vendor = inv_json_string(inv_json_at(chip, 0)) };

    if (!settings)
        return !wanted;
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++)
        inv_json_uint(inv_json_at(chip, i + 1), &numbers[i]);
    signature.family = (guint)MIN(numbers[0], G_MAXUINT);
    signature.model_number = (guint)MIN(numbers[1], G_MAXUINT);
    signature.stepping = (guint)MIN(numbers[2], G_MAXUINT);
    host->limits = inv_cpu_host_limits_new(dictionary->limits, dictionary->map,
                                           &(InvCpuHostSettings){ .release = inv_json_get_string(settings, "release"),
                                                                  .cmdline = inv_json_get_string(settings, "cmdline"),
                                                                  .parameters = (const char *const *)parameters,
                                                                  .chip = signature.vendor ? &signature : NULL });
    return TRUE;
}

/* The lines of the table that a question about @models needs. *@host_model: of the table, or NULL. */
static gboolean
read_table(InvHostExport *host, const InvJson *place, const char *arch, const char *const *models, const InvCpuModel **host_model, GError **error)
{
    const NameList *list = name_list(host, error);
    guint64 offset = 0;
    gsize length = 0;
    g_autofree char *block = list ? read_place(host, place, &offset, &length, error) : NULL;
    g_autoptr(InvJson) line = NULL;
    g_autoptr(InvFeatureSet) known = NULL;
    const char *const *first = models;
    GError *cause = NULL;
    const char *name;

    if (!block)
        return FALSE;
    line = line_of(block, length, offset, "table", host->machine, &cause);
    if (cause) {
        g_propagate_error(error, cause);
        return FALSE;
    }
    if (!line)
        return damaged(error, offset, "the table of the machine type is not here");
    if (!read_set(host, list, line, "known", offset, &known, error) || !read_set(host, list, line, "proved", offset, &host->proved, error) ||
        !read_set(host, list, host->head, "hardware", 0, &host->hardware, error) ||
        (host->accelerator == INV_VIRT_KVM && !read_set(host, list, inv_json_get(host->head, "kernel"), arch, 0, &host->kernel, error)))
        return FALSE;
    host->table = inv_cpu_table_new(arch, host->machine, host->reader->names);
    host->default_model = g_strdup(inv_json_get_string(line, "default-model"));
    for (; *models; models++) {
        if (!add_model(host, list, known, block, length, offset, *models, error))
            return FALSE;
    }
    /* Who names a model has no need of the default one. */
    if (host->default_model && !*first && !add_model(host, list, known, block, length, offset, host->default_model, error))
        return FALSE;
    name = inv_json_get_string(line, "host-model");
    if (name && !add_model(host, list, known, block, length, offset, name, error))
        return FALSE;
    *host_model = name ? inv_cpu_table_find(host->table, name) : NULL;
    return TRUE;
}

static gboolean
fill_facts(gpointer data, const char *const *models, InvCpuFacts *facts, GError **error)
{
    InvHostExport *host = data;
    const char *arch = inv_json_get_string(host->emulator, "arch");
    const InvJson *place = inv_json_get(host->machine_line, accelerator_key(host->accelerator));
    const InvCpuModel *host_model = NULL;
    GError *cause = NULL;
    const Dictionary *dictionary;

    if (!place)
        return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED,
                             "the host was exported without the CPU models of machine type %s under %s: what it gives is not known",
                             host->machine, accelerator_key(host->accelerator));
    dictionary = dictionary_of(host->reader, arch, error);
    if (!dictionary)
        return FALSE;
    if (!read_table(host, place, arch, models, &host_model, &cause) || !read_limits(host, dictionary, &cause))
        return file_trouble(host, cause, error);
    if (host_model && host_model->expansion)
        host->host_vendor = g_strdup(inv_json_get_string(host_model->expansion->others, "vendor"));
    *facts = (InvCpuFacts){
        .map = dictionary->map,
        .models = dictionary->models,
        .table = host->table,
        .arch = arch,
        .emulator = host->display,
        .accelerator = host->accelerator,
        .machine = host->machine,
        .default_model = host->default_model,
        .host = host_model ? host_model->expansion : NULL,
        .host_unavailable = host_model ? (const char *const *)host_model->unavailable : NULL,
        .proved = host->proved,
        .hardware = host->hardware,
        .kernel = host->kernel,
        .limits = host->limits,
        .host_vendor = host->host_vendor,
    };
    return TRUE;
}

static gboolean
has_device(gpointer data, const char *type)
{
    InvHostExport *host = data;
    g_autofree char *spaced = g_strdup_printf(" %s ", type);

    if (!host->devices) {
        GError *cause = NULL;
        guint64 offset = 0;
        gsize length = 0;

        host->devices = read_place(host, inv_json_get(host->emulator, "devices"), &offset, &length, &cause);
        if (host->devices && !check_line(host->devices, length ? length - 1 : 0, offset, &cause))
            g_clear_pointer(&host->devices, g_free);
        if (!host->devices)
            return file_trouble(host, cause, NULL);
    }
    return strstr(host->devices, spaced) != NULL;
}

InvMigrationVerdict *
inv_host_export_check(InvHostExport *host, const InvMigrationSubject *subject, GError **error)
{
    const InvMigrationHost questions = {
        .hostname = inv_host_export_hostname(host),
        .uuid = inv_json_get_string(host->head, "uuid"),
        .as_of = inv_json_get_int(host->head, "exported", 1),
        .memory_total = inv_json_get_uint(host->head, "memory-total", 0),
        .memory_available = inv_json_get_uint(host->head, "memory-available", 0),
        .data = host,
        .emulator = find_emulator,
        .accelerator = check_accelerator,
        .machine = find_machine,
        .facts = fill_facts,
        .has_device = has_device,
        .version = emulator_version,
    };
    g_autoptr(InvMigrationVerdict) verdict = NULL;

    forget(host);
    verdict = inv_migration_check(subject, &questions);
    if (host->damage) {
        g_propagate_error(error, g_steal_pointer(&host->damage));
        return NULL;
    }
    return g_steal_pointer(&verdict);
}
