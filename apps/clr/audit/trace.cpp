#include "apps/clr/audit/trace.h"

#include <cstring>

#include "engine/base/check.h"

namespace reprise::clr {
namespace {

struct Written {
  Shape shape;
  DType dtype;
  std::vector<std::byte> bytes;
  View view() const { return {bytes.data(), shape, dtype}; }
};

struct TracedCall {
  std::string kernel, layer;
  std::vector<Written> outputs;
};

std::vector<View> outputs_of(const KernelCall& call) {
  std::vector<View> outputs;
  for (const auto& operand : call.operands)
    if (operand.written && operand.view) outputs.push_back(operand.view);
  return outputs;
}

class Recorder : public KernelProbe {
 public:
  void after(const KernelCall& call) override {
    TracedCall made{call.name, error_context_of("layer"), {}};
    for (const View& v : outputs_of(call)) {
      Written w{v.shape, v.dtype,
                std::vector<std::byte>(static_cast<std::size_t>(v.numel()) * size_of(v.dtype))};
      if (!w.bytes.empty()) std::memcpy(w.bytes.data(), v.ptr, w.bytes.size());
      values += v.numel();
      made.outputs.push_back(std::move(w));
    }
    calls.push_back(std::move(made));
  }
  std::vector<TracedCall> calls;
  std::int64_t values = 0;
};

class Comparer : public KernelProbe {
 public:
  Comparer(const std::vector<TracedCall>& calls, const NamesByAddress& names)
      : calls_(calls), names_(names) {}
  void after(const KernelCall& call) override {
    if (finding) return;
    const std::size_t place = static_cast<std::size_t>(kernels++);
    const auto found = [&](int output, const View& v, std::optional<Difference> d) {
      const auto name = names_.find(v.ptr);
      finding = {
          0,      kernels, call.name,   error_context_of("layer"), name == names_.end() ? "" : name->second,
          output, v.shape, std::move(d)};
    };
    const std::vector<View> outputs = outputs_of(call);
    const TracedCall* before = place < calls_.size() ? &calls_[place] : nullptr;
    if (before == nullptr || before->kernel != call.name || before->outputs.size() != outputs.size())
      return found(0, {}, {});
    for (std::size_t k = 0; k < outputs.size() && !finding; ++k) {
      const Written& w = before->outputs[k];
      if (w.shape != outputs[k].shape || w.dtype != outputs[k].dtype)
        return found(static_cast<int>(k), outputs[k], {});
      values += w.shape.numel();
      if (auto d = first_difference(w.view(), outputs[k]))
        found(static_cast<int>(k), outputs[k], std::move(d));
    }
  }
  std::int64_t kernels = 0, values = 0;
  std::optional<TraceFinding> finding;

 private:
  const std::vector<TracedCall>& calls_;
  const NamesByAddress& names_;
};

}  // namespace

std::string TraceFinding::text() const {
  std::string text = fmt::format("step {}, kernel {} of that step: {}", step, call, kernel);
  if (!layer.empty()) text += ", layer " + layer;
  if (!difference) return text + ": the first run called another kernel there, or on other shapes";
  text += tensor.empty() ? fmt::format(", output {}", output) : ", tensor " + tensor;
  return text + fmt::format(" {}: {}", to_string(shape), difference->text(shape));
}

std::vector<TracedResult> compare_runs(const std::vector<TracedRun>& runs, std::int64_t steps,
                                       const NamesByAddress& names) {
  std::vector<TracedResult> results;
  for (const TracedRun& run : runs) results.push_back({run.name, 0, 0, 0, {}});
  for (std::int64_t step = 1; step <= steps; ++step) {
    Recorder first;
    {
      const ProbeScope probe(first);
      runs[0].step();
    }
    results[0].steps = step;
    results[0].kernels += static_cast<std::int64_t>(first.calls.size());
    results[0].values += first.values;
    for (std::size_t r = 1; r < runs.size(); ++r) {
      TracedResult& result = results[r];
      if (result.finding) continue;
      Comparer comparer(first.calls, names);
      {
        const ProbeScope probe(comparer);
        runs[r].step();
      }
      if (!comparer.finding && comparer.kernels < static_cast<std::int64_t>(first.calls.size())) {
        const TracedCall& missed = first.calls[static_cast<std::size_t>(comparer.kernels)];
        comparer.finding = {0, comparer.kernels + 1, missed.kernel, missed.layer, "", 0, {}, {}};
      }
      result.steps = step;
      result.kernels += comparer.kernels;
      result.values += comparer.values;
      result.finding = std::move(comparer.finding);
      if (result.finding) result.finding->step = step;
    }
  }
  return results;
}

}  // namespace reprise::clr
