/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The answers as a page of HTML. Whatever a host, a file or a domain is called, it is text here and nothing else. */
#include "cli/fleet.h"

#include "cli/reason_view.h"
#include "cli/text.h"
#include "cli/verdict_view.h"

#include <string.h>

/* A line of refusal names that many features; the others are behind the click. */
#define NAMED_FEATURES 3u
/* More columns than fit beside each other: the table moves under its window, not the page. */
#define MANY_DOMAINS 5u

static const char style[] =
    ":root{color-scheme:light dark;--page:#f6f7f9;--card:#fff;--ink:#1b2430;--soft:#526071;--line:#d6dce4;--can:#0d6b38;--canbg:#dff5e7;"
    "--with:#7a4a00;--withbg:#fdf0d3;--no:#a1161c;--nobg:#fde4e4;--what:#4a4f5c;--whatbg:#e8eaef;--link:#0b5cad}"
    "@media (prefers-color-scheme:dark){:root{--page:#12161c;--card:#1b212a;--ink:#e6ebf2;--soft:#a3b0c0;--line:#333d4a;--can:#7fe0a5;"
    "--canbg:#12351f;--with:#ffcf7d;--withbg:#3a2b0c;--no:#ff9c9c;--nobg:#421719;--what:#c6ccd6;--whatbg:#2b323c;--link:#8ec5ff}}"
    "*{box-sizing:border-box}"
    "body{margin:0;background:var(--page);color:var(--ink);font:16px/1.5 system-ui,sans-serif;overflow-wrap:anywhere}"
    "main{max-width:76rem;margin:0 auto;padding:1.5rem 1rem 3rem}"
    "h1{font-size:1.6rem;line-height:1.2;margin:0 0 .25rem}h2{font-size:1.15rem;margin:1.2rem 0 0}p{margin:.25rem 0}.soft{color:var(--soft)}"
    "code{font:.92em ui-monospace,monospace}"
    ".counts{display:flex;flex-wrap:wrap;gap:.5rem;margin:.5rem 0 1rem;padding:0;list-style:none}"
    ".badge{display:inline-block;padding:.05rem .55rem;border-radius:1rem;font-weight:600;white-space:nowrap}"
    ".can{color:var(--can);background:var(--canbg)}.with{color:var(--with);background:var(--withbg)}"
    ".cannot{color:var(--no);background:var(--nobg)}.unknown{color:var(--what);background:var(--whatbg)}"
    ".tools{display:flex;flex-wrap:wrap;gap:.75rem;margin:1rem 0}.tools label{display:flex;flex-wrap:wrap;gap:.4rem;align-items:center}"
    "input,select{font:inherit;color:inherit;background:var(--card);border:1px solid var(--soft);border-radius:.4rem;padding:.3rem .5rem;"
    "max-width:100%}"
    "table{width:100%;border-collapse:collapse;background:var(--card);border:1px solid var(--line)}"
    "caption{text-align:left;padding:.5rem 0;color:var(--soft)}"
    "th,td{text-align:left;vertical-align:top;padding:.55rem .7rem;border-bottom:1px solid var(--line)}"
    "thead th{position:sticky;top:0;background:var(--card);box-shadow:0 1px 0 var(--line)}tbody th{font-weight:600}"
    "tbody th{min-width:15rem}.many main{max-width:none}.many .scroll{overflow-x:auto}.many td{min-width:11rem}.many thead th{position:static}"
    "tbody th small{display:block;font-weight:400;color:var(--soft)}"
    "details>summary{cursor:pointer;border-radius:.4rem}.why{color:var(--soft)}.argument{white-space:nowrap}"
    ":focus-visible{outline:3px solid var(--link);outline-offset:2px}"
    ".reasons{margin:.6rem 0 .2rem;padding:0 0 0 .8rem;list-style:none;border-left:3px solid var(--line)}.reasons li{margin:0 0 .8rem}"
    ".layer{color:var(--soft);border:1px solid var(--line);border-radius:.3rem;padding:0 .35rem;font-size:.85em}"
    "[hidden]{display:none}.tools span{align-self:center}"
    "@media (max-width:44rem){table,tbody,tr,th,td,caption{display:block;width:100%;min-width:0!important}thead{position:absolute;clip-path:inset(50%);"
    "height:1px;width:1px;overflow:hidden}table{border:0;background:none}tbody tr{background:var(--card);border:1px solid var(--line);"
    "border-radius:.6rem;margin:0 0 .8rem;padding:.3rem 0}tbody tr[hidden]{display:none}th,td{border:0;padding:.3rem .8rem}"
    "td[data-label]::before{content:attr(data-label);display:block;color:var(--soft);font-size:.85em}}"
    "@media print{.tools{display:none}body{background:#fff}}";

