/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* What is said to a QEMU that migrates, and what is made of its answers: a fake QEMU of two versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu/migration.h"
#include "util/error.h"

#include <netinet/in.h>

#define GREETING "{\"QMP\":{\"version\":{\"qemu\":{\"major\":7,\"minor\":2,\"micro\":0},\"package\":\"\"},\"capabilities\":[]}}\r\n"
#define DEADLINE_MS 10000u
#define N_ANSWERS 4

#define ALL_7_2 "xbzrle auto-converge zero-blocks compress events postcopy-ram block return-path pause-before-switchover multifd " \
                "late-block-activate validate-uuid postcopy-preempt"
#define ALL_10_0 "xbzrle auto-converge zero-blocks events postcopy-ram return-path pause-before-switchover multifd " \
                 "late-block-activate validate-uuid postcopy-preempt switchover-ack dirty-limit mapped-ram"
#define ALL_PARAMETERS                                                                                                      \
    "{\"max-bandwidth\":134217728,\"max-postcopy-bandwidth\":0,\"downtime-limit\":300,\"cpu-throttle-initial\":20,"        \
    "\"cpu-throttle-increment\":10,\"xbzrle-cache-size\":67108864,\"multifd-channels\":2,\"multifd-compression\":\"none\"," \
    "\"multifd-zlib-level\":1,\"multifd-zstd-level\":1,\"tls-creds\":\"\"}"

/* What the fake QEMU answers to a command: a value for "return", or an error's text when it begins with '!'. */
typedef struct {
    const char *command;
    const char *answer;
} Answer;

static InvIoThread *io;
static InvQmp *qmp;
static GError *error;
static GThread *peer;
static int peer_fd = -1;
static const char *capabilities; /* words */
static const char *parameters;
static const Answer *answers;    /* N_ANSWERS; all else returns {} */
static GString *sent;            /* "command arguments\n" of all that changes something; read once peer has ended */

static char *
capability_list(void)
{
    g_auto(GStrv) words = g_strsplit(capabilities, " ", -1);
    GString *list = g_string_new(NULL);

    for (char **word = words; *word; word++)
        g_string_append_printf(list, "%s{\"capability\":\"%s\",\"state\":false}", list->len ? "," : "", *word);
    g_string_prepend(list, "[");
    g_string_append(list, "]");
    return g_string_free(list, FALSE);
}

static char *
answer_of(const char *command)
{
    if (strcmp(command, "query-migrate-capabilities") == 0)
        return capability_list();
    if (strcmp(command, "query-migrate-parameters") == 0)
        return g_strdup(parameters);
    for (guint i = 0; answers && i < N_ANSWERS && answers[i].command; i++) {
        if (strcmp(answers[i].command, command) == 0)
            return g_strdup(answers[i].answer);
    }
    return g_strdup("{}");
}

static void
send_text(const char *text)
{
    gsize length = strlen(text);

    while (length) {
        ssize_t done = send(peer_fd, text, length, MSG_NOSIGNAL);

        if (done <= 0)
            return;
        text += done;
        length -= (gsize)done;
    }
}

static gpointer
run_peer(gpointer data)
{
    g_autofree char *line = NULL;
    size_t size = 0;
    FILE *stream = fdopen(dup(peer_fd), "r");

    send_text(GREETING);
    while (getline(&line, &size, stream) > 0) {
        g_autoptr(InvJson) message = inv_json_parse(line, strlen(line), NULL);
        const char *command = inv_json_get_string(message, "execute");
        const InvJson *arguments = inv_json_get(message, "arguments");
        g_autofree char *text = arguments ? inv_json_format(arguments, FALSE) : g_strdup("");
        g_autofree char *answer = answer_of(command);
        g_autofree char *reply = NULL;
        int id = (int)inv_json_get_int(message, "id", 0);

        if (!g_str_has_prefix(command, "query-") && strcmp(command, "qmp_capabilities") != 0)
            g_string_append_printf(sent, "%s %s\n", command, text);
        if (*answer == '!')
            reply = g_strdup_printf("{\"error\":{\"class\":\"GenericError\",\"desc\":\"%s\"},\"id\":%d}\n", answer + 1, id);
        else
            reply = g_strdup_printf("{\"return\":%s,\"id\":%d}\n", answer, id);
        send_text(reply);
    }
    fclose(stream);
    return NULL;
}

