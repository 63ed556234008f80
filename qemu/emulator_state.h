/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* How it stands with an emulator; also on the wire of Invar's own program. */
typedef enum {
    INV_EMULATOR_UNKNOWN, /* never asked, or not to the end */
    INV_EMULATOR_PROBING,
    INV_EMULATOR_KNOWN,
    INV_EMULATOR_FAILED,
    INV_EMULATOR_CHANGED, /* what its answers depend on is not what it was */
    INV_EMULATOR_GONE,    /* the file was removed */
} InvEmulatorState;
const char *inv_emulator_state_to_string(InvEmulatorState state);

G_END_DECLS
