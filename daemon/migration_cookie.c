/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/migration_cookie.h"

#include "daemon/xml_out.h"
#include "util/error.h"
#include "xml/domain.h"
#include "xml/node.h"

#include <string.h>

#define COOKIE_VERSION "1"

#define MAX_NAME 255u      /* of a domain; host names are no longer */
#define MAX_WORD 64u       /* a version, a capability, a disk's target */
#define MAX_CONTACT 1024u
#define MAX_PATH_BYTES 107u /* a UNIX socket's */
#define TOKEN_DIGITS 32u
#define MAX_DIGITS 20u     /* of G_MAXUINT64 */

#define WORD_CHARACTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_.+-"

static void
file_free(gpointer data)
{
    inv_disk_file_free(data);
}

static void
disk_free(gpointer data)
{
    inv_copied_disk_free(data);
}

void
inv_migration_cookie_free(InvMigrationCookie *cookie)
{
    if (!cookie)
        return;
    g_free(cookie->name);
    g_free(cookie->uuid);
    g_free(cookie->hostname);
    g_free(cookie->hostuuid);
    g_free(cookie->token);
    inv_cpu_record_free(cookie->record);
    g_free(cookie->emulator_version);
    g_free(cookie->contact);
    g_clear_pointer(&cookie->disks, g_ptr_array_unref);
    g_clear_pointer(&cookie->files, g_ptr_array_unref);
    g_free(cookie->boot);
    g_free(cookie->nbd_host);
    g_free(cookie->nbd_path);
    g_free(cookie->persistent_xml);
    g_free(cookie->persistent_record);
    g_clear_pointer(&cookie->statistics, g_hash_table_unref);
    g_clear_pointer(&cookie->capabilities, g_ptr_array_unref);
    g_free(cookie);
}

/* Formatting. */

static void
format_record(InvXmlOut *out, const InvCpuRecord *record)
{
    g_autoptr(InvJson) json = record ? inv_cpu_record_to_json(record) : NULL;
    g_autofree char *text = json ? inv_json_format(json, FALSE) : NULL;

    if (text)
        inv_xml_out_element(out, "record", text);
}

static void
format_disks(InvXmlOut *out, const InvMigrationCookie *cookie)
{
    if (cookie->disks) {
        inv_xml_out_open(out, "disks");
        for (guint i = 0; i < cookie->disks->len; i++) {
            const InvCopiedDisk *disk = g_ptr_array_index(cookie->disks, i);

            inv_xml_out_open(out, "disk");
            inv_xml_out_attribute(out, "target", disk->target);
            inv_xml_out_attribute_uint(out, "capacity", disk->capacity);
            inv_xml_out_close(out);
        }
        inv_xml_out_close(out);
    }
    if (!cookie->nbd_port && !cookie->nbd_path)
        return;
    inv_xml_out_open(out, "nbd");
    inv_xml_out_attribute(out, "host", cookie->nbd_host);
    if (cookie->nbd_port)
        inv_xml_out_attribute_uint(out, "port", cookie->nbd_port);
    inv_xml_out_attribute(out, "path", cookie->nbd_path);
    inv_xml_out_close(out);
}

static void
format_files(InvXmlOut *out, const InvMigrationCookie *cookie)
{
    if (!cookie->files)
        return;
    inv_xml_out_open(out, "files");
    inv_xml_out_attribute(out, "boot", cookie->boot);
    for (guint i = 0; i < cookie->files->len; i++) {
        const InvDiskFile *file = g_ptr_array_index(cookie->files, i);

        inv_xml_out_open(out, "file");
        inv_xml_out_attribute(out, "target", file->target);
        if (file->block)
            inv_xml_out_attribute(out, "block", "yes");
        inv_xml_out_attribute_uint(out, "filesystem", file->filesystem);
        inv_xml_out_attribute_uint(out, "inode", file->inode);
        inv_xml_out_attribute_uint(out, "size", file->size);
        inv_xml_out_attribute(out, "digest", file->digest);
        inv_xml_out_close(out);
    }
    inv_xml_out_close(out);
}

