#include "tools/commands/bench/inference/contest.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "common/base/error.h"
#include "common/base/files.h"
#include "common/models/torch_errors.h"
#include "tools/commands/export/formats.h"

namespace vitrine::bench {
namespace {

constexpr const char* kInput = "input.f32";
constexpr const char* kWeights = "student.safetensors";
constexpr const char* kGraph = "student.onnx";
/// OpenMP's and ONNX Runtime's threads go on spinning for a while after a forward.
constexpr std::chrono::milliseconds kUntilThreadsSleep{250};

double relative_error(const at::Tensor& rough, const at::Tensor& exact) {
  return ((rough - exact).norm() / exact.norm()).item<double>();
}

}  // namespace

double Figures::latency(double p) const {
  return quantile(samples.at(1), p);
}

std::int64_t Figures::best_batch() const {
  const auto rate = [](const auto& one) { return static_cast<double>(one.first) / quantile(one.second, 0.5); };
  return std::ranges::max_element(samples, {}, rate)->first;
}

double Figures::throughput() const {
  const std::int64_t batch = best_batch();
  return static_cast<double>(batch) / quantile(samples.at(batch), 0.5);
}

/// Either a runner of this process or a network of the peer's.
class Contest::Contestant {
 public:
  Contestant(Runner runner, at::Tensor x) : runner_(std::move(runner)), x_(std::move(x)) {}
  Contestant(PeerProcess& peer, int number) : peer_(&peer), number_(number) {}
  ~Contestant() {
    if (peer_ != nullptr) peer_->ask({{"drop", number_}});
  }
  Contestant(const Contestant&) = delete;
  Contestant& operator=(const Contestant&) = delete;

  std::vector<double> time(double seconds) {
    if (peer_ == nullptr) return time_calls(seconds, [&] { runner_(x_); });
    const auto answer = peer_->ask({{"time", number_}, {"seconds", seconds}});
    if (!answer || !answer->contains("samples")) fail("a peer ended while it was timed; its message is above");
    return answer->at("samples").get<std::vector<double>>();
  }

 private:
  Runner runner_;
  at::Tensor x_;
  PeerProcess* peer_ = nullptr;
  int number_ = 0;
};

Contest::Contest(const ContestOptions& options) : options_(options) {
  std::vector<std::int64_t>& batches = options_.batches;
  batches.push_back(1);
  std::ranges::sort(batches);
  batches.erase(std::unique(batches.begin(), batches.end()), batches.end());
  at::set_num_threads(static_cast<int>(options_.threads));
}

std::string Contest::ask(const nlohmann::json& request, nlohmann::json& answer) {
  try {
    if (!peer_) peer_ = std::make_unique<PeerProcess>(options_.python, "inference_peer.py");
  } catch (const Error& error) {
    return text("did not run: ", error.what());
  }
  const auto reply = peer_->ask(request);
  if (!reply) {
    peer_.reset();
    return text("did not run: ", options_.python.string(), " ended");
  }
  answer = *reply;
  return answer.value("error", "");
}

nlohmann::json Contest::specification(const Subject& subject, std::int64_t batch, const Entry& entry) const {
  const WeightsRecord& record = subject.resnet->record;
  const std::filesystem::path onnx = entry.onnx.empty() ? files_ / kGraph : entry.onnx;
  return {{"runtime", entry.runtime},        {"precision", entry.precision},  {"arch", record.model.arch},
          {"width", record.model.width},     {"classes", record.class_count}, {"weights", (files_ / kWeights).string()},
          {"onnx", onnx.string()},           {"size", subject.size},          {"batch", batch},
          {"device", options_.device.str()}, {"threads", options_.threads},   {"input", (files_ / kInput).string()}};
}

void Contest::write_files(const Subject& subject, const std::vector<Entry>& entries, const at::Tensor& x) {
  if (std::ranges::all_of(entries, [](const Entry& entry) { return entry.runtime == kOwnRuntime; })) return;
  const at::Tensor pictures = x.cpu().contiguous();
  publish(files_ / kInput,
          {static_cast<const char*>(pictures.const_data_ptr()), static_cast<std::size_t>(pictures.nbytes())});
  write_safetensors(*subject.resnet, files_ / kWeights);
  write_onnx(*subject.resnet, GraphOptions{}, files_ / kGraph);
}

std::unique_ptr<Contest::Contestant> Contest::admit(const Subject& subject, std::int64_t batch, Figures& figures,
                                                    const at::Tensor& x, const at::Tensor& exact) {
  const Entry& entry = figures.entry;
  std::unique_ptr<Contestant> out;
  at::Tensor logits;
  if (entry.runtime == kOwnRuntime) {
    Runner runner;
    const std::optional<std::uint64_t> growth = peak_growth(options_.device, [&] {
      runner = make_runner(subject, {entry.precision, entry.preparation, batch, options_.device});
      logits = runner(x);
    });
    if (batch == 1) figures.memory = growth;
    out = std::make_unique<Contestant>(std::move(runner), x);
  } else {
    nlohmann::json answer;
    figures.failed = ask({{"load", specification(subject, batch, entry)}}, answer);
    if (!figures.failed.empty()) return nullptr;
    const auto values = answer.at("logits").get<std::vector<float>>();
    logits = at::tensor(values).view({batch, -1});
    if (batch == 1 && answer.contains("memory")) figures.memory = answer.at("memory").get<std::uint64_t>();
    out = std::make_unique<Contestant>(*peer_, answer.at("network").get<int>());
  }
  if (logits.sizes() != exact.sizes()) {
    figures.failed = text("gives logits of shape ", c10::str(logits.sizes()), ", not ", c10::str(exact.sizes()));
    return nullptr;
  }
  figures.error = std::max(figures.error, relative_error(logits.to(exact.device()), exact));
  return out;
}

std::vector<Figures> Contest::run(const Subject& subject, const std::vector<Entry>& entries) {
  std::vector<Figures> out;
  for (const Entry& entry : entries) out.push_back({.entry = entry});
  return with_torch_errors({"inference", "give a smaller --batches", ""}, [&] {
    const at::Tensor most = random_pictures(options_.batches.back(), subject.size).to(options_.device);
    write_files(subject, entries, most);
    for (const std::int64_t batch : options_.batches) {
      const at::Tensor x = most.narrow(0, 0, batch).clone();
      const at::Tensor exact =
          make_runner(subject, {.preparation = Preparation::kModule, .device = options_.device})(x);
      std::vector<std::unique_ptr<Contestant>> field;
      for (Figures& figures : out)
        field.push_back(figures.failed.empty() ? admit(subject, batch, figures, x, exact) : nullptr);
      for (int round = 0; round < options_.rounds; ++round)
        for (std::size_t i = 0; i < out.size(); ++i) {
          if (!field[i]) continue;
          std::this_thread::sleep_for(kUntilThreadsSleep);
          std::ranges::copy(field[i]->time(options_.seconds), std::back_inserter(out[i].samples[batch]));
        }
    }
    return out;
  });
}

}  // namespace vitrine::bench
