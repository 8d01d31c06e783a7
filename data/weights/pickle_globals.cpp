// The closed list of globals that a state dict is made of, and what calling them means here.
#include <array>

#include "data/limits.h"
#include "data/weights/pickle.h"
#include "data/weights/recognise.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

using Kind = PickleValue::Kind;

struct Known {
  std::string_view name;
  PickleGlobal global;
};
constexpr Known known[] = {
    {"collections.OrderedDict", PickleGlobal::ordered_dict},
    {"torch._utils._rebuild_tensor", PickleGlobal::rebuild_tensor},
    {"torch._utils._rebuild_tensor_v2", PickleGlobal::rebuild_tensor},
    {"torch._utils._rebuild_parameter", PickleGlobal::rebuild_parameter},
    {"torch._utils._rebuild_parameter_with_state", PickleGlobal::rebuild_parameter},
    {"torch.nn.parameter.Parameter", PickleGlobal::parameter},
    // Beside the tensors of a checkpoint.
    {"torch.Size", PickleGlobal::inert},
    {"torch.device", PickleGlobal::inert},
    {"_codecs.encode", PickleGlobal::inert},
    {"numpy.dtype", PickleGlobal::inert},
    {"numpy.core.multiarray.scalar", PickleGlobal::inert},
    {"numpy._core.multiarray.scalar", PickleGlobal::inert},
};
// torch's dtypes and the classes of plain tensors, named but never made.
constexpr std::string_view torch_inert[] = {
    "float32",    "float64",   "float16",     "bfloat16",    "int64",        "int32",      "int16",
    "int8",       "uint8",     "bool",        "FloatTensor", "DoubleTensor", "HalfTensor", "BFloat16Tensor",
    "LongTensor", "IntTensor", "ShortTensor", "CharTensor",  "ByteTensor",   "BoolTensor",
};
constexpr std::string_view unsupported_storages[] = {"ComplexFloatStorage", "ComplexDoubleStorage"};

// Why a well-known global is not in the list.
std::string_view reason_for(std::string_view module, std::string_view name) {
  if (name.starts_with("QInt") || name.starts_with("QUInt") ||
      name.find("qtensor") != std::string_view::npos || module.find("quantized") != std::string_view::npos)
    return "the file holds quantised tensors, which are not supported";
  if (name.find("sparse") != std::string_view::npos)
    return "the file holds sparse tensors, which are not supported";
  if (module.find(".nn.") != std::string_view::npos || module.find("models") != std::string_view::npos)
    return "the file holds a whole module, not a state dict; save model.state_dict() instead";
  return "a state dict does not need it, and nothing else is read";
}

bool is_integer(const PickleValue* v) {
  return v->kind == Kind::integer;
}

bool is_tuple_of_integers(const PickleValue* v) {
  if (v->kind != Kind::tuple) return false;
  for (const PickleValue* i : v->items)
    if (!is_integer(i)) return false;
  return true;
}

// (storage, offset, size, stride, ...)
PickleValue* rebuild_tensor(PickleHeap& heap, const PickleValue& arguments, std::size_t at) {
  const auto& a = arguments.items;
  REPRISE_CHECK(a.size() >= 4 && a.size() <= 7 && a[0]->kind == Kind::storage && is_integer(a[1]) &&
                    is_tuple_of_integers(a[2]) && is_tuple_of_integers(a[3]),
                "pickle: the tensor at byte {} is not made of (storage, offset, size, stride)", at);
  return heap.make({.kind = Kind::tensor, .integer = a[1]->integer, .items = {a[0], a[2], a[3]}});
}

}  // namespace

PickleValue* find_global(PickleHeap& heap, std::string_view module, std::string_view name, std::size_t at) {
  const std::string full = fmt::format("{}.{}", module, name);
  PickleValue value{.kind = Kind::global, .text = full};
  for (const Known& k : known) {
    if (k.name != full) continue;
    value.global = k.global;
    return heap.make(std::move(value));
  }
  if (module == "torch" || module == "torch.cuda") {
    value.element = element_type_of_torch(name);
    value.global = PickleGlobal::storage;
    if (value.element) return heap.make(std::move(value));
    value.global = PickleGlobal::unsupported_storage;
    for (std::string_view s : unsupported_storages)
      if (s == name) return heap.make(std::move(value));
    value.global = PickleGlobal::inert;
    for (std::string_view s : torch_inert)
      if (s == name) return heap.make(std::move(value));
  }
  throw_error("pickle: the global {} at byte {} is refused: {}", printable(full), at,
              reason_for(module, name));
}

