// SPDX-License-Identifier: GPL-2.0-or-later
/* Other people's rules: those that packets take instead of ours, that spoil ours, and that block what policies allow. */
#include <errno.h>
#include <string.h>

#include <linux/netfilter.h>

#include "checks.h"
#include "ruleset/ruleset.h"

static bool is_ours(const char *table)
{
    return strcmp(table, TABLE_NAME) == 0 || strcmp(table, STANDBY_NAME) == 0 ||
           strcmp(table, LOCK_TABLE_NAME) == 0 || strcmp(table, LOCK_STANDBY_NAME) == 0;
}

static bool is_dockers(const struct survey_chain *chain)
{
    return strncmp(chain->table, "docker-", 7) == 0;
}

static bool is_known(const struct host_facts *facts, struct finding *finding)
{
    if (facts->firewall.error)
        finding_unchecked(finding, "the rules of nf_tables", facts->firewall.error);
    return !facts->firewall.error;
}

/* The next base chain that is not ours. */
static const struct survey_chain *next_base(const struct host_facts *facts, size_t *place)
{
    const struct nft_survey *survey = &facts->firewall.survey;

    while (*place < survey->n_chains) {
        const struct survey_chain *chain = &survey->chains[(*place)++];

        if (chain->base && !is_ours(chain->table))
            return chain;
    }
    return NULL;
}

static bool is_routed_family(unsigned family)
{
    return family == NFPROTO_INET || family == NFPROTO_IPV4 || family == NFPROTO_IPV6;
}

static bool is_forward(const struct survey_chain *chain)
{
    return is_routed_family(chain->family) && chain->hook == NF_INET_FORWARD;
}

/* Of the family netdev, or of inet at the hook ingress: there a packet is before anything of ours. */
static bool is_device_chain(const struct survey_chain *chain)
{
    return chain->family == NFPROTO_NETDEV ||
           (chain->family == NFPROTO_INET && chain->hook > NF_INET_POST_ROUTING);
}

static unsigned does(const struct host_facts *facts, const struct survey_chain *chain)
{
    uint32_t mark_bits;

    return nft_survey_does(&facts->firewall.survey, chain, &mark_bits);
}

/* ---- ways around our rules ---------------------------------------------------------------------------- */

void judge_flowtables(const struct host_facts *facts, struct finding *finding)
{
    const struct nft_survey *survey = &facts->firewall.survey;
    bool offloads = false;

    if (!is_known(facts, finding))
        return;
    for (size_t i = 0; i < survey->n_chains; i++)
        offloads = offloads || survey->chains[i].does & DOES_OFFLOAD;
    for (size_t i = 0; i < survey->n_flowtables; i++) {
        const struct survey_flowtable *flowtable = &survey->flowtables[i];

        finding_say(
            finding, offloads ? FINDING_BAD : FINDING_NOTE, "flow table %s in table %s %s, devices %s%s",
            flowtable->name, nft_family_name(flowtable->family), flowtable->table,
            flowtable->devices ? flowtable->devices : "none", offloads ? "" : "; no rule adds flows to it");
    }
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no flow table");
    finding_advise(
        finding,
        "Packets of a connection that a rule has added to it (`flow add`) skip the forward hook, and with it "
        "Cofferdam's rules: narrowing a policy does not end the connection.",
        "Keep the rule that adds flows from those of containers (for instance: iifname != \"br-*\" oifname != "
        "\"br-*\", docker0 alike), or remove the flow table.");
}

/* Is this interface one of those between spaces, or begins its name as one of them does that ends in a star? */
static bool means_device(const char *devices, const char *name)
{
    for (const char *word = devices; word; word = strchr(word, ' ')) {
        word += *word == ' ';
        size_t len = strcspn(word, " ");
        bool whole = !len || word[len - 1] != '*';

        if (whole ? strlen(name) == len && strncmp(word, name, len) == 0 : strncmp(word, name, len - 1) == 0)
            return true;
    }
    return false;
}

/* Is one of these devices, between spaces, a managed bridge or a port of one? */
static bool touches_containers(const struct host_facts *facts, const char *devices)
{
    for (size_t i = 0; devices && i < facts->kernel.n_devices; i++) {
        const struct link *link = &facts->kernel.devices[i].link;

        if (means_device(devices, link->name) &&
            (is_managed_port(facts, link) || is_managed_bridge(facts, link->name)))
            return true;
    }
    return false;
}

