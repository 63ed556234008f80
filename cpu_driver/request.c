/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/request.h"

#include "cpu_driver/driver.h"

#include <string.h>

static void
asked_free(gpointer data)
{
    InvAsked *asked = data;

    g_free(asked->name);
    g_free(asked->qemu);
    g_free(asked);
}

InvCpuRequest *
inv_cpu_request_new(void)
{
    InvCpuRequest *request = g_new0(InvCpuRequest, 1);

    request->mode = INV_CPU_MODE_CUSTOM;
    request->match = INV_CPU_MATCH_EXACT;
    request->features = g_hash_table_new_full(g_str_hash, g_str_equal, NULL, asked_free);
    request->properties = g_ptr_array_new_with_free_func(g_free);
    request->refusals = inv_verdict_new();
    return request;
}

void
inv_cpu_request_free(InvCpuRequest *request)
{
    if (!request)
        return;
    g_free(request->model);
    g_hash_table_unref(request->features);
    g_ptr_array_unref(request->properties);
    inv_verdict_free(request->refusals);
    g_free(request);
}

InvCpuRequest *
inv_cpu_request_copy(const InvCpuRequest *request)
{
    InvCpuRequest *copy = inv_cpu_request_new();
    g_autoptr(GPtrArray) list = inv_cpu_request_list(request);

    copy->model = g_strdup(request->model);
    copy->mode = request->mode;
    copy->match = request->match;
    copy->force_features = request->force_features;
    copy->held = request->held;
    for (guint i = 0; i < list->len; i++) {
        const InvAsked *asked = g_ptr_array_index(list, i);
        InvAsked *own = g_new0(InvAsked, 1);

        *own = *asked;
        own->name = g_strdup(asked->name);
        own->qemu = g_strdup(asked->qemu);
        g_hash_table_insert(copy->features, own->name, own);
    }
    for (guint i = 0; i < request->properties->len; i++)
        g_ptr_array_add(copy->properties, g_strdup(g_ptr_array_index(request->properties, i)));
    for (guint i = 0; i < request->refusals->blockers->len; i++) {
        const InvBlocker *blocker = g_ptr_array_index(request->refusals->blockers, i);

        inv_verdict_add(copy->refusals, blocker->feature, blocker->layer, blocker->reason, blocker->remedy);
    }
    return copy;
}

InvAsked *
inv_cpu_request_find(const InvCpuRequest *request, const char *name)
{
    return g_hash_table_lookup(request->features, name);
}

static gboolean
policy_is_on(InvCpuPolicy policy)
{
    switch (policy) {
    case INV_CPU_POLICY_UNSET:
    case INV_CPU_POLICY_FORCE:
    case INV_CPU_POLICY_REQUIRE:
    case INV_CPU_POLICY_OPTIONAL:
        return TRUE;
    case INV_CPU_POLICY_DISABLE:
    case INV_CPU_POLICY_FORBID:
        return FALSE;
    }
    return FALSE;
}

InvAsked *
inv_cpu_request_ask(InvCpuRequest *request, const InvCpuMap *map, const char *name, InvCpuPolicy policy, InvOrigin origin)
{
    InvAsked *asked;

    if (inv_cpu_request_find(request, name))
        return NULL;
    asked = g_new0(InvAsked, 1);
    asked->name = g_strdup(name);
    asked->qemu = g_strdup(inv_cpu_map_to_qemu(map, name));
    asked->policy = policy == INV_CPU_POLICY_UNSET ? INV_CPU_POLICY_REQUIRE : policy;
    asked->origin = origin;
    asked->on = policy_is_on(policy);
    g_hash_table_insert(request->features, asked->name, asked);
    return asked;
}

void
inv_cpu_request_add_property(InvCpuRequest *request, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    g_ptr_array_add(request->properties, g_strdup_vprintf(format, args));
    va_end(args);
}