static void
format_statistics(InvXmlOut *out, const InvMigrationCookie *cookie)
{
    g_autoptr(GList) names = cookie->statistics ? g_list_sort(g_hash_table_get_keys(cookie->statistics), (GCompareFunc)strcmp) : NULL;

    if (!cookie->statistics && cookie->sent_us <= 0)
        return;
    inv_xml_out_open(out, "statistics");
    if (cookie->sent_us > 0)
        inv_xml_out_attribute_uint(out, "sent", (guint64)cookie->sent_us);
    for (const GList *name = names; name; name = name->next) {
        inv_xml_out_open(out, "value");
        inv_xml_out_attribute(out, "name", name->data);
        inv_xml_out_text(out, g_hash_table_lookup(cookie->statistics, name->data));
        inv_xml_out_close(out);
    }
    inv_xml_out_close(out);
}

static void
format_settings(InvXmlOut *out, const InvMigrationCookie *cookie)
{
    if (!cookie->capabilities)
        return;
    inv_xml_out_open(out, "settings");
    for (guint i = 0; i < cookie->capabilities->len; i++)
        inv_xml_out_element(out, "capability", g_ptr_array_index(cookie->capabilities, i));
    inv_xml_out_close(out);
}

GBytes *
inv_migration_cookie_format(const InvMigrationCookie *cookie)
{
    g_autoptr(InvXmlOut) out = inv_xml_out_new();
    char *text;

    inv_xml_out_open(out, "qemu-migration");
    inv_xml_out_element(out, "name", cookie->name);
    inv_xml_out_element(out, "uuid", cookie->uuid);
    inv_xml_out_element(out, "hostname", cookie->hostname);
    inv_xml_out_element(out, "hostuuid", cookie->hostuuid);
    inv_xml_out_open(out, "invar");
    inv_xml_out_attribute(out, "version", COOKIE_VERSION);
    inv_xml_out_element(out, "token", cookie->token);
    if (cookie->running)
        inv_xml_out_element(out, "running", NULL);
    if (cookie->emulator_version)
        inv_xml_out_element(out, "emulator", cookie->emulator_version);
    if (cookie->contact)
        inv_xml_out_element(out, "contact", cookie->contact);
    format_record(out, cookie->record);
    format_disks(out, cookie);
    format_files(out, cookie);
    if (cookie->persistent_xml)
        inv_xml_out_element(out, "definition", cookie->persistent_xml);
    if (cookie->persistent_record)
        inv_xml_out_element(out, "definition-record", cookie->persistent_record);
    format_statistics(out, cookie);
    format_settings(out, cookie);
    inv_xml_out_close(out);
    inv_xml_out_close(out);
    text = inv_xml_out_finish(out);
    return g_bytes_new_take(text, strlen(text) + 1);
}

GBytes *
inv_migration_cookie_seal(const InvMigrationCookie *cookie, GError **error)
{
    g_autoptr(GBytes) bytes = inv_migration_cookie_format(cookie);

    if (g_bytes_get_size(bytes) <= INV_COOKIE_MAX_BYTES)
        return g_steal_pointer(&bytes);
    inv_error_set(error, VIR_ERR_OPERATION_UNSUPPORTED,
                  "what the hosts would have to tell each other of domain '%s' has %" G_GSIZE_FORMAT
                  " bytes, and a migration cookie at most %u: make its definition smaller (<metadata>)",
                  cookie->name, g_bytes_get_size(bytes), INV_COOKIE_MAX_BYTES);
    return NULL;
}

/* Reading. */

static gboolean
is_printable(const char *text)
{
    if (!g_utf8_validate(text, -1, NULL))
        return FALSE;
    for (const char *p = text; *p; p = g_utf8_next_char(p)) {
        if (!g_unichar_isprint(g_utf8_get_char(p)))
            return FALSE;
    }
    return TRUE;
}

static gboolean
is_word(const char *text)
{
    return *text && strlen(text) <= MAX_WORD && strspn(text, WORD_CHARACTERS) == strlen(text);
}

/* No attributes but these, nothing inside but text or, with @children, elements of these names. */
static gboolean
check_shape(xmlNodePtr node, const char *const *attributes, const char *const *children, GError **error)
{
    for (xmlAttrPtr attribute = node->properties; attribute; attribute = attribute->next) {
        if (attribute->ns || !attributes || !inv_name_in((const char *)attribute->name, attributes))
            return inv_node_fail(node, (const char *)attribute->name, VIR_ERR_XML_ERROR, error, "no such attribute is known");
    }
    INV_NODE_FOREACH(child, node)
    {
        if (child->ns || !children || !inv_name_in((const char *)child->name, children))
            return inv_node_fail(child, NULL, VIR_ERR_XML_ERROR, error, "no such element is known in <%.64s>", (const char *)node->name);
    }
    return TRUE;
}

