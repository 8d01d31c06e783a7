#include "data/weights/zip.h"

#include <algorithm>

#include "data/image/checksums.h"
#include "data/image/stb_decode.h"
#include "data/io/byte_reader.h"
#include "data/limits.h"
#include "data/weights/recognise.h"

namespace reprise::data {
namespace {

constexpr std::uint32_t local_signature = 0x04034b50, central_signature = 0x02014b50;
constexpr std::uint32_t end_signature = 0x06054b50, end64_signature = 0x06064b50,
                        locator_signature = 0x07064b50;
constexpr std::size_t end_bytes = 22, locator_bytes = 20, end64_bytes = 56, local_bytes = 30,
                      max_comment = 65535;
constexpr std::uint32_t in_extra_field = 0xFFFFFFFF;  // the value stands in the zip64 extra field

// Where the central directory is.
struct Directory {
  std::uint64_t count, offset, size;
};

Directory directory64(std::span<const std::byte> bytes, std::size_t end) {
  ByteReader locator(bytes, "zip archive", end - locator_bytes);
  locator.take(8);  // signature, disk
  const auto at = locator.number<std::uint64_t>();
  REPRISE_CHECK(at <= end - locator_bytes && end - locator_bytes - at >= end64_bytes,
                "zip archive: the zip64 end record lies outside the file");
  ByteReader r(bytes, "zip archive", static_cast<std::size_t>(at));
  REPRISE_CHECK(r.number<std::uint32_t>() == end64_signature, "zip archive: the zip64 end record is damaged");
  r.take(8 + 2 + 2 + 4 + 4);  // its size, versions, disks
  const auto here = r.number<std::uint64_t>(), count = r.number<std::uint64_t>();
  const auto size = r.number<std::uint64_t>(), offset = r.number<std::uint64_t>();
  REPRISE_CHECK(here == count, "zip archive: it spans several disks");
  REPRISE_CHECK(offset <= at && size <= at - offset, "zip archive: the directory lies outside the file");
  return {count, offset, size};
}

Directory find_directory(std::span<const std::byte> bytes) {
  const std::size_t lowest =
      bytes.size() > end_bytes + max_comment ? bytes.size() - end_bytes - max_comment : 0;
  for (std::size_t end = bytes.size() < end_bytes ? 0 : bytes.size() - end_bytes + 1; end-- > lowest;) {
    ByteReader r(bytes, "zip archive", end);
    if (r.number<std::uint32_t>() != end_signature) continue;
    const auto disk = r.number<std::uint16_t>(), directory_disk = r.number<std::uint16_t>();
    const auto here = r.number<std::uint16_t>(), count = r.number<std::uint16_t>();
    const auto size = r.number<std::uint32_t>(), offset = r.number<std::uint32_t>();
    const auto comment = r.number<std::uint16_t>();
    if (comment != r.left()) continue;  // the comment reaches the file's end exactly
    if (end >= locator_bytes &&
        ByteReader(bytes, "zip archive", end - locator_bytes).number<std::uint32_t>() == locator_signature)
      return directory64(bytes, end);
    REPRISE_CHECK(disk == 0 && directory_disk == 0 && here == count, "zip archive: it spans several disks");
    REPRISE_CHECK(offset <= end && size <= end - offset, "zip archive: the directory lies outside the file");
    return {count, offset, size};
  }
  throw_error("zip archive: no end record; the file is cut short or damaged");
}

struct CentralEntry {
  std::string name;
  std::uint16_t flags, method;
  std::uint32_t crc;
  std::uint64_t packed, size, offset;
};

// Values that do not fit into 32 bits, in this order, each only where the 32-bit field says so.
void read_zip64(std::span<const std::byte> extra, CentralEntry& e) {
  ByteReader r(extra, "zip archive: an extra field");
  while (r.left() >= 4) {
    const auto id = r.number<std::uint16_t>(), length = r.number<std::uint16_t>();
    ByteReader field(r.take(length), "zip archive: a zip64 field");
    if (id != 1) continue;
    for (std::uint64_t* value : {&e.size, &e.packed, &e.offset})
      if (*value == in_extra_field) *value = field.number<std::uint64_t>();
  }
}

CentralEntry read_central(ByteReader& r) {
  REPRISE_CHECK(r.number<std::uint32_t>() == central_signature,
                "zip archive: the directory is damaged at byte {}", r.position());
  CentralEntry e;
  r.take(2 + 2);  // versions
  e.flags = r.number<std::uint16_t>();
  e.method = r.number<std::uint16_t>();
  r.take(2 + 2);  // time, date
  e.crc = r.number<std::uint32_t>();
  e.packed = r.number<std::uint32_t>();
  e.size = r.number<std::uint32_t>();
  const auto name = r.number<std::uint16_t>(), extra = r.number<std::uint16_t>();
  const auto comment = r.number<std::uint16_t>();
  r.take(2 + 2 + 4);  // disk, attributes
  e.offset = r.number<std::uint32_t>();
  e.name = r.take_text(name);
  read_zip64(r.take(extra), e);
  r.take(comment);
  return e;
}

// Where the entry's bytes are, from the lengths in its local header.
std::span<const std::byte> locate(std::span<const std::byte> bytes, const CentralEntry& e) {
  REPRISE_CHECK((e.flags & 1) == 0, "zip archive: {} is encrypted", printable(e.name));
  REPRISE_CHECK(e.method != 0 || e.packed == e.size, "zip archive: {} is stored, but has two sizes",
                printable(e.name));
  REPRISE_CHECK(e.offset <= bytes.size(), "zip archive: {} lies outside the file", printable(e.name));
  ByteReader r(bytes, "zip archive", static_cast<std::size_t>(e.offset));
  REPRISE_CHECK(r.number<std::uint32_t>() == local_signature, "zip archive: {} has no header at byte {}",
                printable(e.name), e.offset);
  r.take(local_bytes - 4 - 4);  // up to the two lengths
  const auto name = r.number<std::uint16_t>(), extra = r.number<std::uint16_t>();
  REPRISE_CHECK(r.take_text(name) == e.name, "zip archive: {} has another name in its own header",
                printable(e.name));
  r.take(extra);
  return r.take(e.packed);
}

}  // namespace

bool is_zip(std::span<const std::byte> bytes) {
  if (bytes.size() < 4) return false;
  const auto signature = ByteReader(bytes, "zip archive").number<std::uint32_t>();
  return signature == local_signature || signature == end_signature;
}

ZipReader::ZipReader(std::span<const std::byte> bytes)
    : inflated_left_(std::max(limits::inflated_bytes, limits::inflated_ratio * bytes.size())) {
  const Directory directory = find_directory(bytes);
  const auto before = bytes.first(static_cast<std::size_t>(directory.offset));
  ByteReader r(bytes.subspan(before.size(), static_cast<std::size_t>(directory.size)),
               "zip archive: the directory");
  std::vector<std::pair<std::uint64_t, std::uint64_t>> extents;  // header's begin, data's end
  for (std::uint64_t i = 0; i < directory.count; ++i) {
    const CentralEntry e = read_central(r);
    const auto data = locate(before, e);
    extents.emplace_back(e.offset, static_cast<std::uint64_t>(data.data() - bytes.data()) + data.size());
    REPRISE_CHECK(entries_.emplace(e.name, Entry{data, e.crc, e.method, e.size}).second,
                  "zip archive: {} comes twice", printable(e.name));
  }
  REPRISE_CHECK(r.left() == 0, "zip archive: {} bytes too many in the directory", r.left());
  std::sort(extents.begin(), extents.end());
  for (std::size_t i = 1; i < extents.size(); ++i)
    REPRISE_CHECK(extents[i - 1].second <= extents[i].first, "zip archive: two entries overlap at byte {}",
                  extents[i].first);
}

std::vector<std::string> ZipReader::names() const {
  std::vector<std::string> names;
  for (const auto& [name, entry] : entries_) names.push_back(name);
  return names;
}

// Memory is taken only after the declared size was found possible (deflate shrinks at most 1032
// times) and within the limit; the inflater writes no byte beyond it. stb_image's, which this
// library has for PNG already: it fills a buffer of a given size and takes no memory itself.
std::span<const std::byte> ZipReader::inflate(const std::string& name, const Entry& entry) {
  REPRISE_CHECK(entry.method == 8,
                "zip archive: {} is compressed by method {}; stored and deflated entries are read",
                printable(name), entry.method);
  const auto [place, is_new] = inflated_.try_emplace(name);
  if (!is_new) return place->second;
  REPRISE_CHECK(entry.size / 1032 <= entry.bytes.size(),
                "zip archive: {} cannot have {} bytes: {} are packed", printable(name), entry.size,
                entry.bytes.size());
  REPRISE_CHECK(entry.size <= inflated_left_,
                "zip archive: {} would take {} bytes, too many for a file of this size; save it again with "
                "torch.save, which does not compress",
                printable(name), entry.size);
  inflated_left_ -= entry.size;
  place->second.resize(static_cast<std::size_t>(entry.size));
  REPRISE_CHECK(stb_inflate_raw(entry.bytes, place->second), "zip archive: {} cannot be inflated",
                printable(name));
  return place->second;
}

std::uint64_t ZipReader::inflated_bytes() const {
  std::uint64_t sum = 0;
  for (const auto& [name, entry] : entries_)
    if (entry.method != 0) sum += std::min(entry.size, inflated_left_ - std::min(sum, inflated_left_));
  return sum;
}

std::span<const std::byte> ZipReader::read(const std::string& name) {
  const auto found = entries_.find(name);
  REPRISE_CHECK(found != entries_.end(), "zip archive: no entry {}", printable(name));
  const Entry& entry = found->second;
  const auto bytes = entry.method == 0 ? entry.bytes : inflate(name, entry);
  REPRISE_CHECK(crc32(bytes) == entry.crc, "zip archive: {} is damaged: its CRC-32 does not match",
                printable(name));
  return bytes;
}

namespace {

template <std::integral T>
void put(std::vector<std::byte>& to, T value) {
  const auto* p = reinterpret_cast<const std::byte*>(&value);
  to.insert(to.end(), p, p + sizeof(T));
}
void put(std::vector<std::byte>& to, std::string_view text) {
  const auto* p = reinterpret_cast<const std::byte*>(text.data());
  to.insert(to.end(), p, p + text.size());
}

// What a local header and a directory entry have in common: from the version up to the sizes.
void put_common(std::vector<std::byte>& to, std::uint32_t crc, std::uint32_t size) {
  put<std::uint16_t>(to, 10);    // version needed: 1.0
  put<std::uint16_t>(to, 0);     // flags
  put<std::uint16_t>(to, 0);     // stored
  put<std::uint16_t>(to, 0);     // time
  put<std::uint16_t>(to, 0x21);  // date: 1980-01-01, the format's first day
  put(to, crc), put(to, size), put(to, size);
}

}  // namespace

void ZipWriter::add(const std::string& name, std::span<const std::byte> data) {
  const std::size_t offset = bytes_.size();
  REPRISE_CHECK(data.size() < 0xFFFF0000 && offset < 0xFFFF0000 - data.size() && count_ < 65534,
                "zip archive: more than 4 GiB or 65534 entries; write safetensors instead");
  const std::uint32_t crc = crc32(data);
  const auto size = static_cast<std::uint32_t>(data.size());
  const auto name_bytes = static_cast<std::uint16_t>(name.size());
  // An extra field ("FB", as torch.save has it) fills up to the next multiple of 64.
  const std::size_t start = offset + local_bytes + name.size() + 4;
  const auto padding = static_cast<std::uint16_t>((64 - start % 64) % 64);
  put(bytes_, local_signature);
  put_common(bytes_, crc, size);
  put(bytes_, name_bytes), put(bytes_, static_cast<std::uint16_t>(padding + 4));
  put(bytes_, name);
  put(bytes_, "FB"), put(bytes_, padding);
  bytes_.insert(bytes_.end(), padding, std::byte{'Z'});
  bytes_.insert(bytes_.end(), data.begin(), data.end());

  put(directory_, central_signature);
  put<std::uint16_t>(directory_, 10);  // made by: version 1.0, no particular system
  put_common(directory_, crc, size);
  put(directory_, name_bytes);
  put<std::uint16_t>(directory_, 0);  // extra
  put<std::uint16_t>(directory_, 0);  // comment
  put<std::uint16_t>(directory_, 0);  // disk
  put<std::uint16_t>(directory_, 0);  // internal attributes
  put<std::uint32_t>(directory_, 0);  // external attributes
  put(directory_, static_cast<std::uint32_t>(offset));
  put(directory_, name);
  ++count_;
}

void ZipWriter::add(const std::string& name, std::string_view text) {
  add(name, std::as_bytes(std::span(text.data(), text.size())));
}

std::vector<std::byte> ZipWriter::finish() {
  const auto offset = static_cast<std::uint32_t>(bytes_.size());
  bytes_.insert(bytes_.end(), directory_.begin(), directory_.end());
  put(bytes_, end_signature);
  put<std::uint32_t>(bytes_, 0);  // disks
  put(bytes_, count_), put(bytes_, count_);
  put(bytes_, static_cast<std::uint32_t>(directory_.size()));
  put(bytes_, offset);
  put<std::uint16_t>(bytes_, 0);  // comment
  return std::move(bytes_);
}

}  // namespace reprise::data
