/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "policy/json_schema.h"

#include <stdio.h>
#include <string.h>

#include "policy/parse.h"
#include "schema.h"

#define DRAFT "https://json-schema.org/draft/2020-12/schema"

/* What must have this form if it is a text. A plain number or truth value is one as well, to the parser. */
#define NAME_PATTERN "[a-z0-9]([-a-z0-9.]*[a-z0-9])?$"
#define COMPOSE_PART "[^/ \\t\\n*?\\[]+"
#define PORT_NUMBER "([1-9][0-9]{0,3}|[1-5][0-9]{4}|6[0-4][0-9]{3}|65[0-4][0-9]{2}|655[0-2][0-9]|6553[0-5])"
#define CIDR_PATTERN "^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*)(/[0-9]{1,3})?$"

static json_t *reference(const char *name)
{
    return json_pack("{s:o}", "$ref", json_sprintf("#/$defs/%s", name));
}

/* ---- values ------------------------------------------------------------------------------------------- */

static json_t *text_schema(size_t max, const char *pattern)
{
    json_t *schema = json_pack("{s:[s,s,s], s:i}", "type", "string", "number", "boolean", "minLength", 1);

    if (max)
        json_object_set_new(schema, "maxLength", json_integer((json_int_t)max));
    if (pattern)
        json_object_set_new(schema, "pattern", json_string(pattern));
    return schema;
}

static json_t *words_schema(const char *const *words)
{
    json_t *list = json_array();

    for (; *words; words++)
        json_array_append_new(list, json_string(*words));
    return json_pack("{s:o}", "enum", list);
}

/* Each protocol and ICMP type by its name, for editors that complete words; then every port. */
static json_t *port_schema(void)
{
    json_t *words = json_array(), *numbers;
    _cleanup_free_ char *protocols = xstrdup("");

    for (size_t i = 0; protocol_words[i]; i++) {
        char *longer = xasprintf("%s%s%s", protocols, i ? "|" : "", protocol_words[i]);

        free(protocols);
        protocols = longer;
        json_array_append_new(words, json_string(protocol_words[i]));
    }
    json_array_append_new(words, json_string("icmp"));
    for (size_t i = 0; icmp_type_name(i); i++)
        json_array_append_new(words, json_sprintf("icmp/%s", icmp_type_name(i)));
    numbers = json_pack("{s:s, s:o}", "type", "string", "pattern",
                        json_sprintf("^" PORT_NUMBER "(-" PORT_NUMBER ")?/(%s)$", protocols));
    return json_pack("{s:s, s:[{s:o},o]}", "description",
                     "5432/tcp, 9000-9010/udp, tcp, icmp, icmp/echo-request", "anyOf", "enum", words,
                     numbers);
}

static json_t *labels_schema(void)
{
    return json_pack("{s:s, s:i, s:{s:i}, s:{s:[s,s,s,s]}}", "type", "object", "minProperties", 1,
                     "propertyNames", "minLength", 1, "additionalProperties", "type", "string", "number",
                     "boolean", "null");
}

/* A word or a mapping. Name servers are peers under egress alone; an expectation has no subject for `same`. */
static json_t *peer_schema(bool dns, bool same)
{
    json_t *words = json_array(), *mapping = reference("peer");

    for (size_t i = 0; peer_words[i]; i++)
        if (dns || strcmp(peer_words[i], "dns") != 0)
            json_array_append_new(words, json_string(peer_words[i]));
    if (!same)
        mapping = json_pack("{s:[o,{s:{s:[s]}}]}", "allOf", mapping, "not", "required", "same");
    return json_pack("{s:[{s:o},o]}", "anyOf", "enum", words, mapping);
}

static json_t *list_schema(json_t *items, bool may_be_empty)
{
    json_t *schema =
        json_pack("{s:o, s:o}", "type",
                  may_be_empty ? json_pack("[s,s]", "array", "null") : json_string("array"), "items", items);

    if (!may_be_empty)
        json_object_set_new(schema, "minItems", json_integer(1));
    return schema;
}

/* The value, or an item of the list, as the key's form says; NULL when it says nothing. */
static json_t *form_schema(const struct key *key)
{
    switch (key->form) {
    case FORM_ANY:
        return key->mapping ? reference(key->mapping->id) : NULL;
    case FORM_NAME:
        return text_schema(63, "^" NAME_PATTERN);
    case FORM_RULE_NAME:
        return text_schema(63, "^(?![0-9]+$)" NAME_PATTERN);
    case FORM_ONE:
        return json_pack("{s:i}", "const", 1);
    case FORM_TRUE:
        return json_pack("{s:b}", "const", 1);
    case FORM_COMPOSE:
        return text_schema(0, "^" COMPOSE_PART "(/" COMPOSE_PART ")?$");
    case FORM_LABELS:
        return labels_schema();
    case FORM_CIDR:
        return json_pack("{s:s, s:s}", "type", "string", "pattern", CIDR_PATTERN);
    case FORM_PORT:
        return reference("port");
    case FORM_INGRESS_PEER:
        return reference("ingress-peer");
    case FORM_EGRESS_PEER:
        return reference("egress-peer");
    case FORM_EXPECTED_PEERS:
        return json_pack("{s:[o,o]}", "anyOf", reference("expected-peer"),
                         list_schema(reference("expected-peer"), false));
    }
    return NULL;
}

