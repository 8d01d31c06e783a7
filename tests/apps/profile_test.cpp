// REPRISE_DEBUG, REPRISE_TRACE and REPRISE_THREADS, through the program.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

class Profiled : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_backbone(dir / "backbone.safetensors");
    write_task(dir / "data", "one", 4);
  }
  void TearDown() override {
    unsetenv("REPRISE_TRACE");
    unsetenv("REPRISE_DEBUG");
    unsetenv("REPRISE_THREADS");
  }
  Outcome train(const std::string& run, const std::string& more = "--quiet") const {
    return clr({"train", "--backbone", dir / "backbone.safetensors", "--data", dir / "data", "--run",
                dir / run, "--size", "8", "--epochs", "1", "--batch", "4", "--device", "cpu", more});
  }
  const TempDir dir;
};

TEST_F(Profiled, a_trace_holds_the_steps_kernels) {
  setenv("REPRISE_TRACE", (dir / "trace.json").c_str(), 1);
  const Outcome o = train("run");
  ASSERT_EQ(o.status, 0) << o.err;
  const auto events = nlohmann::json::parse(read_text(dir / "trace.json"));
  int forward = 0, trained = 0, backward = 0, layers = 0;
  double end = 0;
  for (const auto& e : events) {
    if (e.at("ph") != "X") continue;
    if (e.at("cat") == "layer") {
      ++layers;
      continue;
    }
    EXPECT_GE(e.at("ts").get<double>(), end);  // one after the other
    end = e.at("ts").get<double>() + e.at("dur").get<double>() - 0.01;
    forward += e.at("name") == "conv_block_fwd" && e.at("args").at("layer") == "layer1.0.conv1";
    trained += e.at("name") == "conv_block_stats" && e.at("args").at("layer") == "layer1.0.conv1";
    backward += e.at("name") == "conv2d_dgrad" && e.at("args").at("layer") == "layer1.0.conv2";
  }
  EXPECT_GT(forward, 0);
  EXPECT_GT(trained, 0);
  EXPECT_GT(backward, 0);
  EXPECT_GT(layers, 0);
  EXPECT_FALSE(exists(dir / "trace.json.tmp"));
}

TEST_F(Profiled, a_trace_that_cannot_be_written_is_an_error_before_anything_runs) {
  setenv("REPRISE_TRACE", (dir / "no-such-folder/trace.json").c_str(), 1);
  const Outcome o = train("run");
  EXPECT_EQ(o.status, 1);
  EXPECT_NE(o.err.find("REPRISE_TRACE"), std::string::npos) << o.err;
  EXPECT_FALSE(exists(dir / "run/tasks/one.safetensors"));
}

TEST_F(Profiled, a_table_by_time_at_the_end) {
  setenv("REPRISE_DEBUG", "2", 1);
  const Outcome o = train("run");
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_NE(o.err.find("kernels, by time; the limit"), std::string::npos) << o.err;
  EXPECT_EQ(o.err.find("the limit: 0 GFLOP/s"), std::string::npos) << o.err;
  EXPECT_EQ(o.err.find(" 0 GB/s, as measured"), std::string::npos) << o.err;
  EXPECT_NE(o.err.find("conv_block_fwd"), std::string::npos) << o.err;
  EXPECT_EQ(o.err.find("[kernel]"), std::string::npos) << o.err;
  EXPECT_EQ(o.err.find(" -> ["), std::string::npos) << o.err;
  setenv("REPRISE_DEBUG", "3", 1);
  EXPECT_NE(train("shapes").err.find(" -> ["), std::string::npos) << "each shape has a line of its own";
  setenv("REPRISE_DEBUG", "4", 1);
  EXPECT_NE(train("again").err.find("[kernel] conv_block_fwd"), std::string::npos);
}

TEST_F(Profiled, threads_by_the_environment_and_by_a_flag_that_goes_before_it) {
  setenv("REPRISE_THREADS", "3", 1);
  EXPECT_NE(train("three", "--dtype=f32").err.find(", 3 threads"), std::string::npos);
  EXPECT_NE(train("one", "--threads=1").err.find(", 1 thread\n"), std::string::npos);
  for (const char* wrong : {"-1", "1025", "many"}) {
    setenv("REPRISE_THREADS", wrong, 1);
    const Outcome o = train("none");
    EXPECT_EQ(o.status, 1) << wrong;
    EXPECT_NE(o.err.find("REPRISE_THREADS"), std::string::npos) << o.err;
    EXPECT_NE(o.err.find(wrong), std::string::npos) << o.err;
  }
}

}  // namespace
}  // namespace reprise::test
