#include "data/weights/torch_file.h"

#include "data/io/byte_reader.h"
#include "data/weights/recognise.h"
#include "data/weights/tar.h"
#include "data/weights/torch_state_dict.h"
#include "data/weights/zip.h"

namespace reprise::data {
namespace {

using Kind = PickleValue::Kind;

// Storages may be shared (tied weights), so tensors may take somewhat more than the file.
std::uint64_t budget(std::uint64_t file_bytes) {
  return file_bytes * 8;
}

// The folder in the archive where data.pkl lies, with its slash. Throws Error for archives of
// another kind, naming it.
std::string folder_of_pickle(const std::vector<std::string>& names) {
  constexpr std::string_view pickle = "data.pkl";
  std::vector<std::string> folders;
  for (const std::string& name : names) {
    const auto is = [&](std::string_view file) {
      return name == file || (name.ends_with(file) && name[name.size() - file.size() - 1] == '/');
    };
    REPRISE_CHECK(!is("serialized_exported_program.json") && !is("archive_format"),
                  "the file is an exported program (.pt2, it has {}), not a state dict; save "
                  "torch.export.load(FILE).state_dict with torch.save instead",
                  printable(name));
    REPRISE_CHECK(!is("constants.pkl") && name.find("/code/") == std::string::npos,
                  "the file is a TorchScript archive (it has {}), not a state dict; save "
                  "torch.jit.load(FILE).state_dict() with torch.save instead",
                  printable(name));
    REPRISE_CHECK(name.find(".data/extern_modules") == std::string::npos,
                  "the file is a package of torch.package (it has {}), not a state dict; save "
                  "model.state_dict() with torch.save instead",
                  printable(name));
    if (is(pickle)) folders.push_back(name.substr(0, name.size() - pickle.size()));
  }
  REPRISE_CHECK(folders.size() == 1,
                "not a weight file: a zip archive with {} entries named data.pkl; torch.save writes one{}",
                folders.size(),
                names.empty() ? "" : fmt::format("; its first entry is {}", printable(names[0])));
  return folders[0];
}

constexpr std::int64_t legacy_protocol = 1001;
constexpr std::string_view magic("\x6c\xfc\x9c\x46\xf9\x20\x6a\xa8\x50\x19", 10);

// One i64 with the number of elements, then the elements.
std::span<const std::byte> take_storage(ByteReader& r, const PickleValue& storage) {
  const auto count = r.number<std::int64_t>();
  REPRISE_CHECK(count == storage.integer, "the storage {} has {} elements, {} were expected",
                printable(storage.text), count, storage.integer);
  return r.take(bytes_of(storage));
}

std::string text_of(const PickleValue& key) {
  REPRISE_CHECK(key.kind == Kind::text || key.kind == Kind::integer, "a storage's key is {}", describe(key));
  return key.kind == Kind::text ? key.text : std::to_string(key.integer);
}

StorageBytes lookup(const std::map<std::string, std::span<const std::byte>>& data) {
  return [&data](const PickleValue& storage) {
    const auto found = data.find(storage.text);
    REPRISE_CHECK(found != data.end(), "the storage {} is not in the file", printable(storage.text));
    return found->second;
  };
}

}  // namespace

void read_torch_zip(std::span<const std::byte> bytes, const ChooseStateDict& choose, WeightFile& file) {
  ZipReader zip(bytes);
  const std::string prefix = folder_of_pickle(zip.names());
  if (zip.contains(prefix + "byteorder")) {
    const auto order = zip.read(prefix + "byteorder");
    const std::string_view text(reinterpret_cast<const char*>(order.data()), order.size());
    REPRISE_CHECK(text == "little", "the file's byte order is '{}'; only little-endian ones are read",
                  printable(text));
  }
  const auto pickle = zip.read(prefix + "data.pkl");
  PickleHeap heap;
  std::size_t position = 0;
  const PickleValue* root = run_pickle(pickle, position, heap);
  REPRISE_CHECK(position == pickle.size(), "pickle: something follows its end at byte {}", position);
  std::map<std::string, std::span<const std::byte>> checked;  // so that each CRC-32 is taken once
  const auto storage_bytes = [&](const PickleValue& storage) {
    const auto [place, is_new] = checked.try_emplace(storage.text);
    if (is_new) {
      place->second = zip.read(prefix + "data/" + storage.text);
      REPRISE_CHECK(place->second.size() == bytes_of(storage),
                    "the storage {} has {} bytes, {} were expected", printable(storage.text),
                    place->second.size(), bytes_of(storage));
    }
    return place->second;
  };
  collect_tensors(*root, storage_bytes, budget(bytes.size()) + zip.inflated_bytes(), choose, file);
}

bool is_torch_legacy(std::span<const std::byte> bytes) {
  if (bytes.size() < 4 || bytes[0] != std::byte{0x80}) return false;
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min<std::size_t>(bytes.size(), 32));
  return start.find(magic) != std::string_view::npos;
}

