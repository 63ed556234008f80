/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "qemu/probe_budget.h"
#include "tests/unit/emulator_test.h"
#include "util/error.h"

#define DEADLINE_MS 20000u
#define SHORT_MS 300u

static int
teardown(void **state)
{
    inv_probe_budget_set_idle(FALSE);
    return emulator_test_teardown(state);
}

/* Takes all places of this thread's kind; the array's owner gives them back with give_back(). */
static GArray *
take_all(void)
{
    GArray *slots = g_array_sized_new(FALSE, TRUE, sizeof(InvProbeSlot), inv_probe_budget_limit());

    g_array_set_size(slots, inv_probe_budget_limit());
    for (guint i = 0; i < slots->len; i++)
        assert_true(inv_probe_budget_enter(&g_array_index(slots, InvProbeSlot, i), "taken", inv_deadline_end(DEADLINE_MS), NULL));
    return slots;
}

static void
give_back(GArray *slots)
{
    for (guint i = 0; i < slots->len; i++)
        inv_probe_budget_leave(&g_array_index(slots, InvProbeSlot, i));
    g_array_unref(slots);
}

static void
one_too_many_is_told_that_it_was_not_asked(void **state)
{
    GArray *taken = take_all();
    InvProbeSlot slot = { 0 };

    assert_false(inv_probe_budget_enter(&slot, "/usr/bin/qemu-system-x86_64", inv_deadline_end(SHORT_MS), &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_RESOURCE_BUSY);
    assert_non_null(strstr(error->message, "/usr/bin/qemu-system-x86_64"));
    give_back(taken);
    assert_true(inv_probe_budget_enter(&slot, "now", inv_deadline_end(SHORT_MS), NULL));
    inv_probe_budget_leave(&slot);
}

/* Whoever hangs keeps nobody from asking another. */
static void
the_hanging_do_not_count(void **state)
{
    GArray *taken = take_all();
    InvProbeSlot slot = { 0 };
    gint64 before = g_get_monotonic_time();

    assert_true(inv_probe_budget_enter(&slot, "patient", inv_deadline_end(DEADLINE_MS), NULL));
    assert_true(g_get_monotonic_time() - before < 2 * INV_PROBE_SLOW_MS * G_TIME_SPAN_MILLISECOND);
    inv_probe_budget_leave(&slot);
    give_back(taken);
}

static void
the_background_takes_no_place_and_goes_last(void **state)
{
    InvProbeSlot client = { 0 }, background = { 0 };
    GArray *idle;

    inv_probe_budget_set_idle(TRUE);
    idle = take_all();
    inv_probe_budget_set_idle(FALSE);
    assert_true(inv_probe_budget_enter(&client, "a client's", inv_deadline_end(SHORT_MS), NULL));
    give_back(idle);

    inv_probe_budget_set_idle(TRUE);
    assert_false(inv_probe_budget_enter(&background, "nobody's", inv_deadline_end(SHORT_MS), NULL));
    inv_probe_budget_leave(&client);
    assert_true(inv_probe_budget_enter(&background, "nobody's", inv_deadline_end(SHORT_MS), NULL));
    inv_probe_budget_leave(&background);
}

static const char slow_answers[] =
    "{\"mode\":\"slow\",\"delay_ms\":300,\"log\":\"%s/log\",\"answers\":{"
    "\"query-target\":{\"return\":{\"arch\":\"x86_64\"}},\"query-kvm\":{\"return\":{\"enabled\":false,\"present\":true}},"
    "\"qom-list-types\":{\"return\":[{\"name\":\"tcg-accel\"}]},\"query-machines\":{\"return\":[{\"name\":\"pc\",\"cpu-max\":1}]}}}";

static gpointer
ask_in_background(gpointer binary)
{
    inv_probe_budget_set_idle(TRUE);
    return inv_emulators_get(fixture->emulators, binary, NULL, DEADLINE_MS, NULL);
}

/* The background has an emulator in hand that takes its time: a client asks for the same one, and does not wait for it. */
static void
a_client_does_not_wait_for_the_background(void **state)
{
    g_autofree char *slow = g_strdup_printf(slow_answers, fixture->folder);
    gint64 end = inv_deadline_end(DEADLINE_MS);
    g_autoptr(InvEmulator) theirs = NULL;
    GThread *thread;

    log_path = g_build_filename(fixture->folder, "log", NULL);
    path = emulator_fixture_fake(fixture, "qemu-system-x86_64", slow);
    thread = g_thread_new("background", ask_in_background, path);
    while ((!g_file_test(log_path, G_FILE_TEST_EXISTS) || !emulator_fixture_count(log_path)) && g_get_monotonic_time() < end)
        g_usleep(1000);
    assert_int_equal(emulator_fixture_count(log_path), 1);
    emulator = inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, &error);
    assert_non_null(emulator);
    assert_int_equal(emulator_fixture_count(log_path), 2);
    theirs = g_thread_join(thread);
    assert_non_null(theirs);
    /* What the client's own question found is what is kept. */
    assert_ptr_not_equal(emulator, theirs);
    inv_emulator_unref(theirs);
    theirs = inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, &error);
    assert_ptr_equal(emulator, theirs);
    assert_int_equal(emulator_fixture_count(log_path), 2);
}