static int
setup(void **state)
{
    int pair[2];

    capabilities = ALL_7_2;
    parameters = ALL_PARAMETERS;
    answers = NULL;
    sent = g_string_new(NULL);
    io = inv_io_thread_new();
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    peer_fd = pair[1];
    peer = g_thread_new("peer", run_peer, NULL);
    qmp = inv_qmp_new(io, pair[0], DEADLINE_MS, NULL, NULL, NULL, &error);
    return qmp ? 0 : -1;
}

/* Ends the conversation: what was sent can be read then. */
static const char *
said(void)
{
    g_clear_pointer(&qmp, inv_qmp_unref);
    shutdown(peer_fd, SHUT_RDWR);
    g_clear_pointer(&peer, g_thread_join);
    return sent->str;
}

static int
teardown(void **state)
{
    if (peer)
        said();
    close(peer_fd);
    g_string_free(sent, TRUE);
    g_clear_error(&error);
    g_clear_pointer(&io, inv_io_thread_free);
    return 0;
}

typedef struct {
    const char *name;
    InvMigrationSettings settings;
    gboolean incoming;
    const char *capabilities; /* NULL: ALL_7_2 */
    const char *parameters;   /* NULL: ALL_PARAMETERS */
    const char *has[4];       /* parts of what is sent */
    const char *lacks[3];     /* and what is not */
    int code;                 /* 0: it succeeds */
    const char *message;
    const Answer answers[N_ANSWERS];
} ConfigureCase;

#define ON(name) "{\"capability\":\"" name "\",\"state\":true}"
#define OFF(name) "{\"capability\":\"" name "\",\"state\":false}"

static const ConfigureCase configure_cases[] = {
    { .name = "plain source", .settings = { .pause_before_switchover = TRUE },
      .has = { ON("events") "," ON("return-path") "," ON("validate-uuid") "," OFF("late-block-activate") ","
               ON("pause-before-switchover") "," OFF("postcopy-ram") "," OFF("auto-converge") "," OFF("xbzrle") "," OFF("multifd"),
               "migrate-set-parameters {\"max-bandwidth\":0}\n" } },
    { .name = "plain destination", .settings = { .pause_before_switchover = TRUE, .bandwidth = 5, .downtime_ms = 5 }, .incoming = TRUE,
      .has = { ON("late-block-activate"), OFF("pause-before-switchover") }, .lacks = { "migrate-set-parameters" } },
    { .name = "what a QEMU has not is not spoken of", .settings = { .bandwidth = 1 }, .capabilities = "events xbzrle",
      .has = { ":[" ON("events") "," OFF("xbzrle") "]" } },
    { .name = "10.0", .settings = { .pause_before_switchover = TRUE }, .capabilities = ALL_10_0, .has = { ON("validate-uuid") },
      .lacks = { "switchover-ack", "dirty-limit", "block\"" } },
    { .name = "a tunnel has no way back", .settings = { .one_way = TRUE }, .has = { OFF("return-path") } },
    { .name = "all of the source's figures",
      .settings = { .postcopy = TRUE, .auto_converge = TRUE, .throttle_initial = 33, .xbzrle = TRUE, .xbzrle_cache = 1 << 20,
                    .bandwidth = G_GUINT64_CONSTANT(1) << 40, .postcopy_bandwidth = 7, .downtime_ms = 42 },
      .has = { "{\"max-bandwidth\":1099511627776,\"max-postcopy-bandwidth\":7,\"downtime-limit\":42,\"cpu-throttle-initial\":33,"
               "\"cpu-throttle-increment\":10,\"xbzrle-cache-size\":1048576}", ON("postcopy-ram"), ON("auto-converge"), ON("xbzrle") } },
    { .name = "multifd at the destination", .settings = { .multifd_channels = 4 }, .incoming = TRUE,
      .has = { ON("multifd"), "{\"multifd-channels\":4,\"multifd-compression\":\"none\"}" } },
    { .name = "multifd with zstd", .settings = { .multifd_channels = 2, .multifd_compression = (char *)"zstd", .multifd_level = 9 },
      .has = { "\"multifd-compression\":\"zstd\",\"multifd-zstd-level\":9,\"max-bandwidth\":0" } },
    { .name = "multifd with zlib, its usual level",
      .settings = { .multifd_channels = 2, .multifd_compression = (char *)"zlib", .multifd_level = -1 }, .incoming = TRUE,
      .has = { "\"multifd-compression\":\"zlib\",\"multifd-zlib-level\":1}" } },
    { .name = "an unknown compression", .settings = { .multifd_channels = 2, .multifd_compression = (char *)"lzo" },
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "'multifd-lzo-level' is not supported" },
    { .name = "a compression it was built without", .settings = { .multifd_channels = 2, .multifd_compression = (char *)"zstd" },
      .answers = { { "migrate-set-parameters", "!Parameter 'multifd-compression' does not accept value 'zstd'" } },
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "does not accept value 'zstd'" },
    { .name = "a compression and one connection", .settings = { .multifd_compression = (char *)"zlib" },
      .code = VIR_ERR_INVALID_ARG, .message = "needs several connections" },
    { .name = "no postcopy", .settings = { .postcopy = TRUE }, .capabilities = "events multifd",
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "'postcopy-ram' is not supported by this QEMU" },
    { .name = "no pause", .settings = { .pause_before_switchover = TRUE }, .capabilities = "events",
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "'pause-before-switchover'" },
    { .name = "no postcopy bandwidth", .settings = { .postcopy = TRUE }, .parameters = "{\"max-bandwidth\":1}",
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "'max-postcopy-bandwidth' is not supported by this QEMU" },
    { .name = "postcopy and multifd", .settings = { .postcopy = TRUE, .multifd_channels = 2 },
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "postcopy together with several connections" },
    { .name = "postcopy in a tunnel", .settings = { .postcopy = TRUE, .one_way = TRUE },
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "in one direction" },
    { .name = "no userfaultfd", .settings = { .postcopy = TRUE },
      .answers = { { "migrate-set-capabilities", "!Postcopy is not supported" } },
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "vm.unprivileged_userfaultfd=1" },
    { .name = "refused", .answers = { { "migrate-set-capabilities", "!There's a migration process in progress" } },
      .code = VIR_ERR_OPERATION_FAILED, .message = "QEMU refused 'migrate-set-capabilities': There's a migration process in progress" },
    { .name = "answers of another type", .settings = { .bandwidth = 1 }, .capabilities = "events", .parameters = "[1]",
      .code = VIR_ERR_OPERATION_UNSUPPORTED, .message = "'max-bandwidth'" },
};

