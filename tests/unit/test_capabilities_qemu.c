/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/capabilities.h"
#include "daemon/domain_capabilities.h"
#include "daemon/guest_arch.h"
#include "daemon/host.h"
#include "daemon/host_cpu.h"
#include "tests/unit/schema_check.h"
#include "util/error.h"

#include <glib/gstdio.h>
#include <libxml/parser.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

/* Invar's answers about the QEMUs that are installed here, held against libvirt's own schemas. */

#define DEADLINE_MS 120000u
#define WANTED_ARCHES 4u

static InvIoThread *io;
static InvCache *cache;
static InvEmulators *emulators;
static char *scratch;
static char *text;
static GError *error;
static xmlDocPtr document;

static int
group_setup(void **state)
{
    scratch = g_dir_make_tmp("invar-caps-XXXXXX", NULL);
    io = inv_io_thread_new();
    cache = inv_cache_open(NULL);
    emulators = inv_emulators_new(io, cache, NULL, scratch);
    return scratch ? 0 : -1;
}

static int
group_teardown(void **state)
{
    inv_emulators_free(emulators);
    inv_cache_close(cache);
    inv_io_thread_free(io);
    g_rmdir(scratch);
    g_free(scratch);
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&document, xmlFreeDoc);
    g_clear_pointer(&text, g_free);
    g_clear_error(&error);
    return 0;
}

static gboolean
can_test(void)
{
    g_auto(GStrv) paths = inv_emulators_list(emulators);

    if (!*paths)
        print_message("no qemu-system-* is installed\n");
    if (!g_file_test(LIBVIRT_SCHEMAS "capability.rng", G_FILE_TEST_EXISTS))
        print_message("libvirt's schemas are not installed\n");
    return *paths && g_file_test(LIBVIRT_SCHEMAS "capability.rng", G_FILE_TEST_EXISTS);
}

static void
assert_valid(const char *schema)
{
    g_autofree char *complaint = NULL;

    document = xmlReadMemory(text, (int)strlen(text), NULL, NULL, XML_PARSE_NONET);
    assert_non_null(document);
    schema_drop_dotted_features(xmlDocGetRootElement(document));
    complaint = schema_check(document, schema);
    if (complaint)
        print_error("%s\n%s", complaint, text);
    assert_true(complaint == NULL);
    g_clear_pointer(&document, xmlFreeDoc);
}

static void
capabilities_are_valid(void **state)
{
    g_autofree char *arch = NULL;

    if (!can_test())
        skip();
    arch = g_strdup_printf("<arch>%s</arch>", inv_host_arch());
    text = inv_capabilities_format(emulators, DEADLINE_MS, NULL, &error);
    if (error)
        print_error("%s\n", error->message);
    assert_non_null(text);
    assert_non_null(strstr(text, arch));
    assert_valid(LIBVIRT_SCHEMAS "capability.rng");
}

static void
domain_capabilities_are_valid(void **state)
{
    g_autoptr(GPtrArray) all = NULL;
    guint asked = 0;

    if (!can_test())
        skip();
    all = inv_emulators_probe_all(emulators, DEADLINE_MS, NULL);
    for (guint i = 0; i < all->len && asked < WANTED_ARCHES; i++) {
        InvEmulator *emulator = g_ptr_array_index(all, i);
        const InvMachine *machine = inv_emulator_find_machine(emulator, NULL, NULL);

        if (!machine || !inv_guest_arch_word_size(inv_emulator_arch(emulator)))
            continue;
        asked++;
        text = inv_domain_capabilities_format_full(emulators, inv_emulator_path(emulator), NULL, NULL, "qemu", FALSE, DEADLINE_MS,
                                                   &error);
        if (error)
            print_error("%s: %s\n", inv_emulator_path(emulator), error->message);
        assert_non_null(text);
        assert_valid(LIBVIRT_SCHEMAS "domaincaps.rng");
        g_clear_pointer(&text, g_free);
    }
    assert_true(asked > 0);
}

