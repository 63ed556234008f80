/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/* The few things that the command line itself takes out of a document. Documents are not trusted. */

/* The text of a domain's <title>; "" when it has none or is malformed. Owned by the caller. */
char *inv_xml_part_title(const char *domain_xml);

/*
 * The CPU descriptions in @text, each as a document of its own: the <cpu> elements of a domain, of
 * host capabilities, of domain capabilities (the host-model), alone or several in a row, as the
 * cpu-compare and cpu-baseline commands take them. NULL-terminated, at least one; owned by the
 * caller. NULL: VIR_ERR_XML_ERROR, which names @source.
 */
char **inv_xml_part_cpus(const char *text, const char *source, GError **error);

/*
 * The names of the CPU models that domain capabilities list, in their order, without those that the
 * host cannot run unless @all. NULL-terminated, owned by the caller. NULL: VIR_ERR_XML_ERROR.
 */
char **inv_xml_part_models(const char *domain_capabilities, gboolean all, GError **error);

G_END_DECLS
