// The opcodes that a pickle machine may run. Internal to data/weights.
#pragma once

#include <cstdint>

namespace reprise::data {

// Every opcode that Python's protocols 2 to 5 write to build data. Not in the list, and refused:
// the text forms of protocol 0, extension codes (their meaning lies in a registry of the reading
// program) and out-of-band buffers (their bytes lie outside the pickle).
enum class PickleOp : std::uint8_t {
  mark = '(',
  stop = '.',
  pop = '0',
  pop_mark = '1',
  duplicate = '2',
  bin_float = 'G',
  bin_int = 'J',
  bin_int1 = 'K',
  bin_int2 = 'M',
  none = 'N',
  bin_persistent_id = 'Q',
  reduce = 'R',
  bin_string = 'T',
  short_bin_string = 'U',
  bin_unicode = 'X',
  append = 'a',
  build = 'b',
  global = 'c',
  dict = 'd',
  append_all = 'e',
  bin_get = 'h',
  long_bin_get = 'j',
  list = 'l',
  object = 'o',
  bin_put = 'q',
  long_bin_put = 'r',
  set_item = 's',
  tuple = 't',
  set_items = 'u',
  empty_dict = '}',
  empty_list = ']',
  empty_tuple = ')',
  bin_bytes = 'B',
  short_bin_bytes = 'C',
  protocol = 0x80,
  new_object = 0x81,
  tuple1 = 0x85,
  tuple2 = 0x86,
  tuple3 = 0x87,
  new_true = 0x88,
  new_false = 0x89,
  long1 = 0x8a,
  long4 = 0x8b,
  short_bin_unicode = 0x8c,
  bin_unicode8 = 0x8d,
  bin_bytes8 = 0x8e,
  empty_set = 0x8f,
  add_items = 0x90,
  frozen_set = 0x91,
  new_object_with_names = 0x92,
  stack_global = 0x93,
  memoize = 0x94,
  frame = 0x95,
  byte_array8 = 0x96,
};

}  // namespace reprise::data
