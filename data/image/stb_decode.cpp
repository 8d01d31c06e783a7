// Compiles stb_image, here only. Its warnings are off for this file (see data/CMakeLists.txt). Its
// asserts are off as well: an assert would end the program, and callers check a file's structure
// before.
#include "data/image/stb_decode.h"

#include <climits>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "engine/base/check.h"

namespace {

// Every block starts with its size, so that freeing it restores the budget.
constexpr std::size_t block_header = 16;
thread_local std::int64_t budget_left = 0;

void* budget_malloc(std::size_t size) {
  if (std::cmp_greater(size, budget_left)) return nullptr;
  // Zeroed: stb_image decodes with Huffman tables that a JPEG names and never defines.
  auto* block = static_cast<unsigned char*>(std::calloc(1, size + block_header));
  if (block == nullptr) return nullptr;
  std::memcpy(block, &size, sizeof size);
  budget_left -= static_cast<std::int64_t>(size);
  return block + block_header;
}

void budget_free(void* p) {
  if (p == nullptr) return;
  unsigned char* block = static_cast<unsigned char*>(p) - block_header;
  std::size_t size;
  std::memcpy(&size, block, sizeof size);
  budget_left += static_cast<std::int64_t>(size);
  std::free(block);
}

void* budget_realloc(void* p, std::size_t old_size, std::size_t size) {
  void* grown = budget_malloc(size);
  if (grown == nullptr) return nullptr;
  if (p != nullptr) std::memcpy(grown, p, old_size < size ? old_size : size);
  budget_free(p);
  return grown;
}

}  // namespace

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_NO_STDIO
#define STBI_ONLY_PNG
#define STBI_ONLY_GIF
#ifndef REPRISE_WITH_JPEG
#define STBI_ONLY_JPEG
#endif
#define STBI_MAX_DIMENSIONS 65535
#define STBI_ASSERT(x) ((void)0)
#define STBI_MALLOC(size) budget_malloc(size)
#define STBI_REALLOC_SIZED(p, old_size, size) budget_realloc(p, old_size, size)
#define STBI_FREE(p) budget_free(p)
#include <stb_image.h>

namespace reprise::data {
namespace {

class Budget {
 public:
  explicit Budget(std::int64_t bytes) { budget_left = bytes; }
  ~Budget() { budget_left = 0; }
};

template <class T>
struct Owned {
  T* p;
  ~Owned() { budget_free(p); }
};

const stbi_uc* data_of(Bytes bytes) {
  return reinterpret_cast<const stbi_uc*>(bytes.data());
}
int size_of(Bytes bytes) {
  return static_cast<int>(bytes.size());
}

void check_result(const void* pixels, int w, int h, int width, int height, std::string_view format) {
  REPRISE_CHECK(pixels != nullptr, "broken {}: {}", format,
                stbi_failure_reason() != nullptr ? stbi_failure_reason() : "cannot be decoded");
  REPRISE_CHECK(w == width && h == height, "broken {}: two sizes, {} x {} and {} x {}", format, width, height,
                w, h);
}

}  // namespace

std::int64_t stb_budget(std::int64_t width, std::int64_t height, std::size_t file_bytes) {
  // At most 8 bytes a pixel in the output, the same inflated, an 8-bit copy, and the compressed
  // stream regrown.
  return width * height * 24 + 4 * static_cast<std::int64_t>(file_bytes) + (1 << 20);
}

std::vector<std::uint8_t> stb_decode(Bytes bytes, ImageFormat format, int width, int height, int channels) {
  const Budget budget(stb_budget(width, height, bytes.size()));
  int w = 0, h = 0, n = 0;
  const Owned<stbi_uc> pixels{stbi_load_from_memory(data_of(bytes), size_of(bytes), &w, &h, &n, channels)};
  check_result(pixels.p, w, h, width, height, format_name(format));
  return {pixels.p, pixels.p + std::size_t{1} * w * h * channels};
}

std::vector<std::uint16_t> stb_decode_grey16(Bytes bytes, int width, int height) {
  const Budget budget(stb_budget(width, height, bytes.size()));
  int w = 0, h = 0, n = 0;
  const Owned<stbi_us> pixels{stbi_load_16_from_memory(data_of(bytes), size_of(bytes), &w, &h, &n, 1)};
  check_result(pixels.p, w, h, width, height, format_name(ImageFormat::png));
  return {pixels.p, pixels.p + std::size_t{1} * w * h};
}

bool stb_size(Bytes bytes, int& width, int& height) {
  const Budget budget(1 << 20);
  int n = 0;
  return stbi_info_from_memory(data_of(bytes), size_of(bytes), &width, &height, &n) != 0;
}

std::vector<std::uint8_t> stb_inflate(Bytes bytes, std::int64_t bytes_allowed) {
  const Budget budget(bytes_allowed);
  int n = 0;
  const Owned<char> out{stbi_zlib_decode_malloc_guesssize_headerflag(
      reinterpret_cast<const char*>(bytes.data()), size_of(bytes), 1 << 16, &n, 1)};
  if (out.p == nullptr) return {};
  return {out.p, out.p + n};
}

bool stb_inflate_raw(Bytes bytes, std::span<std::byte> to) {
  // The decoder looks two bytes ahead of what it uses: where those were beyond the end, it would
  // give up.
  std::vector<std::byte> padded(bytes.begin(), bytes.end());
  padded.resize(bytes.size() + 8);
  if (padded.size() > INT_MAX || to.size() > INT_MAX) return false;
  char none = 0;  // the decoder copies zero bytes, too, and not to a null pointer
  char* out = to.empty() ? &none : reinterpret_cast<char*>(to.data());
  const int n = stbi_zlib_decode_noheader_buffer(
      out, static_cast<int>(to.size()), reinterpret_cast<const char*>(padded.data()), size_of(padded));
  return n >= 0 && static_cast<std::size_t>(n) == to.size();
}

std::string stb_version() {
  return "stb_image " REPRISE_STB_VERSION;
}

}  // namespace reprise::data
