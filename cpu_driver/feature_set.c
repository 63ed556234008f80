/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "cpu_driver/feature_set.h"

#include <stdlib.h>
#include <string.h>

#define BITS_PER_WORD 64u

struct InvFeatureNames {
    GRWLock lock;
    GHashTable *number_of; /* guarded by lock; name → number + 1; owns the names, which never move or go */
    GPtrArray *name_of;    /* guarded by lock; number → name, borrowed from number_of */
    GHashTable *kept;      /* guarded by lock; key → Kept, owned */
};

/*
 * The words lie behind the head while they fit there, so that a copy is one piece of memory: ten
 * thousand hosts are read at the speed of memory only when a host is few cache lines in one place.
 */
struct InvFeatureSet {
    InvFeatureNames *names; /* borrowed */
    guint n_words;          /* grows on demand: absent words are zero */
    guint room;             /* words that fit where `words` points */
    guint64 *words;         /* `behind`, or owned */
    guint64 behind[];
};

typedef struct {
    gpointer data;
    GDestroyNotify destroy;
} Kept;

static void
kept_free(gpointer data)
{
    Kept *kept = data;

    kept->destroy(kept->data);
    g_free(kept);
}

InvFeatureNames *
inv_feature_names_new(void)
{
    InvFeatureNames *names = g_new0(InvFeatureNames, 1);

    g_rw_lock_init(&names->lock);
    names->number_of = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    names->name_of = g_ptr_array_new();
    names->kept = g_hash_table_new_full(NULL, NULL, NULL, kept_free);
    return names;
}

