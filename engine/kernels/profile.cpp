#include "engine/kernels/profile.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <utility>

#include "engine/base/check.h"
#include "engine/base/env.h"
#include "engine/base/log.h"

namespace reprise {
namespace {

using Operands = std::vector<KernelCall::Operand>;

// Counts two operations per multiply-add of a convolution or a matrix product; 0 for other kernels.
double flop_count(std::string_view kernel, const Operands& operands) {
  // Returns the first of these operands that is present.
  const auto first = [&](std::initializer_list<std::string_view> names) {
    for (const std::string_view name : names)
      for (const auto& o : operands)
        if (o.name == name && o.view) return o.view;
    return View{};
  };
  const auto numel = [](const View& v) { return static_cast<double>(v.numel()); };
  const View filter = first({"w", "dw"}), output = first({"made", "y", "dy"});
  if (kernel == "matmul") return 2 * std::sqrt(numel(first({"a"})) * numel(first({"b"})) * numel(output));
  if (!filter || !output) return 0;
  const auto taps = static_cast<double>(filter.dim(0)) * static_cast<double>(filter.dim(1));
  if (kernel.starts_with("conv"))
    return 2 * numel(output) * numel(filter) / static_cast<double>(filter.dim(0));
  if (kernel.starts_with("depthwise")) return 2 * numel(output) * taps;
  return 2 * numel(output) * static_cast<double>(filter.dim(1));  // linear
}

int thread_number() {
  static std::atomic<int> threads{0};
  thread_local const int mine = ++threads;
  return mine;
}

// Returns the share of the machine's limit that a kernel reaches: "84 % compute" or "61 % memory".
std::string share_of(const Machine& machine, double flop, double bytes, double seconds) {
  if (machine.flops <= 0 || machine.bytes <= 0 || seconds <= 0) return "-";
  const double compute = flop / seconds / machine.flops, memory = bytes / seconds / machine.bytes;
  return fmt::format("{:.0f} % {}", 100 * std::max(compute, memory), compute > memory ? "compute" : "memory");
}

std::string in_quotes(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += static_cast<unsigned char>(c) < 32 ? ' ' : c;
  }
  return quoted + '"';
}

// The table and the trace that the environment asks for, collected until the process ends.
class Profile {
 public:
  Profile()
      : path_(env_string("REPRISE_TRACE") == "0" ? "" : env_string("REPRISE_TRACE")),
        table_(detail::debug_level() >= 3) {
    if (!path_.empty()) {
      // Opened at the start, so that a wrong path is reported now and not after hours of work.
      file_ = std::fopen((path_ + ".tmp").c_str(), "w");
      REPRISE_CHECK(file_ != nullptr, "REPRISE_TRACE: the trace cannot be written\n  file    {}", path_);
    }
    if (detail::debug_level() >= 2) machine_ = measure_machine();
    if (wanted()) std::atexit([] { get().finish(); });
  }
  // Never destroyed: kernels may run until the very end.
  static Profile& get() {
    static auto* profile = new Profile;
    return *profile;
  }
  bool wanted() const { return file_ != nullptr || detail::debug_level() >= 2; }
  void note(const TimedKernel& kernel) {
    const std::lock_guard lock(mutex_);
    if (detail::debug_level() >= 2) table_.add(kernel);
    if (file_ != nullptr) trace_.add(kernel);
  }

 private:
  void finish() {
    const std::lock_guard lock(mutex_);
    if (detail::debug_level() >= 2) log_line(table_.text(machine_));
    if (file_ == nullptr) return;
    const std::string json = trace_.json(), temporary = path_ + ".tmp";
    const bool written = std::fwrite(json.data(), 1, json.size(), file_) == json.size();
    const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
    if (written && closed && std::rename(temporary.c_str(), path_.c_str()) == 0) return;
    std::remove(temporary.c_str());
    log_warning("REPRISE_TRACE: the trace could not be written: " + path_);
  }

  std::mutex mutex_;
  std::string path_;
  std::FILE* file_ = nullptr;
  Machine machine_;
  KernelTable table_;
  KernelTrace trace_;
};

}  // namespace

TimedKernel timed_kernel(const char* name, Device device, DType dtype, const Operands& operands, double start,
                         double seconds) {
  TimedKernel k{name, device, dtype, "", error_context_of("layer"), thread_number(), start, seconds};
  k.flop = flop_count(name, operands);
  for (const auto& o : operands) {
    if (!o.view) continue;
    k.bytes += static_cast<double>(o.view.numel()) * static_cast<double>(size_of(o.view.dtype));
    k.shapes += (o.written ? " -> " : " ") + to_string(o.view.shape);
  }
  return k;
}

std::string line_of(const TimedKernel& k) {
  return fmt::format("[kernel] {:<22} {:<4} {:<4} {:9.3f} ms {:8.1f} GFLOP/s {:7.1f} GB/s{}", k.name,
                     name_of(k.device.kind), name_of(k.dtype), k.seconds * 1e3, k.flop / k.seconds * 1e-9,
                     k.bytes / k.seconds * 1e-9, k.shapes);
}

