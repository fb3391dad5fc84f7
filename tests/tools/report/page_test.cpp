#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <tuple>

#include "common/base/error.h"
#include "common/base/hash.h"
#include "tests/support/message.h"
#include "tests/support/testing.h"
#include "tools/commands/report/chart.h"
#include "tools/commands/report/command.h"
#include "tools/commands/report/configuration.h"
#include "tools/commands/report/html.h"
#include "tools/commands/report/run_evaluation.h"
#include "tools/commands/report/page.h"

using namespace vitrine;
using vitrine::testing::has;
using vitrine::testing::message_of;
using vitrine::testing::read_whole;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

namespace {

struct ReportFixture {
  TemporaryDirectory folder;
  std::filesystem::path root = folder.path();

  std::string run(const std::string& name, double top1, const std::string& configuration = "batch = 4\n") const {
    std::string lines;
    for (int step = 1; step <= 40; ++step)
      lines += text("{\"event\":\"step\",\"step\":", step,
                    ",\"epoch\":1,\"phase\":\"joint\",\"lr\":0.1,\"loss\":", 4.0 / step,
                    ",\"kl\":1,\"wait_share\":0.5,\"seconds\":", step, "}\n");
    lines += text("{\"event\":\"validation\",\"step\":40,\"epoch\":1,\"top1\":", top1, ",\"top5\":1,\"best\":true}\n");
    write_whole(root / name / "metrics.jsonl", lines);
    write_whole(
        root / name / "summary.json",
        text("{\"steps\":40,\"images_seen\":160,\"wall_seconds\":40,\"evaluated_on\":\"test\",\"evaluated_images\":100,"
             "\"top1\":",
             top1, ",\"top5\":1}"));
    write_whole(root / name / "config.toml", configuration);
    return (root / name).string();
  }
  int report(const std::vector<std::string>& arguments) const {
    std::vector<const char*> argv{"vitrine-report"};
    for (const std::string& one : arguments) argv.push_back(one.c_str());
    return report_command(static_cast<int>(argv.size()), argv.data(), [](const auto&, const auto&) {});
  }
};

RunEvaluation sample_evaluation() {
  RunEvaluation out;
  out.weights = "best.safetensors";
  out.about = "step 3";
  out.folder = "images/test";
  out.teacher = "vit";
  out.loss_of = "cross entropy with the label";
  out.images = 5;
  out.left_out = 1;
  out.top1 = 0.4, out.top5 = 1, out.agreement = 0.6, out.loss = 1.25;
  out.classes = {{"cat", 3, 2}, {"<dog>", 2, 0}};
  out.hardest = {{"a/1.jpg",
                  "cat",
                  7.5,
                  {{"<dog>", 0.9}},
                  {{"cat", 1}},
                  "data:image/jpeg;base64,AAAA",
                  "data:image/jpeg;base64,BBBB",
                  ""}};
  return out;
}

}  // namespace

TEST_CASE("text is escaped, and what no page may hold is replaced") {
  CHECK(escaped("a<b>&\"'c") == "a&lt;b&gt;&amp;&quot;&#39;c");
  CHECK(escaped("Grüße 模型") == "Grüße 模型");
  const std::string bad = "\xEF\xBF\xBD";
  CHECK(escaped(std::string_view("a\0b\x1b\x7f", 5)) == "a" + bad + "b" + bad + bad);
  CHECK(escaped("\xff\xc3") == bad + bad);
  CHECK(escaped("\xEF\xBF\xBF") == bad);
  CHECK(escaped("tab\tline\n") == "tab\tline\n");
  CHECK(shortened("Grüße", 5) == "Grüße");
  CHECK(shortened("Grüße!", 5) == "Grüß…");
}

TEST_CASE("a table's rows go into columns in their order, with heads above each") {
  Table table;
  table.head = {{"Key"}, {"Value"}};
  for (const char* name : {"a", "b", "c", "d", "e", "f", "g", "h", "i"}) table.rows.push_back({{name}, {"1"}});
  const auto count = [](const std::string& html, const std::string& part) {
    std::size_t found = 0;
    for (std::size_t at = html.find(part); at != std::string::npos; at = html.find(part, at + 1)) ++found;
    return found;
  };
  const std::string html = table.html_in_columns(2);
  CHECK(count(html, "<table>") == 2);
  CHECK(count(html, "<thead>") == 2);
  CHECK(count(html, "<th scope=\"row\">") == 9);
  CHECK(html.find(">e<") < html.rfind("<table>"));
  CHECK(html.find(">f<") > html.rfind("<table>"));
  table.rows.resize(3);  // too few for two columns
  CHECK(count(table.html_in_columns(2), "<table>") == 1);
  table.rows.clear();
  CHECK(count(table.html_in_columns(2), "<table>") == 1);
}

