// Times networks in several runtimes in turn.
#ifndef VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_CONTEST_H_
#define VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_CONTEST_H_

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "common/base/temporary.h"
#include "tools/commands/bench/inference/runner.h"
#include "tools/commands/bench/inference/subject.h"
#include "tools/commands/bench/peer.h"

namespace vitrine::bench {

/// The name of this project's runtime beside "torchvision", "torch.compile", "onnxruntime" and "openvino".
inline constexpr const char* kOwnRuntime = "vitrine";

/// One network in one runtime and precision.
struct Entry {
  std::string runtime = kOwnRuntime;
  std::string precision = "fp32";                  ///< fp32, bf16, fp16, and int8 with `onnx`, on a CPU
  Preparation preparation = Preparation::kPacked;  ///< of kOwnRuntime
  std::filesystem::path onnx;  ///< of onnxruntime and openvino, instead of the network's export; or empty
};

struct Figures {
  Entry entry;
  std::map<std::int64_t, std::vector<double>> samples;  ///< seconds per forward, by batch
  std::optional<std::uint64_t> memory;  ///< peak growth from making it to its first forward; not of a peer on a CPU
  double error = 0;                     ///< of its logits from the FP32 module's, relative
  std::string failed;                   ///< the reason if there are no samples; else empty

  double latency(double p) const;  ///< seconds at batch 1, of that quantile
  /// Pictures per second at the best batch, by the median; and that batch.
  double throughput() const;
  std::int64_t best_batch() const;
};

struct ContestOptions {
  std::vector<std::int64_t> batches = {1, 8, 32};  ///< of throughput; 1 is always measured
  int rounds = 3;
  double seconds = 1;  ///< of each entry's turn in a round
  std::uint32_t threads = 1;
  at::Device device = at::kCPU;
  std::filesystem::path python;  ///< of the peers
};

/// Measures all entries of one network at each batch: rounds over the entries, so that what else the machine does meets
/// each of them, on one device. An entry that cannot run (a peer that is not installed, a precision that it does not
/// have) has `failed`. Makes the files that peers need in a temporary directory.
class Contest {
 public:
  explicit Contest(const ContestOptions& options);
  std::vector<Figures> run(const Subject& subject, const std::vector<Entry>& entries);

 private:
  /// Of one entry at one batch.
  class Contestant;
  std::unique_ptr<Contestant> admit(const Subject& subject, std::int64_t batch, Figures& figures, const at::Tensor& x,
                                    const at::Tensor& exact);
  std::string ask(const nlohmann::json& request, nlohmann::json& answer);
  void write_files(const Subject& subject, const std::vector<Entry>& entries, const at::Tensor& x);
  nlohmann::json specification(const Subject& subject, std::int64_t batch, const Entry& entry) const;

  ContestOptions options_;
  TemporaryDirectory files_;
  std::unique_ptr<PeerProcess> peer_;
};

}  // namespace vitrine::bench

#endif  // VITRINE_TOOLS_COMMANDS_BENCH_INFERENCE_CONTEST_H_
