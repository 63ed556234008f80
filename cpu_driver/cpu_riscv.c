/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/driver.h"

static const char *const arches[] = { "riscv64", "riscv32", NULL };

/* Models are QEMU's; features are the extensions that its expansion names (QEMU ≥ 8.2). */
const InvCpuDriver inv_cpu_driver_riscv = {
    .arches = arches,
    .takes_features = TRUE,
};
