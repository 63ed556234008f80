/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/registry.h"
#include "tests/unit/test_folder.h"
#include "util/error.h"

static InvRegistry *registry;
static InvStore *store; /* of the tests with definitions */
static char *folder;
static GError *error;

static int
setup(void **state)
{
    registry = inv_registry_new();
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&registry, inv_registry_free);
    g_clear_error(&error);
    return 0;
}

static int
setup_store(void **state)
{
    g_autofree char *path = NULL;

    folder = g_dir_make_tmp("invar-registry-XXXXXX", NULL);
    path = g_build_filename(folder, "state.db", NULL);
    store = inv_store_open(path, &error);
    setup(state);
    inv_registry_set_store(registry, store);
    return store ? 0 : -1;
}

static int
teardown_store(void **state)
{
    teardown(state);
    g_clear_pointer(&store, inv_store_close);
    test_folder_remove(folder);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static InvVm *
add(unsigned char number, const char *name)
{
    unsigned char uuid[VIR_UUID_BUFLEN] = { number };
    g_autoptr(InvVm) vm = inv_vm_new(registry, uuid, name);
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);

    return inv_registry_add_locked(registry, vm, &error) ? vm : NULL;
}

static void
names_and_uuids_are_unique(void **state)
{
    assert_non_null(add(1, "one"));
    assert_null(add(2, "one"));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_FAILED);
    assert_non_null(strstr(error->message, "'one' already exists"));
    g_clear_error(&error);
    assert_null(add(1, "two"));
    assert_non_null(strstr(error->message, "'one' is already defined"));
}

static void
a_rename_moves_the_name(void **state)
{
    InvVm *vm = add(1, "one");

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);

        assert_true(inv_registry_reserve_name_locked(registry, vm, "uno", NULL));
        inv_registry_rename_locked(registry, vm, "uno");
    }
    assert_null(inv_registry_get_name(registry, "one", &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_NO_DOMAIN);
    g_clear_error(&error);
    {
        g_autoptr(InvVm) found = inv_registry_get_name(registry, "uno", NULL);

        assert_ptr_equal(found, vm);
    }
}

static gpointer
take_job(gpointer data)
{
    g_autoptr(InvVmJob) job = inv_vm_begin_job(data, "second", NULL);

    return GINT_TO_POINTER(job != NULL);
}

static void
a_job_waits_for_the_one_before(void **state)
{
    InvVm *vm = add(1, "one");
    InvVmJob *job = inv_vm_begin_job(vm, "first", NULL);
    GThread *thread;

    assert_non_null(job);
    thread = g_thread_new("second", take_job, vm);
    assert_string_equal(vm->job, "first");
    inv_vm_end_job(job);
    assert_true(GPOINTER_TO_INT(g_thread_join(thread)));
    assert_null(vm->job);
}

static void
a_job_on_a_removed_domain_is_refused(void **state)
{
    g_autoptr(InvVm) vm = inv_vm_ref(add(1, "one"));

    {
        g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);

        inv_registry_remove_locked(registry, vm);
    }
    assert_null(inv_vm_begin_job(vm, "start", &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_NO_DOMAIN);
}

static void
ids_grow_past_those_of_an_earlier_daemon(void **state)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);

    inv_registry_reserve_id_locked(registry, 41);
    inv_registry_reserve_id_locked(registry, 7);
    assert_int_equal(inv_registry_next_id_locked(registry), 42);
}

static void
set_platform(InvVm *vm, const char *emulator, const char *machine, InvVirtType type)
{
    g_autoptr(InvRegistryLock) lock = inv_registry_lock(registry);
    InvDomain domain = { .virt_type = type, .emulator = (char *)emulator, .os = { .arch = (char *)"x86_64", .machine = (char *)machine } };

    inv_vm_set_summary_locked(vm, &domain);
}

