#include "apps/clr/audit/statistics.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/anomaly.h"
#include "apps/clr/learn/table.h"
#include "engine/base/check.h"

namespace reprise::clr {
Statistics statistics_of(const View& values) {
  REPRISE_INVARIANT(is_floating(values.dtype), "statistics of {}", name_of(values.dtype));
  Statistics s;
  s.count = values.numel();
  std::int64_t zeros = 0;
  double sum = 0;
  bool any = false;
  for (std::int64_t i = 0; i < s.count; ++i) {
    const double v = values.value(i);
    if (!std::isfinite(v)) {
      ++s.not_finite;
      continue;
    }
    zeros += v == 0 ? 1 : 0;
    sum += v;
    s.min = any ? std::min(s.min, v) : v;
    s.max = any ? std::max(s.max, v) : v;
    any = true;
  }
  if (any) s.mean = sum / static_cast<double>(s.count - s.not_finite);
  if (s.count > 0) s.zero_share = static_cast<double>(zeros) / static_cast<double>(s.count);
  return s;
}

Json to_json(const Statistics& s) {
  return {{"min", s.min},      {"max", s.max},
          {"mean", s.mean},    {"zero_share", s.zero_share},
          {"values", s.count}, {"not_finite", s.not_finite}};
}

double relative_error(const Tensor& a, const Tensor& b) {
  REPRISE_INVARIANT(a.shape() == b.shape(), "{} against {}", to_string(a.shape()), to_string(b.shape()));
  const View x = a.view(), y = b.view();
  double difference = 0, size = 0;
  for (std::int64_t i = 0; i < a.numel(); ++i) {
    const double got = x.value(i), want = y.value(i);
    if (!std::isfinite(got) || !std::isfinite(want)) {
      const bool alike = (std::isnan(got) && std::isnan(want)) || got == want;
      if (!alike) return HUGE_VAL;
      continue;
    }
    difference += (got - want) * (got - want);
    size += want * want;
  }
  return difference == 0 ? 0 : size == 0 ? HUGE_VAL : std::sqrt(difference / size);
}

std::string element_text(const View& view, std::int64_t flat) {
  if (view.dtype == DType::i64) return std::to_string(view.data<std::int64_t>()[flat]);
  const double number = view.value(flat);
  return view.dtype == DType::f64 ? exact(number) : exact(static_cast<float>(number));
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
  // Values with the same text may still differ in their bits, as NaNs do.
  if (found.before == found.now) found.now += " (other bits)";
  return found;
}

}  // namespace reprise::clr
