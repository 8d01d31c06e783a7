// Writes small files of torch.save by hand: zip archives and the opcodes of pickles.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace reprise::data::testing_weights {

template <class T>
std::string le(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof(T)};
}

struct ZipEntry {
  std::string name, data;
  std::uint16_t method = 0;
  std::uint32_t grow = 0;           // the directory says so many bytes more than there are
  std::uint32_t unpacked_grow = 0;  // and of the unpacked size so many more
  bool sizes_in_header = true;
  std::string unpacked = {};  // what `data` becomes when it is inflated; empty: `data` itself
  bool zip64 = false;         // the directory has sizes and offset in an extra field, as beyond 4 GiB
};

inline std::uint32_t crc(std::string_view text) {
  std::uint32_t c = ~0u;
  for (const char ch : text) {
    c ^= static_cast<unsigned char>(ch);
    for (int i = 0; i < 8; ++i) c = c & 1 ? c >> 1 ^ 0xEDB88320u : c >> 1;
  }
  return ~c;
}

inline std::string zip(const std::vector<ZipEntry>& entries, std::uint16_t flags = 0) {
  std::string out, directory;
  for (const ZipEntry& e : entries) {
    const auto size = static_cast<std::uint32_t>(e.data.size()), said = e.sizes_in_header ? size : 0;
    const auto name = static_cast<std::uint16_t>(e.name.size());
    const std::string& plain = e.unpacked.empty() ? e.data : e.unpacked;
    const auto unpacked = static_cast<std::uint32_t>(plain.size());
    const std::string start = le<std::uint16_t>(20) + le(flags) + le(e.method) + le<std::uint32_t>(0);
    const auto packed_said = size + e.grow, unpacked_said = unpacked + e.grow + e.unpacked_grow,
               offset = static_cast<std::uint32_t>(out.size());
    std::string extra;
    if (e.zip64)
      extra = le<std::uint16_t>(0x7075) + le<std::uint16_t>(2) + "ab" + le<std::uint16_t>(1) +
              le<std::uint16_t>(24) + le<std::uint64_t>(unpacked_said) + le<std::uint64_t>(packed_said) +
              le<std::uint64_t>(offset);
    const auto in_32 = [&](std::uint32_t n) { return le(e.zip64 ? 0xFFFFFFFFu : n); };
    directory += le<std::uint32_t>(0x02014b50) + le<std::uint16_t>(20) + start + le(crc(plain)) +
                 in_32(packed_said) + in_32(unpacked_said) + le(name) +
                 le(static_cast<std::uint16_t>(extra.size())) + std::string(10, '\0') + in_32(offset) +
                 e.name + extra;
    out += le<std::uint32_t>(0x04034b50) + start + le(e.sizes_in_header ? crc(plain) : 0u) + le(said) +
           le(said) + le(name) + le<std::uint16_t>(0) + e.name + e.data;
  }
  const auto count = static_cast<std::uint16_t>(entries.size());
  return out + directory + le<std::uint32_t>(0x06054b50) + le<std::uint32_t>(0) + le(count) + le(count) +
         le(static_cast<std::uint32_t>(directory.size())) + le(static_cast<std::uint32_t>(out.size())) +
         le<std::uint16_t>(0);
}

inline std::string global(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string text(const std::string& s) {
  return "X" + le(static_cast<std::uint32_t>(s.size())) + s;
}
inline std::string integer(std::int64_t n) {
  return "\x8a\x08" + le(n);
}
// {"a": a FloatStorage of `elements` seen through offset, size, stride}
inline std::string tensor_pickle(std::int64_t elements, std::int64_t offset, std::int64_t size,
                                 std::int64_t stride) {
  return "\x80\x02}" + text("a") + global("torch._utils", "_rebuild_tensor_v2") + "((" + text("storage") +
         global("torch", "FloatStorage") + text("0") + text("cpu") + integer(elements) + "tQ" +
         integer(offset) + integer(size) + "\x85" + integer(stride) + "\x85\x89}tRs.";
}
inline std::string torch_zip(const std::string& pickle, const std::string& data) {
  return zip({{"m/data.pkl", pickle}, {"m/data/0", data}});
}

// A checkpoint with any values in it. Values are opcodes.
class TorchFile {
 public:
  using Items = std::vector<std::pair<std::string, std::string>>;

  // A tensor of 32-bit floats. `metadata`: the seventh argument of _rebuild_tensor_v2, as opcodes.
  std::string tensor(const std::vector<float>& values, const std::vector<std::int64_t>& shape,
                     const std::string& metadata = {}) {
    std::int64_t stride = 1;
    std::string sizes = "(", strides;
    for (const std::int64_t d : shape) sizes += integer(d);
    for (auto d = shape.rbegin(); d != shape.rend(); ++d) {
      strides = integer(stride) + strides;
      stride *= *d;
    }
    return global("torch._utils", "_rebuild_tensor_v2") + "(" + storage(values) + "K" + std::string(1, '\0') +
           sizes + "t(" + strides + "t\x89}" + metadata + "tR";
  }
  // A FloatStorage of these values.
  std::string storage(const std::vector<float>& values, const std::string& type = "FloatStorage") {
    const std::string key = std::to_string(entries_.size());
    const auto count = static_cast<std::int64_t>(values.size()) * (type == "UntypedStorage" ? 4 : 1);
    entries_.push_back({"m/data/" + key, std::string(reinterpret_cast<const char*>(values.data()),
                                                     values.size() * sizeof(float))});
    return "(" + text("storage") + global("torch", type) + text(key) + text("cpu") + integer(count) + "tQ";
  }
  static std::string dict(const Items& items) {
    std::string opcodes = "}(";
    for (const auto& [key, value] : items) opcodes += text(key) + value;
    return opcodes + "u";
  }
  // The file whose root is this value.
  std::string file(const std::string& root) const {
    auto entries = entries_;
    entries.push_back({"m/data.pkl", "\x80\x02" + root + "."});
    return zip(entries);
  }

 private:
  std::vector<ZipEntry> entries_;
};

// A deflate stream of one stored block.
inline std::string deflated(const std::string& data) {
  const auto n = static_cast<std::uint16_t>(data.size());
  return "\x01" + le(n) + le(static_cast<std::uint16_t>(~n)) + data;
}

}  // namespace reprise::data::testing_weights
