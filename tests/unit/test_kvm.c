/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "qemu/kvm.h"

typedef struct {
    const char *name;
    const char *path; /* NULL: a plain file */
    InvKvmState state;
    const char *reason;
} StateCase;

static const StateCase state_cases[] = {
    { .name = "no device", .path = "/nonexistent/kvm", .state = INV_KVM_ABSENT, .reason = "there is no /nonexistent/kvm" },
    { .name = "another device", .path = "/dev/null", .state = INV_KVM_BROKEN, .reason = "does not answer as KVM" },
    { .name = "a folder", .path = "/", .state = INV_KVM_BROKEN, .reason = "is not a device" },
    { .name = "a plain file", .state = INV_KVM_BROKEN, .reason = "is not a device" },
};

static char *reason;
static char *path;
static char *again;

static int
teardown(void **state)
{
    if (path)
        unlink(path);
    g_clear_pointer(&path, g_free);
    g_clear_pointer(&reason, g_free);
    g_clear_pointer(&again, g_free);
    return 0;
}

static void
make_file(void)
{
    int fd = g_file_open_tmp("invar-test-XXXXXX", &path, NULL);

    assert_true(fd >= 0);
    close(fd);
}

static void
state_is_told_apart(void **state)
{
    const StateCase *row = *state;

    if (!row->path)
        make_file();
    assert_int_equal(inv_kvm_state_of(row->path ? row->path : path, &reason), row->state);
    assert_non_null(strstr(reason, row->reason));
    /* The second answer comes from memory and is the same. */
    assert_int_equal(inv_kvm_state_of(row->path ? row->path : path, &again), row->state);
    assert_string_equal(again, reason);
}

static void
changed_file_is_asked_again(void **state)
{
    make_file();
    assert_int_equal(inv_kvm_state_of(path, NULL), INV_KVM_BROKEN);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(inv_kvm_state_of(path, NULL), INV_KVM_ABSENT);
    assert_int_equal(symlink("/dev/null", path), 0);
    assert_int_equal(inv_kvm_state_of(path, &reason), INV_KVM_BROKEN);
    assert_non_null(strstr(reason, "does not answer as KVM"));
}

static void
fingerprints_hold_still(void **state)
{
    path = NULL;
    reason = inv_kvm_fingerprint();
    again = inv_kvm_fingerprint();
    assert_string_equal(reason, again);
    assert_true(g_str_has_prefix(reason, "kvm "));
    assert_null(strchr(reason, '\n'));
    g_clear_pointer(&reason, g_free);
    g_clear_pointer(&again, g_free);
    reason = inv_host_cpu_fingerprint();
    again = inv_host_cpu_fingerprint();
    assert_string_equal(reason, again);
    assert_true(strlen(reason) > strlen("cpu 0123456789abcdef"));
    assert_null(strchr(reason, '\n'));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(state_cases) + 2];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(state_cases); i++)
        tests[n++] = (struct CMUnitTest){ state_cases[i].name, state_is_told_apart, NULL, teardown, (void *)&state_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(changed_file_is_asked_again, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(fingerprints_hold_still, teardown);
    return cmocka_run_group_tests_name("kvm", tests, NULL, NULL);
}
