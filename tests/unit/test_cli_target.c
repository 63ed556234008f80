/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/target.h"
#include "util/error.h"

/* One host has one system daemon, whatever prefix it was built for. */
#define SYSTEM "/run/invar/invar-sock"

typedef struct {
    const char *name;
    const char *text;
    const char *runtime; /* XDG_RUNTIME_DIR; NULL: not set */
    const char *socket;  /* NULL: refused */
    const char *uri;
    int code;
    const char *error;
} Case;

static const Case cases[] = {
    { .name = "system", .text = "qemu:///system", .socket = SYSTEM, .uri = "qemu:///system" },
    { .name = "session", .text = "qemu:///session", .runtime = "/run/u", .socket = "/run/u/invar/invar-sock", .uri = "qemu:///session" },
    { .name = "session without a runtime folder", .text = "qemu:///session", .socket = "/somewhere/x/.cache/invar/run/invar-sock",
      .uri = "qemu:///session" },
    { .name = "an empty runtime folder is none", .text = "qemu:///session", .runtime = "",
      .socket = "/somewhere/x/.cache/invar/run/invar-sock", .uri = "qemu:///session" },
    { .name = "socket named", .text = "qemu+unix:///session?socket=/a/b", .socket = "/a/b", .uri = "qemu:///session" },
    { .name = "socket with escapes", .text = "qemu+unix:///system?socket=/a%20b&mode=direct", .socket = "/a b", .uri = "qemu:///system" },
    { .name = "by its own name", .text = "invar+unix:///session?socket=/a", .socket = "/a", .uri = "qemu:///session" },
    { .name = "invar:///system", .text = "invar:///system", .socket = SYSTEM, .uri = "qemu:///system" },
    { .name = "a path", .text = "/a/b", .socket = "/a/b", .uri = "" },
    { .name = "another driver", .text = "xen:///system", .code = VIR_ERR_INVALID_ARG, .error = "driver 'xen'" },
    { .name = "another transport", .text = "qemu+ssh:///system", .code = VIR_ERR_NO_SUPPORT, .error = "transport 'ssh'" },
    { .name = "another host", .text = "qemu://host/system", .code = VIR_ERR_NO_SUPPORT, .error = "host 'host'" },
    { .name = "another path", .text = "qemu:///embed", .code = VIR_ERR_INVALID_ARG, .error = "'/embed'" },
    { .name = "not a URI", .text = "sesion", .code = VIR_ERR_INVALID_ARG, .error = "'sesion' is not a URI" },
    { .name = "a relative socket", .text = "qemu+unix:///session?socket=a", .code = VIR_ERR_INVALID_ARG, .error = "absolute" },
    { .name = "an unknown parameter", .text = "qemu:///session?sock=/a", .code = VIR_ERR_INVALID_ARG, .error = "'sock'" },
};

static InvTarget *target;
static GError *error;

static int
setup(void **state)
{
    g_setenv("HOME", "/somewhere/x", TRUE);
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&target, inv_target_free);
    g_clear_error(&error);
    return 0;
}

static void
finds_the_socket(void **state)
{
    const Case *row = *state;

    if (row->runtime)
        g_setenv("XDG_RUNTIME_DIR", row->runtime, TRUE);
    else
        g_unsetenv("XDG_RUNTIME_DIR");
    target = inv_target_parse(row->text, &error);
    if (!row->socket) {
        assert_null(target);
        assert_non_null(error);
        assert_int_equal(error->code, row->code);
        assert_non_null(strstr(error->message, row->error));
        return;
    }
    assert_null(error);
    assert_string_equal(target->socket, row->socket);
    assert_string_equal(target->uri, row->uri);
}

static void
default_depends_on_who_asks(void **state)
{
    target = inv_target_parse(NULL, &error);
    assert_non_null(target);
    assert_string_equal(target->uri, getuid() == 0 ? "qemu:///system" : "qemu:///session");
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(cases) + 1];

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        tests[i] = (struct CMUnitTest){
            .name = cases[i].name, .test_func = finds_the_socket, .teardown_func = teardown, .initial_state = (void *)&cases[i]
        };
    }
    tests[G_N_ELEMENTS(cases)] = (struct CMUnitTest)cmocka_unit_test_teardown(default_depends_on_who_asks, teardown);
    return cmocka_run_group_tests_name("cli target", tests, setup, NULL);
}
