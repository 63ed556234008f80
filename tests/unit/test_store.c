/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "store/store.h"
#include "tests/unit/test_folder.h"
#include "util/error.h"
#include "util/fault.h"

#include <glib/gstdio.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define UUID_A "11111111-2222-3333-4444-55555555aaaa"
#define UUID_B "11111111-2222-3333-4444-55555555bbbb"

static char *folder;
static char *path;
static InvStore *store;
static GError *error;

static int
setup(void **state)
{
    folder = g_dir_make_tmp("invar-store-XXXXXX", NULL);
    path = g_build_filename(folder, "state.db", NULL);
    return folder ? 0 : -1;
}

static int
teardown(void **state)
{
    g_clear_pointer(&store, inv_store_close);
    g_clear_error(&error);
    test_folder_remove(folder);
    g_clear_pointer(&folder, g_free);
    g_clear_pointer(&path, g_free);
    return 0;
}

static void
open_store(void)
{
    store = inv_store_open(path, &error);
    if (!store)
        fail_msg("%s", error->message);
}

static void
reopen_store(void)
{
    g_clear_pointer(&store, inv_store_close);
    open_store();
}

/* "1:name:xml:record 2:…" of all that the store has, and the current revision of each domain. */
static char *
describe(void)
{
    g_autoptr(GPtrArray) domains = inv_store_list_domains(store, NULL);
    GString *text = g_string_new(NULL);

    assert_non_null(domains);
    for (guint i = 0; i < domains->len; i++) {
        const InvStoredDomain *domain = g_ptr_array_index(domains, i);
        g_autoptr(GPtrArray) revisions = inv_store_list_revisions(store, domain->uuid, NULL);

        assert_non_null(revisions);
        g_string_append_printf(text, "%s%s@%d%s %s/%s:", i ? "; " : "", domain->name, (int)domain->revision,
                               domain->autostart ? "!" : "", domain->xml, domain->record ? domain->record : "-");
        for (guint j = 0; j < revisions->len; j++) {
            const InvRevision *listed = g_ptr_array_index(revisions, j);
            g_autoptr(InvRevision) full = inv_store_get_revision(store, domain->uuid, listed->number, NULL);

            assert_non_null(full);
            assert_null(listed->xml);
            assert_null(listed->record);
            assert_int_equal(listed->has_record, full->record != NULL);
            assert_true(full->time > 1500000000 && full->time == listed->time);
            g_string_append_printf(text, " %d=%s/%s(%s)", (int)full->number, full->xml, full->record ? full->record : "-",
                                   full->reason);
        }
    }
    return g_string_free(text, FALSE);
}

typedef enum {
    OP_END,
    OP_DEFINE,   /* a: name, b: xml */
    OP_RECORD,   /* a: xml, b: record */
    OP_REOPEN,   /* a: xml or NULL */
    OP_RESTORE,  /* number */
    OP_RENAME,   /* a: name, b: xml */
    OP_UNDEFINE,
    OP_AUTOSTART, /* number */
} Op;

typedef struct {
    Op op;
    const char *uuid;
    const char *a, *b;
    int number;
    int code;            /* virErrorNumber expected */
    const char *message; /* part of the error's message */
    int revision;        /* expected, 0: not looked at */
} Step;

typedef struct {
    const char *name;
    Step steps[10];
    const char *after; /* describe() at the end, and again after reopening */
} StoreCase;

