/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "cpu_driver/feature_set.h"

#define THREADS 4
#define NAMES 500

typedef struct {
    const char *name;
    const char *a;
    const char *b;
    const char *both, *either, *a_only;
    gboolean a_within_b;
    guint distance;
} AlgebraCase;

static const AlgebraCase algebra_cases[] = {
    { .name = "two empty sets", .a = "", .b = "", .both = "", .either = "", .a_only = "", .a_within_b = TRUE },
    { .name = "empty within any", .a = "", .b = "aes", .both = "", .either = "aes", .a_only = "", .a_within_b = TRUE, .distance = 1 },
    { .name = "equal in another order", .a = "avx aes", .b = "aes avx", .both = "aes avx", .either = "aes avx", .a_only = "",
      .a_within_b = TRUE },
    { .name = "subset", .a = "aes", .b = "avx aes", .both = "aes", .either = "aes avx", .a_only = "", .a_within_b = TRUE, .distance = 1 },
    { .name = "overlap", .a = "rtm aes hle", .b = "aes mpx", .both = "aes", .either = "aes hle mpx rtm", .a_only = "hle rtm",
      .distance = 3 },
    { .name = "beyond one word", .a = "n0 n63 n64 n127 n128", .b = "n64 n200", .both = "n64", .either = "n0 n127 n128 n200 n63 n64",
      .a_only = "n0 n127 n128 n63", .distance = 5 },
};

/* cmocka's assertions jump: what a test allocates lives here and is always freed. */
static InvFeatureNames *names;
static InvFeatureSet *a, *b, *other;
static char *text;

static int
setup(void **state)
{
    names = inv_feature_names_new();
    return 0;
}

static int
teardown(void **state)
{
    g_clear_pointer(&text, g_free);
    g_clear_pointer(&a, inv_feature_set_free);
    g_clear_pointer(&b, inv_feature_set_free);
    g_clear_pointer(&other, inv_feature_set_free);
    g_clear_pointer(&names, inv_feature_names_free);
    return 0;
}

static InvFeatureSet *
set_of(const char *words)
{
    g_auto(GStrv) parts = g_strsplit(words, " ", -1);
    InvFeatureSet *set = inv_feature_set_new(names);

    for (char **part = parts; *part; part++) {
        if (**part)
            inv_feature_set_add(set, *part);
    }
    return set;
}

static void
assert_holds(const InvFeatureSet *set, const char *words)
{
    g_autofree const char **list = inv_feature_set_list(set);

    g_free(text);
    text = g_strjoinv(" ", (char **)list);
    assert_string_equal(text, words);
    assert_int_equal(inv_feature_set_count(set), g_strv_length((char **)list));
    assert_int_equal(inv_feature_set_is_empty(set), !*words);
}

static void
intern_many(void)
{
    g_autoptr(InvFeatureSet) all = inv_feature_set_new(names);

    for (guint i = 0; i < 256; i++) {
        char name[16];

        g_snprintf(name, sizeof(name), "n%u", i);
        inv_feature_set_add(all, name);
    }
}

static void
algebra(void **state)
{
    const AlgebraCase *row = *state;

    intern_many();
    a = set_of(row->a);
    b = set_of(row->b);
    assert_int_equal(inv_feature_set_is_subset(a, b), row->a_within_b);
    assert_int_equal(inv_feature_set_distance(a, b), row->distance);
    assert_int_equal(inv_feature_set_distance(b, a), row->distance);
    assert_int_equal(inv_feature_set_is_equal(a, b), row->distance == 0);

    other = inv_feature_set_copy(a);
    inv_feature_set_intersect(other, b);
    assert_holds(other, row->both);
    inv_feature_set_free(other);
    other = inv_feature_set_copy(a);
    inv_feature_set_unite(other, b);
    assert_holds(other, row->either);
    inv_feature_set_free(other);
    other = inv_feature_set_difference(a, b);
    assert_holds(other, row->a_only);

    /* The way back: what remains of the union without b's own is equal to a, hash included. */
    inv_feature_set_unite(other, a);
    assert_true(inv_feature_set_is_equal(other, a));
    assert_int_equal(inv_feature_set_hash(other), inv_feature_set_hash(a));
}

static void
remove_and_ask(void **state)
{
    a = set_of("aes avx");
    inv_feature_set_remove(a, "avx");
    inv_feature_set_remove(a, "never seen");
    assert_true(inv_feature_set_has(a, "aes"));
    assert_false(inv_feature_set_has(a, "avx"));
    assert_false(inv_feature_set_has(a, "never seen"));
    assert_holds(a, "aes");
    assert_int_equal(inv_feature_names_count(names), 2);
    assert_ptr_equal(inv_feature_set_names(a), names);
}

