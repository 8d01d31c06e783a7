#include "data/weights/torch_state_dict.h"

#include <algorithm>
#include <set>

#include "data/limits.h"
#include "data/weights/recognise.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

using Kind = PickleValue::Kind;

std::string text_of_key(const PickleValue& key) {
  return key.kind == Kind::text      ? printable(key.text)
         : key.kind == Kind::integer ? std::to_string(key.integer)
                                     : describe(key);
}

// A container and the way to it.
struct Node {
  const PickleValue* value;
  std::size_t parent;  // an index; the root is its own parent
  std::string key;
  int depth;
};

bool holds_tensors(const PickleValue& v) {
  for (std::size_t i = 0; v.kind == Kind::dict && i < v.items.size(); i += 2)
    if (v.items[i]->kind == Kind::text && v.items[i + 1]->kind == Kind::tensor) return true;
  return false;
}

// Every dictionary, list and tuple under the root, each once (they may hold one another), the
// nearest first.
std::vector<Node> containers_under(const PickleValue& root) {
  std::vector<Node> nodes{{&root, 0, "", 0}};
  std::set<const PickleValue*> seen{&root};
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    const PickleValue& v = *nodes[at].value;
    const std::size_t step = v.kind == Kind::dict ? 2 : 1;
    const int depth = nodes[at].depth + 1;
    if (depth > limits::state_dict_nesting) continue;
    for (std::size_t i = 0; i + step <= v.items.size(); i += step) {
      const PickleValue* item = v.items[i + step - 1];
      if (item->kind != Kind::dict && item->kind != Kind::list && item->kind != Kind::tuple) continue;
      if (!seen.insert(item).second) continue;
      nodes.push_back({item, at, step == 2 ? text_of_key(*v.items[i]) : std::to_string(i), depth});
    }
  }
  return nodes;
}

std::string path_to(const std::vector<Node>& nodes, std::size_t at) {
  std::string path = nodes[at].key;
  for (at = nodes[at].parent; at != 0; at = nodes[at].parent) path = nodes[at].key + "." + path;
  return path;
}

// Lists what lies beside the way from the root to the node at `at`.
void list_skipped(const std::vector<Node>& nodes, std::size_t at, WeightFile& file) {
  const PickleValue* inner = nodes[at].value;
  while (at != 0) {
    at = nodes[at].parent;
    const PickleValue& v = *nodes[at].value;
    const std::string prefix = at == 0 ? "" : path_to(nodes, at) + ".";
    const std::size_t step = v.kind == Kind::dict ? 2 : 1;
    for (std::size_t i = 0; i + step <= v.items.size(); i += step) {
      const PickleValue& item = *v.items[i + step - 1];
      if (&item == inner) continue;
      const std::string key = step == 2 ? text_of_key(*v.items[i]) : std::to_string(i);
      file.skipped.push_back(fmt::format("{}{}: {}", prefix, key, describe(item)));
    }
    inner = &v;
  }
}

// Sizes and strides of a tensor, checked against its storage.
struct Window {
  Shape shape;
  std::vector<std::int64_t> strides;
};

Window window_of(const PickleValue& tensor, const std::string& name, std::int64_t available) {
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
  REPRISE_CHECK(w.shape.numel() == 0 || (inside && last < available),
                "{}: {} does not lie inside its storage of {} elements", name, to_string(w.shape), available);
  return w;
}

void negate(Tensor& tensor) {
  const auto replace = [&](auto* p, const auto& by) { std::transform(p, p + tensor.numel(), p, by); };
  if (tensor.dtype() == DType::f32) return replace(tensor.mutable_data<float>(), std::negate<>());
  if (tensor.dtype() == DType::f64) return replace(tensor.mutable_data<double>(), std::negate<>());
  const auto flipped = [](BFloat16 v) { return BFloat16{static_cast<std::uint16_t>(v.bits ^ 0x8000)}; };
  replace(tensor.mutable_data<BFloat16>(), flipped);
}

// Reads state dicts; a tensor that several of them share is read once.
class Collector {
 public:
  Collector(const StorageBytes& storage_bytes, std::uint64_t max_bytes)
      : storage_bytes_(storage_bytes), left_(max_bytes) {}

  StateDict read(const PickleValue& dict, std::string section) {
    StateDict state;
    state.section = std::move(section);
    std::set<std::string_view> names;
    for (std::size_t i = 0; i < dict.items.size(); i += 2) {
      const PickleValue &key = *dict.items[i], &value = *dict.items[i + 1];
      const std::string name = key.kind == Kind::text ? key.text : text_of_key(key);
      REPRISE_CHECK(key.kind != Kind::text || names.insert(key.text).second, "the name {} comes twice",
                    printable(name));
      const std::string why_not = key.kind != Kind::text       ? "its key is no text"
                                  : value.kind != Kind::tensor ? describe(value)
                                                               : read_tensor(name, value, state);
      if (!why_not.empty()) state.unread.emplace(name, why_not);
    }
    return state;
  }

