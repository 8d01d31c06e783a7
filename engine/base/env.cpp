#include "engine/base/env.h"

#include <charconv>
#include <cstdlib>

#include "engine/base/check.h"

extern char** environ;

namespace reprise {
namespace {

constexpr EnvVariable table[] = {
    {"REPRISE_DEBUG",
     "1: devices and choices; 2: at the end also a table of kernels by time, with their shares of the "
     "machine's limit; 3: a row per shape in that table; 4: also a line per kernel as it runs (from 2 on, "
     "cuda waits for each kernel, so that an error is reported where it arose)",
     "0"},
    {"REPRISE_TRACE", "a file for a trace of the kernels, which Perfetto and chrome://tracing open", ""},
    {"REPRISE_VALIDATE",
     "1: repeat every kernel on ref in double and compare; the first difference is an error", "0"},
    {"REPRISE_STRICT",
     "1: a fallback to a slower kernel is an error: from cpu to ref, from a library to a plain cuda kernel; "
     "so is a tensor whose bytes changed between forward and backward",
     "0"},
    {"REPRISE_CPU_ISA",
     "highest instruction set of the cpu backend: portable, avx2, avx512, avx512bf16 or amx", "amx"},
    {"REPRISE_BF16_ORDER",
     "how bf16 convolutions sum on cpu (as --bf16-order): blocks, as AMX does, or pairs, as AVX512_BF16 "
     "does; empty: blocks where the machine has AMX",
     ""},
    {"REPRISE_WINOGRAD",
     "0: 3x3 convolutions with frozen filters are computed directly on cpu (as --winograd off)", "1"},
    {"REPRISE_FUSE",
     "1: a convolution with its batch norm, residual and ReLU runs as one fused op; 0: each part by itself "
     "(the same bits)",
     "1"},
    {"REPRISE_TF32", "1: f32 products on cuda may round their operands to TF32 (as --tf32)", "0"},
    {"REPRISE_CUDA_LIBRARIES",
     "1: convolutions by cuDNN, linear layers by cuBLASLt; 0: our own plain kernels, slow", "1"},
    {"REPRISE_CUDA_EXACT",
     "1: each tensor on cuda is one allocation of exactly its bytes, for compute-sanitizer (slow)", "0"},
    {"REPRISE_GRAPH",
     "1: on cuda a training step is captured once as a graph and replayed; 0: it runs kernel by kernel (the "
     "same bits)",
     "1"},
    {"REPRISE_THREADS", "number of threads; 0 follows the affinity mask and the cgroup quota", "0"},
    {"REPRISE_SAVE_SECONDS", "least seconds between two saved states of a training; 0: after every epoch",
     "5"},
    {"REPRISE_SAVE_STEP_SECONDS", "the same within an epoch; 0: after every step", "150"},
    {"REPRISE_CACHE_MB",
     "decoded images kept in memory, in MiB, before a cache file is used (clr: at most half of what is free)",
     "4096"},
    {"REPRISE_CACHE_DIR",
     "where the cache files of decoded images go and stay; empty: the temporary folder, for this call only",
     ""},
};

}  // namespace

std::span<const EnvVariable> env_table() {
  return table;
}

std::string env_string(std::string_view name) {
  for (const EnvVariable& v : table) {
    if (v.name != name) continue;
    const char* value = std::getenv(std::string(name).c_str());
    return value == nullptr ? std::string(v.standard) : value;
  }
  throw InternalError("environment variable " + std::string(name) + " is not in the table");
}

bool env_flag(std::string_view name) {
  const std::string value = env_string(name);
  return !value.empty() && value != "0";
}

std::int64_t env_int(std::string_view name) {
  const std::string text = env_string(name);
  if (text.empty()) return 0;
  std::int64_t value = 0;
  const auto [end, ec] = std::from_chars(text.data(), text.data() + text.size(), value);
  REPRISE_CHECK(ec == std::errc{} && end == text.data() + text.size(),
                "{}: expected a whole number, got '{}'", name, text);
  return value;
}

std::string unknown_env_variables() {
  std::string unknown;
  for (char** e = environ; e != nullptr && *e != nullptr; ++e) {
    const std::string_view entry(*e), name = entry.substr(0, entry.find('='));
    if (!name.starts_with("REPRISE_")) continue;
    bool known = false;
    for (const EnvVariable& v : table) known |= v.name == name;
    if (!known) unknown += (unknown.empty() ? "" : ", ") + std::string(name);
  }
  return unknown;
}

}  // namespace reprise
