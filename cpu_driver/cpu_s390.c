/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/driver.h"
#include "util/error.h"

static const char *const arches[] = { "s390x", NULL };

/* off: without the features that the model's own expansion calls deprecated (QEMU ≥ 9.1). on: as the model is. */
static gboolean
deprecated_features(const InvCpuFacts *facts, const InvCpu *cpu, InvCpuRequest *request, GError **error)
{
    const InvCpuModel *model = request->model ? inv_cpu_table_find(facts->table, request->model) : NULL;
    const InvCpuExpansion *expansion = model && model->expansion ? model->expansion : facts->host;

    if (!expansion || !expansion->deprecated)
        return inv_error_set(error, VIR_ERR_NO_SUPPORT, "<cpu deprecated_features=> is not supported by %s: QEMU 9.1 or newer can do it",
                             facts->emulator);
    if (cpu->deprecated_features == INV_TRISTATE_OFF) {
        for (char **name = expansion->deprecated; *name; name++)
            inv_cpu_request_ask(request, facts->map, *name, INV_CPU_POLICY_DISABLE, INV_ORIGIN_DEPRECATED);
    }
    return TRUE;
}

/*
 * Models and features are QEMU's. What the machine cannot give is told by QEMU itself, which then
 * does not start: so there is no list of filtered features, and nothing is ever dropped.
 */
const InvCpuDriver inv_cpu_driver_s390 = {
    .arches = arches,
    .takes_features = TRUE,
    .expands_groups = TRUE,
    .deprecated_features = deprecated_features,
};
