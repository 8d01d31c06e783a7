#include "data/weights/pickle.h"

#include <bit>

#include "data/io/byte_reader.h"
#include "data/limits.h"
#include "data/weights/pickle_ops.h"
#include "data/weights/recognise.h"

namespace reprise::data {
namespace {

using Kind = PickleValue::Kind;
using Op = PickleOp;

constexpr int max_protocol = 5;

class Machine {
 public:
  Machine(std::span<const std::byte> bytes, std::size_t position, PickleHeap& heap)
      : reader_(bytes, "pickle", position), heap_(heap) {}

  PickleValue* run() {
    do {
      at_ = reader_.position();
      code_ = reader_.number<std::uint8_t>();
    } while (step());
    PickleValue* result = pop();
    REPRISE_CHECK(stack_.empty(), "pickle: {} values are left over at byte {}", stack_.size(), at_);
    return result;
  }
  std::size_t position() const { return reader_.position(); }

 private:
  bool step();
  bool step_number();
  bool step_text();
  bool step_container();
  bool step_memo();
  bool step_object();

  void push(PickleValue* value) {
    check_count(stack_.size());
    stack_.push_back(value);
  }
  void push(Kind kind) { push_new({.kind = kind}); }
  void push_new(PickleValue value) { push(heap_.make(std::move(value))); }
  void push_opaque(std::string what) { push_new({.kind = Kind::opaque, .text = std::move(what)}); }
  void push_integer(std::int64_t n) { push_new({.kind = Kind::integer, .integer = n}); }
  void push_text(Kind kind, std::uint64_t n) {
    push_new({.kind = kind, .text = std::string(reader_.take_text(n))});
  }
  PickleValue* pop() {
    PickleValue* value = top();
    stack_.pop_back();
    return value;
  }
  // The value on top; not below the last mark.
  PickleValue* top() const {
    REPRISE_CHECK(stack_.size() > (marks_.empty() ? 0 : marks_.back()),
                  "pickle: the stack is empty at byte {}", at_);
    return stack_.back();
  }
  PickleValue* top(Kind kind, const char* what) const {
    REPRISE_CHECK(top()->kind == kind, "pickle: {} was expected at byte {}, there is {}", what, at_,
                  describe(*top()));
    return top();
  }
  std::vector<PickleValue*> pop_to_mark() {
    REPRISE_CHECK(!marks_.empty(), "pickle: no mark at byte {}", at_);
    const auto from = stack_.begin() + static_cast<std::ptrdiff_t>(marks_.back());
    std::vector<PickleValue*> items(from, stack_.end());
    stack_.erase(from, stack_.end());
    marks_.pop_back();
    return items;
  }
  std::vector<PickleValue*> pop_many(int n) {
    std::vector<PickleValue*> items(static_cast<std::size_t>(n));
    for (std::size_t i = items.size(); i-- > 0;) items[i] = pop();
    return items;
  }
  // What an opaque object is given is dropped: the object stays opaque.
  void add_to(PickleValue* container, Kind kind, const std::vector<PickleValue*>& items) {
    REPRISE_CHECK(container->kind == kind || container->kind == Kind::opaque,
                  "pickle: {} was expected at byte {}, there is {}",
                  kind == Kind::dict ? "a dictionary" : "a list", at_, describe(*container));
    REPRISE_CHECK(kind != Kind::dict || items.size() % 2 == 0, "pickle: a key without value at byte {}", at_);
    if (container->kind == kind) heap_.append(*container, items);
  }
  // Bounds what grows with a single byte of input: the stack, its marks, the memo.
  static void check_count(std::size_t n) {
    REPRISE_CHECK(n < limits::pickle_values, "pickle: more than {} values", limits::pickle_values);
  }
  void push_long(std::uint64_t n);
  std::string_view line();
  void remember(std::uint64_t index) {
    check_count(memo_.size());
    memo_[index] = top();
  }
  void recall(std::uint64_t index) {
    const auto found = memo_.find(index);
    REPRISE_CHECK(found != memo_.end(), "pickle: nothing is remembered under {} at byte {}", index, at_);
    push(found->second);
  }

