// SPDX-License-Identifier: GPL-2.0-or-later
/* Answers of the kernel, built here byte by byte as it builds them, and what we make of them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <libmnl/libmnl.h>

#include "nft/ack.h"
#include "sample.h"
#include "util/mem.h"

static struct nlmsghdr *answer(void *buffer, uint32_t seq, int error)
{
    struct nlmsghdr *message = mnl_nlmsg_put_header(buffer);
    struct nlmsgerr *payload;

    message->nlmsg_type = NLMSG_ERROR;
    message->nlmsg_seq = seq;
    payload = mnl_nlmsg_put_extra_header(message, sizeof(*payload));
    payload->error = error;
    payload->msg.nlmsg_len = 400; /* of the request; all but its header is left out */
    message->nlmsg_flags = NLM_F_CAPPED;
    return message;
}

static void extended_ack_is_read(void **state)
{
    char buffer[512] __attribute__((aligned(8)));
    struct nlmsghdr *message = answer(buffer, 5, -ENOENT);
    struct ack ack;

    (void)state;
    message->nlmsg_flags |= NLM_F_ACK_TLVS;
    mnl_attr_put_strz(message, NLMSGERR_ATTR_MSG, "no such chain");
    mnl_attr_put_u32(message, NLMSGERR_ATTR_OFFS, 96);
    assert_int_equal(ack_parse(message, &ack), 0);
    assert_int_equal(ack.seq, 5);
    assert_int_equal(ack.error, -ENOENT);
    assert_int_equal(ack.offset, 96);
    assert_string_equal(ack.text, "no such chain");
}

static void uncapped_ack_is_read(void **state)
{
    char buffer[1024] __attribute__((aligned(8)));
    struct nlmsghdr *message = answer(buffer, 5, -EINVAL);
    struct nlmsgerr *payload = mnl_nlmsg_get_payload(message);
    struct ack ack;

    (void)state;
    message->nlmsg_flags = NLM_F_ACK_TLVS;
    payload->msg.nlmsg_len = sizeof(payload->msg) + 10;
    memset(mnl_nlmsg_put_extra_header(message, 12), 0xff, 12);
    mnl_attr_put_strz(message, NLMSGERR_ATTR_MSG, "after the request");
    assert_int_equal(ack_parse(message, &ack), 0);
    assert_string_equal(ack.text, "after the request");
}

static void malformed_acks_are_harmless(void **state)
{
    char buffer[1024] __attribute__((aligned(8)));
    struct nlmsghdr *message = answer(buffer, 5, -EINVAL);
    struct nlmsgerr *payload = mnl_nlmsg_get_payload(message);
    char text[300];
    struct ack ack;

    (void)state;
    message->nlmsg_flags = NLM_F_ACK_TLVS;
    payload->msg.nlmsg_len = UINT32_MAX; /* longer than the answer */
    assert_int_equal(ack_parse(message, &ack), 0);
    assert_string_equal(ack.text, "");
    message->nlmsg_flags = NLM_F_ACK_TLVS | NLM_F_CAPPED;
    memset(text, 'x', sizeof(text)); /* no end, and longer than is kept */
    mnl_attr_put(message, NLMSGERR_ATTR_MSG, sizeof(text), text);
    mnl_attr_put(message, NLMSGERR_ATTR_OFFS, 2, text);
    assert_int_equal(ack_parse(message, &ack), 0);
    assert_int_equal(strlen(ack.text), ACK_TEXT_MAX - 1);
    assert_int_equal(ack.offset, 0);
    message->nlmsg_len = NLMSG_HDRLEN + 4;
    assert_int_equal(ack_parse(message, &ack), -EBADMSG);
}

static const struct nft_batch ten = {.seq_first = 10, .seq_last = 19};

static void only_answers_to_the_batch_count(void **state)
{
    struct answers answers = {0};

    (void)state;
    answers_add(&answers, &(struct ack){.seq = 9, .error = -EINVAL}, &ten);
    answers_add(&answers, &(struct ack){.seq = 20, .error = -EINVAL}, &ten);
    answers_add(&answers, &(struct ack){.seq = 12}, &ten);
    assert_int_equal(answers.n_errors, 0);
    assert_false(answers.end_acked);
    answers_add(&answers, &(struct ack){.seq = 19}, &ten);
    assert_true(answers.end_acked);
    answers_add(&answers, &(struct ack){.seq = 19, .error = -EINVAL}, &ten);
    assert_int_equal(answers.n_errors, 1);
}

