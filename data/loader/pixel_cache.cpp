#include "data/loader/pixel_cache.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstddef>
#include <cstring>
#include <new>
#include <string_view>

#include "data/io/file.h"
#include "engine/base/check.h"
#include "engine/base/log.h"
#include "engine/base/parallel.h"
#include "engine/base/sha256.h"

namespace reprise::data {
namespace {

constexpr std::string_view magic = "RPRPIX01";

// The last bytes of a cache file: what it holds, and the digest of the row digests and of the
// fields above it.
struct Footer {
  char magic[8];
  std::uint64_t count, row_bytes;
  Digest key, seal;
};
static_assert(sizeof(Footer) == 88);

Footer make_footer(const Digest& key, std::size_t row_bytes, std::span<const Digest> digests) {
  Footer footer{{}, digests.size(), row_bytes, key, {}};
  std::memcpy(footer.magic, magic.data(), magic.size());
  Sha256 hash;
  hash.update(std::as_bytes(digests));
  hash.update(std::as_bytes(std::span(&footer, 1)).first(offsetof(Footer, seal)));
  footer.seal = hash.digest();
  return footer;
}

std::atomic<std::int64_t> bytes_in_memory{0};

// A share of the process's limit on memory, given back when it is destroyed.
class Share {
 public:
  // False where the limit leaves no room.
  bool take(std::int64_t bytes, std::int64_t limit) {
    std::int64_t used = bytes_in_memory.load();
    do {
      if (bytes > limit - used) return false;
    } while (!bytes_in_memory.compare_exchange_weak(used, used + bytes));
    bytes_ = bytes;
    return true;
  }
  Share() = default;
  ~Share() { bytes_in_memory -= bytes_; }
  Share(const Share&) = delete;
  Share& operator=(const Share&) = delete;

 private:
  std::int64_t bytes_ = 0;
};

class MemoryRows final : public PixelRows {
 public:
  // False where the limit leaves no room.
  bool fill(std::int64_t count, std::size_t row_bytes, std::int64_t limit, const FillRows& fill_rows) {
    const std::size_t bytes = static_cast<std::size_t>(count) * row_bytes;
    if (!share_.take(static_cast<std::int64_t>(bytes), limit)) return false;
    bytes_.reset(new (std::nothrow) std::byte[bytes]);
    REPRISE_CHECK(bytes_,
                  "data: no memory for {} bytes of decoded images; a smaller REPRISE_CACHE_MB puts them "
                  "into a cache file",
                  bytes);
    rows_ = bytes_.get();
    row_bytes_ = row_bytes;
    digests_.resize(static_cast<std::size_t>(count));
    fill_rows(0, count, bytes_.get(), digests_.data());
    return true;
  }

 private:
  Share share_;
  std::unique_ptr<std::byte[]> bytes_;
};

class MappedRows final : public PixelRows {
 public:
  MappedRows(void* map, std::size_t bytes, std::size_t row_bytes, std::vector<Digest> digests)
      : map_(map), bytes_(bytes) {
    rows_ = static_cast<const std::byte*>(map);
    row_bytes_ = row_bytes;
    digests_ = std::move(digests);
  }
  ~MappedRows() override { ::munmap(map_, bytes_); }

 private:
  void* map_;
  std::size_t bytes_;
};

bool all_rows_intact(const PixelRows& rows) {
  std::atomic<bool> intact{true};
  parallel_for(rows.count(), 64, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end && intact; ++i)
      if (rows.digest(i) != no_digest && digest_of(rows.row(i)) != rows.digest(i)) intact = false;
  });
  return intact;
}

}  // namespace

Digest digest_of(std::span<const std::byte> bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.digest();
}

std::shared_ptr<PixelRows> rows_in_memory(std::int64_t count, std::size_t row_bytes, std::int64_t limit,
                                          const FillRows& fill) {
  auto rows = std::make_shared<MemoryRows>();
  if (!rows->fill(count, row_bytes, limit, fill)) return nullptr;
  return rows;
}

void write_rows(const std::string& path, const Digest& key, std::int64_t count, std::size_t row_bytes,
                const FillRows& fill) {
  constexpr std::size_t part_bytes = std::size_t{64} << 20;
  const auto part = std::clamp<std::int64_t>(static_cast<std::int64_t>(part_bytes / row_bytes), 1, count);
  std::vector<std::byte> rows(static_cast<std::size_t>(part) * row_bytes);
  std::vector<Digest> digests(static_cast<std::size_t>(count));
  AtomicFile file(path);
  for (std::int64_t begin = 0; begin < count; begin += part) {
    const std::int64_t end = std::min(count, begin + part);
    fill(begin, end, rows.data(), digests.data() + begin);
    file.write(std::span(rows).first(static_cast<std::size_t>(end - begin) * row_bytes));
  }
  file.write(std::as_bytes(std::span(digests)));
  const Footer footer = make_footer(key, row_bytes, digests);
  file.write(std::as_bytes(std::span(&footer, 1)));
  file.commit();
}

std::shared_ptr<PixelRows> open_rows(const std::string& path, const Digest& key, std::int64_t count,
                                     std::size_t row_bytes) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return nullptr;
  const auto damaged = [&](std::string_view how) {
    log_warning(fmt::format("the cache file {} {}; the images are decoded anew", path, how));
    return nullptr;
  };
  const std::size_t pixels = static_cast<std::size_t>(count) * row_bytes,
                    table = static_cast<std::size_t>(count) * sizeof(Digest),
                    bytes = pixels + table + sizeof(Footer);
  struct stat info {};
  const bool fits = ::fstat(descriptor, &info) == 0 && S_ISREG(info.st_mode) &&
                    static_cast<std::size_t>(info.st_size) == bytes;
  void* map = fits ? ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, descriptor, 0) : MAP_FAILED;
  ::close(descriptor);
  if (map == MAP_FAILED) return damaged("has another size than it should");

  std::vector<Digest> digests(static_cast<std::size_t>(count));
  Footer footer;
  const auto* at = static_cast<const std::byte*>(map) + pixels;
  std::memcpy(digests.data(), at, table);
  std::memcpy(&footer, at + table, sizeof footer);
  const Footer expected = make_footer(key, row_bytes, digests);
  auto rows = std::make_shared<MappedRows>(map, bytes, row_bytes, std::move(digests));
  if (std::memcmp(&footer, &expected, sizeof footer) != 0) return damaged("is not what was written");
  if (!all_rows_intact(*rows)) return damaged("has changed pixels");
  return rows;
}

}  // namespace reprise::data
