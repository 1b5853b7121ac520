/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The two kinds of documents: policies, and expectations of all policies together. */
#include <string.h>

#include "names.h"
#include "schema.h"

#define DESCRIPTION_MAX SCALAR_MAX
#define EXPECT_NAME_MAX 255

/* ---- rules -------------------------------------------------------------------------------------------- */

static void import_rule_peer(struct import *import, const struct key *key, const struct node *value,
                             void *object)
{
    struct rule *rule = object;

    (void)key;
    import_peer(import, value, &rule->peers, &rule->n_peers);
}

static void import_rule_port(struct import *import, const struct key *key, const struct node *value,
                             void *object)
{
    struct rule *rule = object;

    (void)key;
    import_port(import, value, &rule->ports, &rule->n_ports);
}

static const struct key rule_keys[] = {
    {.name = "name",
     .type = KEY_TEXT,
     .form = FORM_RULE_NAME,
     .summary = "the rule's own name",
     .offset = offsetof(struct rule, name),
     .max = SCALAR_MAX,
     .check = check_rule_name},
    {.name = "deny",
     .type = KEY_BOOL,
     .summary = "true: deny, whatever else allows it",
     .offset = offsetof(struct rule, deny)},
    {.name = "ports",
     .type = KEY_LIST,
     .form = FORM_PORT,
     .summary = "ports and protocols; all where it is left out",
     .import = import_rule_port},
};

static const struct key ingress_rule_keys[] = {
    {.name = "from",
     .type = KEY_LIST,
     .form = FORM_INGRESS_PEER,
     .summary = "who may connect; anybody where it is left out",
     .mapping = &peer_mapping,
     .import = import_rule_peer},
};

static const struct key egress_rule_keys[] = {
    {.name = "to",
     .type = KEY_LIST,
     .form = FORM_EGRESS_PEER,
     .summary = "whom the subject may connect to; anybody where it is left out",
     .mapping = &peer_mapping,
     .import = import_rule_peer},
};

#define IN_PEERS "it belongs to a peer: put it in the list of 'from' or 'to'"
#define AT_TOP "it belongs at the top of the policy"
#define RULE_MISPLACED                                                                                       \
    {"compose", IN_PEERS}, {"labels", IN_PEERS}, {"image", IN_PEERS}, {"network", IN_PEERS},                 \
        {"all", IN_PEERS}, {"same", IN_PEERS}, {"cidr", IN_PEERS}, {"except", IN_PEERS}, {"mode", AT_TOP},   \
        {"reject", AT_TOP}, {"select", AT_TOP}, {"allow", "a rule allows unless it says deny: true"},        \
    {                                                                                                        \
        "action", "a rule allows unless it says deny: true"                                                  \
    }

static const struct misplaced ingress_misplaced[] = {
    {"to", "under 'ingress' the other side is 'from'; the subject itself is the destination"},
    RULE_MISPLACED,
};

static const struct misplaced egress_misplaced[] = {
    {"from", "under 'egress' the other side is 'to'; the subject itself is the source"},
    RULE_MISPLACED,
};

const struct mapping rule_mapping = {
    .what = "a rule",
    .keys = rule_keys,
    .n_keys = ARRAY_SIZE(rule_keys),
};

const struct mapping ingress_rule_mapping = {
    .what = "a rule under 'ingress'",
    .id = "ingress-rule",
    .base = &rule_mapping,
    .keys = ingress_rule_keys,
    .n_keys = ARRAY_SIZE(ingress_rule_keys),
    .misplaced = ingress_misplaced,
    .n_misplaced = ARRAY_SIZE(ingress_misplaced),
};

const struct mapping egress_rule_mapping = {
    .what = "a rule under 'egress'",
    .id = "egress-rule",
    .base = &rule_mapping,
    .keys = egress_rule_keys,
    .n_keys = ARRAY_SIZE(egress_rule_keys),
    .misplaced = egress_misplaced,
    .n_misplaced = ARRAY_SIZE(egress_misplaced),
};

/* An Engine that asks the name servers itself cannot be stopped by a rule, so a rule must not claim to. */
static void check_dns_denied(struct import *import, const struct rule *rule)
{
    for (size_t i = 0; rule->deny && i < rule->n_peers; i++) {
        if (rule->peers[i].kind != PEER_DNS)
            continue;
        diag_help(
            report_error(import->source, CODE_DNS, &rule->peers[i].pos, "'dns' cannot be denied"),
            "where the Engine asks the name servers itself, no rule stops it; name the servers with 'cidr'");
    }
}

