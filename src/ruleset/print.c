// SPDX-License-Identifier: GPL-2.0-or-later
#include "ruleset/print.h"

#include <inttypes.h>
#include <string.h>

#include "util/mem.h"

static const char *field_name(enum field field)
{
    switch (field) {
    case FIELD_IIF:
        return "iif";
    case FIELD_IIFNAME:
        return "iifname";
    case FIELD_OIFNAME:
        return "oifname";
    case FIELD_ETHER_SADDR:
        return "ether saddr";
    case FIELD_ETHER_DADDR:
        return "ether daddr";
    case FIELD_ETHER_TYPE:
        return "ether type";
    case FIELD_ARP_HTYPE:
        return "arp htype";
    case FIELD_ARP_PTYPE:
        return "arp ptype";
    case FIELD_ARP_HLEN:
        return "arp hlen";
    case FIELD_ARP_PLEN:
        return "arp plen";
    case FIELD_ARP_OPERATION:
        return "arp operation";
    case FIELD_ARP_SADDR_ETHER:
        return "arp saddr ether";
    case FIELD_ARP_SADDR_IP:
        return "arp saddr ip";
    case FIELD_IP_SADDR:
        return "ip saddr";
    case FIELD_IP_DADDR:
        return "ip daddr";
    case FIELD_IP6_SADDR:
        return "ip6 saddr";
    case FIELD_IP6_DADDR:
        return "ip6 daddr";
    case FIELD_IP6_LENGTH:
        return "ip6 length";
    case FIELD_IP6_NEXTHDR:
        return "ip6 nexthdr";
    case FIELD_IP6_HOPLIMIT:
        return "ip6 hoplimit";
    case FIELD_NFPROTO:
        return "meta nfproto";
    case FIELD_L4PROTO:
        return "meta l4proto";
    case FIELD_TCP_DPORT:
        return "tcp dport";
    case FIELD_UDP_SPORT:
        return "udp sport";
    case FIELD_UDP_DPORT:
        return "udp dport";
    case FIELD_SCTP_DPORT:
        return "sctp dport";
    case FIELD_ICMP_TYPE:
        return "icmp type";
    case FIELD_ICMPV6_TYPE:
        return "icmpv6 type";
    case FIELD_IGMP_TYPE:
        return "igmp type";
    case FIELD_TH_SPORT:
        return "th sport";
    case FIELD_TH_DPORT:
        return "th dport";
    case FIELD_CT_ORIGINAL_IP_SADDR:
        return "ct original ip saddr";
    case FIELD_CT_ORIGINAL_IP6_SADDR:
        return "ct original ip6 saddr";
    case FIELD_CT_ORIGINAL_IP_DADDR:
        return "ct original ip daddr";
    case FIELD_CT_ORIGINAL_IP6_DADDR:
        return "ct original ip6 daddr";
    case FIELD_CT_REPLY_IP_SADDR:
        return "ct reply ip saddr";
    case FIELD_CT_REPLY_IP6_SADDR:
        return "ct reply ip6 saddr";
    case FIELD_ND_TARGET:
        return key_type_name(KEY_ND_TARGET);
    case FIELD_ND_OPTION:
        return "@nh,512,16";
    case FIELD_ND_OPTION_MAC:
        return key_type_name(KEY_ND_OPTION_MAC);
    case FIELDS:
        break;
    }
    return "?";
}

struct symbol {
    uint32_t value;
    const char *name;
};

