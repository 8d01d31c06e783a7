// run(): the only place where a kernel is chosen and called.
#pragma once

#include <string>
#include <string_view>
#include <tuple>
#include <type_traits>
#include <utility>
#include <vector>

#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/kernels/probe.h"
#include "engine/kernels/shapes_only.h"
#include "engine/kernels/table.h"

namespace reprise {

namespace detail {

using Operand = KernelCall::Operand;

// Returns the backend that runs the kernel. `on_device` and `on_ref` say whether the device's
// backend and ref have it. Falls back from cpu to ref: counts and logs the fallback, or throws
// Error in strict mode. Throws Error, naming the kernel, if no backend has it.
Device::Kind choose_backend(const char* name, Device device, DType dtype, bool on_device, bool on_ref);
// Makes the GPU the current device, before one of its kernels.
void select_gpu(Device device);
// Throws the error again with the kernel's name and shapes.
[[noreturn]] void rethrow_named(const Error& error, const char* name, Device device, DType dtype,
                                const std::vector<Operand>& operands);
// Returns whether a ShapesOnly lives in this thread.
bool shapes_only();
// Returns whether REPRISE_DEBUG, _TRACE, _VALIDATE or a probe asks for more than the plain call.
bool watching();

// Copies of a call's operands: in f64 if the operand is floating, else the operand itself. Both lists
// have all copies: one serves kernels' lists of outputs, the other their lists of inputs.
struct Copies {
  std::vector<MutView> outputs;
  std::vector<View> inputs;
};

// Watches one call: times it for the profile and shows it to the probe. With REPRISE_VALIDATE
// compares the outputs with those of ref in double, and throws Error if they differ.
class Watch {
 public:
  Watch(const char* name, Device device, DType dtype, std::vector<Operand> operands);
  // Before the call: copies the operands in double for ref, if ref will repeat the call.
  void before();
  // After the call: waits for a GPU and takes the time. If ref repeats the call, repeat(copies)
  // makes the same call on ref in double, with the copies as operands. Then compares.
  template <class F>
  void after(F&& repeat) {
    finish();
    tell();
    if (repeats_) repeat(copies_);
    if (validate_) compare();
    if (probe_ != nullptr) show();
  }

 private:
  void finish();
  void tell();
  void compare();
  void show();
  // Returns the operand itself, or a copy of a GPU's in `mirrors_`.
  View on_host(const View& v);
  const char* name_;
  Device device_;
  DType dtype_;
  std::vector<Operand> operands_;
  std::vector<std::vector<double>> memory_;
  Copies copies_;
  std::vector<std::vector<std::byte>> mirrors_;
  double start_ = 0, seconds_ = 0;
  KernelProbe* probe_;
  bool validate_, repeats_;
};

// A struct of operands (block.h), all of one type, all listed in REPRISE_OPERANDS.
template <class A>
concept OperandStruct = requires(A a) {
  a.operands();
};
template <OperandStruct A>
constexpr void check_all_listed() {
  using Listed = decltype(std::declval<A&>().operands());
  static_assert(sizeof(A) == std::tuple_size_v<Listed> * sizeof(std::tuple_element_t<0, Listed>),
                "a member of the struct is not listed as an operand");
}

// Removes the first name from a list of arguments or members, and returns it.
std::string_view take_name(std::string_view& list);

// Adds the operands of argument a to `out`, with names from the list.
template <class A>
void collect(std::vector<Operand>& out, std::string_view& names, A a) {
  const std::string_view name = take_name(names);
  if constexpr (std::is_same_v<A, View> || std::is_same_v<A, MutView>) {
    out.push_back({a, std::is_same_v<A, MutView>, name});
  } else if constexpr (std::is_same_v<A, Views> || std::is_same_v<A, MutViews>) {
    for (const auto& element : a) out.push_back({element, std::is_same_v<A, MutViews>, name});
  } else if constexpr (OperandStruct<A>) {
    check_all_listed<A>();
    std::string_view members = A::names;
    std::apply([&](const auto&... member) { (collect(out, members, member), ...); }, a.operands());
  }
}

// Returns the argument with its operands replaced by the next copies.
template <class A>
A substitute(A a, const Copies& copies, std::size_t& next) {
  if constexpr (std::is_same_v<A, View> || std::is_same_v<A, MutView>)
    return copies.outputs[next++];
  else if constexpr (std::is_same_v<A, Views>)
    return Views(copies.inputs).subspan(std::exchange(next, next + a.size()), a.size());
  else if constexpr (std::is_same_v<A, MutViews>)
    return MutViews(copies.outputs).subspan(std::exchange(next, next + a.size()), a.size());
  else if constexpr (OperandStruct<A>)
    std::apply([&](auto&... member) { ((member = substitute(member, copies, next)), ...); }, a.operands());
  return a;
}

}  // namespace detail

// Calls the kernel for the device and dtype, or the same kernel of ref if cpu lacks it, with the
// arguments of kernels.def. Throws Error, naming the kernel, if neither exists. The host flushes
// denormals to zero during the call. On a GPU the call may return before the kernel has run.
template <class... A, class... B>
void run(const kernels::Kernel<void(A...)>& kernel, Device device, DType dtype, const B&... arguments) {
  const auto column = static_cast<int>(dtype);
  const auto& row = kernel.function;
  const auto backend = detail::choose_backend(kernel.name, device, dtype,
                                              row[static_cast<int>(device.kind)][column] != nullptr,
                                              row[static_cast<int>(Device::Kind::ref)][column] != nullptr);
  if (detail::shapes_only()) [[unlikely]]
    return;
  const auto function = row[static_cast<int>(backend)][column];
  const bool on_gpu = backend == Device::Kind::cuda;
  const FlushDenormals flush;
  if (!on_gpu && !detail::watching()) [[likely]] {
    function(arguments...);
    return;
  }
  const auto operands = [&] {
    std::vector<detail::Operand> list;
    std::string_view names = kernel.signature;
    (detail::collect(list, names, arguments), ...);
    return list;
  };
  const Device ran_on = on_gpu ? device : Device{backend, 0};
  try {
    if (on_gpu) detail::select_gpu(device);
    if (!detail::watching()) {
      function(arguments...);
      return;
    }
    detail::Watch watch(kernel.name, ran_on, dtype, operands());
    watch.before();
    function(arguments...);
    watch.after([&](const detail::Copies& copies) {
      std::size_t next = 0;
      // Braces, so that the arguments are evaluated from left to right.
      const std::tuple<std::remove_cvref_t<A>...> replaced{detail::substitute<B>(arguments, copies, next)...};
      std::apply(row[static_cast<int>(Device::Kind::ref)][static_cast<int>(DType::f64)], replaced);
    });
  } catch (const Error& error) {
    if (!on_gpu) throw;
    detail::rethrow_named(error, kernel.name, ran_on, dtype, operands());
  }
}

// Returns how often a cpu kernel fell back to ref since the process started.
REPRISE_API std::int64_t fallback_count();
// Switches strict mode on or off, in which a fallback throws Error. REPRISE_STRICT=1 keeps it on.
REPRISE_API void set_strict(bool on);
REPRISE_API bool is_strict();
// For tests: calls the observer before every kernel. nullptr: no observer.
using KernelObserver = void (*)(const char* name, Device::Kind backend, DType dtype);
REPRISE_API void set_kernel_observer(KernelObserver observer);
// Returns the table as text: one line per kernel with the dtypes that each backend has.
REPRISE_API std::string support_matrix();

}  // namespace reprise
