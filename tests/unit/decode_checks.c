/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "tests/unit/decode_checks.h"

/* Of QEMU's static models of s390x, and of the first part of a group of features there. */
#define BASE_SUFFIX "-base"

gboolean
decode_tools_load(DecodeTools *tools, const char *folder, GError **error)
{
    const char *from = folder ? folder : inv_cpu_map_default_folder();

    tools->names = inv_feature_names_new();
    tools->map = inv_cpu_map_load(from, "x86_64", error);
    tools->models = tools->map ? inv_cpu_models_load(from, "x86_64", error) : NULL;
    tools->decoder = tools->models ? inv_cpu_decoder_new(from, tools->map, tools->models, tools->names, error) : NULL;
    return tools->decoder != NULL;
}

void
decode_tools_clear(DecodeTools *tools)
{
    g_clear_pointer(&tools->decoder, inv_cpu_decoder_free);
    g_clear_pointer(&tools->names, inv_feature_names_free);
    g_clear_pointer(&tools->models, inv_cpu_models_free);
    g_clear_pointer(&tools->map, inv_cpu_map_free);
}

static char *
names_beyond(const InvFeatureSet *set, const InvFeatureSet *other)
{
    g_autoptr(InvFeatureSet) more = inv_feature_set_difference(set, other);
    g_autofree const char **list = inv_feature_set_list(more);

    return g_strjoinv(" ", (char **)list);
}

void
assert_same_features(const char *what, const InvFeatureSet *got, const InvFeatureSet *wanted)
{
    g_autofree char *more = names_beyond(got, wanted);
    g_autofree char *less = names_beyond(wanted, got);

    if (*more || *less)
        fail_msg("%s: too many: %s; missing: %s", what, more, less);
}

InvCpu *
assert_round_trip(const DecodeTools *tools, const InvCpuSeen *seen, const InvFeatureSet *wanted)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(InvCpu) cpu = inv_cpu_describe_seen(tools->decoder, seen, &error);
    g_autoptr(InvCpu) again = NULL;
    g_autoptr(InvCpu) once_more = NULL;
    g_autoptr(InvFeatureSet) expanded = NULL;
    g_autofree char *xml = NULL;
    g_autofree char *second_xml = NULL;
    InvCpuSeen described = *seen;

    assert_null(error);
    xml = inv_cpu_format(cpu);
    again = inv_cpu_parse(xml, &error);
    assert_null(error);
    expanded = inv_cpu_expand(tools->decoder, again, &error);
    assert_null(error);
    assert_same_features(again->model, expanded, wanted);
    assert_string_equal(inv_cpu_models_find(tools->models, again->model)->vendor, seen->vendor);
    described.features = expanded;
    once_more = inv_cpu_describe_seen(tools->decoder, &described, &error);
    assert_null(error);
    second_xml = inv_cpu_format(once_more);
    assert_string_equal(second_xml, xml);
    return g_steal_pointer(&cpu);
}

/*
 * Of a group (msa) that lost a part QEMU names what is left one by one, and its first part (msa-base)
 * for the group. What a group consists of is QEMU's knowledge: nothing but this test expands there.
 */
static void
take_groups_apart(InvFeatureSet *set, const InvFeatureSet *wanted)
{
    g_autofree const char **list = inv_feature_set_list(wanted);

    for (guint i = 0; list[i]; i++) {
        g_autofree char *group = g_strndup(list[i], strlen(list[i]) - MIN(strlen(list[i]), strlen(BASE_SUFFIX)));

        if (g_str_has_suffix(list[i], BASE_SUFFIX) && inv_feature_set_has(set, group) && !inv_feature_set_has(wanted, group)) {
            inv_feature_set_remove(set, group);
            inv_feature_set_add(set, list[i]);
        }
    }
}

/* Adds what @reply has true to @set, and takes away what it has false. */
static void
apply_props(InvFeatureSet *set, const InvJson *reply)
{
    const InvJson *props = inv_json_get(inv_json_get(reply, "model"), "props");

    for (guint i = 0; i < inv_json_size(props); i++) {
        const InvJson *value;
        const char *name = inv_json_member(props, i, &value);
        gboolean on;

        if (!inv_json_boolean(value, &on))
            continue;
        if (on)
            inv_feature_set_add(set, name);
        else
            inv_feature_set_remove(set, name);
    }
}

void
assert_static_description(const char *arch, const InvJson *described, const InvJson *full)
{
    const char *model = inv_json_get_string(inv_json_get(described, "model"), "name");
    const char *folder = inv_cpu_map_default_folder();
    g_autoptr(InvCpuMap) map = inv_cpu_map_load(folder, arch, NULL);
    g_autoptr(InvCpuModels) models = inv_cpu_models_load(folder, arch, NULL);
    g_autoptr(InvFeatureNames) names = inv_feature_names_new();
    g_autoptr(InvCpuDecoder) decoder = inv_cpu_decoder_new(folder, map, models, names, NULL);
    g_autoptr(InvFeatureSet) expanded = NULL;
    g_autoptr(InvFeatureSet) wanted = inv_feature_set_new(names);

    assert_true(g_str_has_suffix(model, BASE_SUFFIX));
    assert_non_null(inv_cpu_decoder_model(decoder, model, FALSE));
    expanded = inv_feature_set_copy(inv_cpu_decoder_model(decoder, model, FALSE));
    apply_props(expanded, described);
    apply_props(wanted, full);
    take_groups_apart(expanded, wanted);
    assert_same_features(model, expanded, wanted);
}
