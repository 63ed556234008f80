/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/emulator_private.h"

#include "util/distance.h"
#include "util/error.h"

#include <string.h>

#define MAX_SHOWN 256

static const char *
nearest(const InvEmulator *emulator, const char *name)
{
    const char *best = NULL;
    guint best_distance = G_MAXUINT;
    GHashTableIter iter;
    gpointer key;

    if (strlen(name) > INV_DISTANCE_MAX)
        return NULL;
    g_hash_table_iter_init(&iter, emulator->machine_of);
    while (g_hash_table_iter_next(&iter, &key, NULL)) {
        guint found = inv_distance(name, key);

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
