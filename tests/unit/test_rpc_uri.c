/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "rpc/uri.h"
#include "util/error.h"

/* One host has one system daemon, whatever prefix it was built for. */
#define SYSTEM "/run/invar/invar-sock"

typedef struct {
    const char *name;
    const char *text;
    const char *runtime; /* XDG_RUNTIME_DIR; NULL: not set */
    const char *socket;
    const char *uri;
    const char *where; /* how a message names it; NULL: by its socket */
    InvRpcTransport transport;
    const char *host;
    guint port;
    const char *user;
    int code;
    const char *error; /* NULL: accepted */
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
    { .name = "tcp", .text = "qemu+tcp://host/system", .uri = "qemu:///system", .where = "tcp host:16509", .transport = INV_TRANSPORT_TCP,
      .host = "host", .port = 16509 },
    { .name = "tcp with a port", .text = "invar+tcp://10.0.0.1:1/session", .uri = "qemu:///session", .where = "tcp 10.0.0.1:1",
      .transport = INV_TRANSPORT_TCP, .host = "10.0.0.1", .port = 1 },
    { .name = "tcp over IPv6", .text = "qemu+tcp://[::1]:65535/system", .uri = "qemu:///system", .where = "tcp [::1]:65535",
      .transport = INV_TRANSPORT_TCP, .host = "::1", .port = 65535 },
    { .name = "ssh", .text = "qemu+ssh://host/system", .uri = "qemu:///system", .where = "host over ssh", .transport = INV_TRANSPORT_SSH,
      .host = "host" },
    { .name = "ssh with everything", .text = "qemu+ssh://root@host:22/session?socket=/a%27b", .socket = "/a'b", .uri = "qemu:///session",
      .where = "host over ssh", .transport = INV_TRANSPORT_SSH, .host = "host", .port = 22, .user = "root" },
    { .name = "another driver", .text = "xen:///system", .code = VIR_ERR_INVALID_ARG, .error = "driver 'xen'" },
    { .name = "another transport", .text = "qemu+libssh2://host/system", .code = VIR_ERR_NO_SUPPORT, .error = "transport 'libssh2'" },
    { .name = "a host alone means TLS", .text = "qemu://host/system", .code = VIR_ERR_NO_SUPPORT, .error = "asks for TLS" },
    { .name = "TLS by name", .text = "qemu+tls://host/system", .code = VIR_ERR_NO_SUPPORT, .error = "qemu+ssh://host/" },
    { .name = "a socket on another host", .text = "qemu+unix://host/system", .code = VIR_ERR_INVALID_ARG, .error = "the host 'host'" },
    { .name = "tcp to nobody", .text = "qemu+tcp:///system", .code = VIR_ERR_INVALID_ARG, .error = "no host to reach by tcp" },
    { .name = "ssh to nobody", .text = "qemu+ssh:///system", .code = VIR_ERR_INVALID_ARG, .error = "no host to reach by ssh" },
    { .name = "tcp with a user", .text = "qemu+tcp://root@host/system", .code = VIR_ERR_INVALID_ARG, .error = "the user 'root'" },
    { .name = "tcp with a socket", .text = "qemu+tcp://host/system?socket=/a", .code = VIR_ERR_INVALID_ARG, .error = "both a socket and TCP" },
    { .name = "port zero", .text = "qemu+tcp://host:0/system", .code = VIR_ERR_INVALID_ARG, .error = "from 1 to 65535" },
    { .name = "a port beyond all", .text = "qemu+tcp://host:65536/system", .code = VIR_ERR_INVALID_ARG, .error = "not a URI" },
    { .name = "a host that is an option", .text = "qemu+ssh://-oProxyCommand=x/system", .code = VIR_ERR_INVALID_ARG, .error = "begins with '-'" },
    { .name = "a user that is an option", .text = "qemu+ssh://-lx@host/system", .code = VIR_ERR_INVALID_ARG, .error = "begins with '-'" },
    { .name = "a host with a newline", .text = "qemu+ssh://a%0Ab/system", .code = VIR_ERR_INVALID_ARG, .error = "URI" },
    { .name = "a relative socket over ssh", .text = "qemu+ssh://host/system?socket=a", .code = VIR_ERR_INVALID_ARG, .error = "absolute" },
    { .name = "an escape that is none", .text = "qemu:///session?socket=%zz", .code = VIR_ERR_INVALID_ARG, .error = "is not a URI" },
    { .name = "another path", .text = "qemu:///embed", .code = VIR_ERR_INVALID_ARG, .error = "'/embed'" },
    { .name = "not a URI", .text = "sesion", .code = VIR_ERR_INVALID_ARG, .error = "'sesion' is not a URI" },
    { .name = "a relative socket", .text = "qemu+unix:///session?socket=a", .code = VIR_ERR_INVALID_ARG, .error = "absolute" },
    { .name = "an unknown parameter", .text = "qemu:///session?sock=/a", .code = VIR_ERR_INVALID_ARG, .error = "'sock'" },
};

