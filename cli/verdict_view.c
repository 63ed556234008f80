/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/verdict_view.h"
#include "cli/reason_view.h"
#include "cli/text.h"
#include "cpu_driver/verdict.h"

const char *
inv_view_layer(int layer)
{
    static const char *const words[] = {
        [INV_LAYER_HARDWARE] = "hardware", [INV_LAYER_KERNEL] = "kernel",
        [INV_LAYER_QEMU] = "QEMU",         [INV_LAYER_MACHINE] = "machine type",
        [INV_LAYER_CONFIGURATION] = "configuration",
    };

    return layer >= 0 && (gsize)layer < G_N_ELEMENTS(words) ? words[layer] : "unknown";
}

const char *
inv_view_outcome(int outcome)
{
    static const char *const words[] = {
        [INV_OUTCOME_EXACT] = "exact",
        [INV_OUTCOME_DROPS] = "drops",
        [INV_OUTCOME_REFUSED] = "refused",
    };

    return outcome >= 0 && (gsize)outcome < G_N_ELEMENTS(words) ? words[outcome] : "unknown";
}

int
inv_view_exit(int outcome)
{
    if (outcome == INV_OUTCOME_EXACT)
        return INV_EXIT_OK;
    if (outcome == INV_OUTCOME_DROPS)
        return INV_EXIT_DROPS;
    return outcome == INV_OUTCOME_REFUSED ? INV_EXIT_REFUSED : INV_EXIT_ERROR;
}

static void
append_headline(GString *out, const InvCli *cli, const invar_verdict *verdict)
{
    guint count = verdict->blockers.blockers_len;
    g_autofree char *text = NULL;
    g_autofree char *painted = NULL;
    InvColour colour = INV_COLOUR_BAD;

    if (verdict->outcome == INV_OUTCOME_EXACT) {
        text = g_strdup("exact: the guest gets the CPU that was asked for");
        colour = INV_COLOUR_GOOD;
    } else if (verdict->outcome == INV_OUTCOME_DROPS) {
        text = g_strdup_printf("drops: the guest would start without %u feature%s, and that would be recorded", count,
                               count == 1 ? "" : "s");
        colour = INV_COLOUR_WARN;
    } else if (verdict->outcome == INV_OUTCOME_REFUSED) {
        text = g_strdup_printf("refused: the guest would not start, for %u reason%s", count, count == 1 ? "" : "s");
    } else {
        text = g_strdup_printf("unknown: the daemon's outcome %d is newer than this program", verdict->outcome);
    }
    painted = inv_cli_paint(cli, colour, text);
    g_string_append_printf(out, "%s\n", painted);
}

static void
append_field(GString *out, const char *label, invar_opt_string value, guint width)
{
    if (value && **value)
        inv_view_append_wrapped(out, label, *value, width);
}

char *
inv_view_verdict(const InvCli *cli, const invar_verdict *verdict, guint width)
{
    guint count = verdict->blockers.blockers_len;
    g_autofree InvReason *reasons = g_new0(InvReason, count + 1);
    GString *out = g_string_new(NULL);

    append_headline(out, cli, verdict);
    append_field(out, "model:     ", verdict->model, width);
    append_field(out, "machine:   ", verdict->machine, width);
    for (guint i = 0; i < count; i++) {
        const invar_blocker *blocker = &verdict->blockers.blockers_val[i];

        reasons[i] = (InvReason){ .heading = inv_view_layer(blocker->layer), .feature = blocker->feature, .reason = blocker->reason,
                                  .remedy = blocker->remedy, .colour = INV_COLOUR_HEAD };
    }
    inv_reasons_append(out, cli, reasons, count, width);
    return g_string_free(out, FALSE);
}

static void
set_optional(InvJson *json, const char *name, invar_opt_string value)
{
    inv_json_object_set(json, name, value ? inv_json_new_string(*value) : inv_json_new_null());
}

