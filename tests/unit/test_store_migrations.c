/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/store.h"

#include <glib/gstdio.h>
#include <sqlite3.h>

#define UUID "11111111-2222-3333-4444-55555555aaaa"
#define TOKEN "0123456789abcdef0123456789abcdef"

static char *folder;
static char *path;
static InvStore *store;
static GError *error;

static void
open_store(void)
{
    store = inv_store_open(path, &error);
    if (!store)
        fail_msg("%s", error->message);
}

static int
setup(void **state)
{
    folder = g_dir_make_tmp("invar-migrations-XXXXXX", NULL);
    path = g_build_filename(folder, "state.db", NULL);
    open_store();
    return 0;
}

static int
teardown(void **state)
{
    static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm" };

    g_clear_pointer(&store, inv_store_close);
    g_clear_error(&error);
    for (gsize i = 0; i < G_N_ELEMENTS(names); i++) {
        g_autofree char *file = g_build_filename(folder, names[i], NULL);

        g_unlink(file);
    }
    g_rmdir(folder);
    g_clear_pointer(&folder, g_free);
    g_clear_pointer(&path, g_free);
    return 0;
}

static void
prepare(void)
{
    InvStoredMigration migration = {
        .token = (char *)TOKEN,
        .role = INV_MIGRATION_IN,
        .uuid = (char *)UUID,
        .phase = INV_PHASE_PREPARED,
        .running = TRUE,
        .xml = (char *)"<domain/>",
        .record = (char *)"{}",
    };
    InvRunning running = {
        .uuid = (char *)UUID, .pid = 7, .start_time = 8, .id = 1, .monitor = (char *)"/m", .live_xml = (char *)"<domain/>",
    };

    assert_true(inv_store_set_running(store, &running, &error));
    assert_true(inv_store_set_migration(store, &migration, &error));
}

static gboolean
is_started(void)
{
    g_autoptr(GPtrArray) list = inv_store_list_running(store, NULL);

    assert_int_equal(list->len, 1);
    return ((const InvRunning *)g_ptr_array_index(list, 0))->started;
}

static InvMigrationPhase
decide(InvMigrationPhase wanted)
{
    InvMigrationPhase decided = INV_PHASE_UNKNOWN;

    if (!inv_store_decide_migration(store, TOKEN, UUID, wanted, &decided, &error))
        fail_msg("%s", error->message);
    return decided;
}

/* Whoever decides first has decided; a restart changes nothing. */
static void
first_decision_stays(void **state)
{
    const InvMigrationPhase *first = *state;

    prepare();
    assert_false(is_started());
    assert_int_equal(decide(*first), *first);
    assert_int_equal(is_started(), *first == INV_PHASE_FINISHED);
    g_clear_pointer(&store, inv_store_close);
    open_store();
    assert_int_equal(decide(INV_PHASE_CANCELLED), *first);
    assert_int_equal(decide(INV_PHASE_FINISHED), *first);
    assert_int_equal(is_started(), *first == INV_PHASE_FINISHED);
}

static void
unknown_can_only_be_cancelled(void **state)
{
    assert_int_equal(decide(INV_PHASE_FINISHED), INV_PHASE_UNKNOWN);
    assert_int_equal(decide(INV_PHASE_CANCELLED), INV_PHASE_CANCELLED);
    assert_int_equal(decide(INV_PHASE_FINISHED), INV_PHASE_CANCELLED);
}

/* Who asks after years must not hear that the guest which runs here may run there, too. */
static void
finished_is_kept_for_good(void **state)
{
    const InvMigrationPhase *phase = *state;
    g_autoptr(GPtrArray) list = NULL;
    sqlite3 *handle = NULL;

    prepare();
    assert_int_equal(decide(*phase), *phase);
    g_clear_pointer(&store, inv_store_close);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "UPDATE migration SET time = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    open_store();
    list = inv_store_list_migrations(store, &error);
    assert_int_equal(list->len, *phase == INV_PHASE_FINISHED ? 1 : 0);
    assert_int_equal(decide(INV_PHASE_CANCELLED), *phase);
}

/* Both sides of one attempt may be in one store. */
static void
sides_are_apart(void **state)
{
    InvStoredMigration out = {
        .token = (char *)TOKEN,
        .role = INV_MIGRATION_OUT,
        .uuid = (char *)UUID,
        .phase = INV_PHASE_UNDECIDED,
        .peer = (char *)"qemu+tcp://there/system",
        .flags = 0x80000001u,
        .running = TRUE,
    };
    g_autoptr(GPtrArray) list = NULL;
    const InvStoredMigration *read = NULL;

    prepare();
    assert_true(inv_store_set_migration(store, &out, &error));
    assert_true(inv_store_clear_migration(store, TOKEN, INV_MIGRATION_IN, &error));
    list = inv_store_list_migrations(store, &error);
    assert_int_equal(list->len, 1);
    read = g_ptr_array_index(list, 0);
    assert_string_equal(read->peer, out.peer);
    assert_int_equal(read->phase, INV_PHASE_UNDECIDED);
    assert_int_equal(read->flags, out.flags);
    assert_true(read->running);
    assert_null(read->xml);
}

/* A database from before migrations were known. */
static void
older_database_is_brought_up_to_date(void **state)
{
    sqlite3 *handle = NULL;

    assert_true(inv_store_define(store, UUID, "a", "<domain/>", "defined", NULL, &error));
    g_clear_pointer(&store, inv_store_close);
    assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
    assert_int_equal(sqlite3_exec(handle, "DROP TABLE migration; PRAGMA user_version = 1", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(handle);
    open_store();
    prepare();
    assert_int_equal(decide(INV_PHASE_FINISHED), INV_PHASE_FINISHED);
}

int
main(void)
{
    static const InvMigrationPhase finished = INV_PHASE_FINISHED;
    static const InvMigrationPhase cancelled = INV_PHASE_CANCELLED;
    const struct CMUnitTest tests[] = {
        { "finished first", first_decision_stays, setup, teardown, (void *)&finished },
        { "cancelled first", first_decision_stays, setup, teardown, (void *)&cancelled },
        { "finished long ago", finished_is_kept_for_good, setup, teardown, (void *)&finished },
        { "cancelled long ago", finished_is_kept_for_good, setup, teardown, (void *)&cancelled },
        cmocka_unit_test_setup_teardown(unknown_can_only_be_cancelled, setup, teardown),
        cmocka_unit_test_setup_teardown(sides_are_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(older_database_is_brought_up_to_date, setup, teardown),
    };

    return cmocka_run_group_tests_name("store_migrations", tests, NULL, NULL);
}
