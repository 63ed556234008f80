/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/emulator_private.h"

#include "util/error.h"

#include <string.h>

/* Longer names are not compared: the nearest of them would help nobody. */
#define MAX_COMPARED 64u
#define MAX_SHOWN 256

/* Levenshtein's distance of two short texts. */
static guint
distance(const char *a, const char *b)
{
    guint row[MAX_COMPARED + 1];
    gsize length = strlen(b);

    for (guint j = 0; j <= length; j++)
        row[j] = j;
    for (guint i = 1; a[i - 1]; i++) {
        guint diagonal = row[0];

        row[0] = i;
        for (guint j = 1; j <= length; j++) {
            guint above = row[j];

            row[j] = MIN(MIN(above, row[j - 1]) + 1, diagonal + (a[i - 1] != b[j - 1]));
            diagonal = above;
        }
    }
    return row[length];
}

static const char *
nearest(const InvEmulator *emulator, const char *name)
{
    const char *best = NULL;
    guint best_distance = G_MAXUINT;
    GHashTableIter iter;
    gpointer key;

    if (strlen(name) > MAX_COMPARED)
        return NULL;
    g_hash_table_iter_init(&iter, emulator->machine_of);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        guint found = strlen(key) > MAX_COMPARED ? G_MAXUINT : distance(name, key);

        /* Of two as near the alphabet decides, so that the answer is the same each time. */
        if (found < best_distance || (found == best_distance && best && strcmp(key, best) < 0)) {
            best_distance = found;
            best = key;
        }
    }
    return best_distance <= strlen(name) / 2 ? best : NULL;
}

const InvMachine *
inv_emulator_find_machine(const InvEmulator *emulator, const char *name, GError **error)
{
    const InvMachine *machine;
    const char *near;

    for (guint i = 0; !name && i < emulator->machines->len; i++) {
        machine = g_ptr_array_index(emulator->machines, i);
        if (machine->is_default)
            return machine;
    }
    if (!name) {
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s for %s has no default machine type: name one in <type machine=''>",
                      emulator->display, emulator->arch);
        return NULL;
    }
    machine = g_hash_table_lookup(emulator->machine_of, name);
    if (machine)
        return machine;
    near = nearest(emulator, name);
    if (near)
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s for %s has no machine type '%.*s': did you mean '%s'?",
                      emulator->display, emulator->arch, MAX_SHOWN, name, near);
    else
        inv_error_set(error, VIR_ERR_CONFIG_UNSUPPORTED, "%s for %s has no machine type '%.*s'", emulator->display,
                      emulator->arch, MAX_SHOWN, name);
    return NULL;
}

const InvMachine *
inv_emulator_usual_machine(const InvEmulator *emulator, const char *name, GError **error)
{
    const InvMachine *machine = inv_emulator_find_machine(emulator, name, name ? error : NULL);

    if (!machine && !name)
        machine = inv_emulator_find_machine(emulator, "virt", NULL);
    /* Its words. */
    return machine || name ? machine : inv_emulator_find_machine(emulator, NULL, error);
}
