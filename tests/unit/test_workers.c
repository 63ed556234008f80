/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Threads that wait leave their place to others, and never more work at once than may. */
#ifdef HAVE_CONFIG_H
#include "config.h"
#endif

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "rpc/workers.h"
#include "util/long_wait.h"

#define PATIENCE_US (20 * G_USEC_PER_SEC)

typedef enum { WAITS = 1, WORKS, ENDS } Kind;

static GMutex lock;
static GCond changed;
/* Guarded by lock. */
static guint n_waiting, n_refused, n_working, most_working, n_ended;
static gboolean go;

static void
wait_until(const guint *counter, guint value)
{
    gint64 end = g_get_monotonic_time() + PATIENCE_US;
    guint value_now;

    g_mutex_lock(&lock);
    while (*counter < value && g_cond_wait_until(&changed, &lock, end))
        continue;
    value_now = *counter;
    g_mutex_unlock(&lock);
    assert_int_equal(value_now, value);
}

static void
wait_for_go_locked(void)
{
    gint64 end = g_get_monotonic_time() + PATIENCE_US;

    while (!go && g_cond_wait_until(&changed, &lock, end))
        continue;
}

static void
run(gpointer task, gpointer user_data)
{
    Kind kind = (Kind)GPOINTER_TO_INT(task);
    gboolean replaced;

    g_mutex_lock(&lock);
    switch (kind) {
    case WAITS:
        replaced = inv_long_wait_begin();
        /* The outer wait is the one that counts. */
        inv_long_wait_begin();
        inv_long_wait_end();
        n_waiting += replaced;
        n_refused += !replaced;
        g_cond_broadcast(&changed);
        if (replaced)
            wait_for_go_locked();
        inv_long_wait_end();
        break;
    case WORKS:
        n_working++;
        most_working = MAX(most_working, n_working);
        g_cond_broadcast(&changed);
        wait_for_go_locked();
        n_working--;
        break;
    case ENDS:
        n_ended++;
        g_cond_broadcast(&changed);
        break;
    }
    g_mutex_unlock(&lock);
}

static void
let_go(void)
{
    g_mutex_lock(&lock);
    go = TRUE;
    g_cond_broadcast(&changed);
    g_mutex_unlock(&lock);
}

static int
setup(void **state)
{
    n_waiting = n_refused = n_working = most_working = n_ended = 0;
    go = FALSE;
    *state = inv_rpc_workers_new(run, NULL, 2);
    return 0;
}

static int
teardown(void **state)
{
    let_go();
    inv_rpc_workers_free(*state);
    return 0;
}

static void
push(void **state, Kind kind, guint count)
{
    for (guint i = 0; i < count; i++)
        inv_rpc_workers_push(*state, GINT_TO_POINTER(kind));
}

static void
who_waits_takes_no_place(void **state)
{
    push(state, WAITS, 30);
    wait_until(&n_waiting, 30);
    push(state, ENDS, 1);
    wait_until(&n_ended, 1);
}

static void
who_works_does(void **state)
{
    push(state, WAITS, 30);
    wait_until(&n_waiting, 30);
    push(state, WORKS, 10);
    push(state, ENDS, 1);
    wait_until(&n_working, 2);
    let_go();
    wait_until(&n_ended, 1);
    /* Those that waited have come back meanwhile, and gave nobody a place beside theirs. */
    assert_int_equal(most_working, 2);
}

static void
so_many_may_wait(void **state)
{
    push(state, WAITS, INV_RPC_WAITING_MAX + 5);
    wait_until(&n_waiting, INV_RPC_WAITING_MAX);
    wait_until(&n_refused, 5);
    push(state, ENDS, 1);
    wait_until(&n_ended, 1);
}

/* The first seconds of a wait may be work. */
static void
a_wait_becomes_long(void **state)
{
    GMutex mine;
    GCond never;
    gint64 began = g_get_monotonic_time();

    g_mutex_init(&mine);
    g_cond_init(&never);
    g_mutex_lock(&mine);
    assert_false(inv_long_wait_on(&never, &mine, began, began + 20 * G_TIME_SPAN_MILLISECOND));
    assert_false(inv_long_wait_on(&never, &mine, began - 10 * G_TIME_SPAN_SECOND, g_get_monotonic_time() + 20 * G_TIME_SPAN_MILLISECOND));
    /* It is not over yet: the loop looks again. */
    began = g_get_monotonic_time() - (INV_LONG_WAIT_AFTER_MS - 20) * G_TIME_SPAN_MILLISECOND;
    assert_true(inv_long_wait_on(&never, &mine, began, began + 10 * G_TIME_SPAN_SECOND));
    g_mutex_unlock(&mine);
    g_cond_clear(&never);
    g_mutex_clear(&mine);
}

/* What belongs to no such pool waits as ever. */
static void
nobody_s_thread(void **state)
{
    assert_true(inv_long_wait_begin());
    inv_long_wait_end();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_waits_takes_no_place, setup, teardown),
        cmocka_unit_test_setup_teardown(who_works_does, setup, teardown),
        cmocka_unit_test_setup_teardown(so_many_may_wait, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wait_becomes_long, setup, teardown),
        cmocka_unit_test_setup_teardown(nobody_s_thread, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
