/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "util/json.h"

#include "util/error.h"

#include <errno.h>
#include <math.h>
#include <string.h>
#include <yajl/yajl_gen.h>
#include <yajl/yajl_parse.h>

/* Above this many members an object gets an index; below it a scan is faster. */
#define INDEX_FROM 12u

struct InvJson {
    InvJsonType type;
    union {
        gboolean boolean;
        char *text;        /* string, or a number as it was written: no precision is lost */
        GPtrArray *values; /* array; object: values, in order */
    } u;
    GPtrArray *names;  /* object: owned strings, same order as values */
    GHashTable *index; /* object with many members: name → position + 1 */
};

static InvJson *
json_new(InvJsonType type)
{
    InvJson *json = g_new0(InvJson, 1);

    json->type = type;
    return json;
}

void
inv_json_free(InvJson *json)
{
    if (!json)
        return;
    switch (json->type) {
    case INV_JSON_NULL:
    case INV_JSON_BOOLEAN:
        break;
    case INV_JSON_NUMBER:
    case INV_JSON_STRING:
        g_free(json->u.text);
        break;
    case INV_JSON_OBJECT:
        g_clear_pointer(&json->index, g_hash_table_unref);
        g_ptr_array_unref(json->names);
        g_ptr_array_unref(json->u.values);
        break;
    case INV_JSON_ARRAY:
        g_ptr_array_unref(json->u.values);
        break;
    }
    g_free(json);
}

InvJson *
inv_json_copy(const InvJson *json)
{
    InvJson *copy;

    if (!json)
        return NULL;
    switch (json->type) {
    case INV_JSON_NULL:
        return inv_json_new_null();
    case INV_JSON_BOOLEAN:
        return inv_json_new_boolean(json->u.boolean);
    case INV_JSON_NUMBER:
    case INV_JSON_STRING:
        copy = json_new(json->type);
        copy->u.text = g_strdup(json->u.text);
        return copy;
    case INV_JSON_ARRAY:
        copy = inv_json_new_array();
        for (guint i = 0; i < json->u.values->len; i++)
            inv_json_array_add(copy, inv_json_copy(g_ptr_array_index(json->u.values, i)));
        return copy;
    case INV_JSON_OBJECT:
        copy = inv_json_new_object();
        for (guint i = 0; i < json->u.values->len; i++)
            inv_json_object_set(copy, g_ptr_array_index(json->names, i),
                                inv_json_copy(g_ptr_array_index(json->u.values, i)));
        return copy;
    }
    return NULL;
}

InvJsonType
inv_json_type(const InvJson *json)
{
    return json ? json->type : INV_JSON_NULL;
}

InvJson *
inv_json_new_null(void)
{
    return json_new(INV_JSON_NULL);
}

InvJson *
inv_json_new_boolean(gboolean value)
{
    InvJson *json = json_new(INV_JSON_BOOLEAN);

    json->u.boolean = !!value;
    return json;
}

static InvJson *
number_new(char *text)
{
    InvJson *json = json_new(INV_JSON_NUMBER);

    json->u.text = text;
    return json;
}

InvJson *
inv_json_new_int(gint64 value)
{
    return number_new(g_strdup_printf("%" G_GINT64_FORMAT, value));
}

InvJson *
inv_json_new_uint(guint64 value)
{
    return number_new(g_strdup_printf("%" G_GUINT64_FORMAT, value));
}

InvJson *
inv_json_new_double(double value)
{
    char buffer[G_ASCII_DTOSTR_BUF_SIZE];

    /* JSON has no infinity and no NaN. */
    if (!isfinite(value))
        return inv_json_new_null();
    return number_new(g_strdup(g_ascii_dtostr(buffer, sizeof(buffer), value)));
}

InvJson *
inv_json_new_string(const char *value)
{
    InvJson *json = json_new(INV_JSON_STRING);

    json->u.text = g_utf8_make_valid(value, -1);
    return json;
}

InvJson *
inv_json_new_array(void)
{
    InvJson *json = json_new(INV_JSON_ARRAY);

    json->u.values = g_ptr_array_new_with_free_func((GDestroyNotify)inv_json_free);
    return json;
}

