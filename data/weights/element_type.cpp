#include "data/weights/element_type.h"

#include <array>
#include <bit>
#include <cmath>
#include <cstring>

#include "engine/base/check.h"

namespace reprise::data {
namespace {

constexpr std::array<ElementInfo, 12> table = {{
    {"f32", "F32", "FloatStorage", "torch.float32", 4, DType::f32},
    {"f64", "F64", "DoubleStorage", "torch.float64", 8, DType::f64},
    {"f16", "F16", "HalfStorage", "torch.float16", 2, DType::f32},
    {"bf16", "BF16", "BFloat16Storage", "torch.bfloat16", 2, DType::bf16},
    {"i64", "I64", "LongStorage", "torch.int64", 8, DType::i64},
    {"i32", "I32", "IntStorage", "torch.int32", 4, DType::i64},
    {"i16", "I16", "ShortStorage", "torch.int16", 2, DType::i64},
    {"i8", "I8", "CharStorage", "torch.int8", 1, DType::i64},
    {"u32", "U32", "", "torch.uint32", 4, DType::i64},
    {"u16", "U16", "", "torch.uint16", 2, DType::i64},
    {"u8", "U8", "ByteStorage", "torch.uint8", 1, DType::u8},
    {"bool", "BOOL", "BoolStorage", "torch.bool", 1, DType::u8},
}};

// IEEE 754 binary16; exact.
float float_from_half(std::uint16_t bits) {
  const int exponent = bits >> 10 & 31;
  const int fraction = bits & 1023;
  if (exponent == 31) {  // infinity, or NaN with its payload
    const std::uint32_t sign = static_cast<std::uint32_t>(bits & 0x8000) << 16;
    return std::bit_cast<float>(sign | 0x7F800000u | static_cast<std::uint32_t>(fraction) << 13);
  }
  const float size = exponent == 0 ? std::ldexp(static_cast<float>(fraction), -24)
                                   : std::ldexp(static_cast<float>(fraction + 1024), exponent - 25);
  return bits & 0x8000 ? -size : size;
}

struct Half {
  std::uint16_t bits;
};
struct Boolean {
  std::uint8_t value;
};

template <class To, class From>
To converted(From value) {
  if constexpr (std::is_same_v<From, Half>)
    return float_from_half(value.bits);
  else if constexpr (std::is_same_v<From, Boolean>)
    return value.value != 0;
  else if constexpr (std::is_same_v<From, To>)
    return value;
  else
    return static_cast<To>(value);
}

// Storages need not be aligned in the file, so elements are copied out byte by byte.
template <class To, class From>
void gather(To* to, const Shape& shape, const std::byte* from, std::int64_t at,
            std::span<const std::int64_t> strides) {
  std::array<std::int64_t, Shape::max_rank> index{};
  const std::int64_t n = shape.numel();
  for (std::int64_t k = 0; k < n; ++k) {
    From value;
    std::memcpy(&value, from + static_cast<std::size_t>(at) * sizeof(From), sizeof(From));
    to[k] = converted<To>(value);
    for (int i = shape.rank() - 1; i >= 0; --i) {  // count up, innermost first
      const auto d = static_cast<std::size_t>(i);
      if (++index[d] < shape[i]) {
        at += strides[d];
        break;
      }
      at -= strides[d] * (shape[i] - 1);
      index[d] = 0;
    }
  }
}

}  // namespace

std::uint16_t half_from_float(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000, magnitude = bits & 0x7FFFFFFF;
  std::uint32_t half = 0;
  if (magnitude > 0x7F800000)
    half = 0x7E00;  // NaN
  else if (magnitude >= 0x477FF000)
    half = 0x7C00;  // 65520 and more
  else if (magnitude < 0x38800000)
    half = static_cast<std::uint32_t>(std::nearbyint(std::abs(value) * 0x1p24F));  // less than 2^-14
  else
    half = (magnitude - 0x38000000 + 0xFFF + (magnitude >> 13 & 1)) >> 13;
  return static_cast<std::uint16_t>(sign | half);
}

const ElementInfo& info_of(ElementType type) {
  return table[static_cast<std::size_t>(type)];
}

std::optional<ElementType> element_type_of_safetensors(std::string_view name) {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (table[i].safetensors == name) return static_cast<ElementType>(i);
  return std::nullopt;
}

std::optional<ElementType> element_type_of_torch(std::string_view storage) {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (!table[i].torch.empty() && table[i].torch == storage) return static_cast<ElementType>(i);
  return std::nullopt;
}

std::optional<ElementType> element_type_of_torch_dtype(std::string_view dtype) {
  for (std::size_t i = 0; i < table.size(); ++i)
    if (table[i].torch_dtype == dtype) return static_cast<ElementType>(i);
  return std::nullopt;
}

ElementType element_type_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return ElementType::f32;
    case DType::f64:
      return ElementType::f64;
    case DType::bf16:
      return ElementType::bf16;
    case DType::u8:
      return ElementType::u8;
    case DType::i64:
      return ElementType::i64;
  }
  throw InternalError("dtype");
}

bool is_converted(ElementType type) {
  return element_type_of(info_of(type).read_as) != type;
}

void read_elements(Tensor& to, ElementType type, std::span<const std::byte> from, std::int64_t offset,
                   std::span<const std::int64_t> strides) {
  const Shape& shape = to.shape();
  const std::byte* p = from.data();
  const auto integers = [&] { return to.mutable_data<std::int64_t>(); };
  switch (type) {
    case ElementType::f32:
      return gather<float, float>(to.mutable_data<float>(), shape, p, offset, strides);
    case ElementType::f64:
      return gather<double, double>(to.mutable_data<double>(), shape, p, offset, strides);
    case ElementType::f16:
      return gather<float, Half>(to.mutable_data<float>(), shape, p, offset, strides);
    case ElementType::bf16:
      return gather<BFloat16, BFloat16>(to.mutable_data<BFloat16>(), shape, p, offset, strides);
    case ElementType::u8:
      return gather<std::uint8_t, std::uint8_t>(to.mutable_data<std::uint8_t>(), shape, p, offset, strides);
    case ElementType::boolean:
      return gather<std::uint8_t, Boolean>(to.mutable_data<std::uint8_t>(), shape, p, offset, strides);
    case ElementType::i64:
      return gather<std::int64_t, std::int64_t>(integers(), shape, p, offset, strides);
    case ElementType::i32:
      return gather<std::int64_t, std::int32_t>(integers(), shape, p, offset, strides);
    case ElementType::i16:
      return gather<std::int64_t, std::int16_t>(integers(), shape, p, offset, strides);
    case ElementType::i8:
      return gather<std::int64_t, std::int8_t>(integers(), shape, p, offset, strides);
    case ElementType::u32:
      return gather<std::int64_t, std::uint32_t>(integers(), shape, p, offset, strides);
    case ElementType::u16:
      return gather<std::int64_t, std::uint16_t>(integers(), shape, p, offset, strides);
  }
}

}  // namespace reprise::data