void
inv_cpu_request_refuse(InvCpuRequest *request, const char *feature, InvLayer layer, const char *reason, const char *remedy)
{
    inv_verdict_add(request->refusals, feature, layer, reason, remedy);
}

static int
compare_asked(const void *a, const void *b)
{
    const InvAsked *left = *(const InvAsked *const *)a;
    const InvAsked *right = *(const InvAsked *const *)b;

    return strcmp(left->name, right->name);
}

GPtrArray *
inv_cpu_request_list(const InvCpuRequest *request)
{
    GPtrArray *list = g_ptr_array_new();
    GHashTableIter iter;
    gpointer asked;

    g_hash_table_iter_init(&iter, request->features);
    while (g_hash_table_iter_next(&iter, NULL, &asked))
        g_ptr_array_add(list, asked);
    g_ptr_array_sort(list, compare_asked);
    return list;
}

char *
inv_cpu_request_argument(const InvCpuRequest *request, gboolean settled)
{
    g_autoptr(GPtrArray) list = inv_cpu_request_list(request);
    g_autoptr(GString) argument = NULL;

    if (!request->model)
        return NULL;
    argument = g_string_new(request->model);
    for (guint i = 0; i < request->properties->len; i++)
        g_string_append_printf(argument, ",%s", (const char *)g_ptr_array_index(request->properties, i));
    if (settled && request->force_features)
        g_string_append(argument, ",x-force-features=on");
    for (guint i = 0; i < list->len; i++) {
        const InvAsked *asked = g_ptr_array_index(list, i);

        g_string_append_printf(argument, ",%s=%s", asked->qemu, asked->on ? "on" : "off");
    }
    return g_string_free(g_steal_pointer(&argument), FALSE);
}

const char *
inv_cpu_request_model(const InvCpuRequest *request)
{
    return request->model;
}

gboolean
inv_cpu_request_known_unavailable(const InvCpuFacts *facts, const InvCpuRequest *request, const char *const **unavailable)
{
    const InvCpuModel *model = request->model ? inv_cpu_table_find(facts->table, request->model) : NULL;
    const InvCpuDriver *driver = inv_cpu_driver_find(facts->arch, NULL);
    gboolean bare = g_hash_table_size(request->features) == 0 && request->properties->len == 0;

    *unavailable = NULL;
    /* s390x: a dry run tells no list but refuses; there, what the host lacks of a model does not depend on properties. */
    if (!model || !model->has_usable || (!bare && driver && driver->tells_filtered))
        return FALSE;
    if (driver && driver->hides_leaves && model->expansion && driver->hides_leaves(facts->map, model->expansion))
        return FALSE;
    *unavailable = (const char *const *)model->unavailable;
    return TRUE;
}

void
inv_cpu_settle(const InvCpuFacts *facts, InvCpuRequest *request, const char *const *unavailable)
{
    g_autoptr(GPtrArray) list = NULL;

    for (const char *const *name = unavailable; name && *name; name++) {
        InvAsked *asked = inv_cpu_request_find(request, *name);

        if (inv_cpu_map_follows_topology(*name))
            continue;
        if (asked && asked->policy == INV_CPU_POLICY_FORCE) {
            /* From here on QEMU filters nothing, which is why everything else goes off by name. */
            asked->forced = TRUE;
            request->force_features = TRUE;
        } else if (asked) {
            asked->on = FALSE;
        } else {
            inv_cpu_request_ask(request, facts->map, *name, INV_CPU_POLICY_DISABLE, INV_ORIGIN_FILTERED);
        }
    }
    list = inv_cpu_request_list(request);
    for (guint i = 0; i < list->len; i++) {
        InvAsked *asked = g_ptr_array_index(list, i);

        if (asked->policy == INV_CPU_POLICY_OPTIONAL)
            asked->policy = asked->on ? INV_CPU_POLICY_REQUIRE : INV_CPU_POLICY_DISABLE;
    }
}