static const StoreCase store_cases[] = {
    { "nothing", { { OP_END } }, "" },
    { "define makes revision 1", { { OP_DEFINE, UUID_A, "a", "<x/>", .revision = 1 } }, "a@1 <x/>/-: 1=<x/>/-(defined)" },
    { "an equal definition makes no revision",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_DEFINE, UUID_A, "a", "<x/>", .revision = 1 } },
      "a@1 <x/>/-: 1=<x/>/-(defined)" },
    { "an edit makes a revision",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_DEFINE, UUID_A, "a", "<y/>", .revision = 2 } },
      "a@2 <y/>/-: 1=<x/>/-(defined) 2=<y/>/-(defined)" },
    { "two domains, sorted",
      { { OP_DEFINE, UUID_B, "b", "<x/>" }, { OP_DEFINE, UUID_A, "a", "<x/>" } },
      "a@1 <x/>/-: 1=<x/>/-(defined); b@1 <x/>/-: 1=<x/>/-(defined)" },
    { "the name of another",
      { { OP_DEFINE, UUID_A, "a", "<x/>" },
        { OP_DEFINE, UUID_B, "a", "<x/>", .code = VIR_ERR_OPERATION_FAILED,
          .message = "domain 'a' already exists with uuid " UUID_A } },
      "a@1 <x/>/-: 1=<x/>/-(defined)" },
    { "another name under the same uuid",
      { { OP_DEFINE, UUID_A, "a", "<x/>" },
        { OP_DEFINE, UUID_A, "b", "<x/>", .code = VIR_ERR_OPERATION_FAILED, .message = "already defined with uuid" } },
      "a@1 <x/>/-: 1=<x/>/-(defined)" },
    { "a uuid that is none",
      { { OP_DEFINE, "11111111-2222-3333-4444-5555'; --", "a", "<x/>", .code = VIR_ERR_INVALID_ARG, .message = "UUID" } }, "" },
    { "a first start's record comes with its revision",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RECORD, UUID_A, "<x2/>", "{1}", .revision = 2 } },
      "a@2 <x2/>/{1}: 1=<x/>/-(defined) 2=<x2/>/{1}(started)" },
    { "a record without a change of the definition",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RECORD, UUID_A, "<x/>", "{1}", .revision = 1 } },
      "a@1 <x/>/{1}: 1=<x/>/{1}(defined)" },
    { "an edit keeps the record",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RECORD, UUID_A, "<x/>", "{1}" }, { OP_DEFINE, UUID_A, "a", "<y/>" } },
      "a@2 <y/>/{1}: 1=<x/>/{1}(defined) 2=<y/>/{1}(defined)" },
    { "reopen forgets the record and shows it",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RECORD, UUID_A, "<x/>", "{1}" }, { OP_REOPEN, UUID_A, .revision = 2 } },
      "a@2 <x/>/-: 1=<x/>/{1}(defined) 2=<x/>/-(reopened)" },
    { "reopen with another definition",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RECORD, UUID_A, "<y/>", "{1}" }, { OP_REOPEN, UUID_A, "<x/>", .revision = 3 } },
      "a@3 <x/>/-: 1=<x/>/-(defined) 2=<y/>/{1}(started) 3=<x/>/-(reopened)" },
    { "restore brings definition and record back",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RECORD, UUID_A, "<y/>", "{1}" }, { OP_REOPEN, UUID_A, "<z/>" },
        { OP_RESTORE, UUID_A, .number = 2, .revision = 4 } },
      "a@4 <y/>/{1}: 1=<x/>/-(defined) 2=<y/>/{1}(started) 3=<z/>/-(reopened) 4=<y/>/{1}(restored revision 2)" },
    { "restore of what is current changes nothing",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RESTORE, UUID_A, .number = 1, .revision = 1 } },
      "a@1 <x/>/-: 1=<x/>/-(defined)" },
    { "restore of a revision that is not there",
      { { OP_DEFINE, UUID_A, "a", "<x/>" },
        { OP_RESTORE, UUID_A, .number = 7, .code = VIR_ERR_INVALID_ARG, .message = "'a' has no revision 7: it has revisions 1 to 1" } },
      "a@1 <x/>/-: 1=<x/>/-(defined)" },
    { "rename", { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RENAME, UUID_A, "b", "<xb/>" } },
      "b@2 <xb/>/-: 1=<x/>/-(defined) 2=<xb/>/-(renamed from 'a')" },
    { "rename to a taken name",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_DEFINE, UUID_B, "b", "<x/>" },
        { OP_RENAME, UUID_A, "b", "<y/>", .code = VIR_ERR_OPERATION_FAILED, .message = "already exists" } },
      "a@1 <x/>/-: 1=<x/>/-(defined); b@1 <x/>/-: 1=<x/>/-(defined)" },
    { "restore brings a former name back",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RENAME, UUID_A, "b", "<xb/>" }, { OP_RESTORE, UUID_A, .number = 1 } },
      "a@3 <x/>/-: 1=<x/>/-(defined) 2=<xb/>/-(renamed from 'a') 3=<x/>/-(restored revision 1)" },
    { "restore of a name that another has now",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_RENAME, UUID_A, "b", "<xb/>" }, { OP_DEFINE, UUID_B, "a", "<y/>" },
        { OP_RESTORE, UUID_A, .number = 1, .code = VIR_ERR_OPERATION_FAILED, .message = "already exists with uuid " UUID_B } },
      "a@1 <y/>/-: 1=<y/>/-(defined); b@2 <xb/>/-: 1=<x/>/-(defined) 2=<xb/>/-(renamed from 'a')" },
    { "undefine takes all with it, and the uuid begins anew",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_DEFINE, UUID_A, "a", "<y/>" }, { OP_UNDEFINE, UUID_A },
        { OP_DEFINE, UUID_A, "c", "<z/>", .revision = 1 } },
      "c@1 <z/>/-: 1=<z/>/-(defined)" },
    { "autostart", { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_AUTOSTART, UUID_A, .number = 1 } },
      "a@1! <x/>/-: 1=<x/>/-(defined)" },
    { "autostart survives an edit",
      { { OP_DEFINE, UUID_A, "a", "<x/>" }, { OP_AUTOSTART, UUID_A, .number = 1 }, { OP_DEFINE, UUID_A, "a", "<y/>" } },
      "a@2! <y/>/-: 1=<x/>/-(defined) 2=<y/>/-(defined)" },
    { "undefine of none", { { OP_UNDEFINE, UUID_A, .code = VIR_ERR_NO_DOMAIN, .message = UUID_A } }, "" },
    { "autostart of none", { { OP_AUTOSTART, UUID_A, .number = 1, .code = VIR_ERR_NO_DOMAIN, .message = UUID_A } }, "" },
    { "record of none", { { OP_RECORD, UUID_A, "<x/>", "{}", .code = VIR_ERR_NO_DOMAIN, .message = UUID_A } }, "" },
    { "reopen of none", { { OP_REOPEN, UUID_A, .code = VIR_ERR_NO_DOMAIN, .message = UUID_A } }, "" },
    { "restore of none", { { OP_RESTORE, UUID_A, .number = 1, .code = VIR_ERR_NO_DOMAIN, .message = UUID_A } }, "" },
    { "quotes and unicode are text", { { OP_DEFINE, UUID_A, "a'; DROP TABLE domain; --\303\244", "<x/>" } },
      "a'; DROP TABLE domain; --\303\244@1 <x/>/-: 1=<x/>/-(defined)" },
};