static void
a_hash_forgets_a_set_s_past(void **state)
{
    intern_many();
    a = set_of("n1");
    b = set_of("n1 n200");
    assert_int_not_equal(inv_feature_set_hash(a), inv_feature_set_hash(b));
    inv_feature_set_remove(b, "n200");
    assert_int_equal(inv_feature_set_hash(a), inv_feature_set_hash(b));
}

static void
a_set_is_filled_anew(void **state)
{
    intern_many();
    a = set_of("n1 n300");
    b = set_of("n2");
    inv_feature_set_assign(a, b);
    assert_true(inv_feature_set_is_equal(a, b));
    /* What lies in memory that was used before is gone. */
    inv_feature_set_add(a, "n400");
    assert_false(inv_feature_set_has(a, "n300"));
    assert_int_equal(inv_feature_set_count(a), 2);
    inv_feature_set_clear(a);
    assert_true(inv_feature_set_is_empty(a));
    inv_feature_set_add_number(a, inv_feature_names_intern(names, "n300"));
    assert_true(inv_feature_set_has(a, "n300"));
    assert_true(inv_feature_set_has_number(a, inv_feature_names_intern(names, "n300")));
    assert_int_equal(inv_feature_set_count(a), 1);
    inv_feature_set_remove_number(a, inv_feature_names_intern(names, "n300"));
    assert_true(inv_feature_set_is_empty(a));
}

static void
distance_within_looks_at_no_more(void **state)
{
    intern_many();
    a = set_of("n1 n2 n300");
    b = set_of("n2 n3");
    other = set_of("n1 n2 n3");
    assert_int_equal(inv_feature_set_distance(a, b), 3);
    assert_int_equal(inv_feature_set_distance_within(a, b, other), 2);
}

static guint made;

static gpointer
make_kept(InvFeatureNames *of, gconstpointer key)
{
    InvFeatureSet *set = inv_feature_set_new(of);

    inv_feature_set_add(set, key);
    made++;
    return set;
}

static void
what_is_kept_is_made_once(void **state)
{
    static const char one[] = "one", two[] = "two";
    const InvFeatureSet *kept = inv_feature_names_keep(names, one, make_kept, (GDestroyNotify)inv_feature_set_free);

    made = 0;
    assert_true(inv_feature_set_has(kept, "one"));
    assert_ptr_equal(inv_feature_names_keep(names, one, make_kept, (GDestroyNotify)inv_feature_set_free), kept);
    assert_ptr_not_equal(inv_feature_names_keep(names, two, make_kept, (GDestroyNotify)inv_feature_set_free), kept);
    assert_int_equal(made, 1);
}

static gpointer
intern_thread(gpointer opaque)
{
    guint start = GPOINTER_TO_UINT(opaque);
    InvFeatureSet *set = inv_feature_set_new(names);

    for (guint i = 0; i < NAMES; i++) {
        char name[16];

        g_snprintf(name, sizeof(name), "t%u", (start + i) % NAMES);
        inv_feature_set_add(set, name);
        if (!inv_feature_set_has(set, name))
            break;
    }
    return set;
}

static void
threads_share_a_names_table(void **state)
{
    GThread *threads[THREADS];
    InvFeatureSet *sets[THREADS];
    gboolean equal = TRUE;

    for (guint i = 0; i < THREADS; i++)
        threads[i] = g_thread_new("intern", intern_thread, GUINT_TO_POINTER(i * NAMES / THREADS));
    for (guint i = 0; i < THREADS; i++)
        sets[i] = g_thread_join(threads[i]);
    for (guint i = 1; i < THREADS; i++) {
        equal = equal && inv_feature_set_is_equal(sets[0], sets[i]);
        inv_feature_set_free(sets[i]);
    }
    a = sets[0];
    assert_true(equal);
    assert_int_equal(inv_feature_set_count(a), NAMES);
    assert_int_equal(inv_feature_names_count(names), NAMES);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(algebra_cases) + 6];
    gsize n = 0;

    for (gsize i = 0; i < G_N_ELEMENTS(algebra_cases); i++)
        tests[n++] = (struct CMUnitTest){ algebra_cases[i].name, algebra, setup, teardown, (void *)&algebra_cases[i] };
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(remove_and_ask, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(a_hash_forgets_a_set_s_past, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(a_set_is_filled_anew, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(distance_within_looks_at_no_more, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(what_is_kept_is_made_once, setup, teardown);
    tests[n++] = (struct CMUnitTest)cmocka_unit_test_setup_teardown(threads_share_a_names_table, setup, teardown);
    return cmocka_run_group_tests_name("feature set", tests, NULL, NULL);
}
