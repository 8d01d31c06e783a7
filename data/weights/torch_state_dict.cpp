#include "data/weights/torch_state_dict.h"

#include <algorithm>
#include <array>
#include <set>

#include "data/limits.h"
#include "data/weights/recognise.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

using Kind = PickleValue::Kind;

// Under which keys training scripts keep the state dict, the likelier first.
constexpr std::string_view sections[] = {"state_dict", "model_state_dict", "model",  "net", "network",
                                         "module",     "weights",          "params", "ema"};

bool holds_tensors(const PickleValue& v) {
  if (v.kind != Kind::dict) return false;
  for (std::size_t i = 1; i < v.items.size(); i += 2)
    if (v.items[i]->kind == Kind::tensor) return true;
  return false;
}

void skip(const PickleValue& dict, const PickleValue* except, const std::string& prefix, WeightFile& file) {
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue &key = *dict.items[i], &value = *dict.items[i + 1];
    if (&value == except || value.kind == Kind::tensor) continue;
    const std::string name = key.kind == Kind::text ? printable(key.text) : describe(key);
    file.skipped.push_back(fmt::format("{}{}: {}", prefix, name, describe(value)));
  }
}

// The dictionary that holds tensors: this one, or one under a well-known key.
const PickleValue& find_state_dict(const PickleValue& root, WeightFile& file) {
  const PickleValue* at = &root;
  std::string prefix;
  for (int depth = 0; depth < limits::state_dict_nesting; ++depth) {
    REPRISE_CHECK(at->kind == Kind::dict, "expected a state dict, the file holds {}", describe(*at));
    if (holds_tensors(*at)) {
      skip(*at, nullptr, prefix, file);
      return *at;
    }
    const PickleValue* next = nullptr;
    for (std::string_view key : sections) {
      const PickleValue* value = at->find(key);
      if (value == nullptr || value->kind != Kind::dict) continue;
      next = value;
      file.section = prefix + std::string(key);
      break;
    }
    if (next == nullptr) break;
    skip(*at, next, prefix, file);
    prefix = file.section + ".";
    at = next;
  }
  std::string keys;
  for (std::size_t i = 0; i + 1 < root.items.size() && i < 20; i += 2)
    keys += (i == 0 ? "" : ", ") + (root.items[i]->kind == Kind::text ? printable(root.items[i]->text) : "?");
  throw_error("the file holds no tensors where a state dict has them; its keys are: {}",
              keys.empty() ? "(none)" : keys);
}

// Sizes and strides of a tensor, checked against its storage.
struct Window {
  Shape shape;
  std::vector<std::int64_t> strides;
};

Window window_of(const PickleValue& tensor, const std::string& name) {
  const PickleValue& storage = *tensor.items[0];
  std::vector<std::int64_t> sizes;
  Window w;
  for (const PickleValue* n : tensor.items[1]->items) sizes.push_back(n->integer);
  for (const PickleValue* n : tensor.items[2]->items) w.strides.push_back(n->integer);
  REPRISE_CHECK(sizes.size() == w.strides.size(), "{}: {} sizes, {} strides", name, sizes.size(),
                w.strides.size());
  w.shape = Shape(sizes);
  // The last element's place must lie inside the storage; no stride or offset may be negative.
  std::int64_t last = tensor.integer;
  bool inside = last >= 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    std::int64_t reach = 0;
    inside = inside && w.strides[i] >= 0 &&
             !__builtin_mul_overflow(std::max<std::int64_t>(sizes[i] - 1, 0), w.strides[i], &reach) &&
             !__builtin_add_overflow(last, reach, &last);
  }
  const std::int64_t count = w.shape.numel();
  REPRISE_CHECK(count == 0 || (inside && last < storage.integer),
                "{}: {} does not lie inside its storage of {} elements", name, to_string(w.shape),
                storage.integer);
  REPRISE_CHECK(count <= storage.integer, "{}: {} repeats the elements of a storage of {}", name,
                to_string(w.shape), storage.integer);
  return w;
}

}  // namespace

std::uint64_t bytes_of(const PickleValue& storage) {
  REPRISE_INVARIANT(storage.element.has_value(), "a storage of unsupported elements");
  std::uint64_t bytes = 0;
  REPRISE_CHECK(!__builtin_mul_overflow(static_cast<std::uint64_t>(storage.integer),
                                        std::uint64_t{info_of(*storage.element).size}, &bytes),
                "the storage {} has {} elements, too many", printable(storage.text), storage.integer);
  return bytes;
}

void collect_tensors(const PickleValue& root, const StorageBytes& storage_bytes, std::uint64_t max_bytes,
                     WeightFile& file) {
  const PickleValue& dict = find_state_dict(root, file);
  std::set<std::string_view> names;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i + 1 < dict.items.size(); i += 2) {
    const PickleValue &key = *dict.items[i], &value = *dict.items[i + 1];
    if (value.kind != Kind::tensor) continue;
    REPRISE_CHECK(key.kind == Kind::text, "a tensor's name is {}", describe(key));
    const std::string& name = key.text;
    REPRISE_CHECK(names.insert(name).second, "the name {} comes twice", printable(name));
    const PickleValue& storage = *value.items[0];
    if (!storage.element) {
      file.skipped.push_back(fmt::format("{}: complex numbers are not supported", printable(name)));
      continue;
    }
    if (value.items[1]->items.size() > Shape::max_rank) {
      file.skipped.push_back(fmt::format("{}: {} dimensions, more than {}", printable(name),
                                         value.items[1]->items.size(), Shape::max_rank));
      continue;
    }
    const Window window = window_of(value, printable(name));
    const ElementInfo& element = info_of(*storage.element);
    total += static_cast<std::uint64_t>(window.shape.numel()) * element.size;
    REPRISE_CHECK(total <= max_bytes,
                  "the tensors would take more than {} bytes, far more than the file holds", max_bytes);
    const auto bytes = storage_bytes(storage);
    REPRISE_INVARIANT(bytes.size() == bytes_of(storage), "storage {}", storage.text);
    Tensor tensor = empty(window.shape, element.read_as);
    read_elements(tensor, *storage.element, bytes, value.integer, window.strides);
    if (is_converted(*storage.element))
      file.converted.push_back(
          fmt::format("{}: {}, read as {}", printable(name), element.name, name_of(element.read_as)));
    file.tensors.push_back({name, tensor});
  }
}

void check_system(const PickleValue& system) {
  const PickleValue *order = system.find("little_endian"), *protocol = system.find("protocol_version");
  REPRISE_CHECK(order != nullptr && order->kind == Kind::boolean && protocol != nullptr &&
                    protocol->kind == Kind::integer,
                "sys_info does not say the byte order and the protocol");
  REPRISE_CHECK(order->integer != 0, "the file is big-endian; only little-endian ones are read");
}

}  // namespace reprise::data
