/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cli/command.h"
#include "cli/words.h"
#include "util/error.h"

#include <string.h>

const InvCommand *
inv_command_find(const char *name)
{
    for (const InvCommandGroup *group = inv_command_groups; group->title; group++) {
        for (const InvCommand *command = group->commands; command->name; command++) {
            if (!strcmp(command->name, name))
                return command;
        }
    }
    return NULL;
}

const InvCommandGroup *
inv_command_group_find(const char *keyword)
{
    for (const InvCommandGroup *group = inv_command_groups; group->title; group++) {
        if (!strcmp(group->keyword, keyword))
            return group;
    }
    return NULL;
}

const InvOption *
inv_command_option(const InvCommand *command, const char *name)
{
    for (const InvOption *option = command->options; option && option->name; option++) {
        if (!strcmp(option->name, name))
            return option;
    }
    return NULL;
}

void
inv_args_free(InvArgs *args)
{
    if (!args)
        return;
    g_hash_table_unref(args->values);
    g_ptr_array_unref(args->rest);
    g_free(args);
}

gboolean
inv_args_flag(const InvArgs *args, const char *name)
{
    return g_hash_table_contains(args->values, name);
}

const char *
inv_args_string(const InvArgs *args, const char *name)
{
    return g_hash_table_lookup(args->values, name);
}

guint
inv_args_uint(const InvArgs *args, const char *name, guint fallback)
{
    const char *text = inv_args_string(args, name);

    /* inv_args_parse() has checked it. */
    return text ? (guint)g_ascii_strtoull(text, NULL, 10) : fallback;
}

guint
inv_args_bits(const InvArgs *args, const InvFlagBit *map)
{
    guint bits = 0;

    for (; map->name; map++)
        bits |= inv_args_flag(args, map->name) ? map->bit : 0;
    return bits;
}

gboolean
inv_args_exclusive(const InvArgs *args, const char *one, const char *other, GError **error)
{
    if (inv_args_flag(args, one) && inv_args_flag(args, other))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "Options --%s and --%s are mutually exclusive", one, other);
    return TRUE;
}

static gboolean
store_value(InvArgs *args, const InvOption *option, const char *value, GError **error)
{
    guint64 number;

    if (g_hash_table_contains(args->values, option->name))
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "option --%s already seen", option->name);
    if (option->type == INV_OPTION_UINT && !g_ascii_string_to_unsigned(value, 10, 0, G_MAXINT32, &number, NULL))
        return inv_error_set(error, VIR_ERR_INVALID_ARG,
                             "Numeric value '%s' for <%s> option is malformed or out of range", value, option->name);
    g_hash_table_insert(args->values, (gpointer)option->name, g_strdup(value));
    return TRUE;
}

/* The value of an option that was named in words[*at]: behind its "=", or the next word. */
static gboolean
parse_named(InvArgs *args, const char *const *words, guint *at, GError **error)
{
    const char *word = words[*at] + 2;
    const char *equals = strchr(word, '=');
    g_autofree char *name = equals ? g_strndup(word, equals - word) : g_strdup(word);
    const InvOption *option = inv_command_option(args->command, name);

    if (!option || option->type == INV_OPTION_REST)
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "command '%s' doesn't support option --%s", args->command->name, name);
    if (option->type == INV_OPTION_FLAG) {
        if (equals)
            return inv_error_set(error, VIR_ERR_INVALID_ARG, "invalid '=' after option --%s", name);
        return store_value(args, option, "", error);
    }
    if (equals)
        return store_value(args, option, equals + 1, error);
    if (!words[*at + 1])
        return inv_error_set(error, VIR_ERR_INVALID_ARG, "expected syntax: --%s <%s>", name,
                             option->type == INV_OPTION_UINT ? "number" : "string");
    (*at)++;
    return store_value(args, option, words[*at], error);
}

static gboolean
parse_positional(InvArgs *args, const char *word, GError **error)
{
    for (const InvOption *option = args->command->options; option && option->name; option++) {
        if (option->type == INV_OPTION_REST) {
            g_ptr_array_add(args->rest, g_strdup(word));
            return TRUE;
        }
        if (option->positional && !g_hash_table_contains(args->values, option->name))
            return store_value(args, option, word, error);
    }
    return inv_error_set(error, VIR_ERR_INVALID_ARG, "unexpected data '%s'", word);
}

InvArgs *
inv_args_parse(const InvCommand *command, const char *const *words, const gboolean *literal, GError **error)
{
    g_autoptr(InvArgs) args = g_new0(InvArgs, 1);
    gboolean only_data = FALSE;

    args->command = command;
    args->values = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, g_free);
    args->rest = g_ptr_array_new_with_free_func(g_free);
    for (guint i = 0; words[i]; i++) {
        gboolean option = !only_data && !(literal && literal[i]) && g_str_has_prefix(words[i], "--");

        if (option && !words[i][2])
            only_data = TRUE;
        else if (option && !strcmp(words[i], "--json") && !inv_command_option(command, "json"))
            args->json = TRUE;
        else if (option && !parse_named(args, words, &i, error))
            return NULL;
        else if (!option && !parse_positional(args, words[i], error))
            return NULL;
    }
    for (const InvOption *option = command->options; option && option->name; option++) {
        if (option->required && !g_hash_table_contains(args->values, option->name)) {
            inv_error_set(error, VIR_ERR_INVALID_ARG, "command '%s' requires <%s> option", command->name, option->name);
            return NULL;
        }
    }
    return g_steal_pointer(&args);
}

