/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/domain_job.h"
#include "util/error.h"
#include "util/io_thread.h"

static InvRegistry *registry;
static InvIoThread *io;
static InvVm *vm;
static GError *error;
static int told_iteration, told_completed;

static void
on_iteration(InvVm *of, int iteration, gpointer user_data)
{
    told_iteration = iteration;
}

static void
on_completed(InvVm *of, const InvJobFigures *figures, gpointer user_data)
{
    told_completed++;
}

static int
setup(void **state)
{
    static const InvJobNews news = { on_iteration, on_completed };
    unsigned char uuid[VIR_UUID_BUFLEN] = { 1 };

    told_iteration = told_completed = 0;
    io = inv_io_thread_new();
    registry = inv_registry_new();
    inv_registry_set_job_news(registry, &news, NULL);
    vm = inv_vm_new(registry, uuid, "one");
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);

        assert_true(inv_registry_add_locked(registry, vm, &error));
        vm->id = 7;
        vm->state = VIR_DOMAIN_RUNNING;
    }
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&vm, inv_vm_unref);
    g_clear_pointer(&registry, inv_registry_free);
    g_clear_pointer(&io, inv_io_thread_free);
    g_clear_error(&error);
    return 0;
}

/* A process in the place of a QEMU. */
static void
give_process(void)
{
    const char *argv[] = { "/bin/sleep", "100", NULL };
    const InvProcessSpec spec = { .argv = argv, .uid = (uid_t)-1, .gid = (gid_t)-1, .log_path = "/dev/null" };
    InvProcess *process = inv_process_spawn(io, &spec, NULL, NULL, &error);
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);

    assert_non_null(process);
    vm->process = process;
}

static void
end_process(void)
{
    assert_true(inv_process_kill(vm->process, 1000, &error));
}

static void
begin_out(void)
{
    assert_non_null(inv_vm_begin_long_job(vm, VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, "migration out", &error));
}

static void
what_ends_or_stops_the_guest_comes_in_between(void **state)
{
    static const struct {
        const char *what;
        gboolean let_in;
    } words[] = {
        { "destroy", TRUE }, { "exit", TRUE },   { "shutdown", TRUE }, { "crash", TRUE },    { "suspend", TRUE }, { "resume", TRUE },
        { "reset", TRUE },   { "start", FALSE }, { "define", FALSE },  { "undefine", FALSE }, { "rename", FALSE },
    };

    begin_out();
    for (gsize i = 0; i < G_N_ELEMENTS(words); i++) {
        assert_int_equal(inv_long_job_lets_in(vm->long_job, words[i].what), words[i].let_in);
        if (words[i].let_in) {
            g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, words[i].what, &error);

            assert_non_null(job);
        }
    }
    {
        g_autoptr(InvVmJob) inner = inv_vm_begin_inner_job(vm, "end", &error);

        assert_non_null(inner);
    }
    inv_vm_end_long_job(vm, TRUE);
    /* A second end is none. */
    inv_vm_end_long_job(vm, TRUE);
}

static gpointer
start_after(gpointer data)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(vm, "start", NULL);
    gint *order = data;

    return GINT_TO_POINTER(job && g_atomic_int_get(order) == 1);
}

static void
other_jobs_wait_for_its_end(void **state)
{
    gint order = 0;
    GThread *thread;

    begin_out();
    thread = g_thread_new("start", start_after, &order);
    g_atomic_int_set(&order, 1);
    inv_vm_end_long_job(vm, TRUE);
    assert_true(GPOINTER_TO_INT(g_thread_join(thread)));
}

static void
a_removed_domain_has_no_long_job(void **state)
{
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);

        inv_registry_remove_locked(registry, vm);
    }
    assert_null(inv_vm_begin_long_job(vm, VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, "migration out", &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_NO_DOMAIN);
}

