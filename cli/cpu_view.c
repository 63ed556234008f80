/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cpu_view.h"
#include "cli/reason_view.h"
#include "cli/table.h"
#include "cli/text.h"

#include <string.h>

/* Features that a sentence names; of more it tells the number. */
#define NAMED 8

static guint
count_names(const char *const *names)
{
    return names ? g_strv_length((char **)names) : 0;
}

static void
set_text(InvJson *json, const char *name, const char *text)
{
    inv_json_object_set(json, name, text ? inv_json_new_string(text) : inv_json_new_null());
}

/* 0 stands for "not known". */
static void
set_number(InvJson *json, const char *name, guint number)
{
    inv_json_object_set(json, name, number ? inv_json_new_uint(number) : inv_json_new_null());
}

static InvJson *
signature_json(const InvarCpu *cpu)
{
    unsigned family, model, stepping;
    InvJson *json;

    if (invar_cpu_signature(cpu, &family, &model, &stepping) < 0)
        return inv_json_new_null();
    json = inv_json_new_object();
    inv_json_object_set_uint(json, "family", family);
    inv_json_object_set_uint(json, "model", model);
    inv_json_object_set_uint(json, "stepping", stepping);
    return json;
}

static InvJson *
delta_json(const InvarCpu *cpu)
{
    InvJson *array = inv_json_new_array();
    const char *policy, *name;

    for (gsize i = 0; (name = invar_cpu_delta(cpu, i, &policy)); i++) {
        InvJson *feature = inv_json_new_object();

        inv_json_object_set_string(feature, "name", name);
        inv_json_object_set_string(feature, "policy", policy);
        inv_json_array_add(array, feature);
    }
    return array;
}

InvJson *
inv_cpu_view_json(const InvarCpu *cpu)
{
    InvJson *json = inv_json_new_object();

    set_text(json, "arch", invar_cpu_arch(cpu));
    set_text(json, "model", invar_cpu_model(cpu));
    set_text(json, "vendor", invar_cpu_vendor(cpu));
    inv_json_object_set(json, "signature", signature_json(cpu));
    inv_json_object_set(json, "features", delta_json(cpu));
    inv_json_object_set_strv(json, "expanded", invar_cpu_expanded(cpu));
    set_text(json, "format", invar_cpu_format_name(invar_cpu_format(cpu)));
    set_text(json, "vendor_id", invar_cpu_vendor_id(cpu));
    set_number(json, "phys_bits", invar_cpu_phys_bits(cpu));
    set_number(json, "level", invar_cpu_level(cpu));
    set_number(json, "xlevel", invar_cpu_xlevel(cpu));
    inv_json_object_set_strv(json, "notes", invar_cpu_notes(cpu));
    return json;
}

static void
append_field(GString *out, const InvCli *cli, const char *label, const char *text, guint width)
{
    if (text)
        inv_view_append_field(out, cli, INV_CPU_VIEW_LABEL, label, text, width);
}

static void
append_numbers(GString *out, const InvCli *cli, const InvarCpu *cpu, guint width)
{
    unsigned family, model, stepping;
    guint level = invar_cpu_level(cpu), xlevel = invar_cpu_xlevel(cpu), bits = invar_cpu_phys_bits(cpu);
    g_autofree char *signature = NULL;
    g_autofree char *leaves = level ? g_strdup_printf(xlevel ? "0x%x, extended 0x%x" : "0x%x", level, xlevel) : NULL;
    g_autofree char *physical = bits ? g_strdup_printf("%u", bits) : NULL;

    if (invar_cpu_signature(cpu, &family, &model, &stepping) == 0)
        signature = g_strdup_printf("family %u, model %u, stepping %u", family, model, stepping);
    append_field(out, cli, "Signature", signature, width);
    append_field(out, cli, "Highest leaf", leaves, width);
    append_field(out, cli, "Physical bits", physical, width);
}

static InvColour
policy_colour(const char *policy)
{
    if (!strcmp(policy, "require") || !strcmp(policy, "force"))
        return INV_COLOUR_GOOD;
    return !strcmp(policy, "optional") ? INV_COLOUR_WARN : INV_COLOUR_BAD;
}

/* What differs from the model, a list for each policy, in the order of the first feature that has it. */
static void
append_delta(GString *out, const InvCli *cli, const InvarCpu *cpu, guint width)
{
    g_autoptr(GPtrArray) policies = g_ptr_array_new();
    const char *policy, *other, *name;

    for (gsize i = 0; invar_cpu_delta(cpu, i, &policy); i++) {
        if (!g_ptr_array_find_with_equal_func(policies, policy, g_str_equal, NULL))
            g_ptr_array_add(policies, (gpointer)policy);
    }
    for (guint p = 0; p < policies->len; p++) {
        g_autoptr(GPtrArray) names = g_ptr_array_new();

        policy = g_ptr_array_index(policies, p);
        for (gsize i = 0; (name = invar_cpu_delta(cpu, i, &other)); i++) {
            if (!strcmp(policy, other))
                g_ptr_array_add(names, (gpointer)name);
        }
        inv_view_append_names(out, cli, policy_colour(policy), policy, (const char *const *)names->pdata, names->len, width);
    }
}

