// SPDX-License-Identifier: GPL-2.0-or-later
#include "daemon/gate.h"

#include <errno.h>

#include "verdict/expect.h"

int gate_expectations(const struct evaluation *with, bool known, struct diags *diags)
{
    const struct policy_set *policies = with->policies;
    struct expect_result result;

    if (policies->n_expects == 0)
        return 0;
    if (!known) {
        diag_help(
            diag_add(diags, DIAG_ERROR, NULL, &policies->expects[0].pos,
                     "'%s' cannot be tested yet: the containers are not known", policies->expects[0].name),
            "they are once the Docker Engine has answered everything that cofferdamd asks at its start");
        return -EAGAIN;
    }
    expect_test(with, &result);
    int r = expect_report(with, &result, diags);
    expect_result_clear(&result);
    return r;
}
