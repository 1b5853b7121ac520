/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Selectors and peers: who is meant. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "schema.h"

#define COMPOSE_MAX 255
#define NAME_GLOB_MAX 255
#define IMAGE_GLOB_MAX 512
#define NETWORK_MAX 255
#define GLOB_CHARACTERS "*?["

/* A peer while it is read: what may stand beside what is known only when all its keys are. */
struct peer_draft {
    struct peer peer;
    const struct node *cidr;
    const struct node **except; /* one for each block that could be read, in the order of peer.except */
    size_t n_except;
};

/* ---- the keys of a selector --------------------------------------------------------------------------- */

static void import_all(struct import *import, const struct key *key, const struct node *value, void *object)
{
    struct selector *selector = object;

    (void)key;
    if (value->kind == NODE_SCALAR && value->plain && strcmp(value->text, "true") == 0) {
        selector->all = true;
        return;
    }
    diag_help(report_node(import, CODE_ALL, value, "'all' can only be true"),
              "write all: true, without quotes, or leave 'all' out");
}

static void import_compose(struct import *import, const struct key *key, const struct node *value,
                           void *object)
{
    struct selector *selector = object;
    const char *text = import_text(import, "'compose'", value, COMPOSE_MAX), *slash;
    char shown[SHOWN_MAX];

    (void)key;
    if (!text)
        return;
    slash = strchr(text, '/');
    if (text[0] == '/' || (slash && (!slash[1] || strchr(slash + 1, '/'))) || strpbrk(text, " \t\n")) {
        diag_help(report_node(import, CODE_COMPOSE, value, "'%s' is no Compose project or service",
                              text_shown(text, shown)),
                  "write project or project/service, such as shop or shop/web");
        return;
    }
    if (strpbrk(text, GLOB_CHARACTERS)) {
        diag_help(report_node(import, CODE_COMPOSE, value, "'compose' is compared exactly: '%s' is no glob",
                              text_shown(text, shown)),
                  "leave the service out for all of a project; for a glob, match the label "
                  "com.docker.compose.service or com.docker.compose.project");
        return;
    }
    free(selector->compose_project);
    free(selector->compose_service);
    selector->compose_project = slash ? xstrndup(text, (size_t)(slash - text)) : xstrdup(text);
    selector->compose_service = slash ? xstrdup(slash + 1) : NULL;
}

static bool check_network(struct import *import, const struct node *value)
{
    if (strpbrk(value->text, GLOB_CHARACTERS))
        diag_help(report_warning(import->source, CODE_EXACT_NAME, &value->pos,
                                 "'network' is compared exactly: this is no glob"),
                  "write the network's whole name");
    return true;
}

static const char *label_value(struct import *import, const char *what, const struct node *node)
{
    if (node->kind == NODE_SCALAR && !node_is_null(node) && !*node->text)
        return node->text; /* "" in quotes: the label is there, and empty */
    if (node->kind == NODE_SCALAR && node->plain && !*node->text) {
        diag_help(report_node(import, CODE_NO_VALUE, node, "%s has no value", what),
                  "write null for 'has no such label', \"*\" for any value, \"\" for an empty one");
        return NULL;
    }
    return import_text(import, what, node, LABEL_VALUE_MAX);
}

static void import_label(struct import *import, const struct pair *pair, struct selector *selector)
{
    char shown[SHOWN_MAX];
    _cleanup_free_ char *what = xasprintf("label '%s'", text_shown(pair->key->text, shown));
    bool absent = node_is_null(pair->value) && *pair->value->text;
    const char *value = NULL;
    struct label_match *label;

    if (strlen(pair->key->text) > LABEL_KEY_MAX) {
        report_node(import, CODE_TEXT_LENGTH, pair->key, "a label's key has at most %d bytes", LABEL_KEY_MAX);
        return;
    }
    if (!absent) {
        value = label_value(import, what, pair->value);
        if (!value || !check_glob(import, pair->value))
            return;
    }
    label = ARRAY_ADD(selector->labels, selector->n_labels);
    label->key = xstrdup(pair->key->text);
    label->value = xstrdup_null(value);
}

static int compare_labels(const void *a, const void *b)
{
    return strcmp(((const struct label_match *)a)->key, ((const struct label_match *)b)->key);
}