TEST_CASE("ticks are round numbers inside the range") {
  CHECK(round_ticks(0, 10, 5) == std::vector<double>{0, 2, 4, 6, 8, 10});
  CHECK(round_ticks(0.13, 0.52, 4).size() == 4);
  CHECK(round_ticks(0.13, 0.52, 4)[0] == doctest::Approx(0.2));
  CHECK(round_ticks(-1, 1, 4) == std::vector<double>{-1, -0.5, 0, 0.5, 1});
  CHECK(round_ticks(3, 3, 4).size() == 1);
  CHECK(tick_words(0.25, 0.05) == "0.25");
  CHECK(tick_words(0.3, 0.1) == "0.3");
  CHECK(tick_words(20000, 5000) == "20k");
  CHECK(tick_words(1500000, 500000) == "1.5M");
  CHECK(tick_words(600, 200) == "600");
  CHECK(tick_words(0, 1) == "0");
}

TEST_CASE("a chart has axes with units, a legend, and says in words what it shows") {
  Series a, b;
  for (int i = 0; i <= 1000; ++i) a.add(i, i), b.add(i, 1000 - i);
  Chart chart{"Loss <1>", "nats", {{"one & only", 0, &a, 1, false, true}, {"two", 9, &b}}, {{"joint", 0, 500}}, {}};
  const std::string html = chart_html(chart);
  for (const char* part :
       {"role=\"img\"", "aria-label=\"Loss &lt;1&gt;, nats, by step. Phase joint from 0 to 500. one &amp; only: ",
        "<b>Loss &lt;1&gt;</b>", "<span>nats</span>", "class=\"legend\"", ">200</text>", ">1000</text>",
        "class=\"phase\"", ">joint</text>", "class=\"band c0\"", "class=\"line c0 d0\"", "class=\"line c1 d2\""}) {
    CAPTURE(part);
    CHECK(has(html, part));
  }
  CHECK_FALSE(has(html, "nan"));
  CHECK_FALSE(has(html, "inf"));
  CHECK(chart_html({"nothing", "", {{"none", 0, nullptr}}}).empty());
}

TEST_CASE("constant, single and huge values make charts of finite coordinates") {
  for (const double value : {0.0, 1.0, -2.5, 1e-300, 1e300}) {
    CAPTURE(value);
    Series series;
    series.add(5, value);
    for (const bool logarithmic : {false, true}) {
      Chart chart{"t", "", {{"l", 0, &series}}};
      chart.logarithmic = logarithmic;
      const std::string html = chart_html(chart);
      CHECK(has(html, "<circle"));
      CHECK_FALSE(has(html, "nan"));
      CHECK_FALSE(has(html, "inf"));
    }
  }
}

TEST_CASE("values over more than two decades get a logarithmic axis where that is asked for") {
  Series series;
  for (int i = 0; i < 5; ++i) series.add(i, std::pow(10, -i));
  Chart chart{"t", "", {{"l", 0, &series}}};
  CHECK_FALSE(has(chart_html(chart), ">0.01</text>"));
  chart.logarithmic = true;
  CHECK(has(chart_html(chart), ">0.01</text>"));
}

TEST_CASE("configurations differ in keys that are absent, too") {
  const Settings a{{"batch", "4"}, {"loss.temperature", "4.0"}, {"output", "a"}, {"old", ""}};
  const Settings b{{"loss.temperature", "2.0"}, {"batch", "4"}, {"output", "b"}, {"new", "1"}};
  const auto found = differing_settings({&a, &b}, {"output"});
  REQUIRE(found.size() == 3);
  CHECK(found[0].key == "loss.temperature");
  CHECK(found[0].values == std::vector<std::string>{"4.0", "2.0"});
  CHECK(found[1].key == "old");
  CHECK(found[2].key == "new");
  CHECK(found[2].values == std::vector<std::string>{"", "1"});
}

