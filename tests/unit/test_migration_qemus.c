/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Migrations between two real QEMUs, also of two versions where there is a second one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "qemu/migration.h"
#include "qemu/migration_copy.h"
#include "qemu/process.h"
#include "util/error.h"
#include "util/fd.h"

#include <glib/gstdio.h>
#include <netinet/in.h>
#include <unistd.h>

#define DEADLINE_MS 30000u
#define MACHINE "pc-q35-7.2" /* both know it */
#define CAPACITY (8u * 1024 * 1024)

typedef struct {
    InvProcess *process;
    InvQmp *qmp;
} Side;

static InvIoThread *io;
static char *folder;
static char *emulators[2]; /* this host's; the second one, or NULL */
static Side source, destination;
static InvDomain *domains[2];
static GPtrArray *disks[2];
static GError *error;

static char *
path_of(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static char *
tail_of(const char *log)
{
    g_autofree char *path = path_of(log);

    return inv_process_log_tail(path, 0, 400);
}

/* The test's end, with what the QEMUs said. */
static void
give_up(const char *why)
{
    g_autofree char *from = folder ? tail_of("from.log") : g_strdup("");
    g_autofree char *to = folder ? tail_of("to.log") : g_strdup("");

    print_error("source: %s\ndestination: %s\n", from, to);
    fail_msg("%s", why);
}

static void
must(gboolean ok)
{
    if (!ok)
        give_up(error ? error->message : "no error was set");
}

static char *
find_second(void)
{
    const char *said = g_getenv("INVAR_SECOND_QEMU");
    g_autofree char *place = said && *said ? g_strdup(said) : g_build_filename(g_getenv("INVAR_TOP_BUILDDIR"), "second-qemu", NULL);
    g_autofree char *inside = g_build_filename(place, "qemu-system-x86_64", NULL);

    if (g_file_test(inside, G_FILE_TEST_IS_EXECUTABLE))
        return g_steal_pointer(&inside);
    return g_file_test(place, G_FILE_TEST_IS_REGULAR) ? g_steal_pointer(&place) : NULL;
}

/* With the sandbox that Invar puts every guest in, since postcopy asks the kernel for more than the rest. */
static void
start_side(Side *side, const char *emulator, const char *log, const char *image, gboolean incoming)
{
    g_autofree char *log_path = path_of(log);
    g_autofree char *file = g_strdup_printf("driver=file,node-name=disk0-storage,filename=%s,discard=unmap", image);
    int pair[2];
    g_autofree char *monitor = NULL;
    const char *arguments[] = {
        emulator, "-S", "-no-user-config", "-nodefaults", "-machine", MACHINE ",accel=tcg", "-cpu", "qemu64", "-m", "32",
        "-uuid", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "-display", "none",
        "-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny", "-no-shutdown",
        "-blockdev", file, "-blockdev", "driver=raw,node-name=disk0-format,file=disk0-storage",
        "-device", "virtio-blk-pci,id=virtio-disk0,drive=disk0-format", "-chardev", "", "-mon", "chardev=charmonitor,mode=control",
        incoming ? "-incoming" : NULL, "defer", NULL,
    };
    InvProcessSpec spec = { .argv = arguments, .n_inherit_fds = 1, .log_path = log_path, .uid = (uid_t)-1, .gid = (gid_t)-1 };

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    monitor = g_strdup_printf("socket,id=charmonitor,fd=%d", pair[1]);
    for (const char **argument = arguments; *argument; argument++) {
        if (**argument == '\0')
            *argument = monitor;
    }
    spec.inherit_fds = &pair[1];
    side->process = inv_process_spawn(io, &spec, NULL, NULL, &error);
    close(pair[1]);
    side->qmp = inv_qmp_new(io, pair[0], DEADLINE_MS, NULL, NULL, NULL, &error);
    must(side->process && side->qmp);
}

static void
stop_side(Side *side)
{
    if (side->process)
        inv_process_kill(side->process, 0, NULL);
    g_clear_pointer(&side->qmp, inv_qmp_unref);
    g_clear_pointer(&side->process, inv_process_unref);
}

static InvDomain *
make_domain(const char *image)
{
    g_autofree char *xml = g_strdup_printf(
        "<domain type='qemu'><name>moving</name><memory>32768</memory><os><type arch='x86_64' machine='" MACHINE "'>hvm</type></os>"
        "<devices><disk type='file' device='disk'><driver name='qemu' type='raw'/><source file='%s'/>"
        "<target dev='vda' bus='virtio'/></disk></devices></domain>", image);
    InvDomain *domain = inv_domain_parse(xml, &error);

    must(domain && inv_domain_complete(domain, "x86_64", MACHINE, &error));
    return domain;
}

static int
group_setup(void **state)
{
    emulators[0] = g_find_program_in_path("qemu-system-x86_64");
    emulators[1] = find_second();
    io = inv_io_thread_new();
    return 0;
}

static int
group_teardown(void **state)
{
    g_clear_pointer(&io, inv_io_thread_free);
    g_clear_pointer(&emulators[0], g_free);
    g_clear_pointer(&emulators[1], g_free);
    return 0;
}

typedef struct {
    const char *name;
    guint from, to; /* of emulators */
    InvMigrationSettings settings;
    gboolean tcp;   /* else over a UNIX socket */
    gboolean copy;  /* of the disk, too */
} MoveCase;

static int
teardown(void **state)
{
    stop_side(&source);
    stop_side(&destination);
    for (guint i = 0; i < 2; i++) {
        g_clear_pointer(&domains[i], inv_domain_free);
        g_clear_pointer(&disks[i], g_ptr_array_unref);
    }
    if (folder) {
        g_autoptr(GDir) dir = g_dir_open(folder, 0, NULL);

        for (const char *name = dir ? g_dir_read_name(dir) : NULL; name; name = g_dir_read_name(dir)) {
            g_autofree char *path = path_of(name);

            g_unlink(path);
        }
        assert_int_equal(g_rmdir(folder), 0);
    }
    g_clear_pointer(&folder, g_free);
    g_clear_error(&error);
    return 0;
}

static void
start_destination(guint to)
{
    g_autofree char *image = path_of("to.raw");

    start_side(&destination, emulators[to], "to.log", image, TRUE);
}

/* Both QEMUs with an image each, the source's of random words, its guest running. FALSE: there is no such QEMU. */
static gboolean
start_both(guint from, guint to)
{
    g_autofree char *from_image = NULL;
    g_autofree char *to_image = NULL;
    g_autofree guint32 *words = g_new(guint32, CAPACITY / sizeof(guint32));
    GStrv made = NULL;

    if (!emulators[from] || !emulators[to])
        return FALSE;
    folder = g_dir_make_tmp("invar-move-XXXXXX", &error);
    must(folder != NULL);
    from_image = path_of("from.raw");
    to_image = path_of("to.raw");
    for (guint i = 0; i < CAPACITY / sizeof *words; i++)
        words[i] = g_random_int();
    must(g_file_set_contents(from_image, (const char *)words, CAPACITY, &error));
    domains[0] = make_domain(from_image);
    domains[1] = make_domain(to_image);
    for (guint i = 0; i < 2; i++) {
        disks[i] = inv_migration_copied_disks(domains[i], NULL, &error);
        must(disks[i] != NULL);
        assert_int_equal(disks[i]->len, 1);
    }
    start_side(&source, emulators[from], "from.log", from_image, FALSE);
    must(inv_migration_copy_capacities(source.qmp, disks[0], DEADLINE_MS, &error));
    ((InvCopiedDisk *)g_ptr_array_index(disks[1], 0))->capacity = ((InvCopiedDisk *)g_ptr_array_index(disks[0], 0))->capacity;
    must(inv_migration_copy_prepare_images(domains[1], disks[1], FALSE, (uid_t)-1, (gid_t)-1, &made, &error));
    assert_string_equal(made[0], to_image);
    g_strfreev(made);
    start_destination(to);
    must(inv_qmp_call(source.qmp, "cont", NULL, DEADLINE_MS, NULL, &error));
    return TRUE;
}

static void
wait_state(InvQmp *qmp, InvMigrationState wanted)
{
    gint64 end = g_get_monotonic_time() + DEADLINE_MS * G_TIME_SPAN_MILLISECOND;

    for (;;) {
        guint64 seen = inv_qmp_events(qmp);
        InvMigrationProgress progress;
        InvMigrationState state;
        g_autofree char *why = NULL;
        gint64 left = (end - g_get_monotonic_time()) / G_TIME_SPAN_MILLISECOND;

        must(inv_migration_query(qmp, &progress, DEADLINE_MS, &error));
        state = progress.state;
        why = g_strdup(progress.error);
        inv_migration_progress_clear(&progress);
        if (state == wanted)
            return;
        if (state == INV_MIGRATION_FAILED || left <= 0 || !inv_qmp_wait_event(qmp, seen, (guint)left)) {
            g_autofree char *text = g_strdup_printf("'%s' was waited for, it is '%s' (%s)", inv_migration_state_to_string(wanted),
                                                    inv_migration_state_to_string(state), why ? why : "");

            give_up(text);
        }
    }
}

/* Waits for it: QEMU's state of the guest follows that of the migration. */
static void
assert_status(InvQmp *qmp, const char *expected)
{
    gint64 end = g_get_monotonic_time() + DEADLINE_MS * G_TIME_SPAN_MILLISECOND;

    for (;;) {
        guint64 seen = inv_qmp_events(qmp);
        g_autoptr(InvJson) reply = NULL;
        const char *status;

        must(inv_qmp_call(qmp, "query-status", NULL, DEADLINE_MS, &reply, &error));
        status = inv_json_get_string(reply, "status");
        if (g_strcmp0(status, expected) == 0)
            return;
        if (g_strcmp0(status, "finish-migrate") != 0 || g_get_monotonic_time() > end)
            give_up(status);
        inv_qmp_wait_event(qmp, seen, 5);
    }
}

/* A port of the loopback address that a listening socket of ours holds; *@fd keeps it. */
static guint
hold_port(int *fd)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
    socklen_t length = sizeof address;

    *fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(*fd >= 0);
    assert_int_equal(bind(*fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(*fd, 1), 0);
    assert_int_equal(getsockname(*fd, (struct sockaddr *)&address, &length), 0);
    return ntohs(address.sin_port);
}

/* Where the destination listens: tried first on an address that is taken. */
static char *
listen_somewhere(gboolean tcp)
{
    inv_autofd int fd = -1;
    guint taken = tcp ? hold_port(&fd) : 0;
    g_autofree char *busy = tcp ? inv_migration_address_tcp("127.0.0.1", taken) : NULL;
    g_autofree char *socket_path = path_of("move.sock");
    gboolean in_use = FALSE;

    if (!tcp) {
        char *address = g_strconcat("unix:", socket_path, NULL);

        must(inv_migration_listen(destination.qmp, address, &in_use, DEADLINE_MS, &error));
        return address;
    }
    assert_false(inv_migration_listen(destination.qmp, busy, &in_use, DEADLINE_MS, &error));
    assert_true(in_use);
    g_clear_error(&error);
    for (guint port = taken == 65535 ? 1024 : taken + 1;; port++) {
        char *address = inv_migration_address_tcp("127.0.0.1", port);
        gboolean ok = inv_migration_listen(destination.qmp, address, &in_use, DEADLINE_MS, &error);

        if (ok)
            return address;
        g_free(address);
        if (!in_use)
            must(FALSE);
        g_clear_error(&error);
    }
}

/* What a guest writes while its disk is being copied: through QEMU's own device. */
static void
write_disk(void)
{
    g_autoptr(InvJson) arguments = inv_json_new_object();
    g_autoptr(InvJson) reply = NULL;

    inv_json_object_set_string(arguments, "command-line",
                               "qemu-io -d /machine/peripheral/virtio-disk0/virtio-backend \"write -P 77 1M 64k\"");
    must(inv_qmp_call(source.qmp, "human-monitor-command", arguments, DEADLINE_MS, &reply, &error));
}

static void
assert_images_are_the_same(void)
{
    g_autofree char *from_path = path_of("from.raw");
    g_autofree char *to_path = path_of("to.raw");
    g_autofree char *from = NULL;
    g_autofree char *to = NULL;
    gsize from_length, to_length;

    must(g_file_get_contents(from_path, &from, &from_length, &error) && g_file_get_contents(to_path, &to, &to_length, &error));
    assert_int_equal(from_length, CAPACITY);
    assert_int_equal(to_length, CAPACITY);
    assert_int_equal(from[1024 * 1024], 77);
    assert_int_equal(memcmp(from, to, CAPACITY), 0);
}

/* Over TCP the first port that is offered is taken. */
static void
start_copy(gboolean tcp)
{
    g_autofree char *socket_path = tcp ? NULL : path_of("copy.sock");
    inv_autofd int fd = -1;
    guint first = tcp ? hold_port(&fd) : 0;
    guint port = 0;
    gint64 end = g_get_monotonic_time() + DEADLINE_MS * G_TIME_SPAN_MILLISECOND;
    gboolean ready = FALSE;
    guint64 total = 0;
    guint64 done = 0;

    must(inv_migration_copy_serve(destination.qmp, disks[1], "127.0.0.1", first, first + 50, socket_path, &port, DEADLINE_MS, &error));
    assert_true(tcp ? port > first && port <= first + 50 : port == 0);
    must(inv_migration_copy_start(source.qmp, disks[0], "127.0.0.1", port, socket_path, FALSE, 0, DEADLINE_MS, &error));
    while (!ready) {
        guint64 seen = inv_qmp_events(source.qmp);

        must(inv_migration_copy_query(source.qmp, disks[0], &ready, &total, &done, DEADLINE_MS, &error));
        if (!ready && (g_get_monotonic_time() > end || !inv_qmp_wait_event(source.qmp, seen, DEADLINE_MS)))
            fail_msg("the copy does not become ready");
    }
    assert_true(total >= CAPACITY);
    assert_int_equal(done, total);
    write_disk();
}

static void
assert_no_copy_is_left(void)
{
    g_autoptr(InvJson) jobs = NULL;
    g_autoptr(InvJson) nodes = NULL;

    must(inv_qmp_call(source.qmp, "query-jobs", NULL, DEADLINE_MS, &jobs, &error));
    must(inv_qmp_call(source.qmp, "query-named-block-nodes", NULL, DEADLINE_MS, &nodes, &error));
    assert_int_equal(inv_json_size(jobs), 0);
    for (guint i = 0; i < inv_json_size(nodes); i++)
        assert_true(g_str_has_prefix(inv_json_get_string(inv_json_at(nodes, i), "node-name"), "disk0-"));
}

/* The test is skipped where the kernel keeps from this account what postcopy needs. */
static void
configure_destination(const MoveCase *row)
{
    if (!inv_migration_configure(destination.qmp, &row->settings, TRUE, DEADLINE_MS, &error) && row->settings.postcopy &&
        strstr(error->message, "userfaultfd"))
        skip();
    must(error == NULL);
}

static void
guest_moves_and_waits_for_cont(void **state)
{
    const MoveCase *row = *state;
    g_autofree char *address = NULL;

    if (!start_both(row->from, row->to))
        skip();
    must(inv_migration_configure(source.qmp, &row->settings, FALSE, DEADLINE_MS, &error));
    configure_destination(row);
    address = listen_somewhere(row->tcp);
    if (row->copy)
        start_copy(row->tcp);
    must(inv_migration_start(source.qmp, address, FALSE, DEADLINE_MS, &error));
    if (row->settings.postcopy) {
        wait_state(source.qmp, INV_MIGRATION_ACTIVE);
        must(inv_migration_start_postcopy(source.qmp, DEADLINE_MS, &error));
    }
    wait_state(source.qmp, INV_MIGRATION_PRE_SWITCHOVER);
    if (row->copy)
        must(inv_migration_copy_finish(source.qmp, disks[0], FALSE, DEADLINE_MS, &error));
    must(inv_migration_continue(source.qmp, DEADLINE_MS, &error));
    if (row->settings.postcopy) {
        wait_state(source.qmp, INV_MIGRATION_POSTCOPY);
        must(inv_migration_set_parameter(source.qmp, "max-postcopy-bandwidth", 0, DEADLINE_MS, &error));
    }
    wait_state(source.qmp, INV_MIGRATION_COMPLETED);
    wait_state(destination.qmp, INV_MIGRATION_COMPLETED);
    assert_status(source.qmp, "postmigrate");
    assert_status(destination.qmp, "paused");
    must(inv_migration_copy_stop_serving(destination.qmp, DEADLINE_MS, &error));
    must(inv_qmp_call(destination.qmp, "cont", NULL, DEADLINE_MS, NULL, &error));
    assert_status(destination.qmp, "running");
    if (row->copy) {
        assert_no_copy_is_left();
        assert_images_are_the_same();
    }
}

static void
cancelled_before_the_last_step(void **state)
{
    const MoveCase *row = *state;
    g_autofree char *address = NULL;

    if (!start_both(row->from, row->to))
        skip();
    must(inv_migration_configure(source.qmp, &row->settings, FALSE, DEADLINE_MS, &error));
    must(inv_migration_configure(destination.qmp, &row->settings, TRUE, DEADLINE_MS, &error));
    address = listen_somewhere(FALSE);
    start_copy(row->tcp);
    must(inv_migration_start(source.qmp, address, FALSE, DEADLINE_MS, &error));
    wait_state(source.qmp, INV_MIGRATION_PRE_SWITCHOVER);
    must(inv_migration_cancel(source.qmp, DEADLINE_MS, &error));
    wait_state(source.qmp, INV_MIGRATION_CANCELLED);
    must(inv_migration_copy_finish(source.qmp, disks[0], TRUE, DEADLINE_MS, &error));
    must(inv_migration_copy_finish(source.qmp, disks[0], TRUE, DEADLINE_MS, &error));
    assert_status(source.qmp, "running");
    assert_no_copy_is_left();
    /* The next attempt. */
    stop_side(&destination);
    start_destination(row->to);
    must(inv_migration_configure(source.qmp, &row->settings, FALSE, DEADLINE_MS, &error));
    must(inv_migration_configure(destination.qmp, &row->settings, TRUE, DEADLINE_MS, &error));
    g_free(address);
    address = listen_somewhere(FALSE);
    start_copy(row->tcp);
    must(inv_migration_start(source.qmp, address, FALSE, DEADLINE_MS, &error));
    wait_state(source.qmp, INV_MIGRATION_PRE_SWITCHOVER);
    must(inv_migration_copy_finish(source.qmp, disks[0], FALSE, DEADLINE_MS, &error));
    must(inv_migration_continue(source.qmp, DEADLINE_MS, &error));
    wait_state(source.qmp, INV_MIGRATION_COMPLETED);
    assert_images_are_the_same();
}

static void
nobody_answers(void **state)
{
    const MoveCase *row = *state;
    InvMigrationProgress progress = { .state = INV_MIGRATION_NONE };
    g_autofree char *nowhere = NULL;
    g_autofree char *address = NULL;
    guint64 seen;

    if (!start_both(row->from, row->to))
        skip();
    nowhere = path_of("nobody");
    address = g_strconcat("unix:", nowhere, NULL);
    must(inv_migration_configure(source.qmp, &row->settings, FALSE, DEADLINE_MS, &error));
    if (inv_migration_start(source.qmp, address, FALSE, DEADLINE_MS, &error)) {
        do {
            inv_migration_progress_clear(&progress);
            seen = inv_qmp_events(source.qmp);
            must(inv_migration_query(source.qmp, &progress, DEADLINE_MS, &error));
        } while (progress.state == INV_MIGRATION_SETUP && inv_qmp_wait_event(source.qmp, seen, DEADLINE_MS));
        assert_int_equal(progress.state, INV_MIGRATION_FAILED);
        assert_non_null(strstr(progress.error, "No such file"));
        inv_migration_progress_clear(&progress);
    } else {
        assert_non_null(strstr(error->message, "No such file"));
        g_clear_error(&error);
    }
    assert_status(source.qmp, "running");
    assert_false(inv_migration_copy_start(source.qmp, disks[0], NULL, 0, nowhere, FALSE, 0, DEADLINE_MS, &error));
    assert_non_null(strstr(error->message, "disk 'vda' cannot be copied: "));
    assert_no_copy_is_left();
}

/* The other end of the mirrors goes: that is no success, and leaves the guest alone. */
static void
destination_dies_in_the_copy(void **state)
{
    const MoveCase *row = *state;
    gint64 end = g_get_monotonic_time() + DEADLINE_MS * G_TIME_SPAN_MILLISECOND;
    gboolean ok = TRUE;

    if (!start_both(row->from, row->to))
        skip();
    start_copy(row->tcp);
    stop_side(&destination);
    write_disk();
    while (ok && g_get_monotonic_time() < end) {
        guint64 seen = inv_qmp_events(source.qmp);

        ok = inv_migration_copy_query(source.qmp, disks[0], NULL, NULL, NULL, DEADLINE_MS, &error);
        if (ok)
            inv_qmp_wait_event(source.qmp, seen, 1000);
    }
    assert_false(ok);
    assert_non_null(strstr(error->message, "the copy of disk 'vda' failed: "));
    g_clear_error(&error);
    assert_false(inv_migration_copy_finish(source.qmp, disks[0], FALSE, DEADLINE_MS, &error));
    assert_non_null(strstr(error->message, "the copy of disk 'vda' failed: "));
    g_clear_error(&error);
    must(inv_migration_copy_finish(source.qmp, disks[0], TRUE, DEADLINE_MS, &error));
    assert_no_copy_is_left();
    assert_status(source.qmp, "running");
}

/* Half a copy never passes for a whole one. */
static void
slow_copy_is_not_finished(void **state)
{
    const MoveCase *row = *state;
    g_autofree char *socket_path = NULL;
    gboolean ready = TRUE;

    if (!start_both(row->from, row->to))
        skip();
    socket_path = path_of("copy.sock");
    must(inv_migration_copy_serve(destination.qmp, disks[1], NULL, 0, 0, socket_path, NULL, DEADLINE_MS, &error));
    must(inv_migration_copy_start(source.qmp, disks[0], NULL, 0, socket_path, FALSE, 65536, DEADLINE_MS, &error));
    must(inv_migration_copy_query(source.qmp, disks[0], &ready, NULL, NULL, DEADLINE_MS, &error));
    assert_false(ready);
    assert_false(inv_migration_copy_finish(source.qmp, disks[0], FALSE, DEADLINE_MS, &error));
    assert_non_null(strstr(error->message, "have not caught up"));
    assert_no_copy_is_left();
    must(inv_migration_copy_stop_serving(destination.qmp, DEADLINE_MS, &error));
    must(inv_migration_copy_stop_serving(destination.qmp, DEADLINE_MS, &error));
}

/* The network is cut while each side has a part of the guest: both wait, and go on over another address. */
static void
postcopy_is_recovered(void **state)
{
    const MoveCase *row = *state;
    g_autofree char *address = NULL;
    g_autofree char *again = NULL;
    guint64 seen;

    if (!start_both(row->from, row->to))
        skip();
    must(inv_migration_configure(source.qmp, &row->settings, FALSE, DEADLINE_MS, &error));
    configure_destination(row);
    address = listen_somewhere(FALSE);
    again = g_strconcat(address, ".again", NULL);
    must(inv_migration_start(source.qmp, address, FALSE, DEADLINE_MS, &error));
    wait_state(source.qmp, INV_MIGRATION_ACTIVE);
    must(inv_migration_start_postcopy(source.qmp, DEADLINE_MS, &error));
    wait_state(source.qmp, INV_MIGRATION_PRE_SWITCHOVER);
    must(inv_migration_continue(source.qmp, DEADLINE_MS, &error));
    wait_state(source.qmp, INV_MIGRATION_POSTCOPY);
    wait_state(destination.qmp, INV_MIGRATION_POSTCOPY);
    assert_status(destination.qmp, "paused");
    must(inv_qmp_call(destination.qmp, "cont", NULL, DEADLINE_MS, NULL, &error));
    seen = inv_qmp_events(destination.qmp);
    must(inv_migration_pause_postcopy(source.qmp, DEADLINE_MS, &error));
    wait_state(source.qmp, INV_MIGRATION_POSTCOPY_PAUSED);
    /* Its guest may wait for a page, and it with its guest: it is not asked. */
    assert_true(inv_qmp_wait_event(destination.qmp, seen, DEADLINE_MS));
    assert_false(inv_migration_cancel(source.qmp, DEADLINE_MS, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_INVALID);
    g_clear_error(&error);
    must(inv_migration_listen_recover(destination.qmp, again, DEADLINE_MS, &error));
    must(inv_migration_set_parameter(source.qmp, "max-postcopy-bandwidth", 0, DEADLINE_MS, &error));
    must(inv_migration_start(source.qmp, again, TRUE, DEADLINE_MS, &error));
    wait_state(source.qmp, INV_MIGRATION_COMPLETED);
    wait_state(destination.qmp, INV_MIGRATION_COMPLETED);
    assert_status(source.qmp, "postmigrate");
    assert_status(destination.qmp, "running");
}

#define PLAIN { .pause_before_switchover = TRUE }
#define SLOW_POSTCOPY { .pause_before_switchover = TRUE, .postcopy = TRUE, .bandwidth = 65536, .postcopy_bandwidth = 65536 }

static const MoveCase move_cases[] = {
    { .name = "precopy over TCP", .settings = PLAIN, .tcp = TRUE },
    { .name = "precopy with its disk", .settings = PLAIN, .copy = TRUE },
    { .name = "postcopy", .settings = SLOW_POSTCOPY },
    { .name = "one way", .settings = { .pause_before_switchover = TRUE, .one_way = TRUE } },
    { .name = "multifd with zlib", .settings = { .pause_before_switchover = TRUE, .multifd_channels = 3, .multifd_compression = (char *)"zlib" } },
    { .name = "xbzrle and auto-converge",
      .settings = { .pause_before_switchover = TRUE, .xbzrle = TRUE, .xbzrle_cache = 1 << 20, .auto_converge = TRUE, .downtime_ms = 200 } },
    { .name = "precopy to the second QEMU, with its disk", .to = 1, .settings = PLAIN, .tcp = TRUE, .copy = TRUE },
    { .name = "postcopy to the second QEMU", .to = 1,
      .settings = SLOW_POSTCOPY },
    { .name = "multifd to the second QEMU", .to = 1, .settings = { .pause_before_switchover = TRUE, .multifd_channels = 2 } },
    { .name = "precopy from the second QEMU, with its disk", .from = 1, .settings = PLAIN, .copy = TRUE },
    { .name = "multifd from the second QEMU", .from = 1, .settings = { .pause_before_switchover = TRUE, .multifd_channels = 2 } },
};

static const struct {
    void (*test)(void **state);
    MoveCase row;
} failure_cases[] = {
    { cancelled_before_the_last_step, { .name = "cancelled before the last step", .settings = PLAIN } },
    { cancelled_before_the_last_step, { .name = "cancelled before the last step, second QEMU", .from = 1, .to = 1, .settings = PLAIN } },
    { nobody_answers, { .name = "nobody listens", .settings = PLAIN } },
    { nobody_answers, { .name = "nobody listens to the second QEMU", .from = 1, .to = 1, .settings = PLAIN } },
    { postcopy_is_recovered, { .name = "postcopy is recovered", .settings = SLOW_POSTCOPY } },
    { postcopy_is_recovered, { .name = "postcopy to the second QEMU is recovered", .to = 1, .settings = SLOW_POSTCOPY } },
    { destination_dies_in_the_copy, { .name = "the destination dies in the copy" } },
    { destination_dies_in_the_copy, { .name = "the destination dies in the copy, second QEMU", .from = 1, .to = 1, .tcp = TRUE } },
    { slow_copy_is_not_finished, { .name = "a slow copy is not finished" } },
    { slow_copy_is_not_finished, { .name = "a slow copy is not finished, second QEMU", .from = 1, .to = 1 } },
};

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(move_cases) + G_N_ELEMENTS(failure_cases)];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(move_cases); i++)
        tests[n++] = (struct CMUnitTest){ move_cases[i].name, guest_moves_and_waits_for_cont, NULL, teardown, (void *)&move_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(failure_cases); i++)
        tests[n++] = (struct CMUnitTest){ failure_cases[i].row.name, failure_cases[i].test, NULL, teardown, (void *)&failure_cases[i].row };
    return cmocka_run_group_tests_name("migration between QEMUs", tests, group_setup, group_teardown);
}
