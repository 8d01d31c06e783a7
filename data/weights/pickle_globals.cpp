// What the names in a state dict stand for, and what "calling" them builds. Nothing is ever called.
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
  std::string_view result = {};  // what an opaque one builds, for messages; empty: the name itself
};
// The rebuild functions are those of PyTorch's torch/_utils.py and torch/_tensor.py, all of them.
constexpr Known known[] = {
    {"collections.OrderedDict", PickleGlobal::dictionary},
    {"collections.defaultdict", PickleGlobal::dictionary},
    {"collections.Counter", PickleGlobal::dictionary},
    {"builtins.dict", PickleGlobal::dictionary},
    {"__builtin__.dict", PickleGlobal::dictionary},
    {"torch._utils._rebuild_tensor", PickleGlobal::rebuild_tensor},
    {"torch._utils._rebuild_tensor_v2", PickleGlobal::rebuild_tensor},
    {"torch._utils._rebuild_tensor_v3", PickleGlobal::rebuild_tensor_v3},
    {"torch._utils._rebuild_parameter", PickleGlobal::rebuild_parameter},
    {"torch._utils._rebuild_parameter_with_state", PickleGlobal::rebuild_parameter},
    {"torch._tensor._rebuild_from_type", PickleGlobal::rebuild_subclass},
    {"torch._tensor._rebuild_from_type_v2", PickleGlobal::rebuild_subclass},
    {"torch.tensor._rebuild_from_type", PickleGlobal::rebuild_subclass},
    {"torch.nn.parameter.Parameter", PickleGlobal::parameter},
    {"torch._utils._rebuild_qtensor", PickleGlobal::opaque, "a quantised tensor"},
    {"torch._utils._rebuild_sparse_tensor", PickleGlobal::opaque, "a sparse tensor"},
    {"torch._utils._rebuild_sparse_csr_tensor", PickleGlobal::opaque, "a sparse tensor"},
    {"torch._utils._rebuild_nested_tensor", PickleGlobal::opaque, "a nested tensor"},
    {"torch._utils._rebuild_meta_tensor_no_storage", PickleGlobal::opaque, "a tensor without values"},
    {"torch._utils._rebuild_wrapper_subclass", PickleGlobal::opaque,
     "a tensor subclass without plain values"},
    {"torch._utils._rebuild_device_tensor_from_numpy", PickleGlobal::opaque,
     "a tensor kept as a numpy array"},
    {"torch._utils._rebuild_device_tensor_from_cpu_tensor", PickleGlobal::opaque, "a device's own tensor"},
    {"torch._utils._rebuild_xla_tensor", PickleGlobal::opaque, "a tensor kept as a numpy array"},
    {"numpy.core.multiarray._reconstruct", PickleGlobal::opaque, "a numpy array"},
    {"numpy._core.multiarray._reconstruct", PickleGlobal::opaque, "a numpy array"},
};

// Storages whose values are not read; their size is known, so that files can be read past them.
struct OtherStorage {
  std::string_view name;
  std::uint8_t width;
};
constexpr OtherStorage other_storages[] = {
    {"UntypedStorage", 1}, {"ComplexFloatStorage", 8}, {"ComplexDoubleStorage", 16}, {"QInt8Storage", 1},
    {"QUInt8Storage", 1},  {"QInt32Storage", 4},       {"QUInt4x2Storage", 1},       {"QUInt2x4Storage", 1},
};

PickleValue* opaque(PickleHeap& heap, std::string what) {
  return heap.make({.kind = Kind::opaque, .text = std::move(what)});
}

bool is_tuple_of_integers(const PickleValue* v) {
  if (v->kind != Kind::tuple) return false;
  for (const PickleValue* i : v->items)
    if (i->kind != Kind::integer) return false;
  return true;
}