static void
settings_become_words(void **state)
{
    const ConfigureCase *row = *state;
    gboolean ok;

    capabilities = row->capabilities ? row->capabilities : ALL_7_2;
    parameters = row->parameters ? row->parameters : ALL_PARAMETERS;
    answers = row->answers;
    ok = inv_migration_configure(qmp, &row->settings, row->incoming, DEADLINE_MS, &error);
    if (ok != (row->code == 0))
        fail_msg("%s", error ? error->message : "it succeeded");
    if (row->code) {
        assert_int_equal(inv_error_code(error), row->code);
        assert_non_null(strstr(error->message, row->message));
        return;
    }
    said();
    for (gsize i = 0; i < G_N_ELEMENTS(row->has) && row->has[i]; i++) {
        if (!strstr(sent->str, row->has[i]))
            fail_msg("%s is not in: %s", row->has[i], sent->str);
    }
    for (gsize i = 0; i < G_N_ELEMENTS(row->lacks) && row->lacks[i]; i++)
        assert_null(strstr(sent->str, row->lacks[i]));
}

static void
steps_are_commands(void **state)
{
    gboolean in_use = TRUE;

    assert_true(inv_migration_listen(qmp, "unix:/m", &in_use, DEADLINE_MS, &error));
    assert_false(in_use);
    assert_true(inv_migration_listen_recover(qmp, "unix:/n", DEADLINE_MS, &error));
    assert_true(inv_migration_start(qmp, "unix:/x", FALSE, DEADLINE_MS, &error));
    assert_true(inv_migration_start(qmp, "unix:/y", TRUE, DEADLINE_MS, &error));
    assert_true(inv_migration_continue(qmp, DEADLINE_MS, &error));
    assert_true(inv_migration_start_postcopy(qmp, DEADLINE_MS, &error));
    assert_true(inv_migration_pause_postcopy(qmp, DEADLINE_MS, &error));
    assert_true(inv_migration_cancel(qmp, DEADLINE_MS, &error));
    assert_true(inv_migration_set_parameter(qmp, "downtime-limit", 12, DEADLINE_MS, &error));
    assert_string_equal(said(), "migrate-incoming {\"uri\":\"unix:/m\"}\n"
                                "migrate-recover {\"uri\":\"unix:/n\"}\n"
                                "migrate {\"uri\":\"unix:/x\"}\n"
                                "migrate {\"uri\":\"unix:/y\",\"resume\":true}\n"
                                "migrate-continue {\"state\":\"pre-switchover\"}\n"
                                "migrate-start-postcopy \n"
                                "migrate-pause \n"
                                "migrate_cancel \n"
                                "migrate-set-parameters {\"downtime-limit\":12}\n");
}

