// vitrine-bench inference: its networks, its timing, its peers. Figures of time are printed, not tested.
#include <ATen/ATen.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <optional>

#include "tests/support/message.h"
#include "tests/tools/export/random_student.h"
#include "tools/commands/bench/inference/contest.h"
#include "tools/commands/bench/inference/table.h"

using namespace vitrine;
using namespace vitrine::bench;
using vitrine::testing::CommandResult;
using vitrine::testing::executable;
using vitrine::testing::has;

namespace {

constexpr const char* kShortInference =
    " --rounds 1 --seconds 0 --threads 1 --batches 2 --classes 3 --width 8 --size 32 ";

CommandResult inference(const std::string& arguments) {
  return vitrine::testing::run("'" + executable("vitrine-bench") + "' inference " + arguments);
}

nlohmann::json figures_of(const std::string& arguments) {
  const CommandResult result = inference(arguments + kShortInference + "--json 2>/dev/null");
  CAPTURE(result.output);
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.output);
}

}  // namespace

TEST_CASE("bench inference: quantiles are samples by the nearest rank, and the best batch is by the median") {
  CHECK(quantile({3, 1, 2}, 0.5) == 2);
  CHECK(quantile({4, 3, 2, 1}, 0.5) == 2);
  CHECK(quantile({5}, 0.99) == 5);
  std::vector<double> hundred;
  for (int i = 1; i <= 100; ++i) hundred.push_back(i);
  CHECK(quantile(hundred, 0.99) == 99);
  CHECK(quantile(hundred, 1) == 100);
  Figures figures;
  figures.samples = {{1, {0.1, 0.1, 0.4}}, {8, {0.4, 0.5, 9}}, {32, {4, 4}}};
  CHECK(figures.best_batch() == 8);
  CHECK(figures.throughput() == doctest::Approx(16));
  CHECK(figures.latency(0.5) == 0.1);
  CHECK(figures.latency(0.99) == 0.4);
}

TEST_CASE("bench inference: work is called once to warm up, and at least twice more") {
  int calls = 0;
  CHECK(time_calls(0, [&] { ++calls; }).size() == 2);
  CHECK(calls == 3);
}

TEST_CASE("bench inference: memory growth is that of the work") {
  constexpr std::int64_t kBytes = 64 << 20;
  at::Tensor kept;
  const auto growth = peak_growth(at::kCPU, [&] { kept = at::ones({kBytes}, at::kByte); });
  if (!growth) return;  // a kernel that does not report it
  CHECK(*growth >= static_cast<std::uint64_t>(kBytes) * 9 / 10);
  CHECK(*growth < 2 * static_cast<std::uint64_t>(kBytes));
}

TEST_CASE("bench inference: every preparation of a network computes the same") {
  const Subject subject = random_resnet("resnet50", {.size = 48, .classes = 5, .width = 8});
  const at::Tensor x = random_pictures(2, subject.size);
  const at::Tensor exact = make_runner(subject, {.preparation = Preparation::kModule})(x);
  for (int step = 1; step <= static_cast<int>(Preparation::kPacked); ++step) {
    CAPTURE(step);
    const at::Tensor logits = make_runner(subject, {.preparation = static_cast<Preparation>(step), .batch = 2})(x);
    CHECK(((logits - exact).norm() / exact.norm()).item<double>() < 1e-5);
  }
}

TEST_CASE("bench inference: runs that differ in their weights only are one row; a teacher is another") {
  const vitrine::testing::TemporaryDirectory place;
  vitrine::testing::save_student(place / "plain.safetensors", vitrine::testing::resnet_record(), 1);
  vitrine::testing::save_student(place / "distilled.safetensors", vitrine::testing::resnet_record(), 2);
  const auto quoted = [&](const char* name) { return "'" + (place / name).string() + "' "; };
  const nlohmann::json json =
      figures_of(quoted("plain.safetensors") + quoted("distilled.safetensors") +
                 "resnet34 --teacher vit_tiny_patch32_64 --precision fp32 --peers none --steps");
  const nlohmann::json& networks = json.at("networks");
  REQUIRE(networks.size() == 3);
  CHECK(networks[0].at("network") == "vit_tiny_patch32_64");
  CHECK(networks[0].at("size") == 64);
  CHECK(has(networks[1].at("network").get<std::string>(), "plain.safetensors (resnet18), "));
  CHECK(has(networks[1].at("network").get<std::string>(), "distilled.safetensors (resnet18)"));
  CHECK(networks[2].at("network") == "resnet34, width 8");
  const NetworkCost cost = cost_of(ResNet("resnet18", 3, 8), 32, 32);
  CHECK(networks[1].at("parameters") == cost.parameters);
  CHECK(networks[1].at("multiply_adds") == cost.multiply_adds);
  for (const nlohmann::json& network : networks) {
    const nlohmann::json& figures = network.at("figures").at(0);
    CHECK(figures.at("runtime") == "vitrine");
    CHECK(figures.at("images_per_second").get<double>() > 0);
    CHECK(figures.at("latency_p99_seconds").get<double>() >= figures.at("latency_p50_seconds").get<double>());
    CHECK(figures.at("relative_error").get<double>() < 1e-5);
  }
  CHECK(networks[1].at("steps").size() == 5);
  CHECK(networks[1].at("steps").at(2).at("step") == "BatchNorm folded");
  CHECK_FALSE(networks[0].contains("steps"));
}