/* A hundred thousand domains are of few kinds. */
static void
platforms_are_listed_once(void **state)
{
    g_autoptr(GPtrArray) platforms = NULL;
    const InvVmPlatform *platform;

    for (unsigned char i = 1; i <= 100; i++) {
        g_autofree char *name = g_strdup_printf("domain %d", i);

        set_platform(add(i, name), i % 2 ? "/opt/my qemu" : NULL, "q35", INV_VIRT_KVM);
    }
    add(200, "one whose document cannot be read");
    platforms = inv_registry_list_platforms(registry);
    assert_int_equal(platforms->len, 2);
    for (guint i = 0; i < platforms->len; i++) {
        platform = g_ptr_array_index(platforms, i);
        if (platform->emulator)
            assert_string_equal(platform->emulator, "/opt/my qemu");
        assert_string_equal(platform->arch, "x86_64");
        assert_string_equal(platform->machine, "q35");
        assert_int_equal(platform->virt_type, INV_VIRT_KVM);
        assert_false(platform->expansions);
    }
    assert_true(!((const InvVmPlatform *)g_ptr_array_index(platforms, 0))->emulator !=
                !((const InvVmPlatform *)g_ptr_array_index(platforms, 1))->emulator);
    /* One of another kind. */
    {
        g_autoptr(InvVm) vm = inv_registry_get_name(registry, "domain 1", NULL);

        set_platform(vm, NULL, NULL, INV_VIRT_QEMU);
    }
    g_clear_pointer(&platforms, g_ptr_array_unref);
    platforms = inv_registry_list_platforms(registry);
    assert_int_equal(platforms->len, 3);
}

static void
lists_are_sorted_by_name(void **state)
{
    g_autoptr(GPtrArray) list = NULL;

    add(1, "b");
    add(2, "c");
    add(3, "a");
    list = inv_registry_list(registry);
    assert_int_equal(list->len, 3);
    assert_string_equal(((InvVm *)g_ptr_array_index(list, 0))->name, "a");
    assert_string_equal(((InvVm *)g_ptr_array_index(list, 2))->name, "c");
}

#define LATE "<domain type='qemu'><name>late</name><memory unit='MiB'>64</memory><vcpu>3</vcpu>" \
             "<os><type arch='x86_64' machine='q35'>hvm</type></os></domain>"

/* As the daemon's start leaves it: with @xml (NULL: none) in the store, and nothing of it read. */
static InvVm *
add_unread(unsigned char number, const char *name, const char *xml)
{
    InvVm *vm = add(number, name);

    vm->persistent = vm->unread = TRUE;
    if (xml)
        assert_true(inv_store_define(store, vm->uuid_text, name, xml, "defined", NULL, &error));
    return vm;
}

/* Definitions are read when somebody asks what is in them, each once. */
static void
definitions_are_read_late(void **state)
{
    InvVm *vm = add_unread(1, "late", LATE), *bad = add_unread(2, "bad", "<domain"), *gone = add_unread(3, "gone", NULL);
    InvVm *other = add_unread(4, "other", LATE), *transient = add(5, "transient");
    g_autoptr(GPtrArray) platforms = NULL;

    transient->unread = TRUE;
    inv_vm_read_summary(vm);
    assert_int_equal(vm->summary.vcpus, 3);
    assert_int_equal(vm->summary.memory_kib, 64 * 1024);
    assert_false(vm->unread);
    assert_true(other->unread);
    platforms = inv_registry_list_platforms(registry);
    assert_int_equal(platforms->len, 1);
    assert_false(other->unread);
    assert_int_equal(other->summary.vcpus, 3);
    assert_null(transient->messages);
    assert_int_equal(bad->messages->len, 1);
    assert_non_null(strstr(g_ptr_array_index(bad->messages, 0), "its definition cannot be read"));
    inv_vm_read_summary(bad);
    assert_int_equal(bad->messages->len, 1);
    assert_non_null(strstr(g_ptr_array_index(gone->messages, 0), "Domain not found"));
    assert_null(vm->messages);
}