char *
inv_cpu_view(const InvCli *cli, const InvarCpu *cpu, const char *common_to, guint width)
{
    const char *const *expanded = invar_cpu_expanded(cpu);
    const char *vendor = invar_cpu_vendor(cpu), *id = invar_cpu_vendor_id(cpu);
    g_autofree char *maker = vendor && id ? g_strdup_printf("%s (%s)", vendor, id) : g_strdup(vendor ? vendor : id);
    GString *out = g_string_new(NULL);

    append_field(out, cli, common_to ? "Common to" : "Read from", common_to ? common_to : invar_cpu_format_name(invar_cpu_format(cpu)),
                 width);
    append_field(out, cli, "Architecture", invar_cpu_arch(cpu), width);
    append_field(out, cli, "Model", invar_cpu_model(cpu) ? invar_cpu_model(cpu) : "none describes it", width);
    append_field(out, cli, "Vendor", maker, width);
    append_numbers(out, cli, cpu, width);
    for (const char *const *note = invar_cpu_notes(cpu); note && *note; note++)
        append_field(out, cli, "Note", *note, width);
    append_delta(out, cli, cpu, width);
    inv_view_append_names(out, cli, INV_COLOUR_HEAD, "Every feature that it has", expanded, count_names(expanded), width);
    return g_string_free(out, FALSE);
}

char *
inv_cpu_view_names(const InvarCpu *cpu)
{
    GString *out = g_string_new(NULL);

    for (const char *const *name = invar_cpu_expanded(cpu); name && *name; name++) {
        g_autofree char *escaped = inv_text_escape(*name, INV_TEXT_LINE);

        g_string_append_printf(out, "%s\n", escaped);
    }
    return g_string_free(out, FALSE);
}

char *
inv_cpu_view_bit(const InvarCpuFeatureFacts *facts)
{
    const char *gap = "";
    GString *out = g_string_new(NULL);

    if (!facts->source)
        return g_string_free(out, FALSE);
    if (facts->reg)
        g_string_append_printf(out, "%s leaf 0x%x, subleaf 0x%x, %s bit", facts->source, facts->leaf, facts->subleaf, facts->reg);
    else
        g_string_append_printf(out, "%s 0x%x bit", facts->source, facts->leaf);
    for (guint bit = 0; bit < 64; bit++) {
        if (facts->mask >> bit & 1) {
            g_string_append_printf(out, "%s %u", gap, bit);
            gap = ",";
        }
    }
    return g_string_free(out, FALSE);
}

static void
add_feature(InvTable *table, InvarCpuContext *dictionary, const InvarCpu *cpu, const char *name, const char *policy)
{
    const InvarCpuFeatureFacts *facts = NULL;
    g_autofree char *bit = NULL;
    char *message = NULL;

    /* What the dictionary does not know has come from QEMU's mouth: it has a name and no bit. */
    if (invar_cpu_explain(dictionary, invar_cpu_arch(cpu), name, &facts, &message) == INVAR_CPU_OK)
        bit = inv_cpu_view_bit(facts);
    invar_cpu_free(message);
    inv_table_add(table, name, policy ? policy : "model", facts ? facts->migratable ? "yes" : "no" : "-", bit && *bit ? bit : "-", NULL);
}

char *
inv_cpu_view_features(const InvCli *cli, InvarCpuContext *dictionary, const InvarCpu *cpu)
{
    g_autoptr(InvTable) table = inv_table_new("Feature", "From", "Can migrate", "Bit", NULL);
    g_autoptr(GHashTable) policies = g_hash_table_new(g_str_hash, g_str_equal);
    const char *const *names = invar_cpu_expanded(cpu);
    const guint header = cli->quiet ? 0 : 2;
    GString *out = g_string_new(NULL);
    g_autofree char *text = NULL;
    g_auto(GStrv) lines = NULL;
    const char *name, *policy;

    for (gsize i = 0; (name = invar_cpu_delta(cpu, i, &policy)); i++)
        g_hash_table_insert(policies, (gpointer)name, (gpointer)policy);
    for (guint i = 0; names && names[i]; i++)
        add_feature(table, dictionary, cpu, names[i], g_hash_table_lookup(policies, names[i]));
    text = inv_table_format(table, header, 0);
    lines = g_strsplit(text, "\n", -1);
    for (guint i = 0; lines[i] && *lines[i]; i++) {
        gboolean added = i >= header && g_hash_table_contains(policies, names[i - header]);
        g_autofree char *painted = inv_cli_paint(cli, i < header ? INV_COLOUR_HEAD : added ? INV_COLOUR_GOOD : INV_COLOUR_NONE, lines[i]);

        g_string_append_printf(out, "%s\n", painted);
    }
    return g_string_free(out, FALSE);
}

