// clr train, eval, tasks, report and pretrain, run as a user runs them.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/clr/learn/task_file.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

class Train : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_backbone(dir / "backbone.safetensors");
    for (const std::string task : {"circles", "dots"}) write_task(dir / "data", task);
  }
  Outcome train(std::vector<std::string> more = {}, const std::string& run = "run") const {
    std::vector<std::string> arguments{"train",   "--backbone", dir / "backbone.safetensors",
                                       "--data",  dir / "data", "--run",
                                       dir / run, "--device",   "cpu"};
    const auto standard = [&](const std::string& option, const std::string& value) {
      if (std::find(more.begin(), more.end(), option) == more.end())
        arguments.insert(arguments.end(), {option, value});
    };
    standard("--size", "8");
    standard("--epochs", "2");
    standard("--batch", "5");
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::clr(arguments);
  }
  Outcome eval(std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"eval",       "--run",    dir / "run", "--data",
                                       dir / "data", "--device", "cpu"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::clr(arguments);
  }
  void expect_refused(const Outcome& o, int status, const std::string& naming) const {
    EXPECT_EQ(o.status, status) << o.err;
    EXPECT_NE(o.err.find(naming), std::string::npos) << o.err;
  }
  const TempDir dir;
};

TEST_F(Train, leaves_a_whole_run_folder) {
  const Outcome o = train();
  ASSERT_EQ(o.status, 0) << o.err;
  for (const std::string file : {"run.json", "results.csv", "tasks/circles.safetensors",
                                 "tasks/dots.safetensors", "log/circles.csv", "log/dots.csv"})
    EXPECT_TRUE(exists(dir / ("run/" + file))) << file;
  EXPECT_TRUE(fs::is_empty(dir / "run/state"));
  const json record = json::parse(read_text(dir / "run/run.json"));
  EXPECT_EQ(record["recipe"]["method"], "clr");
  EXPECT_FALSE(record["invocations"][0].contains("how")) << "run.json is written once, at the start";
  const auto calls = process_records(dir / "run");
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0]["how"], "done");
  EXPECT_EQ(calls[0]["tasks"], json({"circles", "dots"}));
  const std::string log = read_text(dir / "run/log/dots.csv");
  EXPECT_EQ(log.substr(0, log.find('\n')),
            "epoch,lr,train_loss,train_accuracy,val_loss,val_accuracy,seconds");
  EXPECT_EQ(std::count(log.begin(), log.end(), '\n'), 3);
  EXPECT_NE(o.err.find("expected memory"), std::string::npos);
}

TEST_F(Train, a_second_call_learns_what_is_new) {
  ASSERT_EQ(train({"--tasks", "dots"}).status, 0);
  const std::string before = read_text(dir / "run/tasks/dots.safetensors");
  const Outcome o = train({"--json"});
  ASSERT_EQ(o.status, 0) << o.err;
  const json tasks = json::parse(o.out)["tasks"];
  EXPECT_EQ(tasks[0]["status"], "learned");
  EXPECT_EQ(tasks[1]["status"], "finished before");
  EXPECT_EQ(read_text(dir / "run/tasks/dots.safetensors"), before);
}

TEST_F(Train, one_backbone_method_and_recipe_a_run) {
  ASSERT_EQ(train({"--tasks", "dots"}).status, 0);
  expect_refused(train({"--lr", "0.01"}), 1, "--lr");
  expect_refused(train({"--method", "linear"}), 1, "--method");
  expect_refused(train({"--epochs", "3"}), 1, "--epochs");
  expect_refused(train({"--seed", "1"}), 1, "--seed");
  EXPECT_EQ(train({"--threads", "1"}).status, 0);
  write_tiny_backbone(dir / "backbone.safetensors", 7);
  expect_refused(train(), 1, "--backbone");
}

TEST_F(Train, changed_data_under_a_finished_task_is_an_error) {
  ASSERT_EQ(train({"--tasks", "dots"}).status, 0);
  write_image(dir / "data/dots/class1/3.ppm", 8, 2, 99);
  EXPECT_EQ(train({"--tasks", "dots"}).status, 0) << "as long as before: only `clr audit verify` reads it";
  write_image(dir / "data/dots/class1/3.ppm", 9, 2, 99);
  expect_refused(train({"--tasks", "dots"}), 1, "dots");
}

