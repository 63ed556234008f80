/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "xml/cpu.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Inside of the room: reads a <cpu> that is as plain as programs write it, without an XML parser,
 * which takes most of the time of a comparison. NULL: it is not that plain, or not right, and the
 * parser is to say which. What is read is what the parser would read of it, `source` left out.
 */
InvCpu *inv_cpu_scan(const char *xml);

G_END_DECLS