void judge_netdev_hooks(const struct host_facts *facts, struct finding *finding)
{
    const struct survey_chain *chain;
    size_t place = 0;

    if (!is_known(facts, finding))
        return;
    while ((chain = next_base(facts, &place)))
        if (is_device_chain(chain))
            finding_say(finding,
                        touches_containers(facts, chain->devices) && does(facts, chain) & DOES_REDIRECT
                            ? FINDING_WARN
                            : FINDING_NOTE,
                        "chain %s in table %s %s, devices %s", chain->name, nft_family_name(chain->family),
                        chain->table, chain->devices ? chain->devices : "none");
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no rule sees packets before the bridge does");
    finding_advise(
        finding,
        "Such a chain has packets before Cofferdam's rules. What it drops, no policy lets pass; what it sends "
        "on itself (fwd, dup) no policy stops.",
        "See that it leaves Docker's bridges and their ports alone: nft list chain netdev TABLE CHAIN");
}

void judge_xdp(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_kernel *kernel = &facts->kernel;

    if (kernel->devices_error)
        finding_unchecked(finding, "interfaces", kernel->devices_error);
    for (size_t i = 0; i < kernel->n_devices; i++) {
        const struct link *link = &kernel->devices[i].link;

        if (link->has_xdp && (is_managed_port(facts, link) || is_managed_bridge(facts, link->name)))
            finding_say(finding, FINDING_WARN, "an XDP program is on %s, which belongs to containers",
                        link->name);
        else if (link->has_xdp)
            finding_say(finding, FINDING_NOTE, "an XDP program is on %s", link->name);
    }
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no XDP program on any interface");
    finding_advise(
        finding,
        "It has packets before any rule, and may send them on by itself. Programs of tc are not looked for.",
        "Find out whose it is (bpftool net), and that it leaves containers' packets to the kernel.");
}

/* ---- order -------------------------------------------------------------------------------------------- */

/* Where our base chains are, whether they stand or not. The hooks of the bridge have the same numbers. */
static const struct place {
    bool bridge;
    unsigned hook;
    int priority;
} places[] = {
    {false, NF_INET_FORWARD, PRIORITY_INET},       {false, NF_INET_LOCAL_IN, PRIORITY_INET},
    {false, NF_INET_LOCAL_OUT, PRIORITY_INET},     {true, NF_INET_PRE_ROUTING, PRIORITY_BRIDGE_IN},
    {true, NF_INET_FORWARD, PRIORITY_BRIDGE_OUT},  {true, NF_INET_LOCAL_OUT, PRIORITY_BRIDGE_OUT},
    {true, NF_INET_FORWARD, PRIORITY_BRIDGE_SEEN},
};

static bool has_our_place(const struct survey_chain *chain)
{
    for (size_t i = 0; i < ARRAY_SIZE(places); i++)
        if ((places[i].bridge ? chain->family == NFPROTO_BRIDGE : is_routed_family(chain->family)) &&
            places[i].hook == chain->hook && places[i].priority == chain->priority)
            return true;
    return false;
}

void judge_same_priority(const struct host_facts *facts, struct finding *finding)
{
    const struct survey_chain *chain;
    size_t place = 0;

    if (!is_known(facts, finding))
        return;
    while ((chain = next_base(facts, &place)))
        if (has_our_place(chain))
            finding_say(finding, FINDING_NOTE,
                        "chain %s in table %s %s has the hook and the priority of one of ours, %d",
                        chain->name, nft_family_name(chain->family), chain->table, chain->priority);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no other chain has the priority of one of Cofferdam's");
    finding_advise(
        finding,
        "Which of the two sees a packet first is not defined. What either drops is dropped all the same.",
        "Give that chain another priority.");
}

/* Between our inet rules, which set it, and the bridge's chain that asks for it; the numbers are those chains' own. */
static bool between_marks(const struct survey_chain *chain)
{
    if (chain->family == NFPROTO_BRIDGE)
        return chain->hook == NF_INET_FORWARD && chain->priority >= PRIORITY_BRIDGE_OUT &&
               chain->priority <= PRIORITY_BRIDGE_SEEN;
    return is_forward(chain) && chain->priority >= PRIORITY_INET;
}