TEST_F(Train, a_damaged_header_stops_it_before_the_first_task) {
  for (const std::string task : {"dots", "circles"})
    write_text(dir / ("data/" + task + "/class0/broken.ppm"), "P6\n8");
  expect_refused(train(), 1, "broken.ppm");
  expect_refused(train(), 1, "2 files cannot be read (listed above)");
  EXPECT_FALSE(exists(dir / "run"));
}

TEST_F(Train, an_unreadable_body_stops_only_its_task) {
  write_text(dir / "data/circles/class0/broken.ppm", "P6\n8 8\n255\nshort");
  expect_refused(train({"--dry-run"}), 1, "broken.ppm");
  EXPECT_FALSE(exists(dir / "run"));
  const Outcome o = train();
  expect_refused(o, 1, "broken.ppm");
  EXPECT_NE(o.out.find("not readable"), std::string::npos) << o.out;
  EXPECT_FALSE(exists(dir / "run/tasks/circles.safetensors"));
  EXPECT_TRUE(exists(dir / "run/tasks/dots.safetensors"));
  EXPECT_EQ(process_records(dir / "run").at(0)["how"], "failed");
  EXPECT_TRUE(fs::is_empty(dir / "run/state"));
  fs::remove_all(dir / "run");
  EXPECT_EQ(train({"--skip-bad"}).status, 0);
  EXPECT_EQ(train({"--skip-bad"}).status, 0) << "a finished task is not read again";
}

TEST_F(Train, wrong_usage) {
  expect_refused(train({"--method", "no-such"}), 2, "no-such");
  expect_refused(train({"--lr", "-1"}), 2, "--lr");
  expect_refused(train({"--batch", "0"}), 2, "--batch");
  expect_refused(train({"--penalty", "l3"}), 2, "l3");
  expect_refused(train({"--no-such-option"}), 2, "no-such-option");
  expect_refused(train({"--log-steps", dir / "steps.csv"}), 2, "--log-steps");
  expect_refused(train({"--tasks", "absent"}), 1, "absent");
  for (const auto& [option, value] : {std::pair("--size", "0"),
                                      {"--size", "8193"},
                                      {"--lr-step", "0"},
                                      {"--lr-step", "1000001"},
                                      {"--steps", "0"},
                                      {"--val-fraction", "1"},
                                      {"--val-fraction", "0.5x"},
                                      {"--max-images", "0"}})
    expect_refused(train({option, value}), 2, option);
  EXPECT_FALSE(exists(dir / "run"));
}

TEST_F(Train, a_run_keeps_the_form_of_convolution_and_the_order_of_sums_that_began_it) {
  ASSERT_EQ(train({"--epochs", "0", "--winograd", "off"}).status, 0);
  expect_refused(train({"--epochs", "0"}), 1,
                 "begun with another winograd, which gives other bits\n  run     off\n  now     on\nTake the "
                 "same --winograd");
  for (const auto& [order, other] : {std::pair("blocks", "pairs"), {"pairs", "blocks"}}) {
    std::vector<std::string> first{"--epochs", "0", "--dtype", "bf16", "--tasks", "dots"}, second = first;
    first.insert(first.end(), {"--bf16-order", order});
    ASSERT_EQ(train(first, order).status, 0);
    ASSERT_EQ(train(second, order).status, 0);
    for (const auto& record : process_records(dir / order)) EXPECT_EQ(record["bf16_order"], order);
    second.insert(second.end(), {"--bf16-order", other});
    expect_refused(train(second, order), 1, "Take the same --bf16-order");
  }
}

