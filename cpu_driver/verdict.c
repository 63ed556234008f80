/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/verdict.h"

#include "util/error.h"

#include <string.h>

/* A verdict read from a peer: no QEMU knows more features than this. */
#define MAX_BLOCKERS 65536u

/* From so many blockers with one remedy on, the text gives the remedy once, for all of them. */
#define GROUPED_FROM 2u

static const char *const layer_names[] = {
    [INV_LAYER_HARDWARE] = "hardware",
    [INV_LAYER_KERNEL] = "kernel",
    [INV_LAYER_QEMU] = "QEMU",
    [INV_LAYER_MACHINE] = "machine type",
    [INV_LAYER_CONFIGURATION] = "configuration",
};
G_STATIC_ASSERT(G_N_ELEMENTS(layer_names) == INV_LAYER_CONFIGURATION + 1);

static const char *const outcome_names[] = {
    [INV_OUTCOME_EXACT] = "exact",
    [INV_OUTCOME_DROPS] = "drops",
    [INV_OUTCOME_REFUSED] = "refused",
};
G_STATIC_ASSERT(G_N_ELEMENTS(outcome_names) == INV_OUTCOME_REFUSED + 1);

const char *
inv_layer_to_string(InvLayer layer)
{
    return layer_names[layer];
}

gboolean
inv_layer_from_string(const char *text, InvLayer *layer)
{
    for (guint i = 0; i < G_N_ELEMENTS(layer_names); i++) {
        if (g_strcmp0(text, layer_names[i]) == 0) {
            *layer = (InvLayer)i;
            return TRUE;
        }
    }
    return FALSE;
}

const char *
inv_outcome_to_string(InvOutcome outcome)
{
    return outcome_names[outcome];
}

static gboolean
outcome_from_string(const char *text, InvOutcome *outcome)
{
    for (guint i = 0; i < G_N_ELEMENTS(outcome_names); i++) {
        if (g_strcmp0(text, outcome_names[i]) == 0) {
            *outcome = (InvOutcome)i;
            return TRUE;
        }
    }
    return FALSE;
}

static void
blocker_free(gpointer data)
{
    InvBlocker *blocker = data;

    g_free(blocker->feature);
    g_free(blocker->reason);
    g_free(blocker->remedy);
    g_free(blocker);
}

InvVerdict *
inv_verdict_new(void)
{
    InvVerdict *verdict = g_new0(InvVerdict, 1);

    verdict->outcome = INV_OUTCOME_EXACT;
    verdict->blockers = g_ptr_array_new_with_free_func(blocker_free);
    return verdict;
}

void
inv_verdict_free(InvVerdict *verdict)
{
    if (!verdict)
        return;
    g_ptr_array_unref(verdict->blockers);
    g_free(verdict->model);
    g_free(verdict->machine);
    g_free(verdict->argument);
    g_free(verdict);
}

void
inv_verdict_add(InvVerdict *verdict, const char *feature, InvLayer layer, const char *reason, const char *remedy)
{
    guint low = 0, high = verdict->blockers->len;
    InvBlocker *blocker;

    /* Sorted by feature, then layer: a verdict over many features stays cheap to build. */
    while (low < high) {
        guint middle = low + (high - low) / 2;
        const InvBlocker *there = g_ptr_array_index(verdict->blockers, middle);
        int order = strcmp(there->feature, feature);

        if (order == 0)
            order = (int)there->layer - (int)layer;
        if (order == 0)
            return;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    blocker = g_new0(InvBlocker, 1);
    blocker->feature = g_strdup(feature);
    blocker->layer = layer;
    blocker->reason = g_strdup(reason);
    blocker->remedy = g_strdup(remedy);
    g_ptr_array_insert(verdict->blockers, (gint)low, blocker);
}

InvJson *
inv_verdict_to_json(const InvVerdict *verdict)
{
    InvJson *json = inv_json_new_object();
    InvJson *blockers = inv_json_new_array();

    inv_json_object_set_string(json, "outcome", inv_outcome_to_string(verdict->outcome));
    inv_json_object_set_string(json, "model", verdict->model);
    inv_json_object_set_string(json, "machine", verdict->machine);
    inv_json_object_set_string(json, "argument", verdict->argument);
    for (guint i = 0; i < verdict->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->blockers, i);
        InvJson *entry = inv_json_new_object();

        inv_json_object_set_string(entry, "feature", blocker->feature);
        inv_json_object_set_string(entry, "layer", inv_layer_to_string(blocker->layer));
        inv_json_object_set_string(entry, "reason", blocker->reason);
        inv_json_object_set_string(entry, "remedy", blocker->remedy);
        inv_json_array_add(blockers, entry);
    }
    inv_json_object_set(json, "blockers", blockers);
    return json;
}