 private:
  // Adds the tensor to the state dict, or returns why its values are not read.
  std::string read_tensor(const std::string& name, const PickleValue& value, StateDict& state) {
    const PickleValue& storage = *value.items[0];
    if (!value.element) return fmt::format("elements of type {} are not supported", value.text);
    const std::size_t rank = value.items[1]->items.size();
    if (rank > Shape::max_rank) return fmt::format("{} dimensions, more than {}", rank, Shape::max_rank);
    const ElementInfo& element = info_of(*value.element);
    if (value.negated && !is_floating(element.read_as)) return "integers with the negative bit";
    auto [place, is_new] = read_.try_emplace(&value);
    if (is_new) {
      const auto available = static_cast<std::int64_t>(bytes_of(storage) / element.size);
      const Window window = window_of(value, printable(name), available);
      const auto count = static_cast<std::uint64_t>(window.shape.numel());
      if (count > left_ / element.size) {
        read_.erase(place);
        return fmt::format("{} would take more memory than a file of this size may", to_string(window.shape));
      }
      left_ -= count * element.size;
      const auto bytes = storage_bytes_(storage);
      REPRISE_INVARIANT(bytes.size() == bytes_of(storage), "storage {}", storage.text);
      place->second = empty(window.shape, element.read_as);
      read_elements(place->second, *value.element, bytes, value.integer, window.strides);
      if (value.negated) negate(place->second);
    }
    state.tensors.push_back({name, place->second});
    if (is_converted(*value.element))
      state.converted.push_back(
          fmt::format("{}: {}, read as {}", printable(name), element.name, name_of(element.read_as)));
    return {};
  }

  const StorageBytes& storage_bytes_;
  std::uint64_t left_;
  std::map<const PickleValue*, Tensor> read_;
};

[[noreturn]] void refuse(const PickleValue& root) {
  const std::string what = describe(root);
  REPRISE_CHECK(root.kind == Kind::dict,
                "expected a state dict, the file holds {}; save model.state_dict() instead{}", what,
                what.starts_with("a whole module") ? " of the model" : "");
  std::string keys;
  for (std::size_t i = 0; i < root.items.size() && i < 20; i += 2)
    keys += fmt::format("\n  {}: {}", text_of_key(*root.items[i]), describe(*root.items[i + 1]));
  throw_error("the file holds no dictionary of tensors; save model.state_dict(). It holds{}",
              keys.empty() ? " nothing" : keys);
}

}  // namespace

std::uint64_t bytes_of(const PickleValue& storage) {
  REPRISE_CHECK(storage.width > 0, "the storage {} has elements of an unknown type, {}",
                printable(storage.text), describe(*storage.items[0]));
  std::uint64_t bytes = 0;
  REPRISE_CHECK(!__builtin_mul_overflow(static_cast<std::uint64_t>(storage.integer),
                                        std::uint64_t{storage.width}, &bytes) &&
                    bytes <= static_cast<std::uint64_t>(INT64_MAX),
                "the storage {} has {} elements, too many", printable(storage.text), storage.integer);
  return bytes;
}

void collect_tensors(const PickleValue& root, const StorageBytes& storage_bytes, std::uint64_t max_bytes,
                     const ChooseStateDict& choose, WeightFile& file) {
  const std::vector<Node> nodes = containers_under(root);
  Collector collector(storage_bytes, max_bytes);
  std::vector<StateDict> found;
  std::vector<std::size_t> places;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    if (!holds_tensors(*nodes[i].value)) continue;
    found.push_back(collector.read(*nodes[i].value, path_to(nodes, i)));
    places.push_back(i);
  }
  if (found.empty()) refuse(root);
  const std::size_t chosen = choose ? choose(found) : found.size() == 1 ? 0 : found.size();
  if (chosen < found.size()) {
    static_cast<StateDict&>(file) = std::move(found[chosen]);
    found.erase(found.begin() + static_cast<std::ptrdiff_t>(chosen));
    list_skipped(nodes, places[chosen], file);
    for (const auto& [name, why] : file.unread)
      file.skipped.push_back(
          fmt::format("{}{}: {}", file.section.empty() ? "" : file.section + ".", printable(name), why));
  }
  file.candidates = std::move(found);
}

void check_system(const PickleValue& system) {
  const PickleValue *order = system.find("little_endian"), *protocol = system.find("protocol_version");
  REPRISE_CHECK(order != nullptr && order->kind == Kind::boolean && protocol != nullptr &&
                    protocol->kind == Kind::integer,
                "sys_info does not say the byte order and the protocol");
  REPRISE_CHECK(order->integer != 0, "the file is big-endian; only little-endian ones are read");
}

}  // namespace reprise::data