TEST_F(Train, the_environment_gives_the_order_of_sums_too) {
  for (const std::string order : {"blocks", "pairs"}) {
    setenv("REPRISE_BF16_ORDER", order.c_str(), 1);
    ASSERT_EQ(train({"--epochs", "0", "--dtype", "bf16", "--tasks", "dots"}, order).status, 0);
    EXPECT_EQ(process_records(dir / order).at(0)["bf16_order"], order);
  }
  setenv("REPRISE_BF16_ORDER", "sideways", 1);
  expect_refused(train({"--epochs", "0", "--dtype", "bf16"}, "none"), 1,
                 "REPRISE_BF16_ORDER: expected pairs or blocks, got 'sideways'");
  unsetenv("REPRISE_BF16_ORDER");
}

TEST_F(Train, a_last_batch_that_batch_norm_cannot_use_is_refused) {
  // 15 training images. At 4x4 pixels the last feature maps have one pixel.
  expect_refused(train({"--size", "4", "--batch", "7"}), 1, "--batch 6 works");
  EXPECT_EQ(train({"--size", "4", "--batch", "6", "--epochs", "1"}).status, 0);
  EXPECT_EQ(train({"--size", "4", "--batch", "7", "--method", "linear", "--epochs", "1"}, "linear").status,
            0);
}

TEST_F(Train, dry_run_writes_nothing) {
  const Outcome o = train({"--dry-run", "--json"});
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_FALSE(exists(dir / "run"));
  EXPECT_EQ(json::parse(o.out)["tasks"][0]["train_images"], 15);
}

TEST_F(Train, restart_removes_what_clr_wrote_and_no_more) {
  ASSERT_EQ(train({"--copy-backbone"}).status, 0);
  EXPECT_TRUE(exists(dir / "run/backbone.safetensors"));
  write_text(dir / "run/notes.txt", "mine");
  write_text(dir / "run/tasks/mine.txt", "mine");
  ASSERT_EQ(train({"--restart", "--lr", "0.01", "--tasks", "dots"}).status, 0);
  expect_refused(train({"--restart", "--shard", "1/2"}), 2, "--shard");
  expect_refused(train({"--shard", ""}), 2, "shard");
  EXPECT_TRUE(exists(dir / "run/notes.txt") && exists(dir / "run/tasks/mine.txt"));
  EXPECT_TRUE(exists(dir / "run/tasks/dots.safetensors"));
  EXPECT_FALSE(exists(dir / "run/tasks/circles.safetensors") || exists(dir / "run/backbone.safetensors"));
  fs::create_directories(dir / "other");
  write_text(dir / "other/precious.txt", "mine");
  expect_refused(train({"--restart"}, "other"), 1, "not a run folder");
}

TEST_F(Train, epochs_0_writes_start_values_that_init_reads) {
  ASSERT_EQ(train({"--epochs", "0", "--tasks", "dots"}, "start").status, 0);
  const std::string start = dir / "start/tasks/dots.safetensors";
  ASSERT_EQ(train({"--tasks", "dots"}).status, 0);
  ASSERT_EQ(train({"--tasks", "dots", "--init", start, "--log-steps", dir / "a.csv"}, "again").status, 0);
  ASSERT_EQ(train({"--tasks", "dots", "--log-steps", dir / "b.csv", "--seed", "5"}, "other").status, 0);
  EXPECT_EQ(read_text(dir / "run/log/dots.csv").substr(0, 60),
            read_text(dir / "again/log/dots.csv").substr(0, 60));
  EXPECT_NE(read_text(dir / "a.csv"), read_text(dir / "b.csv"));
}

TEST_F(Train, eval_shows_that_nothing_is_forgotten) {
  ASSERT_EQ(train().status, 0);
  const Outcome o = eval({"--json"});
  ASSERT_EQ(o.status, 0) << o.err;
  const json tasks = json::parse(o.out)["tasks"];
  ASSERT_EQ(tasks.size(), 2u);
  for (const auto& task : tasks) {
    EXPECT_EQ(task["learned"], task["now"]);
    EXPECT_EQ(task["forgetting"], 0.0);
    EXPECT_EQ(task["same_data"], true);
  }
  const std::string matrix = read_text(dir / "run/matrix.csv");
  EXPECT_TRUE(matrix.starts_with("after_task,task,split,accuracy\n"));
  EXPECT_NE(matrix.find("dots,circles,val,"), std::string::npos) << matrix;
  EXPECT_NE(eval().out.find("also chose the epoch"), std::string::npos);
}