static void
figures_stay_as_those_of_the_last_job(void **state)
{
    g_auto(InvJobFigures) figures = { 0 };
    InvMigrationProgress progress = { .state = INV_MIGRATION_ACTIVE, .total = 100, .remaining = 40, .iterations = 2, .error = (char *)"no" };

    assert_false(inv_vm_get_job(vm, &figures));
    assert_false(inv_vm_get_last_job(vm, TRUE, &figures));
    begin_out();
    inv_vm_report_job(vm, &progress, 10, 5);
    assert_int_equal(told_iteration, 0);
    inv_vm_migration_pass(vm, 2);
    assert_int_equal(told_iteration, 2);
    inv_vm_migration_pass(vm, 1);
    assert_int_equal(told_iteration, 2);
    assert_true(inv_vm_get_job(vm, &figures));
    assert_int_equal(figures.type, VIR_DOMAIN_JOB_UNBOUNDED);
    assert_int_equal(figures.progress.remaining, 40);
    assert_int_equal(figures.disk_done, 5);
    assert_string_equal(figures.progress.error, "no");
    assert_false(inv_vm_get_last_job(vm, TRUE, &figures));
    inv_vm_end_long_job(vm, TRUE);
    assert_int_equal(told_completed, 1);
    assert_true(inv_vm_get_last_job(vm, TRUE, &figures));
    assert_int_equal(figures.type, VIR_DOMAIN_JOB_COMPLETED);
    assert_true(inv_vm_get_last_job(vm, FALSE, &figures));
    assert_false(inv_vm_get_last_job(vm, FALSE, &figures));
    /* One that failed is told to nobody, and can be asked for. */
    begin_out();
    inv_vm_report_job(vm, &progress, 0, 0);
    inv_vm_end_long_job(vm, FALSE);
    assert_int_equal(told_completed, 1);
    assert_true(inv_vm_get_last_job(vm, FALSE, &figures));
    assert_int_equal(figures.type, VIR_DOMAIN_JOB_FAILED);
}

static gboolean
note_abort(InvVm *of, unsigned int flags, gpointer data, GError **cause)
{
    *(unsigned int *)data = flags | 0x100;
    return TRUE;
}

static void
only_what_can_be_aborted_is(void **state)
{
    static const struct {
        const char *name;
        virDomainJobOperation operation; /* UNKNOWN: no job */
        InvMigrationState migration;
        unsigned int flags;
        const char *message; /* NULL: it is aborted */
    } rows[] = {
        { "no job", VIR_DOMAIN_JOB_OPERATION_UNKNOWN, INV_MIGRATION_NONE, 0, "no job is active on the domain" },
        { "out", VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, INV_MIGRATION_ACTIVE, 0, NULL },
        { "in", VIR_DOMAIN_JOB_OPERATION_MIGRATION_IN, INV_MIGRATION_ACTIVE, 0, "cannot abort the incoming migration" },
        { "postcopy", VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, INV_MIGRATION_POSTCOPY, 0, "in post-copy mode neither side" },
        { "postcopy, meant", VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, INV_MIGRATION_POSTCOPY, VIR_DOMAIN_ABORT_JOB_POSTCOPY, NULL },
        { "not in postcopy", VIR_DOMAIN_JOB_OPERATION_MIGRATION_OUT, INV_MIGRATION_ACTIVE, VIR_DOMAIN_ABORT_JOB_POSTCOPY,
          "not an outgoing migration in post-copy mode" },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(rows); i++) {
        unsigned int noted = 0;
        gboolean ok;

        if (rows[i].operation != VIR_DOMAIN_JOB_OPERATION_UNKNOWN) {
            assert_non_null(inv_vm_begin_long_job(vm, rows[i].operation, "migration", &error));
            inv_vm_set_job_abort(vm, note_abort, &noted);
            inv_vm_migration_event(vm, rows[i].migration);
        }
        ok = inv_vm_abort_job(vm, rows[i].flags, &error);
        if (ok != !rows[i].message || (!ok && (inv_error_code(error) != VIR_ERR_OPERATION_INVALID || !strstr(error->message, rows[i].message))))
            fail_msg("%s: %s", rows[i].name, error ? error->message : "aborted");
        assert_int_equal(noted, ok ? rows[i].flags | 0x100 : 0);
        assert_int_equal(inv_vm_job_abort_requested(vm), ok && !rows[i].flags);
        g_clear_error(&error);
        inv_vm_end_long_job(vm, FALSE);
        inv_vm_migration_event(vm, INV_MIGRATION_NONE);
    }
}