/* The symbols that nft 1.0.6 prints for single values; ranges are printed as numbers. */
static const struct symbol ether_types[] = {{0x0800, "ip"}, {0x0806, "arp"}, {0x86dd, "ip6"}};
static const struct symbol families[] = {{2, "ipv4"}, {10, "ipv6"}};
static const struct symbol protocols[] = {
    {0, "ip"},         {1, "icmp"},  {2, "igmp"},        {6, "tcp"},    {17, "udp"},
    {33, "dccp"},      {50, "esp"},  {43, "ipv6-route"}, {51, "ah"},    {58, "ipv6-icmp"},
    {60, "ipv6-opts"}, {103, "pim"}, {108, "comp"},      {132, "sctp"}, {136, "udplite"},
};
static const struct symbol icmp_types[] = {
    {0, "echo-reply"},           {3, "destination-unreachable"},
    {4, "source-quench"},        {5, "redirect"},
    {8, "echo-request"},         {9, "router-advertisement"},
    {10, "router-solicitation"}, {11, "time-exceeded"},
    {12, "parameter-problem"},   {13, "timestamp-request"},
    {14, "timestamp-reply"},     {15, "info-request"},
    {16, "info-reply"},          {17, "address-mask-request"},
    {18, "address-mask-reply"},
};
static const struct symbol icmpv6_types[] = {
    {1, "destination-unreachable"}, {2, "packet-too-big"},        {3, "time-exceeded"},
    {4, "parameter-problem"},       {128, "echo-request"},        {129, "echo-reply"},
    {130, "mld-listener-query"},    {131, "mld-listener-report"}, {132, "mld-listener-done"},
    {133, "nd-router-solicit"},     {134, "nd-router-advert"},    {135, "nd-neighbor-solicit"},
    {136, "nd-neighbor-advert"},    {137, "nd-redirect"},         {138, "router-renumbering"},
    {141, "ind-neighbor-solicit"},  {142, "ind-neighbor-advert"}, {143, "mld2-listener-report"},
};

static const struct symbol arp_operations[] = {
    {1, "request"},
    {2, "reply"},
};
static const struct symbol igmp_types[] = {
    {0x11, "membership-query"}, {0x12, "membership-report-v1"}, {0x16, "membership-report-v2"},
    {0x17, "leave-group"},      {0x22, "membership-report-v3"},
};

static void print_symbol(const struct symbol *symbols, size_t n, uint32_t value, FILE *out)
{
    for (size_t i = 0; i < n; i++) {
        if (symbols[i].value == value) {
            fputs(symbols[i].name, out);
            return;
        }
    }
    fprintf(out, "%u", value);
}

static void print_value(enum field field, uint32_t value, FILE *out)
{
    switch (field) {
    case FIELD_ETHER_TYPE:
    case FIELD_ARP_PTYPE:
        print_symbol(ether_types, ARRAY_SIZE(ether_types), value, out);
        break;
    case FIELD_NFPROTO:
        print_symbol(families, ARRAY_SIZE(families), value, out);
        break;
    case FIELD_L4PROTO:
    case FIELD_IP6_NEXTHDR:
        print_symbol(protocols, ARRAY_SIZE(protocols), value, out);
        break;
    case FIELD_ICMP_TYPE:
        print_symbol(icmp_types, ARRAY_SIZE(icmp_types), value, out);
        break;
    case FIELD_ICMPV6_TYPE:
        print_symbol(icmpv6_types, ARRAY_SIZE(icmpv6_types), value, out);
        break;
    case FIELD_IGMP_TYPE:
        print_symbol(igmp_types, ARRAY_SIZE(igmp_types), value, out);
        break;
    case FIELD_ARP_OPERATION:
        print_symbol(arp_operations, ARRAY_SIZE(arp_operations), value, out);
        break;
    case FIELD_ND_OPTION:
        fprintf(out, "0x%x", value);
        break;
    case FIELD_ARP_HTYPE:
    case FIELD_ARP_HLEN:
    case FIELD_ARP_PLEN:
    case FIELD_IP6_LENGTH:
    case FIELD_IP6_HOPLIMIT:
    case FIELD_TCP_DPORT:
    case FIELD_UDP_SPORT:
    case FIELD_UDP_DPORT:
    case FIELD_SCTP_DPORT:
    case FIELD_TH_SPORT:
    case FIELD_TH_DPORT:
    case FIELD_IIF:
    case FIELD_IIFNAME:
    case FIELD_OIFNAME:
    case FIELD_ETHER_SADDR:
    case FIELD_ETHER_DADDR:
    case FIELD_ARP_SADDR_ETHER:
    case FIELD_ARP_SADDR_IP:
    case FIELD_IP_SADDR:
    case FIELD_IP_DADDR:
    case FIELD_IP6_SADDR:
    case FIELD_IP6_DADDR:
    case FIELD_CT_ORIGINAL_IP_SADDR:
    case FIELD_CT_ORIGINAL_IP6_SADDR:
    case FIELD_CT_ORIGINAL_IP_DADDR:
    case FIELD_CT_ORIGINAL_IP6_DADDR:
    case FIELD_CT_REPLY_IP_SADDR:
    case FIELD_CT_REPLY_IP6_SADDR:
    case FIELD_ND_TARGET:
    case FIELD_ND_OPTION_MAC:
    case FIELDS:
        fprintf(out, "%u", value);
        break;
    }
}

