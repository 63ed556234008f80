/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/decode.h"
#include "cpu_driver/expand.h"

#include <glib.h>

G_BEGIN_DECLS

/* What decoding takes, of x86. */
typedef struct {
    InvCpuMap *map;
    InvCpuModels *models;
    InvFeatureNames *names;
    InvCpuDecoder *decoder;
} DecodeTools;

/* @folder: of the map; NULL: the tree's. What was loaded when one failed is to be cleared all the same. */
gboolean decode_tools_load(DecodeTools *tools, const char *folder, GError **error);
void decode_tools_clear(DecodeTools *tools);

/* Says of @what which are too many and which are missing; so does the next. */
void assert_same_features(const char *what, const InvFeatureSet *got, const InvFeatureSet *wanted);
/*
 * Describes @seen, writes that, reads it, expands it: that must give @wanted, by a model of the same
 * vendor; and once more of the result must write the same. Owned by the caller.
 */
InvCpu *assert_round_trip(const DecodeTools *tools, const InvCpuSeen *seen, const InvFeatureSet *wanted);

/*
 * Where QEMU itself describes a CPU (s390x): @described is its reply to an expansion type=static, a
 * static model and what differs; expanded by the map's models that is what its reply to type=full says.
 */
void assert_static_description(const char *arch, const InvJson *described, const InvJson *full);

G_END_DECLS