/* The text of the only child @name; *@text stays NULL where there is none, unless it is @required. */
static gboolean
read_text(xmlNodePtr parent, const char *name, gsize limit, gboolean required, char **text, GError **error)
{
    xmlNodePtr node;
    gsize length;

    if (!inv_node_only_child(parent, name, &node, error))
        return FALSE;
    if (!node)
        return !required || inv_node_fail(parent, NULL, VIR_ERR_XML_ERROR, error, "a <%s> is missing", name);
    if (!check_shape(node, NULL, NULL, error))
        return FALSE;
    *text = inv_node_text(node);
    length = strlen(*text);
    if (!length)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "it is empty");
    if (length > limit)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "%" G_GSIZE_FORMAT " bytes: at most %" G_GSIZE_FORMAT " are accepted", length,
                             limit);
    return TRUE;
}

/* The same, of one line that can be shown. */
static gboolean
read_line(xmlNodePtr parent, const char *name, gsize limit, gboolean required, char **text, GError **error)
{
    if (!read_text(parent, name, limit, required, text, error))
        return FALSE;
    return !*text || is_printable(*text) ||
           inv_node_fail(inv_node_child(parent, name), NULL, VIR_ERR_XML_ERROR, error, "it has characters that cannot be printed");
}

static gboolean
read_uuid(xmlNodePtr parent, const char *name, char **text, GError **error)
{
    unsigned char uuid[VIR_UUID_BUFLEN];
    char canonical[VIR_UUID_STRING_BUFLEN];

    if (!read_line(parent, name, MAX_WORD, TRUE, text, error))
        return FALSE;
    if (!inv_uuid_parse(*text, uuid))
        return inv_node_fail(inv_node_child(parent, name), NULL, VIR_ERR_XML_ERROR, error, "'%s' is no uuid", *text);
    inv_uuid_format(uuid, canonical);
    g_free(*text);
    *text = g_strdup(canonical);
    return TRUE;
}

gboolean
inv_migration_token_is_valid(const char *token)
{
    return strlen(token) == TOKEN_DIGITS && strspn(token, "0123456789abcdef") == TOKEN_DIGITS;
}

static gboolean
read_token(InvMigrationCookie *cookie, xmlNodePtr node, GError **error)
{
    if (!read_line(node, "token", TOKEN_DIGITS, TRUE, &cookie->token, error))
        return FALSE;
    if (!inv_migration_token_is_valid(cookie->token))
        return inv_node_fail(inv_node_child(node, "token"), NULL, VIR_ERR_XML_ERROR, error, "not %u hexadecimal digits", TOKEN_DIGITS);
    return TRUE;
}

static InvCpuRecord *
record_of(const char *text, GError **error)
{
    g_autoptr(InvJson) json = inv_json_parse(text, strlen(text), error);

    return json ? inv_cpu_record_from_json(json, error) : NULL;
}

static gboolean
read_records(InvMigrationCookie *cookie, xmlNodePtr node, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(InvCpuRecord) persistent = NULL;

    if (!read_text(node, "record", INV_COOKIE_MAX_BYTES, FALSE, &text, error) ||
        !read_text(node, "definition", INV_COOKIE_MAX_BYTES, FALSE, &cookie->persistent_xml, error) ||
        !read_text(node, "definition-record", INV_COOKIE_MAX_BYTES, FALSE, &cookie->persistent_record, error))
        return FALSE;
    if (text && !(cookie->record = record_of(text, error)))
        return FALSE;
    if (!cookie->persistent_record)
        return TRUE;
    if (!cookie->persistent_xml)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "a <definition-record> without its <definition>");
    persistent = record_of(cookie->persistent_record, error);
    return persistent != NULL;
}

static gboolean
read_running(InvMigrationCookie *cookie, xmlNodePtr invar, GError **error)
{
    xmlNodePtr node;

    if (!inv_node_only_child(invar, "running", &node, error) || (node && !check_shape(node, NULL, NULL, error)))
        return FALSE;
    cookie->running = node != NULL;
    return TRUE;
}

/* A decimal number of at most 64 bits, as text. */
static gboolean
is_decimal(const char *text)
{
    guint64 number;

    return *text && strlen(text) <= MAX_DIGITS && strspn(text, "0123456789") == strlen(text) && inv_number_parse(text, &number);
}

