/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cpu_driver/cpu_table.h"
#include "cpu_map/cpu_models.h"
#include "xml/domain.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Of which models a QEMU must be asked what they consist of, so that mode='host-model' stands on the
 * same one as with the expansions of all: inv_cpu_nearest_model() takes a usable model before one that
 * is not, and then one that is not deprecated before one that is, which QEMU's definitions tell.
 */

/* The classes of models by that order, from 0. */
#define INV_CPU_CLASSES 4u

/*
 * The names of the models of class @rank that may be of @vendor (QEMU's id; NULL: any vendor will do)
 * under @accelerator. @models: what is known of vendors beforehand; what it has not may be anybody's,
 * and so may QEMU's own inventions. Borrowed from @table; the caller owns the array.
 */
GPtrArray *inv_cpu_followed_names(const InvCpuTable *table, const InvCpuModels *models, const char *vendor, guint rank);

/* The names of models of whose vendor neither @models nor an expansion in @table tells. The same ownership. */
GPtrArray *inv_cpu_strange_names(const InvCpuTable *table, const InvCpuModels *models);

/* Has @table an expansion of a model of class @rank and of @vendor? Then no further class is looked at. */
gboolean inv_cpu_followed_suffices(const InvCpuTable *table, const InvCpuModels *models, InvVirtType accelerator, const char *vendor,
                                   guint rank);

/*
 * The vendor id of a model, or NULL: not known. Under KVM QEMU gives every model the host's vendor:
 * there it is @models that know whose it is. Borrowed.
 */
const char *inv_cpu_vendor_of_model(const InvCpuTable *table, const InvCpuModels *models, InvVirtType accelerator, const InvCpuModel *model);

G_END_DECLS
