#include "engine/kernels/run.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/env.h"
#include "engine/base/gpu.h"
#include "engine/base/log.h"
#include "engine/core/tensor.h"
#include "engine/kernels/allowance.h"
#include "engine/kernels/fallback.h"
#include "engine/kernels/profile.h"

namespace reprise {
namespace {

std::atomic<bool> strict{false};
std::atomic<KernelObserver> observer{nullptr};
std::atomic<KernelProbe*> probe{nullptr};
thread_local bool only_shapes = false;

bool validate_flag() {
  static const bool on = env_flag("REPRISE_VALIDATE");
  return on;
}

struct Fallbacks {
  std::mutex mutex;
  std::map<std::string, std::int64_t> counts;
};
Fallbacks& fallbacks() {
  static auto* all = new Fallbacks;
  return *all;
}

}  // namespace

namespace detail {

Device::Kind choose_backend(const char* name, Device device, DType dtype, bool on_device, bool on_ref) {
  if (const KernelObserver listen = observer.load(std::memory_order_relaxed))
    listen(name, on_device ? device.kind : Device::Kind::ref, dtype);
  if (on_device) return device.kind;
  REPRISE_CHECK(device.kind == Device::Kind::cpu && on_ref, "{}: there is no kernel for {} on {}", name,
                name_of(dtype), to_string(device));
  count_fallback(fmt::format("{} {}: no cpu kernel, ref runs it", name, name_of(dtype)));
  return Device::Kind::ref;
}

std::string_view take_name(std::string_view& list) {
  const std::string_view piece = list.substr(0, list.find_first_of(",)"));
  list.remove_prefix(std::min(list.size(), piece.size() + 1));
  return piece.substr(piece.find_last_of(' ') + 1);
}

bool shapes_only() {
  return only_shapes;
}

bool watching() {
  static const bool on = profiling() || validate_flag();
  return on || probe.load(std::memory_order_relaxed) != nullptr;
}

void select_gpu(Device device) {
  gpu::select(device.index);
}

void rethrow_named(const Error& error, const char* name, Device device, DType dtype,
                   const std::vector<Operand>& operands) {
  std::string shapes;
  for (const Operand& o : operands)
    if (o.view) shapes += (o.written ? " -> " : " ") + to_string(o.view.shape);
  throw Error(fmt::format("{}\n  kernel  {} {} {} {}", error.what(), name, to_string(device), name_of(dtype),
                          shapes));
}

Watch::Watch(const char* name, Device device, DType dtype, std::vector<Operand> operands)
    : name_(name),
      device_(device),
      dtype_(dtype),
      operands_(std::move(operands)),
      probe_(probe),
      validate_(validate_flag() && device.kind != Device::Kind::ref),
      repeats_(validate_ || (probe_ != nullptr && probe_->wants_reference())) {}

View Watch::on_host(const View& v) {
  if (device_.is_host() || !v) return v;
  const std::size_t bytes = static_cast<std::size_t>(v.numel()) * size_of(v.dtype);
  mirrors_.emplace_back(bytes);
  if (bytes != 0) gpu::copy_out(device_.index, mirrors_.back().data(), v.ptr, bytes);
  return {mirrors_.back().data(), v.shape, v.dtype};
}

void Watch::before() {
  if (repeats_) {
    memory_.resize(operands_.size());
    for (std::size_t k = 0; k < operands_.size(); ++k) {
      const View v = on_host(operands_[k].view);
      if (!v || !is_floating(v.dtype)) {
        // Integer operands are not copied: ref computes an integer output into the same memory,
        // or into the copy on the host if the output is a GPU's.
        copies_.outputs.push_back({const_cast<void*>(v.ptr), v.shape, v.dtype});
        continue;
      }
      memory_[k].resize(static_cast<std::size_t>(v.numel()));
      for (std::int64_t i = 0; i < v.numel(); ++i) memory_[k][static_cast<std::size_t>(i)] = v.value(i);
      copies_.outputs.push_back({memory_[k].data(), v.shape, DType::f64});
    }
    copies_.inputs.assign(copies_.outputs.begin(), copies_.outputs.end());
  }
  if (!device_.is_host()) gpu::synchronize(device_.index);
  start_ = seconds_now();
}

void Watch::finish() {
  if (!device_.is_host()) gpu::synchronize(device_.index);
  seconds_ = seconds_now() - start_;
}

void Watch::tell() {
  if (!profiling()) return;
  const TimedKernel kernel = timed_kernel(name_, device_, dtype_, operands_, start_, seconds_);
  note(kernel);
  if (debug_level() >= 4) log_line(line_of(kernel));
}

void Watch::compare() {
  const double allowance = kernel_allowance(dtype_);
  for (std::size_t k = 0; k < operands_.size(); ++k) {
    const Operand& o = operands_[k];
    if (!o.written || !o.view || !is_floating(o.view.dtype)) continue;
    const View written = on_host(o.view);
    double largest = 0;
    for (double v : memory_[k]) largest = std::max(largest, std::abs(v));
    for (std::int64_t i = 0; i < o.view.numel(); ++i) {
      const double got = written.value(i), want = memory_[k][static_cast<std::size_t>(i)];
      if (std::isnan(got) && std::isnan(want)) continue;
      REPRISE_CHECK(
          got == want || std::abs(got - want) <= allowance * largest + 1e-30,
          "validate: {} on {} differs from ref in double\n  output  {}  {}\n  element {} is {:.9g}, expected "
          "{:.9g} (largest {:.3g})",
          name_, name_of(device_.kind), to_string(o.view.shape), name_of(o.view.dtype), i, got, want,
          largest);
    }
  }
}

void Watch::show() {
  std::vector<Operand> operands = operands_;
  for (Operand& o : operands) o.view = on_host(o.view);
  probe_->after({name_, device_, dtype_, operands, copies_.inputs});
}

}  // namespace detail

bool kernels_watched() {
  return detail::watching();
}

double kernel_allowance(DType dtype) {
  return dtype == DType::f64 ? 1e-12 : dtype == DType::bf16 ? 1e-2 : 1e-4;
}

KernelProbe::~KernelProbe() = default;
KernelProbe* set_kernel_probe(KernelProbe* next) {
  return probe.exchange(next);
}

ShapesOnly::ShapesOnly() : before_(std::exchange(only_shapes, true)) {}
ShapesOnly::~ShapesOnly() {
  only_shapes = before_;
}

void count_fallback(const std::string& what) {
  REPRISE_CHECK(!is_strict(), "{}; strict mode forbids that", what);
  Fallbacks& all = fallbacks();
  const std::lock_guard lock(all.mutex);
  if (all.counts.empty())
    std::atexit([] { log_line("slower kernels ran than intended:\n" + fallback_report()); });
  if (++all.counts[what] == 1 && detail::debug_level() >= 1) log_line("[fallback] " + what);
}
std::int64_t fallback_count() {
  Fallbacks& all = fallbacks();
  const std::lock_guard lock(all.mutex);
  std::int64_t total = 0;
  for (const auto& [what, count] : all.counts) total += count;
  return total;
}
std::string fallback_report() {
  Fallbacks& all = fallbacks();
  const std::lock_guard lock(all.mutex);
  std::vector<std::pair<std::int64_t, std::string>> rows;
  for (const auto& [what, count] : all.counts) rows.emplace_back(-count, what);
  std::sort(rows.begin(), rows.end());
  std::string text;
  for (const auto& [count, what] : rows)
    text += fmt::format("{}{:6} x {}", text.empty() ? "" : "\n", -count, what);
  return text;
}
void set_strict(bool on) {
  strict = on;
}
bool is_strict() {
  static const bool on = env_flag("REPRISE_STRICT");
  return on || strict;
}

void set_kernel_observer(KernelObserver listener) {
  observer = listener;
}

std::string support_matrix() {
  std::string text = fmt::format("{:<22} {:<10} {:<10} {:<10}\n", "kernel", "ref", "cpu", "cuda");
  const auto line = [&](const auto& kernel) {
    text += fmt::format("{:<22}", kernel.name);
    for (const auto& row : kernel.function) {
      std::string types;
      for (int d = 0; d < dtype_count; ++d)
        if (row[d] != nullptr)
          types += (types.empty() ? "" : ",") + std::string(name_of(static_cast<DType>(d)));
      text += fmt::format(" {:<10}", types.empty() ? "-" : types);
    }
    text += "\n";
  };
#define KERNEL(name_, ...) line(kernels::name_);
#include "engine/kernels/kernels.def"
#undef KERNEL
  return text;
}

}  // namespace reprise
