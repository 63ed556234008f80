/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu/qmp.h"
#include "util/error.h"

#define GREETING "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":0},\"package\":\"\"},\"capabilities\":[]}}\r\n"
#define DEADLINE_MS 10000u

/* The other end: what it does with each command that it reads. */
typedef struct {
    const char *greeting;
    const char *before; /* sent before each answer but the first */
    const char *answer; /* in place of {"return": {"id": N}}; "" sends nothing; NULL: that */
    gboolean hang_up;   /* at the second command, behind `answer` */
} Script;

static InvIoThread *io;
static InvQmp *qmp;
static GError *error;
static InvJson *reply;
static GThread *peer;
static int peer_fd = -1;
static const Script *script;
static gint events;
static gint closings;

static void
send_text(const char *text)
{
    gsize length = strlen(text);

    while (length) {
        ssize_t sent = send(peer_fd, text, length, MSG_NOSIGNAL);

        if (sent <= 0)
            return;
        text += sent;
        length -= (gsize)sent;
    }
}

static gpointer
run_peer(gpointer data)
{
    g_autofree char *line = NULL;
    size_t size = 0;
    FILE *stream = fdopen(dup(peer_fd), "r");
    guint count = 0;

    send_text(script->greeting);
    while (getline(&line, &size, stream) > 0) {
        const char *id = strstr(line, "\"id\":");
        g_autofree char *text = g_strdup_printf("{\"return\":{\"number\":%d},\"id\":%d}\n", atoi(id + 5), atoi(id + 5));

        if (count && script->before)
            send_text(script->before);
        send_text(count && script->answer ? script->answer : text);
        if (count++ && script->hang_up)
            break;
    }
    fclose(stream);
    shutdown(peer_fd, SHUT_RDWR);
    return NULL;
}

static void
on_event(InvQmp *source, const char *event, const InvJson *data, gint64 seconds, gint64 microseconds, gpointer user_data)
{
    if (strcmp(event, "STOP") == 0 && seconds == 5 && microseconds == 7)
        g_atomic_int_inc(&events);
}

static void
on_closed(InvQmp *source, const GError *reason, gpointer user_data)
{
    if (reason)
        g_atomic_int_inc(&closings);
}

static void
start(const Script *with, guint deadline_ms)
{
    int pair[2];

    script = with;
    events = closings = 0;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    peer_fd = pair[1];
    peer = g_thread_new("peer", run_peer, NULL);
    qmp = inv_qmp_new(io, pair[0], deadline_ms, on_event, on_closed, NULL, &error);
}

static int
setup(void **state)
{
    io = inv_io_thread_new();
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&qmp, inv_qmp_unref);
    if (peer)
        shutdown(peer_fd, SHUT_RDWR);
    g_clear_pointer(&peer, g_thread_join);
    if (peer_fd >= 0)
        close(peer_fd);
    peer_fd = -1;
    g_clear_pointer(&reply, inv_json_free);
    g_clear_error(&error);
    g_clear_pointer(&io, inv_io_thread_free);
    return 0;
}

typedef struct {
    const char *name;
    Script script;
    guint deadline_ms; /* 0: enough */
    int code;
    const char *message;
} CallCase;