static void import_rule(struct import *import, const struct node *node, struct policy *policy,
                        enum direction direction)
{
    const struct mapping *mapping = direction == INGRESS ? &ingress_rule_mapping : &egress_rule_mapping;
    struct rule *rule = ARRAY_ADD(policy->rules[direction], policy->n_rules[direction]);

    import->place = direction == INGRESS ? PLACE_INGRESS : PLACE_EGRESS;
    rule->index = (unsigned)policy->n_rules[direction];
    rule->pos = import_pos(import, node);
    if (import_mapping(import, mapping, node, rule))
        check_dns_denied(import, rule);
}

static void import_ingress(struct import *import, const struct key *key, const struct node *value,
                           void *object)
{
    (void)key;
    import_rule(import, value, object, INGRESS);
}

static void import_egress(struct import *import, const struct key *key, const struct node *value,
                          void *object)
{
    (void)key;
    import_rule(import, value, object, EGRESS);
}

/* Rules are shown as "policy direction name": no two may be the same. */
static void check_rule_names(struct import *import, const struct node *rules)
{
    _cleanup_seen_names_ struct seen_name *table = NULL;

    for (size_t i = 0; rules && rules->kind == NODE_LIST && i < rules->n; i++) {
        const struct node *name = mapping_get(rules->items[i], "name");
        const struct seen_name *first;
        struct source_pos pos;
        struct diag *diag;
        char shown[SHOWN_MAX];

        if (!name || name->kind != NODE_SCALAR || node_is_null(name))
            continue;
        pos = import_pos(import, name);
        first = seen_names_add(&table, name->text, &pos);
        if (!first)
            continue;
        diag = report_node(import, CODE_RULE_TWICE, name, "a rule named '%s' stands in this list already",
                           text_shown(name->text, shown));
        diag_other(diag, &first->pos, "it stands here already");
        diag_help(diag, "give each rule a name of its own, or none");
    }
}

/* ---- policies ----------------------------------------------------------------------------------------- */

static void import_version(struct import *import, const struct key *key, const struct node *value,
                           void *object)
{
    struct policy *policy = object;
    char shown[SHOWN_MAX];

    (void)key;
    if (value->kind != NODE_SCALAR || node_is_null(value)) {
        report_type(import, "'version'", "the number 1", value);
        return;
    }
    if (value->plain && strcmp(value->text, "1") == 0) {
        policy->version = 1;
        return;
    }
    diag_help(report_node(import, CODE_VERSION, value, "version '%s'%s of the language is not known",
                          text_shown(value->text, shown), value->plain ? "" : " (a text)"),
              "write version: 1, which is all there is, or leave it out");
}

static void import_select(struct import *import, const struct key *key, const struct node *value,
                          void *object)
{
    struct policy *policy = object;

    (void)key;
    import_selector(import, value, &policy->select);
}

static const char *const mode_words[] = {"enforce", "audit", NULL}; /* in the order of enum policy_mode */

static const struct key policy_keys[] = {
    {.name = "policy",
     .type = KEY_TEXT,
     .form = FORM_NAME,
     .summary = "the policy's name, unique in the whole set",
     .required = true,
     .offset = offsetof(struct policy, name),
     .max = SCALAR_MAX,
     .check = check_policy_name},
    {.name = "version",
     .type = KEY_OTHER,
     .form = FORM_ONE,
     .summary = "of the language: 1",
     .import = import_version},
    {.name = "description",
     .type = KEY_PROSE,
     .summary = "for people",
     .offset = offsetof(struct policy, description),
     .max = DESCRIPTION_MAX},
    {.name = "mode",
     .type = KEY_WORD,
     .summary = "enforce, or audit: staged, changes nothing",
     .offset = offsetof(struct policy, mode),
     .words = mode_words},
    {.name = "reject",
     .type = KEY_BOOL,
     .summary = "true: answer what is denied instead of dropping it",
     .offset = offsetof(struct policy, reject)},
    {.name = "select",
     .type = KEY_OTHER,
     .summary = "the containers that the policy is about",
     .required = true,
     .mapping = &selector_mapping,
     .import = import_select},
    {.name = "ingress",
     .type = KEY_LIST,
     .summary = "who may open a connection to the subject",
     .may_be_empty = true,
     .mapping = &ingress_rule_mapping,
     .import = import_ingress},
    {.name = "egress",
     .type = KEY_LIST,
     .summary = "what the subject may open a connection to",
     .may_be_empty = true,
     .mapping = &egress_rule_mapping,
     .import = import_egress},
};

