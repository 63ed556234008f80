/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <glib/gstdio.h>

#include "cpu_map/cpu_map.h"
#include "cpu_map/cpu_models.h"
#include "util/error.h"

static InvCpuModels *
load(const char *arch)
{
    g_autoptr(GError) error = NULL;
    InvCpuModels *models = inv_cpu_models_load(inv_cpu_map_default_folder(), arch, &error);

    assert_null(error);
    return models;
}

typedef struct {
    const char *name;
    const char *asked;
    const char *found; /* NULL: not known */
    const char *stem, *vendor;
    guint version;
    gint64 family, model_number;
    const char *has, *lacks;
} FindCase;

static const FindCase find_cases[] = {
    { .name = "by its versioned name", .asked = "Skylake-Client-v4", .found = "Skylake-Client-v4", .stem = "Skylake-Client",
      .vendor = "GenuineIntel", .version = 4, .family = 6, .model_number = 94, .has = "avx2", .lacks = "hle" },
    { .name = "by its alias", .asked = "Broadwell-noTSX", .found = "Broadwell-v2", .stem = "Broadwell", .vendor = "GenuineIntel",
      .version = 2, .family = 6, .model_number = 61, .has = "vme", .lacks = "rtm" },
    { .name = "of AMD", .asked = "EPYC-Milan", .found = "EPYC-Milan-v1", .stem = "EPYC-Milan", .vendor = "AuthenticAMD", .version = 1,
      .family = 25, .model_number = 1, .has = "svm", .lacks = "hypervisor" },
    { .name = "not known", .asked = "Skylake-Client-v99" },
    { .name = "host is no model", .asked = "host" },
    { .name = "empty", .asked = "" },
};

static void
find_by_name(void **state)
{
    const FindCase *row = *state;
    g_autoptr(InvCpuModels) models = load("x86_64");
    const InvCpuModelEntry *entry = inv_cpu_models_find(models, row->asked);

    if (!row->found) {
        assert_null(entry);
        return;
    }
    assert_non_null(entry);
    assert_string_equal(entry->name, row->found);
    assert_string_equal(entry->stem, row->stem);
    assert_string_equal(entry->vendor, row->vendor);
    assert_int_equal(entry->version, row->version);
    assert_int_equal(entry->family, row->family);
    assert_int_equal(entry->model_number, row->model_number);
    assert_true(g_strv_contains(entry->features, row->has));
    assert_false(g_strv_contains(entry->features, row->lacks));
}

static void
features_are_spelled_as_the_map_spells_them(void **state)
{
    g_autoptr(InvCpuModels) models = load("x86_64");
    g_autoptr(InvCpuMap) map = inv_cpu_map_load(inv_cpu_map_default_folder(), "x86_64", NULL);

    assert_true(inv_cpu_models_size(models) > 70);
    for (guint i = 0; i < inv_cpu_models_size(models); i++) {
        const InvCpuModelEntry *entry = inv_cpu_models_at(models, i);

        for (const char *const *name = entry->features; *name; name++)
            assert_string_equal(inv_cpu_map_find(map, *name)->name, *name);
        for (const char *const *name = entry->with_vmx; *name; name++)
            assert_true(g_str_has_prefix(*name, "vmx-"));
    }
    assert_null(inv_cpu_models_at(models, inv_cpu_models_size(models)));
}

static void
other_architectures(void **state)
{
    g_autoptr(InvCpuModels) s390x = load("s390x");
    g_autoptr(InvCpuModels) none = load("riscv64");

    assert_true(inv_cpu_models_find(s390x, "z14-base")->is_static);
    assert_false(inv_cpu_models_find(s390x, "z14")->is_static);
    assert_null(inv_cpu_models_find(s390x, "z14")->vendor);
    assert_int_equal(inv_cpu_models_size(none), 0);
}

typedef struct {
    const char *name;
    const char *tree; /* name of the test of the tree */
    const char *target;
    const char *folder;
} RenewCase;

static const RenewCase renew_cases[] = {
    { .name = "renewing is stable: x86", .tree = "the tree is renewed: x86", .target = "qemu-system-x86_64", .folder = "x86" },
    { .name = "renewing is stable: s390x", .tree = "the tree is renewed: s390x", .target = "qemu-system-s390x", .folder = "s390x" },
};

/* @folder: NULL: asks only what would change of the tree. */
static char *
renew(const char *qemu, const char *folder)
{
    g_autofree char *tool = g_build_filename(g_getenv("INVAR_TOP_SRCDIR"), "cpu_map", "renew.py", NULL);
    const char *const argv[] = { "/usr/bin/python3", tool, qemu, folder ? "--output" : "--dry-run", folder, NULL };
    g_autofree char *output = NULL;
    int status = -1;

    assert_true(g_spawn_sync(NULL, (char **)argv, NULL, G_SPAWN_DEFAULT, NULL, NULL, &output, NULL, &status, NULL));
    assert_true(g_spawn_check_wait_status(status, NULL));
    return g_steal_pointer(&output);
}

static void
renewing_is_stable(void **state)
{
    const RenewCase *row = *state;
    g_autofree char *qemu = g_find_program_in_path(row->target);
    g_autofree char *folder = NULL, *sub = NULL, *path = NULL, *first = NULL, *second = NULL, *text = NULL, *again = NULL;

    if (!qemu || !g_getenv("INVAR_TOP_SRCDIR"))
        skip();
    folder = g_dir_make_tmp("invar-models-XXXXXX", NULL);
    sub = g_build_filename(folder, row->folder, NULL);
    path = g_build_filename(sub, "models.tsv", NULL);
    first = renew(qemu, folder);
    assert_true(g_file_get_contents(path, &text, NULL, NULL));
    second = renew(qemu, folder);
    assert_true(g_file_get_contents(path, &again, NULL, NULL));
    g_remove(path);
    g_rmdir(sub);
    g_rmdir(folder);
    assert_non_null(strstr(first, ": new\n"));
    assert_true(g_str_has_suffix(second, " 0 changes\n"));
    assert_string_equal(text, again);
}