InvVerdict *
inv_verdict_from_json(const InvJson *json, GError **error)
{
    g_autoptr(InvVerdict) verdict = inv_verdict_new();
    const InvJson *blockers = inv_json_get(json, "blockers");

    if (!outcome_from_string(inv_json_get_string(json, "outcome"), &verdict->outcome)) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "a verdict without an outcome (exact, drops, refused)");
        return NULL;
    }
    if (inv_json_size(blockers) > MAX_BLOCKERS) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "a verdict with more than %u blockers is not believed", MAX_BLOCKERS);
        return NULL;
    }
    verdict->model = g_strdup(inv_json_get_string(json, "model"));
    verdict->machine = g_strdup(inv_json_get_string(json, "machine"));
    verdict->argument = g_strdup(inv_json_get_string(json, "argument"));
    for (guint i = 0; i < inv_json_size(blockers); i++) {
        const InvJson *entry = inv_json_at(blockers, i);
        const char *feature = inv_json_get_string(entry, "feature");
        const char *reason = inv_json_get_string(entry, "reason");
        const char *remedy = inv_json_get_string(entry, "remedy");
        InvLayer layer;

        if (!feature || !inv_layer_from_string(inv_json_get_string(entry, "layer"), &layer)) {
            inv_error_set(error, VIR_ERR_INVALID_ARG, "blocker %u of a verdict has no feature or no known layer", i);
            return NULL;
        }
        inv_verdict_add(verdict, feature, layer, reason ? reason : "", remedy ? remedy : "");
    }
    return g_steal_pointer(&verdict);
}

/* The remedy with the feature's name taken out, so that the same advice for many is one advice. */
static char *
remedy_pattern(const InvBlocker *blocker)
{
    g_autofree char *quoted = g_strdup_printf("'%s'", blocker->feature);
    g_auto(GStrv) parts = g_strsplit(blocker->remedy, quoted, -1);

    return g_strjoinv("'NAME'", parts);
}

static void
append_headline(GString *text, const InvVerdict *verdict)
{
    const char *model = verdict->model ? verdict->model : "the default CPU model";
    const char *on = verdict->machine ? " on " : "";
    const char *machine = verdict->machine ? verdict->machine : "";
    guint n = verdict->blockers->len;

    switch (verdict->outcome) {
    case INV_OUTCOME_EXACT:
        g_string_append_printf(text, "exact: the guest gets %s%s%s as asked\n", model, on, machine);
        break;
    case INV_OUTCOME_DROPS:
        g_string_append_printf(text, "drops: the guest gets %s%s%s without %u feature%s; the first start records that\n", model, on,
                               machine, n, n == 1 ? "" : "s");
        break;
    case INV_OUTCOME_REFUSED:
        g_string_append_printf(text, "refused: %s%s%s cannot be had as asked, for %u reason%s\n", model, on, machine, n,
                               n == 1 ? "" : "s");
        break;
    }
}

static void
append_grouped_remedies(GString *text, GHashTable *groups, GPtrArray *order)
{
    for (guint i = 0; i < order->len; i++) {
        const char *pattern = g_ptr_array_index(order, i);
        const GPtrArray *members = g_hash_table_lookup(groups, pattern);

        if (members->len < GROUPED_FROM || !*pattern)
            continue;
        g_string_append(text, "  remedy for ");
        for (guint k = 0; k < members->len; k++) {
            const InvBlocker *blocker = g_ptr_array_index(members, k);

            g_string_append_printf(text, "%s%s", k ? ", " : "", blocker->feature);
        }
        g_string_append_printf(text, ": %s\n", pattern);
    }
}

char *
inv_verdict_to_text(const InvVerdict *verdict)
{
    g_autoptr(GString) text = g_string_new(NULL);
    g_autoptr(GHashTable) groups = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, (GDestroyNotify)g_ptr_array_unref);
    g_autoptr(GPtrArray) order = g_ptr_array_new(); /* keys of `groups`, borrowed, as they first come */
    guint feature_width = 0, layer_width = 0;

    append_headline(text, verdict);
    for (guint i = 0; i < verdict->blockers->len; i++) {
        InvBlocker *blocker = g_ptr_array_index(verdict->blockers, i);
        char *pattern = remedy_pattern(blocker);
        GPtrArray *members = g_hash_table_lookup(groups, pattern);

        feature_width = MAX(feature_width, (guint)strlen(blocker->feature));
        layer_width = MAX(layer_width, (guint)strlen(inv_layer_to_string(blocker->layer)));
        if (members) {
            g_free(pattern);
        } else {
            members = g_ptr_array_new();
            g_hash_table_insert(groups, pattern, members);
            g_ptr_array_add(order, pattern);
        }
        g_ptr_array_add(members, blocker);
    }
    for (guint i = 0; i < verdict->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->blockers, i);
        g_autofree char *pattern = remedy_pattern(blocker);
        const GPtrArray *members = g_hash_table_lookup(groups, pattern);
        gboolean alone = members->len < GROUPED_FROM && *pattern;

        g_string_append_printf(text, "  %-*s  %-*s  %s%s%s\n", (int)feature_width, blocker->feature, (int)layer_width,
                               inv_layer_to_string(blocker->layer), blocker->reason, alone ? " — " : "",
                               alone ? blocker->remedy : "");
    }
    append_grouped_remedies(text, groups, order);
    return g_string_free(g_steal_pointer(&text), FALSE);
}

gboolean
inv_verdict_set_error(const InvVerdict *verdict, const char *domain_name, GError **error)
{
    g_autofree char *text = inv_verdict_to_text(verdict);

    g_strchomp(text);
    return inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "CPU of domain '%s': %s", domain_name, text);
}