static void print_ct_states(unsigned states, FILE *out)
{
    /* nft lists them in the order of its own symbol table. */
    static const struct symbol names[] = {{CT_INVALID, "invalid"},
                                          {CT_ESTABLISHED, "established"},
                                          {CT_RELATED, "related"},
                                          {CT_NEW, "new"},
                                          {CT_UNTRACKED, "untracked"}};
    const char *separator = "";

    for (size_t i = 0; i < ARRAY_SIZE(names); i++) {
        if (!(states & names[i].value))
            continue;
        fprintf(out, "%s%s", separator, names[i].name);
        separator = ",";
    }
}

static void print_fields(const struct match *match, FILE *out)
{
    for (size_t i = 0; i < match->n_fields; i++)
        fprintf(out, "%s%s", i ? " . " : "", field_name(match->fields[i]));
}

/* A mask of the highest bit alone is a prefix to nft. */
static void print_mark(const struct match *match, FILE *out)
{
    if (match->mark == 0x80000000)
        fputs("meta mark != 0x00000000/1", out);
    else
        fprintf(out, "meta mark & 0x%08x != 0x00000000", match->mark);
}

static void print_match(const struct match *match, FILE *out)
{
    char text[CIDR_TEXT_MAX];

    switch (match->kind) {
    case MATCH_VALUE:
        print_fields(match, out);
        fputs(match->negate ? " != " : " ", out);
        print_value(match->fields[0], match->first, out);
        break;
    case MATCH_RANGE:
        print_fields(match, out);
        fprintf(out, " %u-%u", match->first, match->last);
        break;
    case MATCH_PREFIX:
        print_fields(match, out);
        fprintf(out, " %s", cidr_format(&match->prefix, text));
        break;
    case MATCH_SET:
        print_fields(match, out);
        fprintf(out, "%s@%s", match->negate ? " != " : " ", match->set);
        break;
    case MATCH_CT_STATE:
        fputs("ct state ", out);
        print_ct_states(match->ct_states, out);
        break;
    case MATCH_NOT_SYN:
        fputs("tcp flags != syn / fin,syn,rst,ack", out);
        break;
    case MATCH_OPTIONS:
        fputs("ip hdrlength != 5", out);
        break;
    case MATCH_MARK:
        print_mark(match, out);
        break;
    case MATCH_UPDATE:
        fprintf(out, "update @%s { ", match->set);
        print_fields(match, out);
        fputs(" }", out);
        break;
    }
    fputc(' ', out);
}

static void print_verdict(enum table_verdict verdict, const char *target, FILE *out)
{
    switch (verdict) {
    case V_NONE:
        break;
    case V_ACCEPT:
        fputs("accept", out);
        break;
    case V_DROP:
        fputs("drop", out);
        break;
    case V_RETURN:
        fputs("return", out);
        break;
    case V_JUMP:
        fprintf(out, "jump %s", target);
        break;
    case V_GOTO:
        fprintf(out, "goto %s", target);
        break;
    case V_REJECT_TCP_RESET:
        fputs("reject with tcp reset", out);
        break;
    case V_REJECT_ADMIN:
        fputs("reject with icmpx admin-prohibited", out);
        break;
    }
}

