/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/driver.h"

static const char *const arches[] = { "aarch64", "armv7l", NULL };

/* Models are QEMU's; features are the few booleans of its expansion (sve, pauth, pmu, …). */
const InvCpuDriver inv_cpu_driver_arm = {
    .arches = arches,
    .takes_features = TRUE,
};