static const CallCase call_cases[] = {
    { .name = "reply", .script = { GREETING }, .code = 0 },
    { .name = "blank lines", .script = { GREETING "\r\n", "\n \n" }, .code = 0 },
    { .name = "refused", .script = { GREETING, .answer = "{\"id\":2,\"error\":{\"class\":\"GenericError\",\"desc\":\"no luck\"}}\n" },
      .code = VIR_ERR_OPERATION_FAILED, .message = "QEMU refused 'query-x': no luck" },
    { .name = "unknown command", .script = { GREETING, .answer = "{\"id\":2,\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"?\"}}\n" },
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "QEMU refused 'query-x'" },
    { .name = "no answer", .script = { GREETING, .answer = "" }, .deadline_ms = 100, .code = VIR_ERR_OPERATION_TIMEOUT,
      .message = "did not answer 'query-x' within 100 ms" },
    { .name = "answer to another call", .script = { GREETING, .answer = "{\"return\":{},\"id\":77}\n" }, .deadline_ms = 100,
      .code = VIR_ERR_OPERATION_TIMEOUT, .message = "did not answer 'query-x'" },
    { .name = "hangs up", .script = { GREETING, .answer = "", .hang_up = TRUE }, .code = VIR_ERR_OPERATION_FAILED,
      .message = INV_QMP_HUNG_UP },
    { .name = "hangs up in a reply", .script = { GREETING, .answer = "{\"return\":", .hang_up = TRUE },
      .code = VIR_ERR_OPERATION_FAILED, .message = "in the middle of a message" },
    { .name = "garbage", .script = { GREETING, .answer = "hello\n" }, .code = VIR_ERR_OPERATION_FAILED, .message = "no QMP" },
    { .name = "JSON of no meaning", .script = { GREETING, .answer = "[1]\n" }, .code = VIR_ERR_OPERATION_FAILED,
      .message = "neither greeting, event nor reply" },
    { .name = "a second greeting", .script = { GREETING, .answer = GREETING }, .code = VIR_ERR_OPERATION_FAILED, .message = "twice" },
    { .name = "an error without id", .script = { GREETING, .answer = "{\"error\":{\"desc\":\"bad\"}}\n" },
      .code = VIR_ERR_OPERATION_FAILED, .message = "did not understand a command: bad" },
};

static void
call_ends_as_it_should(void **state)
{
    const CallCase *row = *state;
    gboolean ok;

    start(&row->script, DEADLINE_MS);
    assert_non_null(qmp);
    ok = inv_qmp_call(qmp, "query-x", NULL, row->deadline_ms ? row->deadline_ms : DEADLINE_MS, &reply, &error);
    assert_int_equal(ok, row->code == 0);
    if (ok) {
        assert_int_equal(inv_json_get_int(reply, "number", 0), 2);
        return;
    }
    assert_int_equal(inv_error_code(error), row->code);
    assert_non_null(strstr(error->message, row->message));
}

static void
missing_greeting_is_a_missed_deadline(void **state)
{
    static const Script silent = { "" };

    start(&silent, 100);
    assert_null(qmp);
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_TIMEOUT);
    assert_int_equal(closings, 0);
}

static void
events_arrive(void **state)
{
    static const Script with_event = { GREETING, "{\"event\":\"STOP\",\"timestamp\":{\"seconds\":5,\"microseconds\":7}}\n" };

    start(&with_event, DEADLINE_MS);
    assert_true(inv_qmp_call(qmp, "stop", NULL, DEADLINE_MS, NULL, &error));
    assert_int_equal(g_atomic_int_get(&events), 1);
}

static void
event_ends_a_wait(void **state)
{
    static const Script with_event = { GREETING, "{\"event\":\"STOP\",\"timestamp\":{\"seconds\":5,\"microseconds\":7}}\n" };
    static const Script ending = { GREETING, .answer = "", .hang_up = TRUE };

    start(&with_event, DEADLINE_MS);
    assert_int_equal(inv_qmp_events(qmp), 0);
    assert_false(inv_qmp_wait_event(qmp, 0, 50));
    assert_true(inv_qmp_call(qmp, "stop", NULL, DEADLINE_MS, NULL, &error));
    assert_true(inv_qmp_wait_event(qmp, 0, DEADLINE_MS));
    assert_int_equal(inv_qmp_events(qmp), 1);
    assert_false(inv_qmp_wait_event(qmp, 1, 50));
    teardown(NULL);
    setup(NULL);

    start(&ending, DEADLINE_MS);
    assert_false(inv_qmp_call(qmp, "query-x", NULL, DEADLINE_MS, NULL, NULL));
    assert_false(inv_qmp_wait_event(qmp, 0, DEADLINE_MS));
}

