// What every command of clr shares: the common options, wrong usage, and printing of results.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "apps/clr/commands/options.h"
#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/json.h"
#include "engine/base/error.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"

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
  int exit_status = 0;  // returned by main when the command ends without an exception

  // Return the device and the dtype. Throw UsageError if the text names none,
  // or if the two exclude each other (f64 works only on ref, and implies it).
  // Throw Error if this machine or build lacks them.
  Device resolved_device() const;
  DType resolved_dtype() const;
  // Returns the file, with what --section and --prefix say of it.
  WeightSource weights(const std::string& path, const std::string& identity = {}) const;
  // Sets the engine's switches. Unless quiet, prints device, dtype, instruction set and threads on
  // standard error. Throws as resolved_device does.
  void begin() const;
};

// Adds a subcommand with the common options. `what`: its line in the help.
Command add_command(Command app, Common& common, const std::string& name, const std::string& what);

// Adds --section and --prefix: which tensors of its weight file a command means.
void add_weight_options(Command command, Common& common);

// Writes the text to standard output and flushes it; bytes that are not printable become \xE9.
// Throws Error if that fails (a full disk, a closed pipe).
void print(std::string_view text);
// Writes one JSON object, indented, to standard output; its texts are as in escaped_json.
void print_json(const Json& json);
// Returns the command line of this process, the program first.
std::vector<std::string> arguments_of_process();

}  // namespace reprise::clr
