#include "engine/kernels/cpu/rows/windows.h"

#include <algorithm>
#include <numeric>

namespace reprise::kernels::cpu {

std::vector<AxisTaps> forward_taps(const Axis& a) {
  std::vector<AxisTaps> taps(static_cast<std::size_t>(a.out));
  for (std::int64_t o = 0; o < a.out; ++o) {
    const std::int64_t origin = o * a.stride - a.padding;  // what tap 0 reads
    const std::int64_t first = origin >= 0 ? 0 : (-origin + a.dilation - 1) / a.dilation;
    const std::int64_t last = origin >= a.in ? -1 : (a.in - 1 - origin) / a.dilation;
    const std::int64_t count = std::max<std::int64_t>(0, std::min(a.kernel - 1, last) - first + 1);
    AxisTaps& t = taps[static_cast<std::size_t>(o)];
    t = {0, 0, 1, 0, a.dilation};
    if (count > 0) t = {first, count, 1, origin + first * a.dilation, a.dilation};
  }
  return taps;
}

std::vector<AxisTaps> backward_taps(const Axis& a) {
  const std::int64_t common = std::gcd(a.stride, a.dilation), step = a.stride / common;
  std::vector<AxisTaps> taps(static_cast<std::size_t>(a.in));
  for (std::int64_t i = 0; i < a.in; ++i) {
    AxisTaps t{0, 0, step, 0, -(a.dilation / common)};
    for (std::int64_t k = 0; k < a.kernel; ++k) {
      const std::int64_t place = i + a.padding - k * a.dilation;
      if (place < 0 || place % a.stride != 0 || place / a.stride >= a.out) continue;
      if (t.count++ == 0) {
        t.first = k;
        t.source = place / a.stride;
      }
    }
    taps[static_cast<std::size_t>(i)] = t;
  }
  return taps;
}

std::vector<TapRun> tap_runs(const std::vector<AxisTaps>& taps, std::int64_t period) {
  std::vector<TapRun> runs;
  const auto n = static_cast<std::int64_t>(taps.size());
  const auto at = [&](std::int64_t i) -> const AxisTaps& { return taps[static_cast<std::size_t>(i)]; };
  for (std::int64_t phase = 0; phase < std::min(period, n); ++phase)
    for (std::int64_t i = phase; i < n;) {
      TapRun s{i, 1, period, at(i), 0};
      for (std::int64_t j = i + period; j < n; j += period, ++s.count) {
        const std::int64_t moved = at(j).source - at(j - period).source;
        if (at(j).first != s.taps.first || at(j).count != s.taps.count) break;
        if (s.count > 1 && moved != s.source_step) break;
        s.source_step = moved;
      }
      i += s.count * period;
      runs.push_back(s);
    }
  return runs;
}

Window window_of(const AxisTaps& row, const TapRun& run, std::int64_t in_width, std::int64_t taps_wide,
                 std::int64_t channels, std::int64_t tap) {
  return {run.count,
          run.step * channels,
          run.source_step * channels,
          row.count,
          run.taps.count,
          row.source_step * in_width * channels,
          run.taps.source_step * channels,
          row.step * taps_wide * tap,
          run.taps.step * tap,
          channels};
}

}  // namespace reprise::kernels::cpu