#define IN_RULE "it belongs in a rule, an item of the list under 'ingress' or 'egress'"
#define IN_SELECT "it belongs under 'select'"
#define IN_EXPECT "it belongs in an 'expect' document: begin one with a line of its own, ---"

static const struct misplaced policy_misplaced[] = {
    {"from", IN_RULE},
    {"to", IN_RULE},
    {"ports", IN_RULE},
    {"deny", IN_RULE},
    {"compose", IN_SELECT},
    {"labels", IN_SELECT},
    {"image", IN_SELECT},
    {"network", IN_SELECT},
    {"all", IN_SELECT},
    {"expect", IN_EXPECT},
    {"allowed", IN_EXPECT},
    {"denied", IN_EXPECT},
    {"name", "the policy's own name is the value of 'policy'; a container's name belongs under 'select'"},
};

const struct mapping policy_mapping = {
    .what = "a policy",
    .id = "policy",
    .keys = policy_keys,
    .n_keys = ARRAY_SIZE(policy_keys),
    .misplaced = policy_misplaced,
    .n_misplaced = ARRAY_SIZE(policy_misplaced),
};

static void check_policy(struct import *import, const struct node *root, const struct policy *policy)
{
    const struct node *reject = mapping_get(root, "reject");

    check_rule_names(import, mapping_get(root, "ingress"));
    check_rule_names(import, mapping_get(root, "egress"));
    if (policy->reject && policy->mode == MODE_AUDIT)
        diag_help(
            report_node(import, CODE_REJECT_AUDIT, reject, "'reject' means nothing in audit mode"),
            "a staged policy denies nothing that could be answered: leave 'reject' out until it is enforced");
}

static void check_unique(struct import *import, const struct node *root, const char *name)
{
    const struct node *node = mapping_get(root, "policy");
    struct source_pos pos = import_pos(import, node);
    const struct seen_name *first = seen_names_add(&import->set->seen, name, &pos);
    struct diag *diag;

    if (!first)
        return;
    diag = report_node(import, CODE_POLICY_TWICE, node, "there is a policy named '%s' already", name);
    diag_other(diag, &first->pos, "it stands here already");
    diag_help(diag, "give each policy a name of its own");
}

/* Only what has no errors gets into the set. */
static bool document_is_bad(const struct import *import)
{
    return import->source->found.n_errors > import->errors_before || import->source->too_many;
}

static void import_policy(struct import *import, const struct node *root)
{
    struct policy policy = {.version = 1, .pos = import_pos(import, root)};

    import_mapping(import, &policy_mapping, root, &policy);
    check_policy(import, root, &policy);
    if (policy.name)
        check_unique(import, root, policy.name);
    if (document_is_bad(import)) {
        policy_clear(&policy);
        return;
    }
    policy_lint(import->source, &policy);
    *ARRAY_ADD(import->set->policies, import->set->n_policies) = policy;
}

/* ---- expectations ------------------------------------------------------------------------------------- */

static void import_expected_from(struct import *import, const struct key *key, const struct node *value,
                                 void *object)
{
    struct expectation *expectation = object;

    import_peers(import, key, value, &expectation->from, &expectation->n_from);
}

static void import_expected_to(struct import *import, const struct key *key, const struct node *value,
                               void *object)
{
    struct expectation *expectation = object;

    import_peers(import, key, value, &expectation->to, &expectation->n_to);
}

static void import_expected_port(struct import *import, const struct key *key, const struct node *value,
                                 void *object)
{
    struct expectation *expectation = object;

    (void)key;
    import_port(import, value, &expectation->ports, &expectation->n_ports);
}

static const struct key expectation_keys[] = {
    {.name = "from",
     .type = KEY_OTHER,
     .form = FORM_EXPECTED_PEERS,
     .summary = "who connects: a peer or a list",
     .required = true,
     .mapping = &peer_mapping,
     .import = import_expected_from},
    {.name = "to",
     .type = KEY_OTHER,
     .form = FORM_EXPECTED_PEERS,
     .summary = "to whom: a peer or a list",
     .required = true,
     .mapping = &peer_mapping,
     .import = import_expected_to},
    {.name = "ports",
     .type = KEY_LIST,
     .form = FORM_PORT,
     .summary = "ports and protocols; any where it is left out",
     .import = import_expected_port},
};

