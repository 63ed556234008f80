/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cli/command.h"
#include "cli/complete.h"
#include "util/error.h"

typedef struct {
    const char *name;
    const char *line;
    const char *calls; /* "command(option=value,…; rest…) …"; NULL: refused */
    const char *error;
    gboolean json; /* of the first call */
} Case;

static const Case cases[] = {
    { .name = "nothing", .line = "  ", .calls = "" },
    { .name = "no options", .line = "list", .calls = "list()" },
    { .name = "flags", .line = "list --all --title", .calls = "list(all,title)" },
    { .name = "positional", .line = "start guest", .calls = "start(domain=guest)" },
    { .name = "by name", .line = "start --domain guest", .calls = "start(domain=guest)" },
    { .name = "with equals", .line = "start --domain=a=b", .calls = "start(domain=a=b)" },
    { .name = "flag before data", .line = "start --paused guest", .calls = "start(domain=guest,paused)" },
    { .name = "after -- all is data", .line = "start -- --guest", .calls = "start(domain=--guest)" },
    { .name = "quoted is data", .line = "start '--guest'", .calls = "start(domain=--guest)" },
    { .name = "named first, positional next", .line = "domrename --new-name b a", .calls = "domrename(domain=a,new-name=b)" },
    { .name = "numbers", .line = "revision-diff g 3 17", .calls = "revision-diff(domain=g,from=3,to=17)" },
    { .name = "the rest", .line = "echo --shell a b", .calls = "echo(shell;a b)" },
    { .name = "several commands", .line = "start a; list", .calls = "start(domain=a) list()" },
    { .name = "unknown command", .line = "frob", .error = "unknown command: 'frob'" },
    { .name = "all of a line is parsed first", .line = "list; frob", .error = "unknown command: 'frob'" },
    { .name = "unknown option", .line = "list --frob", .error = "command 'list' doesn't support option --frob" },
    { .name = "missing data", .line = "start", .error = "command 'start' requires <domain> option" },
    { .name = "too much data", .line = "domstate a b", .error = "unexpected data 'b'" },
    { .name = "twice", .line = "list --all --all", .error = "option --all already seen" },
    { .name = "positional and named", .line = "start a --domain b", .error = "option --domain already seen" },
    { .name = "a value for a flag", .line = "list --all=yes", .error = "invalid '=' after option --all" },
    { .name = "no value", .line = "shutdown a --mode", .error = "expected syntax: --mode <string>" },
    { .name = "not a number", .line = "revision-show g x", .error = "Numeric value 'x' for <revision> option is malformed" },
    { .name = "a negative number", .line = "revision-show g -1", .error = "Numeric value '-1'" },
    { .name = "too large a number", .line = "event --timeout 4294967296", .error = "Numeric value '4294967296'" },
    { .name = "--json behind the command", .line = "list --json --all", .calls = "list(all)", .json = TRUE },
    { .name = "--json behind -- is data", .line = "start -- --json", .calls = "start(domain=--json)" },
    { .name = "one file, and more", .line = "cpu-baseline a b --features c", .calls = "cpu-baseline(file=a,features;b c)" },
    { .name = "two operands", .line = "cpu-compare a b --error", .calls = "cpu-compare(file=a,cpu=b,error)" },
    { .name = "three operands", .line = "cpu-compare a b c", .error = "unexpected data 'c'" },
    { .name = "the rest has no name", .line = "echo --string x", .error = "doesn't support option --string" },
};

typedef struct {
    GPtrArray *calls;
    GString *text;
    GError *error;
    char **found;
    char *help;
} Fixture;

static Fixture fixture;

static int
teardown(void **state)
{
    g_clear_pointer(&fixture.calls, g_ptr_array_unref);
    if (fixture.text)
        g_string_free(g_steal_pointer(&fixture.text), TRUE);
    g_clear_error(&fixture.error);
    g_clear_pointer(&fixture.found, g_strfreev);
    g_clear_pointer(&fixture.help, g_free);
    return 0;
}

static void
append_call(GString *text, const InvArgs *args)
{
    gboolean first = TRUE;

    g_string_append_printf(text, "%s%s(", text->len ? " " : "", args->command->name);
    for (const InvOption *option = args->command->options; option && option->name; option++) {
        if (!inv_args_flag(args, option->name))
            continue;
        g_string_append_printf(text, "%s%s", first ? "" : ",", option->name);
        if (option->type != INV_OPTION_FLAG)
            g_string_append_printf(text, "=%s", inv_args_string(args, option->name));
        first = FALSE;
    }
    for (guint i = 0; i < args->rest->len; i++)
        g_string_append_printf(text, "%s%s", i ? " " : ";", (char *)g_ptr_array_index(args->rest, i));
    g_string_append_c(text, ')');
}