  ByteReader reader_;
  PickleHeap& heap_;
  std::size_t at_ = 0;
  std::uint8_t code_ = 0;
  std::vector<PickleValue*> stack_;
  std::vector<std::size_t> marks_;  // the stack's heights
  std::unordered_map<std::uint64_t, PickleValue*> memo_;
};

// A little-endian two's complement number of n bytes.
void Machine::push_long(std::uint64_t n) {
  const std::string_view raw = reader_.take_text(n);
  if (raw.size() > 8) return push_new({.kind = Kind::long_integer, .text = std::string(raw)});
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < raw.size(); ++i)
    value |= static_cast<std::uint64_t>(static_cast<unsigned char>(raw[i])) << (8 * i);
  if (!raw.empty() && raw.size() < 8 && (raw.back() & 0x80) != 0)
    value |= ~std::uint64_t{0} << (8 * raw.size());
  push_integer(static_cast<std::int64_t>(value));
}

std::string_view Machine::line() {
  const std::size_t begin = reader_.position();
  ByteReader ahead = reader_;
  std::size_t n = 0;
  while (ahead.number<char>() != '\n')
    REPRISE_CHECK(++n <= limits::pickle_name_bytes, "pickle: a name of more than {} bytes at byte {}",
                  limits::pickle_name_bytes, begin);
  const std::string_view text = reader_.take_text(n);
  reader_.take(1);
  return text;
}

bool Machine::step_number() {
  switch (static_cast<Op>(code_)) {
    case Op::none:
      return push(Kind::none), true;
    case Op::new_true:
      return push_new({.kind = Kind::boolean, .integer = 1}), true;
    case Op::new_false:
      return push_new({.kind = Kind::boolean, .integer = 0}), true;
    case Op::bin_int:
      return push_integer(reader_.number<std::int32_t>()), true;
    case Op::bin_int1:
      return push_integer(reader_.number<std::uint8_t>()), true;
    case Op::bin_int2:
      return push_integer(reader_.number<std::uint16_t>()), true;
    case Op::long1:
      return push_long(reader_.number<std::uint8_t>()), true;
    case Op::long4:
      return push_long(reader_.number<std::uint32_t>()), true;
    case Op::bin_float:  // the only big-endian number
      return push_new({.kind = Kind::real,
                       .real = std::bit_cast<double>(__builtin_bswap64(reader_.number<std::uint64_t>()))}),
             true;
    default:
      return false;
  }
}

bool Machine::step_text() {
  switch (static_cast<Op>(code_)) {
    case Op::bin_string:
    case Op::bin_unicode:
      return push_text(Kind::text, reader_.number<std::uint32_t>()), true;
    case Op::short_bin_string:
    case Op::short_bin_unicode:
      return push_text(Kind::text, reader_.number<std::uint8_t>()), true;
    case Op::bin_unicode8:
      return push_text(Kind::text, reader_.number<std::uint64_t>()), true;
    case Op::bin_bytes:
      return push_text(Kind::bytes, reader_.number<std::uint32_t>()), true;
    case Op::short_bin_bytes:
      return push_text(Kind::bytes, reader_.number<std::uint8_t>()), true;
    case Op::bin_bytes8:
    case Op::byte_array8:
      return push_text(Kind::bytes, reader_.number<std::uint64_t>()), true;
    default:
      return false;
  }
}

bool Machine::step_container() {
  switch (static_cast<Op>(code_)) {
    case Op::mark:
      check_count(marks_.size());
      return marks_.push_back(stack_.size()), true;
    case Op::duplicate:
      return push(top()), true;
    case Op::pop:
      return pop(), true;
    case Op::pop_mark:
      return pop_to_mark(), true;
    case Op::empty_dict:
      return push(Kind::dict), true;
    case Op::empty_list:
      return push(Kind::list), true;
    case Op::empty_tuple:
      return push(Kind::tuple), true;
    case Op::tuple:
      return push_new({.kind = Kind::tuple, .items = pop_to_mark()}), true;
    case Op::list:
      return push_new({.kind = Kind::list, .items = pop_to_mark()}), true;
    case Op::tuple1:
    case Op::tuple2:
    case Op::tuple3:
      return push_new({.kind = Kind::tuple, .items = pop_many(code_ - static_cast<int>(Op::tuple1) + 1)}),
             true;
    case Op::append:
    case Op::append_all: {
      const auto items = static_cast<Op>(code_) == Op::append ? pop_many(1) : pop_to_mark();
      return add_to(top(), Kind::list, items), true;
    }
    case Op::set_item:
    case Op::set_items: {
      const auto items = static_cast<Op>(code_) == Op::set_item ? pop_many(2) : pop_to_mark();
      return add_to(top(), Kind::dict, items), true;
    }
    case Op::dict: {
      const auto items = pop_to_mark();
      push(Kind::dict);
      return add_to(top(), Kind::dict, items), true;
    }
    // Sets hold no state dict: their items, which only a set knows how to compare, are dropped.
    case Op::empty_set:
      return push_opaque("a set"), true;
    case Op::frozen_set:
      return pop_to_mark(), push_opaque("a set"), true;
    case Op::add_items:
      pop_to_mark();
      return top(Kind::opaque, "a set"), true;
    default:
      return false;
  }
}

bool Machine::step_memo() {
  switch (static_cast<Op>(code_)) {
    case Op::bin_put:
      return remember(reader_.number<std::uint8_t>()), true;
    case Op::long_bin_put:
      return remember(reader_.number<std::uint32_t>()), true;
    case Op::memoize:
      return remember(memo_.size()), true;
    case Op::bin_get:
      return recall(reader_.number<std::uint8_t>()), true;
    case Op::long_bin_get:
      return recall(reader_.number<std::uint32_t>()), true;
    case Op::frame:  // a hint for reading ahead
      return reader_.take(8), true;
    case Op::protocol: {
      const int version = reader_.number<std::uint8_t>();
      REPRISE_CHECK(version <= max_protocol, "pickle: protocol {} at byte {}; up to {} are read", version,
                    at_, max_protocol);
      return true;
    }
    default:
      return false;
  }
}

bool Machine::step_object() {
  switch (static_cast<Op>(code_)) {
    case Op::global: {
      const std::string_view module = line();
      return push(find_global(heap_, module, line())), true;
    }
    case Op::stack_global: {
      const auto* name = top(Kind::text, "a name");
      pop();
      const auto* module = top(Kind::text, "a module's name");
      pop();
      return push(find_global(heap_, module->text, name->text)), true;
    }
    case Op::reduce:
    case Op::new_object:
    case Op::new_object_with_names: {
      if (static_cast<Op>(code_) == Op::new_object_with_names) pop();
      const auto* arguments = pop();
      return push(call_global(heap_, *pop(), *arguments)), true;
    }
    case Op::object: {
      const auto items = pop_to_mark();
      REPRISE_CHECK(!items.empty(), "pickle: an object without a class at byte {}", at_);
      return push_opaque(describe(*items[0])), true;
    }
    case Op::build: {
      const auto* state = pop();
      return build_object(*top(), *state), true;
    }
    case Op::bin_persistent_id:
      return push(load_persistent(heap_, *pop(), at_)), true;
    default:
      return false;
  }
}

// Runs one opcode; false after the last.
bool Machine::step() {
  if (static_cast<Op>(code_) == Op::stop) return false;
  REPRISE_CHECK(step_number() || step_text() || step_container() || step_memo() || step_object(),
                "pickle: the opcode '{}' at byte {} does not only build data, so it is refused",
                printable(std::string(1, static_cast<char>(code_))), at_);
  return true;
}

}  // namespace

