/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/cli.h"
#include "cli/text.h"
#include "util/error.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

void
inv_cli_print(const char *format, ...)
{
    va_list list;

    va_start(list, format);
    vfprintf(stdout, format, list);
    va_end(list);
}

void
inv_cli_print_document(const char *text)
{
    g_autofree char *escaped = isatty(STDOUT_FILENO) ? inv_text_escape(text, INV_TEXT_DOCUMENT) : NULL;

    fputs(escaped ? escaped : text, stdout);
    if (!g_str_has_suffix(text, "\n"))
        fputc('\n', stdout);
}

void
inv_cli_print_field(int width, const char *label, const char *format, ...)
{
    g_autofree char *head = g_strdup_printf("%s:", label);
    g_autofree char *value = NULL;
    g_autofree char *escaped = NULL;
    va_list list;

    va_start(list, format);
    value = g_strdup_vprintf(format, list);
    va_end(list);
    escaped = inv_text_escape(value, INV_TEXT_LINE);
    fprintf(stdout, "%-*s %s\n", width, head, escaped);
}

char *
inv_cli_paint(const InvCli *cli, InvColour colour, const char *text)
{
    static const char *const codes[] = {
        [INV_COLOUR_NONE] = "", [INV_COLOUR_GOOD] = "32", [INV_COLOUR_WARN] = "33",
        [INV_COLOUR_BAD] = "31", [INV_COLOUR_HEAD] = "1", [INV_COLOUR_FAINT] = "2",
    };

    if (!cli->colour || colour == INV_COLOUR_NONE)
        return g_strdup(text);
    return g_strdup_printf("\033[%sm%s\033[0m", codes[colour], text);
}

int
inv_cli_print_json(InvJson *json)
{
    g_autoptr(InvJson) own = json;
    g_autofree char *text = inv_json_format(own, TRUE);
    g_autofree char *shown = isatty(STDOUT_FILENO) ? inv_text_escape(text, INV_TEXT_DOCUMENT) : NULL;

    fprintf(stdout, "%s\n", shown ? shown : text);
    return INV_EXIT_OK;
}

int
inv_cli_print_json_string(const char *name, const char *text)
{
    InvJson *json = inv_json_new_object();

    inv_json_object_set_string(json, name, text);
    return inv_cli_print_json(json);
}

int
inv_cli_done(InvCli *cli, const char *domain, const char *uuid, const char *format, ...)
{
    g_autofree char *message = NULL;
    g_autofree char *escaped = NULL;
    va_list list;

    va_start(list, format);
    message = g_strdup_vprintf(format, list);
    va_end(list);
    if (cli->json) {
        InvJson *json = inv_json_new_object();

        inv_json_object_set_string(json, "message", message);
        inv_json_object_set_string(json, "domain", domain);
        inv_json_object_set_string(json, "uuid", uuid);
        return inv_cli_print_json(json);
    }
    escaped = inv_text_escape(message, INV_TEXT_LINE);
    if (!cli->quiet)
        fprintf(stdout, "%s\n", escaped);
    return INV_EXIT_OK;
}

int
inv_cli_fail(InvCli *cli, const char *format, ...)
{
    va_list list;

    va_start(list, format);
    if (!cli->headline)
        cli->headline = g_strdup_vprintf(format, list);
    va_end(list);
    return INV_EXIT_ERROR;
}

static void
report_line(const char *text)
{
    g_autofree char *escaped = inv_text_escape(text, INV_TEXT_DOCUMENT);

    if (isatty(STDERR_FILENO) && (!g_getenv("NO_COLOR") || !*g_getenv("NO_COLOR")))
        fprintf(stderr, "\033[31merror:\033[0m %s\n", escaped);
    else
        fprintf(stderr, "error: %s\n", escaped);
}

/* virsh shows libvirt's texts, which begin with what its code stands for. */
static char *
with_meaning(const GError *error)
{
    const char *meaning = NULL;

    if (error->domain == INV_ERROR && error->code == VIR_ERR_NO_DOMAIN)
        meaning = "Domain not found";
    else if (error->domain == INV_ERROR && error->code == VIR_ERR_OPERATION_INVALID)
        meaning = "Requested operation is not valid";
    if (!meaning || !g_ascii_strncasecmp(error->message, meaning, strlen(meaning)))
        return g_strdup(error->message);
    return g_strdup_printf("%s: %s", meaning, error->message);
}

void
inv_cli_report(InvCli *cli, const GError *error)
{
    g_autofree char *text = error ? with_meaning(error) : NULL;

    fflush(stdout);
    if (cli->headline)
        report_line(cli->headline);
    if (text)
        report_line(text);
    g_clear_pointer(&cli->headline, g_free);
}

char
inv_cli_ask(const char *question, const char *answers)
{
    char line[16];

    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO))
        return 0;
    do {
        fprintf(stderr, "%s [%c", question, answers[0]);
        for (const char *p = answers + 1; *p; p++)
            fprintf(stderr, ",%c", *p);
        fputs("]: ", stderr);
        if (!fgets(line, sizeof(line), stdin))
            return 0;
    } while (!line[0] || line[0] == '\n' || !strchr(answers, g_ascii_tolower(line[0])));
    return g_ascii_tolower(line[0]);
}
