#include "layers/summary.h"

#include <algorithm>
#include <map>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/kernels/shapes_only.h"
#include "layers/observer.h"

namespace reprise::layers {
namespace {

// Puts a module into evaluation mode while it lives.
class EvalMode {
 public:
  explicit EvalMode(Module& m) : module_(m), was_training_(m.is_training()) { module_.train(false); }
  ~EvalMode() { module_.train(was_training_); }
  EvalMode(const EvalMode&) = delete;
  EvalMode& operator=(const EvalMode&) = delete;

 private:
  Module& module_;
  bool was_training_;
};

// Formats 25557032 as "25,557,032".
std::string with_commas(std::int64_t n) {
  std::string text = std::to_string(n);
  for (int i = static_cast<int>(text.size()) - 3; i > 0; i -= 3)
    text.insert(static_cast<std::size_t>(i), ",");
  return text;
}

}  // namespace

std::vector<LayerRow> summarize(Network& network, int height, int width) {
  REPRISE_CHECK(height > 0 && width > 0, "layer table: an image must have at least one pixel, got {}x{}",
                height, width);
  const NoGrad no_grad;
  const ShapesOnly nothing_computed;
  const EvalMode eval(network);
  std::map<const Module*, LayerRow> seen;
  const ForwardObserver observer([&](const Module& m, const Tensor& x, const Tensor& y) {
    seen[&m].output = y.shape();
    seen[&m].flops += m.flops(x.shape(), y.shape());
  });
  const Tensor& like = network.head().weight;
  network(zeros({1, height, width, 3}, network.image_dtype(), like.device()));

  std::vector<LayerRow> rows;
  for (const Module* m : std::as_const(network).modules()) {
    const auto own = m->own_tensors();
    if (!seen.contains(m) || (m->has_children() && own.empty())) continue;
    LayerRow row = seen[m];
    row.name = m->path();
    row.type = m->type();
    for (const ConstEntry& e : own) {
      if (e.is_buffer) continue;
      row.parameters += e.tensor->numel();
      if (requires_grad(*e.tensor)) row.trained += e.tensor->numel();
    }
    rows.push_back(std::move(row));
  }
  return rows;
}

std::string render(const std::vector<LayerRow>& rows) {
  std::size_t name_width = 5, type_width = 4;
  LayerRow total;
  for (const LayerRow& r : rows) {
    name_width = std::max(name_width, r.name.size());
    type_width = std::max(type_width, r.type.size());
    total.parameters += r.parameters;
    total.trained += r.trained;
    total.flops += r.flops;
  }
  const auto line = [&](std::string_view name, std::string_view type, std::string_view output,
                        std::string_view parameters, std::string_view trained, std::string_view flops) {
    return fmt::format("{:<{}}  {:<{}}  {:<20} {:>14} {:>12} {:>16}\n", name, name_width, type, type_width,
                       output, parameters, trained, flops);
  };
  std::string text = line("layer", "type", "output", "parameters", "trained", "FLOPs");
  for (const LayerRow& r : rows)
    text += line(r.name, r.type, to_string(r.output), with_commas(r.parameters), with_commas(r.trained),
                 with_commas(r.flops));
  return text + line("total", "", "", with_commas(total.parameters), with_commas(total.trained),
                     with_commas(total.flops));
}

}  // namespace reprise::layers