/* Filters only: without it everything is there to read. */
static const char script[] =
    "'use strict';(()=>{const text=document.getElementById('text'),want=document.getElementById('want'),shown=document.getElementById('shown'),"
    "rows=[...document.querySelectorAll('tbody tr')];document.querySelector('.tools').hidden=false;const filter=()=>{const t="
    "text.value.trim().toLowerCase(),w=want.value;let n=0;for(const r of rows){const hit=(!t||r.textContent.toLowerCase().includes(t))&&(!w||"
    "r.dataset.answers.split(' ').includes(w));r.hidden=!hit;n+=hit?1:0}shown.textContent=n+' of '+rows.length+' shown'};"
    "text.addEventListener('input',filter);want.addEventListener('change',filter);filter()})();";

static const char *const words[] = { [INV_FLEET_CAN] = "can", [INV_FLEET_WITH] = "can with", [INV_FLEET_CANNOT] = "cannot", [INV_FLEET_UNKNOWN] = "unknown" };
static const char *const classes[] = { [INV_FLEET_CAN] = "can", [INV_FLEET_WITH] = "with", [INV_FLEET_CANNOT] = "cannot", [INV_FLEET_UNKNOWN] = "unknown" };

/*
 * Control characters, bidirectional overrides and what is no UTF-8 become visible, as on a terminal; then what
 * means something to HTML, in text and in attributes with quotes.
 */
static void
append_text(GString *out, const char *text)
{
    g_autofree char *plain = inv_text_escape(text, INV_TEXT_LINE);
    g_autofree char *markup = g_markup_escape_text(plain, -1);

    g_string_append(out, markup);
}

static void
append_element(GString *out, const char *tag, const char *class_name, const char *text)
{
    if (class_name)
        g_string_append_printf(out, "<%s class=\"%s\">", tag, class_name);
    else
        g_string_append_printf(out, "<%s>", tag);
    append_text(out, text);
    g_string_append_printf(out, "</%s>", tag);
}

/* The only script that the page may run, told by its digest: none that somebody smuggled in. */
static char *
script_digest(void)
{
    g_autoptr(GChecksum) checksum = g_checksum_new(G_CHECKSUM_SHA256);
    guint8 digest[32];
    gsize length = sizeof(digest);

    g_checksum_update(checksum, (const guchar *)script, -1);
    g_checksum_get_digest(checksum, digest, &length);
    return g_base64_encode(digest, length);
}

static void
append_head(GString *out, const char *title, gboolean many)
{
    g_autofree char *digest = script_digest();

    g_string_append_printf(out,
                           "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
                           "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'; "
                           "img-src data:; script-src 'sha256-%s'; base-uri 'none'; form-action 'none'\">\n"
                           /* Else a browser asks for one. */
                           "<link rel=\"icon\" href=\"data:,\">\n<title>",
                           digest);
    append_text(out, title);
    g_string_append_printf(out, "</title>\n<style>%s</style>\n</head>\n<body%s>\n<main>\n", style, many ? " class=\"many\"" : "");
}

static void
append_counts(GString *out, const InvFleet *fleet, guint domain)
{
    guint counts[INV_FLEET_UNKNOWN + 1];

    inv_fleet_count(fleet, domain, counts);
    g_string_append(out, "<ul class=\"counts\">");
    for (guint i = 0; i <= INV_FLEET_UNKNOWN; i++) {
        if (counts[i])
            g_string_append_printf(out, "<li><span class=\"badge %s\">%u %s</span></li>", classes[i], counts[i], words[i]);
    }
    g_string_append(out, "</ul>\n");
}