TEST_CASE_FIXTURE(ReportFixture, "settings have the order of the file and no quotes") {
  write_whole(root / "c.toml",
              "b = 0.9\na = \"x y\"\n[z]\nlist = [1, 0.9]\nnames = ['a', 'b']\nnone = []\n[y.deep]\nflag = true\n");
  CHECK(read_settings(root / "c.toml") == Settings{{"b", "0.9"},
                                                   {"a", "x y"},
                                                   {"z.list", "[ 1, 0.9 ]"},
                                                   {"z.names", "[ 'a', 'b' ]"},
                                                   {"z.none", "[]"},
                                                   {"y.deep.flag", "true"}});
  write_whole(root / "d.toml", "a = = 1\n");
  CHECK(has(message_of([&] { read_settings(root / "d.toml"); }), "d.toml: line 1 is not TOML; restore the file"));
}

TEST_CASE_FIXTURE(ReportFixture, "an evaluation is read as it was written; pictures that are none are damage") {
  CHECK_FALSE(read_evaluation(root));
  write_evaluation(root, sample_evaluation());
  const auto back = read_evaluation(root);
  REQUIRE(back);
  CHECK(back->folder == "images/test");
  CHECK(back->top1 == 0.4);
  CHECK_FALSE(back->calibration_error);
  CHECK(back->classes[1].name == "<dog>");
  CHECK(back->classes[0].right == 2);
  REQUIRE(back->hardest.size() == 1);
  CHECK(back->hardest[0].student[0].probability == 0.9);
  CHECK(back->hardest[0].student_map == "data:image/jpeg;base64,BBBB");
  CHECK(back->hardest[0].teacher_map.empty());
  const std::string good = read_whole(root / "evaluation.json");
  const auto damaged = [&](const std::string& from, const std::string& to) {
    std::string bytes = good;
    bytes.replace(bytes.find(from), from.size(), to);
    write_whole(root / "evaluation.json", bytes);
    return message_of([&] { read_evaluation(root); });
  };
  CHECK(has(damaged("data:image/jpeg;base64,AAAA", "javascript:alert(1)"), "hardest.picture is not a JPEG"));
  CHECK(has(damaged("AAAA", "AA\\\"onload=x"), "hardest.picture is not a JPEG"));
  CHECK(has(damaged("\"version\": 1", "\"version\": 2"), "newer version"));
  CHECK(has(damaged("\"top1\": 0.4", "\"top1\": 4"), "top1 = 4 is not allowed"));
  CHECK(has(damaged("{", "["), "evaluation.json: "));
}

TEST_CASE_FIXTURE(ReportFixture, "an evaluation of weights that have changed since is pointed out") {
  const std::string a = run("a", 0.5), weights = (root / "a/exported/best.safetensors").string();
  write_whole(weights, "weights");
  RunEvaluation evaluation = sample_evaluation();
  evaluation.weights = weights;
  evaluation.weights_sha256 = sha256_hex("weights");
  write_evaluation(a, evaluation);
  CHECK(read_runs({a})[0].problems.empty());
  write_whole(weights, "others");
  const std::vector<std::string> problems = read_runs({a})[0].problems;
  REQUIRE(problems.size() == 1);
  CHECK(has(problems[0], "evaluation.json: is of weights that " + weights + " no longer has; evaluate"));
  evaluation.weights = "from/another/folder/exported/best.safetensors";
  write_evaluation(a, evaluation);
  CHECK(read_runs({a})[0].problems == problems);
  write_whole(weights, "weights");
  CHECK(read_runs({a})[0].problems.empty());
  std::filesystem::remove(weights);
  const Run lost = read_runs({a})[0];
  CHECK(lost.evaluation);
  REQUIRE(lost.problems.size() == 1);
  CHECK(has(lost.problems[0], "evaluation.json: may be outdated: its weights, " + weights + ", are not there"));
}

