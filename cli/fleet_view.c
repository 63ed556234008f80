/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/fleet.h"

#include "cli/reason_view.h"
#include "cli/text.h"
#include "cli/verdict_view.h"

#include <string.h>

#define GAP 2u
/* A column narrower than that tells nothing. */
#define NARROWEST 8u
#define WIDEST_NAME 32u
/* A reason names that many of its hosts. */
#define NAMED_HOSTS 4u

static const char *const words[] = { [INV_FLEET_CAN] = "can", [INV_FLEET_WITH] = "can with", [INV_FLEET_CANNOT] = "cannot", [INV_FLEET_UNKNOWN] = "unknown" };
static const InvColour colours[] = {
    [INV_FLEET_CAN] = INV_COLOUR_GOOD, [INV_FLEET_WITH] = INV_COLOUR_WARN, [INV_FLEET_CANNOT] = INV_COLOUR_BAD, [INV_FLEET_UNKNOWN] = INV_COLOUR_BAD
};

/* @text escaped and, when it is wider than @width, cut with a sign that it is. Owned by the caller. */
static char *
fit(const char *text, guint width)
{
    g_autofree char *escaped = inv_text_escape(text, INV_TEXT_LINE);
    g_autoptr(GString) out = NULL;

    if (inv_text_width(escaped) <= width)
        return g_steal_pointer(&escaped);
    out = g_string_new(NULL);
    for (const char *p = escaped; *p; p = g_utf8_next_char(p)) {
        gsize before = out->len;

        g_string_append_unichar(out, g_utf8_get_char(p));
        if (inv_text_width(out->str) + 1 > width) {
            g_string_truncate(out, before);
            break;
        }
    }
    g_string_append(out, "…");
    return g_string_free(g_steal_pointer(&out), FALSE);
}

static void
append_cell(GString *out, const InvCli *cli, InvColour colour, const char *text, guint width)
{
    g_autofree char *shown = fit(text, width);
    g_autofree char *painted = inv_cli_paint(cli, colour, shown);

    g_string_append_printf(out, "%s%*s", painted, (int)(width - inv_text_width(shown) + GAP), "");
}

static void
trim(GString *out)
{
    while (out->len && out->str[out->len - 1] == ' ')
        g_string_truncate(out, out->len - 1);
    g_string_append_c(out, '\n');
}

/* Why, in a word for each blocker. Owned by the caller. */
static char *
summary(const InvFleetHost *host, guint domain)
{
    const InvMigrationVerdict *verdict = host->verdicts[domain];
    g_autoptr(GString) text = g_string_new(NULL);

    if (!verdict)
        return g_strdup(inv_fleet_error(host, domain)->message);
    for (guint i = 0; i < verdict->verdict->blockers->len && verdict->outcome == INV_MIGRATION_CANNOT; i++)
        g_string_append_printf(text, "%s%s", i ? ", " : "", ((const InvBlocker *)g_ptr_array_index(verdict->verdict->blockers, i))->feature);
    for (guint i = 0; i < verdict->arguments->len && verdict->outcome == INV_MIGRATION_CAN_WITH; i++)
        g_string_append_printf(text, "%s%s", i ? " " : "", (const char *)g_ptr_array_index(verdict->arguments, i));
    return g_string_free(g_steal_pointer(&text), FALSE);
}

static guint
host_width(const InvFleet *fleet, guint width)
{
    guint widest = (guint)strlen("Host");

    for (guint i = 0; i < fleet->hosts->len; i++) {
        g_autofree char *name = inv_text_escape(inv_fleet_host_name(g_ptr_array_index(fleet->hosts, i)), INV_TEXT_LINE);

        widest = MAX(widest, inv_text_width(name));
    }
    return MIN(MIN(widest, WIDEST_NAME), MAX(width / 3, NARROWEST));
}

static void
append_dashes(GString *out, guint count)
{
    for (guint i = 0; i < count; i++)
        g_string_append_c(out, '-');
    g_string_append_c(out, '\n');
}

