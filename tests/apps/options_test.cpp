// What happens without an option, and what a command says that it computes with. How commands declare
// their options is compared with a list (commands_test.cpp).
#include <gtest/gtest.h>

#include "apps/clr/audit/margin_bounds.h"
#include "apps/clr/audit/trial.h"
#include "apps/clr/commands/common.h"
#include "apps/clr/commands/predict.h"
#include "apps/clr/learn/session.h"
#include "apps/clr/learn/step.h"
#include "apps/clr/learn/surroundings.h"
#include "apps/clr/learn/task_map.h"
#include "apps/clr/learn/trainer.h"
#include "apps/clr/report/page.h"
#include "engine/base/gpu.h"
#include "engine/base/parallel.h"
#include "engine/kernels/cpu/conv/bf16_order.h"

namespace reprise::test {
namespace {

TEST(Options, flags_are_off_unless_they_are_given) {
  const clr::Common common;
  const clr::TrialOptions trial;
  const clr::PredictOptions predict;
  const clr::SessionOptions session;
  const clr::MarginOptions margin;
  for (const bool flag :
       {common.tf32, common.quiet, common.json, trial.follow_links, trial.recipe.skip_bad, predict.csv,
        predict.certify, session.quiet, session.copy_backbone, session.clip_grey16, session.follow_links,
        session.anomaly, margin.every, margin.second, margin.bf16, clr::TaskSectionOptions{}.open,
        clr::DataOptions{}.quiet})
    EXPECT_FALSE(flag);
  const clr::Invocation call;
  for (const bool fact : {call.tf32, call.clip_grey16, call.follow_links, clr::StepResult{}.first,
                          clr::TrainingResult{}.resumed, clr::MappedTask{}.is_halved})
    EXPECT_FALSE(fact);
  EXPECT_TRUE(margin.exact);
}

TEST(Options, a_command_says_first_what_it_computes_with) {
  const auto order = kernels::cpu::bf16_order();
  const auto said = [](const std::string& device, const std::string& dtype, const auto& change) {
    clr::Common common;
    common.device = device, common.dtype = dtype;
    change(common);
    testing::internal::CaptureStderr();
    common.begin();
    return testing::internal::GetCapturedStderr();
  };
  const std::string cpu = clr::instruction_set(cpu_device);
  const auto threads = [](clr::Common& c) { c.threads = 2; };
  EXPECT_EQ(said("cpu", "f32", threads), "device cpu, dtype f32, instruction set " + cpu + ", 2 threads\n");
  EXPECT_EQ(said("", "f64", [](clr::Common& c) { c.threads = 1; }),
            "device ref, dtype f64, instruction set -, 1 thread\n");
  for (const std::string text : {"pairs", "blocks"}) {
    const auto ordered = [&](clr::Common& c) { c.threads = 2, c.bf16_order = text; };
    EXPECT_EQ(said("cpu", "bf16", ordered),
              "device cpu, dtype bf16, instruction set " + cpu + " (bf16 in " + text + "), 2 threads\n");
  }
  EXPECT_EQ(said("cpu", "f32", [](clr::Common& c) { c.quiet = true; }), "");
  // A processor has no TF32.
  EXPECT_EQ(said("cpu", "f32", [](clr::Common& c) { c.threads = 2, c.tf32 = true; }),
            "device cpu, dtype f32, instruction set " + cpu + ", 2 threads\n");
  gpu::set_tf32(false);
  set_thread_count(0);
  kernels::cpu::set_bf16_order(order);
}

}  // namespace
}  // namespace reprise::test
