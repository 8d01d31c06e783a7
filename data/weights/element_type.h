// The element types of files, and the dtypes that they are read as. Internal to data/weights.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "engine/core/tensor.h"

namespace reprise::data {

enum class ElementType : std::uint8_t { f32, f64, f16, bf16, i64, i32, i16, i8, u32, u16, u8, boolean };

struct ElementInfo {
  std::string_view name;         // "f16"
  std::string_view safetensors;  // "F16"
  std::string_view torch;        // "HalfStorage"; empty where torch.save writes no such storage
  std::string_view torch_dtype;  // "torch.float16"
  std::size_t size;              // in bytes
  DType read_as;
};
const ElementInfo& info_of(ElementType type);
std::optional<ElementType> element_type_of_safetensors(std::string_view name);
std::optional<ElementType> element_type_of_torch(std::string_view storage);
std::optional<ElementType> element_type_of_torch_dtype(std::string_view dtype);
// Returns the type that a tensor of this dtype is written as.
ElementType element_type_of(DType dtype);

// Returns the nearest IEEE 754 binary16, of two equally near the even one.
std::uint16_t half_from_float(float value);

// Returns true where reading changes the type: f16 becomes f32, smaller integers i64, booleans u8
// (0 or 1).
bool is_converted(ElementType type);

// Fills `to`, a tensor of dtype info_of(type).read_as, with elements of the file. The element of
// `to` at an index is the element at offset + sum of index * stride in `from`. The caller checks
// that all lie inside.
void read_elements(Tensor& to, ElementType type, std::span<const std::byte> from, std::int64_t offset,
                   std::span<const std::int64_t> strides);

}  // namespace reprise::data
