// The element types a tensor can have.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace reprise {

// bf16 is the upper 16 bits of a float. It is only a storage type: kernels compute in f32.
struct BFloat16 {
  std::uint16_t bits;
};

// f32 has kernels everywhere, f64 on ref, bf16 on cpu and cuda. On cpu, f64 runs the kernels of ref,
// which are slow and counted as fallbacks; cuda refuses it. u8: images; i64: labels.
enum class DType : std::uint8_t { f32, f64, bf16, u8, i64 };
inline constexpr int dtype_count = 5;

constexpr std::size_t size_of(DType d) {  // bytes of one element
  switch (d) {
    case DType::f32:
      return 4;
    case DType::f64:
      return 8;
    case DType::bf16:
      return 2;
    case DType::u8:
      return 1;
    case DType::i64:
      return 8;
  }
  return 0;
}

constexpr std::string_view name_of(DType d) {
  constexpr std::string_view names[] = {"f32", "f64", "bf16", "u8", "i64"};
  return names[static_cast<int>(d)];
}

// Returns the dtype of parameters and statistics: f32 if the activations are bf16, else theirs.
constexpr DType parameter_dtype(DType activations) {
  return activations == DType::bf16 ? DType::f32 : activations;
}

constexpr bool is_floating(DType d) {
  return d == DType::f32 || d == DType::f64 || d == DType::bf16;
}

template <class T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct DTypeOf<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct DTypeOf<BFloat16> {
  static constexpr DType value = DType::bf16;
};
template <>
struct DTypeOf<std::uint8_t> {
  static constexpr DType value = DType::u8;
};
template <>
struct DTypeOf<std::int64_t> {
  static constexpr DType value = DType::i64;
};
// The DType of the C++ element type T.
template <class T>
inline constexpr DType dtype_of = DTypeOf<T>::value;

}  // namespace reprise
