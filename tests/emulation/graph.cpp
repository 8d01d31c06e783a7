#include "tests/emulation/graph.h"

#include <cuda_runtime_api.h>

#include <vector>

struct CUgraph_st {
  std::vector<std::function<void()>> work;
};
struct CUgraphExec_st {
  std::vector<std::function<void()>> work;
};

namespace reprise::emulation {
namespace {

thread_local CUgraph_st* capture = nullptr;
thread_local bool broken = false;

}  // namespace

bool captured(const std::function<void()>& work) {
  if (capture != nullptr) capture->work.push_back(work);
  return capture != nullptr;
}

bool breaks_capture() {
  broken |= capture != nullptr;
  return capture != nullptr;
}

}  // namespace reprise::emulation

using namespace reprise::emulation;

cudaError_t cudaStreamBeginCapture(cudaStream_t, cudaStreamCaptureMode) {
  if (capture != nullptr) return cudaErrorIllegalState;
  capture = new CUgraph_st;
  broken = false;
  return cudaSuccess;
}

cudaError_t cudaStreamEndCapture(cudaStream_t, cudaGraph_t* graph) {
  if (capture == nullptr) return cudaErrorIllegalState;
  *graph = capture;
  capture = nullptr;
  if (!broken) return cudaSuccess;
  delete *graph;
  *graph = nullptr;
  return cudaErrorStreamCaptureInvalidated;
}

cudaError_t cudaGraphInstantiate(cudaGraphExec_t* executable, cudaGraph_t graph, unsigned long long) {
  *executable = new CUgraphExec_st{graph->work};
  return cudaSuccess;
}

cudaError_t cudaGraphLaunch(cudaGraphExec_t executable, cudaStream_t) {
  if (breaks_capture()) return cudaErrorStreamCaptureUnsupported;
  for (const auto& work : executable->work) work();
  return cudaSuccess;
}

cudaError_t cudaGraphDestroy(cudaGraph_t graph) {
  delete graph;
  return cudaSuccess;
}
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t executable) {
  delete executable;
  return cudaSuccess;
}
