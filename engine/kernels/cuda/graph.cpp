// Captured steps: implements gpu::Graph by CUDA graphs.
#include <cuda_runtime_api.h>

#include <utility>

#include "engine/base/block_pool.h"
#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/kernels/cuda/runtime.h"

namespace reprise::kernels::cuda {
namespace {

thread_local bool capturing = false;

}  // namespace

void forbid_in_capture(const char* what) {
  REPRISE_INVARIANT(!capturing, "cuda:{}: {} inside a captured step; REPRISE_GRAPH=0 runs steps plainly",
                    current_device(), what);
}

}  // namespace reprise::kernels::cuda

namespace reprise::gpu {

using namespace reprise::kernels::cuda;

Graph::Graph(int index) : index_(index) {
  select(index);
  // Relaxed: the pool may ask the driver for memory, which no captured work depends on.
  check_runtime(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeRelaxed), "cudaStreamBeginCapture");
  capturing = true;
  ++live_graphs;
}

Graph::~Graph() {
  if (executable_ == nullptr && capturing) {  // an error ended the capture early
    cudaGraph_t graph = nullptr;
    capturing = false;
    if (cudaStreamEndCapture(stream(), &graph) == cudaSuccess) cudaGraphDestroy(graph);
  }
  if (executable_ != nullptr) cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(executable_));
  --live_graphs;
  cudaGetLastError();
}

void Graph::finish() {
  REPRISE_INVARIANT(capturing && executable_ == nullptr, "finish() of a graph that is not being captured");
  cudaGraph_t graph = nullptr;
  capturing = false;
  check_runtime(cudaStreamEndCapture(stream(), &graph),
                "cudaStreamEndCapture (REPRISE_GRAPH=0 runs steps plainly)");
  cudaGraphExec_t executable = nullptr;
  const cudaError_t code = cudaGraphInstantiate(&executable, graph, 0);
  cudaGraphDestroy(graph);
  check_runtime(code, "cudaGraphInstantiate");
  executable_ = executable;
}

void Graph::replay() {
  REPRISE_INVARIANT(executable_ != nullptr, "replay() of a graph without finish()");
  select(index_);
  check_runtime(cudaGraphLaunch(static_cast<cudaGraphExec_t>(executable_), stream()), "cudaGraphLaunch");
}

}  // namespace reprise::gpu