static void
end_is_told_once_and_not_after_close(void **state)
{
    static const Script ending = { GREETING, .answer = "", .hang_up = TRUE };
    static const Script good = { GREETING };

    start(&ending, DEADLINE_MS);
    assert_false(inv_qmp_call(qmp, "query-x", NULL, DEADLINE_MS, NULL, NULL));
    assert_false(inv_qmp_is_open(qmp));
    inv_qmp_close(qmp);
    assert_int_equal(closings, 1);
    teardown(NULL);
    setup(NULL);

    start(&good, DEADLINE_MS);
    inv_qmp_close(qmp);
    assert_int_equal(closings, 0);
    assert_false(inv_qmp_call(qmp, "query-x", NULL, DEADLINE_MS, NULL, &error));
    assert_non_null(strstr(error->message, "was closed"));
}

static gpointer
call_often(gpointer data)
{
    guint good = 0;

    for (guint i = 0; i < 50; i++)
        good += inv_qmp_call(qmp, "query-x", NULL, DEADLINE_MS, NULL, NULL);
    return GUINT_TO_POINTER(good);
}

static void
threads_call_at_once(void **state)
{
    static const Script good = { GREETING };
    GThread *threads[6];
    guint sum = 0;

    start(&good, DEADLINE_MS);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        threads[i] = g_thread_new("caller", call_often, NULL);
    for (guint i = 0; i < G_N_ELEMENTS(threads); i++)
        sum += GPOINTER_TO_UINT(g_thread_join(threads[i]));
    assert_int_equal(sum, 50 * G_N_ELEMENTS(threads));
}

static void
many_calls_in_one_go(void **state)
{
    static const Script good = { GREETING };
    InvQmpCommand commands[2000];
    InvJson *replies[G_N_ELEMENTS(commands)];
    guint in_order = 0;
    gboolean ok;

    for (guint i = 0; i < G_N_ELEMENTS(commands); i++)
        commands[i] = (InvQmpCommand){ "query-x", NULL };
    start(&good, DEADLINE_MS);
    ok = inv_qmp_call_many(qmp, commands, G_N_ELEMENTS(commands), DEADLINE_MS, replies, NULL, &error);
    for (guint i = 0; i < G_N_ELEMENTS(commands); i++) {
        in_order += inv_json_get_int(replies[i], "number", 0) == 2 + i;
        inv_json_free(replies[i]);
    }
    assert_true(ok);
    assert_int_equal(in_order, G_N_ELEMENTS(commands));
}

static gpointer
call_in_vain(gpointer data)
{
    return GINT_TO_POINTER(inv_qmp_call(qmp, "query-x", NULL, DEADLINE_MS, NULL, NULL));
}

static void
close_wakes_who_waits(void **state)
{
    static const Script silent = { GREETING, .answer = "" };
    gint64 begin = g_get_monotonic_time();
    GThread *waiter;

    start(&silent, DEADLINE_MS);
    waiter = g_thread_new("waiter", call_in_vain, NULL);
    assert_false(inv_qmp_call(qmp, "query-y", NULL, 100, NULL, NULL));
    inv_qmp_close(qmp);
    assert_int_equal(GPOINTER_TO_INT(g_thread_join(waiter)), FALSE);
    assert_true(g_get_monotonic_time() - begin < DEADLINE_MS * G_TIME_SPAN_MILLISECOND / 2);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(call_cases) + 7];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(call_cases); i++)
        tests[n++] = (struct CMUnitTest){ call_cases[i].name, call_ends_as_it_should, setup, teardown, (void *)&call_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(missing_greeting_is_a_missed_deadline, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(events_arrive, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(event_ends_a_wait, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(end_is_told_once_and_not_after_close, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(threads_call_at_once, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(many_calls_in_one_go, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(close_wakes_who_waits, setup, teardown);
    return cmocka_run_group_tests_name("qmp", tests, NULL, NULL);
}