static void
an_abort_that_comes_too_late(void **state)
{
    unsigned int noted = 0;

    begin_out();
    inv_vm_set_job_abort(vm, note_abort, &noted);
    assert_true(inv_vm_close_job_abort(vm));
    assert_false(inv_vm_abort_job(vm, 0, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_INVALID);
    assert_non_null(strstr(error->message, "all of the guest was sent"));
    g_clear_error(&error);
    assert_int_equal(noted, 0);
    assert_false(inv_vm_job_abort_requested(vm));
    inv_vm_end_long_job(vm, FALSE);

    /* It was in time: whoever sends hears of it. */
    begin_out();
    assert_true(inv_vm_abort_job(vm, 0, &error));
    assert_false(inv_vm_close_job_abort(vm));
    inv_vm_end_long_job(vm, FALSE);
}

static gpointer
make_news(gpointer data)
{
    InvMigrationState state = (InvMigrationState)GPOINTER_TO_INT(data);

    if (state != INV_MIGRATION_NONE)
        inv_vm_migration_event(vm, state);
    else
        inv_vm_job_news(vm);
    return NULL;
}

/* A wait that nothing ends takes this long, and fails the test. */
#define LONG_MS 20000u

static void
a_wait_ends_with_news(void **state)
{
    static const InvMigrationState news[] = { INV_MIGRATION_SETUP, INV_MIGRATION_NONE, INV_MIGRATION_COMPLETED };
    InvMigrationState known = INV_MIGRATION_NONE;

    give_process();
    begin_out();
    for (gsize i = 0; i < G_N_ELEMENTS(news); i++) {
        GThread *thread = g_thread_new("news", make_news, GINT_TO_POINTER(news[i]));
        gint64 begin = g_get_monotonic_time();
        InvMigrationState got = inv_vm_wait_migration(vm, known, LONG_MS);

        assert_true(g_get_monotonic_time() - begin < (gint64)LONG_MS * 1000);
        assert_int_equal(got, news[i] == INV_MIGRATION_NONE ? known : news[i]);
        known = got;
        g_thread_join(thread);
    }
    /* Once it is told it is no news; only the time ends this wait. */
    assert_int_equal(inv_vm_wait_migration(vm, known, 1), known);
    assert_true(inv_vm_is_alive(vm));
    end_process();
    assert_false(inv_vm_is_alive(vm));
    assert_int_equal(inv_vm_wait_migration(vm, known, LONG_MS), known);
    inv_vm_end_long_job(vm, TRUE);
}

static void
a_new_job_begins_without_the_state_of_the_last(void **state)
{
    begin_out();
    inv_vm_migration_event(vm, INV_MIGRATION_FAILED);
    inv_vm_end_long_job(vm, FALSE);
    begin_out();
    assert_int_equal(vm->migration_state, INV_MIGRATION_NONE);
    inv_vm_migration_event(vm, INV_MIGRATION_POSTCOPY_PAUSED);
    inv_vm_end_long_job(vm, FALSE);
    begin_out();
    assert_int_equal(vm->migration_state, INV_MIGRATION_POSTCOPY_PAUSED);
    inv_vm_end_long_job(vm, FALSE);
}

static void
tunables_are_kept(void **state)
{
    InvMigrationTunables tunables;

    inv_vm_get_tunables(vm, &tunables);
    assert_true(tunables.bandwidth == 0 && tunables.downtime_ms == 0);
    inv_vm_set_tunable(vm, G_STRUCT_OFFSET(InvMigrationTunables, bandwidth), 1 << 20);
    inv_vm_set_tunable(vm, G_STRUCT_OFFSET(InvMigrationTunables, downtime_ms), 250);
    inv_vm_get_tunables(vm, &tunables);
    assert_int_equal(tunables.bandwidth, 1 << 20);
    assert_int_equal(tunables.downtime_ms, 250);
    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);

        inv_vm_forget_run_tunables_locked(vm);
    }
    inv_vm_get_tunables(vm, &tunables);
    assert_int_equal(tunables.bandwidth, 1 << 20);
    assert_int_equal(tunables.downtime_ms, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_ends_or_stops_the_guest_comes_in_between, setup, teardown),
        cmocka_unit_test_setup_teardown(other_jobs_wait_for_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(a_removed_domain_has_no_long_job, setup, teardown),
        cmocka_unit_test_setup_teardown(figures_stay_as_those_of_the_last_job, setup, teardown),
        cmocka_unit_test_setup_teardown(an_abort_that_comes_too_late, setup, teardown),
        cmocka_unit_test_setup_teardown(only_what_can_be_aborted_is, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_ends_with_news, setup, teardown),
        cmocka_unit_test_setup_teardown(a_new_job_begins_without_the_state_of_the_last, setup, teardown),
        cmocka_unit_test_setup_teardown(tunables_are_kept, setup, teardown),
    };

    return cmocka_run_group_tests_name("domain_job", tests, NULL, NULL);
}