/* One command from @words[first..end). */
static InvArgs *
parse_command(GPtrArray *words, guint first, guint end, GError **error)
{
    const InvWord *name = g_ptr_array_index(words, first);
    const InvCommand *command = inv_command_find(name->text);
    g_autofree const char **texts = g_new0(const char *, end - first);
    g_autofree gboolean *literal = g_new0(gboolean, end - first);

    if (!command) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "unknown command: '%s'", name->text);
        return NULL;
    }
    for (guint i = first + 1; i < end; i++) {
        const InvWord *word = g_ptr_array_index(words, i);

        texts[i - first - 1] = word->text;
        literal[i - first - 1] = word->quoted;
    }
    return inv_args_parse(command, texts, literal, error);
}

GPtrArray *
inv_command_parse_line(const char *line, GError **error)
{
    g_autoptr(GPtrArray) words = inv_words_split(line, FALSE, error);
    g_autoptr(GPtrArray) calls = g_ptr_array_new_with_free_func((GDestroyNotify)inv_args_free);
    guint first = 0;

    if (!words)
        return NULL;
    for (guint i = 0; i <= words->len; i++) {
        InvArgs *args;

        if (i < words->len && ((const InvWord *)g_ptr_array_index(words, i))->text)
            continue;
        if (i > first) {
            args = parse_command(words, first, i, error);
            if (!args)
                return NULL;
            g_ptr_array_add(calls, args);
        }
        first = i + 1;
    }
    return g_steal_pointer(&calls);
}

static const char *
type_word(InvOptionType type)
{
    switch (type) {
    case INV_OPTION_FLAG:
        return "";
    case INV_OPTION_STRING:
    case INV_OPTION_REST:
        return " <string>";
    case INV_OPTION_UINT:
        return " <number>";
    }
    return "";
}

static void
append_synopsis(GString *out, const InvOption *option)
{
    if (option->type == INV_OPTION_REST)
        g_string_append_printf(out, " [<%s>]...", option->name);
    else if (option->positional && option->required)
        g_string_append_printf(out, " <%s>", option->name);
    else if (option->positional)
        g_string_append_printf(out, " [<%s>]", option->name);
    else if (option->required)
        g_string_append_printf(out, " --%s%s", option->name, type_word(option->type));
    else
        g_string_append_printf(out, " [--%s%s]", option->name, type_word(option->type));
}

static void
append_option(GString *out, const InvOption *option)
{
    g_autofree char *shown = NULL;

    if (option->type == INV_OPTION_REST)
        shown = g_strdup_printf("<%s>", option->name);
    else if (option->positional)
        shown = g_strdup_printf("[--%s]%s", option->name, type_word(option->type));
    else
        shown = g_strdup_printf("--%s%s", option->name, type_word(option->type));
    g_string_append_printf(out, "    %-15s  %s\n", shown, option->help);
}

char *
inv_command_help(const InvCommand *command)
{
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, "  NAME\n    %s - %s\n\n  SYNOPSIS\n    %s", command->name, command->summary, command->name);
    for (const InvOption *option = command->options; option && option->name; option++)
        append_synopsis(out, option);
    g_string_append_c(out, '\n');
    if (command->description) {
        g_auto(GStrv) lines = g_strsplit(command->description, "\n", -1);

        g_string_append(out, "\n  DESCRIPTION\n");
        for (char **line = lines; *line; line++)
            g_string_append_printf(out, "%s%s\n", **line ? "    " : "", *line);
    }
    if (command->options && command->options->name) {
        g_string_append(out, "\n  OPTIONS\n");
        for (const InvOption *option = command->options; option->name; option++)
            append_option(out, option);
    }
    return g_string_free(out, FALSE);
}

char *
inv_command_group_help(const InvCommandGroup *group)
{
    GString *out = g_string_new(NULL);

    g_string_append_printf(out, " %s (help keyword '%s'):\n", group->title, group->keyword);
    for (const InvCommand *command = group->commands; command->name; command++) {
        if (!command->hidden)
            g_string_append_printf(out, "    %-30s %s\n", command->name, command->summary);
    }
    return g_string_free(out, FALSE);
}

char *
inv_command_overview(void)
{
    GString *out = g_string_new("Grouped commands:\n\n");

    for (const InvCommandGroup *group = inv_command_groups; group->title; group++) {
        g_autofree char *text = inv_command_group_help(group);

        g_string_append_printf(out, "%s\n", text);
    }
    return g_string_free(out, FALSE);
}