static const struct misplaced expectation_misplaced[] = {
    {"deny", "what must not pass stands under 'denied'"},
    {"name",
     "the document's name is the value of 'expect'; a container's name belongs to a peer: {name: ...}"},
};

const struct mapping expectation_mapping = {
    .what = "an expectation",
    .id = "expectation",
    .keys = expectation_keys,
    .n_keys = ARRAY_SIZE(expectation_keys),
    .misplaced = expectation_misplaced,
    .n_misplaced = ARRAY_SIZE(expectation_misplaced),
};

static void import_expectation(struct import *import, const struct node *node, struct expect *expect,
                               bool allowed)
{
    struct expectation *expectation = ARRAY_ADD(expect->v, expect->n);

    expectation->allowed = allowed;
    expectation->pos = import_pos(import, node);
    import_mapping(import, &expectation_mapping, node, expectation);
}

static void import_allowed(struct import *import, const struct key *key, const struct node *value,
                           void *object)
{
    (void)key;
    import_expectation(import, value, object, true);
}

static void import_denied(struct import *import, const struct key *key, const struct node *value,
                          void *object)
{
    (void)key;
    import_expectation(import, value, object, false);
}

static const struct key expect_keys[] = {
    {.name = "expect",
     .type = KEY_TEXT,
     .summary = "what is expected, in a few words",
     .required = true,
     .offset = offsetof(struct expect, name),
     .max = EXPECT_NAME_MAX},
    {.name = "allowed",
     .type = KEY_LIST,
     .summary = "connections that must be allowed",
     .mapping = &expectation_mapping,
     .import = import_allowed},
    {.name = "denied",
     .type = KEY_LIST,
     .summary = "connections that must be denied",
     .mapping = &expectation_mapping,
     .import = import_denied},
};

#define IN_POLICY "it belongs in a policy: begin one with a line of its own, ---"

static const struct misplaced expect_misplaced[] = {
    {"policy", IN_POLICY},
    {"select", IN_POLICY},
    {"mode", IN_POLICY},
    {"reject", IN_POLICY},
    {"ingress", IN_POLICY},
    {"egress", IN_POLICY},
    {"version", IN_POLICY},
    {"description", IN_POLICY},
    {"from", "it belongs in an item of the list under 'allowed' or 'denied'"},
    {"to", "it belongs in an item of the list under 'allowed' or 'denied'"},
    {"ports", "it belongs in an item of the list under 'allowed' or 'denied'"},
};

const struct mapping expect_mapping = {
    .what = "an 'expect' document",
    .id = "expect",
    .keys = expect_keys,
    .n_keys = ARRAY_SIZE(expect_keys),
    .misplaced = expect_misplaced,
    .n_misplaced = ARRAY_SIZE(expect_misplaced),
};

static void import_expect(struct import *import, const struct node *root)
{
    struct expect expect = {.pos = import_pos(import, root)};

    import->place = PLACE_EXPECT;
    import_mapping(import, &expect_mapping, root, &expect);
    if (!mapping_get(root, "allowed") && !mapping_get(root, "denied"))
        diag_help(report_node(import, CODE_MISSING_KEY, root,
                              "an 'expect' document must have 'allowed' or 'denied'"),
                  "list the connections that must, or must not, be possible");
    if (document_is_bad(import)) {
        expect_clear(&expect);
        return;
    }
    *ARRAY_ADD(import->set->expects, import->set->n_expects) = expect;
}

/* ---- documents ---------------------------------------------------------------------------------------- */

void import_document(struct import *import, const struct node *root)
{
    if (root->kind == NODE_BAD)
        return;
    if (node_is_null(root) || (root->kind == NODE_MAPPING && !root->n)) {
        diag_help(report_node(import, CODE_EMPTY, root, "the document is empty"),
                  "remove it; a '---' begins a document, even at the end of a file");
        return;
    }
    if (root->kind != NODE_MAPPING) {
        diag_help(report_type(import, "a document", "a mapping of keys to values", root),
                  "begin it with 'policy: NAME' or 'expect: TEXT'");
        return;
    }
    if (mapping_get(root, "policy"))
        import_policy(import, root);
    else if (mapping_get(root, "expect") || mapping_get(root, "allowed") || mapping_get(root, "denied"))
        import_expect(import, root);
    else
        import_policy(import, root);
}
