#include "data/loader/image_store.h"

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <unordered_map>

#include "data/image/image.h"
#include "data/image/resize.h"
#include "data/loader/pixel_cache.h"
#include "data/loader/progress.h"
#include "data/loader/read_image.h"
#include "engine/base/check.h"
#include "engine/base/env.h"
#include "engine/base/parallel.h"
#include "engine/base/sha256.h"
#include "engine/base/utf8.h"

namespace reprise::data {
namespace {

constexpr int largest_size = 4096;

std::string hex(const Digest& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

// Removes a folder at the end; none where the path is empty.
struct OwnFolder {
  std::string path;
  ~OwnFolder() {
    std::error_code ignored;
    if (!path.empty()) std::filesystem::remove_all(path, ignored);
  }
};

}  // namespace

// One call of load(): the missing images, why those that cannot be read cannot, and the progress.
class ImageStore::Decoding {
 public:
  Decoding(const ImageStore& store, const Progress& progress)
      : store_(store), missing_(missing_of(store)), reasons_(missing_.size()), progress_(progress, count()) {}

  std::int64_t count() const { return static_cast<std::int64_t>(missing_.size()); }
  std::size_t sample(std::int64_t i) const { return missing_[static_cast<std::size_t>(i)]; }
  const std::string& reason(std::int64_t i) const { return reasons_[static_cast<std::size_t>(i)]; }
  std::size_t row_bytes() const { return std::size_t{3} * store_.size_ * store_.size_; }
  std::int64_t decoded() const { return decoded_; }

  // Every row is a chunk of its own, so that large images spread over the threads.
  FillRows filler() {
    return [this](std::int64_t begin, std::int64_t end, std::byte* rows, Digest* digests) {
      parallel_for(end - begin, 1, [&](std::int64_t b, std::int64_t e) {
        for (std::int64_t i = b; i < e && !progress_.stopped(); ++i)
          decode(begin + i, {rows + static_cast<std::size_t>(i) * row_bytes(), row_bytes()}, digests[i]);
      });
    };
  }

  // Returns the key of the contents: a digest of the files' digests in order, the decoders and the
  // size.
  Digest content_key() const {
    std::vector<Digest> contents(missing_.size());
    parallel_for(count(), 8, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) try {
          contents[static_cast<std::size_t>(i)] = digest_of(read_image_bytes(path(i)));
        } catch (const Error&) {
          contents[static_cast<std::size_t>(i)] = no_digest;  // decoding will say why
        }
    });
    Sha256 hash;
    hash.update(fmt::format("{}\n{}\n{}", decoder_id(), store_.size_,
                            store_.grey16_ == Grey16::clip ? "grey16 clipped\n" : ""));
    hash.update(std::as_bytes(std::span(contents)));
    return hash.digest();
  }

  // Decodes the images that a cache file has no pixels of, and keeps the reasons. Returns false
  // where one of them can be read now.
  bool still_unreadable(const PixelRows& rows) {
    std::vector<std::byte> scratch(row_bytes());
    bool same = true;
    for (std::int64_t i = 0; i < count() && same; ++i) {
      if (rows.digest(i) != no_digest) continue;
      Digest digest;
      decode(i, scratch, digest);
      same = digest == no_digest;
    }
    return same;
  }

  void finish() { progress_.finish(); }

 private:
  static std::vector<std::size_t> missing_of(const ImageStore& store) {
    std::vector<std::size_t> missing;
    for (std::size_t i = 0; i < store.rows_.size(); ++i)
      if (store.rows_[i].index < 0) missing.push_back(i);
    return missing;
  }
  const std::string& path(std::int64_t i) const { return store_.samples_[sample(i)].path; }

  void decode(std::int64_t i, std::span<std::byte> row, Digest& digest) {
    try {
      const Image image = resize_bilinear(read_image(path(i), store_.grey16_), store_.size_, store_.size_);
      REPRISE_INVARIANT(image.rgb.size() == row.size(), "{} bytes for a row of {}", image.rgb.size(),
                        row.size());
      std::memcpy(row.data(), image.rgb.data(), row.size());
      digest = digest_of(row);
      ++decoded_;
    } catch (const Error& error) {
      std::fill(row.begin(), row.end(), std::byte{0});
      digest = no_digest;
      reasons_[static_cast<std::size_t>(i)] = error.what();
    }
    progress_.step();
  }

  const ImageStore& store_;
  std::vector<std::size_t> missing_;
  std::vector<std::string> reasons_;
  ProgressCount progress_;
  std::atomic<std::int64_t> decoded_{0};
};

ImageStore::ImageStore(std::vector<Sample> samples, int size, std::string cache_dir, Grey16 grey16)
    : samples_(std::move(samples)),
      size_(size),
      cache_dir_(std::move(cache_dir)),
      grey16_(grey16),
      rows_(samples_.size()) {
  REPRISE_CHECK(size >= 1 && size <= largest_size, "data: an image size of 1 to {} is expected, got {}",
                largest_size, size);
}