static void
append_domain(GString *out, const InvFleet *fleet, guint index)
{
    const InvFleetDomain *domain = g_ptr_array_index(fleet->domains, index);
    const InvMigrationSubject *subject = domain->subject;
    g_autoptr(GString) line = g_string_new(NULL);

    g_string_append_printf(line, "%" G_GUINT64_FORMAT " MiB, %u vCPU%s", subject->domain->max_memory_kib / 1024, subject->domain->max_vcpus,
                           subject->domain->max_vcpus == 1 ? "" : "s");
    if (subject->record)
        g_string_append_printf(line, ", a %s with the CPU %s", subject->record->machine, subject->record->model ? subject->record->model : "");
    else
        g_string_append(line, ", never started");
    if (subject->emulator_version)
        g_string_append_printf(line, ", QEMU %s", subject->emulator_version);
    if (subject->hostname)
        g_string_append_printf(line, ", %s on %s", subject->active ? "running" : "shut off", subject->hostname);
    if (fleet->domains->len > 1)
        append_element(out, "h2", NULL, subject->domain->name);
    append_element(out, "p", "soft", line->str);
    g_string_append_c(out, '\n');
    append_counts(out, fleet, index);
}

static void
append_tools(GString *out)
{
    g_string_append(out, "<div class=\"tools\" hidden><label>Find <input id=\"text\" type=\"search\" autocomplete=\"off\"></label>"
                         "<label>Show <select id=\"want\"><option value=\"\">all hosts</option>");
    for (guint i = 0; i <= INV_FLEET_UNKNOWN; i++)
        g_string_append_printf(out, "<option value=\"%s\">%s</option>", classes[i], words[i]);
    g_string_append(out, "</select></label><span id=\"shown\" class=\"soft\" role=\"status\"></span></div>\n");
}

static void
append_reasons(GString *out, const InvMigrationVerdict *verdict)
{
    guint count = verdict->verdict->blockers->len;
    g_autofree InvReason *reasons = g_new0(InvReason, count + 1);
    g_autoptr(GPtrArray) groups = NULL;

    for (guint i = 0; i < count; i++) {
        const InvBlocker *blocker = g_ptr_array_index(verdict->verdict->blockers, i);

        reasons[i] = (InvReason){ .heading = inv_view_layer((int)blocker->layer), .feature = blocker->feature, .reason = blocker->reason,
                                  .remedy = blocker->remedy };
    }
    groups = inv_reasons_group(reasons, count);
    for (guint i = 0; i < groups->len; i++) {
        const InvReasonGroup *group = g_ptr_array_index(groups, i);
        gboolean many = group->count > 1;
        const char *remedy = many ? group->remedy : group->first->remedy;

        g_string_append(out, "<li>");
        append_element(out, "code", NULL, group->features->str);
        g_string_append_c(out, ' ');
        append_element(out, "span", "layer", group->first->heading);
        append_element(out, "p", NULL, many ? group->reason : group->first->reason);
        if (remedy && *remedy) {
            g_string_append(out, "<p class=\"soft\">Would help: ");
            append_text(out, remedy);
            g_string_append(out, "</p>");
        }
        g_string_append(out, "</li>");
    }
}

static void
append_notes(GString *out, const InvMigrationVerdict *verdict)
{
    for (guint i = 0; i < verdict->notes->len; i++) {
        g_string_append(out, "<li><span class=\"layer\">note</span> ");
        append_text(out, g_ptr_array_index(verdict->notes, i));
        g_string_append(out, "</li>");
    }
}

/* What stands beside the badge, before any click. */
static void
append_why(GString *out, const InvMigrationVerdict *verdict)
{
    const GPtrArray *blockers = verdict->verdict->blockers;

    g_string_append(out, " <span class=\"why\">");
    for (guint i = 0; verdict->outcome == INV_MIGRATION_CANNOT && i < MIN(blockers->len, NAMED_FEATURES); i++) {
        g_string_append(out, i ? ", " : "");
        append_text(out, ((const InvBlocker *)g_ptr_array_index(blockers, i))->feature);
    }
    if (verdict->outcome == INV_MIGRATION_CANNOT && blockers->len > NAMED_FEATURES)
        g_string_append_printf(out, " and %u more", blockers->len - NAMED_FEATURES);
    for (guint i = 0; verdict->outcome == INV_MIGRATION_CAN_WITH && i < verdict->arguments->len; i++) {
        g_string_append(out, i ? " " : "");
        append_element(out, "span", "argument", g_ptr_array_index(verdict->arguments, i));
    }
    g_string_append(out, "</span>");
}