static void print_mark_change(const struct rule_stmt *rule, FILE *out)
{
    switch (rule->mark_change) {
    case MARK_KEEP:
        break;
    case MARK_SET:
        fprintf(out, "meta mark set meta mark | 0x%08x", rule->mark);
        break;
    case MARK_CLEAR:
        fprintf(out, "meta mark set meta mark & 0x%08x", ~rule->mark);
        break;
    }
}

static void print_counter(const struct rule_stmt *rule, bool last, bool counted, FILE *out)
{
    fputs("counter", out);
    if (counted)
        fprintf(out, " packets %" PRIu64 " bytes %" PRIu64, rule->packets, rule->bytes);
    if (!last || rule->mark_change != MARK_KEEP)
        fputc(' ', out);
}

static void print_rule(const struct rule_stmt *rule, bool counted, FILE *out)
{
    bool last = rule->verdict == V_NONE && !rule->vmap && !rule->log_prefix;

    if (rule->foreign) {
        fprintf(out, "# foreign: %s", rule->foreign);
        return;
    }
    for (size_t i = 0; i < rule->n_matches; i++)
        print_match(&rule->matches[i], out);
    if (rule->counter)
        print_counter(rule, last, counted, out);
    print_mark_change(rule, out);
    if (rule->mark_change != MARK_KEEP && !last)
        fputc(' ', out);
    if (rule->log_prefix)
        fprintf(out, "log prefix \"%s\" group %u", rule->log_prefix, rule->log_group);
    if (rule->vmap)
        fprintf(out, "%s vmap @%s", field_name(rule->vmap_field), rule->vmap);
    else
        print_verdict(rule->verdict, rule->target, out);
    if (rule->comment)
        fprintf(out, " comment \"%s\"", rule->comment);
}

void rule_print(const struct rule_stmt *rule, FILE *out)
{
    print_rule(rule, false, out);
}

void rule_print_counted(const struct rule_stmt *rule, FILE *out)
{
    print_rule(rule, true, out);
}

/* As a number without leading zeros. */
static void print_raw(const uint8_t *bytes, size_t len, FILE *out)
{
    for (; len > 1 && !*bytes; len--)
        bytes++;
    fprintf(out, "0x%x", *bytes);
    while (--len > 0)
        fprintf(out, "%02x", *++bytes);
}

static void print_key_field(enum key_type type, const uint8_t *bytes, FILE *out)
{
    char text[IP_TEXT_MAX];
    struct mac mac;

    switch (type) {
    case KEY_IFNAME:
        fprintf(out, "\"%.16s\"", (const char *)bytes);
        break;
    case KEY_ETHER_ADDR:
        memcpy(mac.bytes, bytes, sizeof(mac.bytes));
        fputs(mac_format(&mac, text), out);
        break;
    case KEY_IPV4_ADDR:
        fputs(ip_format(ip_from_bytes(IP4, bytes), text), out);
        break;
    case KEY_IPV6_ADDR:
        fputs(ip_format(ip_from_bytes(IP6, bytes), text), out);
        break;
    case KEY_ICMP_TYPE:
        print_symbol(icmp_types, ARRAY_SIZE(icmp_types), *bytes, out);
        break;
    case KEY_ICMPV6_TYPE:
        print_symbol(icmpv6_types, ARRAY_SIZE(icmpv6_types), *bytes, out);
        break;
    case KEY_INET_PROTO:
        print_symbol(protocols, ARRAY_SIZE(protocols), *bytes, out);
        break;
    case KEY_INET_SERVICE:
        fprintf(out, "%u", (unsigned)bytes[0] << 8 | bytes[1]);
        break;
    case KEY_ETHER_TYPE:
        print_symbol(ether_types, ARRAY_SIZE(ether_types), (uint32_t)bytes[0] << 8 | bytes[1], out);
        break;
    case KEY_ND_TARGET:
    case KEY_ND_OPTION_MAC:
        print_raw(bytes, key_type_size(type), out);
        break;
    case KEY_TYPES:
        break;
    }
}