static void
parses(void **state)
{
    const Case *row = *state;

    fixture.calls = inv_command_parse_line(row->line, &fixture.error);
    if (!row->calls) {
        assert_null(fixture.calls);
        assert_non_null(fixture.error);
        assert_int_equal(fixture.error->code, VIR_ERR_INVALID_ARG);
        assert_non_null(strstr(fixture.error->message, row->error));
        return;
    }
    assert_null(fixture.error);
    fixture.text = g_string_new(NULL);
    for (guint i = 0; i < fixture.calls->len; i++)
        append_call(fixture.text, g_ptr_array_index(fixture.calls, i));
    assert_string_equal(fixture.text->str, row->calls);
    if (fixture.calls->len)
        assert_int_equal(((const InvArgs *)g_ptr_array_index(fixture.calls, 0))->json, row->json);
}

static void
the_table_is_consistent(void **state)
{
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

    for (const InvCommandGroup *group = inv_command_groups; group->title; group++) {
        for (const InvCommand *command = group->commands; command->name; command++) {
            gboolean optional = FALSE;

            assert_true(g_hash_table_add(names, (gpointer)command->name));
            assert_non_null(command->run);
            assert_non_null(command->summary);
            for (const InvOption *option = command->options; option && option->name; option++) {
                assert_non_null(option->help);
                /* A word fills the first that is free: a required one behind an optional one would never be reached. */
                assert_false(option->positional && option->required && optional);
                optional = optional || (option->positional && !option->required);
                assert_true(option->type != INV_OPTION_REST || !option[1].name);
            }
        }
    }
}

static void
help_looks_like_virsh(void **state)
{
    fixture.help = inv_command_help(inv_command_find("domstate"));
    assert_string_equal(fixture.help, "  NAME\n    domstate - domain state\n\n"
                                      "  SYNOPSIS\n    domstate <domain> [--reason]\n\n"
                                      "  DESCRIPTION\n    Returns state about a domain.\n\n"
                                      "  OPTIONS\n    [--domain] <string>  domain name, id or uuid\n"
                                      "    --reason         also print reason for the state\n");
}

typedef struct {
    const char *name;
    const char *words; /* separated by single spaces: the last may be empty */
    const char *found;
    gboolean files;
} Completion;

static const Completion completions[] = {
    { .name = "complete: commands", .words = "revision-", .found = "revision-diff revision-restore revision-show" },
    { .name = "complete: nothing hidden", .words = "comp", .found = "" },
    { .name = "complete: options", .words = "destroy --", .found = "--domain --graceful --json --remove-logs" },
    { .name = "complete: not what was given", .words = "destroy --graceful x --", .found = "--json --remove-logs" },
    { .name = "complete: a file", .words = "define ", .found = "", .files = TRUE },
    { .name = "complete: a value", .words = "shutdown x --mode a", .found = "acpi agent" },
    { .name = "complete: an event", .words = "event --event life", .found = "lifecycle" },
    { .name = "complete: a command's help", .words = "help domst", .found = "domstate" },
    { .name = "complete: more files", .words = "cpu-baseline a b ", .found = "", .files = TRUE },
    { .name = "complete: an architecture", .words = "cpu-models a", .found = "aarch64 armv7l" },
    { .name = "complete: no such command", .words = "frob ", .found = "" },
    { .name = "complete: nothing more to give", .words = "define x ", .found = "" },
};

static void
completes(void **state)
{
    const Completion *row = *state;
    g_auto(GStrv) words = g_strsplit(row->words, " ", -1);
    gboolean files;

    fixture.found = inv_complete(NULL, (const char *const *)words, &files);
    fixture.help = g_strjoinv(" ", fixture.found);
    assert_string_equal(fixture.help, row->found);
    assert_int_equal(files, row->files);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(cases) + G_N_ELEMENTS(completions) + 2];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        tests[n++] = (struct CMUnitTest){
            .name = cases[i].name, .test_func = parses, .teardown_func = teardown, .initial_state = (void *)&cases[i]
        };
    }
    for (gsize i = 0; i < G_N_ELEMENTS(completions); i++) {
        tests[n++] = (struct CMUnitTest){ .name = completions[i].name, .test_func = completes, .teardown_func = teardown,
                                          .initial_state = (void *)&completions[i] };
    }
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(the_table_is_consistent, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(help_looks_like_virsh, teardown);
    return cmocka_run_group_tests_name("cli command", tests, NULL, NULL);
}