void KernelTable::add(const TimedKernel& k) {
  std::string key = fmt::format("{:<22} {:<4} {:<4}", k.name, name_of(k.device.kind), name_of(k.dtype));
  if (by_shapes_) key += k.shapes;
  Sum& sum = sums_.try_emplace(std::move(key), Sum{k.device}).first->second;
  ++sum.calls;
  sum.seconds += k.seconds, sum.flop += k.flop, sum.bytes += k.bytes;
}

std::string KernelTable::text(const Machine& machine, std::size_t rows) const {
  std::vector<const std::pair<const std::string, Sum>*> order;
  Sum total;
  for (const auto& entry : sums_) {
    order.push_back(&entry);
    total.calls += entry.second.calls, total.seconds += entry.second.seconds;
    total.flop += entry.second.flop, total.bytes += entry.second.bytes;
  }
  std::stable_sort(order.begin(), order.end(),
                   [](auto* a, auto* b) { return a->second.seconds > b->second.seconds; });
  std::string text = fmt::format(
      "kernels, by time; the limit: {:.0f} GFLOP/s, {:.0f} GB/s, as measured here\n"
      "{:>10} {:>6} {:>7} {:>8} {:>7}  {:<14} kernel\n",
      machine.flops * 1e-9, machine.bytes * 1e-9, "ms", "share", "calls", "GFLOP/s", "GB/s", "of the limit");
  const auto line = [&](const Sum& s, std::string_view name, bool has_limit) {
    text += fmt::format("{:10.2f} {:4.0f} % {:7} {:8.1f} {:7.1f}  {:<14} {}\n", s.seconds * 1e3,
                        total.seconds > 0 ? 100 * s.seconds / total.seconds : 0, s.calls,
                        s.seconds > 0 ? s.flop / s.seconds * 1e-9 : 0,
                        s.seconds > 0 ? s.bytes / s.seconds * 1e-9 : 0,
                        has_limit ? share_of(machine, s.flop, s.bytes, s.seconds) : "-", name);
  };
  Sum rest;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Sum& s = order[i]->second;
    if (i < rows) {
      line(s, order[i]->first, s.device.kind == Device::Kind::cpu);
      continue;
    }
    rest.calls += s.calls, rest.seconds += s.seconds, rest.flop += s.flop, rest.bytes += s.bytes;
  }
  if (order.size() > rows) line(rest, fmt::format("({} more)", order.size() - rows), false);
  line(total, "total", false);
  return text;
}

void KernelTrace::add(const TimedKernel& kernel) {
  if (kernels_.size() < most)
    kernels_.push_back(kernel);
  else
    ++left_out_;
}

std::string KernelTrace::json() const {
  std::string text = "[\n";
  const double zero = kernels_.empty() ? 0 : kernels_.front().start;
  // Appends one event, in microseconds. A thread's rows are its layers, then its kernels.
  const auto event = [&](std::string_view name, std::string_view category, int row, double start,
                         double seconds, const std::string& args) {
    text += fmt::format(
        "{{\"name\": {}, \"cat\": \"{}\", \"ph\": \"X\", \"pid\": 1, \"tid\": {}, \"ts\": {:.3f}, \"dur\": "
        "{:.3f}, "
        "\"args\": {{{}}}}},\n",
        in_quotes(name), category, row, (start - zero) * 1e6, seconds * 1e6, args);
  };
  for (std::size_t i = 0; i < kernels_.size(); ++i) {
    const TimedKernel& k = kernels_[i];
    event(k.name, "kernel", 2 * k.thread, k.start, k.seconds,
          fmt::format(
              "\"shapes\": {}, \"dtype\": \"{}\", \"device\": \"{}\", \"layer\": {}, \"GFLOP/s\": {:.1f}, "
              "\"GB/s\": {:.1f}",
              in_quotes(k.shapes), name_of(k.dtype), to_string(k.device), in_quotes(k.layer),
              k.flop / k.seconds * 1e-9, k.bytes / k.seconds * 1e-9));
    // A layer lasts from its first kernel to its last consecutive one.
    const auto same = [&](const TimedKernel& other) {
      return other.layer == k.layer && other.thread == k.thread;
    };
    if (k.layer.empty() || (i > 0 && same(kernels_[i - 1]))) continue;
    std::size_t last = i;
    while (last + 1 < kernels_.size() && same(kernels_[last + 1])) ++last;
    event(k.layer, "layer", 2 * k.thread - 1, k.start,
          kernels_[last].start + kernels_[last].seconds - k.start, "");
  }
  for (const char* what : {"kernels", "layers"})
    text += fmt::format(
        "{{\"name\": \"thread_name\", \"ph\": \"M\", \"pid\": 1, \"tid\": {}, \"args\": {{\"name\": "
        "\"{}\"}}}},\n",
        what[0] == 'k' ? 2 : 1, what);
  text += fmt::format(
      "{{\"name\": \"process_name\", \"ph\": \"M\", \"pid\": 1, \"args\": {{\"name\": \"Reprise, {} "
      "kernels{}\"}}}}\n]\n",
      kernels_.size(), left_out_ == 0 ? "" : fmt::format(", {} later ones left out", left_out_));
  return text;
}

namespace detail {

int debug_level() {
  static const int level = static_cast<int>(env_int("REPRISE_DEBUG"));
  return level;
}
bool profiling() {
  return Profile::get().wanted();
}
void note(const TimedKernel& kernel) {
  Profile::get().note(kernel);
}

}  // namespace detail
}  // namespace reprise