/* One domain: a host in each row, with its reasons in a word. */
static void
append_list(GString *out, const InvCli *cli, const InvFleet *fleet, guint width)
{
    guint name = host_width(fleet, width);
    guint used = 1 + name + GAP + (guint)strlen("unknown ") + GAP;
    guint rest = width > used + NARROWEST ? width - used : NARROWEST;

    g_string_append_c(out, ' ');
    append_cell(out, cli, INV_COLOUR_HEAD, "Host", name);
    append_cell(out, cli, INV_COLOUR_HEAD, "Verdict", (guint)strlen("unknown "));
    append_cell(out, cli, INV_COLOUR_HEAD, "Because of", rest);
    trim(out);
    append_dashes(out, MIN(used + rest, width));
    for (guint i = 0; i < fleet->hosts->len; i++) {
        const InvFleetHost *host = g_ptr_array_index(fleet->hosts, i);
        InvFleetAnswer answer = inv_fleet_answer(host, 0);
        g_autofree char *why = summary(host, 0);

        g_string_append_c(out, ' ');
        append_cell(out, cli, INV_COLOUR_NONE, inv_fleet_host_name(host), name);
        append_cell(out, cli, colours[answer], words[answer], (guint)strlen("unknown "));
        append_cell(out, cli, INV_COLOUR_NONE, why, rest);
        trim(out);
    }
}

/* Several domains: a column for each, in as many blocks as the terminal's width asks for. */
static void
append_matrix(GString *out, const InvCli *cli, const InvFleet *fleet, guint width)
{
    guint name = host_width(fleet, width);
    guint column = (guint)strlen("can with");
    guint per_block;

    for (guint i = 0; i < fleet->domains->len; i++) {
        const InvFleetDomain *domain = g_ptr_array_index(fleet->domains, i);
        g_autofree char *shown = inv_text_escape(domain->subject->domain->name, INV_TEXT_LINE);

        column = MAX(column, MIN(inv_text_width(shown), WIDEST_NAME / 2));
    }
    per_block = width > 1 + name + GAP + column ? (width - 1 - name) / (column + GAP) : 1;
    per_block = CLAMP(per_block, 1, fleet->domains->len);
    for (guint first = 0; first < fleet->domains->len; first += per_block) {
        guint last = MIN(first + per_block, fleet->domains->len);

        if (first)
            g_string_append_c(out, '\n');
        g_string_append_c(out, ' ');
        append_cell(out, cli, INV_COLOUR_HEAD, "Host", name);
        for (guint k = first; k < last; k++)
            append_cell(out, cli, INV_COLOUR_HEAD, ((const InvFleetDomain *)g_ptr_array_index(fleet->domains, k))->subject->domain->name, column);
        trim(out);
        append_dashes(out, 1 + name + (last - first) * (column + GAP));
        for (guint i = 0; i < fleet->hosts->len; i++) {
            const InvFleetHost *host = g_ptr_array_index(fleet->hosts, i);

            g_string_append_c(out, ' ');
            append_cell(out, cli, INV_COLOUR_NONE, inv_fleet_host_name(host), name);
            for (guint k = first; k < last; k++) {
                InvFleetAnswer answer = inv_fleet_answer(host, k);

                append_cell(out, cli, colours[answer], words[answer], column);
            }
            trim(out);
        }
    }
}

/* A reason and where it holds. */
typedef struct {
    const InvBlocker *blocker;
    GString *hosts;
    guint n_hosts;
} Cause;

static void
cause_free(gpointer data)
{
    Cause *cause = data;

    g_string_free(cause->hosts, TRUE);
    g_free(cause);
}

static void
add_cause(GPtrArray *causes, GHashTable *by_key, const InvBlocker *blocker, const char *host)
{
    g_autofree char *key = g_strdup_printf("%s\n%d\n%s\n%s", blocker->feature, blocker->layer, blocker->reason, blocker->remedy);
    Cause *cause = g_hash_table_lookup(by_key, key);

    if (!cause) {
        cause = g_new0(Cause, 1);
        cause->blocker = blocker;
        cause->hosts = g_string_new(NULL);
        g_hash_table_insert(by_key, g_steal_pointer(&key), cause);
        g_ptr_array_add(causes, cause);
    }
    if (cause->n_hosts++ < NAMED_HOSTS)
        g_string_append_printf(cause->hosts, "%s%s", cause->hosts->len ? ", " : "", host);
}

static void
append_group(GString *out, const InvCli *cli, const InvReasonGroup *group, guint width)
{
    g_auto(GStrv) parts = g_strsplit(group->first->heading, "\n", 2);
    g_autofree char *head = inv_cli_paint(cli, INV_COLOUR_HEAD, parts[0]);
    gboolean many = group->count > 1;

    g_string_append_printf(out, "\n %s\n", head);
    inv_view_append_wrapped(out, "at:        ", parts[1], width);
    inv_view_append_wrapped(out, many ? "features:  " : "feature:   ", group->features->str, width);
    inv_view_append_wrapped(out, "reason:    ", many ? group->reason : group->first->reason, width);
    inv_view_append_wrapped(out, "would help:", many ? group->remedy : group->first->remedy, width);
}

