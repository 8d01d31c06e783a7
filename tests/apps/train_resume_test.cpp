// Whatever interrupts a run, its task files have the same bytes.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/clr/learn/backbone.h"
#include "apps/clr/learn/surroundings.h"
#include "data/weights/weight_file.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

class Resume : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_backbone(dir / "backbone.safetensors");
    for (const std::string task : {"one", "two", "three"}) write_task(dir / "data", task, 8);
  }
  std::vector<std::string> train(const std::string& run, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"train",    "--backbone", dir / "backbone.safetensors",
                                       "--data",   dir / "data", "--run",
                                       dir / run,  "--size",     "8",
                                       "--epochs", "4",          "--batch",
                                       "4",        "--device",   "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  }
  std::string task_bytes(const std::string& run, const std::string& task) const {
    return read_text(dir / (run + "/tasks/" + task + ".safetensors"));
  }
  std::vector<std::string> one_task(const std::string& run) const {
    return train(run, {"--tasks", "one", "--log-steps", dir / (run + ".csv")});
  }
  std::string identity() const {
    return clr::load_backbone(dir / "backbone.safetensors", "auto", cpu_device, DType::f32).identity;
  }
  // How the run's first call ended: "interrupted by SIGTERM", "done".
  std::string ending(const std::string& run) const {
    const auto call = process_records(dir / run).at(0);
    const std::string signal = call.value("signal", "");
    return call.value("how", "") + (signal.empty() ? "" : " by " + signal);
  }
  // Ends a run by a signal after some steps, then runs the same command again.
  void interrupt_and_resume(const std::string& run, int signal, int steps, int expected_status) {
    Running first(one_task(run));
    ASSERT_TRUE(wait_for_lines(dir / (run + ".csv"), steps + 1));
    first.send(signal);
    EXPECT_EQ(first.wait(), expected_status);
    EXPECT_FALSE(exists(dir / (run + "/tasks/one.safetensors"))) << "it was too fast to be interrupted";
    const std::string state = dir / (run + "/state/one.state");
    EXPECT_EQ(exists(state), signal != SIGKILL);
    if (signal != SIGKILL) {
      const auto context = nlohmann::json::parse(data::read_weights(state).metadata.at("context"));
      for (const auto& [key, wanted] :
           {std::pair("task", nlohmann::json("one")),
            {"backbone", nlohmann::json(identity())},
            {"instruction set", process_records(dir / run).at(0)["instruction_set"]}})
        EXPECT_EQ(context.at(key), wanted) << key;
    }
    const Outcome again = clr(one_task(run));
    ASSERT_EQ(again.status, 0) << again.err;
    EXPECT_EQ(again.out.find("resumed") != std::string::npos, signal != SIGKILL) << again.out;
    EXPECT_EQ(task_bytes(run, "one"), task_bytes("whole", "one"));
    EXPECT_EQ(read_text(dir / (run + ".csv")), read_text(dir / "whole.csv"));
    EXPECT_FALSE(exists(dir / (run + "/state/one.state")));
  }
  const TempDir dir;
};

TEST_F(Resume, same_bytes_after_an_interruption) {
  const Outcome whole = clr(one_task("whole"));
  ASSERT_EQ(whole.status, 0) << whole.err;
  ASSERT_FALSE(task_bytes("whole", "one").empty());
  interrupt_and_resume("in-the-first-epoch", SIGINT, 1, 130);
  interrupt_and_resume("later", SIGTERM, 9, 143);
  interrupt_and_resume("killed", SIGKILL, 7, 128 + SIGKILL);
}

