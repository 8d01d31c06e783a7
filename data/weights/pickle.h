// A pickle machine that executes nothing: a closed list of opcodes and of globals, of which a state dict is
// made; everything else is refused by name and byte offset. Internal to data/weights.
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

// What the closed list of globals stands for. `inert` things carry no tensor and are never called: whatever
// is made of them is again inert.
enum class PickleGlobal : std::uint8_t {
  ordered_dict,
  rebuild_tensor,
  rebuild_parameter,
  parameter,
  storage,
  unsupported_storage,
  inert
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
    dict,  // items: key, value, key, value, ...
    global,
    storage,    // text: its key; integer: how many elements
    tensor,     // items: storage, sizes, strides; integer: offset in elements
    parameter,  // made, not yet filled
    inert       // text: what it is
  };
  Kind kind = Kind::none;
  PickleGlobal global = PickleGlobal::inert;
  std::optional<ElementType> element{};  // of a storage; none where its elements are not supported
  std::int64_t integer = 0;
  double real = 0;
  std::string text{};
  std::vector<PickleValue*> items{};

  // For dicts with text keys; null where there is none.
  const PickleValue* find(std::string_view key) const;
};

// "a number (91.78)", "a dictionary of 3 entries": for lists of what was skipped.
std::string describe(const PickleValue& value);

// Owns the values of the pickles of one file and caps how many there may be.
class PickleHeap {
 public:
  PickleValue* make(PickleValue value);
  // Storages by key, in the order in which they were met; one key is always one storage.
  std::map<std::string, PickleValue*> storages;
  // What a persistent id that is a plain number or text stands for (the tar form's tensors).
  std::map<std::string, PickleValue*> known;

 private:
  std::deque<PickleValue> values_;
  std::size_t items_ = 0;  // of all values when they were made
};

// Runs one pickle that begins at `position` and moves `position` behind it.
PickleValue* run_pickle(std::span<const std::byte> bytes, std::size_t& position, PickleHeap& heap);

// The closed list, in pickle_globals.cpp. `at` is the opcode's byte offset, for messages.
PickleValue* find_global(PickleHeap& heap, std::string_view module, std::string_view name, std::size_t at);
PickleValue* call_global(PickleHeap& heap, const PickleValue& function, const PickleValue& arguments,
                         std::size_t at);
void build_object(PickleValue& object, const PickleValue& state, std::size_t at);
PickleValue* load_persistent(PickleHeap& heap, const PickleValue& id, std::size_t at);

}  // namespace reprise::data