static gboolean
read_decimal(xmlNodePtr node, const char *attribute, guint64 maximum, guint64 *value, GError **error)
{
    g_autofree char *text = inv_node_required(node, attribute, error);

    if (!text)
        return FALSE;
    if (!is_decimal(text) || !inv_number_parse(text, value) || *value > maximum)
        return inv_node_fail(node, attribute, VIR_ERR_XML_ERROR, error, "not a decimal number up to %" G_GUINT64_FORMAT, maximum);
    return TRUE;
}

static gboolean
has_target(const GPtrArray *disks, const char *target)
{
    for (guint i = 0; i < disks->len; i++) {
        if (strcmp(((const InvCopiedDisk *)g_ptr_array_index(disks, i))->target, target) == 0)
            return TRUE;
    }
    return FALSE;
}

static gboolean
read_disk(InvMigrationCookie *cookie, xmlNodePtr node, GError **error)
{
    static const char *const attributes[] = { "target", "capacity", NULL };
    g_autofree char *target = NULL;
    InvCopiedDisk *disk;
    guint64 capacity;

    if (!check_shape(node, attributes, NULL, error) || !(target = inv_node_required(node, "target", error)) ||
        !read_decimal(node, "capacity", INV_COPY_MAX_CAPACITY, &capacity, error))
        return FALSE;
    if (!is_word(target))
        return inv_node_fail(node, "target", VIR_ERR_XML_ERROR, error, "no name of a disk");
    if (has_target(cookie->disks, target))
        return inv_node_fail(node, "target", VIR_ERR_XML_ERROR, error, "this disk is there twice");
    if (cookie->disks->len >= INV_COOKIE_MAX_DISKS)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "more than %u disks", INV_COOKIE_MAX_DISKS);
    disk = g_new0(InvCopiedDisk, 1);
    disk->target = g_steal_pointer(&target);
    disk->capacity = capacity;
    g_ptr_array_add(cookie->disks, disk);
    return TRUE;
}