PickleValue* PickleHeap::make(PickleValue value) {
  count(value.items.size());
  REPRISE_CHECK(values_.size() < limits::pickle_values, "pickle: more than {} values", limits::pickle_values);
  return &values_.emplace_back(std::move(value));
}

void PickleHeap::append(PickleValue& container, const std::vector<PickleValue*>& items) {
  count(items.size());
  container.items.insert(container.items.end(), items.begin(), items.end());
}

void PickleHeap::count(std::size_t items) {
  items_ += items;
  REPRISE_CHECK(items_ <= 3 * limits::pickle_values, "pickle: more than {} values", limits::pickle_values);
}

const PickleValue* PickleValue::find(std::string_view key) const {
  if (kind != Kind::dict) return nullptr;
  for (std::size_t i = 0; i < items.size(); i += 2)
    if (items[i]->kind == Kind::text && items[i]->text == key) return items[i + 1];
  return nullptr;
}

std::string describe(const PickleValue& v) {
  switch (v.kind) {
    case Kind::none:
      return "None";
    case Kind::boolean:
      return v.integer != 0 ? "True" : "False";
    case Kind::integer:
      return fmt::format("a number ({})", v.integer);
    case Kind::long_integer:
      return "a large number";
    case Kind::real:
      return fmt::format("a number ({:.6g})", v.real);
    case Kind::text:
      return fmt::format("a text (\"{}\")", printable(v.text));
    case Kind::bytes:
      return fmt::format("{} bytes", v.text.size());
    case Kind::tuple:
      return fmt::format("a tuple of {}", v.items.size());
    case Kind::list:
      return fmt::format("a list of {}", v.items.size());
    case Kind::dict:
      return fmt::format("a dictionary of {}", v.items.size() / 2);
    case Kind::tensor:
      return "a tensor";
    case Kind::storage:
      return "a storage";
    case Kind::parameter:
      return "an empty parameter";
    case Kind::global:
    case Kind::opaque:
      return v.text;
  }
  return "a value";
}

PickleValue* run_pickle(std::span<const std::byte> bytes, std::size_t& position, PickleHeap& heap) {
  Machine machine(bytes, position, heap);
  PickleValue* result = machine.run();
  position = machine.position();
  return result;
}

}  // namespace reprise::data