InvJson *
inv_view_verdict_json(const invar_verdict *verdict)
{
    InvJson *json = inv_json_new_object();
    InvJson *array = inv_json_new_array();

    inv_json_object_set_string(json, "outcome", inv_view_outcome(verdict->outcome));
    set_optional(json, "model", verdict->model);
    set_optional(json, "machine", verdict->machine);
    set_optional(json, "argument", verdict->argument);
    for (guint i = 0; i < verdict->blockers.blockers_len; i++) {
        const invar_blocker *blocker = &verdict->blockers.blockers_val[i];
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "feature", blocker->feature);
        inv_json_object_set_string(object, "layer", inv_view_layer(blocker->layer));
        inv_json_object_set_string(object, "reason", blocker->reason);
        inv_json_object_set_string(object, "remedy", blocker->remedy);
        inv_json_array_add(array, object);
    }
    inv_json_object_set(json, "blockers", array);
    return json;
}

static const struct {
    const char *label;
    const char *name;
    gsize offset;
} numbers[] = {
    { "Family:", "family", G_STRUCT_OFFSET(invar_record, family) },
    { "Model number:", "model_number", G_STRUCT_OFFSET(invar_record, model_number) },
    { "Stepping:", "stepping", G_STRUCT_OFFSET(invar_record, stepping) },
    { "Level:", "level", G_STRUCT_OFFSET(invar_record, level) },
    { "Extended level:", "xlevel", G_STRUCT_OFFSET(invar_record, xlevel) },
    { "Extended level 2:", "xlevel2", G_STRUCT_OFFSET(invar_record, xlevel2) },
    { "Physical bits:", "phys_bits", G_STRUCT_OFFSET(invar_record, phys_bits) },
};

static gint64
number_of(const invar_record *record, guint index)
{
    return G_STRUCT_MEMBER(quad_t, record, numbers[index].offset);
}

static void
append_line(GString *out, const char *label, const char *text)
{
    g_autofree char *escaped = inv_text_escape(text, INV_TEXT_LINE);

    g_string_append_printf(out, "%-18s %s\n", label, escaped);
}

char *
inv_view_record(const InvCli *cli, const invar_record *record, guint width)
{
    GString *out = g_string_new(NULL);

    append_line(out, "Architecture:", record->arch);
    append_line(out, "Machine:", record->machine);
    append_line(out, "CPU model:", record->model);
    if (record->vendor)
        append_line(out, "Vendor:", *record->vendor);
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        g_autofree char *text = g_strdup_printf("%" G_GINT64_FORMAT, number_of(record, i));

        if (number_of(record, i) >= 0)
            append_line(out, numbers[i].label, text);
    }
    append_line(out, "Fingerprint:", record->fingerprint);
    inv_view_append_names(out, cli, INV_COLOUR_HEAD, "Features on", (const char *const *)record->on.on_val, record->on.on_len, width);
    inv_view_append_names(out, cli, INV_COLOUR_HEAD, "Features off", (const char *const *)record->off.off_val, record->off.off_len, width);
    return g_string_free(out, FALSE);
}

static InvJson *
names_json(char *const *names, guint count)
{
    InvJson *array = inv_json_new_array();

    for (guint i = 0; i < count; i++)
        inv_json_array_add_string(array, names[i]);
    return array;
}

InvJson *
inv_view_record_json(const invar_record *record)
{
    InvJson *json = inv_json_new_object();

    inv_json_object_set_string(json, "arch", record->arch);
    inv_json_object_set_string(json, "machine", record->machine);
    inv_json_object_set_string(json, "model", record->model);
    set_optional(json, "vendor", record->vendor);
    for (guint i = 0; i < G_N_ELEMENTS(numbers); i++) {
        gint64 number = number_of(record, i);

        inv_json_object_set(json, numbers[i].name, number >= 0 ? inv_json_new_int(number) : inv_json_new_null());
    }
    inv_json_object_set(json, "on", names_json(record->on.on_val, record->on.on_len));
    inv_json_object_set(json, "off", names_json(record->off.off_val, record->off.off_len));
    inv_json_object_set_string(json, "asked", record->asked);
    inv_json_object_set_string(json, "fingerprint", record->fingerprint);
    return json;
}