static json_t *value_schema(const struct key *key)
{
    json_t *form = form_schema(key);

    switch (key->type) {
    case KEY_TEXT:
        return form ?: text_schema(key->max, "^[^\\n\\t]*$");
    case KEY_PROSE:
        return form ?: text_schema(key->max, NULL);
    case KEY_BOOL:
        return json_pack("{s:s}", "type", "boolean");
    case KEY_NUMBER:
        return json_pack("{s:s, s:I, s:I}", "type", "integer", "minimum", (json_int_t)key->min, "maximum",
                         (json_int_t)key->max);
    case KEY_WORD:
        return words_schema(key->words);
    case KEY_LIST:
        return list_schema(form ?: json_object(), key->may_be_empty);
    case KEY_MAPPING:
    case KEY_OTHER:
        return form ?: json_object();
    }
    return form;
}

/* ---- mappings ----------------------------------------------------------------------------------------- */

static void add_keys(const struct mapping *mapping, json_t *properties, json_t *required)
{
    if (mapping->base)
        add_keys(mapping->base, properties, required);
    for (size_t i = 0; i < mapping->n_keys; i++) {
        const struct key *key = &mapping->keys[i];
        json_t *schema = json_pack("{s:s}", "description", key->summary), *value = value_schema(key);

        json_object_update(schema, value);
        json_decref(value);
        json_object_set_new(properties, key->name, schema);
        if (key->required)
            json_array_append_new(required, json_string(key->name));
    }
}

static json_t *mapping_schema(const struct mapping *mapping)
{
    json_t *properties = json_object(), *required = json_array();
    json_t *schema = json_pack("{s:s, s:s}", "title", mapping->what, "type", "object");

    add_keys(mapping, properties, required);
    json_object_set_new(schema, "properties", properties);
    if (json_array_size(required))
        json_object_set(schema, "required", required);
    json_decref(required);
    json_object_set_new(schema, "additionalProperties", json_false());
    return schema;
}

/* ---- what holds between keys --------------------------------------------------------------------------- */

static json_t *requires(const char *key)
{
    return json_pack("{s:[s]}", "required", key);
}

/* A selector, or a peer, without keys is nobody. */
static void constrain_selector(json_t *schema)
{
    json_object_set_new(schema, "minProperties", json_integer(1));
}

/* Addresses, containers, containers compared with the subject: a peer is one of the three. */
static void constrain_peer(json_t *schema)
{
    constrain_selector(schema);
    json_object_set_new(schema, "dependentRequired", json_pack("{s:[s]}", "except", "cidr"));
    json_object_set_new(schema, "dependentSchemas",
                        json_pack("{s:{s:{s:[s,s]}}, s:{s:{s:[s]}}}", "cidr", "propertyNames", "enum", "cidr",
                                  "except", "same", "propertyNames", "enum", "same"));
}

/* What is only staged denies nothing that could be answered. */
static void constrain_policy(json_t *schema)
{
    json_object_set_new(
        schema, "if",
        json_pack("{s:{s:{s:s}}, s:[s]}", "properties", "mode", "const", "audit", "required", "mode"));
    json_object_set_new(schema, "then", json_pack("{s:{s:{s:b}}}", "properties", "reject", "const", 0));
}

/* Lookups cannot be denied. */
static void constrain_egress_rule(json_t *schema)
{
    json_object_set_new(
        schema, "if",
        json_pack("{s:{s:{s:b}}, s:[s]}", "properties", "deny", "const", 1, "required", "deny"));
    json_object_set_new(
        schema, "then",
        json_pack("{s:{s:{s:{s:{s:s}}}}}", "properties", "to", "items", "not", "const", "dns"));
}

static void constrain_expect(json_t *schema)
{
    json_object_set_new(schema, "anyOf", json_pack("[o,o]", requires("allowed"), requires("denied")));
}

/* ---- the whole ---------------------------------------------------------------------------------------- */

static json_t *definitions(void)
{
    static const struct {
        const struct mapping *mapping;
        void (*constrain)(json_t *schema); /* may be NULL */
    } mappings[] = {
        {&policy_mapping, constrain_policy}, {&selector_mapping, constrain_selector},
        {&ingress_rule_mapping, NULL},       {&egress_rule_mapping, constrain_egress_rule},
        {&peer_mapping, constrain_peer},     {&expect_mapping, constrain_expect},
        {&expectation_mapping, NULL},
    };
    json_t *list = json_object();

    for (size_t i = 0; i < ARRAY_SIZE(mappings); i++) {
        json_t *schema = mapping_schema(mappings[i].mapping);

        if (mappings[i].constrain)
            mappings[i].constrain(schema);
        json_object_set_new(list, mappings[i].mapping->id, schema);
    }
    json_object_set_new(list, "ingress-peer", peer_schema(false, true));
    json_object_set_new(list, "egress-peer", peer_schema(true, true));
    json_object_set_new(list, "expected-peer", peer_schema(false, false));
    json_object_set_new(list, "port", port_schema());
    return list;
}

json_t *policy_json_schema(void)
{
    json_t *schema =
        json_pack("{s:s, s:s, s:s, s:s}", "$schema", DRAFT, "title", "Cofferdam policies", "description",
                  "One document of a policy file: a policy, or what is expected of all of them. "
                  "See cofferdam-policy(5).",
                  "type", "object");

    /* As the parser tells them apart. */
    json_object_set_new(schema, "if",
                        json_pack("{s:[o,o,o], s:o}", "anyOf", requires("expect"), requires("allowed"),
                                  requires("denied"), "not", requires("policy")));
    json_object_set_new(schema, "then", reference(expect_mapping.id));
    json_object_set_new(schema, "else", reference(policy_mapping.id));
    json_object_set_new(schema, "$defs", definitions());
    return schema;
}
