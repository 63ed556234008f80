/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/emulator.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * libvirt's <domainCapabilities> (virConnectGetDomainCapabilities): what a domain of this emulator,
 * architecture, machine type and accelerator can have. It lists what Invar gives and this QEMU has:
 * never what a start would then refuse.
 *
 * Each argument but the first may be NULL: the host's architecture (or what @emulatorbin is for),
 * the first emulator for it, its default machine type, KVM where it works and else QEMU's own
 * emulation. @machine may be an alias; the canonical name is given back. @virttype: "qemu" or "kvm".
 *
 * Errors: an unknown architecture or @virttype is VIR_ERR_INVALID_ARG and names the nearest; a
 * binary, machine type or accelerator that cannot be had is VIR_ERR_CONFIG_UNSUPPORTED and says why.
 * Owned by the caller.
 */
char *inv_domain_capabilities_format(InvEmulators *emulators, const char *emulatorbin, const char *arch, const char *machine,
                                     const char *virttype, guint deadline_ms, GError **error);

/*
 * Lets @freshness notice what would make such an answer another one. To be called before the answer
 * is made. The emulator is found for it, which may probe; an error is what asking would give.
 */
gboolean inv_domain_capabilities_watch(InvEmulators *emulators, const char *emulatorbin, const char *arch, const char *virttype,
                                       guint deadline_ms, InvFreshness *freshness, GError **error);

/*
 * The same with the form chosen: @blockers adds, behind each model that is not usable, a <blockers>
 * element with the features that are in its way, and a model's canonical name. Libvirt has both
 * since version 10; the schemas of older ones refuse them, so that the function above gives them
 * only where Invar was built against a libvirt that knows them.
 */
char *inv_domain_capabilities_format_full(InvEmulators *emulators, const char *emulatorbin, const char *arch,
                                          const char *machine, const char *virttype, gboolean blockers, guint deadline_ms,
                                          GError **error);

/*
 * QEMU's CPU models of the default machine type for @arch (NULL: the host's), sorted,
 * NULL-terminated, owned by the caller; versions and aliases included. Under KVM where it works.
 */
char **inv_cpu_model_names(InvEmulators *emulators, const char *arch, guint deadline_ms, GError **error);

G_END_DECLS