static void sequence_numbers_may_wrap(void **state)
{
    const struct nft_batch batch = {.seq_first = UINT32_MAX - 1, .seq_last = 3};
    struct answers answers = {0};

    (void)state;
    answers_add(&answers, &(struct ack){.seq = 1, .error = -EINVAL}, &batch);
    assert_int_equal(answers.n_errors, 1);
    answers_add(&answers, &(struct ack){.seq = 4, .error = -EINVAL}, &batch);
    assert_int_equal(answers.n_errors, 1);
}

static void only_passing_failures_are_retried(void **state)
{
    struct answers answers = {0};

    (void)state;
    assert_false(answers_may_retry(&answers));
    answers_add(&answers, &(struct ack){.seq = 10, .error = -ERESTART}, &ten);
    assert_true(answers_may_retry(&answers));
    answers_add(&answers, &(struct ack){.seq = 11, .error = -ENOENT}, &ten);
    assert_false(answers_may_retry(&answers));
    answers = (struct answers){.overrun = true};
    assert_true(answers_may_retry(&answers));
    answers.end_acked = true;
    assert_false(answers_may_retry(&answers));
}

static void errors_beyond_the_cap_are_counted(void **state)
{
    struct answers answers = {0};
    const struct nft_batch batch = {.seq_first = 0, .seq_last = 10000};
    const struct op_list nothing = {0};
    struct diags diags = {0};
    size_t *op_of_seq = xcalloc(10001, sizeof(*op_of_seq));
    struct nft_batch with_map = batch;

    (void)state;
    memset(op_of_seq, 0xff, 10001 * sizeof(*op_of_seq));
    with_map.op_of_seq = op_of_seq;
    for (uint32_t i = 0; i < 1000; i++)
        answers_add(&answers, &(struct ack){.seq = i, .error = -ENOENT}, &batch);
    assert_int_equal(answers.n_errors, 1000);
    answers_report(&answers, &with_map, &nothing, &diags);
    assert_int_equal(diags.n, 9);
    assert_string_equal(diags.v[8].message, "992 more errors of the same transaction are not shown");
    diags_clear(&diags);
    free(op_of_seq);
}

static void report_names_rule_origin_and_remedy(void **state)
{
    _cleanup_(ruleset_freep) struct ruleset *ruleset = sample_small();
    const struct chain *class = table_chain(&ruleset->tables[TABLE_INET], "class");
    struct op op = {.kind = OP_ADD_RULES, .chain = class};
    struct op_list list = {&op, 1};
    struct answers answers = {0};
    struct nft_batch batch = {0};
    struct diags diags = {0};
    size_t failed;

    (void)state;
    assert_int_equal(nft_encode(&list, 0, 0, 1, false, &batch, &failed), 0);
    answers_add(&answers, &(struct ack){.seq = 2, .error = -ENOENT, .text = "no such set"}, &batch);
    answers_report(&answers, &batch, &list, &diags);
    assert_int_equal(diags.n_errors, 1);
    assert_string_equal(
        diags.v[0].message,
        "the kernel refused to add the rules of chain class of table inet cofferdam, rule 1: tcp "
        "dport 5432 ip saddr @live4 accept comment \"shop-db ingress 1\": No such file or directory "
        "(no such set) [from policies/shop.yaml:12 (policy shop-db, ingress 1)]");
    assert_non_null(strstr(diags.v[0].help, "load all rules anew"));
    diags_clear(&diags);
    nft_batch_clear(&batch);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(extended_ack_is_read),
        cmocka_unit_test(uncapped_ack_is_read),
        cmocka_unit_test(malformed_acks_are_harmless),
        cmocka_unit_test(only_answers_to_the_batch_count),
        cmocka_unit_test(sequence_numbers_may_wrap),
        cmocka_unit_test(only_passing_failures_are_retried),
        cmocka_unit_test(errors_beyond_the_cap_are_counted),
        cmocka_unit_test(report_names_rule_origin_and_remedy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