void read_torch_legacy(std::span<const std::byte> bytes, const ChooseStateDict& choose, WeightFile& file) {
  PickleHeap heap;
  std::size_t position = 0;
  const PickleValue* first = run_pickle(bytes, position, heap);
  REPRISE_CHECK(first->kind == Kind::long_integer && first->text == magic,
                "not a weight file: its first pickle is not torch.save's magic number");
  const PickleValue* protocol = run_pickle(bytes, position, heap);
  REPRISE_CHECK(protocol->kind == Kind::integer && protocol->integer == legacy_protocol,
                "the file's protocol is {}; expected {}", describe(*protocol), legacy_protocol);
  check_system(*run_pickle(bytes, position, heap));
  const PickleValue* root = run_pickle(bytes, position, heap);
  const PickleValue* keys = run_pickle(bytes, position, heap);
  REPRISE_CHECK(keys->kind == Kind::list, "the storages' keys are {}, not a list", describe(*keys));

  ByteReader r(bytes, "torch file", position);
  std::map<std::string, std::span<const std::byte>> data;
  for (const PickleValue* item : keys->items) {
    const std::string key = text_of(*item);
    const auto storage = heap.storages.find(key);
    REPRISE_CHECK(storage != heap.storages.end(), "the storage {} belongs to no tensor", printable(key));
    REPRISE_CHECK(data.emplace(key, take_storage(r, *storage->second)).second, "the storage {} comes twice",
                  printable(key));
  }
  REPRISE_CHECK(r.left() == 0, "{} bytes follow the last storage", r.left());
  collect_tensors(*root, lookup(data), budget(bytes.size()), choose, file);
}

