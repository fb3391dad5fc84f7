// A piece of GPU work that is recorded once and started again as a whole (a CUDA graph): of a small batch's time on a
// GPU most is spent on starting kernels.
#ifndef VITRINE_COMMON_MODELS_INFERENCE_CUDA_GRAPH_H_
#define VITRINE_COMMON_MODELS_INFERENCE_CUDA_GRAPH_H_

#include <cstdint>
#include <functional>

namespace vitrine {

/// Needs a GPU from select_device(), which must be PyTorch's current device. Not thread-safe.
class CudaGraph {
 public:
  /// Calls `work` three times to warm up (cuDNN's choice of algorithms, workspaces) and once to record it. It must
  /// not wait for the GPU or copy to the host, and its tensors must live as long as the graph: replay() reads and
  /// writes their memory. Lets LibTorch's exceptions through.
  explicit CudaGraph(const std::function<void()>& work);
  ~CudaGraph();
  CudaGraph(const CudaGraph&) = delete;
  CudaGraph& operator=(const CudaGraph&) = delete;

  /// Starts the recorded work on the current stream.
  void replay() const;

 private:
  std::int64_t handle_ = 0;
};

}  // namespace vitrine

#endif  // VITRINE_COMMON_MODELS_INFERENCE_CUDA_GRAPH_H_
