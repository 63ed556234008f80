/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/feature_set.h"

#include <stdlib.h>
#include <string.h>

#define BITS_PER_WORD 64u

struct InvFeatureNames {
    GRWLock lock;
    GHashTable *number_of; /* guarded by lock; name → number + 1; owns the names, which never move or go */
    GPtrArray *name_of;    /* guarded by lock; number → name, borrowed from number_of */
};

struct InvFeatureSet {
    InvFeatureNames *names; /* borrowed */
    GArray *words;          /* guint64, grows on demand: absent words are zero */
};

InvFeatureNames *
inv_feature_names_new(void)
{
    InvFeatureNames *names = g_new0(InvFeatureNames, 1);

    g_rw_lock_init(&names->lock);
    names->number_of = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    names->name_of = g_ptr_array_new();
    return names;
}

void
inv_feature_names_free(InvFeatureNames *names)
{
    if (!names)
        return;
    g_ptr_array_unref(names->name_of);
    g_hash_table_unref(names->number_of);
    g_rw_lock_clear(&names->lock);
    g_free(names);
}

guint
inv_feature_names_count(InvFeatureNames *names)
{
    g_autoptr(GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new(&names->lock);

    return names->name_of->len;
}

static gboolean
names_find_locked(const InvFeatureNames *names, const char *name, guint *number)
{
    guint found = GPOINTER_TO_UINT(g_hash_table_lookup(names->number_of, name));

    if (found)
        *number = found - 1;
    return found != 0;
}

static gboolean
names_find(InvFeatureNames *names, const char *name, guint *number)
{
    g_autoptr(GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new(&names->lock);

    return names_find_locked(names, name, number);
}

static guint
names_intern(InvFeatureNames *names, const char *name)
{
    guint number;

    /* Nearly every name is known already: readers do not wait for each other. */
    if (names_find(names, name, &number))
        return number;

    g_autoptr(GRWLockWriterLocker) locker = g_rw_lock_writer_locker_new(&names->lock);
    if (!names_find_locked(names, name, &number)) {
        char *own = g_strdup(name);

        number = names->name_of->len;
        g_hash_table_insert(names->number_of, own, GUINT_TO_POINTER(number + 1));
        g_ptr_array_add(names->name_of, own);
    }
    return number;
}

InvFeatureSet *
inv_feature_set_new(InvFeatureNames *names)
{
    InvFeatureSet *set = g_new0(InvFeatureSet, 1);

    set->names = names;
    set->words = g_array_new(FALSE, TRUE, sizeof(guint64));
    return set;
}

InvFeatureSet *
inv_feature_set_copy(const InvFeatureSet *set)
{
    InvFeatureSet *copy = inv_feature_set_new(set->names);

    if (set->words->len)
        g_array_append_vals(copy->words, set->words->data, set->words->len);
    return copy;
}

void
inv_feature_set_free(InvFeatureSet *set)
{
    if (!set)
        return;
    g_array_unref(set->words);
    g_free(set);
}

InvFeatureNames *
inv_feature_set_names(const InvFeatureSet *set)
{
    return set->names;
}

static guint64
word(const InvFeatureSet *set, guint index)
{
    return index < set->words->len ? g_array_index(set->words, guint64, index) : 0;
}

void
inv_feature_set_add(InvFeatureSet *set, const char *name)
{
    guint number = names_intern(set->names, name);
    guint index = number / BITS_PER_WORD;

    if (index >= set->words->len)
        g_array_set_size(set->words, index + 1);
    g_array_index(set->words, guint64, index) |= G_GUINT64_CONSTANT(1) << number % BITS_PER_WORD;
}

void
inv_feature_set_add_list(InvFeatureSet *set, const char *const *list)
{
    for (; list && *list; list++)
        inv_feature_set_add(set, *list);
}

void
inv_feature_set_remove(InvFeatureSet *set, const char *name)
{
    guint number;

    if (names_find(set->names, name, &number) && number / BITS_PER_WORD < set->words->len)
        g_array_index(set->words, guint64, number / BITS_PER_WORD) &= ~(G_GUINT64_CONSTANT(1) << number % BITS_PER_WORD);
}

gboolean
inv_feature_set_has(const InvFeatureSet *set, const char *name)
{
    guint number;

    return names_find(set->names, name, &number) && (word(set, number / BITS_PER_WORD) >> number % BITS_PER_WORD & 1);
}

guint
inv_feature_set_count(const InvFeatureSet *set)
{
    guint count = 0;

    for (guint i = 0; i < set->words->len; i++)
        count += (guint)__builtin_popcountll(word(set, i));
    return count;
}

gboolean
inv_feature_set_is_empty(const InvFeatureSet *set)
{
    for (guint i = 0; i < set->words->len; i++) {
        if (word(set, i))
            return FALSE;
    }
    return TRUE;
}

gboolean
inv_feature_set_is_subset(const InvFeatureSet *small, const InvFeatureSet *large)
{
    g_return_val_if_fail(small->names == large->names, FALSE);

    for (guint i = 0; i < small->words->len; i++) {
        if (word(small, i) & ~word(large, i))
            return FALSE;
    }
    return TRUE;
}

gboolean
inv_feature_set_is_equal(const InvFeatureSet *a, const InvFeatureSet *b)
{
    return inv_feature_set_is_subset(a, b) && inv_feature_set_is_subset(b, a);
}

void
inv_feature_set_unite(InvFeatureSet *set, const InvFeatureSet *with)
{
    g_return_if_fail(set->names == with->names);

    if (set->words->len < with->words->len)
        g_array_set_size(set->words, with->words->len);
    for (guint i = 0; i < set->words->len; i++)
        g_array_index(set->words, guint64, i) |= word(with, i);
}

void
inv_feature_set_intersect(InvFeatureSet *set, const InvFeatureSet *with)
{
    g_return_if_fail(set->names == with->names);

    for (guint i = 0; i < set->words->len; i++)
        g_array_index(set->words, guint64, i) &= word(with, i);
}

void
inv_feature_set_subtract(InvFeatureSet *set, const InvFeatureSet *what)
{
    g_return_if_fail(set->names == what->names);

    for (guint i = 0; i < set->words->len; i++)
        g_array_index(set->words, guint64, i) &= ~word(what, i);
}

InvFeatureSet *
inv_feature_set_difference(const InvFeatureSet *set, const InvFeatureSet *without)
{
    InvFeatureSet *difference = inv_feature_set_copy(set);

    inv_feature_set_subtract(difference, without);
    return difference;
}

guint
inv_feature_set_distance(const InvFeatureSet *a, const InvFeatureSet *b)
{
    guint count = 0;

    g_return_val_if_fail(a->names == b->names, G_MAXUINT);
    for (guint i = 0; i < MAX(a->words->len, b->words->len); i++)
        count += (guint)__builtin_popcountll(word(a, i) ^ word(b, i));
    return count;
}

guint
inv_feature_set_hash(const InvFeatureSet *set)
{
    guint64 hash = 0;

    /* Zero words add nothing, so that a set that once was larger hashes like its equal. */
    for (guint i = 0; i < set->words->len; i++)
        hash ^= word(set, i) * (G_GUINT64_CONSTANT(0x9e3779b97f4a7c15) + 2 * (guint64)i);
    return (guint)(hash ^ hash >> 32);
}

static int
compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

const char **
inv_feature_set_list(const InvFeatureSet *set)
{
    guint count = 0;
    const char **list = g_new0(const char *, inv_feature_set_count(set) + 1);
    g_autoptr(GRWLockReaderLocker) locker = g_rw_lock_reader_locker_new(&set->names->lock);

    for (guint i = 0; i < set->words->len; i++) {
        for (guint64 rest = word(set, i); rest; rest &= rest - 1)
            list[count++] = g_ptr_array_index(set->names->name_of, i * BITS_PER_WORD + (guint)__builtin_ctzll(rest));
    }
    qsort(list, count, sizeof(*list), compare_names);
    return list;
}