TEST_F(Train, eval_sees_that_a_task_was_forgotten) {
  ASSERT_EQ(train({"--epochs", "12", "--lr", "0.01", "--tasks", "dots"}).status, 0);
  const double before = json::parse(eval({"--json"}).out)["now"];
  ASSERT_GT(before, 0.5);
  // A head that answers "class0" for every image is right for one of three.
  reprise::clr::TaskFile file = reprise::clr::read_task_file(dir / "run/tasks/dots.safetensors");
  for (auto& [name, tensor] : file.tensors)
    if (name == "linear.bias") tensor.mutable_data<float>()[0] = 1000;
  reprise::clr::write_task_file(dir / "run/tasks/dots.safetensors", file);
  const json after = json::parse(eval({"--json"}).out);
  EXPECT_EQ(after["learned"], before);
  EXPECT_NEAR(after["now"].get<double>(), 1.0 / 3, 1e-12);
  EXPECT_NEAR(after["forgetting"].get<double>(), before - 1.0 / 3, 1e-12);
  expect_refused(test::clr({"report", dir / "run", "--require-no-forgetting"}), 1, "forgot");
}

TEST_F(Train, eval_says_where_it_computes_in_another_dtype) {
  ASSERT_EQ(train({"--dtype", "bf16"}).status, 0);
  EXPECT_NE(eval().out.find("learned in bf16: --dtype bf16"), std::string::npos);
  EXPECT_EQ(eval({"--dtype", "bf16"}).out.find("learned in"), std::string::npos);
}

TEST_F(Train, eval_names_tasks_that_are_absent) {
  ASSERT_EQ(train().status, 0);
  fs::remove_all(dir / "data/circles");
  expect_refused(eval(), 1, "circles");
  expect_refused(clr({"eval", "--run", dir / "data", "--data", dir / "data"}), 1, "not a run folder");
}

TEST_F(Train, report_lays_runs_beside_each_other) {
  ASSERT_EQ(train().status, 0);
  ASSERT_EQ(train({"--method", "linear"}, "linear").status, 0);
  const Outcome o = clr({"report", dir / "run", dir / "linear"});
  ASSERT_EQ(o.status, 0) << o.err;
  for (const std::string word :
       {"circles", "dots", "chance", "clr", "linear", "average of 2", "(no eval)", "ratio"})
    EXPECT_NE(o.out.find(word), std::string::npos) << word << "\n" << o.out;
  expect_refused(clr({"report", dir / "run", "--require-no-forgetting"}), 1, "matrix.csv");
  ASSERT_EQ(eval().status, 0);
  EXPECT_EQ(clr({"report", dir / "run", "--require-no-forgetting"}).status, 0);
  expect_refused(clr({"report", dir / "run", dir / "run", "--require-better"}), 1, "--require-better");
  const json j = json::parse(clr({"report", dir / "run", dir / "linear", "--json"}).out);
  EXPECT_EQ(j["tasks_in_all_runs"], 2);
  EXPECT_NEAR(j["chance"].get<double>(), 1.0 / 3, 1e-12);
  EXPECT_LT(j["runs"][1]["task_bytes"], j["runs"][0]["task_bytes"]);
}

TEST_F(Train, tasks_lists_images_in_the_order_of_their_indices) {
  const json tasks = json::parse(clr({"tasks", "--data", dir / "data", "--json"}).out)["tasks"];
  ASSERT_EQ(tasks.size(), 2u);
  EXPECT_EQ(tasks[0]["name"], "circles");
  EXPECT_EQ(tasks[0]["train"], 15);
  EXPECT_EQ(tasks[0]["val"], 3);
  const std::string list = clr({"tasks", "--data", dir / "data", "--list", "dots"}).out;
  EXPECT_EQ(std::count(list.begin(), list.end(), '\n'), 18);
  EXPECT_TRUE(list.starts_with("train\t0\tclass0\t" + dir.path())) << list;
  const auto epoch = [&](const std::string& e) {
    return clr({"tasks", "--data", dir / "data", "--list", "dots", "--epoch", e}).out;
  };
  EXPECT_EQ(epoch("0").size(), list.substr(0, list.find("val\t")).size());
  EXPECT_NE(epoch("0"), epoch("1"));
  EXPECT_EQ(epoch("1"), epoch("1"));
}

