/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A JSON value. Arrays and objects own what they hold; objects keep the order of their members.
 * util/json.c is the only file that knows the library behind it (yajl).
 */
typedef struct InvJson InvJson;

typedef enum {
    INV_JSON_NULL,
    INV_JSON_BOOLEAN,
    INV_JSON_NUMBER,
    INV_JSON_STRING,
    INV_JSON_ARRAY,
    INV_JSON_OBJECT,
} InvJsonType;

/* Deeper nesting is refused: QEMU's deepest replies stay below 16. */
#define INV_JSON_MAX_DEPTH 64

/*
 * Parses one JSON document. The text is untrusted: invalid UTF-8, trailing text, nesting beyond
 * INV_JSON_MAX_DEPTH and a name given twice in one object are errors (VIR_ERR_INVALID_ARG).
 */
InvJson *inv_json_parse(const char *text, gsize length, GError **error);
void inv_json_free(InvJson *json);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvJson, inv_json_free)
InvJson *inv_json_copy(const InvJson *json);

/* Compact, or indented for people; without a final newline. */
char *inv_json_format(const InvJson *json, gboolean pretty);

InvJsonType inv_json_type(const InvJson *json);

InvJson *inv_json_new_null(void);
InvJson *inv_json_new_boolean(gboolean value);
InvJson *inv_json_new_int(gint64 value);
InvJson *inv_json_new_uint(guint64 value);
InvJson *inv_json_new_double(double value);
/* @value is made valid UTF-8 where it is not. */
InvJson *inv_json_new_string(const char *value);
InvJson *inv_json_new_array(void);
InvJson *inv_json_new_object(void);

/* Both take @value over. Setting a name that is there replaces its value. */
void inv_json_array_add(InvJson *array, InvJson *value);
void inv_json_object_set(InvJson *object, const char *name, InvJson *value);

/* Shorthands for the plain types; a NULL string adds nothing. */
void inv_json_array_add_string(InvJson *array, const char *value);
void inv_json_object_set_string(InvJson *object, const char *name, const char *value);
void inv_json_object_set_int(InvJson *object, const char *name, gint64 value);
void inv_json_object_set_uint(InvJson *object, const char *name, guint64 value);
void inv_json_object_set_boolean(InvJson *object, const char *name, gboolean value);
/* An array of strings from a NULL-terminated list (NULL: an empty array). */
void inv_json_object_set_strv(InvJson *object, const char *name, const char *const *values);

/* Members and elements are borrowed. All of these accept NULL and wrong types, and then give nothing. */
guint inv_json_size(const InvJson *json);
const InvJson *inv_json_at(const InvJson *array, guint index);
const InvJson *inv_json_get(const InvJson *object, const char *name);
/* The @index-th member in document order: its name and, in *@value, its value. */
const char *inv_json_member(const InvJson *object, guint index, const InvJson **value);

/* The value itself, or NULL / FALSE when it is of another type or out of the range of the result. */
const char *inv_json_string(const InvJson *json);
gboolean inv_json_boolean(const InvJson *json, gboolean *value);
gboolean inv_json_int(const InvJson *json, gint64 *value);
gboolean inv_json_uint(const InvJson *json, guint64 *value);

/* The member @name, or @fallback when it is absent or of another type. */
const char *inv_json_get_string(const InvJson *object, const char *name);
gboolean inv_json_get_boolean(const InvJson *object, const char *name, gboolean fallback);
gint64 inv_json_get_int(const InvJson *object, const char *name, gint64 fallback);
guint64 inv_json_get_uint(const InvJson *object, const char *name, guint64 fallback);
/* The strings of an array, NULL-terminated and owned by the caller; an absent member gives an empty list. */
char **inv_json_get_strv(const InvJson *object, const char *name);

G_END_DECLS