TEST_CASE(
    "bench inference: peers compute the same network, also of another width; one that has no such precision says so") {
  const CommandResult has_peers =
      vitrine::testing::run("'" + default_python().string() + "' -c 'import torchvision, onnxruntime'");
  REQUIRE(has_peers.exit_code == 0);
  const nlohmann::json json = figures_of("resnet50 --precision fp32 bf16 --peers torchvision onnxruntime");
  int compared = 0;
  for (const nlohmann::json& figures : json.at("networks").at(0).at("figures")) {
    CAPTURE(figures.dump());
    if (figures.at("precision") == "bf16" && figures.at("runtime") == "onnxruntime") {
      CHECK(figures.at("failed") == "has no bf16 on a CPU");
      continue;
    }
    if (figures.contains("failed")) {
      CHECK(figures.at("failed") == "not on this processor");
      continue;
    }
    CHECK(figures.at("relative_error").get<double>() < (figures.at("precision") == "fp32" ? 1e-5 : 0.05));
    ++compared;
  }
  CHECK(compared >= 3);
}

TEST_CASE("bench inference: a peer is told the device on which the others are") {
  const vitrine::testing::TemporaryDirectory place;
  const std::filesystem::path peer = place / "peer";
  vitrine::testing::write_whole(peer, R"(#!/bin/sh
while read -r line; do
  case $line in *'"device":"cpu"'*) echo '{"error": "would be on the CPU"}' ;; *) echo '{"error": "where?"}' ;; esac
done
)");
  std::filesystem::permissions(peer, std::filesystem::perms::owner_all);
  const nlohmann::json json =
      figures_of(text("resnet18 --precision fp32 --peers openvino --python '", peer.string(), "'"));
  CHECK(json.at("networks").at(0).at("figures").at(1).at("failed") == "would be on the CPU");
}

TEST_CASE("bench inference: peers have the LD_LIBRARY_PATH of the bundle's caller") {
  // A variable of this process, as long as this lives.
  struct Variable {
    const char* name;
    std::optional<std::string> before;
    Variable(const char* of, const char* value) : name(of) {
      if (const char* old = std::getenv(of)) before = old;
      value != nullptr ? setenv(of, value, 1) : unsetenv(of);
    }
    ~Variable() { before ? setenv(name, before->c_str(), 1) : unsetenv(name); }
  };
  const vitrine::testing::TemporaryDirectory place;
  const std::filesystem::path peer = place / "peer";
  vitrine::testing::write_whole(peer, R"(#!/bin/sh
answer() { echo "{\"path\": \"${LD_LIBRARY_PATH-none}\", \"callers\": \"${VITRINE_CALLER_LD_LIBRARY_PATH-none}\"}"; }
[ "$2" = once ] && { answer; exit; }
while read -r line; do answer; done
)");
  std::filesystem::permissions(peer, std::filesystem::perms::owner_all);
  const auto seen = [&](const char* path, const char* callers) {
    const Variable first("LD_LIBRARY_PATH", path), second("VITRINE_CALLER_LD_LIBRARY_PATH", callers);
    const nlohmann::json once = ask_peer(peer, "inference_peer.py", "once").value(),
                         staying = PeerProcess(peer, "inference_peer.py").ask({}).value();
    CHECK(once == staying);
    CHECK(once.at("callers") == "none");
    return once.at("path").get<std::string>();
  };
  CHECK(seen("/bundle/torch/lib:/own lib", "/own lib") == "/own lib");
  CHECK(seen("/bundle/torch/lib", "") == "none");
  CHECK(seen("/own", nullptr) == "/own");  // not from a bundle
}

TEST_CASE("bench inference: a peer's script that is not there is named") {
  CHECK(peer_script("inference_peer.py").filename() == "inference_peer.py");
  const std::string missing = vitrine::testing::message_of([] { peer_script("no_peer.py"); });
  CHECK(has(missing, "share/vitrine/peers/no_peer.py: is not there"));
  CHECK_FALSE(ask_peer(default_python(), "no_peer.py", ""));
}

TEST_CASE("bench inference: without Python the peers' rows say so, and the others stand") {
  const CommandResult result =
      inference(std::string("resnet18 --precision fp32 --python /nonexistent/python") + kShortInference);
  CAPTURE(result.output);
  CHECK(result.exit_code == 0);
  CHECK(has(result.output, "did not run: /nonexistent/python ended"));
  CHECK(has(result.output, "vitrine fp32"));
  CHECK_FALSE(has(result.output, ">= 90 %"));
}

TEST_CASE("bench inference: what is no network is refused in one sentence") {
  for (const auto& [arguments, part] : {std::pair{"resnet19", "unknown architecture \"resnet19\""},
                                        std::pair{"nowhere", "nowhere: is neither an architecture nor a run or a file"},
                                        std::pair{"resnet18 --teacher vit_tiny", "unknown architecture \"vit_tiny\""},
                                        std::pair{"resnet18 --precision int4", "--precision"},
                                        std::pair{"resnet18 --int8 nowhere.onnx", "nowhere.onnx"}}) {
    CAPTURE(arguments);
    const CommandResult result = inference(arguments);
    CAPTURE(result.output);
    CHECK(result.exit_code == 2);
    CHECK(has(result.output, part));
  }
}
