#include "data/weights/weight_file.h"

#include <algorithm>
#include <new>

#include "data/io/file.h"
#include "data/weights/recognise.h"
#include "data/weights/safetensors.h"
#include "data/weights/tar.h"
#include "data/weights/torch_file.h"
#include "data/weights/zip.h"
#include "engine/base/check.h"
#include "engine/base/sha256.h"

namespace reprise::data {
namespace {

void read_any(std::span<const std::byte> bytes, const ChooseStateDict& choose, WeightFile& file) {
  if (is_safetensors(bytes)) {
    file.format = "safetensors";
    read_safetensors(bytes, file);
  } else if (is_zip(bytes)) {
    file.format = "pth-zip";
    read_torch_zip(bytes, choose, file);
  } else if (is_tar(bytes)) {
    file.format = "pth-tar";
    read_torch_tar(bytes, choose, file);
  } else if (is_torch_legacy(bytes)) {
    file.format = "pth-legacy";
    read_torch_legacy(bytes, choose, file);
  } else {
    throw_error("not a weight file: {}; expected safetensors or a state dict of torch.save (.pth, .pt, .th)",
                describe_content(bytes));
  }
}

}  // namespace

const Tensor* StateDict::find(std::string_view name) const {
  const auto found =
      std::find_if(tensors.begin(), tensors.end(), [&](const NamedTensor& t) { return t.name == name; });
  return found == tensors.end() ? nullptr : &found->tensor;
}

WeightFile parse_weights(std::span<const std::byte> bytes, const std::string& name,
                         const ChooseStateDict& choose) {
  const ErrorScope scope("file", name);
  WeightFile file;
  file.path = name;
  try {
    read_any(bytes, choose, file);
  } catch (const std::bad_alloc&) {
    throw_error("not enough memory for the tensors of this file");
  }
  file.file_sha256 = sha256_hex(bytes);
  return file;
}

WeightFile read_weights(const std::string& path, const ChooseStateDict& choose) {
  return parse_weights(read_file(path), path, choose);
}

}  // namespace reprise::data
