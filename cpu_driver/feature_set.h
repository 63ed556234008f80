/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <glib.h>

G_BEGIN_DECLS

/*
 * A set of CPU features of one architecture.
 *
 * Features are interned: InvFeatureNames gives each name a small number, once and for ever, and a
 * set is a bit per number. So union, difference and "is A within B" cost a few words of memory
 * each, whatever the features are called, and ten thousand hosts compare at memory speed.
 *
 * Threads: a names table may be used from any number of threads at once, interning included (it
 * has a lock of its own, which set operations that name no feature never take). A set is like any
 * plain value: many readers, or one writer.
 *
 * A set borrows its names table, which must outlive it and may grow meanwhile.
 */
typedef struct InvFeatureNames InvFeatureNames;
typedef struct InvFeatureSet InvFeatureSet;

InvFeatureNames *inv_feature_names_new(void);
void inv_feature_names_free(InvFeatureNames *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvFeatureNames, inv_feature_names_free)
/* How many names it knows. */
guint inv_feature_names_count(InvFeatureNames *names);
/* The number of @name, given now if it has none yet. */
guint inv_feature_names_intern(InvFeatureNames *names, const char *name);
/*
 * What is made once of a names table and a key, and then kept as long as the table: sets that
 * everybody needs who looks at the same dictionary. @make may intern names; where two threads make
 * it at once one of the two is freed. Immutable then, shared by threads. @key is compared as a pointer and must not be
 * freed and used anew before the table.
 */
gconstpointer inv_feature_names_keep(InvFeatureNames *names, gconstpointer key, gpointer (*make)(InvFeatureNames *names, gconstpointer key),
                                     GDestroyNotify destroy);

InvFeatureSet *inv_feature_set_new(InvFeatureNames *names);
InvFeatureSet *inv_feature_set_copy(const InvFeatureSet *set);
void inv_feature_set_free(InvFeatureSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(InvFeatureSet, inv_feature_set_free)
InvFeatureNames *inv_feature_set_names(const InvFeatureSet *set);
/* Makes @set, of the same names table, equal to @from, in the memory that it has where that is enough. */
void inv_feature_set_assign(InvFeatureSet *set, const InvFeatureSet *from);
/* Empties it; its memory stays for the next use. */
void inv_feature_set_clear(InvFeatureSet *set);

void inv_feature_set_add(InvFeatureSet *set, const char *name);
/* Every name of a NULL-terminated list (NULL: none). */
void inv_feature_set_add_list(InvFeatureSet *set, const char *const *list);
void inv_feature_set_remove(InvFeatureSet *set, const char *name);
gboolean inv_feature_set_has(const InvFeatureSet *set, const char *name);
/* The same by the name's number, for whoever looked it up before: no lock, no hash. */
void inv_feature_set_add_number(InvFeatureSet *set, guint number);
void inv_feature_set_remove_number(InvFeatureSet *set, guint number);
gboolean inv_feature_set_has_number(const InvFeatureSet *set, guint number);
guint inv_feature_set_count(const InvFeatureSet *set);
gboolean inv_feature_set_is_empty(const InvFeatureSet *set);

/* Both sets must share one names table; the first argument is the one that changes. */
gboolean inv_feature_set_is_subset(const InvFeatureSet *small, const InvFeatureSet *large);
/* Is any feature in both? */
gboolean inv_feature_set_meets(const InvFeatureSet *a, const InvFeatureSet *b);
gboolean inv_feature_set_is_equal(const InvFeatureSet *a, const InvFeatureSet *b);
void inv_feature_set_unite(InvFeatureSet *set, const InvFeatureSet *with);
void inv_feature_set_intersect(InvFeatureSet *set, const InvFeatureSet *with);
void inv_feature_set_subtract(InvFeatureSet *set, const InvFeatureSet *what);
/* A new set: what is in @set and not in @without. */
InvFeatureSet *inv_feature_set_difference(const InvFeatureSet *set, const InvFeatureSet *without);
/* How many features are in exactly one of the two. */
guint inv_feature_set_distance(const InvFeatureSet *a, const InvFeatureSet *b);
/* Of those in @within only. */
guint inv_feature_set_distance_within(const InvFeatureSet *a, const InvFeatureSet *b, const InvFeatureSet *within);

/* Equal sets of one names table have equal hashes; for a GHashTable in this process only. */
guint inv_feature_set_hash(const InvFeatureSet *set);

/*
 * The names in @set in alphabetical order, NULL-terminated: (transfer container), free it with
 * g_free(); the strings belong to the names table.
 */
const char **inv_feature_set_list(const InvFeatureSet *set);

G_END_DECLS
