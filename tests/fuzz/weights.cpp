// Weight files.
#include "data/weights/safetensors.h"
#include "data/weights/torch_file.h"
#include "data/weights/torch_state_dict.h"
#include "data/weights/weight_file.h"
#include "tests/fuzz/targets.h"

namespace reprise::fuzz {
namespace {

using namespace reprise::data;

void safetensors(Bytes bytes) {
  WeightFile file;
  read_safetensors(bytes, file);
}

void zip(Bytes bytes) {
  WeightFile file;
  read_torch_zip(bytes, file);
}

void tar(Bytes bytes) {
  WeightFile file;
  read_torch_tar(bytes, file);
}

// Reads the legacy form, or a bare pickle as in a zip, whose CRC-32 would stop a fuzzer.
// Every storage gets as many zeros as it asks for, up to a small cap.
void pickle(Bytes bytes) {
  WeightFile file;
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
}

// The entry point, whose message says what an unknown file looks like.
void recognise(Bytes bytes) {
  parse_weights(bytes, "input");
}

}  // namespace

std::vector<Target> weight_targets() {
  return {{"safetensors", "golden/weights/*.safetensors", safetensors},
          {"zip", "golden/weights/*.pth golden/weights/*.pt golden/weights/*.npz", zip},
          {"pickle", "golden/weights/*.pkl golden/weights/*.th golden/weights/*legacy*", pickle},
          {"tar", "golden/weights/tar*.pth", tar},
          {"recognise", "golden/weights/*", recognise}};
}

}  // namespace reprise::fuzz