/* Everything that keeps @domain from any host, each once. */
static void
append_causes(GString *out, const InvCli *cli, const InvFleet *fleet, guint domain, guint width)
{
    g_autoptr(GPtrArray) causes = g_ptr_array_new_with_free_func(cause_free);
    g_autoptr(GHashTable) by_key = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    g_autoptr(GPtrArray) headings = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GPtrArray) groups = NULL;
    g_autofree InvReason *reasons = NULL;

    for (guint i = 0; i < fleet->hosts->len; i++) {
        const InvFleetHost *host = g_ptr_array_index(fleet->hosts, i);
        const InvMigrationVerdict *verdict = host->verdicts[domain];

        for (guint k = 0; verdict && verdict->outcome == INV_MIGRATION_CANNOT && k < verdict->verdict->blockers->len; k++)
            add_cause(causes, by_key, g_ptr_array_index(verdict->verdict->blockers, k), inv_fleet_host_name(host));
    }
    reasons = g_new0(InvReason, causes->len + 1);
    for (guint i = 0; i < causes->len; i++) {
        const Cause *cause = g_ptr_array_index(causes, i);

        if (cause->n_hosts > NAMED_HOSTS)
            g_string_append_printf(cause->hosts, " and %u more", cause->n_hosts - NAMED_HOSTS);
        /* What is not the case at the same hosts shares no group. */
        g_ptr_array_add(headings, g_strdup_printf("%s\n%s", inv_view_layer((int)cause->blocker->layer), cause->hosts->str));
        reasons[i] = (InvReason){ .heading = g_ptr_array_index(headings, i), .feature = cause->blocker->feature, .reason = cause->blocker->reason,
                                  .remedy = cause->blocker->remedy, .colour = INV_COLOUR_HEAD };
    }
    groups = inv_reasons_group(reasons, causes->len);
    for (guint i = 0; i < groups->len; i++)
        append_group(out, cli, g_ptr_array_index(groups, i), width);
}

/* What is told beside the verdict; the same of many hosts once. */
static void
append_notes(GString *out, const InvFleet *fleet, guint domain, guint width)
{
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);

    for (guint i = 0; i < fleet->hosts->len; i++) {
        const InvFleetHost *host = g_ptr_array_index(fleet->hosts, i);
        const InvMigrationVerdict *verdict = host->verdicts[domain];

        for (guint k = 0; verdict && k < verdict->notes->len; k++) {
            char *note = g_ptr_array_index(verdict->notes, k);

            if (!g_hash_table_add(seen, note))
                continue;
            if (g_hash_table_size(seen) == 1)
                g_string_append_c(out, '\n');
            inv_view_append_wrapped(out, "note:", note, width);
        }
    }
}

static void
append_errors(GString *out, const InvCli *cli, const InvFleet *fleet, guint width)
{
    for (guint i = 0; i < fleet->hosts->len; i++) {
        const InvFleetHost *host = g_ptr_array_index(fleet->hosts, i);

        for (guint k = 0; k < (host->error ? 1 : fleet->domains->len); k++) {
            const GError *error = inv_fleet_error(host, k);
            g_autofree char *head = error ? inv_cli_paint(cli, INV_COLOUR_BAD, "not asked") : NULL;

            if (!error)
                continue;
            g_string_append_printf(out, "\n %s\n", head);
            inv_view_append_wrapped(out, "reason:    ", error->message, width);
        }
    }
}

char *
inv_fleet_text(const InvCli *cli, const InvFleet *fleet, guint width)
{
    GString *out = g_string_new(NULL);

    if (fleet->domains->len == 1)
        append_list(out, cli, fleet, width);
    else
        append_matrix(out, cli, fleet, width);
    for (guint i = 0; i < fleet->domains->len && !cli->quiet; i++) {
        const InvFleetDomain *domain = g_ptr_array_index(fleet->domains, i);
        g_autofree char *name = inv_text_escape(domain->subject->domain->name, INV_TEXT_LINE);
        g_autofree char *head = g_strdup_printf("Domain %s", name);
        g_autofree char *painted = inv_cli_paint(cli, INV_COLOUR_HEAD, head);
        guint counts[INV_FLEET_UNKNOWN + 1];

        inv_fleet_count(fleet, i, counts);
        g_string_append_printf(out, "\n%s: %u can, %u can with arguments, %u cannot", painted, counts[INV_FLEET_CAN], counts[INV_FLEET_WITH],
                               counts[INV_FLEET_CANNOT]);
        if (counts[INV_FLEET_UNKNOWN])
            g_string_append_printf(out, ", %u not known", counts[INV_FLEET_UNKNOWN]);
        g_string_append_c(out, '\n');
        append_causes(out, cli, fleet, i, width);
        append_notes(out, fleet, i, width);
    }
    append_errors(out, cli, fleet, width);
    return g_string_free(out, FALSE);
}