PickleValue* call_global(PickleHeap& heap, const PickleValue& function, const PickleValue& arguments,
                         std::size_t at) {
  const auto& a = arguments.items;
  switch (function.global) {
    case PickleGlobal::ordered_dict: {
      // Empty, or (Python 2) from a list of pairs.
      PickleValue dict{.kind = Kind::dict};
      REPRISE_CHECK(a.empty() || (a.size() == 1 && a[0]->kind == Kind::list),
                    "pickle: the OrderedDict at byte {} has unexpected arguments", at);
      if (a.empty()) return heap.make(std::move(dict));
      for (const PickleValue* pair : a[0]->items) {
        REPRISE_CHECK((pair->kind == Kind::list || pair->kind == Kind::tuple) && pair->items.size() == 2,
                      "pickle: the OrderedDict at byte {} is not made of pairs", at);
        dict.items.insert(dict.items.end(), pair->items.begin(), pair->items.end());
      }
      return heap.make(std::move(dict));
    }
    case PickleGlobal::rebuild_tensor:
      return rebuild_tensor(heap, arguments, at);
    case PickleGlobal::rebuild_parameter:
    case PickleGlobal::parameter:
      if (a.empty() && function.global == PickleGlobal::parameter)
        return heap.make({.kind = Kind::parameter});
      REPRISE_CHECK(!a.empty() && a[0]->kind == Kind::tensor,
                    "pickle: the parameter at byte {} is not a tensor", at);
      return heap.make(*a[0]);
    case PickleGlobal::inert:
      return heap.make({.kind = Kind::inert, .text = function.text});
    case PickleGlobal::storage:
    case PickleGlobal::unsupported_storage:
      break;
  }
  throw_error("pickle: {} is called at byte {}, which a state dict does not do", function.text, at);
}

// A dictionary's attributes (such as _metadata) are dropped. A parameter of PyTorch 0.1 gets its tensor here:
// (data, gradient, hooks, requires_grad, volatile).
void build_object(PickleValue& object, const PickleValue& state, std::size_t at) {
  if (object.kind == Kind::dict || object.kind == Kind::inert || object.kind == Kind::tensor) return;
  REPRISE_CHECK(object.kind == Kind::parameter && state.kind == Kind::tuple && state.items.size() == 5 &&
                    state.items[0]->kind == Kind::tensor,
                "pickle: {} gets a state at byte {}, which a state dict does not do", describe(object), at);
  object = PickleValue(*state.items[0]);
}

// ('storage', type, key, location, elements[, view]), or a key of heap.known.
PickleValue* load_persistent(PickleHeap& heap, const PickleValue& id, std::size_t at) {
  if ((id.kind == Kind::text && id.text.size() <= limits::pickle_name_bytes) || id.kind == Kind::integer) {
    const std::string key = id.kind == Kind::text ? id.text : std::to_string(id.integer);
    const auto found = heap.known.find(key);
    REPRISE_CHECK(found != heap.known.end(), "pickle: the persistent id {} at byte {} is unknown",
                  printable(key), at);
    return found->second;
  }
  const auto& a = id.items;
  REPRISE_CHECK(id.kind == Kind::tuple && !a.empty() && a[0]->kind == Kind::text,
                "pickle: the persistent id at byte {} is {}", at, describe(id));
  REPRISE_CHECK(
      a[0]->text != "module",
      "pickle: the file holds a whole module (byte {}), not a state dict; save model.state_dict() instead",
      at);
  REPRISE_CHECK(
      a[0]->text == "storage" && (a.size() == 5 || a.size() == 6) && a[1]->kind == Kind::global &&
          (a[1]->global == PickleGlobal::storage || a[1]->global == PickleGlobal::unsupported_storage) &&
          a[2]->kind == Kind::text && a[2]->text.size() <= limits::pickle_name_bytes && is_integer(a[4]),
      "pickle: the persistent id at byte {} is not a storage", at);
  REPRISE_CHECK(a.size() == 5 || a[5]->kind == Kind::none,
                "pickle: the storage at byte {} is a view of another, which is not supported", at);
  PickleValue storage{
      .kind = Kind::storage, .element = a[1]->element, .integer = a[4]->integer, .text = a[2]->text};
  REPRISE_CHECK(storage.integer >= 0, "pickle: the storage at byte {} has {} elements", at, storage.integer);
  const auto [place, is_new] = heap.storages.try_emplace(storage.text, nullptr);
  if (is_new) return place->second = heap.make(std::move(storage));
  REPRISE_CHECK(place->second->element == storage.element && place->second->integer == storage.integer,
                "pickle: the storage {} is described in two ways (byte {})", printable(storage.text), at);
  return place->second;
}

}  // namespace reprise::data
