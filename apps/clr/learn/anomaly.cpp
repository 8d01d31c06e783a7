#include "apps/clr/learn/anomaly.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>

#include "apps/clr/learn/table.h"
#include "engine/base/check.h"
#include "engine/base/parallel.h"

namespace reprise::clr {
namespace {

struct Range {
  double min = 0, max = 0;  // of the finite values
  std::int64_t finite = 0, not_finite = 0, first_bad = -1;
};

Range range_of(const View& v) {
  Range r;
  for (std::int64_t i = 0; i < v.numel(); ++i) {
    const double value = v.value(i);
    if (!std::isfinite(value)) {
      if (r.not_finite++ == 0) r.first_bad = i;
      continue;
    }
    r.min = r.finite == 0 ? value : std::min(r.min, value);
    r.max = r.finite++ == 0 ? value : std::max(r.max, value);
  }
  return r;
}

// Returns true if every value is finite. Only infinities and
// NaNs have all bits of the exponent (`mask`) set.
template <class Bits>
bool all_finite(const View& v, Bits mask) {
  std::atomic<bool> finite{true};
  parallel_for(v.numel(), 1 << 16, [&](std::int64_t begin, std::int64_t end) {
    const auto* bytes = v.data<std::byte>();
    bool bad = false;
    for (std::int64_t i = begin; i < end; ++i) {
      Bits bits;
      std::memcpy(&bits, bytes + static_cast<std::size_t>(i) * sizeof bits, sizeof bits);
      bad |= (bits & mask) == mask;
    }
    if (bad) finite = false;
  });
  return finite;
}

bool all_finite(const View& v) {
  if (v.dtype == DType::f64) return all_finite<std::uint64_t>(v, 0x7FF0000000000000);
  if (v.dtype == DType::bf16) return all_finite<std::uint16_t>(v, 0x7F80);
  return all_finite<std::uint32_t>(v, 0x7F800000);
}

std::string value_text(double value) {
  return std::isnan(value) ? "NaN" : value > 0 ? "infinity" : "-infinity";
}

}  // namespace

AnomalyWatch::AnomalyWatch(layers::Network& network, bool ranges) : ranges_(ranges) {
  for (const layers::Entry& e : network.named_tensors())
    if (e.tensor->device().is_host()) names_[e.tensor->view().ptr] = e.name;
  before_ = set_kernel_probe(this);
}
AnomalyWatch::~AnomalyWatch() {
  set_kernel_probe(before_);
}

void AnomalyWatch::after(const KernelCall& call) {
  Read& read = read_[call.name];
  ++read.calls;
  for (std::size_t k = 0; k < call.operands.size(); ++k) {
    const auto& [view, written, name] = call.operands[k];
    if (!written || !view || !is_floating(view.dtype) || view.numel() == 0) continue;
    if (!all_finite(view)) {
      const Range r = range_of(view);
      report(call, k, r.first_bad, r.not_finite);
    }
    if (!ranges_) continue;
    const Range r = range_of(view);
    read.min = read.values == 0 ? r.min : std::min(read.min, r.min);
    read.max = read.values == 0 ? r.max : std::max(read.max, r.max);
    read.values += view.numel();
  }
}

std::string AnomalyWatch::operand_line(const KernelCall::Operand& o) const {
  const auto name = names_.find(o.view.ptr);
  const Range r = range_of(o.view);
  std::string text = fmt::format("\n  {:<7} {} {}{}", o.written ? "output" : "input", to_string(o.view.shape),
                                 name_of(o.view.dtype), name == names_.end() ? "" : " " + name->second);
  if (r.finite > 0) text += fmt::format(", {:.6g} to {:.6g}", r.min, r.max);
  if (r.not_finite > 0)
    text += fmt::format(", {} of {} not finite", grouped(r.not_finite), grouped(o.view.numel()));
  return text;
}

void AnomalyWatch::report(const KernelCall& call, std::size_t output, std::int64_t element,
                          std::int64_t bad) const {
  const View& v = call.operands[output].view;
  std::string operands;
  for (const auto& operand : call.operands)
    if (operand.view) operands += operand_line(operand);
  throw_error(
      "anomaly: {} ({}, {}) wrote the first value that is not finite: element {} of {} is {} ({} of {})"
      "{}",
      call.name, to_string(call.device), name_of(call.dtype), place_text(v.shape, element),
      to_string(v.shape), value_text(v.value(element)), grouped(bad), grouped(v.numel()), operands);
}

}  // namespace reprise::clr
