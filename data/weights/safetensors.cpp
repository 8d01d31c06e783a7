#include "data/weights/safetensors.h"

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>
#include <set>

#include "data/io/byte_reader.h"
#include "data/io/file.h"
#include "data/limits.h"
#include "data/weights/element_type.h"
#include "data/weights/weight_file.h"

namespace reprise::data {
namespace {

using nlohmann::json;

// One tensor of the header; [begin, end) are bytes after the header.
struct Entry {
  std::string name, dtype;
  std::vector<std::int64_t> dims;
  std::uint64_t begin = 0, end = 0;
};

// Parses the header and refuses what the format does not have: keys that come twice, deep nesting.
json parse_header(std::string_view text) {
  std::vector<std::set<std::string>> keys;
  const auto check = [&](int depth, json::parse_event_t event, json& value) {
    REPRISE_CHECK(depth <= 4, "safetensors: the header is nested too deeply");
    if (event == json::parse_event_t::object_start) keys.emplace_back();
    if (event == json::parse_event_t::object_end) keys.pop_back();
    if (event == json::parse_event_t::key) {
      const auto& key = value.get_ref<const std::string&>();
      REPRISE_CHECK(keys.back().insert(key).second, "safetensors: the header has the key '{}' twice", key);
    }
    return true;
  };
  try {
    json header = json::parse(text, check);
    REPRISE_CHECK(header.is_object(), "safetensors: the header is not a JSON object");
    return header;
  } catch (const json::parse_error& e) {
    throw_error("safetensors: the header is not valid JSON at its byte {}", e.byte);
  } catch (const json::out_of_range&) {
    throw_error("safetensors: the header holds a number that is beyond all measure");
  }
}

std::vector<std::uint64_t> numbers_of(const json& list, const std::string& name, const char* field) {
  REPRISE_CHECK(list.is_array(), "safetensors: {}: '{}' is not a list", name, field);
  std::vector<std::uint64_t> numbers;
  for (const json& n : list) {
    REPRISE_CHECK(n.is_number_unsigned(), "safetensors: {}: '{}' holds something that is not a count: {}",
                  name, field, n.dump(-1, ' ', false, json::error_handler_t::replace).substr(0, 40));
    numbers.push_back(n.get<std::uint64_t>());
  }
  return numbers;
}

Entry parse_entry(const std::string& name, const json& value) {
  REPRISE_CHECK(value.is_object() && value.size() == 3 && value.contains("dtype") &&
                    value.contains("shape") && value.contains("data_offsets") && value["dtype"].is_string(),
                "safetensors: {}: expected an object with dtype, shape and data_offsets", name);
  Entry e{name, value["dtype"].get<std::string>(), {}, 0, 0};
  for (std::uint64_t d : numbers_of(value["shape"], name, "shape")) {
    REPRISE_CHECK(d <= static_cast<std::uint64_t>(INT64_MAX), "safetensors: {}: dimension {} is too large",
                  name, d);
    e.dims.push_back(static_cast<std::int64_t>(d));
  }
  const auto offsets = numbers_of(value["data_offsets"], name, "data_offsets");
  REPRISE_CHECK(offsets.size() == 2 && offsets[0] <= offsets[1],
                "safetensors: {}: data_offsets are not [begin, end]", name);
  e.begin = offsets[0], e.end = offsets[1];
  return e;
}

// In the order of their bytes, which must follow one another without gap or overlap to the file's
// end.
void check_tiling(std::vector<Entry>& entries, std::uint64_t available) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return a.begin != b.begin ? a.begin < b.begin : a.end < b.end;
  });
  std::uint64_t at = 0;
  for (const Entry& e : entries) {
    REPRISE_CHECK(e.begin == at, "safetensors: {}: its bytes begin at {}, where {} was expected ({})", e.name,
                  e.begin, at, e.begin < at ? "they overlap the tensor before" : "there is a gap");
    at = e.end;
  }
  REPRISE_CHECK(at == available, "safetensors: the tensors take {} bytes, the file holds {} ({})", at,
                available, at > available ? "it is cut short" : "something follows");
}

void leave_unread(const Entry& e, const std::string& why, WeightFile& file) {
  file.unread.emplace(e.name, why);
  file.skipped.push_back(fmt::format("{}: {}", e.name, why));
}

void read_entry(const Entry& e, std::span<const std::byte> bytes, WeightFile& file) {
  const auto type = element_type_of_safetensors(e.dtype);
  if (!type) return leave_unread(e, fmt::format("elements of type {} are not supported", e.dtype), file);
  if (e.dims.size() > Shape::max_rank)
    return leave_unread(e, fmt::format("{} dimensions, more than {}", e.dims.size(), Shape::max_rank), file);
  const ElementInfo& element = info_of(*type);
  const Shape shape(e.dims);
  const auto count = static_cast<std::uint64_t>(shape.numel());
  REPRISE_CHECK(bytes.size() % element.size == 0 && bytes.size() / element.size == count,
                "safetensors: {}: {} {} do not take {} bytes", e.name, to_string(shape), element.name,
                bytes.size());
  Tensor tensor = empty(shape, element.read_as);
  if (!is_converted(*type)) {
    if (!bytes.empty()) std::memcpy(tensor.mut_view().ptr, bytes.data(), bytes.size());
  } else {
    std::vector<std::int64_t> strides(e.dims.size(), 1);
    for (std::size_t i = strides.size(); count != 0 && i-- > 1;) strides[i - 1] = strides[i] * e.dims[i];
    read_elements(tensor, *type, bytes, 0, strides);
    file.converted.push_back(
        fmt::format("{}: {}, read as {}", e.name, element.name, name_of(element.read_as)));
  }
  file.tensors.push_back({e.name, tensor});
}

