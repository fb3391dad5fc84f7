// CUDA graphs as operators on a handle, for programs that do not link CUDA (common/models/inference/cuda_graph.h):
// new, enter a stream of the graph's own, begin and end the recording, which leaves that stream, replay, free.
#include <ATen/ATen.h>

#include <ATen/cuda/CUDAGraph.h>
#include <c10/cuda/CUDAFunctions.h>
#include <c10/cuda/CUDAStream.h>
#include <torch/library.h>

#include <cstdint>
#include <optional>

namespace vitrine {
namespace {

struct RecordedGraph {
  at::cuda::CUDAGraph graph;
  c10::cuda::CUDAStream own = c10::cuda::getStreamFromPool();
  std::optional<c10::cuda::CUDAStream> before;  // while `own` is the current stream

  void leave() {
    if (before) c10::cuda::setCurrentCUDAStream(*before);
    before.reset();
  }
};

RecordedGraph& graph_of(std::int64_t handle) {
  return *reinterpret_cast<RecordedGraph*>(handle);
}

std::int64_t new_graph() {
  return reinterpret_cast<std::int64_t>(new RecordedGraph());
}

void enter_graph(std::int64_t handle) {
  RecordedGraph& recorded = graph_of(handle);
  c10::cuda::device_synchronize();  // what the work reads has been written
  recorded.before = c10::cuda::getCurrentCUDAStream();
  c10::cuda::setCurrentCUDAStream(recorded.own);
}

void begin_graph(std::int64_t handle) {
  c10::cuda::device_synchronize();
  graph_of(handle).graph.capture_begin();
}

void end_graph(std::int64_t handle) {
  graph_of(handle).graph.capture_end();
  graph_of(handle).leave();
}

void replay_graph(std::int64_t handle) {
  graph_of(handle).graph.replay();
}

void free_graph(std::int64_t handle) {
  graph_of(handle).leave();
  delete &graph_of(handle);
}

}  // namespace

TORCH_LIBRARY_FRAGMENT(vitrine, m) {
  m.def("cuda_graph_new", new_graph);
  m.def("cuda_graph_enter", enter_graph);
  m.def("cuda_graph_begin", begin_graph);
  m.def("cuda_graph_end", end_graph);
  m.def("cuda_graph_replay", replay_graph);
  m.def("cuda_graph_free", free_graph);
}

}  // namespace vitrine
