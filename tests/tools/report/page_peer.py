"""Pages of vitrine-report, parsed by Python: well-formed as HTML and XML, with unique ids, and without anything that
is fetched or run. Strangers' names do not become markup; long runs do not make long pages."""
import html.parser
import json
import pathlib
import re
import tempfile
import xml.etree.ElementTree

from pages import make_run, page, report

VOID = {"meta", "img", "wbr"}  # of HTML; in SVG any element may close itself
SHAPES = {"path", "rect", "circle"}
MOST_BYTES = 5_000_000


class Checker(html.parser.HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.open, self.ids, self.tags, self.links, self.text = [], [], [], [], []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        names = [name for name, _ in attributes]
        assert len(names) == len(set(names)), f"<{tag}> has an attribute twice"
        for name, value in attributes:
            assert not name.startswith("on"), f"<{tag} {name}> is code"
            if name == "id":
                self.ids.append(value)
            if name in ("href", "src", "action", "data", "srcset"):
                self.links.append(value)
            assert name != "style", "styles are in the stylesheet"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        assert tag in VOID | SHAPES, f"<{tag}/> is no void element"
        self.handle_starttag(tag, attributes)
        if tag in SHAPES:
            self.open.pop()

    def handle_endtag(self, tag):
        assert self.open and self.open[-1] == tag, f"</{tag}> closes {self.open[-1:]}"
        self.open.pop()

    def handle_data(self, data):
        self.text.append(data)


def check(content):
    checker = Checker()
    checker.feed(content)
    checker.close()
    assert not checker.open, f"not closed: {checker.open}"
    assert len(checker.ids) == len(set(checker.ids)), f"ids are not unique: {checker.ids}"
    assert not {"script", "link", "iframe", "object", "embed", "base", "form"} & set(checker.tags)
    for link in checker.links:
        assert link.startswith("data:image/jpeg;base64,") or link[0] == "#" and link[1:] in checker.ids, link[:80]
    assert not re.search(r"https?:|//[a-z]|@import|url\(", content), "an address outside the page"
    assert not re.search(r"[^a-z](nan|inf)[^a-z]", content), "a number that is none"
    tree = xml.etree.ElementTree.fromstring(content)
    for svg in tree.iter("svg"):
        if svg.get("aria-hidden") != "true":
            assert svg.get("role") == "img" and len(svg.get("aria-label")) > 20, svg.attrib
    for image in tree.iter("img"):
        assert image.get("alt"), "an image without words"
    heads = [h.text for h in tree.iter("h2")]
    return tree, heads, "".join(checker.text)


def check_sections(root):
    tree, heads, text = check(page(root / "one.html", make_run(root / "one")))
    assert heads == ["Results", "Curves", "Notes", "Classes", "Hardest pictures", "Configuration"], heads
    assert "60.00" in text and "3 of 512 channels are dead." in text and "step 100: 2 <new> passes" in text
    charts = [caption.find("b").text for caption in tree.iter("figcaption")]
    assert charts == ["Accuracy", "Loss", "Terms of the loss", "Agreement with the teacher", "Learning rate",
                      "Weights of the loss", "Speed", "Waiting for data"], charts
    two = page(root / "two.html", root / "one", make_run(root / "two", top1=0.62, seed=5, batch=64))
    _, heads, text = check(two)
    assert "Differences of configuration" in heads and "two is the best of 2 runs" in text
    assert page(root / "again.html", root / "one", root / "two") == two, "a page is a function of its runs"


def check_strangers(root):
    hostile = "\"><script>alert('&')</script>\x01 &amp; \u202e\ud83d\ude00".encode("utf-16", "surrogatepass").decode("utf-16")
    folder = make_run(root / "<b>&\"' run", names=hostile, batch='"</style><script>"')
    metrics = folder / "metrics.jsonl"
    line = {"event": "phase", "step": 1, "epoch": 1, "phase": hostile, "findings": [{"kind": hostile, "problem": True, "sentence": hostile}, {"kind": "b", "sentence": "</section>"}]}
    metrics.write_text(json.dumps({"event": "step", "step": 1, "phase": hostile, "loss": 1}) + "\n" +
                       metrics.read_text() + json.dumps(line) + "\n")
    tree, _, text = check(page(root / "strangers.html", folder, root / "one"))
    assert "script" not in {element.tag for element in tree.iter()}
    assert "</style><script>" in text and "alert('&')" in text and "<b>&\"' run" in text


def check_size(root):
    """Curves of any length have bounded points, so six long runs with a thousand classes make a small page."""
    runs = [make_run(root / f"long{i}", steps=40_000, every=1, seed=i, classes=1000) for i in range(6)]
    content = page(root / "long.html", *runs)
    check(content)
    assert len(content) < MOST_BYTES, len(content)
    short = page(root / "short.html", *(make_run(root / f"short{i}", steps=4000, every=1, seed=i, classes=1000)
                                        for i in range(6)))
    assert len(content) < 1.2 * len(short), f"{len(content)} bytes for ten times the lines of {len(short)}"
    print(f"six runs: {len(content):,} bytes")


def check_refusals(root):
    (root / "nothing").mkdir()
    for arguments, word in (([root / "nothing"], "is not a run"), ([root / "absent"], "does not exist"),
                            ([root / "one", root / "two"], "-o FILE"), ([], "RUN")):
        refused = report(*arguments)
        assert refused.returncode == 2 and word in refused.stderr, (arguments, refused)
        assert refused.stderr.count("\n") == 1 and refused.stdout == "", refused
    assert list((root / "nothing").iterdir()) == []


with tempfile.TemporaryDirectory() as name:
    check_sections(pathlib.Path(name))
    check_strangers(pathlib.Path(name))
    check_size(pathlib.Path(name))
    check_refusals(pathlib.Path(name))
print("well-formed")
