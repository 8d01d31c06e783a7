#include "data/weights/recognise.h"

#include <algorithm>
#include <cctype>
#include <string_view>

#include "engine/base/check.h"

namespace reprise::data {
namespace {

struct Signature {
  std::string_view start, meaning;
};

using namespace std::string_view_literals;
constexpr std::string_view pickle =
    "it looks like a pickle that torch.save did not write; save its tensors with torch.save";
constexpr Signature signatures[] = {
    {"\x89PNG\r\n\x1a\n", "it looks like a PNG image"},
    {"\xff\xd8\xff", "it looks like a JPEG image"},
    {"GIF8", "it looks like a GIF image"},
    {"BM", "it looks like a BMP image"},
    {"version https://git-lfs",
     "it is a Git LFS pointer, not the file it stands for (git lfs pull fetches it)"},
    {"\x1f\x8b", "it looks like a gzip file; unpack it first"},
    {"BZh", "it looks like a bzip2 file; unpack it first"},
    {"\xfd"
     "7zXZ",
     "it looks like an xz file; unpack it first"},
    {"\x28\xb5\x2f\xfd", "it looks like a zstd file; unpack it first"},
    {"\x89HDF\r\n\x1a\n", "it looks like an HDF5 file (Keras)"},
    {"GGUF", "it looks like a GGUF file"},
    {"\x93NUMPY", "it looks like a NumPy array"},
    {"\x7f"
     "ELF",
     "it looks like a program"},
    {"%PDF", "it looks like a PDF document"},
    {"\x80\x02"sv, pickle},
    {"\x80\x03"sv, pickle},
    {"\x80\x04"sv, pickle},
    {"\x80\x05"sv, pickle},
};

// Recognises a protobuf whose first fields are ONNX's: ir_version (a small number), then the
// producer's name or version, the domain, the model's version, a text, the graph or the operators.
bool is_onnx(std::string_view s) {
  return s.size() > 4 && s[0] == 0x08 && s[1] > 0 && s[1] < 0x20 && "\x12\x1a\"(2:B"sv.find(s[2]) != s.npos;
}

bool is_text(std::string_view s) {
  return std::all_of(s.begin(), s.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u >= 32 || c == '\n' || c == '\r' || c == '\t' || c == '\f';
  });
}

bool is_html(std::string_view s) {
  std::string low;
  for (char c : s) low += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return low.find("<html") != std::string::npos || low.find("<!doctype html") != std::string::npos;
}

}  // namespace

std::string describe_content(std::span<const std::byte> bytes) {
  if (bytes.empty()) return "it is empty";
  const std::string_view start(reinterpret_cast<const char*>(bytes.data()),
                               std::min<std::size_t>(bytes.size(), 512));
  for (const Signature& s : signatures)
    if (start.starts_with(s.start)) return std::string(s.meaning);
  if (is_onnx(start))
    return "it looks like an ONNX model; save the state dict of the PyTorch model that it was exported from";
  if (is_text(start)) {
    if (is_html(start)) return "it is an HTML page (a failed download?)";
    return fmt::format("it is text, beginning with \"{}\"", printable(start.substr(0, 40)));
  }
  return fmt::format("{} bytes of an unknown kind", bytes.size());
}

std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 80)) {
    const auto u = static_cast<unsigned char>(c);
    if (u >= 32 && u < 127)
      out += c;
    else
      out += fmt::format("\\x{:02x}", u);
  }
  if (text.size() > 80) out += "...";
  return out;
}

}  // namespace reprise::data