void read_metadata(const json& value, WeightFile& file) {
  REPRISE_CHECK(value.is_object(), "safetensors: __metadata__ is not an object");
  for (const auto& [key, text] : value.items()) {
    REPRISE_CHECK(text.is_string(), "safetensors: __metadata__: '{}' is not a string", key);
    file.metadata[key] = text.get<std::string>();
  }
}

}  // namespace

bool is_safetensors(std::span<const std::byte> bytes) {
  if (bytes.size() < 10 || bytes[8] != std::byte{'{'}) return false;
  return ByteReader(bytes, "safetensors").number<std::uint64_t>() < std::uint64_t{1} << 40;
}

void read_safetensors(std::span<const std::byte> bytes, WeightFile& file) {
  ByteReader reader(bytes, "safetensors");
  const auto header_bytes = reader.number<std::uint64_t>();
  REPRISE_CHECK(header_bytes <= limits::safetensors_header_bytes,
                "safetensors: a header of {} bytes; at most {} are read", header_bytes,
                limits::safetensors_header_bytes);
  const json header = parse_header(reader.take_text(header_bytes));
  std::vector<Entry> entries;
  for (const auto& [name, value] : header.items()) {
    if (name == "__metadata__")
      read_metadata(value, file);
    else
      entries.push_back(parse_entry(name, value));
  }
  check_tiling(entries, reader.left());
  for (const Entry& e : entries) read_entry(e, reader.take(e.end - e.begin), file);
}

std::vector<std::byte> to_safetensors(const std::vector<NamedTensor>& tensors,
                                      const std::map<std::string, std::string>& metadata, bool halves) {
  const auto type_of = [&](const NamedTensor& t) {
    const ElementType type = element_type_of(t.tensor.dtype());
    return halves && type == ElementType::f32 ? ElementType::f16 : type;
  };
  // Larger elements first, so that each tensor is aligned to its own element; then by name.
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& t : tensors) order.push_back(&t);
  std::sort(order.begin(), order.end(), [](const NamedTensor* a, const NamedTensor* b) {
    const std::size_t size_a = size_of(a->tensor.dtype()), size_b = size_of(b->tensor.dtype());
    return size_a != size_b ? size_a > size_b : a->name < b->name;
  });

  json header = json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  std::uint64_t at = 0;
  for (const NamedTensor* t : order) {
    REPRISE_CHECK(t->name != "__metadata__" && !header.contains(t->name), "safetensors: {}: the name {}",
                  t->name, t->name == "__metadata__" ? "is reserved" : "comes twice");
    const ElementInfo& element = info_of(type_of(*t));
    const std::uint64_t end = at + static_cast<std::uint64_t>(t->tensor.numel()) * element.size;
    const std::string dtype(element.safetensors);
    const auto dims = t->tensor.shape().dims();
    header[t->name] = {{"dtype", dtype},
                       {"shape", std::vector<std::int64_t>(dims.begin(), dims.end())},
                       {"data_offsets", {at, end}}};
    at = end;
  }
  std::string text;
  try {
    text = header.dump();
  } catch (const json::type_error&) {
    throw_error("safetensors: a name or a metadata value is not valid UTF-8");
  }
  text.resize((text.size() + 7) / 8 * 8, ' ');
  REPRISE_CHECK(text.size() <= limits::safetensors_header_bytes,
                "safetensors: the header would take {} bytes; at most {}", text.size(),
                limits::safetensors_header_bytes);

  std::vector<std::byte> bytes(8 + text.size() + static_cast<std::size_t>(at));
  const std::uint64_t length = text.size();
  std::memcpy(bytes.data(), &length, 8);
  std::memcpy(bytes.data() + 8, text.data(), text.size());
  std::size_t position = 8 + text.size();
  for (const NamedTensor* t : order) {
    if (type_of(*t) == ElementType::f16) {
      for (const float v : t->tensor.values<float>()) {
        const std::uint16_t half = half_from_float(v);
        std::memcpy(bytes.data() + position, &half, 2), position += 2;
      }
      continue;
    }
    const auto raw = t->tensor.raw_bytes();
    if (!raw.empty()) std::memcpy(bytes.data() + position, raw.data(), raw.size());
    position += raw.size();
  }
  return bytes;
}

void write_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                       const std::map<std::string, std::string>& metadata) {
  write_file_atomically(path, to_safetensors(tensors, metadata));
}

}  // namespace reprise::data