static void print_interval(const struct set *set, const struct element *element, FILE *out)
{
    enum ip_family family = set->key[0] == KEY_IPV4_ADDR ? IP4 : IP6;
    struct ip first = ip_from_bytes(family, element->key), last = ip_from_bytes(family, element->key_end);
    char text[CIDR_TEXT_MAX];
    struct cidr block;

    if (cidr_from_range(family, (struct ip_range){first.num, last.num}, &block)) {
        fputs(cidr_format(&block, text), out);
        return;
    }
    fputs(ip_format(first, text), out);
    fprintf(out, "-%s", ip_format(last, text));
}

void element_print(const struct set *set, const struct element *element, FILE *out)
{
    const uint8_t *bytes = element->key;

    if (element->catchall) {
        fputc('*', out);
    } else if (set->interval) {
        print_interval(set, element, out);
    } else {
        for (size_t i = 0; i < set->n_key; i++) {
            fputs(i ? " . " : "", out);
            print_key_field(set->key[i], bytes, out);
            bytes += key_type_padded(set->key[i]);
        }
    }
    if (set->map) {
        fputs(" : ", out);
        print_verdict(element->verdict, element->target, out);
    }
}

static int compare_elements(const void *a, const void *b, void *key_len)
{
    return memcmp((*(const struct element *const *)a)->key, (*(const struct element *const *)b)->key,
                  *(const size_t *)key_len);
}

/* By key, so that the text depends on the content alone; the catch-all comes last, as nft lists it. */
static const struct element **sorted_elements(const struct set *set, size_t *ret_n)
{
    const struct element **v = xcalloc(set_count(set) + 1, sizeof(*v));
    size_t n = 0, key_len = set->key_len;

    for (const struct element *element = set->elements; element; element = element->hh.next)
        v[n++] = element;
    qsort_r(v, n, sizeof(*v), compare_elements, &key_len);
    if (set->catchall)
        v[n++] = set->catchall;
    *ret_n = n;
    return v;
}

/* Where one field's type has no name, each is said by what it is looked up with. */
static void print_key_types(const struct set *set, FILE *out)
{
    bool raw = set_has_raw_key(set);

    fputs(raw ? "typeof" : "type", out);
    for (size_t i = 0; i < set->n_key; i++)
        fprintf(out, "%s%s", i ? " . " : " ",
                raw && set->key[i] == KEY_ETHER_ADDR ? field_name(FIELD_ETHER_SADDR)
                : raw && set->key[i] == KEY_IFNAME   ? field_name(FIELD_IIFNAME)
                                                     : key_type_name(set->key[i]));
    fputs(set->map ? " : verdict\n" : "\n", out);
}

static void print_span(uint32_t seconds, FILE *out)
{
    if (seconds % 60 == 0)
        fprintf(out, "%um", seconds / 60);
    else
        fprintf(out, "%us", seconds);
}

static void print_meter(const struct meter *meter, FILE *out)
{
    if (!meter->size)
        return;
    fprintf(out, "\t\tsize %u\n\t\tflags dynamic,timeout\n", meter->size);
    fprintf(out, "\t\tcounter limit rate %s%u/%s burst %u packets\n", meter->over ? "over " : "", meter->rate,
            meter->per == 60 ? "minute" : "second", meter->burst);
    fputs("\t\ttimeout ", out);
    print_span(meter->timeout, out);
    fputc('\n', out);
}

void set_print(const struct set *set, FILE *out)
{
    const struct element **elements;
    size_t n;

    fprintf(out, "\t%s %s {\n\t\t", set->map ? "map" : "set", set->name);
    print_key_types(set, out);
    if (set->interval)
        fputs("\t\tflags interval\n", out);
    print_meter(&set->meter, out);
    elements = sorted_elements(set, &n);
    for (size_t i = 0; i < n; i++) {
        fputs(i ? ",\n\t\t\t     " : "\t\telements = { ", out);
        element_print(set, elements[i], out);
    }
    fputs(n ? " }\n" : "", out);
    free(elements);
    fputs("\t}\n\n", out);
}