InvJson *
inv_cpu_view_comparison_json(const InvarCpuComparison *comparison)
{
    InvJson *json = inv_json_new_object();
    InvJson *array = inv_json_new_array();
    const InvarCpuReason *reason;

    inv_json_object_set_string(json, "result", invar_cpu_relation_name(invar_cpu_comparison_relation(comparison)));
    for (gsize i = 0; (reason = invar_cpu_comparison_reason(comparison, i)); i++) {
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "kind", invar_cpu_reason_kind_name(reason->kind));
        inv_json_object_set_boolean(object, "blocks", reason->blocks != 0);
        set_text(object, "feature", reason->feature);
        set_text(object, "layer", reason->layer);
        set_text(object, "text", reason->text);
        set_text(object, "remedy", reason->remedy);
        inv_json_array_add(array, object);
    }
    inv_json_object_set(json, "reasons", array);
    return json;
}

static char *
comparison_headline(const InvCli *cli, InvarCpuRelation relation, const char *host, const char *cpu)
{
    g_autofree char *text = NULL;
    InvColour colour = INV_COLOUR_GOOD;

    switch (relation) {
    case INVAR_CPU_IDENTICAL:
        text = g_strdup_printf("CPU described in %s is identical to the host CPU described in %s", cpu, host);
        break;
    case INVAR_CPU_SUPERSET:
        text = g_strdup_printf("Host CPU described in %s is a superset of CPU described in %s", host, cpu);
        break;
    case INVAR_CPU_INCOMPATIBLE:
        text = g_strdup_printf("CPU described in %s is incompatible with the host CPU described in %s", cpu, host);
        colour = INV_COLOUR_BAD;
        break;
    }
    return inv_cli_paint(cli, colour, text);
}

char *
inv_cpu_view_comparison(const InvCli *cli, const InvarCpuComparison *comparison, const char *host, const char *cpu, guint width)
{
    g_autofree char *host_name = inv_text_escape(host, INV_TEXT_LINE);
    g_autofree char *cpu_name = inv_text_escape(cpu, INV_TEXT_LINE);
    g_autofree char *headline = comparison_headline(cli, invar_cpu_comparison_relation(comparison), host_name, cpu_name);
    g_autoptr(GArray) reasons = g_array_new(FALSE, TRUE, sizeof(InvReason));
    g_autoptr(GPtrArray) headings = g_ptr_array_new_with_free_func(g_free);
    GString *out = g_string_new(headline);
    const InvarCpuReason *reason;

    g_string_append_c(out, '\n');
    for (gsize i = 0; (reason = invar_cpu_comparison_reason(comparison, i)); i++) {
        const char *kind = invar_cpu_reason_kind_name(reason->kind);
        char *heading = reason->layer ? g_strdup_printf("%s, %s", kind, reason->layer) : g_strdup(kind);
        InvReason shown = { .heading = heading, .feature = reason->feature, .reason = reason->text, .remedy = reason->remedy,
                            .colour = reason->blocks ? INV_COLOUR_BAD : INV_COLOUR_FAINT };

        g_ptr_array_add(headings, heading);
        g_array_append_val(reasons, shown);
    }
    inv_reasons_append(out, cli, (const InvReason *)reasons->data, reasons->len, width);
    return g_string_free(out, FALSE);
}

char *
inv_cpu_view_blockers(const InvarCpuComparison *comparison)
{
    g_autoptr(GString) missing = g_string_new(NULL);
    GString *out = g_string_new(NULL);
    const InvarCpuReason *reason;
    guint count = 0;

    if (invar_cpu_comparison_relation(comparison) != INVAR_CPU_INCOMPATIBLE)
        return g_string_free(out, TRUE);
    for (gsize i = 0; (reason = invar_cpu_comparison_reason(comparison, i)); i++) {
        if (!reason->blocks)
            continue;
        if (reason->kind != INVAR_CPU_REASON_MISSING || !reason->feature) {
            g_string_append_printf(out, "%s%s", out->len ? "; " : "", reason->text);
        } else {
            if (count < NAMED)
                g_string_append_printf(missing, "%s%s", count ? ", " : "", reason->feature);
            count++;
        }
    }
    if (count > NAMED)
        g_string_append_printf(missing, " and %u more", count - NAMED);
    if (count)
        g_string_append_printf(out, "%smissing features: %s", out->len ? "; " : "", missing->str);
    return g_string_free(out, FALSE);
}
