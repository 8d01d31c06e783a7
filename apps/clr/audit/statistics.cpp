#include "apps/clr/audit/statistics.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "engine/core/check.h"

namespace reprise::clr {
namespace {

double value_of(const View& v, std::int64_t i) {
  switch (v.dtype) {
    case DType::f32:
      return static_cast<double>(v.data<float>()[i]);
    case DType::bf16:
      return static_cast<double>(to_float(v.data<BFloat16>()[i]));
    default:
      return v.data<double>()[i];
  }
}

}  // namespace

Statistics statistics_of(const View& values) {
  REPRISE_INVARIANT(is_floating(values.dtype), "statistics of {}", name_of(values.dtype));
  Statistics s;
  s.count = values.numel();
  std::int64_t zeros = 0;
  double sum = 0;
  bool any = false;
  for (std::int64_t i = 0; i < s.count; ++i) {
    const double v = value_of(values, i);
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
    const double got = value_of(x, i), want = value_of(y, i);
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

}  // namespace reprise::clr