static gboolean
run_step(const Step *step, gint64 *revision)
{
    switch (step->op) {
    case OP_DEFINE:
        return inv_store_define(store, step->uuid, step->a, step->b, "defined", revision, &error);
    case OP_RECORD:
        return inv_store_record(store, step->uuid, step->a, step->b, "started", revision, &error);
    case OP_REOPEN:
        return inv_store_reopen(store, step->uuid, step->a, "reopened", revision, &error);
    case OP_RESTORE:
        return inv_store_restore_revision(store, step->uuid, step->number, revision, &error);
    case OP_RENAME:
        return inv_store_rename(store, step->uuid, step->a, step->b, &error);
    case OP_UNDEFINE:
        return inv_store_undefine(store, step->uuid, &error);
    case OP_AUTOSTART:
        return inv_store_set_autostart(store, step->uuid, step->number, &error);
    case OP_END:
        break;
    }
    return FALSE;
}

static void
steps_leave_this(void **state)
{
    const StoreCase *row = *state;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;

    open_store();
    for (const Step *step = row->steps; step->op != OP_END; step++) {
        gint64 revision = -1;
        gboolean done = run_step(step, &revision);

        if (step->code) {
            assert_false(done);
            assert_int_equal(inv_error_code(error), step->code);
            assert_non_null(strstr(error->message, step->message));
            g_clear_error(&error);
        } else if (!done) {
            fail_msg("step %d: %s", (int)(step - row->steps), error->message);
        }
        if (step->revision)
            assert_int_equal(revision, step->revision);
    }
    before = describe();
    assert_string_equal(before, row->after);
    reopen_store();
    after = describe();
    assert_string_equal(after, row->after);
}