TEST_CASE_FIXTURE(ReportFixture, "one run has its page in its directory, several need a name") {
  const std::string a = run("a", 0.5), b = run("b", 0.625);
  CHECK(report({a}) == 0);
  const std::string page = read_whole(root / "a/report.html");
  CHECK(has(page, "<td class=\"n\">50.00</td>"));
  CHECK(has(page, "vitrine-report " + a + " --evaluate"));
  CHECK(has(message_of([&] { report({a, b}); }), "needs a name"));
  const std::string both = (root / "both.html").string();
  CHECK(report({a, b, "-o", both}) == 0);
  const std::string html = read_whole(both);
  CHECK(has(html, "b is the best of 2 runs: 62.50\u202f% top-1 on the 100 test images, 12.5 points more than a."));
  CHECK(has(html, "<td class=\"n best\">62.50<small>+12.50</small></td>"));
  CHECK(has(html, "The configurations are equal"));
}

TEST_CASE_FIXTURE(ReportFixture, "a distilled run is compared with the same network from labels alone") {
  const std::string network = "model.arch = 'resnet18'\n", from = "targets.source = ";
  const std::string student = run("student", 0.625, network + from + "'cache'\n"),
                    plain = run("plain", 0.5, network + from + "'none'\n"),
                    better = run("better", 0.75, network + from + "'none'\n"),
                    larger = run("larger", 0.875, "model.arch = 'resnet50'\n" + from + "'none'\n");
  const auto notes = [](const std::vector<std::string>& runs) { return notes_section(read_runs(runs)).html; };
  CHECK(has(notes({student, plain, larger}),
            "<li>top-1 is 12.5 points above that of plain, the same network from labels alone</li>"));
  const std::string lost = notes({student, plain, better});
  CHECK(has(lost, "<strong>Warning:</strong> top-1 is 12.5 points below that of better, the same network from labels"));
  CHECK_FALSE(has(lost, "above that of plain"));
  const std::string equal = run("equal", 0.625, network + from + "'none'\n");
  CHECK(has(notes({student, equal}),
            "<strong>Warning:</strong> top-1 is no better than that of equal, the same network"));
  CHECK_FALSE(has(notes({student, larger}), "labels alone"));
}

TEST_CASE_FIXTURE(ReportFixture, "--dry-run makes the page, and writes none") {
  const std::string a = run("a", 0.5);
  CHECK(report({a, "--dry-run"}) == 0);
  CHECK_FALSE(std::filesystem::exists(root / "a/report.html"));
  const std::string command = "'" + vitrine::testing::executable("vitrine-report") + "' '" + a + "' --dry-run";
  CHECK(has(vitrine::testing::run(command).output, "would write " + a + "/report.html: "));
  // The page's size depends on what the evaluation will find.
  CHECK(vitrine::testing::run(command + " --evaluate").output ==
        "would write " + a + "/evaluation.json\nwould write " + a + "/report.html\n");
  CHECK(has(message_of([&] { report({(root / "nowhere").string(), "--dry-run"}); }), "does not exist"));
}

TEST_CASE_FIXTURE(ReportFixture, "tables of up to three runs are in two columns, those of more have the page's width") {
  std::vector<std::string> runs;
  for (const char* name : {"a", "b", "c", "d"}) {
    runs.push_back(run(name, 0.5));
    CHECK(has(result_section(read_runs(runs)).html, "<div class=\"columns\">") == (runs.size() <= 3));
  }
  CHECK(has(page_html(read_runs(runs)), "section > .scroll > table { width: 100%; }"));
}

TEST_CASE_FIXTURE(ReportFixture, "figures on different images are not compared, however many there are of them") {
  const std::string a = run("a", 0.5), b = run("b", 0.625);
  const auto compared = [&](const std::string& images_of_a, const std::string& images_of_b) {
    for (const auto& [name, top1, images] : {std::tuple("a", 0.25, images_of_a), {"b", 0.75, images_of_b}})
      write_whole(root / name / "summary.json",
                  text("{\"steps\":40,\"evaluated_on\":\"test\",\"evaluated_images\":100,\"top1\":", top1,
                       ",\"test_images\":{", images, "}}"));
    const std::vector<Run> runs = read_runs({a, b});
    const bool in_lead = has(lead_html(runs), "b is the best of 2 runs");
    CHECK(in_lead == !has(lead_html(runs), "not measured on the same images"));
    CHECK(in_lead == has(result_section(runs).html, "<td class=\"n best\">75.00<small>+50.00</small></td>"));
    return in_lead;
  };
  CHECK(compared("\"folder\":\"/x\",\"hash\":\"1\"", "\"folder\":\"/y\",\"hash\":\"1\""));
  CHECK_FALSE(compared("\"folder\":\"/x\",\"hash\":\"1\"", "\"folder\":\"/x\",\"hash\":\"2\""));
  CHECK_FALSE(compared("\"folder\":\"/x\"", "\"folder\":\"/y\",\"hash\":\"1\""));
  CHECK(compared("", "\"folder\":\"/y\",\"hash\":\"1\""));
}