TEST_F(Train, tasks_come_from_a_list_of_images_too) {
  std::istringstream listed(clr({"tasks", "--data", dir / "data", "--list", "dots"}).out);
  std::string text;
  for (std::string split, label, name, path; std::getline(listed, split, '\t');) {
    std::getline(listed, label, '\t');
    std::getline(listed, name, '\t');
    std::getline(listed, path);
    text += path + " " + name + "\n";
  }
  write_text(dir / "dots.txt", text);
  const std::vector<std::string> command = {"tasks", "--data", dir / "dots.txt", "--list", "dots"};
  const Outcome checked = clr(command);
  ASSERT_EQ(checked.status, 0) << checked.err;
  EXPECT_EQ(std::count(checked.out.begin(), checked.out.end(), '\n'), 18);
  EXPECT_TRUE(checked.out.starts_with("train\t0\tclass0\t" + dir.path())) << checked.out;
  auto more = command;
  more.push_back("--no-check");
  EXPECT_EQ(clr(more).out, checked.out);
  more.insert(more.end(), {"--tasks", "dots"});
  expect_refused(clr(more), 2, "--list names the task already");
}

TEST_F(Train, order_and_steps_decide_the_batches) {
  write_text(dir / "order.txt", "0 1 2 3 4 5 6\n14 13 12\n");
  ASSERT_EQ(train({"--tasks", "dots", "--order", dir / "order.txt", "--log-steps", dir / "steps.csv",
                   "--steps", "3"})
                .status,
            0);
  const std::string log = read_text(dir / "steps.csv");
  EXPECT_NE(log.find(",0 1 2 3 4\n"), std::string::npos) << log;
  EXPECT_NE(log.find(",5 6\n"), std::string::npos) << log;
  EXPECT_NE(log.find(",14 13 12\n"), std::string::npos) << log;
  expect_refused(train({"--tasks", "dots", "--order", dir / "order.txt", "--epochs", "5"}, "more"), 1,
                 "--order");
}

TEST_F(Train, pretrain_makes_a_backbone_that_train_takes) {
  const std::vector<std::string> arguments{
      "pretrain", "--data", dir / "data", "--task", "dots",     "--output", dir / "own.safetensors",
      "--size",   "8",      "--epochs",   "2",      "--device", "cpu",      "--batch",
      "5"};
  const Outcome o = clr(arguments);
  ASSERT_EQ(o.status, 0) << o.err;
  const std::string bytes = read_text(dir / "own.safetensors");
  EXPECT_FALSE(exists(dir / "own.safetensors.state"));
  ASSERT_EQ(clr(arguments).status, 0);
  EXPECT_EQ(read_text(dir / "own.safetensors"), bytes);
  EXPECT_EQ(train({"--backbone", dir / "own.safetensors"}, "own").status, 2) << "an option given twice";
  EXPECT_EQ(clr({"train", "--backbone", dir / "own.safetensors", "--data", dir / "data", "--tasks", "circles",
                 "--run", dir / "own", "--epochs", "1"})
                .status,
            0);
  EXPECT_EQ(json::parse(read_text(dir / "own/run.json"))["recipe"]["size"], 8);
}

// Memory is needed for the images that there are.
TEST_F(Train, a_batch_may_be_larger_than_the_set) {
  const std::string batch = "1000000000";
  EXPECT_EQ(train({"--epochs", "1", "--batch", batch}).status, 0);
  const Outcome o =
      clr({"pretrain", "--data", dir / "data", "--task", "dots", "--output", dir / "own.safetensors",
           "--size", "8", "--epochs", "1", "--device", "cpu", "--batch", batch});
  EXPECT_EQ(o.status, 0) << o.err;
}

}  // namespace
}  // namespace reprise::test
