/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "util/distance.h"

typedef struct {
    const char *name;
    const char *wrong, *right;
    guint distance;
} DistanceCase;

#define LONG "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

static const DistanceCase distance_cases[] = {
    { .name = "itself", .wrong = "avx2", .right = "avx2", .distance = 0 },
    { .name = "another case", .wrong = "nehalem", .right = "Nehalem", .distance = 0 },
    { .name = "a letter changed", .wrong = "Nehalen", .right = "Nehalem", .distance = 1 },
    { .name = "a letter too many", .wrong = "aess", .right = "aes", .distance = 1 },
    { .name = "a letter too few", .wrong = "ae", .right = "aes", .distance = 1 },
    { .name = "its beginning", .wrong = "Skylake", .right = "Skylake-Client-v4", .distance = 1 },
    { .name = "its beginning, nearly", .wrong = "Skilake", .right = "Skylake-Client-v4", .distance = 2 },
    { .name = "another word", .wrong = "Skylake", .right = "Dhyana", .distance = 5 },
    { .name = "nothing", .wrong = "", .right = "aes", .distance = 1 },
    { .name = "what is too long differs in its end only", .wrong = LONG "b", .right = LONG "c", .distance = 0 },
};

static void
distances_are_counted(void **state)
{
    const DistanceCase *row = *state;

    assert_int_equal(inv_distance(row->wrong, row->right), row->distance);
}

int
main(void)
{
    struct CMUnitTest tests[G_N_ELEMENTS(distance_cases)];

    for (guint i = 0; i < G_N_ELEMENTS(distance_cases); i++)
        tests[i] = (struct CMUnitTest){ distance_cases[i].name, distances_are_counted, NULL, NULL, (void *)&distance_cases[i] };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