static void import_labels(struct import *import, const struct key *key, const struct node *value,
                          void *object)
{
    struct selector *selector = object;

    (void)key;
    if (value->kind != NODE_MAPPING) {
        diag_help(report_type(import, "'labels'", "a mapping of labels to values", value),
                  "write labels: {role: db, tier: \"*\"}");
        return;
    }
    if (!value->n)
        diag_help(report_node(import, CODE_EMPTY_LIST, value, "'labels' is empty"),
                  "leave 'labels' out, or name a label");
    for (size_t i = 0; i < value->n; i++)
        import_label(import, &value->pairs[i], selector);
    if (selector->n_labels)
        qsort(selector->labels, selector->n_labels, sizeof(*selector->labels), compare_labels);
}

static const struct key selector_keys[] = {
    {.name = "compose",
     .type = KEY_OTHER,
     .form = FORM_COMPOSE,
     .summary = "Compose project, or project/service",
     .import = import_compose},
    {.name = "name",
     .type = KEY_TEXT,
     .summary = "container name (glob)",
     .offset = offsetof(struct selector, name),
     .max = NAME_GLOB_MAX,
     .check = check_glob},
    {.name = "labels",
     .type = KEY_OTHER,
     .form = FORM_LABELS,
     .summary = "labels and their values (globs; null: has no such label)",
     .import = import_labels},
    {.name = "image",
     .type = KEY_TEXT,
     .summary = "image reference (glob)",
     .offset = offsetof(struct selector, image),
     .max = IMAGE_GLOB_MAX,
     .check = check_glob},
    {.name = "network",
     .type = KEY_TEXT,
     .summary = "Docker network's name",
     .offset = offsetof(struct selector, network),
     .max = NETWORK_MAX,
     .check = check_network},
    {.name = "all",
     .type = KEY_OTHER,
     .form = FORM_TRUE,
     .summary = "true: every container",
     .import = import_all},
};

static const struct misplaced selector_misplaced[] = {
    {"cidr", "a policy is about containers: addresses can only be peers, under 'from' or 'to'"},
    {"except", "a policy is about containers: addresses can only be peers, under 'from' or 'to'"},
    {"same", "'same' is for peers, under 'from' or 'to': it compares them with the policy's subject"},
    {"ports", "'ports' belongs in a rule, beside 'from' or 'to'"},
    {"mode", "'mode' belongs at the top of the policy"},
    {"service", "write compose: project/service"},
    {"project", "write compose: project"},
};

const struct mapping selector_mapping = {
    .what = "a selector",
    .id = "selector",
    .keys = selector_keys,
    .n_keys = ARRAY_SIZE(selector_keys),
    .misplaced = selector_misplaced,
    .n_misplaced = ARRAY_SIZE(selector_misplaced),
};

static void finish_selector(struct import *import, const struct node *node, struct selector *selector)
{
    selector->pos = import_pos(import, node);
    if (selector->all && (selector->compose_project || selector->name || selector->image ||
                          selector->network || selector->n_labels))
        diag_help(report_warning(import->source, CODE_ALL_BESIDE, &selector->pos,
                                 "'all' adds nothing here: the other keys must match all the same"),
                  "leave 'all' out");
}

void import_selector(struct import *import, const struct node *node, struct selector *selector)
{
    if (node_is_null(node) || (node->kind == NODE_MAPPING && !node->n)) {
        diag_help(report_node(import, CODE_EMPTY_SELECT, node, "'select' names no container"),
                  "name some, such as compose: shop/db, or write all: true for every container");
        return;
    }
    if (import_mapping(import, &selector_mapping, node, selector))
        finish_selector(import, node, selector);
}

/* ---- peers -------------------------------------------------------------------------------------------- */

static void keep_cidr(struct import *import, const struct key *key, const struct node *value, void *object)
{
    struct peer_draft *draft = object;

    (void)key;
    if (import_cidr(import, value, &draft->peer.cidr))
        draft->cidr = value;
}

static void add_except(struct import *import, const struct key *key, const struct node *value, void *object)
{
    struct peer_draft *draft = object;
    struct cidr cidr;

    (void)key;
    if (!import_cidr(import, value, &cidr))
        return;
    *ARRAY_ADD(draft->peer.except, draft->peer.n_except) = cidr;
    *ARRAY_ADD(draft->except, draft->n_except) = value;
}

static const struct key peer_keys[] = {
    {.name = "same",
     .type = KEY_TEXT,
     .summary = "a label: containers with the subject's own value of it",
     .offset = offsetof(struct peer_draft, peer.same),
     .max = LABEL_KEY_MAX},
    {.name = "cidr",
     .type = KEY_OTHER,
     .form = FORM_CIDR,
     .summary = "addresses outside the containers and the host",
     .import = keep_cidr},
    {.name = "except",
     .type = KEY_LIST,
     .form = FORM_CIDR,
     .summary = "blocks within cidr that are not meant",
     .import = add_except},
};