/* What is in force is what the store has, whoever put it there. */
static void
definitions_are_those_of_the_store(void **state)
{
    InvVm *vm = add_unread(1, "late", LATE);
    g_autoptr(InvDomain) domain = inv_vm_read_inactive(vm, &error);

    assert_int_equal(domain->max_vcpus, 3);
    assert_true(inv_store_define(store, vm->uuid_text, "late",
                                 "<domain type='qemu'><name>late</name><memory>64</memory><vcpu>4</vcpu>"
                                 "<os><type arch='x86_64'>hvm</type></os></domain>",
                                 "redefined", NULL, &error));
    g_clear_pointer(&domain, inv_domain_free);
    domain = inv_vm_read_inactive(vm, &error);
    assert_int_equal(domain->max_vcpus, 4);
    g_clear_pointer(&domain, inv_domain_free);
    assert_true(inv_store_undefine(store, vm->uuid_text, &error));
    assert_null(inv_vm_read_inactive(vm, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_NO_DOMAIN);
    g_clear_error(&error);
    vm->persistent = FALSE;
    assert_null(inv_vm_read_inactive(vm, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_INVALID);
}

/* A guest that is held to a record is not taken for one without, only because that cannot be read. */
static void
records_are_those_of_the_store(void **state)
{
    InvVm *vm = add_unread(1, "late", LATE), *transient = add(2, "transient");
    g_autoptr(InvCpuRecord) record = NULL;

    assert_true(inv_vm_read_record(vm, &record, &error));
    assert_null(record);
    assert_true(inv_store_record(store, vm->uuid_text, LATE, "{\"damaged", "started", NULL, &error));
    assert_false(inv_vm_read_record(vm, &record, &error));
    assert_null(record);
    assert_non_null(strstr(error->message, "the CPU record of domain 'late' cannot be read"));
    g_clear_error(&error);
    inv_vm_read_summary(vm);
    assert_int_equal(vm->summary.vcpus, 3);
    assert_int_equal(vm->messages->len, 1);
    assert_non_null(strstr(g_ptr_array_index(vm->messages, 0), "its CPU record cannot be read"));
    assert_true(inv_store_reopen(store, vm->uuid_text, NULL, "reopened", NULL, &error));
    assert_true(inv_vm_read_record(vm, &record, &error));
    assert_null(record);
    transient->live_record = g_new0(InvCpuRecord, 1);
    transient->live_record->arch = g_strdup("x86_64");
    assert_true(inv_vm_read_record(transient, &record, &error));
    assert_string_equal(record->arch, "x86_64");
}

static gboolean
has_flag(unsigned int flags, const InvVm *vm)
{
    return vm->autostart == (flags != 0);
}

static void
domains_are_counted(void **state)
{
    assert_int_equal(inv_registry_count(registry, has_flag, 0), 0);
    add(1, "one");
    add(2, "two");
    add(3, "three")->autostart = TRUE;
    assert_int_equal(inv_registry_count(registry, has_flag, 0), 2);
    assert_int_equal(inv_registry_count(registry, has_flag, 1), 1);
}

static void
autostart_lists_who_is_to_be_started(void **state)
{
    g_autoptr(GPtrArray) list = NULL;

    add(1, "not marked");
    add(2, "marked b")->autostart = TRUE;
    add(3, "marked a")->autostart = TRUE;
    {
        InvVm *active = add(4, "marked and active");

        active->autostart = TRUE;
        active->id = 7;
    }
    list = inv_registry_list_autostart(registry);
    assert_int_equal(list->len, 2);
    assert_string_equal(((InvVm *)g_ptr_array_index(list, 0))->name, "marked a");
    assert_string_equal(((InvVm *)g_ptr_array_index(list, 1))->name, "marked b");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(definitions_are_read_late, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(definitions_are_those_of_the_store, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(records_are_those_of_the_store, setup_store, teardown_store),
        cmocka_unit_test_setup_teardown(domains_are_counted, setup, teardown),
        cmocka_unit_test_setup_teardown(autostart_lists_who_is_to_be_started, setup, teardown),
        cmocka_unit_test_setup_teardown(names_and_uuids_are_unique, setup, teardown),
        cmocka_unit_test_setup_teardown(a_rename_moves_the_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_waits_for_the_one_before, setup, teardown),
        cmocka_unit_test_setup_teardown(a_job_on_a_removed_domain_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(ids_grow_past_those_of_an_earlier_daemon, setup, teardown),
        cmocka_unit_test_setup_teardown(lists_are_sorted_by_name, setup, teardown),
        cmocka_unit_test_setup_teardown(platforms_are_listed_once, setup, teardown),
    };

    return cmocka_run_group_tests_name("registry", tests, NULL, NULL);
}
