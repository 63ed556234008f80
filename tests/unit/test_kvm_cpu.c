/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "qemu/kvm.h"
#include "qemu/kvm_cpu.h"
#include "util/error.h"

static GError *error;
static InvCpuidData *data;

static int
teardown(void **state)
{
    g_clear_error(&error);
    g_clear_pointer(&data, inv_cpuid_data_free);
    return 0;
}

typedef struct {
    const char *name;
    const char *path;
    const char *message;
} RefusedCase;

static const RefusedCase refused_cases[] = {
    { .name = "no device", .path = "/nonexistent/kvm", .message = "/nonexistent/kvm cannot be opened" },
    { .name = "a folder", .path = "/", .message = "/ cannot be opened" },
    { .name = "another device", .path = "/dev/null", .message = "/dev/null does not say which CPUID it offers" },
};

static void
what_is_no_kvm_says_so(void **state)
{
    const RefusedCase *row = *state;

    assert_null(inv_kvm_cpuid_data_of(row->path, &error));
    assert_int_equal(inv_error_code(error), VIR_ERR_OPERATION_UNSUPPORTED);
    assert_non_null(strstr(error->message, row->message));
}

/* Every processor that can run KVM has SSE2, long mode and the leaf that says how far the basic ones go. */
static void
this_kernel_offers_a_cpu(void **state)
{
    const InvCpuidLeaf *basic, *extended;

    gboolean is_x86 = FALSE;

#if defined(__x86_64__) || defined(__i386__)
    is_x86 = TRUE;
#endif
    if (inv_kvm_state(NULL) != INV_KVM_WORKS || !is_x86) {
        print_message("this_kernel_offers_a_cpu needs a KVM of x86 that works\n");
        skip();
    }
    data = inv_kvm_cpuid_data(&error);
    assert_non_null(data);
    basic = inv_cpuid_data_leaf(data, 1, 0);
    extended = inv_cpuid_data_leaf(data, 0x80000001, 0);
    assert_non_null(basic);
    assert_non_null(extended);
    assert_true(basic->regs[INV_CPU_REGISTER_EDX] & 1u << 26);
    assert_true(extended->regs[INV_CPU_REGISTER_EDX] & 1u << 29);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(refused_cases) + 1];
    guint n = 0;

    for (guint i = 0; i < G_N_ELEMENTS(refused_cases); i++)
        tests[n++] = (struct CMUnitTest){ refused_cases[i].name, what_is_no_kvm_says_so, NULL, teardown, (void *)&refused_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_teardown(this_kernel_offers_a_cpu, teardown);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
