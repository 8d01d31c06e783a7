// What a file from a stranger may ask for. A file that asks for more is refused with the limit's
// name before memory is taken.
#pragma once

#include <cstddef>
#include <cstdint>

namespace reprise::data::limits {

// The largest file that is read at once.
inline constexpr std::uint64_t file_bytes = std::uint64_t{1} << 33;

// Weight files. Tensors have at most Shape::max_rank dimensions. Their bytes lie within the file.
inline constexpr std::uint64_t safetensors_header_bytes = std::uint64_t{16} << 20;
inline constexpr std::size_t pickle_values = 2'000'000;  // for about 100,000 tensors
inline constexpr std::size_t pickle_name_bytes = 256;    // of a global, of a storage's key
inline constexpr int state_dict_nesting = 32;            // containers around a dictionary of tensors
// What a zip archive's compressed entries may take in memory together: this, or so many times the
// file's size.
inline constexpr std::uint64_t inflated_bytes = std::uint64_t{256} << 20, inflated_ratio = 32;

// Images. A caller may ask for less: ImageLimits.
inline constexpr int image_side = 65500;                     // the largest JPEG
inline constexpr std::int64_t image_pixels = 178'956'970;    // 512 MiB of RGB
inline constexpr std::int64_t image_file_bytes = 512 << 20;  // encoded
inline constexpr int jpeg_scans = 500;  // progressive files may repeat them at almost no cost
inline constexpr long jpeg_working_bytes = 2L << 30;

// Data sets.
inline constexpr std::int64_t task_files = 10'000'000;  // of one task, in folders or in a list
inline constexpr int folder_nesting = 64;               // below a class
inline constexpr std::size_t list_path_bytes = 4096, list_label_bytes = 255;
inline constexpr std::int64_t database_text_bytes = 4096;  // of a value that is a name or a path
inline constexpr int database_value_bytes = 64 << 20;      // that SQLite takes into memory

}  // namespace reprise::data::limits