static void
taken_address_is_told_apart(void **state)
{
    static const Answer taken[N_ANSWERS] = { { "migrate-incoming", "!Failed to bind socket: Address already in use" } };
    static const Answer bad[N_ANSWERS] = { { "migrate-incoming", "!Failed to bind socket: Permission denied" } };
    gboolean in_use;

    answers = taken;
    assert_false(inv_migration_listen(qmp, "unix:/m", &in_use, DEADLINE_MS, &error));
    assert_true(in_use);
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_FAILED);
    assert_non_null(strstr(error->message, "cannot wait for a migration on 'unix:/m': "));
    answers = bad;
    assert_false(inv_migration_listen(qmp, "unix:/m", &in_use, DEADLINE_MS, NULL));
    assert_false(in_use);
    assert_false(inv_migration_listen(qmp, "unix:/m", NULL, DEADLINE_MS, NULL));
}

/* Before QEMU is asked: one that has failed once may not listen again. */
static void
taken_address_is_not_tried(void **state)
{
    struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof at;
    g_autofree char *address = NULL;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    gboolean in_use = FALSE;

    assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &length), 0);
    address = inv_migration_address_tcp("127.0.0.1", ntohs(at.sin_port));
    assert_false(inv_migration_listen(qmp, address, &in_use, DEADLINE_MS, &error));
    assert_true(in_use);
    assert_true(inv_migration_address_in_use(address));
    assert_non_null(strstr(error->message, "is in use"));
    close(fd);
    assert_false(inv_migration_address_in_use(address));
    assert_false(inv_migration_address_in_use("unix:/m"));
    assert_string_equal(said(), "");
}

static void
postcopy_is_not_cancelled(void **state)
{
    static const char *const states[] = { "postcopy-active", "postcopy-paused", "postcopy-recover", "postcopy-recover-setup" };

    for (gsize i = 0; i < G_N_ELEMENTS(states); i++) {
        g_autofree char *reply = g_strdup_printf("{\"status\":\"%s\"}", states[i]);
        const Answer in_postcopy[N_ANSWERS] = { { "query-migrate", reply } };

        answers = in_postcopy;
        assert_false(inv_migration_cancel(qmp, DEADLINE_MS, &error));
        assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_INVALID);
        g_clear_error(&error);
    }
    assert_string_equal(said(), "");
}

