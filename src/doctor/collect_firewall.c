// SPDX-License-Identifier: GPL-2.0-or-later
/* All tables of nf_tables, and what the kernel says of ours. */
#include "doctor/collect.h"
#include "ruleset/compile.h"
#include "util/diag.h"

/* The rules for a host without containers, in every kind of set that Cofferdam makes, as the standby: that name stands
 * for a moment only, while the tables themselves may be in force and somebody's own. */
static void try_rules(struct nft_socket *socket, struct fact_firewall *firewall)
{
    static const struct compile_options options = {.unknown_endpoints = UNKNOWN_INTERNET,
                                                   .mark = MARK_DEFAULT};
    _cleanup_(policy_set_freep) struct policy_set *policies = policy_set_new();
    _cleanup_(compiler_freep) struct compiler *compiler = compiler_new(policies, &options);
    _cleanup_delta_ struct delta delta = {0}, trial = {0};
    _cleanup_diags_ struct diags diags = {0};

    delta_replace(compiler_ruleset(compiler), &delta);
    trial.phases[PHASE_PREPARE] = delta.phases[PHASE_PREPARE];
    delta.phases[PHASE_PREPARE] = (struct op_list){0};
    if (nft_validate(socket, &trial, &diags) == 0 || diags.n == 0)
        return;
    firewall->trial_refused = xstrdup(diags.v[0].message);
    firewall->trial_help = xstrdup_null(diags.v[0].help);
}

void collect_firewall(struct fact_firewall *ret)
{
    _cleanup_(nft_socket_closep) struct nft_socket *socket = NULL;

    *ret = (struct fact_firewall){0};
    ret->error = nft_socket_open(&socket);
    if (ret->error == 0)
        ret->error = nft_survey_read(socket, &ret->survey);
    if (ret->error == 0)
        ret->error = nft_can_protect(socket, &ret->can_protect);
    if (ret->error == 0)
        try_rules(socket, ret);
}