static InvRpcTarget *target;
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
    g_clear_pointer(&target, inv_rpc_target_free);
    g_clear_error(&error);
    return 0;
}

static void
finds_the_socket(void **state)
{
    const Case *row = *state;
    g_autofree char *where = NULL;

    if (row->runtime)
        g_setenv("XDG_RUNTIME_DIR", row->runtime, TRUE);
    else
        g_unsetenv("XDG_RUNTIME_DIR");
    target = inv_rpc_target_parse(row->text, &error);
    if (row->error) {
        assert_null(target);
        assert_non_null(error);
        assert_int_equal(error->code, row->code);
        assert_non_null(strstr(error->message, row->error));
        return;
    }
    assert_null(error);
    assert_int_equal(target->transport, row->transport);
    assert_int_equal(g_strcmp0(target->socket, row->socket), 0);
    assert_string_equal(target->uri, row->uri);
    assert_int_equal(g_strcmp0(target->host, row->host), 0);
    assert_int_equal(g_strcmp0(target->user, row->user), 0);
    assert_int_equal(target->port, row->port);
    where = inv_rpc_target_describe(target);
    assert_string_equal(where, row->where ? row->where : row->socket);
}

typedef struct {
    const char *text;
    const char *address; /* NULL: refused */
    guint port;
} AddressCase;

static void
addresses_to_listen_on(void **state)
{
    static const AddressCase rows[] = {
        { "127.0.0.1", "127.0.0.1", 16509 }, { "0.0.0.0:1", "0.0.0.0", 1 },  { "[::1]", "::1", 16509 }, { "[::]:65535", "::", 65535 },
        { "", NULL, 0 },                     { ":16509", NULL, 0 },          { "localhost", NULL, 0 },  { "::1", NULL, 0 },
        { "[127.0.0.1]", NULL, 0 },          { "[::1", NULL, 0 },            { "[::1]x", NULL, 0 },     { "127.0.0.1:", NULL, 0 },
        { "127.0.0.1:0", NULL, 0 },          { "127.0.0.1:65536", NULL, 0 }, { "127.0.0.1: 1", NULL, 0 }, { "[]", NULL, 0 },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autofree char *address = NULL;
        guint port = 0;

        assert_int_equal(inv_rpc_address_parse(rows[i].text, &address, &port, &error), rows[i].address != NULL);
        assert_int_equal(g_strcmp0(address, rows[i].address), 0);
        assert_int_equal(port, rows[i].port);
        assert_int_equal(error != NULL, rows[i].address == NULL);
        if (error)
            assert_int_equal(error->code, VIR_ERR_INVALID_ARG);
        g_clear_error(&error);
    }
}

static void
default_depends_on_who_asks(void **state)
{
    target = inv_rpc_target_parse(NULL, &error);
    assert_non_null(target);
    assert_string_equal(target->uri, getuid() == 0 ? "qemu:///system" : "qemu:///session");
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(cases) + 2];

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++) {
        tests[i] = (struct CMUnitTest){
            .name = cases[i].name, .test_func = finds_the_socket, .teardown_func = teardown, .initial_state = (void *)&cases[i]
        };
    }
    tests[G_N_ELEMENTS(cases)] = (struct CMUnitTest)cmocka_unit_test_teardown(default_depends_on_who_asks, teardown);
    tests[G_N_ELEMENTS(cases) + 1] = (struct CMUnitTest)cmocka_unit_test_teardown(addresses_to_listen_on, teardown);
    return cmocka_run_group_tests_name("rpc_uri", tests, setup, NULL);
}
