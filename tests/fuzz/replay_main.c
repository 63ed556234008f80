/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <glib.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Stands in for libFuzzer where the compiler has none: runs the entry over each file given, or over
 * each file of a folder given, and says so in TAP. Without arguments, over the corpus that the
 * build names. A fault ends the program, as in the fuzzer.
 */
static guint count;

static void
run_file(const char *path)
{
    g_autofree char *data = NULL;
    gsize size = 0;
    gboolean read = g_file_get_contents(path, &data, &size, NULL);

    if (read)
        LLVMFuzzerTestOneInput((const uint8_t *)data, size);
    printf("%s %u - %s\n", read ? "ok" : "not ok", ++count, path);
    fflush(stdout);
}

static void
run_path(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;

    if (!folder) {
        run_file(path);
        return;
    }
    while ((name = g_dir_read_name(folder))) {
        g_autofree char *file = g_build_filename(path, name, NULL);

        run_file(file);
    }
}

int
main(int argc, char **argv)
{
    for (int i = 1; i < argc; i++)
        run_path(argv[i]);
#ifdef CORPUS
    if (argc < 2) {
        const char *top = g_getenv("INVAR_TOP_SRCDIR");
        g_autofree char *path = g_build_filename(top ? top : ".", CORPUS, NULL);

        run_path(path);
    }
#endif
    printf("1..%u\n", count);
    return count ? EXIT_SUCCESS : EXIT_FAILURE;
}
