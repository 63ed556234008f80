/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/command.h"

#include "util/json.h"

#include <string.h>

/* The command line is made to be read, never to be run: no descriptor and no folder of it exists. */
#define NO_DESCRIPTOR 3
#define NO_FOLDER "/nonexistent"

static int
compare_names(gconstpointer a, gconstpointer b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Of "-device" in either of QEMU's forms. Owned by the caller. */
static char *
type_of(const char *value)
{
    g_autoptr(InvJson) json = *value == '{' ? inv_json_parse(value, strlen(value), NULL) : NULL;

    return json ? g_strdup(inv_json_get_string(json, "driver")) : g_strndup(value, strcspn(value, ","));
}

char **
inv_command_device_types(const InvDomain *domain, InvEmulator *emulator, const InvMachine *machine, GError **error)
{
    const InvCommandContext context = { .emulator = emulator, .machine = machine, .monitor_fd = NO_DESCRIPTOR, .runtime_dir = NO_FOLDER };
    g_auto(GStrv) argv = inv_command_build(domain, &context, error);
    g_autoptr(GHashTable) seen = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(GPtrArray) list = g_ptr_array_new_with_free_func(g_free);

    if (!argv)
        return NULL;
    for (char **word = argv; *word && word[1]; word++) {
        char *type = strcmp(*word, "-device") == 0 ? type_of(word[1]) : NULL;

        if (type && g_hash_table_add(seen, type))
            g_ptr_array_add(list, type);
        else
            g_free(type);
    }
    g_ptr_array_sort(list, compare_names);
    g_ptr_array_add(list, NULL);
    return (char **)g_ptr_array_steal(list, NULL);
}
