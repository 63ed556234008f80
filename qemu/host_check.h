/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* Is this host fit to run guests? Looks only; starts nothing. */
typedef enum {
    INV_CHECK_PASS,
    INV_CHECK_NOTE, /* not there, and only some guests want it */
    INV_CHECK_WARN, /* guests run, with less than they could have */
    INV_CHECK_FAIL, /* guests of the host's own architecture run slowly or not at all */
} InvCheckResult;

const char *inv_check_result_to_string(InvCheckResult result); /* "PASS", … */

typedef struct {
    char *name;   /* "device /dev/kvm" */
    InvCheckResult result;
    char *detail; /* what was found, or NULL */
    char *remedy; /* what would help, or NULL */
} InvHostCheck;

/*
 * @root: the folder that holds dev, proc and sys: "" for this host. @machine: as `uname -m` says.
 * @search: folders of emulators, NULL-terminated; NULL: $PATH. Of InvHostCheck, owned, in the order
 * in which a person would mend them.
 */
GPtrArray *inv_host_checks(const char *root, const char *machine, const char *const *search);

G_END_DECLS
