// What every command of clr shares: the common options, the kinds of failure, and how results are printed.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/json.h"
#include "engine/base/error.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"

namespace CLI {
class App;
}

namespace reprise::clr {

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
  std::optional<std::string> section, prefix;  // of the command's weight file
  bool tf32 = false, quiet = false, json = false;
  int exit_status = 0;  // what main returns when the command comes to its end

  // Throw UsageError where the text is no device or dtype, or the two do not go together (f64 is for ref
  // alone and implies it), and Error where this machine or build cannot.
  Device resolved_device() const;
  DType resolved_dtype() const;
  // The file, with what --section and --prefix say of it.
  WeightSource weights(const std::string& path, const std::string& identity = {}) const;
  // Sets the engine's switches and, unless quiet, prints device, dtype, instruction set and threads.
  void begin() const;
};

// A subcommand with the common options on it.
CLI::App& add_command(CLI::App& app, Common& common, const std::string& name, const std::string& what);

// Adds --section and --prefix: which tensors of its weight file a command means.
void add_weight_options(CLI::App& command, Common& common);

// Text on standard output; throws Error where that fails (a full disk, a closed pipe).
void print(std::string_view text);
// One JSON object on standard output.
void print_json(const Json& json);
// The command line of this process, as the system knows it.
std::vector<std::string> arguments_of_process();

}  // namespace reprise::clr
