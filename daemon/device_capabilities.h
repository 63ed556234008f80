/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "daemon/xml_out.h"
#include "qemu/emulator.h"

G_BEGIN_DECLS

/*
 * The parts of <domainCapabilities> that are not about CPUs: what a domain of this emulator and
 * machine type can have. Something is listed when the board has a place for it, this QEMU has the
 * device, and Invar makes a command line for it; what Invar only keeps in the document is not.
 */

/* <iothreads> and <os>, which stand before <cpu>. */
void inv_device_capabilities_write_os(InvXmlOut *out, const InvEmulator *emulator, const InvMachine *machine);
/* <memoryBacking>, <devices> and <features>, which stand behind it. */
void inv_device_capabilities_write(InvXmlOut *out, const InvEmulator *emulator, const InvMachine *machine);

/* <enum name='…'> with a <value> for each; @values is NULL-terminated. */
void inv_device_capabilities_write_enum(InvXmlOut *out, const char *name, const char *const *values);

G_END_DECLS
