// What happens without an option. How commands declare their options is compared with a list (commands_test.cpp).
#include <gtest/gtest.h>

#include "apps/clr/audit/margin_bounds.h"
#include "apps/clr/audit/trial.h"
#include "apps/clr/commands/common.h"
#include "apps/clr/commands/predict.h"
#include "apps/clr/learn/session.h"
#include "apps/clr/report/page.h"

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
        session.anomaly, margin.every, margin.second, margin.bf16, clr::TaskSectionOptions{}.open})
    EXPECT_FALSE(flag);
  EXPECT_TRUE(margin.exact);
}

}  // namespace
}  // namespace reprise::test