void judge_mark_bit(const struct host_facts *facts, struct finding *finding)
{
    uint32_t mark = facts->self.settings->mark, mark_bits;
    const struct survey_chain *chain;
    size_t place = 0;

    if (!is_known(facts, finding))
        return;
    while ((chain = next_base(facts, &place))) {
        nft_survey_does(&facts->firewall.survey, chain, &mark_bits);
        if (between_marks(chain) && mark_bits & mark)
            finding_say(finding, FINDING_WARN,
                        "a rule of chain %s in table %s %s, or of one it leads to, may change bit %#x",
                        chain->name, nft_family_name(chain->family), chain->table, (unsigned)mark);
    }
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no other rule there changes bit %#x of the packet mark",
                    (unsigned)mark);
    finding_advise(
        finding,
        "By this bit the bridge's rules know what the inet rules have judged. Where another rule clears it, "
        "containers of one bridge lose each other; where it sets it, they may reach each other while a "
        "bridge's nf_call_iptables is off.",
        "Have that rule use a mask without the bit, or choose another bit by mark: in the settings.");
}

/* ---- what others block, or change --------------------------------------------------------------------- */

void judge_untracked(const struct host_facts *facts, struct finding *finding)
{
    const struct survey_chain *chain;
    size_t place = 0;

    if (!is_known(facts, finding))
        return;
    while ((chain = next_base(facts, &place)))
        if (!is_device_chain(chain) && does(facts, chain) & DOES_UNTRACK)
            finding_say(finding, FINDING_NOTE, "chain %s in table %s %s has rules with notrack", chain->name,
                        nft_family_name(chain->family), chain->table);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no rule keeps packets from connection tracking");
    finding_advise(
        finding,
        "Cofferdam's rules judge connections: what is not tracked they drop, from and to containers.",
        "Keep those rules from the packets of containers.");
}

struct tool {
    const char *name;
    const char *table; /* NULL: any */
    const char *chain; /* the beginning of a chain's name; NULL: any */
};

/* Whose rules these are, by the names that they give them. */
static const struct tool tools[] = {
    {"ufw", NULL, "ufw-"},
    {"ufw", NULL, "ufw6-"},
    {"firewalld", "firewalld", NULL},
    {"libvirt", NULL, "LIBVIRT_"},
    {"libvirt", "libvirt_network", NULL},
    {"Kubernetes", NULL, "KUBE-"},
    {"Kubernetes", "kube-proxy", NULL},
    {"Calico", NULL, "cali-"},
    {"Cilium", NULL, "CILIUM_"},
    {"whalewall", NULL, "whalewall"},
    {"dfw", NULL, "DFW"},
    {"dfw", "dfw", NULL},
    {"trafficjam", NULL, "TRAFFICJAM"},
    {"netavark (Podman)", "netavark", NULL},
    {"netavark (Podman)", NULL, "NETAVARK"},
    {"fail2ban", NULL, "f2b-"},
    {"CrowdSec", "crowdsec", NULL},
    {"LXD or Incus", "lxd", NULL},
    {"LXD or Incus", "incus", NULL},
    {"Tailscale", NULL, "ts-forward"},
    {"systemd-networkd", "io.systemd.nat", NULL},
};

static bool fits(const struct tool *tool, const struct survey_chain *chain)
{
    return (!tool->table || strcmp(tool->table, chain->table) == 0) &&
           (!tool->chain || strncmp(tool->chain, chain->name, strlen(tool->chain)) == 0);
}

/* Whose the chain is, or one that it jumps to; NULL where no name says it. */
static const char *tool_of(const struct survey_chain *chain)
{
    for (size_t i = 0; i < ARRAY_SIZE(tools); i++) {
        if (fits(&tools[i], chain))
            return tools[i].name;
        for (size_t j = 0; tools[i].chain && !tools[i].table && j < chain->n_jumps; j++)
            if (strncmp(chain->jumps[j], tools[i].chain, strlen(tools[i].chain)) == 0)
                return tools[i].name;
    }
    return NULL;
}

/* iptables' own chain, in which Docker's rules come first where it has put them. */
static bool leads_to_docker(const struct survey_chain *chain)
{
    for (size_t i = 0; i < chain->n_jumps; i++)
        if (strncmp(chain->jumps[i], "DOCKER", 6) == 0)
            return true;
    return false;
}

/* What meets a chain of this hook; NULL where connections of containers are not judged there. */
static const char *what_meets(const struct survey_chain *chain)
{
    if (!is_routed_family(chain->family))
        return NULL;
    switch (chain->hook) {
    case NF_INET_FORWARD:
        return "what is forwarded";
    case NF_INET_LOCAL_IN:
        return "what is sent to the host";
    case NF_INET_LOCAL_OUT:
        return "what the host sends";
    default: /* the kernel's, and other hooks */
        return NULL;
    }
}

static void say_blocking(const struct host_facts *facts, const struct survey_chain *chain,
                         struct finding *finding)
{
    const char *tool = tool_of(chain), *what = what_meets(chain);

