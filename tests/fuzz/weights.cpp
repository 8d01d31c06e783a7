// Weight files.
#include "data/image/stb_decode.h"
#include "data/weights/safetensors.h"
#include "data/weights/torch_file.h"
#include "data/weights/torch_state_dict.h"
#include "data/weights/weight_file.h"
#include "engine/base/check.h"
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
  read_torch_zip(bytes, {}, file);
}

void tar(Bytes bytes) {
  WeightFile file;
  read_torch_tar(bytes, {}, file);
}

// Reads the legacy form, or a bare pickle as in a zip, whose CRC-32 would stop a fuzzer.
// Every storage gets as many zeros as it asks for, up to a small cap.
void pickle(Bytes bytes) {
  WeightFile file;
  if (is_torch_legacy(bytes)) return read_torch_legacy(bytes, {}, file);
  constexpr std::uint64_t cap = 1 << 16;
  static const std::byte zeros[cap] = {};
  PickleHeap heap;
  std::size_t position = 0;
  const PickleValue* root = run_pickle(bytes, position, heap);
  for (const auto& [key, storage] : heap.storages)
    if (storage->width > 0 && bytes_of(*storage) > cap) return;
  collect_tensors(
      *root,
      [](const PickleValue& s) { return std::span(zeros).first(static_cast<std::size_t>(bytes_of(s))); }, cap,
      [](const std::vector<StateDict>& all) { return all.size() - 1; }, file);
}

// What a deflated entry of a zip holds, whose CRC-32 would keep a fuzzer out: two bytes that say
// how much it becomes, then the stream. A byte written beyond that is seen by the address
// sanitizer.
void deflate(Bytes bytes) {
  if (bytes.size() < 2) throw_error("no size");
  std::vector<std::byte> to(std::to_integer<std::size_t>(bytes[0]) << 8 |
                            std::to_integer<std::size_t>(bytes[1]));
  const std::vector<std::byte> stream(bytes.begin() + 2, bytes.end());
  if (!stb_inflate_raw(stream, to)) throw_error("broken");
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
          {"deflate", "", deflate},
          {"tar", "golden/weights/tar*.pth", tar},
          {"recognise", "golden/weights/*", recognise}};
}

}  // namespace reprise::fuzz