static gpointer
burn(gpointer stop)
{
    while (!g_atomic_int_get((gint *)stop))
        continue;
    return NULL;
}

/* Both miss their deadline: one that sleeps hangs, one that would work beside others of higher priority is kept from it. */
static void
a_starving_one_is_not_sick(void **state)
{
    g_autofree char *sleeper = emulator_fixture_file(fixture, "qemu-system-i386", "#!/bin/sh\nexec sleep 60\n", 0755);
    g_autofree char *worker = emulator_fixture_file(fixture, "qemu-system-x86_64", "#!/bin/sh\nwhile :; do :; done\n", 0755);
    gint stop = FALSE;
    cpu_set_t all, one;
    GThread *rivals[4];

    if (!g_file_test("/proc/self/schedstat", G_FILE_TEST_EXISTS))
        skip();
    assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
    CPU_ZERO(&one);
    for (int i = 0; i < CPU_SETSIZE && !CPU_COUNT(&one); i++) {
        if (CPU_ISSET(i, &all))
            CPU_SET(i, &one);
    }
    /* Inherited by the threads, and by the emulator. */
    assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
    inv_probe_budget_set_idle(FALSE);
    assert_null(inv_emulators_get(fixture->emulators, sleeper, NULL, 1500, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_TIMEOUT);
    g_clear_error(&error);
    inv_probe_budget_set_idle(TRUE);
    for (gsize i = 0; i < G_N_ELEMENTS(rivals); i++)
        rivals[i] = g_thread_new("rival", burn, &stop);
    assert_null(inv_emulators_get(fixture->emulators, worker, NULL, 1500, &error));
    g_atomic_int_set(&stop, TRUE);
    for (gsize i = 0; i < G_N_ELEMENTS(rivals); i++)
        g_thread_join(rivals[i]);
    sched_setaffinity(0, sizeof(all), &all);
    assert_int_equal(inv_error_code(error), VIR_ERR_RESOURCE_BUSY);
    assert_non_null(strstr(error->message, "let it run"));
    assert_false(inv_emulators_is_warm(fixture->emulators, worker));
}

static gpointer
ask_as_a_client(gpointer binary)
{
    GError *failure = NULL;

    assert_null(inv_emulators_get(fixture->emulators, binary, NULL, DEADLINE_MS, &failure));
    return failure;
}

/* The last: there is no way back. */
static void
the_end_takes_all_with_it(void **state)
{
    g_autofree char *config = g_strdup_printf("{\"mode\":\"hang\",\"log\":\"%s/log\"}", fixture->folder);
    gint64 end = inv_deadline_end(DEADLINE_MS);
    GThread *thread;

    log_path = g_build_filename(fixture->folder, "log", NULL);
    path = emulator_fixture_fake(fixture, "qemu-system-x86_64", config);
    thread = g_thread_new("client", ask_as_a_client, path);
    while ((!g_file_test(log_path, G_FILE_TEST_EXISTS) || !emulator_fixture_count(log_path)) && g_get_monotonic_time() < end)
        g_usleep(1000);
    inv_probe_budget_stop();
    error = g_thread_join(thread);
    assert_true(g_get_monotonic_time() < end);
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_ABORTED);
    g_clear_error(&error);
    assert_false(inv_probe_budget_wait_idle());
    assert_null(inv_emulators_get(fixture->emulators, path, NULL, DEADLINE_MS, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_ABORTED);
    assert_int_equal(emulator_fixture_count(log_path), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_too_many_is_told_that_it_was_not_asked, emulator_test_setup, teardown),
        cmocka_unit_test_setup_teardown(the_hanging_do_not_count, emulator_test_setup, teardown),
        cmocka_unit_test_setup_teardown(the_background_takes_no_place_and_goes_last, emulator_test_setup, teardown),
        cmocka_unit_test_setup_teardown(a_client_does_not_wait_for_the_background, emulator_test_setup, teardown),
        cmocka_unit_test_setup_teardown(a_starving_one_is_not_sick, emulator_test_setup, teardown),
        cmocka_unit_test_setup_teardown(the_end_takes_all_with_it, emulator_test_setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