InvJson *
inv_json_new_object(void)
{
    InvJson *json = json_new(INV_JSON_OBJECT);

    json->u.values = g_ptr_array_new_with_free_func((GDestroyNotify)inv_json_free);
    json->names = g_ptr_array_new_with_free_func(g_free);
    return json;
}

void
inv_json_array_add(InvJson *array, InvJson *value)
{
    g_return_if_fail(array->type == INV_JSON_ARRAY);
    g_ptr_array_add(array->u.values, value);
}

static gboolean
object_find(const InvJson *object, const char *name, guint *position)
{
    if (object->index) {
        guint found = GPOINTER_TO_UINT(g_hash_table_lookup(object->index, name));

        *position = found - 1;
        return found != 0;
    }
    for (guint i = 0; i < object->names->len; i++) {
        if (strcmp(g_ptr_array_index(object->names, i), name) == 0) {
            *position = i;
            return TRUE;
        }
    }
    return FALSE;
}

static void
object_append(InvJson *object, const char *name, InvJson *value)
{
    g_ptr_array_add(object->names, g_strdup(name));
    g_ptr_array_add(object->u.values, value);
    if (object->index) {
        g_hash_table_insert(object->index, g_ptr_array_index(object->names, object->names->len - 1),
                            GUINT_TO_POINTER(object->names->len));
    } else if (object->names->len > INDEX_FROM) {
        object->index = g_hash_table_new(g_str_hash, g_str_equal);
        for (guint i = 0; i < object->names->len; i++)
            g_hash_table_insert(object->index, g_ptr_array_index(object->names, i), GUINT_TO_POINTER(i + 1));
    }
}

void
inv_json_object_set(InvJson *object, const char *name, InvJson *value)
{
    guint position;

    g_return_if_fail(object->type == INV_JSON_OBJECT);
    if (object_find(object, name, &position)) {
        inv_json_free(g_ptr_array_index(object->u.values, position));
        g_ptr_array_index(object->u.values, position) = value;
        return;
    }
    object_append(object, name, value);
}

void
inv_json_array_add_string(InvJson *array, const char *value)
{
    if (value)
        inv_json_array_add(array, inv_json_new_string(value));
}

void
inv_json_object_set_string(InvJson *object, const char *name, const char *value)
{
    if (value)
        inv_json_object_set(object, name, inv_json_new_string(value));
}

void
inv_json_object_set_int(InvJson *object, const char *name, gint64 value)
{
    inv_json_object_set(object, name, inv_json_new_int(value));
}

void
inv_json_object_set_uint(InvJson *object, const char *name, guint64 value)
{
    inv_json_object_set(object, name, inv_json_new_uint(value));
}

void
inv_json_object_set_boolean(InvJson *object, const char *name, gboolean value)
{
    inv_json_object_set(object, name, inv_json_new_boolean(value));
}

void
inv_json_object_set_strv(InvJson *object, const char *name, const char *const *values)
{
    InvJson *array = inv_json_new_array();

    for (; values && *values; values++)
        inv_json_array_add_string(array, *values);
    inv_json_object_set(object, name, array);
}

guint
inv_json_size(const InvJson *json)
{
    if (!json || (json->type != INV_JSON_ARRAY && json->type != INV_JSON_OBJECT))
        return 0;
    return json->u.values->len;
}

const InvJson *
inv_json_at(const InvJson *array, guint index)
{
    if (!array || array->type != INV_JSON_ARRAY || index >= array->u.values->len)
        return NULL;
    return g_ptr_array_index(array->u.values, index);
}

const InvJson *
inv_json_get(const InvJson *object, const char *name)
{
    guint position;

    if (!object || object->type != INV_JSON_OBJECT || !object_find(object, name, &position))
        return NULL;
    return g_ptr_array_index(object->u.values, position);
}

const char *
inv_json_member(const InvJson *object, guint index, const InvJson **value)
{
    if (value)
        *value = NULL;
    if (!object || object->type != INV_JSON_OBJECT || index >= object->names->len)
        return NULL;
    if (value)
        *value = g_ptr_array_index(object->u.values, index);
    return g_ptr_array_index(object->names, index);
}

