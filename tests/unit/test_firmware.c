/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/firmware.h"
#include "tests/unit/test_folder.h"

#include <glib/gstdio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

/* "@" stands for the folder of the test. */
#define FLASH(name, format, features) \
    "{\"description\":\"d\",\"interface-types\":[\"uefi\"],\"mapping\":{\"device\":\"flash\",\"mode\":\"split\"," \
    "\"executable\":{\"filename\":\"" name "\",\"format\":\"" format "\"}," \
    "\"nvram-template\":{\"filename\":\"@/vars\",\"format\":\"raw\"}}," \
    "\"targets\":[{\"architecture\":\"x86_64\",\"machines\":[\"pc-i440fx-*\",\"pc-q35-*\"]}],\"features\":[" features "],\"tags\":[]}"
#define MEMORY(name) \
    "{\"mapping\":{\"device\":\"memory\",\"filename\":\"" name "\"}," \
    "\"targets\":[{\"architecture\":\"i386\",\"machines\":[\"pc-*\"]},{\"architecture\":\"x86_64\",\"machines\":[\"microvm\"]}]}"

typedef struct {
    const char *name;
    struct {
        const char *path, *text;
    } files[3];
    const char *arch, *machine;
    const char *expected;
} FirmwareCase;

static const FirmwareCase cases[] = {
    { "nothing is described", { { NULL, NULL } }, "x86_64", "pc-q35-7.2", "" },
    { "flash", { { "late/50.json", FLASH("@/code", "raw", "") } }, "x86_64", "pc-q35-7.2", "code:flash" },
    { "another machine", { { "late/50.json", FLASH("@/code", "raw", "") } }, "x86_64", "microvm", "" },
    { "another architecture", { { "late/50.json", FLASH("@/code", "raw", "") } }, "aarch64", "pc-q35-7.2", "" },
    { "secure boot", { { "late/50.json", FLASH("@/code", "raw", "\"secure-boot\",\"requires-smm\"") } }, "x86_64", "pc-q35-7.2",
      "code:flash:secure" },
    { "secure boot without SMM is not secure", { { "late/50.json", FLASH("@/code", "raw", "\"secure-boot\"") } }, "x86_64",
      "pc-q35-7.2", "code:flash" },
    { "an image that Invar cannot give", { { "late/50.json", FLASH("@/code", "qcow2", "") } }, "x86_64", "pc-q35-7.2", "" },
    { "an image that is not there", { { "late/50.json", FLASH("@/gone", "raw", "") } }, "x86_64", "pc-q35-7.2", "" },
    { "a relative path", { { "late/50.json", FLASH("code", "raw", "") } }, "x86_64", "pc-q35-7.2", "" },
    { "a ROM", { { "late/60.json", MEMORY("@/code") } }, "i686", "pc-i440fx-7.2", "code:rom" },
    { "the names tell the order", { { "late/60.json", FLASH("@/code", "raw", "") }, { "early/70.json", FLASH("@/vars", "raw", "") } },
      "x86_64", "pc-q35-7.2", "code:flash vars:flash" },
    { "the first folder goes before", { { "late/50.json", FLASH("@/code", "raw", "") }, { "early/50.json", FLASH("@/vars", "raw", "") } },
      "x86_64", "pc-q35-7.2", "vars:flash" },
    { "an empty file hides", { { "late/50.json", FLASH("@/code", "raw", "") }, { "early/50.json", "" } }, "x86_64", "pc-q35-7.2", "" },
    { "an image once", { { "late/50.json", FLASH("@/code", "raw", "") },
                         { "late/60.json", FLASH("@/code", "raw", "\"secure-boot\",\"requires-smm\"") } },
      "x86_64", "pc-q35-7.2", "code:flash:secure" },
    { "garbage harms nobody", { { "late/40.json", "{\"mapping\":[" }, { "late/45.json", "[{\"targets\":7}]" },
                                { "late/50.json", FLASH("@/code", "raw", "") } }, "x86_64", "pc-q35-7.2", "code:flash" },
};

static char *folder;
static char *folders[3];

static char *
in_folder(const char *name)
{
    return g_build_filename(folder, name, NULL);
}

static void
write_file(const char *name, const char *text)
{
    g_autofree char *path = in_folder(name);
    GString *content = g_string_new(text);

    g_string_replace(content, "@", folder, 0);
    assert_true(g_file_set_contents(path, content->str, (gssize)content->len, NULL));
    g_string_free(content, TRUE);
}

static int
setup(void **state)
{
    folder = g_dir_make_tmp("firmware.XXXXXX", NULL);
    if (!folder)
        return -1;
    folders[0] = in_folder("early");
    folders[1] = in_folder("late");
    write_file("code", "x");
    write_file("vars", "x");
    return g_mkdir(folders[0], 0700) || g_mkdir(folders[1], 0700);
}

static int
teardown(void **state)
{
    for (guint i = 0; i < 2; i++)
        g_clear_pointer(&folders[i], g_free);
    test_folder_remove(folder);
    g_clear_pointer(&folder, g_free);
    return 0;
}

static char *
list_as_text(const char *arch, const char *machine)
{
    g_autoptr(GPtrArray) list = inv_firmware_list((const char *const *)folders, arch, machine);
    GString *text = g_string_new(NULL);

    for (guint i = 0; i < list->len; i++) {
        const InvFirmware *firmware = g_ptr_array_index(list, i);
        g_autofree char *name = g_path_get_basename(firmware->path);

        g_string_append_printf(text, "%s%s:%s%s", i ? " " : "", name, firmware->flash ? "flash" : "rom", firmware->secure ? ":secure" : "");
    }
    return g_string_free(text, FALSE);
}

static void
firmware_is_found(void **state)
{
    const FirmwareCase *row = *state;
    g_autofree char *text = NULL;

    for (gsize i = 0; i < G_N_ELEMENTS(row->files) && row->files[i].path; i++)
        write_file(row->files[i].path, row->files[i].text);
    text = list_as_text(row->arch, row->machine);
    assert_string_equal(text, row->expected);
}

static void
changes_are_noticed(void **state)
{
    static const struct {
        const char *path, *text; /* NULL: it is removed */
    } steps[] = {
        { "late/50.json", FLASH("@/code", "raw", "") }, { "late/50.json", FLASH("@/vars", "raw", "") },
        { "early/50.json", "" }, { "early/50.json", NULL }, { "vars", NULL },
    };

    for (gsize i = 0; i < G_N_ELEMENTS(steps); i++) {
        g_autoptr(InvFreshness) freshness = inv_freshness_new();
        g_autofree char *path = in_folder(steps[i].path);

        inv_firmware_watch((const char *const *)folders, freshness);
        assert_true(inv_freshness_holds(freshness));
        if (steps[i].text)
            write_file(steps[i].path, steps[i].text);
        else
            assert_int_equal(g_remove(path), 0);
        assert_false(inv_freshness_holds(freshness));
    }
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(cases) + 1];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(cases); i++)
        tests[n++] = (struct CMUnitTest){ cases[i].name, firmware_is_found, setup, teardown, (void *)&cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(changes_are_noticed, setup, teardown);
    return cmocka_run_group_tests_name("firmware", tests, NULL, NULL);
}
