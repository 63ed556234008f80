/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/driver.h"

static const char *const arches[] = { "ppc64", "ppc64le", "ppc", NULL };

/* QEMU knows models by name and no feature of one: what a POWER guest sees is set by its machine's capabilities. */
const InvCpuDriver inv_cpu_driver_ppc = {
    .arches = arches,
};