static gboolean
read_disks(InvMigrationCookie *cookie, xmlNodePtr invar, GError **error)
{
    static const char *const children[] = { "disk", NULL };
    xmlNodePtr node;

    if (!inv_node_only_child(invar, "disks", &node, error) || (node && !check_shape(node, NULL, children, error)))
        return FALSE;
    if (!node)
        return TRUE;
    cookie->disks = g_ptr_array_new_with_free_func(disk_free);
    INV_NODE_FOREACH(child, node)
    {
        if (!read_disk(cookie, child, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_file(InvMigrationCookie *cookie, xmlNodePtr node, GError **error)
{
    static const char *const attributes[] = { "target", "block", "filesystem", "inode", "size", "digest", NULL };
    g_autoptr(InvDiskFile) file = g_new0(InvDiskFile, 1);
    g_autofree char *digest = inv_node_attr(node, "digest");

    if (!check_shape(node, attributes, NULL, error) || !(file->target = inv_node_required(node, "target", error)) ||
        !read_decimal(node, "filesystem", G_MAXUINT64, &file->filesystem, error) ||
        !read_decimal(node, "inode", G_MAXUINT64, &file->inode, error) || !read_decimal(node, "size", G_MAXUINT64, &file->size, error))
        return FALSE;
    if (!is_word(file->target))
        return inv_node_fail(node, "target", VIR_ERR_XML_ERROR, error, "no name of a disk");
    if (!inv_disk_file_set_digest(file, digest))
        return inv_node_fail(node, "digest", VIR_ERR_XML_ERROR, error, "not 64 hexadecimal digits");
    if (cookie->files->len >= INV_DISK_FILES_MAX)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "more than %u files", INV_DISK_FILES_MAX);
    file->block = inv_node_has(node, "block");
    g_ptr_array_add(cookie->files, g_steal_pointer(&file));
    return TRUE;
}

static gboolean
read_files(InvMigrationCookie *cookie, xmlNodePtr invar, GError **error)
{
    static const char *const attributes[] = { "boot", NULL };
    static const char *const children[] = { "file", NULL };
    xmlNodePtr node;

    if (!inv_node_only_child(invar, "files", &node, error) || (node && !check_shape(node, attributes, children, error)))
        return FALSE;
    if (!node)
        return TRUE;
    cookie->boot = inv_node_attr(node, "boot");
    if (cookie->boot && !is_word(cookie->boot))
        return inv_node_fail(node, "boot", VIR_ERR_XML_ERROR, error, "no id of a boot");
    cookie->files = g_ptr_array_new_with_free_func(file_free);
    INV_NODE_FOREACH(child, node)
    {
        if (!read_file(cookie, child, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_nbd(InvMigrationCookie *cookie, xmlNodePtr invar, GError **error)
{
    static const char *const attributes[] = { "host", "port", "path", NULL };
    xmlNodePtr node;

    if (!inv_node_only_child(invar, "nbd", &node, error) || (node && !check_shape(node, attributes, NULL, error)))
        return FALSE;
    if (!node)
        return TRUE;
    if (!inv_node_uint(node, "port", 1, G_MAXUINT16, &cookie->nbd_port, error))
        return FALSE;
    cookie->nbd_host = inv_node_attr(node, "host");
    cookie->nbd_path = inv_node_attr(node, "path");
    if (!cookie->nbd_port == !cookie->nbd_path)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "either a port or a path");
    if (cookie->nbd_host && (!*cookie->nbd_host || strlen(cookie->nbd_host) > MAX_NAME || !is_printable(cookie->nbd_host) ||
                             strpbrk(cookie->nbd_host, " ,=/")))
        return inv_node_fail(node, "host", VIR_ERR_XML_ERROR, error, "no host's name or address");
    if (cookie->nbd_path && (*cookie->nbd_path != '/' || strlen(cookie->nbd_path) > MAX_PATH_BYTES || !is_printable(cookie->nbd_path)))
        return inv_node_fail(node, "path", VIR_ERR_XML_ERROR, error, "no absolute path of at most %u bytes", MAX_PATH_BYTES);
    return TRUE;
}

static gboolean
read_value(InvMigrationCookie *cookie, xmlNodePtr node, GError **error)
{
    static const char *const attributes[] = { "name", NULL };
    g_autofree char *name = NULL, *text = NULL;

    if (!check_shape(node, attributes, NULL, error) || !(name = inv_node_required(node, "name", error)))
        return FALSE;
    if (!is_word(name))
        return inv_node_fail(node, "name", VIR_ERR_XML_ERROR, error, "no name of a figure");
    text = inv_node_text(node);
    if (!is_decimal(text))
        return inv_node_fail(node, "name", VIR_ERR_XML_ERROR, error, "its value is no decimal number of 64 bits");
    if (g_hash_table_contains(cookie->statistics, name))
        return inv_node_fail(node, "name", VIR_ERR_XML_ERROR, error, "it is there twice");
    if (g_hash_table_size(cookie->statistics) >= INV_COOKIE_MAX_STATISTICS)
        return inv_node_fail(node, NULL, VIR_ERR_XML_ERROR, error, "more than %u figures", INV_COOKIE_MAX_STATISTICS);
    g_hash_table_insert(cookie->statistics, g_steal_pointer(&name), g_steal_pointer(&text));
    return TRUE;
}

static gboolean
read_statistics(InvMigrationCookie *cookie, xmlNodePtr invar, GError **error)
{
    static const char *const attributes[] = { "sent", NULL };
    static const char *const children[] = { "value", NULL };
    guint64 sent = 0;
    xmlNodePtr node;

    if (!inv_node_only_child(invar, "statistics", &node, error) || (node && !check_shape(node, attributes, children, error)))
        return FALSE;
    if (!node)
        return TRUE;
    if (inv_node_has(node, "sent") && !read_decimal(node, "sent", G_MAXINT64, &sent, error))
        return FALSE;
    cookie->sent_us = (gint64)sent;
    cookie->statistics = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, g_free);
    INV_NODE_FOREACH(child, node)
    {
        if (!read_value(cookie, child, error))
            return FALSE;
    }
    return TRUE;
}

static gboolean
read_settings(InvMigrationCookie *cookie, xmlNodePtr invar, GError **error)
{
    static const char *const children[] = { "capability", NULL };
    xmlNodePtr node;

    if (!inv_node_only_child(invar, "settings", &node, error) || (node && !check_shape(node, NULL, children, error)))
        return FALSE;
    if (!node)
        return TRUE;
    cookie->capabilities = g_ptr_array_new_with_free_func(g_free);
    INV_NODE_FOREACH(child, node)
    {
        g_autofree char *name = inv_node_text(child);

        if (!check_shape(child, NULL, NULL, error))
            return FALSE;
        if (!is_word(name) || g_ptr_array_find_with_equal_func(cookie->capabilities, name, g_str_equal, NULL))
            return inv_node_fail(child, NULL, VIR_ERR_XML_ERROR, error, "no name of a capability, or one that is there already");
        if (cookie->capabilities->len >= INV_COOKIE_MAX_CAPABILITIES)
            return inv_node_fail(child, NULL, VIR_ERR_XML_ERROR, error, "more than %u capabilities", INV_COOKIE_MAX_CAPABILITIES);
        g_ptr_array_add(cookie->capabilities, g_steal_pointer(&name));
    }
    return TRUE;
}

/* What both Invar and libvirt say of domain and host. */
static gboolean
read_identity(InvMigrationCookie *cookie, xmlNodePtr root, GError **error)
{
    return read_line(root, "name", MAX_NAME, TRUE, &cookie->name, error) && read_uuid(root, "uuid", &cookie->uuid, error) &&
           read_line(root, "hostname", MAX_NAME, TRUE, &cookie->hostname, error) &&
           read_uuid(root, "hostuuid", &cookie->hostuuid, error);
}

static gboolean
read_version(xmlNodePtr invar, GError **error)
{
    static const char *const attributes[] = { "version", NULL };
    static const char *const children[] = { "token", "running", "emulator", "contact", "record", "disks", "files", "nbd", "definition",
                                            "definition-record", "statistics", "settings", NULL };
    g_autofree char *version = inv_node_required(invar, "version", error);

    if (!version)
        return FALSE;
    /* Before anything else of it: another version may say anything. */
    if (strcmp(version, COOKIE_VERSION) != 0)
        return inv_node_fail(invar, "version", VIR_ERR_INVALID_ARG, error,
                             "the other side is another version of Invar: this one knows version " COOKIE_VERSION
                             "; bring both hosts to the same version");
    return check_shape(invar, attributes, children, error);
}

static InvMigrationCookie *
read_cookie(xmlNodePtr root, GError **error)
{
    g_autoptr(InvMigrationCookie) cookie = g_new0(InvMigrationCookie, 1);
    xmlNodePtr invar;

    if (!inv_node_only_child(root, "invar", &invar, error))
        return NULL;
    if (!invar) {
        inv_error_set(error, VIR_ERR_INVALID_ARG,
                      "the other side is not Invar: its cookie has no <invar>; guests can be migrated between two hosts with Invar only");
        return NULL;
    }
    if (!read_version(invar, error) || !read_identity(cookie, root, error) || !read_token(cookie, invar, error) ||
        !read_running(cookie, invar, error) || !read_line(invar, "emulator", MAX_WORD, FALSE, &cookie->emulator_version, error) ||
        !read_line(invar, "contact", MAX_CONTACT, FALSE, &cookie->contact, error) || !read_records(cookie, invar, error) ||
        !read_disks(cookie, invar, error) || !read_files(cookie, invar, error) || !read_nbd(cookie, invar, error) || !read_statistics(cookie, invar, error) ||
        !read_settings(cookie, invar, error))
        return NULL;
    return g_steal_pointer(&cookie);
}

InvMigrationCookie *
inv_migration_cookie_parse(const char *data, gsize length, GError **error)
{
    g_autofree char *text = NULL;
    g_autoptr(InvXmlDoc) doc = NULL;
    InvMigrationCookie *cookie = NULL;
    GError *cause = NULL;

    if (length && !data[length - 1])
        length--;
    if (!length) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the migration cookie is empty: the other side is not Invar");
        return NULL;
    }
    if (length >= INV_COOKIE_MAX_BYTES) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the migration cookie has %" G_GSIZE_FORMAT " bytes: less than %u are accepted", length,
                      INV_COOKIE_MAX_BYTES);
        return NULL;
    }
    if (memchr(data, '\0', length)) {
        inv_error_set(error, VIR_ERR_XML_ERROR, "migration cookie: a NUL byte stands within it");
        return NULL;
    }
    text = g_strndup(data, length);
    doc = inv_xml_parse(text, "qemu-migration", &cause);
    if (doc)
        cookie = read_cookie(xmlDocGetRootElement(doc), &cause);
    if (!cookie)
        g_propagate_prefixed_error(error, cause, "migration cookie: ");
    return cookie;
}
