/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/test_folder.h"

#include <glib.h>
#include <glib/gstdio.h>

void
test_folder_remove(const char *path)
{
    g_autoptr(GDir) folder = g_dir_open(path, 0, NULL);
    const char *name;

    while (folder && (name = g_dir_read_name(folder))) {
        g_autofree char *child = g_build_filename(path, name, NULL);

        if (g_file_test(child, G_FILE_TEST_IS_DIR) && !g_file_test(child, G_FILE_TEST_IS_SYMLINK))
            test_folder_remove(child);
        else
            g_unlink(child);
    }
    g_rmdir(path);
}