// Obeys the metadata that _rebuild_tensor_v2 and _v3 take last. The negative bit says that the
// storage holds the negated values; the conjugate bit changes nothing in real numbers. True where
// all is understood.
bool obey_metadata(PickleValue& tensor, const PickleValue& metadata) {
  if (metadata.kind == Kind::none) return true;
  if (metadata.kind != Kind::dict) return false;
  for (std::size_t i = 0; i < metadata.items.size(); i += 2) {
    const PickleValue &key = *metadata.items[i], &value = *metadata.items[i + 1];
    if (key.kind != Kind::text || value.kind != Kind::boolean) return false;
    if (key.text == "neg")
      tensor.negated = value.integer != 0;
    else if (key.text != "conj" && value.integer != 0)
      return false;
  }
  return true;
}

// Whether an object's state is nothing but attributes that do not change a tensor's values: a
// dictionary, or a tuple of two, the second for slots.
bool only_attributes(const PickleValue& state) {
  const auto harmless = [](const PickleValue& v) {
    return v.kind == Kind::none || (v.kind == Kind::dict && v.find("data") == nullptr &&
                                    v.find("real") == nullptr && v.find("imag") == nullptr);
  };
  if (state.kind != Kind::tuple) return harmless(state);
  return state.items.size() == 2 && harmless(*state.items[0]) && harmless(*state.items[1]);
}

PickleValue* rebuild_tensor(PickleHeap& heap, const std::vector<PickleValue*>& a, bool has_dtype) {
  const std::size_t metadata = has_dtype ? 7 : 6;
  if (a.size() < (has_dtype ? 7 : 4) || a.size() > metadata + 1 || a[0]->kind != Kind::storage ||
      a[1]->kind != Kind::integer || !is_tuple_of_integers(a[2]) || !is_tuple_of_integers(a[3]))
    return opaque(heap, "a tensor of an unknown form");
  PickleValue tensor{.kind = Kind::tensor, .integer = a[1]->integer, .items = {a[0], a[2], a[3]}};
  tensor.element = a[0]->element;
  const PickleValue& type = has_dtype ? *a[6] : *a[0]->items[0];
  if (has_dtype) tensor.element = element_type_of_torch_dtype(type.text);
  if (!tensor.element) tensor.text = describe(type);
  if (a.size() > metadata && !obey_metadata(tensor, *a[metadata]))
    return opaque(heap, "a tensor with unknown metadata");
  return heap.make(std::move(tensor));
}

// Empty, or with pairs (Python 2), a dictionary (Counter) or a default's type (defaultdict).
PickleValue* make_dictionary(PickleHeap& heap, const std::string& name, const std::vector<PickleValue*>& a) {
  PickleValue dict{.kind = Kind::dict};
  if (a.size() == 1 && a[0]->kind == Kind::dict) {
    dict.items = a[0]->items;
  } else if (a.size() == 1 && a[0]->kind == Kind::list) {
    for (const PickleValue* pair : a[0]->items) {
      if ((pair->kind != Kind::list && pair->kind != Kind::tuple) || pair->items.size() != 2)
        return opaque(heap, name);
      dict.items.insert(dict.items.end(), pair->items.begin(), pair->items.end());
    }
  } else if (!a.empty() && name != "collections.defaultdict") {
    return opaque(heap, name);
  }
  return heap.make(std::move(dict));
}

bool is_module_state(const PickleValue& state) {
  if (state.kind == Kind::tuple)  // (attributes, slots)
    return !state.items.empty() && state.items[0]->kind == Kind::dict && is_module_state(*state.items[0]);
  return state.find("_parameters") != nullptr && state.find("_modules") != nullptr;
}

}  // namespace

PickleValue* find_global(PickleHeap& heap, std::string_view module, std::string_view name) {
  const std::string full = fmt::format("{}.{}", module, name);
  PickleValue value{.kind = Kind::global, .text = printable(full)};
  for (const Known& k : known) {
    if (k.name != full) continue;
    value.global = k.global;
    if (!k.result.empty()) value.text = k.result;
  }
  if (module == "torch" || module == "torch.cuda" || module == "torch.storage") {
    if (const auto element = element_type_of_torch(name); element) {
      value.global = PickleGlobal::storage;
      value.element = element;
      value.width = static_cast<std::uint8_t>(info_of(*element).size);
    }
    for (const OtherStorage& s : other_storages)
      if (s.name == name) value.global = PickleGlobal::storage, value.width = s.width;
  }
  return heap.make(std::move(value));
}