TEST_F(Resume, a_killed_process_loses_little_of_a_long_epoch) {
  ASSERT_EQ(clr(one_task("whole")).status, 0);
  setenv("REPRISE_SAVE_STEP_SECONDS", "0", 1);
  {
    Running first(one_task("killed"));
    ASSERT_TRUE(wait_for_lines(dir / "killed.csv", 4));
    first.send(SIGKILL);
    EXPECT_EQ(first.wait(), 128 + SIGKILL);
  }
  unsetenv("REPRISE_SAVE_STEP_SECONDS");
  const Outcome again = clr(one_task("killed"));
  ASSERT_EQ(again.status, 0) << again.err;
  EXPECT_NE(again.err.find("goes on after epoch"), std::string::npos) << again.err;
  EXPECT_EQ(task_bytes("killed", "one"), task_bytes("whole", "one"));
  EXPECT_EQ(read_text(dir / "killed.csv"), read_text(dir / "whole.csv"));
}

TEST_F(Resume, a_list_of_steps_that_lost_lines_is_refused) {
  {
    Running first(one_task("cut"));
    ASSERT_TRUE(wait_for_lines(dir / "cut.csv", 5));
    first.send(SIGTERM);
    ASSERT_EQ(first.wait(), 143);
  }
  const std::string text = read_text(dir / "cut.csv");
  const auto lines = std::ranges::count(text, '\n');
  write_text(dir / "cut.csv", text.substr(0, text.find('\n', text.find('\n') + 1) + 1));
  const Outcome again = clr(one_task("cut"));
  EXPECT_EQ(again.status, 1);
  EXPECT_SAYS(again.err, "cut.csv: expected the " + std::to_string(lines - 1) +
                             " steps done before the interruption, found 1; --restart starts anew");
}

// Batch systems warn by these, and a closed terminal hangs up.
TEST_F(Resume, every_signal_that_may_end_it_saves) {
  ASSERT_EQ(clr(one_task("whole")).status, 0);
  EXPECT_EQ(ending("whole"), "done");
  int steps = 2;
  for (const auto& [signal, name, status] : {std::tuple{SIGHUP, "SIGHUP", 129},
                                             {SIGUSR1, "SIGUSR1", 138},
                                             {SIGUSR2, "SIGUSR2", 140},
                                             {SIGXCPU, "SIGXCPU", 152}}) {
    interrupt_and_resume(name, signal, ++steps, status);
    EXPECT_EQ(ending(name), std::string("interrupted by ") + name);
  }
}

