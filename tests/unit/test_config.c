/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/config.h"
#include "util/error.h"

#include <glib/gstdio.h>

typedef struct {
    const char *name;
    const char *text;
    const char *message; /* a part of the error's message; NULL: correct */
} ConfigCase;

static const ConfigCase cases[] = {
    { .name = "empty", .text = "" },
    { .name = "every kind of value", .text = "[daemon]\nmax_clients=7\nlog_level=debug\nlisten_tcp=127.0.0.1:1, [::1]\n"
                                             "host_uuid=5D1FBF6C-2A0F-4C93-9F5E-0D6AC5E9A001\n[cpu]\ndefault_check=strict\n"
                                             "[emulators]\nfolders=/usr/bin:/opt/qemu/bin\n[qemu]\nuser=nobody\n" },
    { .name = "unknown group", .text = "[deamon]\nmax_clients=7\n", .message = "no group [deamon]; known: daemon, cpu" },
    { .name = "unknown key", .text = "[daemon]\nmax_client=7\n", .message = "[daemon] has no key 'max_client'; known:" },
    { .name = "not a number", .text = "[daemon]\nmax_clients=many\n", .message = "max_clients=many is not a whole number" },
    { .name = "out of range", .text = "[daemon]\nmax_clients=0\n", .message = "from 1 to" },
    { .name = "wrong word", .text = "[cpu]\ndefault_check=lax\n", .message = "neither 'strict' nor 'relaxed'" },
    { .name = "wrong level", .text = "[daemon]\nlog_level=loud\n", .message = "log_level=loud" },
    { .name = "relative folder", .text = "[emulators]\nfolders=bin\n", .message = "'bin' is not an absolute path" },
    { .name = "relative binary", .text = "[emulators]\nbinaries=/usr/bin/env:qemu\n", .message = "binaries: 'qemu' is not an absolute path" },
    { .name = "no address", .text = "[daemon]\nlisten_tcp=\n" },
    { .name = "a host's name to listen on", .text = "[daemon]\nlisten_tcp=127.0.0.1,localhost:16509\n", .message = "'localhost:16509' is no address" },
    { .name = "a port beyond all", .text = "[daemon]\nlisten_tcp=[::]:65536\n", .message = "listen_tcp: '[::]:65536' names no port" },
    { .name = "an address that is missing", .text = "[daemon]\nlisten_tcp=127.0.0.1,\n", .message = "'' is no address" },
    { .name = "not a uuid", .text = "[daemon]\nhost_uuid=here\n", .message = "host_uuid=here is no uuid" },
    { .name = "the uuid of no machine", .text = "[daemon]\nhost_uuid=ffffffff-ffff-ffff-ffff-ffffffffffff\n", .message = "all the same" },
    { .name = "no key file at all", .text = "max_clients 7\n", .message = "invard.conf" },
};

static char *folder;
static char *path;
static InvConfig *config;
static GError *error;

static int
setup(void **state)
{
    folder = g_dir_make_tmp("invar-config-XXXXXX", NULL);
    path = g_build_filename(folder, "invard.conf", NULL);
    return folder ? 0 : -1;
}

static int
teardown(void **state)
{
    g_unlink(path);
    g_rmdir(folder);
    g_clear_pointer(&path, g_free);
    g_clear_pointer(&folder, g_free);
    g_clear_pointer(&config, inv_config_free);
    g_clear_error(&error);
    return 0;
}

static void
load(void **state)
{
    const ConfigCase *row = *state;

    assert_true(g_file_set_contents(path, row->text, -1, NULL));
    config = inv_config_load(path, TRUE, &error);
    if (!row->message) {
        assert_null(error);
        assert_non_null(config);
        return;
    }
    assert_null(config);
    assert_int_equal(inv_error_code(error), VIR_ERR_CONF_SYNTAX);
    if (!strstr(error->message, row->message))
        fail_msg("'%s' does not say '%s'", error->message, row->message);
}

static void
values_are_taken(void **state)
{
    assert_true(g_file_set_contents(path, cases[1].text, -1, NULL));
    config = inv_config_load(path, TRUE, &error);
    assert_non_null(config);
    assert_int_equal(config->max_clients, 7);
    assert_int_equal(config->log_level, G_LOG_LEVEL_DEBUG);
    assert_int_equal(config->default_check, INV_CPU_MODEL_CHECK_STRICT);
    assert_string_equal(config->emulator_folders[1], "/opt/qemu/bin");
    assert_string_equal(config->qemu_user, "nobody");
    assert_string_equal(config->listen_tcp[1], "[::1]");
    assert_string_equal(config->host_uuid, "5d1fbf6c-2a0f-4c93-9f5e-0d6ac5e9a001");
}

static void
an_absent_file_is_the_defaults(void **state)
{
    config = inv_config_load(path, FALSE, &error);
    assert_non_null(config);
    assert_int_equal(config->default_check, INV_CPU_MODEL_CHECK_RELAXED);
    assert_null(inv_config_load(path, TRUE, &error));
    assert_non_null(error);
}

/* The documented file is the reader's only list of keys: all its keys, uncommented, must be known. */
static void
the_documented_file_is_correct(void **state)
{
    g_autofree char *source = g_build_filename(g_getenv("INVAR_TOP_SRCDIR"), "daemon", "invard.conf", NULL);
    g_autofree char *text = NULL, *live = NULL;
    g_autoptr(GRegex) commented = g_regex_new("^#([a-z_]+=.+)$", G_REGEX_MULTILINE, 0, NULL);

    assert_true(g_file_get_contents(source, &text, NULL, NULL));
    live = g_regex_replace(commented, text, -1, 0, "\\1", 0, NULL);
    assert_non_null(strstr(live, "\ndefault_check=relaxed\n"));
    assert_true(g_file_set_contents(path, live, -1, NULL));
    config = inv_config_load(path, TRUE, &error);
    assert_null(error);
    assert_non_null(config);
}

/* They are named, each with what is wrong with it, and keep nobody from serving. */
static void
missing_binaries_are_told(void **state)
{
    g_autofree char *text = g_strdup_printf("[emulators]\nbinaries=/nonexistent/qemu:%s:/bin/sh\n", folder);
    g_auto(GStrv) missing = NULL;

    assert_true(g_file_set_contents(path, text, -1, NULL));
    config = inv_config_load(path, TRUE, &error);
    assert_non_null(config);
    missing = inv_config_missing(config);
    assert_int_equal(g_strv_length(missing), 2);
    assert_non_null(strstr(missing[0], "[emulators] binaries: the emulator '/nonexistent/qemu' does not exist"));
    assert_non_null(strstr(missing[1], "is a folder"));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(cases) + 4] = {
        cmocka_unit_test_setup_teardown(missing_binaries_are_told, setup, teardown),
        cmocka_unit_test_setup_teardown(values_are_taken, setup, teardown),
        cmocka_unit_test_setup_teardown(an_absent_file_is_the_defaults, setup, teardown),
        cmocka_unit_test_setup_teardown(the_documented_file_is_correct, setup, teardown),
    };

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        tests[4 + i] = (struct CMUnitTest){
            .name = cases[i].name,
            .test_func = load,
            .setup_func = setup,
            .teardown_func = teardown,
            .initial_state = (void *)&cases[i],
        };
    }
    return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