    if (!what || is_dockers(chain) || !chain->type || strcmp(chain->type, "filter") != 0)
        return;
    if (!chain->policy_drop && !(does(facts, chain) & DOES_DROP))
        return;
    if (leads_to_docker(chain) && !tool)
        return; /* Docker's own: its rules accept what is published before the policy drops the rest */
    if (is_forward(chain) && chain->policy_drop && chain->n_rules == 0)
        finding_say(finding, FINDING_WARN, "chain %s in table %s %s drops everything that is forwarded",
                    chain->name, nft_family_name(chain->family), chain->table);
    else
        finding_say(finding, FINDING_NOTE, "%s%schain %s in table %s %s drops %s %s", tool ? tool : "",
                    tool ? ": " : "", chain->name, nft_family_name(chain->family), chain->table,
                    chain->policy_drop ? "all that its rules do not accept of" : "some of", what);
}

/* DOCKER-USER is for rules of the host's own. */
static void say_users_drops(const struct host_facts *facts, struct finding *finding)
{
    const struct nft_survey *survey = &facts->firewall.survey;

    for (size_t i = 0; i < survey->n_chains; i++) {
        const struct survey_chain *chain = &survey->chains[i];

        if (strcmp(chain->name, "DOCKER-USER") == 0 && does(facts, chain) & DOES_DROP)
            finding_say(finding, FINDING_NOTE,
                        "chain DOCKER-USER in table %s %s drops some of what is forwarded",
                        nft_family_name(chain->family), chain->table);
    }
}

void judge_other_firewalls(const struct host_facts *facts, struct finding *finding)
{
    const struct survey_chain *chain;
    size_t place = 0;

    if (!is_known(facts, finding))
        return;
    while ((chain = next_base(facts, &place)))
        say_blocking(facts, chain, finding);
    say_users_drops(facts, finding);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no firewall but Docker's drops what containers or the host send");
    finding_advise(
        finding,
        "Cofferdam and it are both asked, and what either drops is dropped. It cannot open what a policy "
        "denies; but it may block what policies allow, and `cofferdam explain` does not know of it.",
        "Where an allowed connection fails, let that firewall accept it too, from and to Docker's bridges.");
}

/* iptables' tables hold Docker's rules as well: they are somebody else's where a name says so. */
static bool is_foreign_translation(const struct host_facts *facts, const struct survey_chain *chain)
{
    bool iptables = chain->family != NFPROTO_INET && strcmp(chain->table, "nat") == 0;

    return is_routed_family(chain->family) && !is_dockers(chain) && does(facts, chain) & DOES_TRANSLATE &&
           (tool_of(chain) || !iptables);
}

void judge_translation(const struct host_facts *facts, struct finding *finding)
{
    const struct survey_chain *chain;
    size_t place = 0;

    if (!is_known(facts, finding))
        return;
    while ((chain = next_base(facts, &place))) {
        const char *tool = tool_of(chain);

        if (is_foreign_translation(facts, chain))
            finding_say(finding, FINDING_NOTE, "%s%schain %s in table %s %s translates addresses",
                        tool ? tool : "", tool ? ": " : "", chain->name, nft_family_name(chain->family),
                        chain->table);
    }
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "no rules but iptables' chains translate addresses");
    finding_advise(
        finding,
        "Cofferdam judges by the destination after its translation and the source before its own: where "
        "another program sends a container's packet elsewhere, policies must name that place.",
        "Nothing, unless a connection ends where it should not: nft list ruleset, type nat.");
}

void judge_legacy(const struct host_facts *facts, struct finding *finding)
{
    const struct fact_kernel *kernel = &facts->kernel;

    if (kernel->legacy_error)
        finding_unchecked(finding, "iptables-legacy's tables", kernel->legacy_error);
    if (kernel->legacy_tables)
        finding_say(finding, FINDING_NOTE, "iptables-legacy has the tables %s", kernel->legacy_tables);
    if (kernel->legacy_ebtables)
        finding_say(finding, FINDING_NOTE, "ebtables-legacy has loaded %s", kernel->legacy_ebtables);
    if (!*finding->found)
        finding_say(finding, FINDING_OK, "all rules of this host are nf_tables'");
    finding_advise(
        finding,
        "Rules stand in both of the kernel's firewalls. Cofferdam's drops hold all the same, but what the old "
        "one's rules say is not looked at here, and `nft list ruleset` does not show it.",
        "iptables-legacy-save shows them; update-alternatives --config iptables chooses one for all.");
}
