// SPDX-License-Identifier: GPL-2.0-or-later
/* What a person reads: heads, wrapped lines below each other, what is short, what is counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "cli/cli.h"
#include "doctor/doctor.h"

static char words[] =
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
    "seventeen eighteen";

static struct finding list[] = {
    {.id = "daemon", .level = FINDING_OK, .found = (char *)"it runs"},
    {.id = "xdp",
     .level = FINDING_NOTE,
     .found = (char *)"first\nsecond\033[2J",
     .means = words,
     .mend = "mend it"},
    {.id = "icc", .level = FINDING_UNCHECKED, .found = (char *)"no Engine\nand more"},
    {.id = "flowtables",
     .level = FINDING_BAD,
     .found = (char *)"a flow table",
     .means = "bad",
     .mend = "remove it"},
};

static char *print(bool all)
{
    const struct findings findings = {list, sizeof(list) / sizeof(*list)};
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    assert_non_null(out);
    doctor_print(&findings, all, out, false);
    fclose(out);
    return text;
}

#define SEEN                                                                                                         \
    "bad   flowtables\n"                                                                                             \
    "      found a flow table\n"                                                                                     \
    "      means bad\n"                                                                                              \
    "      mend  remove it\n"                                                                                        \
    "\n"                                                                                                             \
    "unchecked icc                no Engine\n"                                                                       \
    "\n"                                                                                                             \
    "note  xdp\n"                                                                                                    \
    "      found first\n"                                                                                            \
    "            second\\x1b[2J\n"                                                                                   \
    "      means one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen\n" \
    "            seventeen eighteen\n"                                                                               \
    "      mend  mend it\n"                                                                                          \
    "\n"
#define COUNTED "4 checks: 1 bad, 0 to mend, 1 to know, 1 not checked, 1 well\n"

static void what_matters_is_told_in_full(void **state)
{
    char *text = print(false);

    (void)state;
    assert_string_equal(text, SEEN COUNTED);
    free(text);
}

static void all_of_it_on_demand(void **state)
{
    char *text = print(true);

    (void)state;
    assert_string_equal(text, SEEN "ok        daemon             it runs\n\n" COUNTED);
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_matters_is_told_in_full),
        cmocka_unit_test(all_of_it_on_demand),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
