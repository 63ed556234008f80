/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>

#include "tests/unit/host_files.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A guest with a few features of a Westmere. */
static InvMigrationSubject *
fixture(void)
{
    const InvCpuFacts facts = { .arch = "x86_64", .machine = "pc-q35-7.2", .accelerator = INV_VIRT_QEMU };
    g_autoptr(InvFeatureNames) names = inv_feature_names_new();
    g_autoptr(InvFeatureSet) on = inv_feature_set_new(names);
    g_autoptr(InvFeatureSet) known = inv_feature_set_new(names);
    g_autoptr(InvJson) others = inv_json_new_object();
    InvCpuExpansion expansion = { .on = on, .known = known, .others = others };
    const InvCpuModel model = { .name = (char *)"Westmere-v1", .type_name = (char *)"Westmere-v1-x86_64-cpu", .expansion = &expansion };

    inv_feature_set_add(on, "aes");
    inv_feature_set_add(on, "sse2");
    inv_feature_set_unite(known, on);
    return host_file_subject(&facts, "<cpu mode='custom'><model fallback='forbid'>Westmere-v1</model><feature name='aes' policy='require'/></cpu>",
                             host_file_record(&facts, &model, NULL));
}

/* Descriptions of hosts whose sums are right: a verdict or an error. */
int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static InvHostExportReader *reader;
    static InvMigrationSubject *subject;
    g_autofree char *text = g_memdup2(data, size);
    HostFile file = { text, size };
    g_autoptr(GError) error = NULL;
    g_autoptr(InvHostExport) host = NULL;
    g_autoptr(InvMigrationVerdict) verdict = NULL;

    if (!reader) {
        reader = inv_host_export_reader_new(NULL);
        subject = fixture();
    }
    if (text)
        host_file_fix_sums(text, size);
    host = inv_host_export_open(reader, host_file_read, &file, &error);
    g_assert(!host == !!error);
    if (!host)
        return 0;
    verdict = inv_host_export_check(host, subject, &error);
    g_assert(!verdict == !!error);
    return 0;
}