static const struct misplaced peer_misplaced[] = {
    {"ports", "'ports' belongs in the rule, beside 'from' or 'to', not in one of its peers"},
    {"deny", "'deny' belongs in the rule, beside 'from' or 'to', not in one of its peers"},
    {"from", "peers are not nested: list them one beside the other"},
    {"to", "peers are not nested: list them one beside the other"},
    {"host", "write the word host as an item of its own"},
    {"any", "write the word any as an item of its own"},
    {"internet", "write the word internet as an item of its own"},
    {"outside", "write the word outside as an item of its own"},
    {"containers", "write the word containers as an item of its own"},
    {"dns", "write the word dns as an item of its own"},
    {"service", "write compose: project/service"},
    {"project", "write compose: project"},
    {"ip", "write cidr: with an address or a block"},
};

const struct mapping peer_mapping = {
    .what = "a peer",
    .id = "peer",
    .base = &selector_mapping,
    .base_offset = offsetof(struct peer_draft, peer.selector),
    .keys = peer_keys,
    .n_keys = ARRAY_SIZE(peer_keys),
    .misplaced = peer_misplaced,
    .n_misplaced = ARRAY_SIZE(peer_misplaced),
};

const char *const peer_words[] = {"any", "internet", "outside", "host", "containers", "dns", NULL};
static const enum peer_kind peer_word_kinds[] = {PEER_ANY,  PEER_INTERNET,   PEER_OUTSIDE,
                                                 PEER_HOST, PEER_CONTAINERS, PEER_DNS};

/* Words of others for what we call otherwise. */
static const struct {
    const char *word, *ours;
} peer_synonyms[] = {
    {"all", "any"},
    {"everyone", "any"},
    {"*", "any"},
    {"localhost", "host"},
    {"world", "outside"},
    {"external", "outside"},
    {"container", "containers"},
    {"nameserver", "dns"},
};

static void help_with_peer(struct diag *diag, const char *word)
{
    const char *meant = nearest_word(word, peer_words);
    char shown[SHOWN_MAX], text[CIDR_TEXT_MAX];
    struct cidr cidr;
    int r;

    for (size_t i = 0; i < ARRAY_SIZE(peer_synonyms); i++)
        if (strcmp(word, peer_synonyms[i].word) == 0)
            meant = peer_synonyms[i].ours;
    text_shown(word, shown);
    r = cidr_parse(word, &cidr);
    if (meant)
        diag_help(diag, "did you mean '%s'?", meant);
    else if (r == 0 || r == -EDOM)
        diag_help(diag, "write cidr: %s", cidr_format(&cidr, text));
    else if (strchr(word, '/'))
        diag_help(diag, "for a Compose service write compose: %s", shown);
    else
        diag_help(
            diag,
            "the words are any, internet, outside, host, containers, dns; for a container write name: %s",
            shown);
}

/* Says why a peer of this kind makes no sense in this place, if so. */
static bool check_place(struct import *import, const struct node *node, enum peer_kind kind)
{
    if (kind == PEER_DNS && import->place == PLACE_INGRESS) {
        diag_help(report_node(import, CODE_DNS, node, "'dns' means nothing under 'ingress'"),
                  "name servers do not open connections: replies pass by themselves");
        return false;
    }
    if (kind == PEER_DNS && import->place == PLACE_EXPECT) {
        diag_help(report_node(import, CODE_DNS, node,
                              "'dns' cannot be expected: it differs from container to container"),
                  "name the servers with 'cidr', and ports: [53/udp, 53/tcp]");
        return false;
    }
    if (kind == PEER_SAME && import->place == PLACE_EXPECT) {
        diag_help(report_node(import, CODE_MISPLACED_KEY, node, "'same' means nothing in an expectation"),
                  "there is no subject to compare with: name the containers");
        return false;
    }
    return true;
}

static bool import_peer_word(struct import *import, const struct node *node, struct peer *peer)
{
    const char *word = import_text(import, "a peer", node, SCALAR_MAX);
    char shown[SHOWN_MAX];

    if (!word)
        return false;
    for (size_t i = 0; peer_words[i]; i++) {
        if (strcmp(word, peer_words[i]) != 0)
            continue;
        peer->kind = peer_word_kinds[i];
        return check_place(import, node, peer->kind);
    }
    help_with_peer(report_node(import, CODE_PEER, node, "'%s' is no peer", text_shown(word, shown)), word);
    return false;
}

