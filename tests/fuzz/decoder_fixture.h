/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/decode.h"

/* The map's decoder, made at the first call: it is the program's own, the input is not. */
InvCpuDecoder *decoder_fixture(void);

/* What was decoded is described or is refused; the description, written and read, expands to what was seen. NULL: nothing. */
void check_description(const InvCpuSeen *seen);