TEST_CASE_FIXTURE(ReportFixture, "what is missing or damaged is left out with a sentence") {
  const std::string a = run("a", 0.5);
  write_whole(root / "a/summary.json", "{\"steps\":40,\"top1\":7,\"wall_seconds\":\"long\"");
  write_whole(root / "a/evaluation.json", "{}");
  write_whole(root / "a/config.toml", "[targets]\nsource = \"cache\"\ncache = \"/nonexistent/cache\"\n");
  CHECK(report({a}) == 0);
  const std::string page = read_whole(root / "a/report.html");
  CHECK(has(page, "summary.json: is no JSON object, or is cut off"));
  CHECK(has(page, "evaluation.json: version is missing"));
  CHECK(has(page, "/nonexistent/cache: the run&#39;s cache is not there"));
  CHECK(has(page, "not finished, at step 40"));
  write_whole(root / "a/summary.json", "{\"steps\":40,\"top1\":7,\"wall_seconds\":\"long\",\"later\":[1]}");
  CHECK(report({a}) == 0);
  CHECK(has(read_whole(root / "a/report.html"), "summary.json: top1 is not a share in [0, 1] and is left out"));
  std::filesystem::remove(root / "a/metrics.jsonl");
  std::filesystem::remove(root / "a/config.toml");
  CHECK(report({a}) == 0);
  CHECK(has(read_whole(root / "a/report.html"), "metrics.jsonl: is missing, so there are no curves"));
}

TEST_CASE_FIXTURE(ReportFixture, "a directory that is not a run, and one given twice, are refused in a sentence") {
  const std::string a = run("a", 0.5);
  std::filesystem::create_directories(root / "empty");
  const auto refused = [&](const std::string& directory) {
    return message_of([&] { report({directory, "-o", (root / "page.html").string()}); });
  };
  CHECK(has(refused((root / "empty").string()),
            "empty: is not a run: it has neither metrics.jsonl nor summary.json; give "));
  CHECK(has(refused((root / "none").string()), "none: does not exist; give "));
  CHECK(has(refused(a + "/config.toml"), "config.toml: is not a directory; give "));
  CHECK(has(message_of([&] { report({a, a + "/", "-o", (root / "page.html").string()}); }), "is given twice"));
  CHECK(has(message_of([&] { report({a, "-o", (root / "empty").string()}); }), "empty: is a directory; give "));
  CHECK_FALSE(std::filesystem::exists(root / "page.html"));
}

TEST_CASE_FIXTURE(ReportFixture, "runs of the same name are distinguished by their folders") {
  const std::string a = run("x/full", 0.5), b = run("y/full", 0.25);
  const std::vector<Run> runs = read_runs({a, b + "/."});
  CHECK(runs[0].name == "x/full");
  CHECK(runs[1].name == "y/full");
  CHECK(read_runs({a})[0].name == "full");
}

TEST_CASE_FIXTURE(ReportFixture, "phases are shaded where all runs have the same, else each run has a strip") {
  const std::string a = run("a", 0.5), b = run("b", 0.25);
  const std::string same = curves_section(read_runs({a, b})).html;
  CHECK(has(same, "<rect class=\"phase\""));
  CHECK_FALSE(has(same, "class=\"lane"));
  std::string lines = read_whole(root / "b/metrics.jsonl");
  for (std::size_t at = 0; (at = lines.find("joint", at)) < lines.find("\"step\":21,");) lines.replace(at, 5, "align");
  write_whole(root / "b/metrics.jsonl", lines);
  const std::string different = curves_section(read_runs({a, b})).html;
  CHECK_FALSE(has(different, "<rect class=\"phase\""));
  CHECK(has(different, "<title>b, align</title>"));
  CHECK(has(different, "<title>a, joint</title>"));
  CHECK(has(different, "b: align to step 21, joint to step 40"));
}