static void print_priority(enum table_id table, const struct chain *chain, FILE *out)
{
    if (table == TABLE_BRIDGE && chain->priority == -300)
        fputs("dstnat", out);
    else if (table == TABLE_BRIDGE && chain->priority < -300 && chain->priority >= -310)
        fprintf(out, "dstnat - %d", -300 - chain->priority);
    else if (table == TABLE_INET && chain->priority < 0 && chain->priority >= -10)
        fprintf(out, "filter - %d", -chain->priority);
    else
        fprintf(out, "%d", chain->priority);
}

static void print_chain(enum table_id table, const struct chain *chain, bool counted, FILE *out)
{
    fprintf(out, "\tchain %s {\n", chain->name);
    if (chain->hook != HOOK_NONE) {
        fprintf(out, "\t\ttype filter hook %s priority ", hook_name(chain->hook));
        print_priority(table, chain, out);
        fputs("; policy accept;\n", out);
    }
    for (size_t i = 0; i < chain->n_rules; i++) {
        fputs("\t\t", out);
        print_rule(&chain->rules[i], counted, out);
        fputc('\n', out);
    }
    fputs("\t}\n", out);
}

void chain_print(enum table_id table, const struct chain *chain, FILE *out)
{
    print_chain(table, chain, false, out);
}

/* As nft lists a table: sets and maps in order of creation, then chains in order of creation. */
static void print_table(const struct ruleset *ruleset, enum table_id id, bool counted, FILE *out)
{
    const struct table *table = &ruleset->tables[id];
    const char *separator = "";

    fprintf(out, "table %s %s {\n", table_family_name(id), table_pair_name(ruleset->pair, false));
    for (const struct set *set = table->sets; set; set = set->hh.next)
        set_print(set, out);
    for (const struct chain *chain = table->chains; chain; chain = chain->hh.next) {
        fputs(separator, out);
        print_chain(id, chain, counted, out);
        separator = "\n";
    }
    fputs("}\n", out);
}

void ruleset_print(const struct ruleset *ruleset, FILE *out)
{
    print_table(ruleset, TABLE_BRIDGE, false, out);
    print_table(ruleset, TABLE_INET, false, out);
}

void ruleset_print_counted(const struct ruleset *ruleset, FILE *out)
{
    print_table(ruleset, TABLE_BRIDGE, true, out);
    print_table(ruleset, TABLE_INET, true, out);
}

static const char *op_verb(enum op_kind kind)
{
    switch (kind) {
    case OP_ADD_TABLE:
        return "add table";
    case OP_REMOVE_TABLE:
        return "remove table";
    case OP_ADD_SET:
        return "add set";
    case OP_ADD_CHAIN:
        return "add chain";
    case OP_ADD_RULES:
        return "add the rules of chain";
    case OP_FLUSH_CHAIN:
        return "flush chain";
    case OP_ADD_ELEMENT:
        return "add element";
    case OP_DELETE_ELEMENT:
        return "delete element";
    case OP_DELETE_CHAIN:
        return "delete chain";
    case OP_DELETE_SET:
        return "delete set";
    }
    return "?";
}

char *op_text(const struct op *op)
{
    char *text = NULL;
    size_t len;
    FILE *out = open_memstream(&text, &len);

    if (!out)
        return xstrdup(op_verb(op->kind));
    fprintf(out, "%s ", op_verb(op->kind));
    if (op->element) {
        element_print(op->set, op->element, out);
        fprintf(out, " %s set ", op->kind == OP_ADD_ELEMENT ? "to" : "of");
    }
    if (op->name)
        fprintf(out, "%s of ", op->name);
    else if (op->chain)
        fprintf(out, "%s of ", op->chain->name);
    else if (op->set)
        fprintf(out, "%s of ", op->set->name);
    fprintf(out, "table %s %s", table_family_name(op->table), op_table_name(op));
    if (fclose(out) != 0 || !text) {
        free(text);
        return xstrdup(op_verb(op->kind));
    }
    return text;
}
