// A pickle machine that only builds data: it calls nothing, imports nothing and touches no file.
// Tensors and plain containers are built. Every other object becomes an opaque value that carries
// only its class's name. Internal to data/weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "data/weights/element_type.h"

namespace reprise::data {

// What this reader understands by a name of the file ("module.name").
enum class PickleGlobal : std::uint8_t {
  dictionary,         // dict and its subclasses of the standard library
  rebuild_tensor,     // (storage, offset, sizes, strides, requires_grad, hooks, metadata)
  rebuild_tensor_v3,  // the same with a dtype before the metadata
  rebuild_parameter,  // (tensor, ...)
  rebuild_subclass,   // (rebuild function, class, its arguments, attributes)
  parameter,          // (tensor, ...), or empty and filled later by BUILD
  storage,
  opaque
};

struct PickleValue {
  enum class Kind : std::uint8_t {
    none,
    boolean,
    integer,
    long_integer,  // text: its little-endian bytes
    real,
    text,
    bytes,
    tuple,
    list,
    dict,       // items: key, value, key, value, ...
    global,     // text: its name
    storage,    // text: its key; integer: how many elements
    tensor,     // items: storage, sizes, strides; integer: offset in elements
    parameter,  // made, not yet filled
    opaque      // text: what it is
  };
  Kind kind = Kind::none;
  PickleGlobal global = PickleGlobal::opaque;
  // The elements of a storage type, a storage or a tensor; none where their values are not read.
  std::optional<ElementType> element{};
  std::uint8_t width = 0;  // bytes of an element of a storage type or a storage; 0 where unknown
  bool negated = false;    // a tensor whose storage holds the negated values
  std::int64_t integer = 0;
  double real = 0;
  std::string text{};
  std::vector<PickleValue*> items{};

  // Returns the value under a text key of a dictionary; null where there is none.
  const PickleValue* find(std::string_view key) const;
};

// Describes a value for lists of what was skipped: "a number (91.78)", "a dictionary of 3".
std::string describe(const PickleValue& value);

// Owns the values of the pickles of one file and caps how many there may be.
class PickleHeap {
 public:
  PickleValue* make(PickleValue value);
  void append(PickleValue& container, const std::vector<PickleValue*>& items);
  // Storages by key; one key is always one storage.
  std::map<std::string, PickleValue*> storages;
  // What a persistent id that is a plain number or text stands for (the tar form's tensors).
  std::map<std::string, PickleValue*> known;

 private:
  void count(std::size_t items);
  std::deque<PickleValue> values_;
  std::size_t items_ = 0;  // of all containers together
};

// Runs the pickle that begins at `position` and moves `position` past its end. Throws Error where
// an opcode does not only build data, or the pickle is damaged.
PickleValue* run_pickle(std::span<const std::byte> bytes, std::size_t& position, PickleHeap& heap);

// Stand-ins for import, call and __setstate__, in pickle_globals.cpp. None of them throws for an
// unknown name or unusual arguments: the result is then opaque.
PickleValue* find_global(PickleHeap& heap, std::string_view module, std::string_view name);
PickleValue* call_global(PickleHeap& heap, const PickleValue& function, const PickleValue& arguments);
void build_object(PickleValue& object, const PickleValue& state);
// Resolves a storage's id, or a key of heap.known. `at` is the opcode's byte offset, for messages.
PickleValue* load_persistent(PickleHeap& heap, const PickleValue& id, std::size_t at);

}  // namespace reprise::data
