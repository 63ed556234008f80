/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "xml/node.h"

/* The words of <cpu>, for the parser and the formatter of this room. */
extern const InvWords inv_cpu_modes;
extern const InvWords inv_cpu_matches;
extern const InvWords inv_cpu_checks;
extern const InvWords inv_cpu_model_checks;
extern const InvWords inv_cpu_fallbacks;
extern const InvWords inv_cpu_policies;
extern const InvWords inv_cpu_caches;
extern const InvWords inv_cpu_maxphysaddrs;

void inv_numa_cell_free(InvNumaCell *cell);

/* The children in the order in which new ones are put. */
extern const char *const inv_cpu_children[];