void
inv_feature_names_free(InvFeatureNames *names)
{
    if (!names)
        return;
    g_hash_table_unref(names->kept);
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

guint
inv_feature_names_intern(InvFeatureNames *names, const char *name)
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

gconstpointer
inv_feature_names_keep(InvFeatureNames *names, gconstpointer key, gpointer (*make)(InvFeatureNames *names, gconstpointer key),
                       GDestroyNotify destroy)
{
    Kept *kept, *mine;

    g_rw_lock_reader_lock(&names->lock);
    kept = g_hash_table_lookup(names->kept, key);
    g_rw_lock_reader_unlock(&names->lock);
    if (kept)
        return kept->data;

    mine = g_new0(Kept, 1);
    mine->data = make(names, key);
    mine->destroy = destroy;
    g_rw_lock_writer_lock(&names->lock);
    kept = g_hash_table_lookup(names->kept, key);
    if (!kept)
        g_hash_table_insert(names->kept, (gpointer)key, kept = g_steal_pointer(&mine));
    g_rw_lock_writer_unlock(&names->lock);
    if (mine)
        kept_free(mine);
    return kept->data;
}

static InvFeatureSet *
set_alloc(InvFeatureNames *names, guint room)
{
    InvFeatureSet *set = g_malloc(sizeof(InvFeatureSet) + room * sizeof(guint64));

    set->names = names;
    set->n_words = 0;
    set->room = room;
    set->words = set->behind;
    return set;
}

/* At least @n words, the new ones zero. */
static void
set_grow(InvFeatureSet *set, guint n)
{
    if (n <= set->n_words)
        return;
    if (n > set->room) {
        guint64 *words = g_new(guint64, n);

        if (set->n_words)
            memcpy(words, set->words, set->n_words * sizeof(guint64));
        if (set->words != set->behind)
            g_free(set->words);
        set->words = words;
        set->room = n;
    }
    memset(set->words + set->n_words, 0, (n - set->n_words) * sizeof(guint64));
    set->n_words = n;
}

InvFeatureSet *
inv_feature_set_new(InvFeatureNames *names)
{
    return set_alloc(names, 0);
}

InvFeatureSet *
inv_feature_set_copy(const InvFeatureSet *set)
{
    InvFeatureSet *copy = set_alloc(set->names, set->n_words);

    inv_feature_set_assign(copy, set);
    return copy;
}

void
inv_feature_set_assign(InvFeatureSet *set, const InvFeatureSet *from)
{
    g_return_if_fail(set->names == from->names);

    set->n_words = MIN(set->n_words, from->n_words);
    set_grow(set, from->n_words);
    if (from->n_words)
        memcpy(set->words, from->words, from->n_words * sizeof(guint64));
}

void
inv_feature_set_clear(InvFeatureSet *set)
{
    set->n_words = 0;
}

void
inv_feature_set_free(InvFeatureSet *set)
{
    if (!set)
        return;
    if (set->words != set->behind)
        g_free(set->words);
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
    return index < set->n_words ? set->words[index] : 0;
}

void
inv_feature_set_add_number(InvFeatureSet *set, guint number)
{
    set_grow(set, number / BITS_PER_WORD + 1);
    set->words[number / BITS_PER_WORD] |= G_GUINT64_CONSTANT(1) << number % BITS_PER_WORD;
}

void
inv_feature_set_add(InvFeatureSet *set, const char *name)
{
    inv_feature_set_add_number(set, inv_feature_names_intern(set->names, name));
}

void
inv_feature_set_add_list(InvFeatureSet *set, const char *const *list)
{
    for (; list && *list; list++)
        inv_feature_set_add(set, *list);
}

void
inv_feature_set_remove_number(InvFeatureSet *set, guint number)
{
    if (number / BITS_PER_WORD < set->n_words)
        set->words[number / BITS_PER_WORD] &= ~(G_GUINT64_CONSTANT(1) << number % BITS_PER_WORD);
}

void
inv_feature_set_remove(InvFeatureSet *set, const char *name)
{
    guint number;

    if (names_find(set->names, name, &number))
        inv_feature_set_remove_number(set, number);
}

gboolean
inv_feature_set_has_number(const InvFeatureSet *set, guint number)
{
    return word(set, number / BITS_PER_WORD) >> number % BITS_PER_WORD & 1;
}

gboolean
inv_feature_set_has(const InvFeatureSet *set, const char *name)
{
    guint number;

    return names_find(set->names, name, &number) && inv_feature_set_has_number(set, number);
}

guint
inv_feature_set_count(const InvFeatureSet *set)
{
    guint count = 0;

    for (guint i = 0; i < set->n_words; i++)
        count += (guint)__builtin_popcountll(word(set, i));
    return count;
}

gboolean
inv_feature_set_is_empty(const InvFeatureSet *set)
{
    for (guint i = 0; i < set->n_words; i++) {
        if (word(set, i))
            return FALSE;
    }
    return TRUE;
}

gboolean
inv_feature_set_is_subset(const InvFeatureSet *small, const InvFeatureSet *large)
{
    g_return_val_if_fail(small->names == large->names, FALSE);

    for (guint i = 0; i < small->n_words; i++) {
        if (word(small, i) & ~word(large, i))
            return FALSE;
    }
    return TRUE;
}

gboolean
inv_feature_set_meets(const InvFeatureSet *a, const InvFeatureSet *b)
{
    g_return_val_if_fail(a->names == b->names, FALSE);

    for (guint i = 0; i < a->n_words; i++) {
        if (word(a, i) & word(b, i))
            return TRUE;
    }
    return FALSE;
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

    set_grow(set, with->n_words);
    for (guint i = 0; i < with->n_words; i++)
        set->words[i] |= with->words[i];
}

void
inv_feature_set_intersect(InvFeatureSet *set, const InvFeatureSet *with)
{
    g_return_if_fail(set->names == with->names);

    set->n_words = MIN(set->n_words, with->n_words);
    for (guint i = 0; i < set->n_words; i++)
        set->words[i] &= with->words[i];
}

void
inv_feature_set_subtract(InvFeatureSet *set, const InvFeatureSet *what)
{
    g_return_if_fail(set->names == what->names);

    for (guint i = 0; i < MIN(set->n_words, what->n_words); i++)
        set->words[i] &= ~what->words[i];
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
    for (guint i = 0; i < MAX(a->n_words, b->n_words); i++)
        count += (guint)__builtin_popcountll(word(a, i) ^ word(b, i));
    return count;
}

guint
inv_feature_set_distance_within(const InvFeatureSet *a, const InvFeatureSet *b, const InvFeatureSet *within)
{
    guint count = 0;

    g_return_val_if_fail(a->names == b->names && a->names == within->names, G_MAXUINT);
    for (guint i = 0; i < within->n_words; i++)
        count += (guint)__builtin_popcountll((word(a, i) ^ word(b, i)) & within->words[i]);
    return count;
}

guint
inv_feature_set_hash(const InvFeatureSet *set)
{
    guint64 hash = 0;

    /* Zero words add nothing, so that a set that once was larger hashes like its equal. */
    for (guint i = 0; i < set->n_words; i++)
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

    for (guint i = 0; i < set->n_words; i++) {
        for (guint64 rest = word(set, i); rest; rest &= rest - 1)
            list[count++] = g_ptr_array_index(set->names->name_of, i * BITS_PER_WORD + (guint)__builtin_ctzll(rest));
    }
    qsort(list, count, sizeof(*list), compare_names);
    return list;
}
