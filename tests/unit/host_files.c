/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/host_files.h"

#include "cpu_driver/host_export_line.h"

#include <string.h>

#define DIGITS 16u

gssize
host_file_read(gpointer data, guint64 offset, char *buffer, gsize length)
{
    const HostFile *file = data;
    gsize got = offset >= file->length ? 0 : MIN(length, file->length - (gsize)offset);

    if (got)
        memcpy(buffer, file->text + offset, got);
    return (gssize)got;
}

void
host_file_fix_sums(char *text, gsize length)
{
    const gsize tail = strlen(INV_HOST_EXPORT_SUM) + DIGITS + 2;

    for (char *line = text; line < text + length;) {
        char *newline = memchr(line, '\n', (gsize)(text + length - line));
        gsize n = newline ? (gsize)(newline - line) : 0;
        char digits[DIGITS + 1];

        if (!newline)
            return;
        if (n > tail) {
            g_snprintf(digits, sizeof(digits), "%016" G_GINT64_MODIFIER "x", inv_host_export_sum(line, n - tail));
            memcpy(line + n - tail, INV_HOST_EXPORT_SUM, strlen(INV_HOST_EXPORT_SUM));
            memcpy(line + n - 2 - DIGITS, digits, DIGITS);
            memcpy(line + n - 2, "\"}", 2);
        }
        line = newline + 1;
    }
}

InvCpuRecord *
host_file_record(const InvCpuFacts *facts, const InvCpuModel *model, const char *without)
{
    g_autoptr(InvGuestCpu) guest = g_new0(InvGuestCpu, 1);

    if (!model->expansion)
        return NULL;
    guest->machine = g_strdup(facts->machine);
    guest->model = g_strdup(model->name);
    guest->type_name = g_strdup(model->type_name);
    guest->cpu = inv_cpu_expansion_copy(model->expansion);
    for (char **name = model->unavailable; name && *name; name++)
        inv_feature_set_remove(guest->cpu->on, *name);
    if (without)
        inv_feature_set_remove(guest->cpu->on, without);
    return inv_cpu_record_new(facts->arch, guest);
}

InvMigrationSubject *
host_file_subject(const InvCpuFacts *facts, const char *cpu, InvCpuRecord *record)
{
    g_autofree char *xml = g_strdup_printf("<domain type='%s'><name>guest</name><uuid>11111111-2222-4333-8444-555555555555</uuid>"
                                           "<memory unit='MiB'>64</memory><vcpu>1</vcpu><os><type arch='%s' machine='%s'>hvm</type></os>%s"
                                           "</domain>",
                                           facts->accelerator == INV_VIRT_KVM ? "kvm" : "qemu", facts->arch, facts->machine, cpu ? cpu : "");
    g_autoptr(GError) error = NULL;
    InvMigrationSubject *subject = inv_migration_subject_from_xml(xml, &error);

    if (!subject)
        g_error("%s", error->message);
    subject->record = record;
    subject->active = record != NULL;
    subject->devices = g_strsplit("virtio-blk-pci", " ", -1);
    return subject;
}