TEST_CASE_FIXTURE(
    ReportFixture,
    "of findings of one kind only the last is shown, problems are marked, and all of them are there on demand") {
  const std::string a = run("a", 0.5);
  std::string lines = read_whole(root / "a/metrics.jsonl");
  for (int epoch = 1; epoch <= 3; ++epoch)
    lines +=
        text("{\"event\":\"phase\",\"step\":", 10 * epoch, ",\"epoch\":", epoch,
             ",\"phase\":\"joint\",\"findings\":[{\"kind\":\"terms\",\"problem\":false,\"sentence\":\"KL is 0.", epoch,
             "\"}", epoch == 2 ? ",{\"kind\":\"none\",\"problem\":true,\"sentence\":\"nothing learnt\"}" : "", "]}\n");
  write_whole(root / "a/metrics.jsonl", lines);
  const std::string notes = notes_section(read_runs({a})).html;
  const std::string shown = notes.substr(0, notes.find("<details>")), all = notes.substr(shown.size());
  CHECK_FALSE(has(shown, "KL is 0.2"));
  CHECK(has(shown, "KL is 0.3 <span class=\"soft\">(joint, epoch 3, step 30)</span>"));
  CHECK(shown.find("<strong>Warning:</strong> nothing learnt") < shown.find("KL is 0.3"));
  CHECK_FALSE(has(shown, "<strong>Warning:</strong> KL"));
  CHECK(has(all, "All 4 findings"));
  CHECK(has(all, "KL is 0.1"));
}

TEST_CASE_FIXTURE(ReportFixture,
                  "the page says which weights the figures are of, and has commands that a shell reads back") {
  const std::string old = run("a run", 0.5), best = run("b", 0.625);
  std::string summary = read_whole(root / "b/summary.json");
  summary.insert(1,
                 "\"weights\":\"best\",\"last_top1\":0.375,\"last_top5\":0.875,"
                 "\"best\":{\"chosen_by\":\"top1\",\"score\":0.75,\"step\":30,\"epoch\":3},");
  write_whole(root / "b/summary.json", summary);
  CHECK(report({best}) == 0);
  const std::string page = read_whole(root / "b/report.html");
  for (const char* words : {"100 test images, with its best weights", "Weights evaluated", "the best, of epoch 3",
                            "Top-1 of the last weights there, %", "37.50", "87.50"})
    CHECK(has(page, words));
  CHECK(report({old}) == 0);
  const std::string earlier = read_whole(root / "a run/report.html");
  CHECK(has(earlier, "the last"));
  CHECK_FALSE(has(earlier, "of the last weights there"));
  CHECK(has(earlier, "vitrine-report " + escaped("'" + old + "'") + " --evaluate"));
}

TEST_CASE_FIXTURE(ReportFixture, "runs measured on different images are not ranked") {
  const std::string a = run("a", 0.5), b = run("b", 0.25);
  std::string summary = read_whole(root / "b/summary.json");
  summary.replace(summary.find("100"), 3, "200");
  write_whole(root / "b/summary.json", summary);
  CHECK(has(lead_html(read_runs({a, b})), "not measured on the same images"));
}

TEST_CASE_FIXTURE(ReportFixture, "classes of evaluated runs are compared, and pictures shown with what was seen") {
  const std::string a = run("a", 0.5), b = run("b", 0.25);
  RunEvaluation evaluation = sample_evaluation();
  write_evaluation(a, evaluation);
  evaluation.classes[1].right = 1;
  write_evaluation(b, evaluation);
  const std::vector<Run> runs = read_runs({a, b});
  const std::string classes = classes_section(runs).html;
  CHECK(classes.find("&lt;dog&gt;") < classes.find(">cat<"));  // the larger difference first
  CHECK(has(classes, "<td class=\"n best\">50.0<small>+50.0</small></td>"));
  const std::string pictures = pictures_section(runs).html;
  CHECK(has(pictures, "<img src=\"data:image/jpeg;base64,BBBB\" alt=\"Student\u2019s Grad-CAM of a/1.jpg\"/>"));
  CHECK_FALSE(has(pictures, "attention of a/1.jpg"));
  CHECK(has(pictures, "&lt;dog&gt; 90\u202f%"));
}
