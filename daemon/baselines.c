/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "daemon/baselines.h"

#include "util/error.h"

typedef struct {
    gatomicrefcount references;
    GMutex lock;
    InvCpuCommon *common; /* guarded by lock */
} Baseline;

struct InvBaselines {
    GMutex lock;
    GHashTable *open;   /* gint64 → Baseline; guarded by lock, as is what follows */
    gint64 last_number;
};

static void
baseline_unref(Baseline *baseline)
{
    if (!g_atomic_ref_count_dec(&baseline->references))
        return;
    inv_cpu_common_free(baseline->common);
    g_mutex_clear(&baseline->lock);
    g_free(baseline);
}
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Baseline, baseline_unref)

InvBaselines *
inv_baselines_new(void)
{
    InvBaselines *baselines = g_new0(InvBaselines, 1);

    g_mutex_init(&baselines->lock);
    baselines->open = g_hash_table_new_full(g_int64_hash, g_int64_equal, g_free, (GDestroyNotify)baseline_unref);
    return baselines;
}

void
inv_baselines_free(InvBaselines *baselines)
{
    if (!baselines)
        return;
    g_hash_table_unref(baselines->open);
    g_mutex_clear(&baselines->lock);
    g_free(baselines);
}

gint64
inv_baselines_open(InvBaselines *baselines, InvCpuCommon *common, GError **error)
{
    g_autoptr(InvCpuCommon) taken = common;
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&baselines->lock);
    Baseline *baseline;
    gint64 *number;

    if (g_hash_table_size(baselines->open) >= INV_BASELINES_MAX) {
        inv_error_set(error, VIR_ERR_OPERATION_INVALID, "this connection has %u baselines open, the most that are allowed: close one",
                      INV_BASELINES_MAX);
        return 0;
    }
    baseline = g_new0(Baseline, 1);
    g_atomic_ref_count_init(&baseline->references);
    g_mutex_init(&baseline->lock);
    baseline->common = g_steal_pointer(&taken);
    number = g_new(gint64, 1);
    *number = ++baselines->last_number;
    g_hash_table_insert(baselines->open, number, baseline);
    return *number;
}

static Baseline *
find(InvBaselines *baselines, gint64 number, GError **error)
{
    g_autoptr(GMutexLocker) locker = g_mutex_locker_new(&baselines->lock);
    Baseline *baseline = g_hash_table_lookup(baselines->open, &number);

    if (!baseline) {
        inv_error_set(error, VIR_ERR_INVALID_ARG, "this connection has no baseline %" G_GINT64_FORMAT " open", number);
        return NULL;
    }
    g_atomic_ref_count_inc(&baseline->references);
    return baseline;
}

gboolean
inv_baselines_add(InvBaselines *baselines, gint64 number, char *const *documents, guint n, guint64 *count, GError **error)
{
    g_autoptr(Baseline) baseline = find(baselines, number, error);
    g_autoptr(GMutexLocker) locker = NULL; /* below the baseline: released before it */
    gboolean ok;

    if (!baseline)
        return FALSE;
    locker = g_mutex_locker_new(&baseline->lock);
    ok = inv_cpu_common_add(baseline->common, documents, n, FALSE, error);
    *count = inv_cpu_common_count(baseline->common);
    return ok;
}

char *
inv_baselines_result(InvBaselines *baselines, gint64 number, unsigned int flags, guint64 *count, GError **error)
{
    g_autoptr(Baseline) baseline = find(baselines, number, error);
    g_autoptr(GMutexLocker) locker = NULL;
    char *cpu;

    if (!baseline)
        return NULL;
    locker = g_mutex_locker_new(&baseline->lock);
    cpu = inv_cpu_common_result(baseline->common, flags, error);
    *count = inv_cpu_common_count(baseline->common);
    return cpu;
}

gboolean
inv_baselines_close(InvBaselines *baselines, gint64 number, GError **error)
{
    g_autoptr(Baseline) baseline = find(baselines, number, error);
    gboolean closed = FALSE;

    if (!baseline)
        return FALSE;
    g_mutex_lock(&baselines->lock);
    closed = g_hash_table_remove(baselines->open, &number);
    g_mutex_unlock(&baselines->lock);
    return closed || inv_error_set(error, VIR_ERR_INVALID_ARG, "this connection has no baseline %" G_GINT64_FORMAT " open", number);
}