static void
set_text(InvJson *json, const char *name, const char *text)
{
    inv_json_object_set(json, name, text ? inv_json_new_string(text) : inv_json_new_null());
}

static InvJson *
lines_json(const GPtrArray *lines)
{
    InvJson *array = inv_json_new_array();

    for (guint i = 0; i < lines->len; i++)
        inv_json_array_add_string(array, g_ptr_array_index(lines, i));
    return array;
}

static void
add_verdict_json(InvJson *json, const InvMigrationVerdict *verdict)
{
    InvJson *blockers = inv_json_new_array();

    for (guint i = 0; verdict->outcome == INV_MIGRATION_CANNOT && i < verdict->verdict->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->verdict->blockers, i);
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "feature", blocker->feature);
        inv_json_object_set_string(object, "layer", inv_view_layer((int)blocker->layer));
        inv_json_object_set_string(object, "reason", blocker->reason);
        inv_json_object_set_string(object, "remedy", blocker->remedy);
        inv_json_array_add(blockers, object);
    }
    inv_json_object_set_string(json, "outcome", inv_migration_outcome_to_string(verdict->outcome));
    inv_json_object_set(json, "arguments", lines_json(verdict->arguments));
    inv_json_object_set(json, "blockers", blockers);
    inv_json_object_set(json, "notes", lines_json(verdict->notes));
    set_text(json, "model", verdict->verdict->model);
    set_text(json, "machine", verdict->verdict->machine);
    set_text(json, "argument", verdict->verdict->argument);
    set_text(json, "emulator_version", verdict->emulator_version);
}

static InvJson *
host_json(const InvFleet *fleet, const InvFleetHost *host)
{
    InvJson *json = inv_json_new_object();
    InvJson *checks = inv_json_new_array();
    const InvMigrationVerdict *first = host->verdicts[0];

    inv_json_object_set_string(json, "destination", host->where);
    set_text(json, "hostname", first ? first->hostname : NULL);
    set_text(json, "uuid", first ? first->uuid : NULL);
    inv_json_object_set(json, "exported", first && first->as_of ? inv_json_new_int(first->as_of) : inv_json_new_null());
    for (guint i = 0; i < fleet->domains->len; i++) {
        const GError *error = inv_fleet_error(host, i);
        InvJson *check = inv_json_new_object();

        inv_json_object_set_string(check, "domain", ((const InvFleetDomain *)g_ptr_array_index(fleet->domains, i))->subject->domain->name);
        if (host->verdicts[i])
            add_verdict_json(check, host->verdicts[i]);
        else
            inv_json_object_set_string(check, "outcome", "unknown");
        set_text(check, "error", error ? error->message : NULL);
        inv_json_array_add(checks, check);
    }
    inv_json_object_set(json, "checks", checks);
    return json;
}

InvJson *
inv_fleet_json(const InvFleet *fleet)
{
    InvJson *json = inv_json_new_object();
    InvJson *domains = inv_json_new_array();
    InvJson *hosts = inv_json_new_array();

    for (guint i = 0; i < fleet->domains->len; i++) {
        const InvFleetDomain *domain = g_ptr_array_index(fleet->domains, i);
        InvJson *object = inv_json_new_object();

        inv_json_object_set_string(object, "name", domain->subject->domain->name);
        inv_json_object_set_boolean(object, "active", domain->subject->active);
        set_text(object, "hostname", domain->subject->hostname);
        inv_json_array_add(domains, object);
    }
    for (guint i = 0; i < fleet->hosts->len; i++)
        inv_json_array_add(hosts, host_json(fleet, g_ptr_array_index(fleet->hosts, i)));
    inv_json_object_set(json, "domains", domains);
    inv_json_object_set(json, "hosts", hosts);
    return json;
}
