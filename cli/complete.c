/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/complete.h"
#include "cli/domain_ref.h"
#include "cli/events.h"

#include <string.h>

/* A person who pressed TAB does not wait for a daemon that hangs. */
#define COMPLETION_TIMEOUT_MS 1000

static void
add(GPtrArray *found, const char *prefix, const char *candidate)
{
    if (g_str_has_prefix(candidate, prefix))
        g_ptr_array_add(found, g_strdup(candidate));
}

static void
add_words(GPtrArray *found, const char *prefix, const char *const *words)
{
    for (; *words; words++)
        add(found, prefix, *words);
}

static void
add_commands(GPtrArray *found, const char *prefix)
{
    for (const InvCommandGroup *group = inv_command_groups; group->title; group++) {
        for (const InvCommand *command = group->commands; command->name; command++) {
            if (!command->hidden)
                add(found, prefix, command->name);
        }
    }
}

static void
add_domains(InvCli *cli, GPtrArray *found, const char *prefix, guint flags)
{
    g_auto(remote_connect_list_all_domains_ret) list = { 0 };
    guint timeout = cli->timeout_ms;
    gboolean quiet = cli->quiet;

    cli->timeout_ms = COMPLETION_TIMEOUT_MS;
    cli->quiet = TRUE;
    inv_domain_list(cli, flags, &list, NULL);
    cli->timeout_ms = timeout;
    cli->quiet = quiet;
    g_clear_pointer(&cli->headline, g_free);
    for (guint i = 0; i < list.domains.domains_len; i++) {
        const char *name = list.domains.domains_val[i].name;

        /* Into a shell's command line goes only what a shell and a terminal take as a plain name. */
        if (g_str_is_ascii(name) && !strpbrk(name, "\n\r\t\033"))
            add(found, prefix, name);
    }
}

static void
add_values(InvCli *cli, GPtrArray *found, const char *prefix, InvCompletion kind, gboolean *files)
{
    static const char *const modes[] = { "acpi", "agent", "initctl", "paravirt", "signal", NULL };
    static const char *const virttypes[] = { "kvm", "qemu", NULL };
    static const char *const archs[] = { "aarch64", "armv7l", "i686", "ppc64", "ppc64le", "riscv64", "s390x", "x86_64", NULL };

    switch (kind) {
    case INV_COMPLETE_NONE:
        break;
    case INV_COMPLETE_FILE:
        *files = TRUE;
        break;
    case INV_COMPLETE_DOMAIN:
        if (cli)
            add_domains(cli, found, prefix, 0);
        break;
    case INV_COMPLETE_ACTIVE:
        if (cli)
            add_domains(cli, found, prefix, VIR_CONNECT_LIST_DOMAINS_ACTIVE);
        break;
    case INV_COMPLETE_INACTIVE:
        if (cli)
            add_domains(cli, found, prefix, VIR_CONNECT_LIST_DOMAINS_INACTIVE);
        break;
    case INV_COMPLETE_PERSISTENT:
        if (cli)
            add_domains(cli, found, prefix, VIR_CONNECT_LIST_DOMAINS_PERSISTENT);
        break;
    case INV_COMPLETE_COMMAND:
        add_commands(found, prefix);
        break;
    case INV_COMPLETE_EVENT:
        for (int id = 0; inv_event_name(id); id++)
            add(found, prefix, inv_event_name(id));
        break;
    case INV_COMPLETE_SHUTDOWN_MODE:
        add_words(found, prefix, modes);
        break;
    case INV_COMPLETE_VIRTTYPE:
        add_words(found, prefix, virttypes);
        break;
    case INV_COMPLETE_ARCH:
        add_words(found, prefix, archs);
        break;
    }
}

static void
add_options(const InvCommand *command, GPtrArray *found, const char *prefix, GHashTable *given)
{
    for (const InvOption *option = command->options; option && option->name; option++) {
        g_autofree char *name = g_strdup_printf("--%s", option->name);

        if (option->type != INV_OPTION_REST && !g_hash_table_contains(given, option->name))
            add(found, prefix, name);
    }
    add(found, prefix, "--json");
}

/* What the complete words (all but the last) gave already; returns the option whose value the last word is, or NULL. */
static const InvOption *
read_given(const InvCommand *command, const char *const *words, guint count, GHashTable *given)
{
    for (guint i = 1; i < count; i++) {
        const InvOption *option = NULL;

        if (g_str_has_prefix(words[i], "--")) {
            g_autofree char *name = g_strndup(words[i] + 2, strcspn(words[i] + 2, "="));

            option = inv_command_option(command, name);
            if (option && option->type != INV_OPTION_FLAG && !strchr(words[i], '=')) {
                g_hash_table_add(given, (gpointer)option->name);
                if (i + 1 == count)
                    return option;
                i++;
                continue;
            }
        } else {
            for (option = command->options; option && option->name; option++) {
                if (option->positional && !g_hash_table_contains(given, option->name))
                    break;
            }
        }
        if (option && option->name)
            g_hash_table_add(given, (gpointer)option->name);
    }
    return NULL;
}

static int
compare(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

char **
inv_complete(InvCli *cli, const char *const *words, gboolean *files)
{
    g_autoptr(GPtrArray) found = g_ptr_array_new_with_free_func(g_free);
    g_autoptr(GHashTable) given = g_hash_table_new(g_str_hash, g_str_equal);
    guint last = g_strv_length((char **)words) - 1;
    const InvCommand *command = last ? inv_command_find(words[0]) : NULL;
    const InvOption *option = NULL;

    *files = FALSE;
    if (!last) {
        add_commands(found, words[0]);
    } else if (command) {
        option = read_given(command, words, last, given);
        if (option)
            add_values(cli, found, words[last], option->complete, files);
        else if (*words[last] == '-')
            add_options(command, found, words[last], given);
        for (const InvOption *next = command->options; !option && *words[last] != '-' && next && next->name; next++) {
            if ((next->positional || next->type == INV_OPTION_REST) && !g_hash_table_contains(given, next->name)) {
                option = next;
                add_values(cli, found, words[last], next->complete, files);
            }
        }
    }
    g_ptr_array_sort(found, compare);
    g_ptr_array_add(found, NULL);
    return (char **)g_ptr_array_steal(found, NULL);
}
