#include "common/models/inference/cuda_graph.h"

#include <ATen/ATen.h>

#include <ATen/core/dispatch/Dispatcher.h>

namespace vitrine {
namespace {

// Operators of libvitrine_cuda.so (common/kernels/cuda/graph.cpp), which exist once a GPU has been selected.
template <class Function>
auto graph_operator(const char* name) {
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Function>();
}

}  // namespace

CudaGraph::CudaGraph(const std::function<void()>& work) {
  handle_ = graph_operator<std::int64_t()>("vitrine::cuda_graph_new").call();
  constexpr int kWarmUps = 3;
  try {
    graph_operator<void(std::int64_t)>("vitrine::cuda_graph_enter").call(handle_);
    for (int i = 0; i < kWarmUps; ++i) work();
    graph_operator<void(std::int64_t)>("vitrine::cuda_graph_begin").call(handle_);
    work();
    graph_operator<void(std::int64_t)>("vitrine::cuda_graph_end").call(handle_);
  } catch (...) {
    graph_operator<void(std::int64_t)>("vitrine::cuda_graph_free").call(handle_);
    throw;
  }
}

CudaGraph::~CudaGraph() {
  graph_operator<void(std::int64_t)>("vitrine::cuda_graph_free").call(handle_);
}

void CudaGraph::replay() const {
  graph_operator<void(std::int64_t)>("vitrine::cuda_graph_replay").call(handle_);
}

}  // namespace vitrine
