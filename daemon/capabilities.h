/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qemu/emulator.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * Lets @freshness notice what would make the answer another one: KVM, the folders and files of all
 * emulators, processors that come and go, memory, pools of huge pages. Before the answer is made.
 */
void inv_capabilities_watch(InvEmulators *emulators, InvFreshness *freshness);

/*
 * libvirt's <capabilities> (virConnectGetCapabilities): the host, and a guest per architecture for
 * which an emulator is installed, each with the emulator that a domain without <emulator> gets and
 * that emulator's machine types. KVM is listed only where it works here and now: a client that sees
 * it picks it. Architectures that libvirt has no name for are left out.
 *
 * Probes what the cache does not know, in at most @deadline_ms; @complete as of
 * inv_emulators_probe_all(). What a host does not tell is left out; an error means that not even its processors could be counted. Owned by the caller.
 */
char *inv_capabilities_format(InvEmulators *emulators, guint deadline_ms, gboolean *complete, GError **error);

G_END_DECLS
