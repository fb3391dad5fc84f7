#include "tools/commands/report/metrics.h"

#include <string>
#include <vector>

#include "common/base/error.h"
#include "tests/support/testing.h"
#include "tools/commands/report/flat_json.h"

using namespace vitrine;
using vitrine::testing::TemporaryDirectory;
using vitrine::testing::write_whole;

namespace {

Metrics read(const std::string& content) {
  const TemporaryDirectory folder;
  write_whole(folder / "metrics.jsonl", content);
  return read_metrics(folder / "metrics.jsonl");
}

/// The members of a line as "key=value;", or "no" where the scan gives up.
std::string scanned(std::string_view line) {
  std::string out;
  const bool whole = scan_flat_object(line, [&](std::string_view key, const FlatValue& value) {
    using Kind = FlatValue::Kind;
    out += std::string(key) + "=" +
           (value.kind == Kind::kText     ? "'" + std::string(value.text) + "'"
            : value.kind == Kind::kNull   ? "null"
            : value.kind == Kind::kNumber ? text(value.number)
                                          : text(value.number, '!')) +
           ";";
  });
  return whole ? out : "no";
}

}  // namespace

TEST_CASE("flat objects are scanned, and all else is left to a full parser") {
  CHECK(scanned(R"({})") == "");
  CHECK(scanned(R"({"a":1,"b":-2.5e-3,"c":"x y","d":true,"e":false,"f":null})") ==
        "a=1;b=-0.0025;c='x y';d=1!;e=0!;f=null;");
  CHECK(scanned(" { \"a\" : 1 , \"\" : \"\" } \r") == "a=1;='';");
  for (const char* other : {"",
                            "{",
                            "[]",
                            "1",
                            R"({"a":1)",
                            R"({"a":1,)",
                            R"({"a":1,})",
                            R"({"a":})",
                            R"({"a" 1})",
                            R"({"a":[1]})",
                            R"({"a":{}})",
                            R"({"a":"\n"})",
                            R"({"a":1}x)",
                            R"({"a":nan})",
                            R"({"a":inf})",
                            R"({"a":1e999})",
                            R"({"a":tru})",
                            R"({a:1})",
                            R"({"a":"x)",
                            R"({"a":+1})"}) {
    CAPTURE(other);
    CHECK(scanned(other) == "no");
  }
}

TEST_CASE("steps, validations, phases and findings are read") {
  const Metrics metrics = read(
      R"({"event":"step","step":10,"epoch":1,"phase":"align","lr":0.01,"loss":2.5,"feature":1.5,"feature_weight":1,"seconds":3,"wait_share":0.25,"skipped":0}
{"event":"step","step":20,"epoch":1,"phase":"align","lr":0.005,"loss":2,"feature":1,"feature_weight":1,"seconds":6,"wait_share":0.5,"skipped":2}
{"event":"validation","step":20,"epoch":1,"phase":"align","images":50,"top1":0.25,"top5":0.5,"loss":3,"best":true,"validation_seconds":1}
{"event":"phase","step":20,"epoch":1,"phase":"align","findings":[{"kind":"terms","problem":false,"sentence":"The features' loss fell by 33 %."},"of another version",{"kind":"silent channels","problem":true,"sentence":"A \"quoted\" one."}]}
{"event":"step","step":30,"epoch":2,"phase":"joint","lr":0.05,"loss":1.5,"kl":0.5,"label":4,"distillation_weight":0.75,"seconds":9}
{"event":"validation","step":30,"epoch":2,"phase":"joint","images":50,"top1":0.125,"top5":0.5,"agreement":0.5,"best":false}
{"event":"end","step":30,"seconds":10,"top1":0.25,"on":"test"}
)");
  CHECK(metrics.lines == 7);
  CHECK(metrics.unread == 0);
  REQUIRE(metrics[StepKey::kLoss].buckets().size() == 3);
  CHECK(metrics[StepKey::kLoss].buckets()[1].x() == 20);
  CHECK(metrics[StepKey::kLoss].buckets()[1].mean() == 2);
  CHECK(metrics[StepKey::kFeature].count() == 2);
  CHECK(metrics[StepKey::kKl].count() == 1);
  CHECK(metrics[StepKey::kEmbedding].empty());
  CHECK(metrics[StepKey::kWaitShare].mean() == 0.375);
  CHECK(metrics[ValidationKey::kTop1].count() == 2);
  CHECK(metrics[ValidationKey::kLoss].last() == 3);
  CHECK(metrics[ValidationKey::kAgreement].last() == 0.5);
  REQUIRE(metrics.phases.size() == 2);
  CHECK(metrics.phases[0].name == "align");
  CHECK(metrics.phases[0].first == 10);
  CHECK(metrics.phases[0].last == 30);
  CHECK(metrics.phases[1].name == "joint");
  REQUIRE(metrics.best);
  CHECK(metrics.best->step == 20);
  CHECK(metrics.best->epoch == 1);
  CHECK(metrics.best->top1 == 0.25);
  CHECK_FALSE(metrics.best->agreement);
  REQUIRE(metrics.findings.size() == 2);
  CHECK(metrics.findings[0].sentence == "The features' loss fell by 33 %.");
  CHECK(metrics.findings[0].kind == "terms");
  CHECK_FALSE(metrics.findings[0].problem);
  CHECK(metrics.findings[1].sentence == "A \"quoted\" one.");
  CHECK(metrics.findings[1].problem);
  CHECK(metrics.findings[1].phase == "align");
  CHECK(metrics.findings[1].step == 20);
  CHECK(metrics.last_step == 30);
  CHECK(metrics.last_epoch == 2);
  CHECK(metrics.seconds == 9);
  CHECK(metrics.skipped_updates == 2);
}