static void
texts_have_limits(void **state)
{
    g_autofree char *large = g_strnfill(4 * 1024 * 1024 + 1, 'x');
    g_autofree char *allowed = g_strnfill(4 * 1024 * 1024, 'x');

    open_store();
    assert_false(inv_store_define(store, UUID_A, "a", large, "defined", NULL, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
    g_clear_error(&error);
    assert_false(inv_store_define(store, UUID_A, large, "<x/>", "defined", NULL, &error));
    g_clear_error(&error);
    assert_true(inv_store_define(store, UUID_A, "a", allowed, "defined", NULL, &error));
    assert_false(inv_store_record(store, UUID_A, "<x/>", large, "started", NULL, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_INVALID_ARG);
}

static void
what_runs_is_remembered(void **state)
{
    InvRunning running = { UUID_A, 4711, 0xfffffffffffffff0u, 3, "/run/m.sock", "<live/>", FALSE, "{r}", FALSE };
    g_autoptr(GPtrArray) list = NULL;
    const InvRunning *got;

    open_store();
    assert_true(inv_store_set_running(store, &running, &error));
    assert_true(inv_store_define(store, UUID_A, "a", "<x/>", "defined", NULL, &error));
    reopen_store();
    list = inv_store_list_running(store, &error);
    assert_int_equal(list->len, 1);
    got = g_ptr_array_index(list, 0);
    assert_string_equal(got->uuid, UUID_A);
    assert_int_equal(got->pid, 4711);
    assert_true(got->start_time == running.start_time);
    assert_int_equal(got->id, 3);
    assert_string_equal(got->monitor, "/run/m.sock");
    assert_string_equal(got->live_xml, "<live/>");
    assert_string_equal(got->record, "{r}");
    assert_true(got->persistent); /* defined while it ran */
    assert_false(got->started);
    g_clear_pointer(&list, g_ptr_array_unref);

    running.started = TRUE;
    running.persistent = TRUE;
    running.record = NULL;
    assert_true(inv_store_set_running(store, &running, &error));
    assert_true(inv_store_undefine(store, UUID_A, &error));
    list = inv_store_list_running(store, &error);
    assert_int_equal(list->len, 1);
    got = g_ptr_array_index(list, 0);
    assert_true(got->started);
    assert_null(got->record);
    assert_false(got->persistent); /* undefined while it ran */
    g_clear_pointer(&list, g_ptr_array_unref);

    assert_true(inv_store_clear_running(store, UUID_A, &error));
    list = inv_store_list_running(store, &error);
    assert_int_equal(list->len, 0);
}

static void
the_file_is_private_and_durable(void **state)
{
    struct stat status;

    open_store();
    assert_true(inv_store_define(store, UUID_A, "a", "<x/>", "defined", NULL, &error));
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    g_autofree char *log = g_strconcat(path, "-wal", NULL);
    assert_int_equal(stat(log, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
}

typedef struct {
    const char *name;
    const char *sql;     /* run on a sound database, or */
    int cut;             /* >= 0: the file is cut to this many bytes; or */
    const char *garbage; /* what the file holds */
    gboolean remove;     /* the file goes, its log stays */
    gboolean folder;     /* a folder is in its place */
    const char *message;
} DamageCase;

static const DamageCase damage_cases[] = {
    { "empty", .cut = 0, .message = "is damaged (it is empty)" },
    { "truncated", .cut = 6000, .message = "is damaged" },
    { "garbage", .cut = -1, .garbage = "this is not a database, it is a text that is long enough to be looked at by SQLite "
                                       "which reads a hundred bytes of header", .message = "is damaged" },
    { "another program's", .cut = -1, .sql = "PRAGMA application_id = 1", .message = "not one of Invar's" },
    { "newer", .cut = -1, .sql = "PRAGMA user_version = 99", .message = "use the newer invard" },
    { "of version 0", .cut = -1, .sql = "PRAGMA user_version = 0", .message = "version 0" },
    { "gone, its log is there", .cut = -1, .remove = TRUE, .message = "is missing while its log" },
    { "a folder", .cut = -1, .folder = TRUE, .message = "not a regular file" },
};

static void
make_damage(const DamageCase *row)
{
    g_autofree char *log = g_strconcat(path, "-wal", NULL);

    if (row->sql) {
        sqlite3 *handle = NULL;

        assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
        assert_int_equal(sqlite3_exec(handle, row->sql, NULL, NULL, NULL), SQLITE_OK);
        sqlite3_close(handle);
    }
    if (row->cut >= 0)
        assert_int_equal(truncate(path, row->cut), 0);
    if (row->garbage)
        assert_true(g_file_set_contents(path, row->garbage, -1, NULL));
    if (row->remove)
        assert_true(g_unlink(path) == 0 && g_file_set_contents(log, "x", 1, NULL));
    if (row->folder)
        assert_true(g_unlink(path) == 0 && g_mkdir(path, 0700) == 0);
}

/* Definitions are data: whatever is wrong, nothing is made anew and nothing is touched. */
static void
damage_is_told_and_left_alone(void **state)
{
    const DamageCase *row = *state;
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    gsize before_length = 0;
    gsize after_length = 0;

    open_store();
    for (int i = 0; i < 50; i++) {
        g_autofree char *xml = g_strnfill(500 + i, 'x');

        assert_true(inv_store_define(store, UUID_A, "a", xml, "defined", NULL, &error));
    }
    g_clear_pointer(&store, inv_store_close);
    make_damage(row);
    g_file_get_contents(path, &before, &before_length, NULL);
    store = inv_store_open(path, &error);
    assert_null(store);
    if (!strstr(error->message, row->message) || !strstr(error->message, path))
        fail_msg("'%s' does not say '%s'", error->message, row->message);
    assert_int_not_equal(inv_error_code(error), VIR_ERR_INTERNAL_ERROR);
    g_file_get_contents(path, &after, &after_length, NULL);
    assert_int_equal(before_length, after_length);
    if (before)
        assert_memory_equal(before, after, before_length);
    if (row->folder)
        g_rmdir(path);
}

static void
no_folder_is_an_error(void **state)
{
    g_autofree char *nowhere = g_build_filename(folder, "none", "state.db", NULL);

    assert_null(inv_store_open(nowhere, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_SYSTEM_ERROR);
    assert_non_null(strstr(error->message, nowhere));
}

static void
a_read_only_file_is_an_error(void **state)
{
    int status = 0;
    pid_t child;

    open_store();
    g_clear_pointer(&store, inv_store_close);
    assert_int_equal(g_chmod(path, 0444), 0);
    assert_int_equal(g_chmod(folder, 0555), 0);
    child = fork();
    if (child == 0) {
        /* Root writes everywhere: it becomes nobody for this. */
        if (geteuid() == 0 && setuid(65534) < 0)
            _exit(3);
        store = inv_store_open(path, &error);
        _exit(!store && strstr(error->message, path) && strstr(error->message, "must be readable and writable") ? 0 : 1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    assert_int_equal(g_chmod(folder, 0700), 0);
}

static gpointer
define_many(gpointer data)
{
    char letter = (char)GPOINTER_TO_INT(data);

    for (int i = 0; i < 20; i++) {
        g_autofree char *uuid = g_strdup_printf("11111111-2222-3333-4444-%02d000000000%c", i, letter);
        g_autofree char *name = g_strdup_printf("%c%d", letter, i);

        if (!inv_store_define(store, uuid, name, "<x/>", "defined", NULL, NULL))
            return GINT_TO_POINTER(1);
    }
    return NULL;
}

static void
threads_do_not_disturb_each_other(void **state)
{
    GThread *threads[4];
    g_autoptr(GPtrArray) domains = NULL;

    open_store();
    for (int i = 0; i < 4; i++)
        threads[i] = g_thread_new("define", define_many, GINT_TO_POINTER('a' + i));
    for (int i = 0; i < 4; i++)
        assert_null(g_thread_join(threads[i]));
    domains = inv_store_list_domains(store, &error);
    assert_int_equal(domains->len, 80);
}

static void
take_into_table(InvStoredDomain *domain, gpointer user_data)
{
    assert_true(g_hash_table_insert(user_data, domain->name, domain));
}

/* The same as the list has, each once. */
static void
each_domain_is_handed_over(void **state)
{
    g_autoptr(GHashTable) taken = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, (GDestroyNotify)inv_stored_domain_free);
    g_autoptr(GPtrArray) domains = NULL;

    open_store();
    assert_true(inv_store_each_domain(store, take_into_table, taken, &error));
    assert_int_equal(g_hash_table_size(taken), 0);
    assert_true(inv_store_define(store, UUID_A, "b", "<x/>", "defined", NULL, &error));
    assert_true(inv_store_define(store, UUID_A, "b", "<y/>", "defined", NULL, &error));
    assert_true(inv_store_define(store, UUID_B, "a", "<z/>", "defined", NULL, &error));
    assert_true(inv_store_each_domain(store, take_into_table, taken, &error));
    domains = inv_store_list_domains(store, &error);
    assert_int_equal(domains->len, 2);
    assert_int_equal(g_hash_table_size(taken), 2);
    for (guint i = 0; i < domains->len; i++) {
        const InvStoredDomain *listed = g_ptr_array_index(domains, i);
        const InvStoredDomain *other = g_hash_table_lookup(taken, listed->name);

        assert_string_equal(listed->name, i ? "b" : "a");
        assert_string_equal(other->uuid, listed->uuid);
        assert_null(other->xml);
        assert_null(other->record);
        assert_int_equal(other->revision, listed->revision);
    }
}

#ifdef INV_FAULT_POINTS
typedef struct {
    const char *name;
    const char *fault;
    const char *after;
} KillCase;

static const KillCase kill_cases[] = {
    { "killed in define", "store-define-before-commit", "a@1 <x/>/-: 1=<x/>/-(defined)" },
    { "killed after define", "store-define-after-commit", "a@2 <y/>/-: 1=<x/>/-(defined) 2=<y/>/-(defined)" },
    { "killed in a first start", "store-record-before-commit", "a@2 <y/>/-: 1=<x/>/-(defined) 2=<y/>/-(defined)" },
    { "killed after a first start", "store-record-after-commit",
      "a@3 <z/>/{1}: 1=<x/>/-(defined) 2=<y/>/-(defined) 3=<z/>/{1}(started)" },
};

static void
sigkill_leaves_nothing_half_done(void **state)
{
    const KillCase *row = *state;
    g_autofree char *after = NULL;
    int status = 0;
    pid_t child;

    open_store();
    assert_true(inv_store_define(store, UUID_A, "a", "<x/>", "defined", NULL, &error));
    g_clear_pointer(&store, inv_store_close);
    child = fork();
    if (child == 0) {
        g_setenv("INVAR_FAULT", row->fault, TRUE);
        store = inv_store_open(path, NULL);
        inv_store_define(store, UUID_A, "a", "<y/>", "defined", NULL, NULL);
        inv_store_record(store, UUID_A, "<z/>", "{1}", "started", NULL, NULL);
        _exit(1);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    open_store();
    after = describe();
    assert_string_equal(after, row->after);
}
#define N_KILL_CASES G_N_ELEMENTS(kill_cases)
#else
#define N_KILL_CASES 0
#endif

/* Whatever was answered before a SIGKILL at no particular moment is there afterwards, and at most one more. */
static void
sigkill_at_any_moment_loses_nothing(void **state)
{
    for (int round = 0; round < 10; round++) {
        g_autoptr(GPtrArray) revisions = NULL;
        gint64 before = 0;
        gint64 answered = 0;
        gint64 number;
        int pipes[2];
        pid_t child;

        open_store();
        assert_true(inv_store_define(store, UUID_A, "a", "<x/>", "defined", NULL, &error));
        assert_true(inv_store_reopen(store, UUID_A, NULL, "again", &before, &error));
        g_clear_pointer(&store, inv_store_close);
        assert_int_equal(pipe(pipes), 0);
        child = fork();
        if (child == 0) {
            close(pipes[0]);
            store = inv_store_open(path, NULL);
            for (;;) {
                if (!inv_store_reopen(store, UUID_A, NULL, "again", &number, NULL) ||
                    write(pipes[1], &number, sizeof(number)) != sizeof(number))
                    _exit(1);
            }
        }
        close(pipes[1]);
        answered = before;
        for (int i = 0; i < 3 + round; i++)
            assert_int_equal(read(pipes[0], &answered, sizeof(answered)), sizeof(answered));
        kill(child, SIGKILL);
        assert_int_equal(waitpid(child, NULL, 0), child);
        while (read(pipes[0], &number, sizeof(number)) == sizeof(number))
            answered = number;
        close(pipes[0]);
        open_store();
        revisions = inv_store_list_revisions(store, UUID_A, &error);
        assert_non_null(revisions);
        assert_true(revisions->len == answered || revisions->len == answered + 1);
        g_clear_pointer(&store, inv_store_close);
    }
}

#define ROW(test, row) \
    (struct CMUnitTest){ (row)->name, test, setup, teardown, (void *)(row) }

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(store_cases) + G_N_ELEMENTS(damage_cases) + N_KILL_CASES + 8] = {
        cmocka_unit_test_setup_teardown(texts_have_limits, setup, teardown),
        cmocka_unit_test_setup_teardown(what_runs_is_remembered, setup, teardown),
        cmocka_unit_test_setup_teardown(the_file_is_private_and_durable, setup, teardown),
        cmocka_unit_test_setup_teardown(no_folder_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(a_read_only_file_is_an_error, setup, teardown),
        cmocka_unit_test_setup_teardown(threads_do_not_disturb_each_other, setup, teardown),
        cmocka_unit_test_setup_teardown(each_domain_is_handed_over, setup, teardown),
        cmocka_unit_test_setup_teardown(sigkill_at_any_moment_loses_nothing, setup, teardown),
    };
    gsize n = 8;

    for (gsize i = 0; i < G_N_ELEMENTS(store_cases); i++)
        tests[n++] = ROW(steps_leave_this, &store_cases[i]);
    for (gsize i = 0; i < G_N_ELEMENTS(damage_cases); i++)
        tests[n++] = ROW(damage_is_told_and_left_alone, &damage_cases[i]);
#ifdef INV_FAULT_POINTS
    for (gsize i = 0; i < G_N_ELEMENTS(kill_cases); i++)
        tests[n++] = ROW(sigkill_leaves_nothing_half_done, &kill_cases[i]);
#endif
    return _cmocka_run_group_tests("store", tests, n, NULL, NULL);
}
