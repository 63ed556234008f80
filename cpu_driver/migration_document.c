/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Who would move, and what was decided, as JSON. */
#include "cpu_driver/migration_check.h"

#include "util/error.h"

#include <string.h>

#define SUBJECT_VERSION 1
/* QEMU has some 600 devices; a domain that had more kinds would be none. */
#define MAX_DEVICES 1024u
#define MAX_LINES 65536u
#define DIGEST_DIGITS 64u /* of SHA-256 */

void
inv_migration_subject_free(InvMigrationSubject *subject)
{
    if (!subject)
        return;
    inv_domain_free(subject->domain);
    inv_cpu_record_free(subject->record);
    g_strfreev(subject->devices);
    g_free(subject->emulator_version);
    g_clear_pointer(&subject->files, g_ptr_array_unref);
    g_free(subject->boot);
    g_strfreev(subject->copied);
    g_free(subject->hostname);
    g_free(subject->host_uuid);
    g_free(subject);
}

void
inv_disk_file_free(InvDiskFile *file)
{
    if (!file)
        return;
    g_free(file->target);
    g_free(file->digest);
    g_free(file);
}

gboolean
inv_disk_file_set_digest(InvDiskFile *file, const char *digest)
{
    if (digest && (strlen(digest) != DIGEST_DIGITS || strspn(digest, "0123456789abcdef") != DIGEST_DIGITS))
        return FALSE;
    g_free(file->digest);
    file->digest = g_strdup(digest);
    return TRUE;
}

static void
free_disk_file(gpointer data)
{
    inv_disk_file_free(data);
}

static void
set_number(InvJson *json, const char *name, guint64 number)
{
    g_autofree char *text = g_strdup_printf("%" G_GUINT64_FORMAT, number);

    inv_json_object_set_string(json, name, text);
}

static InvJson *
files_to_json(const GPtrArray *files)
{
    InvJson *array;

    if (!files)
        return inv_json_new_null();
    array = inv_json_new_array();
    for (guint i = 0; i < files->len; i++) {
        const InvDiskFile *file = g_ptr_array_index(files, i);
        InvJson *json = inv_json_new_object();

        inv_json_object_set_string(json, "target", file->target);
        inv_json_object_set_boolean(json, "block", file->block);
        set_number(json, "filesystem", file->filesystem);
        set_number(json, "inode", file->inode);
        set_number(json, "size", file->size);
        if (file->digest)
            inv_json_object_set_string(json, "digest", file->digest);
        inv_json_array_add(array, json);
    }
    return array;
}

static gboolean
get_number(const InvJson *json, const char *name, guint64 *number)
{
    const char *text = inv_json_get_string(json, name);

    return text && g_ascii_string_to_unsigned(text, 10, 0, G_MAXUINT64, number, NULL);
}

static GPtrArray *
files_from_json(const InvJson *array, GError **error)
{
    g_autoptr(GPtrArray) files = g_ptr_array_new_with_free_func(free_disk_file);

    for (guint i = 0; i < inv_json_size(array) && i < INV_DISK_FILES_MAX; i++) {
        const InvJson *json = inv_json_at(array, i);
        g_autoptr(InvDiskFile) file = g_new0(InvDiskFile, 1);

        file->target = g_strdup(inv_json_get_string(json, "target"));
        file->block = inv_json_get_boolean(json, "block", FALSE);
        if (!file->target || !get_number(json, "filesystem", &file->filesystem) || !get_number(json, "inode", &file->inode) ||
            !get_number(json, "size", &file->size) || !inv_disk_file_set_digest(file, inv_json_get_string(json, "digest"))) {
            inv_error_set(error, VIR_ERR_INVALID_ARG, "the domain's file of disk '%.64s' is not described", file->target ? file->target : "");
            return NULL;
        }
        g_ptr_array_add(files, g_steal_pointer(&file));
    }
    return g_steal_pointer(&files);
}

InvJson *
inv_migration_subject_to_json(const InvMigrationSubject *subject, const char *xml)
{
    InvJson *json = inv_json_new_object();

    inv_json_object_set_int(json, "invar-domain", SUBJECT_VERSION);
    inv_json_object_set_string(json, "name", subject->domain->name);
    inv_json_object_set_string(json, "hostname", subject->hostname);
    inv_json_object_set_string(json, "host-uuid", subject->host_uuid);
    inv_json_object_set_boolean(json, "active", subject->active);
    inv_json_object_set_string(json, "emulator-version", subject->emulator_version);
    if (subject->devices)
        inv_json_object_set_strv(json, "devices", (const char *const *)subject->devices);
    else
        inv_json_object_set(json, "devices", inv_json_new_null());
    if (subject->boot)
        inv_json_object_set_string(json, "boot", subject->boot);
    inv_json_object_set(json, "files", files_to_json(subject->files));
    inv_json_object_set(json, "record", subject->record ? inv_cpu_record_to_json(subject->record) : inv_json_new_null());
    inv_json_object_set_string(json, "xml", xml);
    return json;
}

