/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "cli/cli.h"

#include <glib.h>

G_BEGIN_DECLS

/*
 * What the last of @words (NULL-terminated, at least one; the first is the command) may become:
 * commands, options, and domains when a daemon answers. NULL-terminated and sorted, owned by the
 * caller; an empty list when nothing fits. *@files is set when a file's name may stand there.
 * @cli: NULL asks no daemon.
 */
char **inv_complete(InvCli *cli, const char *const *words, gboolean *files);

G_END_DECLS