static void
append_cell(GString *out, const InvFleet *fleet, const InvFleetHost *host, guint index)
{
    const InvFleetDomain *domain = g_ptr_array_index(fleet->domains, index);
    const InvMigrationVerdict *verdict = host->verdicts[index];
    const GError *error = inv_fleet_error(host, index);
    InvFleetAnswer answer = inv_fleet_answer(host, index);
    gboolean details = error || verdict->notes->len || answer == INV_FLEET_CANNOT;

    g_string_append(out, "<td role=\"cell\"");
    if (fleet->domains->len > 1) {
        g_string_append(out, " data-label=\"");
        append_text(out, domain->subject->domain->name);
        g_string_append_c(out, '"');
    }
    g_string_append(out, details ? "><details><summary>" : ">");
    g_string_append_printf(out, "<span class=\"badge %s\">%s</span>", classes[answer], words[answer]);
    if (verdict)
        append_why(out, verdict);
    if (details) {
        g_string_append(out, "</summary><ul class=\"reasons\">");
        if (error)
            append_element(out, "li", NULL, error->message);
        if (answer == INV_FLEET_CANNOT)
            append_reasons(out, verdict);
        if (verdict)
            append_notes(out, verdict);
        g_string_append(out, "</ul></details>");
    }
    g_string_append(out, "</td>");
}

static void
append_row(GString *out, const InvFleet *fleet, const InvFleetHost *host)
{
    const InvMigrationVerdict *first = host->verdicts[0];
    g_autoptr(GDateTime) time = first && first->as_of ? g_date_time_new_from_unix_utc(first->as_of) : NULL;
    g_autofree char *when = time ? g_date_time_format(time, ", as of %Y-%m-%d %H:%M UTC") : NULL;

    g_string_append(out, "<tr role=\"row\" data-answers=\"");
    for (guint i = 0; i < fleet->domains->len; i++)
        g_string_append_printf(out, "%s%s", i ? " " : "", classes[inv_fleet_answer(host, i)]);
    g_string_append(out, "\"><th scope=\"row\" role=\"rowheader\">");
    append_text(out, inv_fleet_host_name(host));
    g_string_append(out, "<small>");
    if (first && first->emulator_version) {
        g_string_append(out, "QEMU ");
        append_text(out, first->emulator_version);
    } else {
        append_text(out, host->where);
    }
    g_string_append_printf(out, "%s</small></th>", when ? when : "");
    for (guint i = 0; i < fleet->domains->len; i++)
        append_cell(out, fleet, host, i);
    g_string_append(out, "</tr>\n");
}

static void
append_table(GString *out, const InvFleet *fleet)
{
    g_string_append(out, "<div class=\"scroll\"><table role=\"table\">\n<caption>Open a verdict to see what is behind it.</caption>\n<thead role=\"rowgroup\">"
                         "<tr role=\"row\"><th scope=\"col\" role=\"columnheader\">Host</th>");
    for (guint i = 0; i < fleet->domains->len; i++) {
        g_string_append(out, "<th scope=\"col\" role=\"columnheader\">");
        append_text(out, fleet->domains->len == 1
                             ? "Verdict"
                             : ((const InvFleetDomain *)g_ptr_array_index(fleet->domains, i))->subject->domain->name);
        g_string_append(out, "</th>");
    }
    g_string_append(out, "</tr></thead>\n<tbody role=\"rowgroup\">\n");
    for (guint i = 0; i < fleet->hosts->len; i++)
        append_row(out, fleet, g_ptr_array_index(fleet->hosts, i));
    g_string_append(out, "</tbody>\n</table></div>\n");
}

char *
inv_fleet_page(const InvFleet *fleet, gint64 now)
{
    GString *out = g_string_new(NULL);
    const InvFleetDomain *first = g_ptr_array_index(fleet->domains, 0);
    g_autofree char *title = fleet->domains->len == 1 ? g_strdup_printf("Where %s can move", first->subject->domain->name)
                                                      : g_strdup_printf("Where %u domains can move", fleet->domains->len);
    g_autoptr(GDateTime) time = g_date_time_new_from_unix_utc(now);
    g_autofree char *when = time ? g_date_time_format(time, "Asked on %Y-%m-%d at %H:%M UTC") : NULL;

    append_head(out, title, fleet->domains->len > MANY_DOMAINS);
    append_element(out, "h1", NULL, title);
    g_string_append_printf(out, "<p class=\"soft\">%s, of %u host%s.</p>\n", when ? when : "Asked", fleet->hosts->len,
                           fleet->hosts->len == 1 ? "" : "s");
    for (guint i = 0; i < fleet->domains->len; i++)
        append_domain(out, fleet, i);
    append_tools(out);
    append_table(out, fleet);
    g_string_append_printf(out, "</main>\n<script>%s</script>\n</body>\n</html>\n", script);
    return g_string_free(out, FALSE);
}
