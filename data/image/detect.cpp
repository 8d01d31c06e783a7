// Recognises formats by a file's first bytes.
#include <algorithm>
#include <array>

#include "data/image/image.h"

namespace reprise::data {
namespace {

using namespace std::string_view_literals;

struct Signature {
  std::size_t offset;
  std::string_view bytes;
  ImageFormat format;
};

constexpr std::array signatures = {
    Signature{0, "\xFF\xD8\xFF"sv, ImageFormat::jpeg},
    Signature{0, "\x89PNG\r\n\x1A\n"sv, ImageFormat::png},
    Signature{0, "GIF87a"sv, ImageFormat::gif},
    Signature{0, "GIF89a"sv, ImageFormat::gif},
    Signature{8, "WEBP"sv, ImageFormat::webp},
    Signature{0, "BM"sv, ImageFormat::bmp},
    Signature{0, "II*\0"sv, ImageFormat::tiff},
    Signature{0, "MM\0*"sv, ImageFormat::tiff},
    Signature{0, "II+\0"sv, ImageFormat::tiff},
    Signature{0, "MM\0+"sv, ImageFormat::tiff},
    Signature{0, "8BPS"sv, ImageFormat::psd},
    Signature{0, "#?RADIANCE"sv, ImageFormat::hdr},
    Signature{0, "#?RGBE"sv, ImageFormat::hdr},
    Signature{0, "\x76\x2F\x31\x01"sv, ImageFormat::exr},
    Signature{4, "ftypavif"sv, ImageFormat::avif},
    Signature{4, "ftypavis"sv, ImageFormat::avif},
    Signature{4, "ftyphei"sv, ImageFormat::heic},
    Signature{4, "ftyphev"sv, ImageFormat::heic},
    Signature{4, "ftypmif1"sv, ImageFormat::heic},
    Signature{4, "ftypmsf1"sv, ImageFormat::heic},
    Signature{0, "\0\0\1\0"sv, ImageFormat::ico},
    Signature{4, "jP  \r\n"sv, ImageFormat::jpeg2000},
    Signature{0, "\xFF\x4F\xFF\x51"sv, ImageFormat::jpeg2000},
    Signature{4, "JXL \r\n"sv, ImageFormat::jpeg_xl},
    Signature{0, "\xFF\x0A"sv, ImageFormat::jpeg_xl},
    Signature{0, "qoif"sv, ImageFormat::qoi},
    Signature{0, "DDS "sv, ImageFormat::dds},
    Signature{0, "%PDF"sv, ImageFormat::pdf},
    Signature{0, "%!PS"sv, ImageFormat::postscript},
    Signature{0, "\xC5\xD0\xD3\xC6"sv, ImageFormat::postscript},
    Signature{0, "icns"sv, ImageFormat::icns},
    Signature{0, "\x0A\x05\x01"sv, ImageFormat::pcx},
    Signature{0, "\x01\xDA"sv, ImageFormat::sgi},
    Signature{0, "PK\3\4"sv, ImageFormat::archive},
    Signature{0, "\x1F\x8B"sv, ImageFormat::archive},
    Signature{0, "version https://git-lfs"sv, ImageFormat::git_lfs_pointer},
};

ImageFormat detect_pnm(std::string_view head) {
  if (head.size() < 3 || head[0] != 'P' || !(head[2] == '#' || "\t\n\v\f\r "sv.find(head[2]) != head.npos))
    return ImageFormat::unknown;
  if ("2356"sv.find(head[1]) != head.npos) return ImageFormat::pnm;
  return "147"sv.find(head[1]) != head.npos ? ImageFormat::bitmap_pnm : ImageFormat::unknown;
}

// Recognises web pages saved under an image's name, drawings in XML, and other text.
ImageFormat detect_text(std::string_view head) {
  std::string lower(head);
  for (char& c : lower)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  const auto has = [&](std::string_view s) { return lower.find(s) != lower.npos; };
  const bool printable = std::all_of(head.begin(), head.end(), [](char c) {
    const auto u = static_cast<unsigned char>(c);
    return u >= 32 || "\t\n\v\f\r"sv.find(c) != std::string_view::npos;
  });
  if (!printable) return ImageFormat::unknown;
  if (has("<!doctype html") || has("<html") || has("<head") || has("<body")) return ImageFormat::html;
  if (has("<svg")) return ImageFormat::svg;
  return ImageFormat::text;
}

}  // namespace

ImageFormat detect_format(std::span<const std::byte> bytes) {
  if (bytes.empty()) return ImageFormat::empty;
  const std::string_view head(reinterpret_cast<const char*>(bytes.data()),
                              std::min<std::size_t>(bytes.size(), 1024));
  for (const Signature& s : signatures)
    if (head.size() >= s.offset && head.substr(s.offset).starts_with(s.bytes) &&
        (s.format != ImageFormat::webp || head.starts_with("RIFF")))
      return s.format;
  const ImageFormat pnm = detect_pnm(head);
  return pnm != ImageFormat::unknown ? pnm : detect_text(head);
}

std::string_view format_name(ImageFormat format) {
  switch (format) {
    case ImageFormat::jpeg:
      return "JPEG";
    case ImageFormat::png:
      return "PNG";
    case ImageFormat::bmp:
      return "BMP";
    case ImageFormat::gif:
      return "GIF";
    case ImageFormat::webp:
      return "WebP";
    case ImageFormat::pnm:
      return "PNM";
    case ImageFormat::bitmap_pnm:
      return "PBM or PAM";
    case ImageFormat::tiff:
      return "TIFF";
    case ImageFormat::svg:
      return "SVG";
    case ImageFormat::psd:
      return "Photoshop (PSD)";
    case ImageFormat::hdr:
      return "Radiance HDR";
    case ImageFormat::exr:
      return "OpenEXR";
    case ImageFormat::avif:
      return "AVIF";
    case ImageFormat::heic:
      return "HEIC";
    case ImageFormat::ico:
      return "ICO";
    case ImageFormat::jpeg2000:
      return "JPEG 2000";
    case ImageFormat::jpeg_xl:
      return "JPEG XL";
    case ImageFormat::qoi:
      return "QOI";
    case ImageFormat::dds:
      return "DDS";
    case ImageFormat::pdf:
      return "PDF";
    case ImageFormat::postscript:
      return "PostScript (EPS)";
    case ImageFormat::icns:
      return "ICNS";
    case ImageFormat::pcx:
      return "PCX";
    case ImageFormat::sgi:
      return "SGI";
    case ImageFormat::html:
      return "HTML";
    case ImageFormat::git_lfs_pointer:
      return "Git LFS pointer";
    case ImageFormat::archive:
      return "zip or gzip archive";
    case ImageFormat::text:
      return "text";
    case ImageFormat::empty:
      return "empty file";
    case ImageFormat::unknown:
      break;
  }
  return "unknown";
}

}  // namespace reprise::data
