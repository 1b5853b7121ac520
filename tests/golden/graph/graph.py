#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""What `cofferdam graph` draws: graph.py COFFERDAM [--update].

inventory.json with policies.yaml, in expected/graph.FORMAT; --update writes these files anew: read the difference
before you believe it. Names that mean something in a format are tried without such files.
"""

import base64
import hashlib
import html.parser
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest
import xml.etree.ElementTree

sys.path.append(os.path.join(os.path.dirname(os.path.abspath(__file__)), os.pardir, os.pardir))
import schemas  # pylint: disable=wrong-import-position

PROGRAM = os.path.abspath(sys.argv.pop(1))
UPDATE = "--update" in sys.argv
if UPDATE:
    sys.argv.remove("--update")
HERE = pathlib.Path(__file__).resolve().parent

SVG = "{http://www.w3.org/2000/svg}"

# One of each kind of trick, in labels, which are a stranger's to choose.
HOSTILE = ("</title></style></script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='alert(1)",
           '"]; evil -> evil; x [label="', "\\N\\G\\", "&lt;&amp;", '"]\n  click n0 href "https://example.net"\n  x["',
           "`code` **bold** #quot; #35;", "%%{init: {}}%%", "\u202egnp.exe", "a\x1b[31mb\r\nc\x7f", "日本語", "end",
           "]]>\uffff<!-- &#0;")


def graph(*args, inventory=HERE / "inventory.json"):
    return subprocess.run([PROGRAM, "graph", "--inventory", inventory, *args], cwd=HERE, capture_output=True,
                          timeout=60, check=False)


class Page(html.parser.HTMLParser):
    """What a browser would make of a page: its elements with their attributes, and the texts in them."""

    VOID = {"meta", "input", "rect", "path"}  # rect and path end themselves here

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.open, self.texts, self.policy = [], [], {}, ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, (tag, self.open)
        self.open.pop()

    def handle_data(self, data):
        self.texts.setdefault(self.open[-1] if self.open else "", []).append(data)

    def attribute(self, name):
        return [attributes[name] for _, attributes in self.elements if name in attributes]


def hash_of(text):
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()


def edges_of(document, kept=lambda edge: True):
    """Each edge as a pair of nodes, by their numbers."""
    pairs = [(a, b) for edge in document["edges"] if kept(edge) for a in edge["from"] for b in edge["to"]]
    return sorted(pairs, key=lambda pair: [int(node[1:]) for node in pair])


def drawn_of(document):
    return edges_of(document, lambda edge: not all(grant["docker_blocks"] for grant in edge["grants"]))


def text_of(node):
    count = len(node["containers"])
    return f'{node["name"]} ({count})' if count > 1 else node["name"]


def texts_of(picture, kind, tag):
    """The texts of these elements in the groups of a class, in a picture."""
    return [group.find(SVG + tag).text for group in picture.iter(SVG + "g") if kind in group.get("class", "").split()]


class Drawn(unittest.TestCase):
    maxDiff = None

    def draw(self, form, *args, **kwargs):
        done = graph("--format", form, *(args or ["policies.yaml"]), **kwargs)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
        return done.stdout.decode()


class Golden(Drawn):
    name, args = "graph", ["policies.yaml"]

    def golden(self, form):
        path = HERE / "expected" / f"{self.name}.{form}"
        text = self.draw(form, *self.args)
        if UPDATE:
            path.write_text(text, encoding="utf-8")
        self.assertEqual(path.read_text(encoding="utf-8"), text, path)
        return text


class Formats(Golden):

    def test_dot(self):
        self.golden("dot")

    def test_mermaid(self):
        self.golden("mermaid")

    def test_json(self):
        text = self.golden("json")
        self.assertEqual(graph("--json", "policies.yaml").stdout.decode(), text)
        document = json.loads(text)
        schemas.check("graph", document)
        ids = [node["id"] for node in document["nodes"]]
        self.assertEqual(len(set(ids)), len(ids))
        for edge in document["edges"]:
            self.assertLessEqual({*edge["from"], *edge["to"]}, set(ids))

    def test_html(self):
        page = Page(self.golden("html"))
        self.assertEqual(page.open, [])
        ids = page.attribute("id")
        self.assertEqual(len(set(ids)), len(ids))
        for name in ("data-from", "data-to", "data-node", "data-edge", "data-row"):
            self.assertTrue(page.attribute(name), name)
            self.assertLessEqual(set(page.attribute(name)), set(ids), name)

    def test_svg(self):
        """By itself: it runs nothing and refers to nothing, and says in words what it shows."""
        picture = xml.etree.ElementTree.fromstring(self.golden("svg"))
        self.assertLessEqual({element.tag for element in picture.iter()},
                             {SVG + tag for tag in ("svg", "g", "title", "desc", "style", "rect", "text", "path")})
        for element in picture.iter():
            self.assertFalse([name for name in element.keys() if "href" in name or name.startswith("on")])
        self.assertNotRegex(picture.find(SVG + "style").text, r"url\(|@import")
        named = {element.get("id"): element for element in picture.iter() if element.get("id")}
        self.assertEqual(set(picture.get("aria-labelledby").split()), set(named))
        self.assertIn("Sources are on the left", named["about"].text)
        self.assertIn("Left out: what the policies allow and Docker itself blocks; pairs of names: 1.",
                      [element.text for element in picture.iter(SVG + "text")])
        names = {text_of(node) for node in json.loads(self.draw("json"))["nodes"]}
        self.assertEqual({title.split(": ")[0] for title in texts_of(picture, "node", "title")}, names)
        shown = set(texts_of(picture, "node", "text"))
        self.assertEqual({text for text in shown if "…" not in text}, {name for name in names if len(name) <= 36})
        self.assertIn("one-whose-name-is-longer-than-there-…", shown)

    def test_the_formats_agree(self):
        """The same edges in all; what Docker blocks is in JSON only."""
        document = json.loads(self.draw("json"))
        every, drawn = edges_of(document), drawn_of(document)
        self.assertLess(len(drawn), len(every))
        self.assertEqual(re.findall(r"^  (n\d+) -> (n\d+) ", self.draw("dot"), re.M), drawn)
        self.assertEqual(re.findall(r'^  (n\d+) -->\|".*"\| (n\d+)$', self.draw("mermaid"), re.M), drawn)
        page = Page(self.draw("html"))
        rows = [(a["data-from"], a["data-to"]) for tag, a in page.elements if tag == "tr" and "data-from" in a]
        self.assertEqual(rows, drawn)
        self.assertEqual(len(page.attribute("data-edge")), len(drawn))
        names = {node["id"]: text_of(node) for node in document["nodes"]}
        picture = xml.etree.ElementTree.fromstring(self.draw("svg"))
        lines = [title.split(": ")[0] for title in texts_of(picture, "edge", "title")]
        self.assertEqual(sorted(lines), sorted(f"{names[a]} → {names[b]}" for a, b in drawn))


class Changes(Golden):
    """What changes.yaml would change, compared with policies.yaml."""

    name, args = "changes", ["--base", "policies.yaml", "changes.yaml"]

    def test_each_format(self):
        for form in ("dot", "mermaid", "svg", "html"):
            with self.subTest(form):
                text = self.golden(form)
                self.assertIn("would be allowed", text)

    def marks(self):
        document = json.loads(self.golden("json"))
        self.assertIs(document["changes"], True)
        names = {node["id"]: node["name"] for node in document["nodes"]}
        found = {}
        for edge in document["edges"]:
            grants = {(port, grant["change"]) for grant in edge["grants"] for port in grant["ports"]}
            for pair in edges_of({"edges": [edge]}):
                found[names[pair[0]], names[pair[1]]] = (edge["change"], grants)
        return found

    def test_marks(self):
        marks = self.marks()
        self.assertEqual(marks["internet", "shop/web"], ("mixed", {("80/tcp", "removed"), ("443/tcp", "same")}))
        self.assertEqual(marks["shop/web", "shop/db"], ("mixed", {("5432/tcp", "same"), ("6432/tcp", "removed")}))
        self.assertEqual(marks["10.0.0.0/8", "shop/web"][0], "removed")
        self.assertEqual(marks["shop/web", "internet"], ("added", {("443/tcp", "added")}))
        self.assertEqual(marks["shop/web", "shop/web"], ("same", {("7946/udp", "same")}))

    def test_the_formats_agree(self):
        document = json.loads(self.golden("json"))
        changes = {(a, b): edge["change"] for edge in document["edges"] for a, b in edges_of({"edges": [edge]})
                   if not all(grant["docker_blocks"] for grant in edge["grants"])}
        colours = {"added": "#1a7f37", "removed": "#cf222e", "mixed": "#9a6700", "same": "gray"}
        dot = {(a, b): colour.strip('"') for a, b, colour in
               re.findall(r"^  (n\d+) -> (n\d+) \[color=([^,]*),", self.golden("dot"), re.M)}
        self.assertEqual(dot, {pair: colours[change] for pair, change in changes.items()})
        mermaid = self.golden("mermaid")
        links = re.findall(r"^  (n\d+) (==>|-\.->|-->)\|", mermaid, re.M)
        styles = {int(link): style for numbers, style in re.findall(r"^  linkStyle ([\d,]+) (.*)$", mermaid, re.M)
                  for link in numbers.split(",")}
        self.assertEqual(sorted(styles), list(range(len(links))))
        for number, change in enumerate(changes[pair] for pair in drawn_of(document)):
            self.assertEqual(links[number][1], {"removed": "-.->", "same": "-->"}.get(change, "==>"))
            self.assertIn("888" if change == "same" else colours[change], styles[number])
        page = Page(self.golden("html"))
        self.assertEqual({(a["data-from"], a["data-to"]): a["data-change"] for tag, a in page.elements
                          if tag == "tr" and "data-from" in a}, changes)

    def test_signs_and_not_colours_alone(self):
        for form in ("dot", "svg", "html"):
            self.assertIn("− 80/tcp; 443/tcp", self.golden(form))
            self.assertIn("+ 443/tcp", self.golden(form))
        self.assertIn("#8722; 80/tcp; 443/tcp", self.golden("mermaid"))

    def test_nothing_changes(self):
        for form in ("dot", "mermaid", "svg", "html"):
            done = graph("--base", "policies.yaml", "--format", form, "policies.yaml")
            self.assertEqual((done.returncode, done.stderr.decode()), (0, "cofferdam: nothing would change\n"))
            self.assertIn("Nothing would change.", done.stdout.decode())
        done = graph("--base", "policies.yaml", "--json", "policies.yaml")
        document = json.loads(done.stdout)
        self.assertIs(document["changes"], False)
        self.assertEqual({edge["change"] for edge in document["edges"]}, {"same"})
        plain = json.loads(self.draw("json"))
        self.assertEqual(document["nodes"], plain["nodes"])
        self.assertEqual(drawn_of(document), drawn_of(plain))

    def test_the_policies_in_force_are_in_the_file(self):
        """As status --json prints it."""
        inventory = json.loads((HERE / "inventory.json").read_text(encoding="utf-8"))
        files = [{"path": "policies.yaml", "text": (HERE / "policies.yaml").read_text(encoding="utf-8")}]
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "status.json"
            path.write_text(json.dumps({"inventory": inventory, "policy_files": files}), encoding="utf-8")
            text = self.draw("json", "--changes", "changes.yaml", inventory=path)
            path.write_text(json.dumps({"inventory": inventory}), encoding="utf-8")
            done = graph("--changes", "changes.yaml", inventory=path)
        self.assertEqual(text, self.golden("json"))
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn("name policies with --base PATH", done.stderr.decode())


class Hostile(Drawn):
    """Containers whose labels say what a stranger chose."""

    @classmethod
    def setUpClass(cls):
        cls.folder = tempfile.TemporaryDirectory()
        cls.inventory = pathlib.Path(cls.folder.name) / "inventory.json"
        cls.policies = pathlib.Path(cls.folder.name) / "policies.yaml"
        document = json.loads((HERE / "inventory.json").read_text(encoding="utf-8"))
        plain = next(c for c in document["containers"] if c["name"] == "shop-db-1")
        document["containers"] = []
        for i, name in enumerate(HOSTILE):
            endpoint = {**plain["endpoints"][0], "id": f"e{i}", "ipv4": f"172.18.1.{i}"}
            document["containers"].append({
                **plain, "id": f"c{i}", "name": f"c{i}", "endpoints": [endpoint],
                "labels": {"com.docker.compose.project": name, "com.docker.compose.service": name}})
        cls.inventory.write_text(json.dumps(document), encoding="utf-8")
        cls.policies.write_text("{policy: a, select: {all: true}, ingress: [{from: [any]}], egress: [{to: [any]}]}",
                                encoding="utf-8")

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()

    def hostile(self, form):
        text = self.draw(form, self.policies, inventory=self.inventory)
        for character in "\x1b\r\x7f\u202e":
            self.assertNotIn(character, text)
        return text


class Safety(Hostile):
    """Whatever a name says, it is text."""

    def test_html_has_no_element_of_a_stranger(self):
        page, plain = Page(self.hostile("html")), Page(self.draw("html"))
        self.assertEqual(page.open, [])
        shapes = {(tag, tuple(sorted(attributes))) for tag, attributes in page.elements}
        known = {(tag, tuple(sorted(attributes))) for tag, attributes in plain.elements}
        self.assertEqual(shapes - known, set())
        self.assertEqual(page.texts["script"], plain.texts["script"])
        self.assertEqual(page.texts["style"], plain.texts["style"])
        cells = "\n".join(page.texts["td"])
        self.assertIn(f"{HOSTILE[0]}/{HOSTILE[0]}", cells)
        self.assertIn("日本語/日本語", cells)

    def test_html_runs_its_own_script_only_and_loads_nothing(self):
        page = Page(self.draw("html"))
        policy = next(a["content"] for _, a in page.elements if a.get("http-equiv") == "Content-Security-Policy")
        self.assertEqual(len(page.texts["script"]), 1)
        self.assertEqual(policy, "default-src 'none'; base-uri 'none'; form-action 'none'; "
                                 f"style-src '{hash_of(page.texts['style'][0])}'; "
                                 f"script-src '{hash_of(page.texts['script'][0])}'")
        for name in ("src", "href", "xlink:href", "style", "onclick", "onload"):
            self.assertEqual(page.attribute(name), [])
        self.assertNotRegex(page.texts["style"][0], r"url\(|@import")

    def test_svg_has_no_element_of_a_stranger(self):
        def shapes(text):
            return {(element.tag, tuple(sorted(element.keys())))
                    for element in xml.etree.ElementTree.fromstring(text).iter()}

        text = self.hostile("svg")
        self.assertEqual(shapes(text) - shapes(self.draw("svg")), set())
        boxes = texts_of(xml.etree.ElementTree.fromstring(text), "node", "text")
        self.assertIn("日本語/日本語", boxes)
        self.assertIn("]]>\ufffd<!-- &#0;/]]>\ufffd<!-- &#0;", boxes)

    def test_dot_has_no_statement_of_a_stranger(self):
        text = self.hostile("dot")
        quoted = r'"(?:[^"\\]|\\.)*"'
        for line in text.splitlines()[4:-1]:
            self.assertRegex(line, rf'^  n\d+( -> n\d+)? \[(shape=\w+, )?(style=dashed, )?label={quoted}\];$')
        self.assertNotRegex(text, r"&(?!amp;)")
        for line in text.splitlines():
            for escape in re.findall(r"\\(.)", line):
                self.assertIn(escape, '"\\')
        if shutil.which("dot"):
            subprocess.run(["dot", "-Tsvg"], input=text.encode(), capture_output=True, timeout=60, check=True)

    def test_mermaid_has_no_statement_of_a_stranger(self):
        harmless = r"(?:[A-Za-z0-9 .,:;/()-]|#\d+;)+"
        for line in self.hostile("mermaid").splitlines()[2:]:
            self.assertRegex(line, rf'^  n\d+(\[\[?|\(\[)"{harmless}"(\]\]?|\]\))$|^  n\d+ -->\|"{harmless}"\| n\d+$')

    def test_json_has_the_names_as_they_are(self):
        document = json.loads(self.draw("json", self.policies, inventory=self.inventory))
        schemas.check("graph", document)
        names = {node["name"] for node in document["nodes"]}
        self.assertLessEqual({f"{name}/{name}" for name in HOSTILE}, names)


class Lockdowns(Drawn):
    def test_each_format(self):
        """In every format the container says so, and what is cut is not drawn."""
        inventory = json.loads((HERE / "inventory.json").read_text(encoding="utf-8"))
        whole = json.loads(self.draw("json"))
        busy = max((node for node in whole["nodes"] if len(node["containers"]) == 1),
                   key=lambda node: sum(node["id"] in edge["from"] + edge["to"] for edge in whole["edges"]))
        name, node = busy["containers"][0]["name"], busy["id"]
        lockdown = {"id": None, "name": name, "project": None, "service": None, "number": None, "select": None, "except": [],
                    "direction": "in", "allow": ["host:7/tcp"], "reason": None, "by": None, "since": None, "until": None}
        self.assertTrue([pair for pair in edges_of(whole) if pair[1] == node])
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "inventory.json"

            def draw(form, direction):
                inventory["lockdowns"] = [{**lockdown, "direction": direction}]
                path.write_text(json.dumps(inventory), encoding="utf-8")
                return self.draw(form, inventory=path)
            for form in ("dot", "mermaid", "svg", "html"):
                with self.subTest(form):
                    self.assertRegex(draw(form, "in"), r"locked down \(connections to it\), but for host(:|#58;)7/tcp")
                    self.assertNotIn("locked down", self.draw(form))
            document = json.loads(draw("json", "in"))
            names = {one["id"]: one["name"] for one in whole["nodes"]}

            def named(pairs):
                return {(names[a], names[b]) for a, b in pairs}
            expected = named(pair for pair in edges_of(whole) if pair[1] != node)
            names = {one["id"]: one["name"] for one in document["nodes"]}
            self.assertEqual(named(edges_of(document)), expected)
            document = json.loads(draw("json", "both"))
            self.assertEqual([edge for edge in edges_of(document) if names[edge[0]] == name or names[edge[1]] == name], [])


class Usage(unittest.TestCase):
    def test_what_nobody_could_draw_is_not_drawn(self):
        """Each of 330 to each, on ports by which all of them differ."""
        document = json.loads((HERE / "inventory.json").read_text(encoding="utf-8"))
        plain = next(c for c in document["containers"] if c["name"] == "shop-db-1")
        document["containers"] = [{**plain, "id": f"c{i}", "name": f"c{i}", "labels": {},
                                   "endpoints": [{**plain["endpoints"][0], "id": f"e{i}",
                                                  "ipv4": f"172.18.{i // 200}.{i % 200 + 5}"}]}
                                  for i in range(330)]
        rules = [f"{{policy: p{i}, select: {{name: c{i}}}, ingress: [{{from: [any], ports: [{1000 + i}/tcp]}}], "
                 "egress: [{}]}" for i in range(330)]
        with tempfile.TemporaryDirectory() as folder:
            inventory, policies = (pathlib.Path(folder) / name for name in ("inventory.json", "policies.yaml"))
            inventory.write_text(json.dumps(document), encoding="utf-8")
            policies.write_text("\n---\n".join(rules), encoding="utf-8")
            done = graph("--format", "dot", policies, inventory=inventory)
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            self.assertIn("too much to draw\n  --format json has them all", done.stderr.decode())
            done = graph("--json", policies, inventory=inventory)
        self.assertEqual((done.returncode, done.stderr), (0, b""))
        self.assertGreater(len(edges_of(json.loads(done.stdout))), 330 * 329)
        self.assertLess(len(done.stdout), 5e6)

    def test_wrong_usage(self):
        for args, why in ((["--format", "png"], "the formats are dot, mermaid, svg, html and json"),
                          (["--json", "--format", "dot"], "--json is one format"),
                          (["--policies", "policies.yaml", "policies.yaml"], "either --policies or a PATH"),
                          ([""], "the path is empty")):
            done = graph(*args)
            self.assertEqual((done.returncode, done.stdout), (64, b""), args)
            self.assertIn(why, done.stderr.decode())

    def test_what_cannot_be_read_is_not_drawn(self):
        with tempfile.TemporaryDirectory() as folder:
            bad = pathlib.Path(folder) / "bad.yaml"
            bad.write_text("policy: a\nselect: {nmae: x}\n", encoding="utf-8")
            for args in ([bad], ["missing.yaml"], ["policies.yaml", bad]):
                done = graph(*args)
                self.assertEqual((done.returncode, done.stdout), (1, b""), args)
                self.assertIn("error", done.stderr.decode())
            done = graph("--base", bad, "policies.yaml")
            self.assertEqual((done.returncode, done.stdout), (1, b""))
            done = graph("policies.yaml", inventory=bad)
            self.assertEqual((done.returncode, done.stdout), (1, b""))

    def test_without_a_daemon(self):
        done = subprocess.run([PROGRAM, "graph", "--control", HERE / "no.sock", HERE / "policies.yaml"],
                              capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn("the daemon does not run", done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
