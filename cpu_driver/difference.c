/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/difference.h"

#include <string.h>

InvCpuDifference *
inv_cpu_difference_new(const InvCpuBasis *basis)
{
    InvCpuDifference *difference = g_new0(InvCpuDifference, 1);
    InvFeatureNames *names = inv_cpu_basis_names(basis);

    difference->missing = inv_feature_set_new(names);
    difference->aside = inv_feature_set_new(names);
    difference->extra = inv_feature_set_new(names);
    difference->refused = inv_feature_set_new(names);
    return difference;
}

void
inv_cpu_difference_free(InvCpuDifference *difference)
{
    if (!difference)
        return;
    inv_feature_set_free(difference->missing);
    inv_feature_set_free(difference->aside);
    inv_feature_set_free(difference->extra);
    inv_feature_set_free(difference->refused);
    g_free(difference);
}

static gint64
more(guint host, guint wanted)
{
    return host && wanted ? (gint64)host - (gint64)wanted : 0;
}

static void
find_features(const InvCpuBasis *basis, const InvCpuDescription *host, const InvCpuDescription *wanted, InvCpuDifference *difference)
{
    inv_feature_set_assign(difference->missing, wanted->on);
    inv_feature_set_intersect(difference->missing, inv_cpu_basis_comparable(basis));
    inv_feature_set_unite(difference->missing, wanted->promised);
    inv_feature_set_subtract(difference->missing, host->on);
    inv_feature_set_subtract(difference->missing, wanted->forced);

    inv_feature_set_clear(difference->aside);
    if (wanted->whole) {
        inv_feature_set_assign(difference->aside, wanted->on);
        inv_feature_set_subtract(difference->aside, host->on);
        inv_feature_set_subtract(difference->aside, difference->missing);
    }

    inv_feature_set_assign(difference->extra, host->on);
    inv_feature_set_intersect(difference->extra, wanted->whole ? inv_cpu_basis_promisable(basis) : inv_cpu_basis_comparable(basis));
    inv_feature_set_subtract(difference->extra, wanted->on);
    inv_feature_set_subtract(difference->extra, wanted->named);

    inv_feature_set_assign(difference->refused, wanted->forbidden);
    inv_feature_set_intersect(difference->refused, host->on);
    if (wanted->match == INV_CPU_MATCH_STRICT)
        inv_feature_set_unite(difference->refused, difference->extra);
}

void
inv_cpu_difference_find(const InvCpuBasis *basis, const InvCpuDescription *host, const InvCpuDescription *wanted,
                        InvCpuDifference *difference)
{
    difference->other_arch = host->foreign != wanted->foreign || (host->foreign && strcmp(host->arch, wanted->arch) != 0);
    difference->other_vendor = !difference->other_arch && wanted->names_vendor && (host->vendor || !host->whole) &&
                               !inv_cpu_same_vendor(host->vendor, wanted->vendor);
    difference->phys_bits_short = !difference->other_arch && wanted->wants_phys_bits && host->phys_bits && host->phys_bits < wanted->phys_bits;
    difference->level_more = more(host->level, wanted->level);
    difference->xlevel_more = more(host->xlevel, wanted->xlevel);
    difference->phys_bits_more = (gint)more(host->phys_bits, wanted->phys_bits);
    find_features(basis, host, wanted, difference);
    if (difference->other_arch || difference->other_vendor || difference->phys_bits_short ||
        !inv_feature_set_is_empty(difference->missing) || !inv_feature_set_is_empty(difference->refused))
        difference->result = VIR_CPU_COMPARE_INCOMPATIBLE;
    else
        difference->result = inv_feature_set_is_empty(difference->extra) ? VIR_CPU_COMPARE_IDENTICAL : VIR_CPU_COMPARE_SUPERSET;
}