static void
parameters_are_read(void **state)
{
    guint64 value = 0;

    assert_true(inv_migration_get_parameter(qmp, "max-bandwidth", &value, DEADLINE_MS, &error));
    assert_int_equal(value, 134217728);
    assert_false(inv_migration_get_parameter(qmp, "tls-creds", &value, DEADLINE_MS, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_FAILED);
    g_clear_error(&error);
    assert_false(inv_migration_set_parameter(qmp, "no-such", 1, DEADLINE_MS, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_UNSUPPORTED);
    assert_non_null(strstr(error->message, "'no-such' is not supported"));
    assert_string_equal(said(), "");
}

static void
progress_is_read(void **state)
{
    static const Answer whole[N_ANSWERS] = { { "query-migrate",
        "{\"status\":\"completed\",\"setup-time\":3,\"downtime\":12,\"total-time\":900,\"expected-downtime\":300,"
        "\"cpu-throttle-percentage\":30,\"ram\":{\"total\":553459712,\"transferred\":5,\"remaining\":6,\"duplicate\":7,\"normal\":8,"
        "\"normal-bytes\":9,\"mbps\":268.435456,\"dirty-sync-count\":4,\"dirty-pages-rate\":11,\"postcopy-requests\":2,"
        "\"page-size\":4096},\"xbzrle-cache\":{\"cache-size\":67108864,\"bytes\":1,\"pages\":2,\"cache-miss\":3,\"overflow\":4,"
        "\"cache-miss-rate\":0.5,\"encoding-rate\":0.1}}" } };
    InvMigrationProgress progress;

    answers = whole;
    assert_true(inv_migration_query(qmp, &progress, DEADLINE_MS, &error));
    assert_int_equal(progress.state, INV_MIGRATION_COMPLETED);
    assert_int_equal(progress.total, 553459712);
    assert_int_equal(progress.transferred + progress.remaining, 11);
    assert_int_equal(progress.duplicate_pages, 7);
    assert_int_equal(progress.normal_pages, 8);
    assert_int_equal(progress.normal_bytes, 9);
    assert_int_equal(progress.page_size, 4096);
    assert_int_equal(progress.dirty_rate, 11);
    assert_int_equal(progress.iterations, 4);
    assert_int_equal(progress.postcopy_requests, 2);
    assert_int_equal(progress.bps, 33554432);
    assert_int_equal(progress.total_ms, 900);
    assert_int_equal(progress.setup_ms, 3);
    assert_int_equal(progress.expected_downtime_ms, 300);
    assert_true(progress.has_downtime);
    assert_int_equal(progress.downtime_ms, 12);
    assert_int_equal(progress.throttle, 30);
    assert_int_equal(progress.xbzrle_cache, 67108864);
    assert_int_equal(progress.xbzrle_bytes + progress.xbzrle_pages * 10, 21);
    assert_int_equal(progress.xbzrle_cache_miss + progress.xbzrle_overflow * 10, 43);
    assert_null(progress.error);
    inv_migration_progress_clear(&progress);
}

typedef struct {
    const char *name;
    const char *reply;
    gboolean fails;
    InvMigrationState state;
    const char *error; /* of QEMU */
} StateCase;

static const StateCase state_cases[] = {
    { "nothing yet", "{}", FALSE, INV_MIGRATION_NONE, NULL },
    { "failed with a reason", "{\"status\":\"failed\",\"error-desc\":\"Connection refused\"}", FALSE, INV_MIGRATION_FAILED,
      "Connection refused" },
    { "pre-switchover", "{\"status\":\"pre-switchover\"}", FALSE, INV_MIGRATION_PRE_SWITCHOVER, NULL },
    { "a step of 9.1", "{\"status\":\"postcopy-recover-setup\"}", FALSE, INV_MIGRATION_POSTCOPY_RECOVER, NULL },
    { "figures of another type", "{\"status\":\"active\",\"ram\":{\"total\":-5,\"mbps\":\"fast\",\"remaining\":1.5},\"downtime\":[]}",
      FALSE, INV_MIGRATION_ACTIVE, NULL },
    { "a rate that cannot be", "{\"status\":\"active\",\"ram\":{\"mbps\":1e300}}", FALSE, INV_MIGRATION_ACTIVE, NULL },
    { "no object", "[]", FALSE, INV_MIGRATION_NONE, NULL },
    { "an unknown state", "{\"status\":\"colo\"}", TRUE, INV_MIGRATION_NONE, NULL },
};

static void
state_is_read(void **state)
{
    const StateCase *row = *state;
    const Answer answer[N_ANSWERS] = { { "query-migrate", row->reply } };
    InvMigrationProgress progress;

    answers = answer;
    assert_int_equal(inv_migration_query(qmp, &progress, DEADLINE_MS, &error), !row->fails);
    if (row->fails) {
        assert_non_null(strstr(error->message, "'colo'"));
        return;
    }
    assert_int_equal(progress.state, row->state);
    assert_int_equal(progress.total + progress.remaining + progress.bps + progress.downtime_ms, 0);
    if (row->error)
        assert_string_equal(progress.error, row->error);
    else
        assert_null(progress.error);
    inv_migration_progress_clear(&progress);
}

static void
states_have_words(void **state)
{
    InvMigrationState got;

    for (InvMigrationState i = INV_MIGRATION_NONE; i <= INV_MIGRATION_CANCELLED; i++) {
        assert_true(inv_migration_state_from_string(inv_migration_state_to_string(i), &got));
        assert_int_equal(got, i);
    }
    assert_false(inv_migration_state_from_string("", &got));
    assert_false(inv_migration_state_from_string(NULL, &got));
}

typedef struct {
    const char *uri;
    const char *host, *path;
    guint port;
    const char *message; /* NULL: it is one */
} UriCase;

static const UriCase uri_cases[] = {
    { "tcp:beta:49152", "beta", NULL, 49152, NULL },
    { "tcp:beta", "beta", NULL, 0, NULL },
    { "tcp://beta", "beta", NULL, 0, NULL },
    { "tcp://beta/", "beta", NULL, 0, NULL },
    { "tcp://192.0.2.7:1", "192.0.2.7", NULL, 1, NULL },
    { "tcp:[2001:db8::1]:5", "2001:db8::1", NULL, 5, NULL },
    { "tcp://[::]", "::", NULL, 0, NULL },
    { "tcp://[fe80::1%25eth0]:5", "fe80::1%eth0", NULL, 5, NULL },
    { "unix:/run/x", NULL, "/run/x", 0, NULL },
    { "unix:///run/x%20y", NULL, "/run/x y", 0, NULL },
    { "", NULL, NULL, 0, "only tcp:host:port and unix:/path" },
    { "rdma://beta", NULL, NULL, 0, "only tcp:host:port" },
    { "exec:reboot", NULL, NULL, 0, "only tcp:host:port" },
    { "tcp:", NULL, NULL, 0, "the host must be" },
    { "tcp://", NULL, NULL, 0, "the host must be" },
    { "tcp:beta:", NULL, NULL, 0, "the port must be" },
    { "tcp:beta:0", NULL, NULL, 0, "the port must be" },
    { "tcp:beta:65536", NULL, NULL, 0, "the port must be" },
    { "tcp:beta:1,ipv4=on", NULL, NULL, 0, "the port must be" },
    { "tcp:beta,to=9:1", NULL, NULL, 0, "the host must be" },
    { "tcp:beta%2Cto=9:1", NULL, NULL, 0, "the host must be" },
    { "tcp:-beta:1", NULL, NULL, 0, "the host must be" },
    { "tcp:[::1:5", NULL, NULL, 0, "not closed" },
    { "tcp:[beta]:5", NULL, NULL, 0, "no IPv6 address" },
    { "tcp:[::1]5", NULL, NULL, 0, "only a port may follow" },
    { "tcp:::1:5", NULL, NULL, 0, "the host must be" },
    { "tcp://beta:5/path", NULL, NULL, 0, "the port must be" },
    { "tcp://beta%0", NULL, NULL, 0, "percent-encoding" },
    { "unix:run/x", NULL, NULL, 0, "must be absolute" },
    { "unix://host/x", NULL, NULL, 0, "must be absolute" },
    { "unix:///x%00y", NULL, NULL, 0, "percent-encoding" },
    { "unix:/0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678", NULL, NULL,
      0, "too long" },
    { "\xff", NULL, NULL, 0, "only tcp:host:port" },
};

static void
uri_is_taken_apart(void **state)
{
    const UriCase *row = *state;
    g_autofree char *host = NULL;
    g_autofree char *path = NULL;
    guint port = 77;
    gboolean ok = inv_migration_uri_parse(row->uri, &host, &port, &path, &error);

    assert_int_equal(ok, row->message == NULL);
    assert_int_equal(g_strcmp0(host, row->host), 0);
    assert_int_equal(g_strcmp0(path, row->path), 0);
    if (ok) {
        assert_int_equal(port, row->port);
        return;
    }
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    assert_true(g_utf8_validate(error->message, -1, NULL));
    if (!strstr(error->message, row->message))
        fail_msg("%s", error->message);
    g_clear_error(&error);
}

static void
address_is_written(void **state)
{
    g_autofree char *six = inv_migration_address_tcp("::", 5);
    g_autofree char *name = inv_migration_address_tcp("beta", 49152);

    assert_string_equal(six, "tcp:[::]:5");
    assert_string_equal(name, "tcp:beta:49152");
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(configure_cases) + G_N_ELEMENTS(state_cases) + G_N_ELEMENTS(uri_cases) + 8];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(configure_cases); i++)
        tests[n++] = (struct CMUnitTest){ configure_cases[i].name, settings_become_words, setup, teardown, (void *)&configure_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(state_cases); i++)
        tests[n++] = (struct CMUnitTest){ state_cases[i].name, state_is_read, setup, teardown, (void *)&state_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(uri_cases); i++)
        tests[n++] = (struct CMUnitTest){ uri_cases[i].uri, uri_is_taken_apart, NULL, NULL, (void *)&uri_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(steps_are_commands, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(taken_address_is_told_apart, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(taken_address_is_not_tried, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(postcopy_is_not_cancelled, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(parameters_are_read, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(progress_is_read, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(states_have_words);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(address_is_written);
    return cmocka_run_group_tests_name("migration", tests, NULL, NULL);
}