namespace {

// The tar form's members `storages` and `tensors` are a count and then as many records, each a
// pickle followed by raw numbers.
std::int64_t record_count(std::span<const std::byte> member, std::size_t& position, PickleHeap& heap) {
  const PickleValue* count = run_pickle(member, position, heap);
  REPRISE_CHECK(count->kind == Kind::integer && count->integer >= 0, "a number of records is {}",
                describe(*count));
  return count->integer;
}

const std::vector<PickleValue*>& next_record(std::span<const std::byte> member, std::size_t& position,
                                             PickleHeap& heap) {
  const PickleValue* record = run_pickle(member, position, heap);
  REPRISE_CHECK(record->kind == Kind::tuple && record->items.size() == 3,
                "expected a record of three, got {}", describe(*record));
  return record->items;
}

// (key, location, type), the number of elements, the elements; at the end a list of views, which
// must be empty.
std::map<std::string, std::span<const std::byte>> read_tar_storages(std::span<const std::byte> member,
                                                                    PickleHeap& heap) {
  std::map<std::string, std::span<const std::byte>> data;
  std::size_t position = 0;
  for (std::int64_t n = record_count(member, position, heap); n > 0; --n) {
    const auto& record = next_record(member, position, heap);
    const std::string key = text_of(*record[0]);
    REPRISE_CHECK(record[2]->kind == Kind::global && record[2]->global == PickleGlobal::storage,
                  "the storage {} is of type {}", printable(key), describe(*record[2]));
    const auto count = ByteReader(member, "storages", position).number<std::int64_t>();
    REPRISE_CHECK(count >= 0, "the storage {} has {} elements", printable(key), count);
    auto* storage = heap.make({.kind = Kind::storage,
                               .element = record[2]->element,
                               .width = record[2]->width,
                               .integer = count,
                               .text = key,
                               .items = {record[2]}});
    ByteReader r(member, "storages", position);
    REPRISE_CHECK(heap.storages.emplace(key, storage).second, "the storage {} comes twice", printable(key));
    data.emplace(key, take_storage(r, *storage));
    position = r.position();
  }
  const PickleValue* views = run_pickle(member, position, heap);
  REPRISE_CHECK(views->kind == Kind::list && views->items.empty(),
                "the file's storages have views, which are not supported");
  REPRISE_CHECK(position == member.size(), "storages: something follows the end at byte {}", position);
  return data;
}

// (key, storage, type), i32 rank, 4 bytes, i64 sizes, i64 strides, i64 offset.
void read_tar_tensors(std::span<const std::byte> member, PickleHeap& heap) {
  std::size_t position = 0;
  for (std::int64_t n = record_count(member, position, heap); n > 0; --n) {
    const auto& record = next_record(member, position, heap);
    const std::string key = text_of(*record[0]);
    const auto storage = heap.storages.find(text_of(*record[1]));
    REPRISE_CHECK(storage != heap.storages.end(), "the tensor {} has no storage", printable(key));
    ByteReader r(member, "tensors", position);
    const auto rank = r.number<std::int32_t>();
    REPRISE_CHECK(rank >= 0, "the tensor {} has {} dimensions", printable(key), rank);
    r.take(4);
    const auto numbers = [&] {
      PickleValue tuple{.kind = Kind::tuple};
      for (std::int32_t i = 0; i < rank; ++i)
        tuple.items.push_back(heap.make({.kind = Kind::integer, .integer = r.number<std::int64_t>()}));
      return heap.make(std::move(tuple));
    };
    PickleValue *sizes = numbers(), *strides = numbers();
    const auto offset = r.number<std::int64_t>();
    auto* tensor = heap.make({.kind = Kind::tensor,
                              .element = storage->second->element,
                              .integer = offset,
                              .text = describe(*record[2]),
                              .items = {storage->second, sizes, strides}});
    REPRISE_CHECK(heap.known.emplace(key, tensor).second, "the tensor {} comes twice", printable(key));
    position = r.position();
  }
  REPRISE_CHECK(position == member.size(), "tensors: something follows the end at byte {}", position);
}

}  // namespace

void read_torch_tar(std::span<const std::byte> bytes, const ChooseStateDict& choose, WeightFile& file) {
  const auto members = read_tar(bytes);
  for (const char* name : {"sys_info", "pickle", "tensors", "storages"})
    REPRISE_CHECK(members.contains(name),
                  "not a weight file: a tar archive without the member {}; unpack it if the file is inside",
                  name);
  PickleHeap heap;
  std::size_t position = 0;
  check_system(*run_pickle(members.at("sys_info"), position, heap));
  const auto data = read_tar_storages(members.at("storages"), heap);
  read_tar_tensors(members.at("tensors"), heap);
  position = 0;
  const auto pickle = members.at("pickle");
  const PickleValue* root = run_pickle(pickle, position, heap);
  REPRISE_CHECK(position == pickle.size(), "pickle: something follows its end at byte {}", position);
  collect_tensors(*root, lookup(data), budget(bytes.size()), choose, file);
}

}  // namespace reprise::data