// As from `timeout`, which tells the process and then its group, or past a limit of CPU time.
TEST_F(Resume, a_signal_that_comes_again_and_again_does_not_keep_it_from_saving) {
  for (const int signal : {SIGTERM, SIGINT, SIGHUP, SIGXCPU}) {
    const std::string run = std::to_string(signal);
    Running first(one_task(run));
    ASSERT_TRUE(wait_for_lines(dir / (run + ".csv"), 2));
    for (const int again : {signal, signal, signal == SIGTERM ? SIGUSR1 : signal}) {
      first.send(again);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    EXPECT_EQ(first.wait(), 128 + signal) << "the first one counts";
    EXPECT_TRUE(ending(run).starts_with("interrupted by ")) << "a killed process would not have said so";
    EXPECT_TRUE(exists(dir / (run + "/state/one.state")));
  }
}

TEST_F(Resume, an_ignored_signal_stays_ignored) {
  Running run(one_task("nohup"), {}, SIGHUP);
  ASSERT_TRUE(wait_for_lines(dir / "nohup.csv", 3));
  run.send(SIGHUP);
  EXPECT_EQ(run.wait(), 0);
  EXPECT_EQ(ending("nohup"), "done");
}

// With the terminal goes what the program writes to.
TEST_F(Resume, it_saves_though_nobody_reads_its_messages) {
  const std::string pipe = dir / "pipe";
  ASSERT_EQ(mkfifo(pipe.c_str(), 0600), 0);
  const int reader = open(pipe.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  Running first(one_task("alone"), pipe);
  ASSERT_TRUE(wait_for_lines(dir / "alone.csv", 2));
  first.send(SIGHUP);
  close(reader);
  EXPECT_EQ(first.wait(), 129);
  EXPECT_EQ(ending("alone"), "interrupted by SIGHUP");
  // Every write fails.
  Running second(one_task("alone"), "/dev/full");
  EXPECT_EQ(second.wait(), 0);
}

TEST_F(Resume, same_bytes_for_any_number_of_threads_and_in_any_company) {
  ASSERT_EQ(clr(train("alone", {"--tasks", "two", "--threads", "1"})).status, 0);
  ASSERT_EQ(clr(train("all", {"--threads", "2"})).status, 0);
  EXPECT_EQ(task_bytes("alone", "two"), task_bytes("all", "two"));
}

TEST_F(Resume, several_processes_share_a_run_folder) {
  Running a(train("shared")), b(train("shared"));
  EXPECT_EQ(a.wait(), 0);
  EXPECT_EQ(b.wait(), 0);
  const Outcome rest = clr(train("shared"));
  ASSERT_EQ(rest.status, 0) << rest.err;
  ASSERT_EQ(clr(train("single")).status, 0);
  for (const std::string task : {"one", "two", "three"}) {
    EXPECT_FALSE(task_bytes("shared", task).empty());
    EXPECT_EQ(task_bytes("shared", task), task_bytes("single", task));
  }
  const std::string results = read_text(dir / "shared/results.csv");
  EXPECT_EQ(std::count(results.begin(), results.end(), '\n'), 4);
}

TEST_F(Resume, shards_learn_every_task_once) {
  ASSERT_EQ(clr(train("single")).status, 0);
  const Outcome plan = clr(train("shards", {"--shard", "1/2", "--dry-run", "--json"}));
  ASSERT_EQ(plan.status, 0) << plan.err;
  const auto shards = nlohmann::json::parse(plan.out)["shards"];
  ASSERT_EQ(shards.size(), 2u);
  EXPECT_EQ(shards[0]["tasks"], nlohmann::json({"one", "two"}));
  EXPECT_GT(shards[0]["seconds"], shards[1]["seconds"]);
  EXPECT_FALSE(exists(dir / "shards"));
  for (const std::string shard : {"1/2", "2/2"})
    EXPECT_EQ(clr(train("shards", {"--shard", shard})).status, 0);
  std::size_t learned = 0;
  for (const auto& record : process_records(dir / "shards")) learned += record["tasks"].size();
  EXPECT_EQ(learned, 3u);
  for (const std::string task : {"one", "two", "three"})
    EXPECT_EQ(task_bytes("shards", task), task_bytes("single", task));
  const Outcome measured = clr(train("shards", {"--shard", "1/2", "--dry-run"}));
  EXPECT_NE(measured.out.find("images an epoch"), std::string::npos) << measured.out;
  EXPECT_EQ(clr(train("none", {"--shard", "4/4"})).status, 0) << "a shard without tasks";
  EXPECT_FALSE(exists(dir / "none"));
  for (const std::string wrong : {"0/2", "3/2", "auto"})
    EXPECT_EQ(clr(train("none", {"--shard", wrong})).status, 2) << wrong;
}

TEST_F(Resume, a_run_keeps_the_instruction_set_that_began_it) {
  if (reprise::clr::instruction_set(cpu_device) == "portable") GTEST_SKIP() << "there is no higher one here";
  setenv("REPRISE_CPU_ISA", "portable", 1);
  ASSERT_EQ(clr(train("portable")).status, 0);
  ASSERT_EQ(clr(train("mixed", {"--tasks", "one"})).status, 0);
  unsetenv("REPRISE_CPU_ISA");
  const Outcome o = clr(train("mixed"));
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_NE(o.err.find("begun with the instruction set portable, so this process takes it too"),
            std::string::npos)
      << o.err;
  for (const std::string task : {"one", "two", "three"})
    EXPECT_EQ(task_bytes("mixed", task), task_bytes("portable", task));
  for (const auto& record : process_records(dir / "mixed")) EXPECT_EQ(record["instruction_set"], "portable");
  ASSERT_EQ(clr(train("high", {"--tasks", "one"})).status, 0);
  setenv("REPRISE_CPU_ISA", "portable", 1);
  const Outcome refused = clr(train("high"));
  unsetenv("REPRISE_CPU_ISA");
  EXPECT_EQ(refused.status, 1);
  EXPECT_NE(refused.err.find("Take machines that have it"), std::string::npos) << refused.err;
}

TEST_F(Resume, a_half_trained_backbone_goes_on_to_the_same_bytes) {
  const auto pretrain = [&](const std::string& name, std::vector<std::string> more = {}) {
    std::vector<std::string> arguments{"pretrain", "--data",  dir / "data", "--task",   "one", "--output",
                                       dir / name, "--size",  "8",          "--epochs", "5",   "--batch",
                                       "4",        "--dtype", "bf16",       "--device", "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return arguments;
  };
  const std::vector<std::string> pairs{"--bf16-order", "pairs"};
  ASSERT_EQ(clr(pretrain("whole", pairs)).status, 0);
  setenv("REPRISE_SAVE_STEP_SECONDS", "0", 1);
  for (const int signal : {SIGINT, SIGKILL}) {
    Running first(pretrain("half", pairs));
    for (int tries = 0; tries < 30000 && !exists(dir / "half.state"); ++tries)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    first.send(signal);
    EXPECT_EQ(first.wait(), 128 + signal) << "it was too fast to be interrupted";
  }
  unsetenv("REPRISE_SAVE_STEP_SECONDS");
  EXPECT_FALSE(exists(dir / "half"));
  for (const auto& [option, value, says] :
       {std::tuple("--bf16-order", "blocks", R"(its bf16 order differs)"),
        {"--arch", "resnet32", "its architecture differs\n  then    \"resnet20\"\n  now     \"resnet32\""},
        {"--lr", "0.5", "its recipe differs"}}) {
    auto other = option == pairs[0] ? std::vector<std::string>() : pairs;
    other.insert(other.end(), {option, value});
    const Outcome o = clr(pretrain("half", other));
    EXPECT_EQ(o.status, 1);
    EXPECT_SAYS(o.err, says);
  }
  // Other images, and another task of the same images.
  std::filesystem::create_directories(dir / "other");
  std::filesystem::copy(dir / "data/one", dir / "other/one", std::filesystem::copy_options::recursive);
  std::filesystem::copy(dir / "data/one", dir / "other/two", std::filesystem::copy_options::recursive);
  write_image(dir / "other/one/class0/0.ppm", 8, 1, 99);
  auto elsewhere = pretrain("half", pairs);
  *std::ranges::find(elsewhere, dir / "data") = dir / "other";
  EXPECT_SAYS(clr(elsewhere).err, "its data differs");
  *std::ranges::find(elsewhere, "one") = "two";
  EXPECT_SAYS(clr(elsewhere).err, "its task differs\n  then    \"one\"\n  now     \"two\"");
  std::filesystem::copy_file(dir / "half.state", dir / "portable.state");
  ASSERT_EQ(clr(pretrain("half", pairs)).status, 0);
  EXPECT_EQ(read_text(dir / "half"), read_text(dir / "whole"));
  EXPECT_FALSE(exists(dir / "half.state"));
  setenv("REPRISE_CPU_ISA", "portable", 1);
  const Outcome portable = clr(pretrain("portable", pairs));
  unsetenv("REPRISE_CPU_ISA");
  EXPECT_SAYS(portable.err, "half learned with the instruction set");
}

TEST_F(Resume, another_recipe_for_a_half_learned_task_is_refused) {
  {
    Running first(one_task("half"));
    ASSERT_TRUE(wait_for_lines(dir / "half.csv", 3));
    first.send(SIGINT);
    ASSERT_EQ(first.wait(), 130);
  }
  auto other = one_task("half");
  other.insert(other.end(), {"--lr", "0.01"});
  const Outcome o = clr(other);
  EXPECT_EQ(o.status, 1);
  EXPECT_NE(o.err.find("--lr"), std::string::npos) << o.err;
}

}  // namespace
}  // namespace reprise::test