PickleValue* call_global(PickleHeap& heap, const PickleValue& function, const PickleValue& arguments) {
  const auto& a = arguments.items;
  if (function.kind != Kind::global || arguments.kind != Kind::tuple) return opaque(heap, describe(function));
  switch (function.global) {
    case PickleGlobal::dictionary:
      return make_dictionary(heap, function.text, a);
    case PickleGlobal::rebuild_tensor:
    case PickleGlobal::rebuild_tensor_v3:
      return rebuild_tensor(heap, a, function.global == PickleGlobal::rebuild_tensor_v3);
    case PickleGlobal::rebuild_subclass:
      if (a.size() != 4 || a[0]->kind != Kind::global || a[0]->global == PickleGlobal::rebuild_subclass ||
          !only_attributes(*a[3]))
        break;
      return call_global(heap, *a[0], *a[2]);
    case PickleGlobal::parameter:
      if (a.empty()) return heap.make({.kind = Kind::parameter});
      [[fallthrough]];
    case PickleGlobal::rebuild_parameter:
      if (a.empty() || (a[0]->kind != Kind::tensor && a[0]->kind != Kind::opaque)) break;
      if (a.size() > 3 && !only_attributes(*a[3])) break;
      return heap.make(*a[0]);
    case PickleGlobal::storage:
    case PickleGlobal::opaque:
      break;
  }
  return opaque(heap, function.text);
}

// Takes the place of __setstate__. The attributes of a dictionary (such as _metadata) or a tensor
// are dropped; any other state would replace a tensor's values. A parameter of PyTorch 0.1 gets its
// tensor here: (data, gradient, hooks, requires_grad, volatile).
void build_object(PickleValue& object, const PickleValue& state) {
  if (object.kind == Kind::parameter && state.kind == Kind::tuple && state.items.size() == 5 &&
      state.items[0]->kind == Kind::tensor)
    object = PickleValue(*state.items[0]);
  else if (object.kind == Kind::opaque && is_module_state(state))
    object.text = fmt::format("a whole module ({})", object.text);
  else if (object.kind == Kind::tensor && !only_attributes(state))
    object = PickleValue{.kind = Kind::opaque, .text = "a tensor with a state of its own"};
}

// The id is ('storage', type, key, location, elements[, view]), or a key of heap.known.
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
  // ('module', class, source's file, source), as whole modules had it before PyTorch 1.6.
  if (a[0]->text == "module" && a.size() > 1 && a[1]->kind == Kind::global) return a[1];
  REPRISE_CHECK(a[0]->text == "storage" && (a.size() == 5 || a.size() == 6) && a[1]->kind == Kind::global &&
                    a[2]->kind == Kind::text && a[2]->text.size() <= limits::pickle_name_bytes &&
                    a[4]->kind == Kind::integer && a[4]->integer >= 0,
                "pickle: the persistent id at byte {} is not a storage", at);
  PickleValue storage{.kind = Kind::storage,
                      .element = a[1]->element,
                      .width = a[1]->width,
                      .integer = a[4]->integer,
                      .text = a[2]->text,
                      .items = {a[1]}};
  const auto [place, is_new] = heap.storages.try_emplace(storage.text, nullptr);
  if (is_new)
    place->second = heap.make(std::move(storage));
  else
    REPRISE_CHECK(place->second->items[0]->text == a[1]->text && place->second->integer == a[4]->integer,
                  "pickle: the storage {} is described in two ways (byte {})", printable(a[2]->text), at);
  // A part of another storage, as PyTorch had it before 0.4.
  if (a.size() == 6 && a[5]->kind != Kind::none) return opaque(heap, "a view of a storage");
  return place->second;
}

}  // namespace reprise::data