InvMigrationSubject *
inv_migration_subject_from_xml(const char *xml, GError **error)
{
    g_autoptr(InvMigrationSubject) subject = g_new0(InvMigrationSubject, 1);

    subject->domain = inv_domain_parse(xml, error);
    if (!subject->domain)
        return NULL;
    if (!subject->domain->os.arch) {
        inv_error_set(error, VIR_ERR_XML_ERROR, "the domain '%s' does not say of which architecture it is: <type arch=> is missing",
                      subject->domain->name);
        return NULL;
    }
    return g_steal_pointer(&subject);
}

InvMigrationSubject *
inv_migration_subject_from_json(const InvJson *json, GError **error)
{
    g_autoptr(InvMigrationSubject) subject = NULL;
    const char *xml = inv_json_get_string(json, "xml");
    const InvJson *record = inv_json_get(json, "record");
    const InvJson *devices = inv_json_get(json, "devices");
    const InvJson *files = inv_json_get(json, "files");

    if (inv_json_get_int(json, "invar-domain", -1) != SUBJECT_VERSION || !xml) {
        inv_error_set(error, VIR_ERR_INVALID_ARG,
                      "this is no domain in the form of this version of Invar: export it anew with invar domain-export");
        return NULL;
    }
    subject = inv_migration_subject_from_xml(xml, error);
    if (!subject)
        return NULL;
    if (record && inv_json_type(record) != INV_JSON_NULL && !(subject->record = inv_cpu_record_from_json(record, error)))
        return NULL;
    if (devices && inv_json_type(devices) == INV_JSON_ARRAY) {
        if (inv_json_size(devices) > MAX_DEVICES) {
            inv_error_set(error, VIR_ERR_INVALID_ARG, "a domain with more than %u kinds of devices is not believed", MAX_DEVICES);
            return NULL;
        }
        subject->devices = inv_json_get_strv(json, "devices");
    }
    if (files && inv_json_type(files) == INV_JSON_ARRAY && !(subject->files = files_from_json(files, error)))
        return NULL;
    subject->boot = g_strdup(inv_json_get_string(json, "boot"));
    subject->active = inv_json_get_boolean(json, "active", FALSE);
    subject->emulator_version = g_strdup(inv_json_get_string(json, "emulator-version"));
    subject->hostname = g_strdup(inv_json_get_string(json, "hostname"));
    subject->host_uuid = g_strdup(inv_json_get_string(json, "host-uuid"));
    return g_steal_pointer(&subject);
}

static void
set_lines(InvJson *json, const char *name, const GPtrArray *lines)
{
    InvJson *array = inv_json_new_array();

    for (guint i = 0; i < lines->len; i++)
        inv_json_array_add_string(array, g_ptr_array_index(lines, i));
    inv_json_object_set(json, name, array);
}

static GPtrArray *
get_lines(const InvJson *json, const char *name)
{
    g_auto(GStrv) list = inv_json_get_strv(json, name);
    GPtrArray *lines = g_ptr_array_new_with_free_func(g_free);

    for (guint i = 0; list[i] && i < MAX_LINES; i++)
        g_ptr_array_add(lines, g_strdup(list[i]));
    return lines;
}

InvJson *
inv_migration_verdict_to_json(const InvMigrationVerdict *verdict)
{
    InvJson *json = inv_json_new_object();

    inv_json_object_set_string(json, "outcome", inv_migration_outcome_to_string(verdict->outcome));
    inv_json_object_set_string(json, "hostname", verdict->hostname);
    inv_json_object_set_string(json, "uuid", verdict->uuid);
    inv_json_object_set_string(json, "emulator-version", verdict->emulator_version);
    inv_json_object_set_int(json, "as-of", verdict->as_of);
    set_lines(json, "arguments", verdict->arguments);
    set_lines(json, "notes", verdict->notes);
    inv_json_object_set(json, "verdict", inv_verdict_to_json(verdict->verdict));
    return json;
}

static gboolean
outcome_from_string(const char *text, InvMigrationOutcome *outcome)
{
    for (int i = INV_MIGRATION_CAN; i <= INV_MIGRATION_CANNOT; i++) {
        if (g_strcmp0(text, inv_migration_outcome_to_string((InvMigrationOutcome)i)) == 0) {
            *outcome = (InvMigrationOutcome)i;
            return TRUE;
        }
    }
    return FALSE;
}

InvMigrationVerdict *
inv_migration_verdict_from_json(const InvJson *json, GError **error)
{
    g_autoptr(InvMigrationVerdict) verdict = g_new0(InvMigrationVerdict, 1);

    verdict->arguments = get_lines(json, "arguments");
    verdict->notes = get_lines(json, "notes");
    verdict->verdict = inv_verdict_from_json(inv_json_get(json, "verdict"), error);
    if (!verdict->verdict)
        return NULL;
    if (!outcome_from_string(inv_json_get_string(json, "outcome"), &verdict->outcome)) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "the outcome '%s' of a migration's verdict is not known to this version of Invar",
                      inv_json_get_string(json, "outcome") ? inv_json_get_string(json, "outcome") : "");
        return NULL;
    }
    verdict->hostname = g_strdup(inv_json_get_string(json, "hostname"));
    verdict->uuid = g_strdup(inv_json_get_string(json, "uuid"));
    verdict->emulator_version = g_strdup(inv_json_get_string(json, "emulator-version"));
    verdict->as_of = inv_json_get_int(json, "as-of", 0);
    return g_steal_pointer(&verdict);
}