const char *
inv_json_string(const InvJson *json)
{
    return json && json->type == INV_JSON_STRING ? json->u.text : NULL;
}

gboolean
inv_json_boolean(const InvJson *json, gboolean *value)
{
    if (!json || json->type != INV_JSON_BOOLEAN)
        return FALSE;
    *value = json->u.boolean;
    return TRUE;
}

gboolean
inv_json_int(const InvJson *json, gint64 *value)
{
    char *end = NULL;
    gint64 number;

    if (!json || json->type != INV_JSON_NUMBER)
        return FALSE;
    errno = 0;
    number = g_ascii_strtoll(json->u.text, &end, 10);
    if (errno || *end)
        return FALSE;
    *value = number;
    return TRUE;
}

gboolean
inv_json_uint(const InvJson *json, guint64 *value)
{
    char *end = NULL;
    guint64 number;

    if (!json || json->type != INV_JSON_NUMBER || json->u.text[0] == '-')
        return FALSE;
    errno = 0;
    number = g_ascii_strtoull(json->u.text, &end, 10);
    if (errno || *end)
        return FALSE;
    *value = number;
    return TRUE;
}

const char *
inv_json_get_string(const InvJson *object, const char *name)
{
    return inv_json_string(inv_json_get(object, name));
}

gboolean
inv_json_get_boolean(const InvJson *object, const char *name, gboolean fallback)
{
    inv_json_boolean(inv_json_get(object, name), &fallback);
    return fallback;
}

gint64
inv_json_get_int(const InvJson *object, const char *name, gint64 fallback)
{
    inv_json_int(inv_json_get(object, name), &fallback);
    return fallback;
}

guint64
inv_json_get_uint(const InvJson *object, const char *name, guint64 fallback)
{
    inv_json_uint(inv_json_get(object, name), &fallback);
    return fallback;
}

char **
inv_json_get_strv(const InvJson *object, const char *name)
{
    const InvJson *array = inv_json_get(object, name);
    GPtrArray *list = g_ptr_array_new();

    for (guint i = 0; i < inv_json_size(array); i++) {
        const char *text = inv_json_string(inv_json_at(array, i));

        if (text)
            g_ptr_array_add(list, g_strdup(text));
    }
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_free(list, FALSE);
}

/* Parsing: yajl's callbacks build the tree from the root; `open` holds the containers not yet closed. */
typedef struct {
    InvJson *root;
    GPtrArray *open; /* borrowed */
    char *name;      /* the member being read, or NULL */
    GError *error;
} Builder;

/* Takes @value over. */
static int
builder_add(Builder *builder, InvJson *value)
{
    InvJson *parent = builder->open->len ? g_ptr_array_index(builder->open, builder->open->len - 1) : NULL;

    if (!parent) {
        builder->root = value;
    } else if (parent->type == INV_JSON_ARRAY) {
        inv_json_array_add(parent, value);
    } else {
        object_append(parent, builder->name, value);
        g_clear_pointer(&builder->name, g_free);
    }
    return 1;
}

static int
builder_open(Builder *builder, InvJson *container)
{
    builder_add(builder, container);
    if (builder->open->len >= INV_JSON_MAX_DEPTH) {
        inv_error_set(&builder->error, VIR_ERR_INVALID_ARG, "JSON is nested deeper than %d levels", INV_JSON_MAX_DEPTH);
        return 0;
    }
    g_ptr_array_add(builder->open, container);
    return 1;
}

static int
builder_close(void *context)
{
    Builder *builder = context;

    g_ptr_array_set_size(builder->open, (int)builder->open->len - 1);
    return 1;
}

static int
builder_null(void *context)
{
    return builder_add(context, inv_json_new_null());
}

static int
builder_boolean(void *context, int value)
{
    return builder_add(context, inv_json_new_boolean(value));
}

static int
builder_number(void *context, const char *text, size_t length)
{
    return builder_add(context, number_new(g_strndup(text, length)));
}

static int
builder_string(void *context, const unsigned char *text, size_t length)
{
    InvJson *json = json_new(INV_JSON_STRING);

    /* yajl has checked the UTF-8; an escaped NUL ends the string as C sees it. */
    json->u.text = g_strndup((const char *)text, length);
    return builder_add(context, json);
}

