// What every command of clr shares: the common options, the kinds of failure, and how results are printed.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/core/error.h"

namespace CLI {
class App;
}

namespace reprise::clr {

using Json = nlohmann::ordered_json;

// Wrong usage (a value out of range, options that exclude each other): exit status 2. Any other Error: 1.
struct UsageError : Error {
  using Error::Error;
};

// The options that every command takes.
struct Common {
  std::string device;         // "ref", "cpu", "cuda[:N]"; empty: cuda where one works, else cpu
  std::string dtype = "f32";  // "f32", "bf16", "f64"
  int threads = 0;            // 0: the engine's own choice
  std::uint64_t seed = 0;
  std::string winograd;    // "on", "off"; empty: what REPRISE_WINOGRAD says
  std::string bf16_order;  // "pairs", "blocks"; empty: what REPRISE_BF16_ORDER says, else what is fast here
  bool tf32 = false, quiet = false, json = false;
  int exit_status = 0;  // what main returns when the command comes to its end

  // Throw UsageError where the text is no device or dtype, or the two do not go together (f64 is for ref
  // alone and implies it), and Error where this machine or build cannot.
  Device resolved_device() const;
  DType resolved_dtype() const;
  // Sets the number of threads and, unless quiet, prints the first line on standard error: device, dtype,
  // instruction set, threads.
  void begin() const;
};

// A subcommand with the common options on it.
CLI::App& add_command(CLI::App& app, Common& common, const std::string& name, const std::string& what);

// Text on standard output; throws Error where that fails (a full disk, a closed pipe).
void print(std::string_view text);
// One JSON object on standard output.
void print_json(const Json& json);
Json number_or_null(const std::optional<double>& value);
// JSON on one line with sorted keys: equal values give equal bytes. Numbers read back exactly.
std::string canonical(const Json& json);

// "0.1.0", the compiler, and the flags it was given.
std::string version();
std::string compiler();
std::string build_flags();
// "on" where 3x3 convolutions with frozen filters run in Winograd's form on the device, "off", or "-" where
// it has no such form.
std::string winograd_state(Device device);
// How bf16 convolutions sum there: "pairs" or "blocks"; "-" in another dtype or on ref and cuda.
std::string bf16_order_state(Device device, DType dtype);
// The instruction set whose bits the device's results have: "avx2"; for ref and cuda "-". (avx512bf16 and amx
// have those of avx512 in the same order.)
std::string instruction_set(Device device);

}  // namespace reprise::clr
