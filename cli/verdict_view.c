/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/verdict_view.h"
#include "cli/table.h"
#include "cli/text.h"
#include "cpu_driver/verdict.h"

#include <string.h>

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

/* Blockers that differ in nothing but the feature, in their texts too: one cause, one remedy. */
typedef struct {
    const invar_blocker *first; /* borrowed from the verdict */
    char *reason, *remedy;      /* with NAME where the feature's name stands */
    GString *features;
    guint count;
} Group;

static void
group_free(Group *group)
{
    g_free(group->reason);
    g_free(group->remedy);
    g_string_free(group->features, TRUE);
    g_free(group);
}

static gboolean
ends_name(char c)
{
    return !g_ascii_isalnum(c) && c != '-' && c != '_';
}

/* @text with NAME in place of the word @feature. */
static char *
without_name(const char *text, const char *feature)
{
    GString *out = g_string_new(NULL);
    gsize length = strlen(feature);
    const char *rest = text;

    for (const char *found; length && (found = strstr(rest, feature)); rest = found + length) {
        gboolean whole = (found == text || ends_name(found[-1])) && ends_name(found[length]);

        g_string_append_len(out, rest, found - rest);
        g_string_append(out, whole ? "NAME" : feature);
    }
    g_string_append(out, rest);
    return g_string_free(out, FALSE);
}

static Group *
find_group(GPtrArray *groups, int layer, const char *reason, const char *remedy)
{
    for (guint i = 0; i < groups->len; i++) {
        Group *group = g_ptr_array_index(groups, i);

        if (group->first->layer == layer && !strcmp(group->reason, reason) && !strcmp(group->remedy, remedy))
            return group;
    }
    return NULL;
}

static GPtrArray *
group_blockers(const invar_verdict *verdict)
{
    GPtrArray *groups = g_ptr_array_new_with_free_func((GDestroyNotify)group_free);

    for (guint i = 0; i < verdict->blockers.blockers_len; i++) {
        const invar_blocker *blocker = &verdict->blockers.blockers_val[i];
        g_autofree char *reason = without_name(blocker->reason, blocker->feature);
        g_autofree char *remedy = without_name(blocker->remedy, blocker->feature);
        Group *group = find_group(groups, blocker->layer, reason, remedy);

        if (!group) {
            group = g_new0(Group, 1);
            group->first = blocker;
            group->reason = g_steal_pointer(&reason);
            group->remedy = g_steal_pointer(&remedy);
            group->features = g_string_new(NULL);
            g_ptr_array_add(groups, group);
        }
        g_string_append_printf(group->features, "%s%s", group->count ? " " : "", blocker->feature);
        group->count++;
    }
    return groups;
}

static void
append_wrapped(GString *out, const char *label, const char *text, guint width)
{
    g_autofree char *escaped = inv_text_escape(text, INV_TEXT_DOCUMENT);
    guint left = 3 + inv_text_width(label) + 1;
    g_auto(GStrv) lines = inv_text_wrap(escaped, width > left + 20 ? width - left : 20);

    g_string_append_printf(out, "   %s ", label);
    for (char **line = lines; *line; line++)
        g_string_append_printf(out, "%*s%s\n", line == lines ? 0 : (int)left, "", *line);
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
        append_wrapped(out, label, *value, width);
}

static void
append_group(GString *out, const InvCli *cli, const Group *group, guint width)
{
    g_autofree char *head = NULL;
    g_autofree char *painted = NULL;

    if (group->count > 1)
        head = g_strdup_printf("%s (%u features)", inv_view_layer(group->first->layer), group->count);
    else
        head = g_strdup(inv_view_layer(group->first->layer));
    painted = inv_cli_paint(cli, INV_COLOUR_HEAD, head);
    g_string_append_printf(out, "\n %s\n", painted);
    append_wrapped(out, group->count > 1 ? "features:  " : "feature:   ", group->features->str, width);
    append_wrapped(out, "reason:    ", group->count > 1 ? group->reason : group->first->reason, width);
    if (*group->first->remedy)
        append_wrapped(out, "would help:", group->count > 1 ? group->remedy : group->first->remedy, width);
}

char *
inv_view_verdict(const InvCli *cli, const invar_verdict *verdict, guint width)
{
    g_autoptr(GPtrArray) groups = group_blockers(verdict);
    GString *out = g_string_new(NULL);

    append_headline(out, cli, verdict);
    append_field(out, "model:     ", verdict->model, width);
    append_field(out, "machine:   ", verdict->machine, width);
    for (guint i = 0; i < groups->len; i++)
        append_group(out, cli, g_ptr_array_index(groups, i), width);
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

static void
append_features(GString *out, const char *title, char *const *names, guint count, guint width)
{
    g_autoptr(GString) list = g_string_new(NULL);
    g_autofree char *escaped = NULL;
    g_auto(GStrv) lines = NULL;

    for (guint i = 0; i < count; i++)
        g_string_append_printf(list, "%s%s", i ? " " : "", names[i]);
    escaped = inv_text_escape(list->str, INV_TEXT_LINE);
    lines = inv_text_wrap(escaped, width > 24 ? width - 4 : 20);
    g_string_append_printf(out, "\n%s (%u):\n", title, count);
    for (char **line = lines; *line; line++)
        g_string_append_printf(out, "    %s\n", *line);
}

char *
inv_view_record(const invar_record *record, guint width)
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
    append_features(out, "Features on", record->on.on_val, record->on.on_len, width);
    append_features(out, "Features off", record->off.off_val, record->off.off_len, width);
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