static int
builder_name(void *context, const unsigned char *text, size_t length)
{
    Builder *builder = context;
    guint position;

    builder->name = g_strndup((const char *)text, length);
    if (object_find(g_ptr_array_index(builder->open, builder->open->len - 1), builder->name, &position)) {
        inv_error_set(&builder->error, VIR_ERR_INVALID_ARG, "JSON object has the name '%s' twice", builder->name);
        return 0;
    }
    return 1;
}

static int
builder_open_object(void *context)
{
    return builder_open(context, inv_json_new_object());
}

static int
builder_open_array(void *context)
{
    return builder_open(context, inv_json_new_array());
}

static const yajl_callbacks builder_callbacks = {
    .yajl_null = builder_null,
    .yajl_boolean = builder_boolean,
    .yajl_number = builder_number,
    .yajl_string = builder_string,
    .yajl_start_map = builder_open_object,
    .yajl_map_key = builder_name,
    .yajl_end_map = builder_close,
    .yajl_start_array = builder_open_array,
    .yajl_end_array = builder_close,
};

static void
set_parse_error(GError **error, yajl_handle parser, const char *text, gsize length)
{
    unsigned char *reason = yajl_get_error(parser, 0, (const unsigned char *)text, length);

    inv_error_set(error, VIR_ERR_INVALID_ARG, "JSON is malformed after %zu bytes: %s", yajl_get_bytes_consumed(parser),
                  g_strstrip((char *)reason));
    yajl_free_error(parser, reason);
}

InvJson *
inv_json_parse(const char *text, gsize length, GError **error)
{
    Builder builder = { .open = g_ptr_array_new() };
    yajl_handle parser = yajl_alloc(&builder_callbacks, NULL, &builder);
    yajl_status status = yajl_parse(parser, (const unsigned char *)text, length);

    if (status == yajl_status_ok)
        status = yajl_complete_parse(parser);
    if (status != yajl_status_ok && !builder.error)
        set_parse_error(&builder.error, parser, text, length);
    yajl_free(parser);
    g_ptr_array_unref(builder.open);
    g_free(builder.name);
    if (builder.error) {
        g_propagate_error(error, builder.error);
        g_clear_pointer(&builder.root, inv_json_free);
    }
    return builder.root;
}

static void
generate(yajl_gen generator, const InvJson *json)
{
    switch (json->type) {
    case INV_JSON_NULL:
        yajl_gen_null(generator);
        break;
    case INV_JSON_BOOLEAN:
        yajl_gen_bool(generator, json->u.boolean);
        break;
    case INV_JSON_NUMBER:
        yajl_gen_number(generator, json->u.text, strlen(json->u.text));
        break;
    case INV_JSON_STRING:
        yajl_gen_string(generator, (const unsigned char *)json->u.text, strlen(json->u.text));
        break;
    case INV_JSON_ARRAY:
        yajl_gen_array_open(generator);
        for (guint i = 0; i < json->u.values->len; i++)
            generate(generator, g_ptr_array_index(json->u.values, i));
        yajl_gen_array_close(generator);
        break;
    case INV_JSON_OBJECT:
        yajl_gen_map_open(generator);
        for (guint i = 0; i < json->names->len; i++) {
            const char *name = g_ptr_array_index(json->names, i);

            yajl_gen_string(generator, (const unsigned char *)name, strlen(name));
            generate(generator, g_ptr_array_index(json->u.values, i));
        }
        yajl_gen_map_close(generator);
        break;
    }
}

char *
inv_json_format(const InvJson *json, gboolean pretty)
{
    yajl_gen generator = yajl_gen_alloc(NULL);
    const unsigned char *text = NULL;
    size_t length = 0;
    char *result;

    yajl_gen_config(generator, yajl_gen_beautify, pretty ? 1 : 0);
    yajl_gen_config(generator, yajl_gen_indent_string, "  ");
    generate(generator, json);
    yajl_gen_get_buf(generator, &text, &length);
    while (length && text[length - 1] == '\n')
        length--;
    result = g_strndup((const char *)text, length);
    yajl_gen_free(generator);
    return result;
}