static void
x86_models_are_told(void **state)
{
    g_autoptr(InvEmulator) x86 = NULL;
    g_auto(GStrv) models = NULL;

    if (!can_test())
        skip();
    x86 = inv_emulators_get(emulators, NULL, "x86_64", DEADLINE_MS, NULL);
    if (!x86) {
        print_message("no emulator for x86_64 is installed\n");
        skip();
    }
    models = inv_cpu_model_names(emulators, "x86_64", DEADLINE_MS, &error);
    assert_non_null(models);
    assert_true(g_strv_contains((const char *const *)models, "Nehalem"));
    text = inv_domain_capabilities_format_full(emulators, NULL, "x86_64", "q35", "qemu", TRUE, DEADLINE_MS, &error);
    assert_non_null(text);
    assert_non_null(strstr(text, "canonical='Nehalem-v1'>Nehalem<"));
    assert_non_null(strstr(text, "<mode name='host-model' supported='yes'>"));
    assert_non_null(strstr(text, "<machine>pc-q35-"));
    g_clear_pointer(&text, g_free);
    text = inv_domain_capabilities_format_full(emulators, NULL, "x86_64", NULL, NULL, FALSE, DEADLINE_MS, &error);
    assert_non_null(text);
    assert_valid(LIBVIRT_SCHEMAS "domaincaps.rng");
}

/* The names of the models of which the document says @usable; owned by the caller. */
static char *
models_that(const char *usable)
{
    g_autofree char *wanted = g_strdup_printf("usable='%s'", usable);
    g_auto(GStrv) lines = g_strsplit(text, "\n", -1);
    GString *names = g_string_new(NULL);

    for (char **line = lines; *line; line++) {
        const char *begin = strstr(*line, "<model usable=") ? strchr(*line, '>') : NULL;

        if (begin && strstr(*line, wanted))
            g_string_append_printf(names, "%.*s ", (int)strcspn(begin + 1, "<"), begin + 1);
    }
    return g_string_free(names, FALSE);
}

/* What QEMU itself says of the models of one machine type. */
static char *
models_of_qemu(InvEmulator *emulator, const char *machine, gboolean usable)
{
    const InvMachine *canonical = inv_emulator_find_machine(emulator, machine, NULL);
    g_autoptr(GPtrArray) names = g_ptr_array_new();
    GString *joined = g_string_new(NULL);
    InvCpuFacts facts;

    assert_true(inv_emulator_cpu_facts(emulator, INV_VIRT_QEMU, canonical->name, INV_EXPANSIONS_ALL, DEADLINE_MS, &facts, NULL));
    for (guint i = 0; i < inv_cpu_table_size(facts.table); i++) {
        const InvCpuModel *model = inv_cpu_table_at(facts.table, i);

        if (!inv_cpu_model_is_generic(model->name) && model->has_usable && (!model->unavailable || !*model->unavailable) == usable)
            g_ptr_array_add(names, model->name);
    }
    for (guint i = 0; i < names->len; i++)
        g_string_append_printf(joined, "%s ", (const char *)g_ptr_array_index(names, i));
    return g_string_free(joined, FALSE);
}

static int
compare_words(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *
sorted(const char *words)
{
    g_auto(GStrv) list = g_strsplit(words, " ", -1);

    qsort(list, g_strv_length(list), sizeof(*list), compare_words);
    return g_strjoinv(" ", list);
}

static void
each_machine_has_its_own(void **state)
{
    static const char *const machines[] = { "q35", "pc", "pc-i440fx-2.1", "pc-i440fx-1.4", "microvm", "isapc" };
    g_autoptr(InvEmulator) x86 = inv_emulators_get(emulators, NULL, "x86_64", DEADLINE_MS, NULL);

    if (!x86 || !can_test())
        skip();
    for (gsize i = 0; i < G_N_ELEMENTS(machines); i++) {
        /* Old machine types go with the years. */
        if (!inv_emulator_find_machine(x86, machines[i], NULL))
            continue;
        g_clear_pointer(&text, g_free);
        text = inv_domain_capabilities_format_full(emulators, NULL, "x86_64", machines[i], "qemu", FALSE, DEADLINE_MS, &error);
        assert_non_null(text);
        assert_valid(LIBVIRT_SCHEMAS "domaincaps.rng");
        for (guint usable = 0; usable < 2; usable++) {
            g_autofree char *said = models_that(usable ? "yes" : "no");
            g_autofree char *true_ones = models_of_qemu(x86, machines[i], usable);
            g_autofree char *ours = sorted(said);
            g_autofree char *theirs = sorted(true_ones);

            assert_string_equal(ours, theirs);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(capabilities_are_valid, teardown),
        cmocka_unit_test_teardown(domain_capabilities_are_valid, teardown),
        cmocka_unit_test_teardown(x86_models_are_told, teardown),
        cmocka_unit_test_teardown(each_machine_has_its_own, teardown),
    };
    int failed = cmocka_run_group_tests_name("capabilities of installed QEMUs", tests, group_setup, group_teardown);

    xmlCleanupParser();
    return failed;
}
