/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qemu/emulator_state.h"

const char *
inv_emulator_state_to_string(InvEmulatorState state)
{
    switch (state) {
    case INV_EMULATOR_UNKNOWN:
        return "unknown";
    case INV_EMULATOR_PROBING:
        return "probing";
    case INV_EMULATOR_KNOWN:
        return "known";
    case INV_EMULATOR_FAILED:
        return "failed";
    case INV_EMULATOR_CHANGED:
        return "changed";
    case INV_EMULATOR_GONE:
        return "gone";
    }
    return "unknown";
}