TEST_CASE("lines that are cut off are counted, and those of another version are ignored") {
  const Metrics metrics = read(
      "{\"event\":\"step\",\"step\":1,\"loss\":1,\"new\":{\"nested\":[1]},\"other\":3}\n"
      "\n"
      "{\"event\":\"step\",\"step\":2,\"loss\":\"text\",\"lr\":true,\"kl\":null}\r\n"
      "{\"event\":\"step\",\"step\":3,\"lo\n"
      "\xff\xfe{{{\n"
      "[1,2]\n"
      "{\"event\":\"gpu\",\"step\":4,\"watts\":300}\n"
      "{\"step\":4,\"loss\":3}\n"
      "{\"event\":\"step\",\"step\":2,\"loss\":7}\n"
      "{\"event\":\"step\",\"loss\":7}\n"
      "{\"event\":\"phase\",\"findings\":\"none\"}\n"
      "{\"event\":\"validation\",\"step\":5,\"top1\":2,\"best\":true}\n"
      "{\"event\":\"step\",\"step\":5,\"loss\":2}\n"
      "{\"event\":\"step\",\"step\":6,\"loss\":0.");
  CHECK(metrics.unread == 4);
  CHECK(metrics.repeated == 2);
  REQUIRE(metrics[StepKey::kLoss].count() == 2);
  CHECK(metrics[StepKey::kLoss].last() == 2);
  CHECK(metrics.findings.empty());
  REQUIRE(metrics.best);
  CHECK_FALSE(metrics.best->top1);
  CHECK(metrics.last_step == 5);
}

TEST_CASE("lines across the blocks of reading are whole, and endless ones are not kept") {
  std::string content;
  const int lines = 30000;
  for (int i = 1; i <= lines; ++i)
    content += text("{\"event\":\"step\",\"step\":", i, ",\"loss\":", i, ",\"padding\":\"", std::string(i % 131, 'x'),
                    "\"}\n");
  REQUIRE(content.size() > std::size_t{3} << 20);
  CHECK(read(content)[StepKey::kLoss].count() == lines);
  CHECK(read(content)[StepKey::kLoss].mean() == (lines + 1) / 2.0);
  const Metrics endless =
      read("{\"event\":\"step\",\"step\":1,\"loss\":1}\n{\"x\":\"" + std::string(std::size_t{9} << 20, 'x') +
           "\"}\n{\"event\":\"step\",\"step\":2,\"loss\":1}\n");
  CHECK(endless.unread == 1);
  CHECK(endless[StepKey::kLoss].count() == 2);
}

TEST_CASE("an empty file has no curves, and a missing one is an error") {
  CHECK(read("").lines == 0);
  CHECK_THROWS_AS(read_metrics("/nonexistent/metrics.jsonl"), Error);
}
