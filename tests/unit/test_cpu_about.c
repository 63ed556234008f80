/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "cpu_map/cpu_about.h"
#include "cpu_map/cpu_map.h"
#include "util/error.h"

static InvCpuAbout *
load(const char *arch)
{
    g_autoptr(GError) error = NULL;
    InvCpuAbout *about = inv_cpu_about_load(inv_cpu_map_default_folder(), arch, &error);

    if (error)
        print_error("%s\n", error->message);
    assert_null(error);
    return about;
}

typedef struct {
    const char *name;
    const char *feature;
    const char *needs;     /* one that must be there; NULL: it needs none */
    const char *needed_by; /* likewise */
} FindCase;

static const FindCase find_cases[] = {
    { .name = "stands alone", .feature = "aes" },
    { .name = "needs one", .feature = "rdctl-no", .needs = "arch-capabilities" },
    { .name = "is needed", .feature = "svm", .needed_by = "npt" },
    { .name = "needs and is needed", .feature = "vmx-ept", .needs = "vmx", .needed_by = "vmx-unrestricted-guest" },
    { .name = "needs two steps away", .feature = "vmx-unrestricted-guest", .needs = "vmx-secondary-ctls" },
    { .name = "in no QEMU of this system", .feature = "vnmi", .needs = "svm" },
    { .name = "hidden and not switched off", .feature = "xgetbv1", .needs = "xsave" },
    { .name = "without a bit", .feature = "kvm_pv_unhalt" },
};

static void
what_needs_what(void **state)
{
    const FindCase *row = *state;
    g_autoptr(InvCpuAbout) about = load("x86_64");
    const InvCpuAboutEntry *entry = inv_cpu_about_find(about, row->feature);

    assert_non_null(entry);
    assert_string_equal(entry->name, row->feature);
    assert_true(row->needs ? g_strv_contains(entry->needs, row->needs) : !*entry->needs);
    assert_true(row->needed_by ? g_strv_contains(entry->needed_by, row->needed_by) : !*entry->needed_by);
}

static void
every_feature_has_its_texts(void **state)
{
    g_autoptr(InvCpuAbout) about = load("x86_64");
    g_autoptr(InvCpuMap) map = inv_cpu_map_load(inv_cpu_map_default_folder(), "x86_64", NULL);

    assert_int_equal(inv_cpu_about_size(about), inv_cpu_map_size(map));
    for (guint i = 0; i < inv_cpu_map_size(map); i++) {
        const char *name = inv_cpu_map_at(map, i)->name;
        const InvCpuAboutEntry *entry = inv_cpu_about_find(about, name);

        if (!entry)
            print_error("nothing is written of %s\n", name);
        assert_non_null(entry);
        /* A sentence, and no remark in its place. */
        assert_true(strlen(entry->about) > 10 && strchr(entry->about, ' '));
        assert_true(strlen(entry->cost) > 10 && strchr(entry->cost, ' '));
        assert_false(g_str_has_suffix(entry->about, ".") || g_str_has_suffix(entry->cost, "."));
        assert_false(g_strv_contains(entry->needs, name));
    }
    assert_null(inv_cpu_about_at(about, inv_cpu_about_size(about)));
    assert_null(inv_cpu_about_find(about, "avx512xyz"));
}

/* Who reads what a feature needs need not ask on. */
static void
needs_are_told_to_the_end(void **state)
{
    g_autoptr(InvCpuAbout) about = load("x86_64");

    for (guint i = 0; i < inv_cpu_about_size(about); i++) {
        const InvCpuAboutEntry *entry = inv_cpu_about_at(about, i);

        for (const char *const *name = entry->needs; *name; name++) {
            for (const char *const *next = inv_cpu_about_find(about, *name)->needs; *next; next++) {
                if (!g_strv_contains(entry->needs, *next))
                    print_error("%s needs %s, which needs %s\n", entry->name, *name, *next);
                assert_true(g_strv_contains(entry->needs, *next));
            }
        }
    }
}

static void
other_architectures_are_empty(void **state)
{
    g_autoptr(InvCpuAbout) i686 = load("i686");
    g_autoptr(InvCpuAbout) s390x = load("s390x");

    assert_non_null(inv_cpu_about_find(i686, "sse2"));
    assert_int_equal(inv_cpu_about_size(s390x), 0);
}

#define HEADER "name\tabout\tcost\tneeds\n"

typedef struct {
    const char *name;
    const char *content; /* NULL: no file */
    const char *message;
    virErrorNumber code;
} FileCase;

static const FileCase file_cases[] = {
    { .name = "no file", .message = "about.tsv", .code = VIR_ERR_SYSTEM_ERROR },
    { .name = "another header", .content = "name\tabout\n", .message = "columns are not the expected ones", .code = VIR_ERR_CONF_SYNTAX },
    { .name = "a feature twice", .content = HEADER "a\tA\tx\t-\na\tA\tx\t-\n", .message = ":3: feature 'a' is there twice",
      .code = VIR_ERR_CONF_SYNTAX },
    { .name = "no text", .content = HEADER "a\t\tx\t-\n", .message = ":2: feature 'a' lacks a text", .code = VIR_ERR_CONF_SYNTAX },
    { .name = "needs what is not there", .content = HEADER "a\tA\tx\tb\n", .message = "about.tsv: feature 'a' needs 'b'",
      .code = VIR_ERR_CONF_SYNTAX },
};

static void
bad_files_are_refused(void **state)
{
    const FileCase *row = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_dir_make_tmp("invar-about-XXXXXX", NULL);
    g_autofree char *sub = g_build_filename(folder, "x86", NULL);
    g_autofree char *path = g_build_filename(sub, "about.tsv", NULL);
    InvCpuAbout *about;

    g_mkdir(sub, 0700);
    if (row->content)
        g_file_set_contents(path, row->content, -1, NULL);
    about = inv_cpu_about_load(folder, "x86_64", &error);
    g_remove(path);
    g_rmdir(sub);
    g_rmdir(folder);
    assert_null(about);
    assert_int_equal(inv_error_code(error), row->code);
    assert_non_null(strstr(error->message, row->message));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(find_cases) + G_N_ELEMENTS(file_cases) + 3];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(find_cases); i++)
        tests[n++] = (struct CMUnitTest){ find_cases[i].name, what_needs_what, NULL, NULL, (void *)&find_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(file_cases); i++)
        tests[n++] = (struct CMUnitTest){ file_cases[i].name, bad_files_are_refused, NULL, NULL, (void *)&file_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(every_feature_has_its_texts);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(needs_are_told_to_the_end);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(other_architectures_are_empty);
    g_assert(n == G_N_ELEMENTS(tests));
    return cmocka_run_group_tests_name("cpu about", tests, NULL, NULL);
}
