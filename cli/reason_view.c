/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/reason_view.h"
#include "cli/text.h"

#include <string.h>

/* Narrower text would be a ribbon: the line is left long instead. */
#define NARROWEST 20

static void
group_free(InvReasonGroup *group)
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
    gsize length = feature ? strlen(feature) : 0;
    const char *rest = text ? text : "";

    for (const char *found; length && (found = strstr(rest, feature)); rest = found + length) {
        gboolean whole = (found == text || ends_name(found[-1])) && ends_name(found[length]);

        g_string_append_len(out, rest, found - rest);
        g_string_append(out, whole ? "NAME" : feature);
    }
    g_string_append(out, rest);
    return g_string_free(out, FALSE);
}

static char *
group_key(const InvReason *reason, const char *text, const char *remedy)
{
    /* What stands for no feature is never grouped with one. */
    return g_strdup_printf("%s\n%d\n%s\n%s", reason->heading, reason->feature != NULL, text, remedy);
}

GPtrArray *
inv_reasons_group(const InvReason *reasons, guint count)
{
    g_autoptr(GHashTable) by_key = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    GPtrArray *groups = g_ptr_array_new_with_free_func((GDestroyNotify)group_free);

    for (guint i = 0; i < count; i++) {
        g_autofree char *text = without_name(reasons[i].reason, reasons[i].feature);
        g_autofree char *remedy = without_name(reasons[i].remedy, reasons[i].feature);
        g_autofree char *key = group_key(&reasons[i], text, remedy);
        InvReasonGroup *group = g_hash_table_lookup(by_key, key);

        if (!group) {
            group = g_new0(InvReasonGroup, 1);
            group->first = &reasons[i];
            group->reason = g_steal_pointer(&text);
            group->remedy = g_steal_pointer(&remedy);
            group->features = g_string_new(NULL);
            g_hash_table_insert(by_key, g_steal_pointer(&key), group);
            g_ptr_array_add(groups, group);
        }
        if (reasons[i].feature) {
            g_string_append_printf(group->features, "%s%s", group->count ? " " : "", reasons[i].feature);
            group->count++;
        }
    }
    return groups;
}

static void
append_lines(GString *out, const char *text, guint left, guint width)
{
    g_autofree char *escaped = inv_text_escape(text, INV_TEXT_DOCUMENT);
    g_auto(GStrv) lines = inv_text_wrap(escaped, width > left + NARROWEST ? width - left : NARROWEST);

    for (char **line = lines; *line; line++)
        g_string_append_printf(out, "%*s%s\n", line == lines ? 0 : (int)left, "", *line);
}

void
inv_view_append_wrapped(GString *out, const char *label, const char *text, guint width)
{
    g_string_append_printf(out, "   %s ", label);
    append_lines(out, text, 3 + inv_text_width(label) + 1, width);
}

void
inv_view_append_field(GString *out, const InvCli *cli, guint width_of_label, const char *label, const char *text, guint width)
{
    g_autofree char *head = g_strdup_printf("%s:", label);
    g_autofree char *painted = inv_cli_paint(cli, INV_COLOUR_HEAD, head);
    guint wide = inv_text_width(head);

    g_string_append_printf(out, "%s%*s ", painted, wide < width_of_label ? (int)(width_of_label - wide) : 0, "");
    append_lines(out, text, width_of_label + 1, width);
}

void
inv_view_append_names(GString *out, const InvCli *cli, InvColour colour, const char *title, const char *const *names, guint count,
                      guint width)
{
    g_autofree char *head = count ? g_strdup_printf("%s (%u):", title, count) : g_strdup_printf("%s:", title);
    g_autofree char *painted = inv_cli_paint(cli, colour, head);
    g_autoptr(GString) list = g_string_new(NULL);

    if (!count) {
        g_string_append_printf(out, "\n%s none\n", painted);
        return;
    }
    for (guint i = 0; i < count; i++)
        g_string_append_printf(list, "%s%s", i ? " " : "", names[i]);
    g_string_append_printf(out, "\n%s\n    ", painted);
    append_lines(out, list->str, 4, width);
}

static void
append_group(GString *out, const InvCli *cli, const InvReasonGroup *group, guint width)
{
    const InvReason *first = group->first;
    gboolean many = group->count > 1;
    g_autofree char *head = many ? g_strdup_printf("%s (%u features)", first->heading, group->count) : g_strdup(first->heading);
    g_autofree char *painted = inv_cli_paint(cli, first->colour, head);

    g_string_append_printf(out, "\n %s\n", painted);
    if (group->count)
        inv_view_append_wrapped(out, many ? "features:  " : "feature:   ", group->features->str, width);
    inv_view_append_wrapped(out, "reason:    ", many ? group->reason : first->reason, width);
    if (first->remedy && *first->remedy)
        inv_view_append_wrapped(out, "would help:", many ? group->remedy : first->remedy, width);
}

void
inv_reasons_append(GString *out, const InvCli *cli, const InvReason *reasons, guint count, guint width)
{
    g_autoptr(GPtrArray) groups = inv_reasons_group(reasons, count);

    for (guint i = 0; i < groups->len; i++)
        append_group(out, cli, g_ptr_array_index(groups, i), width);
}
