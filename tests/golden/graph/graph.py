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

PROGRAM = os.path.abspath(sys.argv.pop(1))
UPDATE = "--update" in sys.argv
if UPDATE:
    sys.argv.remove("--update")
HERE = pathlib.Path(__file__).resolve().parent

# One of each kind of trick, in labels, which are a stranger's to choose.
HOSTILE = ("</title></style></script><script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "' onload='alert(1)",
           '"]; evil -> evil; x [label="', "\\N\\G\\", "&lt;&amp;", '"]\n  click n0 href "https://example.net"\n  x["',
           "`code` **bold** #quot; #35;", "%%{init: {}}%%", "\u202egnp.exe", "a\x1b[31mb\r\nc\x7f", "日本語", "end")


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


class Drawn(unittest.TestCase):
    maxDiff = None

    def draw(self, form, *args, **kwargs):
        done = graph("--format", form, *(args or ["policies.yaml"]), **kwargs)
        self.assertEqual((done.returncode, done.stderr.decode()), (0, ""))
        return done.stdout.decode()


class Formats(Drawn):
    def golden(self, form):
        path = HERE / "expected" / f"graph.{form}"
        text = self.draw(form)
        if UPDATE:
            path.write_text(text, encoding="utf-8")
        self.assertEqual(path.read_text(encoding="utf-8"), text, path)
        return text

    def test_dot(self):
        self.golden("dot")

    def test_mermaid(self):
        self.golden("mermaid")

    def test_json(self):
        text = self.golden("json")
        self.assertEqual(graph("--json", "policies.yaml").stdout.decode(), text)
        document = json.loads(text)
        ids = [node["id"] for node in document["nodes"]]
        self.assertEqual(len(set(ids)), len(ids))
        for edge in document["edges"]:
            self.assertLessEqual({edge["from"], edge["to"]}, set(ids))

    def test_html(self):
        page = Page(self.golden("html"))
        self.assertEqual(page.open, [])
        ids = page.attribute("id")
        self.assertEqual(len(set(ids)), len(ids))
        for name in ("data-from", "data-to", "data-node", "data-edge"):
            self.assertTrue(page.attribute(name), name)
            self.assertLessEqual(set(page.attribute(name)), set(ids), name)

    def test_the_formats_agree(self):
        """The same edges in all; what Docker blocks is in JSON only."""
        document = json.loads(self.draw("json"))
        every = [(edge["from"], edge["to"]) for edge in document["edges"]]
        drawn = [(edge["from"], edge["to"]) for edge in document["edges"]
                 if not all(grant["docker_blocks"] for grant in edge["grants"])]
        self.assertLess(len(drawn), len(every))
        self.assertEqual(re.findall(r"^  (n\d+) -> (n\d+) ", self.draw("dot"), re.M), drawn)
        self.assertEqual(re.findall(r'^  (n\d+) -->\|".*"\| (n\d+)$', self.draw("mermaid"), re.M), drawn)
        page = Page(self.draw("html"))
        rows = [(a["data-from"], a["data-to"]) for tag, a in page.elements if tag == "tr" and "data-from" in a]
        self.assertEqual(rows, drawn)
        self.assertEqual(len(page.attribute("data-edge")), len(drawn))


class Safety(Drawn):
    """Whatever a name says, it is text."""

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
        names = {node["name"] for node in document["nodes"]}
        self.assertLessEqual({f"{name}/{name}" for name in HOSTILE}, names)


SEARCH = r"""
const fs = require("fs"), vm = require("vm");
const page = fs.readFileSync(0, "utf8");
const script = page.match(/<script>([^]*)<\/script>/)[1];
const unescape = (text) => text.replace(/<[^>]*>/g, " ").replace(/&lt;/g, "<").replace(/&gt;/g, ">")
  .replace(/&quot;/g, '"').replace(/&#39;/g, "'").replace(/&amp;/g, "&");
const element = () => ({hidden: false, dataset: {}, textContent: "", listeners: {}, off: new Set(),
  classList: {toggle() {}}, addEventListener(name, f) { this.listeners[name] = f; }});
const input = Object.assign(element(), {value: ""}), output = element(), svg = element();
const rows = [...page.matchAll(/<tr data-from="(\w+)" data-to="(\w+)"(?: data-edge="(\w+)") data-ports="([^"]*)"/g)]
  .map(([, from, to, edge, ports]) => Object.assign(element(), {dataset: {from, to, edge, ports}}));
const people = [...page.matchAll(/<tr id="(\w+)">(.*)<\/tr>/g)]
  .map(([, id, text]) => Object.assign(element(), {id, textContent: unescape(text)}));
const single = {input, svg, output}, several = {"tr[data-from]": rows, "tr[id]": people, "g[data-node]": []};
vm.runInNewContext(script, {document: {querySelector: (what) => single[what],
  querySelectorAll: (what) => several[what], getElementById: element}});
const found = {};
for (const words of JSON.parse(process.argv[1])) {
  input.value = words;
  input.listeners.input();
  found[words] = rows.filter((row) => !row.hidden).map((row) => [row.dataset.from, row.dataset.to]);
}
console.log(JSON.stringify(found));
"""


@unittest.skipUnless(shutil.which("node"), "there is no node to run the script of the page")
class Search(Drawn):
    """The script of the page, with as much of a document as it uses."""

    def test_search(self):
        page, document = self.draw("html"), json.loads(self.draw("json"))
        words = ["", "shop/web", "shop-web-2", "5432", "5432/tcp", "9005", "9005/udp", "shop/db 6432", "nobody", "udp", "2"]
        done = subprocess.run(["node", "-e", SEARCH, json.dumps(words)], input=page.encode(), capture_output=True,
                              timeout=60, check=True)
        names = {node["id"]: node["name"] for node in document["nodes"]}
        found = {word: {(names[a], names[b]) for a, b in rows} for word, rows in json.loads(done.stdout).items()}
        every = {(names[edge["from"]], names[edge["to"]]) for edge in document["edges"]
                 if not edge["grants"][0]["docker_blocks"]}
        self.assertEqual(found[""], every)
        self.assertEqual(found["shop/web"], {edge for edge in every if "shop/web" in edge})
        self.assertEqual(found["shop-web-2"], found["shop/web"])
        self.assertIn(("shop/web", "shop/db"), found["5432"])
        self.assertEqual(found["5432/tcp"], found["5432"])
        self.assertIn(("10.0.0.0/8", "shop/web"), found["9005"])
        self.assertNotIn(("10.0.0.0/8", "shop/web"), found["9005/udp"])
        self.assertEqual(found["shop/db 6432"], {("shop/web", "shop/db")})
        self.assertEqual(found["nobody"], set())
        self.assertIn(("shop/web", "shop/web"), found["udp"])
        # of a name "shop-web-2", and of addresses no part
        self.assertIn(("internet", "shop/web"), found["2"])
        self.assertNotIn(("worker", "lone"), found["2"])


class Usage(unittest.TestCase):
    def test_wrong_usage(self):
        for args, why in ((["--format", "svg"], "the formats are dot, mermaid, html and json"),
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
            done = graph("policies.yaml", inventory=bad)
            self.assertEqual((done.returncode, done.stdout), (1, b""))

    def test_without_a_daemon(self):
        done = subprocess.run([PROGRAM, "graph", "--control", HERE / "no.sock", HERE / "policies.yaml"],
                              capture_output=True, timeout=60, check=False)
        self.assertEqual((done.returncode, done.stdout), (1, b""))
        self.assertIn("the daemon does not run", done.stderr.decode())


if __name__ == "__main__":
    unittest.main()
