// Working memory holds what earlier kernels left in it. No kernel may read that.
#include "engine/kernels/cpu/base/scratch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "engine/base/parallel.h"
#include "engine/cases/run_case.h"

namespace reprise::kernels::cpu {
namespace {

// Fills a MiB of each piece of this thread's working memory.
void fill_scratch(float value) {
  constexpr std::size_t floats = std::size_t{1} << 18;
  for (int name = 0; name < static_cast<int>(Scratch::count); ++name)
    std::fill_n(scratch(static_cast<Scratch>(name), floats), floats, value);
}

TEST(Scratch, NoKernelReadsWhatAnEarlierOneLeft) {
  set_thread_count(1);
  int cases = 0;
  for (const cases::OpCases& op : cases::all())
    for (const std::string& parameters : op.cases) {
      const cases::Case drawn = op.make(parameters);
      if (drawn.integers || cases::size_of(drawn) > 300'000) continue;
      for (const DType dtype : {DType::f32, DType::bf16}) {
        if (dtype == DType::bf16 && drawn.bf16_roundings == 0) continue;
        const cases::Case c = dtype == DType::bf16 ? drawn.rounded_to_bf16() : drawn;
        fill_scratch(0);
        const std::vector<cases::Result> want = cases::run_case(c, {cpu_device, dtype});
        fill_scratch(NAN);
        const std::vector<cases::Result> got = cases::run_case(c, {cpu_device, dtype});
        ASSERT_EQ(got.size(), want.size());
        for (std::size_t i = 0; i < got.size(); ++i)
          EXPECT_TRUE(std::ranges::equal(got[i].value.raw_bytes(), want[i].value.raw_bytes()))
              << op.op << " " << parameters << " " << name_of(dtype) << ": " << got[i].name;
        ++cases;
      }
    }
  set_thread_count(0);
  EXPECT_GT(cases, 500);
}

}  // namespace
}  // namespace reprise::kernels::cpu
