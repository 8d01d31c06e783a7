// One fuzz target for each parser of weight files, chosen by REPRISE_FUZZ_<name>. A damaged input may only
// throw Error.
#include <cstddef>
#include <cstdint>
#include <span>

#include "data/weights/safetensors.h"
#include "data/weights/torch_file.h"
#include "data/weights/torch_state_dict.h"
#include "data/weights/weight_file.h"
#include "engine/core/error.h"

namespace reprise::data {
namespace {

void parse(std::span<const std::byte> bytes) {
  WeightFile file;
#if defined(REPRISE_FUZZ_safetensors)
  read_safetensors(bytes, file);
#elif defined(REPRISE_FUZZ_zip)
  read_torch_zip(bytes, file);
#elif defined(REPRISE_FUZZ_tar)
  read_torch_tar(bytes, file);
#elif defined(REPRISE_FUZZ_pickle)
  // The legacy form, and a bare pickle as it stands in the zip, whose CRC-32 would keep a fuzzer out. Every
  // storage is made of as many zeros as it asks for, up to a small cap.
  if (is_torch_legacy(bytes)) return read_torch_legacy(bytes, file);
  constexpr std::uint64_t cap = 1 << 16;
  static const std::byte zeros[cap] = {};
  PickleHeap heap;
  std::size_t position = 0;
  const PickleValue* root = run_pickle(bytes, position, heap);
  for (const auto& [key, storage] : heap.storages)
    if (storage->element && bytes_of(*storage) > cap) return;
  collect_tensors(
      *root,
      [](const PickleValue& s) { return std::span(zeros).first(static_cast<std::size_t>(bytes_of(s))); }, cap,
      file);
#endif
}

}  // namespace
}  // namespace reprise::data

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    reprise::data::parse(std::as_bytes(std::span(data, size)));
  } catch (const reprise::Error&) {
  }
  return 0;
}
