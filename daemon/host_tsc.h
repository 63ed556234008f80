/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The time-stamp counter of this host as KVM gives it to guests. */
typedef struct {
    guint64 frequency;  /* Hz */
    gboolean scaling;   /* a guest's can be another */
} InvHostTsc;

/*
 * Asks KVM (KVM_GET_TSC_KHZ of a virtual CPU, KVM_CAP_TSC_CONTROL). FALSE: KVM does not work here, is
 * not x86's, or does not say. From any thread; takes about a millisecond.
 */
gboolean inv_host_tsc(InvHostTsc *tsc);

G_END_DECLS
