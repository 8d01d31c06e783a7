#include "apps/clr/audit/differences.h"

#include <cstring>

#include "apps/clr/learn/table.h"
#include "engine/core/check.h"

namespace reprise::clr {

std::string element_text(const View& view, std::int64_t flat) {
  switch (view.dtype) {
    case DType::f32:
      return exact(view.data<float>()[flat]);
    case DType::f64:
      return exact(view.data<double>()[flat]);
    case DType::bf16:
      return exact(to_float(view.data<BFloat16>()[flat]));
    case DType::u8:
      return std::to_string(view.data<std::uint8_t>()[flat]);
    case DType::i64:
      return std::to_string(view.data<std::int64_t>()[flat]);
  }
  return "?";
}

std::string Difference::text(const Shape& shape) const {
  return fmt::format("element {} was {} and is {}; {} of {} elements differ", place_text(shape, element),
                     before, now, grouped(count), grouped(shape.numel()));
}

std::optional<Difference> first_difference(const View& before, const View& now) {
  REPRISE_INVARIANT(before.shape == now.shape && before.dtype == now.dtype, "{} {} against {} {}",
                    name_of(before.dtype), to_string(before.shape), name_of(now.dtype), to_string(now.shape));
  const std::size_t size = size_of(before.dtype), bytes = static_cast<std::size_t>(before.numel()) * size;
  if (bytes == 0 || std::memcmp(before.ptr, now.ptr, bytes) == 0) return {};
  Difference found;
  for (std::int64_t i = 0; i < before.numel(); ++i) {
    const std::size_t at = static_cast<std::size_t>(i) * size;
    if (std::memcmp(before.data<std::byte>() + at, now.data<std::byte>() + at, size) == 0) continue;
    if (found.count++ == 0) {
      found.element = i;
      found.before = element_text(before, i);
      found.now = element_text(now, i);
    }
  }
  // Values that print alike may still differ, as NaNs do.
  if (found.before == found.now) found.now += " (other bits)";
  return found;
}

}  // namespace reprise::clr
