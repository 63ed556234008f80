/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/driver.h"

#include <string.h>

/* Every message about a feature that QEMU filters comes from here, before the start and after it. */
static void
add_filtered(InvVerdict *verdict, const InvCpuFacts *facts, const InvCpuDriver *driver, const InvCpu *cpu, const InvCpuRequest *request,
             const char *feature)
{
    InvLayer layer = INV_LAYER_QEMU;
    g_autofree char *reason = NULL;
    g_autofree char *remedy = NULL;

    if (driver && driver->explain) {
        driver->explain(facts, cpu, request, feature, &layer, &reason, &remedy);
    } else {
        reason = g_strdup_printf("%s does not give %s", facts->emulator, feature);
        remedy = g_strdup_printf("take it out: <feature name='%s' policy='disable'/>, or let the first start drop it: "
                                 "<model check='relaxed'>",
                                 feature);
    }
    inv_verdict_add(verdict, feature, layer, reason, remedy);
}

static void
copy_refusals(InvVerdict *verdict, const InvCpuRequest *request)
{
    for (guint i = 0; i < request->refusals->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(request->refusals->blockers, i);

        inv_verdict_add(verdict, blocker->feature, blocker->layer, blocker->reason, blocker->remedy);
    }
}

typedef enum {
    LOSS_NONE,    /* expected, or settled without a loss */
    LOSS_DROPPED, /* part of the model: relaxed drops it */
    LOSS_BROKEN,  /* a promise, or strict */
} Loss;

static Loss
loss_of(const InvCpuFacts *facts, const InvCpuDriver *driver, const InvCpuRequest *request, const char *feature, InvCpuModelCheck check)
{
    const InvAsked *asked = inv_cpu_request_find(request, feature);
    const char *owner = driver && driver->lacks_owner ? driver->lacks_owner(facts, request, feature) : NULL;

    if (inv_cpu_map_follows_topology(feature))
        return LOSS_NONE;
    /* Who switches a feature off knows that its parts go with it. */
    if (!asked && owner && inv_cpu_request_find(request, owner))
        return LOSS_NONE;
    if (asked) {
        /* No force shows a part without its whole. */
        if (!asked->on || asked->policy == INV_CPU_POLICY_OPTIONAL || (asked->policy == INV_CPU_POLICY_FORCE && !owner) ||
            asked->origin == INV_ORIGIN_MINIMUM)
            return LOSS_NONE;
        if (asked->origin == INV_ORIGIN_USER)
            return LOSS_BROKEN;
    }
    if (request->held)
        return LOSS_BROKEN;
    /* All that can be had is what these two promise. */
    if (request->mode == INV_CPU_MODE_MAXIMUM || request->mode == INV_CPU_MODE_HOST_PASSTHROUGH)
        return LOSS_DROPPED;
    return check == INV_CPU_MODEL_CHECK_STRICT ? LOSS_BROKEN : LOSS_DROPPED;
}

InvVerdict *
inv_cpu_verdict(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRequest *request, const char *const *unavailable)
{
    InvVerdict *verdict = inv_verdict_new();
    const InvCpuDriver *driver = inv_cpu_driver_find(facts->arch, NULL);
    InvCpuModelCheck check = inv_cpu_effective_check(cpu, facts->default_check);
    g_autoptr(InvCpuRequest) settled = inv_cpu_request_copy(request);
    gboolean broken = request->refusals->blockers->len > 0;

    inv_cpu_settle(facts, settled, unavailable);
    verdict->model = g_strdup(request->model);
    verdict->machine = g_strdup(facts->machine);
    verdict->argument = inv_cpu_request_argument(settled, TRUE);

    copy_refusals(verdict, request);
    for (const char *const *name = unavailable; name && *name; name++) {
        Loss loss = loss_of(facts, driver, request, *name, check);

        if (loss == LOSS_NONE)
            continue;
        broken = broken || loss == LOSS_BROKEN;
        add_filtered(verdict, facts, driver, cpu, request, *name);
    }
    if (broken)
        verdict->outcome = INV_OUTCOME_REFUSED;
    else if (verdict->blockers->len)
        verdict->outcome = INV_OUTCOME_DROPS;
    return verdict;
}

static void
check_features(InvVerdict *verdict, const InvCpuFacts *facts, const InvCpuRequest *settled, const InvGuestCpu *guest)
{
    g_autoptr(GPtrArray) list = inv_cpu_request_list(settled);

    for (guint i = 0; guest->cpu && i < list->len; i++) {
        const InvAsked *asked = g_ptr_array_index(list, i);
        gboolean on = inv_feature_set_has(guest->cpu->on, asked->name);
        g_autofree char *reason = NULL;

        if (on == asked->on || inv_cpu_map_follows_topology(asked->name))
            continue;
        reason = g_strdup_printf("%s was told %s=%s and made the opposite", facts->emulator, asked->qemu, asked->on ? "on" : "off");
        inv_verdict_add(verdict, asked->name, INV_LAYER_QEMU, reason,
                        asked->on ? "take it out, or start the domain with another QEMU" : "start the domain with another QEMU");
    }
}

/* ppc64 names a model "power9" and its type "power9_v2.0-powerpc64-cpu": the type tells, where the table has it. */
static gboolean
is_model(const InvCpuFacts *facts, const char *model, const InvGuestCpu *guest)
{
    const InvCpuModel *known = inv_cpu_table_find(facts->table, model);

    return strcmp(model, guest->model) == 0 ||
           (known && known->type_name && g_strcmp0(known->type_name, guest->type_name) == 0);
}

static void
check_identity(InvVerdict *verdict, const InvCpuFacts *facts, const InvCpuRequest *settled, const InvGuestCpu *guest)
{
    g_autofree char *reason = NULL;

    if (settled->model && guest->model && !is_model(facts, settled->model, guest)) {
        reason = g_strdup_printf("%s was told to make a %s and made a %s", facts->emulator, settled->model, guest->model);
        inv_verdict_add(verdict, "model", INV_LAYER_QEMU, reason, "start the domain with another QEMU");
    }
    g_clear_pointer(&reason, g_free);
    if (facts->machine && guest->machine && strcmp(facts->machine, guest->machine) != 0) {
        reason = g_strdup_printf("%s was told to make a %s and made a %s", facts->emulator, facts->machine, guest->machine);
        inv_verdict_add(verdict, "machine", INV_LAYER_MACHINE, reason, "start the domain with another QEMU");
    }
}

InvVerdict *
inv_cpu_check_guest(const InvCpuFacts *facts, const InvCpu *cpu, const InvCpuRequest *settled, const InvGuestCpu *guest)
{
    g_autoptr(InvVerdict) verdict = inv_verdict_new();
    const InvCpuDriver *driver = inv_cpu_driver_find(facts->arch, NULL);

    for (char **name = guest->unavailable; name && *name; name++) {
        const InvAsked *asked = inv_cpu_request_find(settled, *name);

        /* QEMU goes on listing what it was made to show all the same. */
        if ((asked && (asked->forced || !asked->on)) || inv_cpu_map_follows_topology(*name))
            continue;
        add_filtered(verdict, facts, driver, cpu, settled, *name);
    }
    check_identity(verdict, facts, settled, guest);
    check_features(verdict, facts, settled, guest);
    if (!verdict->blockers->len)
        return NULL;
    verdict->outcome = INV_OUTCOME_REFUSED;
    verdict->model = g_strdup(settled->model);
    verdict->machine = g_strdup(facts->machine);
    verdict->argument = inv_cpu_request_argument(settled, TRUE);
    return g_steal_pointer(&verdict);
}