void ImageStore::adopt(const ImageStore& other) {
  REPRISE_INVARIANT(other.size_ == size_ && other.grey16_ == grey16_,
                    "images of {} pixels for a store of {}, or of another 16-bit grey", other.size_, size_);
  std::unordered_map<std::string_view, const Row*> theirs;
  for (std::size_t i = 0; i < other.samples_.size(); ++i)
    if (other.rows_[i].index >= 0) theirs.emplace(other.samples_[i].path, &other.rows_[i]);
  for (std::size_t i = 0; i < samples_.size(); ++i)
    if (const auto found = theirs.find(samples_[i].path); found != theirs.end()) rows_[i] = *found->second;
  in_cache_file_ = in_cache_file_ || other.in_cache_file_;
}

std::int64_t ImageStore::missing() const {
  return std::count_if(rows_.begin(), rows_.end(), [](const Row& row) { return row.index < 0; });
}

std::vector<Unreadable> ImageStore::load(const Progress& progress) {
  Decoding decoding(*this, progress);
  if (decoding.count() == 0) return {};
  const std::int64_t limit = env_int("REPRISE_CACHE_MB");
  constexpr std::int64_t most = (std::int64_t{1} << 40) - 1;
  REPRISE_CHECK(limit >= 0 && limit <= most, "REPRISE_CACHE_MB: expected 0 to {}, got {}", most, limit);
  std::shared_ptr<PixelRows> rows =
      rows_in_memory(decoding.count(), decoding.row_bytes(), limit << 20, decoding.filler());
  if (!rows) {
    rows = load_through_file(decoding);
    in_cache_file_ = true;
  }
  decoded_ += decoding.decoded();
  unreadable_.clear();
  for (std::int64_t i = 0; i < decoding.count(); ++i) {
    const std::size_t sample = decoding.sample(i);
    if (rows->digest(i) == no_digest)
      unreadable_.push_back({samples_[sample].path, decoding.reason(i)});
    else
      rows_[sample] = {rows, i};
  }
  decoding.finish();
  return unreadable_;
}

std::shared_ptr<PixelRows> ImageStore::load_through_file(Decoding& decoding) const {
  std::string folder = env_string("REPRISE_CACHE_DIR");
  if (folder.empty()) folder = cache_dir_;
  const bool own = folder.empty();
  std::error_code error;
  if (own) {
    folder = (std::filesystem::temp_directory_path(error) / "reprise-XXXXXX").string();
    if (::mkdtemp(folder.data()) == nullptr) error.assign(errno, std::generic_category());
  } else {
    std::filesystem::create_directories(folder, error);
  }
  REPRISE_CHECK(
      !error,
      "data: the folder for cache files cannot be made: {}; REPRISE_CACHE_DIR names another\n  folder  {}",
      error.message(), folder);
  // Without its name the file lasts as long as it is mapped, even if this process is killed.
  const OwnFolder removed{own ? folder : ""};
  const Digest key = own ? no_digest : decoding.content_key();
  const std::string path = folder + "/" + hex(key).substr(0, 32) + ".pixels";
  auto rows = open_rows(path, key, decoding.count(), decoding.row_bytes());
  if (rows && decoding.still_unreadable(*rows)) return rows;
  write_rows(path, key, decoding.count(), decoding.row_bytes(), decoding.filler());
  rows = open_rows(path, key, decoding.count(), decoding.row_bytes());
  REPRISE_CHECK(rows != nullptr, "data: a cache file cannot be read back\n  file    {}", path);
  return rows;
}

const ImageStore::Row& ImageStore::row_of(std::int64_t index) const {
  REPRISE_CHECK(index >= 0 && index < count(), "data: image {} asked for, there are {}", index, count());
  const Row& row = rows_[static_cast<std::size_t>(index)];
  if (row.index < 0) check_all_readable(unreadable_);
  REPRISE_CHECK(row.index >= 0, "data: the images are not loaded; call load() first\n  image   {}",
                escaped(samples_[static_cast<std::size_t>(index)].path));
  return row;
}

Tensor ImageStore::batch(std::span<const std::int64_t> indices) const {
  Tensor images = empty({static_cast<std::int64_t>(indices.size()), size_, size_, 3}, DType::u8);
  auto* to = images.mutable_data<std::uint8_t>();
  for (const std::int64_t index : indices) {
    const Row& row = row_of(index);
    const auto pixels = row.rows->row(row.index);
    std::memcpy(to, pixels.data(), pixels.size());
    to += pixels.size();
  }
  return images;
}

Tensor ImageStore::batch_labels(std::span<const std::int64_t> indices) const {
  std::vector<std::int64_t> labels;
  for (const std::int64_t index : indices) {
    row_of(index);
    labels.push_back(samples_[static_cast<std::size_t>(index)].label);
  }
  return tensor({static_cast<std::int64_t>(labels.size())}, std::span<const std::int64_t>(labels));
}

std::vector<std::int64_t> ImageStore::labels() const {
  std::vector<std::int64_t> labels;
  for (const Sample& s : samples_) labels.push_back(s.label);
  return labels;
}

std::string ImageStore::digest() const {
  Sha256 hash;
  for (std::int64_t i = 0; i < count(); ++i) {
    const Row& row = row_of(i);
    std::uint8_t label[8];
    for (int b = 0; b < 8; ++b)
      label[b] = static_cast<std::uint8_t>(
          static_cast<std::uint64_t>(samples_[static_cast<std::size_t>(i)].label) >> (8 * b));
    hash.update(std::as_bytes(std::span(label)));
    hash.update(std::as_bytes(std::span(row.rows->digest(row.index))));
  }
  return hash.hex();
}

}  // namespace reprise::data