static bool check_except(struct import *import, const struct peer_draft *draft)
{
    const struct cidr *block = &draft->peer.cidr;
    char text[CIDR_TEXT_MAX], shown[SHOWN_MAX];
    bool good = true;

    for (size_t i = 0; draft->cidr && i < draft->n_except; i++) {
        const struct cidr *hole = &draft->peer.except[i];
        const struct node *node = draft->except[i];

        cidr_format(block, text);
        text_shown(node->text, shown);
        if (!cidr_within(hole, block))
            diag_help(report_node(import, CODE_EXCEPT, node, "exception '%s' is not within %s", shown, text),
                      "an exception takes away from its own 'cidr' only");
        else if (hole->len == block->len)
            diag_help(
                report_node(import, CODE_EXCEPT, node, "exception '%s' leaves nothing of %s", shown, text),
                "leave the peer out");
        else
            continue;
        good = false;
    }
    return good;
}

static int compare_blocks(const void *a, const void *b)
{
    const struct cidr *x = a, *y = b;
    int r = ip_compare(&x->net, &y->net);

    return r ? r : (int)x->len - (int)y->len;
}

static const struct node *key_node(const struct node *mapping, const char *name)
{
    for (size_t i = 0; i < mapping->n; i++)
        if (strcmp(mapping->pairs[i].key->text, name) == 0)
            return mapping->pairs[i].key;
    return NULL;
}

static bool has_selector_key(const struct node *node)
{
    for (size_t i = 0; i < ARRAY_SIZE(selector_keys); i++)
        if (mapping_get(node, selector_keys[i].name))
            return true;
    return false;
}

/* Containers, containers compared with the subject, addresses: a peer is one of the three. */
static bool decide_kind(struct import *import, const struct node *node, struct peer *peer)
{
    const struct node *cidr = key_node(node, "cidr"), *same = key_node(node, "same"),
                      *except = key_node(node, "except");
    bool selects = has_selector_key(node);

    if (except && !cidr) {
        diag_help(report_node(import, CODE_MISPLACED_KEY, except, "'except' means nothing without 'cidr'"),
                  "a rule with deny: true keeps containers out");
        return false;
    }
    if ((cidr && selects) || (same && selects) || (cidr && same)) {
        diag_help(report_node(import, CODE_CONFLICT, cidr ? cidr : same,
                              "'%s' cannot stand beside other keys of a peer", cidr ? "cidr" : "same"),
                  cidr ? "addresses and containers are two peers: make them two items of the list"
                       : "make it an item of its own");
        return false;
    }
    peer->kind = cidr ? PEER_CIDR : same ? PEER_SAME : PEER_SELECTOR;
    return check_place(import, peer->kind == PEER_SAME ? same : node, peer->kind);
}

static bool import_peer_mapping(struct import *import, const struct node *node, struct peer *peer)
{
    struct peer_draft draft = {0};
    bool good;

    if (!node->n) {
        diag_help(report_node(import, CODE_EMPTY_SELECT, node, "a peer without keys is nobody"),
                  "leave 'from' or 'to' out for any peer at all; write containers for every container");
        return false;
    }
    good = import_mapping(import, &peer_mapping, node, &draft);
    good = check_except(import, &draft) && good;
    good = decide_kind(import, node, &draft.peer) && good;
    if (draft.peer.n_except)
        qsort(draft.peer.except, draft.peer.n_except, sizeof(*draft.peer.except), compare_blocks);
    if (good && draft.peer.kind == PEER_SELECTOR)
        finish_selector(import, node, &draft.peer.selector);
    free(draft.except);
    if (good)
        *peer = draft.peer;
    else
        peer_clear(&draft.peer);
    return good;
}

void import_peer(struct import *import, const struct node *node, struct peer **peers, size_t *n)
{
    struct peer peer = {0};
    bool good;

    if (node->kind == NODE_BAD)
        return;
    if (node->kind == NODE_LIST) {
        diag_help(report_type(import, "a peer", "a word or a mapping", node),
                  "lists of peers are not nested");
        return;
    }
    good = node->kind == NODE_MAPPING ? import_peer_mapping(import, node, &peer)
                                      : import_peer_word(import, node, &peer);
    if (!good)
        return;
    peer.pos = import_pos(import, node);
    *ARRAY_ADD(*peers, *n) = peer;
}

void import_peers(struct import *import, const struct key *key, const struct node *value, struct peer **peers,
                  size_t *n)
{
    if (value->kind != NODE_LIST) {
        import_peer(import, value, peers, n);
        return;
    }
    if (!value->n)
        diag_help(report_node(import, CODE_EMPTY_LIST, value, "'%s' is an empty list", key->name),
                  "name at least one peer");
    for (size_t i = 0; i < value->n; i++)
        import_peer(import, value->items[i], peers, n);
}