/* Another QEMU than the one that the tree was renewed from may know more. */
static void
the_tree_is_renewed(void **state)
{
    const RenewCase *row = *state;
    g_autofree char *qemu = g_find_program_in_path(row->target);
    g_autofree char *output = NULL;

    if (!qemu || !g_getenv("INVAR_TOP_SRCDIR"))
        skip();
    output = renew(qemu, NULL);
    if (!strstr(output, "QEMU 7.2."))
        return;
    if (!g_str_has_suffix(output, " 0 changes\n"))
        print_error("%s", output);
    assert_true(g_str_has_suffix(output, " 0 changes\n"));
}

#define ABOUT "# A comment that stays.\nname\tabout\tcost\tneeds\n"

static void
needs_are_measured(void **state)
{
    g_autofree char *qemu = g_find_program_in_path("qemu-system-x86_64");
    g_autofree char *folder = NULL, *sub = NULL, *path = NULL, *models = NULL, *output = NULL, *text = NULL;

    if (!qemu || !g_getenv("INVAR_TOP_SRCDIR"))
        skip();
    folder = g_dir_make_tmp("invar-models-XXXXXX", NULL);
    sub = g_build_filename(folder, "x86", NULL);
    path = g_build_filename(sub, "about.tsv", NULL);
    models = g_build_filename(sub, "models.tsv", NULL);
    g_mkdir(sub, 0700);
    g_file_set_contents(path, ABOUT "svm\tA\tB\t-\nnpt\tA\tB\t-\nvnmi\tA\tB\tsvm\n", -1, NULL);
    output = renew(qemu, folder);
    g_file_get_contents(path, &text, NULL, NULL);
    g_remove(path);
    g_remove(models);
    g_rmdir(sub);
    g_rmdir(folder);
    assert_non_null(strstr(output, "npt: needs: +svm\n"));
    assert_string_equal(text, ABOUT "svm\tA\tB\t-\nnpt\tA\tB\tsvm\nvnmi\tA\tB\tsvm\n");
}

#define HEADER "name\taliases\tvendor\tfamily\tmodel_number\tstepping\tlevel\txlevel\tstatic\tdeprecated\tfeatures\twith_vmx\n"

typedef struct {
    const char *name;
    const char *content;
    const char *message;
} FileCase;

static const FileCase file_cases[] = {
    { .name = "another header", .content = "name\n", .message = "columns are not the expected ones" },
    { .name = "a model twice", .content = HEADER "a\t\t-\t-\t-\t-\t-\t-\tno\tno\t\t\na\t\t-\t-\t-\t-\t-\t-\tno\tno\t\t\n", .message = "'a' is there twice" },
    { .name = "an alias that is a model", .content = HEADER "a\ta\t-\t-\t-\t-\t-\t-\tno\tno\t\t\n", .message = "'a' is there twice" },
    { .name = "no number", .content = HEADER "a\t\t-\tsix\t-\t-\t-\t-\tno\tno\t\t\n", .message = ":2: 'six' is not a number" },
    { .name = "neither yes nor no", .content = HEADER "a\t\t-\t-\t-\t-\t-\t-\tmaybe\tno\t\t\n", .message = "neither yes nor no" },
    { .name = "no name", .content = HEADER "\t\t-\t-\t-\t-\t-\t-\tno\tno\t\t\n", .message = "has no name" },
};

static void
bad_files_are_refused(void **state)
{
    const FileCase *row = *state;
    g_autoptr(GError) error = NULL;
    g_autofree char *folder = g_dir_make_tmp("invar-models-XXXXXX", NULL);
    g_autofree char *sub = g_build_filename(folder, "x86", NULL);
    g_autofree char *path = g_build_filename(sub, "models.tsv", NULL);
    InvCpuModels *models;

    g_mkdir(sub, 0700);
    g_file_set_contents(path, row->content, -1, NULL);
    models = inv_cpu_models_load(folder, "x86_64", &error);
    g_remove(path);
    g_rmdir(sub);
    g_rmdir(folder);
    assert_null(models);
    assert_int_equal(inv_error_code(error), VIR_ERR_CONF_SYNTAX);
    assert_non_null(strstr(error->message, row->message));
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(find_cases) + 2 * G_N_ELEMENTS(renew_cases) + G_N_ELEMENTS(file_cases) + 3];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(find_cases); i++)
        tests[n++] = (struct CMUnitTest){ find_cases[i].name, find_by_name, NULL, NULL, (void *)&find_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(renew_cases); i++)
        tests[n++] = (struct CMUnitTest){ renew_cases[i].name, renewing_is_stable, NULL, NULL, (void *)&renew_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(renew_cases); i++)
        tests[n++] = (struct CMUnitTest){ renew_cases[i].tree, the_tree_is_renewed, NULL, NULL, (void *)&renew_cases[i] };
    for (gsize i = 0; i < G_N_ELEMENTS(file_cases); i++)
        tests[n++] = (struct CMUnitTest){ file_cases[i].name, bad_files_are_refused, NULL, NULL, (void *)&file_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(features_are_spelled_as_the_map_spells_them);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(other_architectures);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test(needs_are_measured);
    g_assert(n == G_N_ELEMENTS(tests));
    return cmocka_run_group_tests_name("cpu models", tests, NULL, NULL);
}
