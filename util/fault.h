/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A named point at which a test build (--enable-fault-points) dies as by SIGKILL when the
 * environment says INVAR_FAULT=NAME. Nothing at all in other builds.
 */
#ifdef HAVE_CONFIG_H
#include <config.h>
#endif

#ifdef INV_FAULT_POINTS
void inv_fault_point(const char *name);
#else
#define inv_fault_point(name) ((void)0)
#endif
