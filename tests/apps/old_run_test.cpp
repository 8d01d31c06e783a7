// Run folders of an earlier clr (tests/golden/run), with one task learned and one begun.
// Today's clr opens, evaluates, resumes and reports them.
// The begun task may train differently; the files' formats may not change.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <sstream>
#include <thread>

#include "data/weights/weight_file.h"
#include "tests/apps/by_formula.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

// The parameter is a run's method, which is also the name of its folder.
class OldRun : public testing::TestWithParam<std::string> {
 protected:
  // Writes a backbone and images with the same bytes on every machine, and copies the run folder.
  void SetUp() override {
    setenv("REPRISE_CPU_ISA", "portable", 1);
    data::write_safetensors(dir / "backbone.safetensors", resnet20_by_formula(10));
    for (const std::string task : {"begun", "learned"})
      for (const auto& [split, images] : {std::pair{"test", 4}, {"train", 8}})
        write_images(task, split, images);
    if (fs::exists(golden)) fs::copy(golden, run, fs::copy_options::recursive);
  }
  void TearDown() override { unsetenv("REPRISE_CPU_ISA"); }

  // The class is the brightest channel. The task to be learned is the harder one.
  void write_images(const std::string& task, const std::string& split, int images) const {
    const std::string classes[] = {"blue", "green, mostly", "red"};
    const int brighter = task == "begun" ? 135 : 50;
    for (int label = 0; label < 3; ++label)
      for (int image = 0; image < images; ++image) {
        const std::string path =
            "data/" + task + "/" + split + "/" + classes[label] + "/" + std::to_string(image);
        const Noise noise(path);
        std::string bytes = "P6\n8 8\n255\n";
        for (int i = 0; i < 8 * 8 * 3; ++i)
          bytes +=
              static_cast<char>(static_cast<int>(60 * (noise(i) + 1)) + (i % 3 == 2 - label ? brighter : 0));
        fs::create_directories(fs::path(dir / path).parent_path());
        write_text(dir / (path + ".ppm"), bytes);
      }
  }
  // The command that made the run folder.
  // `linear` has the options that a recipe records only if given.
  std::vector<std::string> train(std::vector<std::string> more = {}) const {
    std::vector<std::string> words = with_files({"train", "--run", run, "--method", method, "--size", "8"});
    words.insert(words.end(), {"--epochs", "16", "--batch", "4", "--lr", "0.01", "--device", "cpu",
                               "--val-fraction", "0.25"});
    if (method == "linear") words.insert(words.end(), {"--optimizer", "sgd", "--rng", "torch"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::vector<std::string> eval(std::vector<std::string> more = {}) const {
    std::vector<std::string> words = with_files({"eval", "--run", run, "--device", "cpu"});
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  std::vector<std::string> with_files(std::vector<std::string> words) const {
    words.insert(words.end(), {"--backbone", dir / "backbone.safetensors", "--data", dir / "data"});
    return words;
  }
  Json json_of(std::vector<std::string> words) const {
    words.push_back("--json");
    const Outcome o = clr(words);
    EXPECT_EQ(o.status, 0) << o.err;
    return Json::parse(o.out, nullptr, false);
  }
  std::string text(const std::string& file) const { return read_text(run + "/" + file); }
  // The fields of the learned task in results.csv.
  std::vector<std::string> recorded() const {
    const std::string results = text("results.csv");
    std::istringstream line(results.substr(results.find("\nlearned,") + 1));
    std::vector<std::string> fields;
    for (std::string field; std::getline(line, field, ',');) fields.push_back(field);
    return fields;
  }

  const TempDir dir;
  const std::string method = GetParam(), run = dir / method;
  const std::string golden = REPRISE_SOURCE_DIR "/tests/golden/run/" + method;
};
INSTANTIATE_TEST_SUITE_P(, OldRun, testing::Values("clr", "linear"), [](const auto& p) { return p.param; });

TEST_P(OldRun, info_opens_its_files) {
  const Json task = json_of({"info", run + "/tasks/learned.safetensors"})["files"][0]["task"];
  EXPECT_EQ(task["task"], "learned");
  EXPECT_EQ(task["method"], method);
  EXPECT_EQ(task["classes"], Json({"blue", "green, mostly", "red"}));
  EXPECT_EQ(task["recipe"]["epochs"], 16);
  EXPECT_EQ(task["val_accuracy"], std::stod(recorded()[7]));
  EXPECT_EQ(task["test_accuracy"], std::stod(recorded()[8]));
  const Json state = json_of({"info", run + "/state/begun.state"})["files"][0]["metadata"];
  EXPECT_EQ(Json::parse(state["context"].get<std::string>())["task"], "begun");
}

TEST_P(OldRun, eval_gives_the_recorded_accuracies) {
  for (const auto& [split, field] : {std::pair{"val", 7}, {"test", 8}}) {
    const Json tasks = json_of(eval({"--split", split}))["tasks"];
    ASSERT_EQ(tasks.size(), 1);
    EXPECT_EQ(tasks[0]["name"], "learned");
    EXPECT_EQ(tasks[0]["learned"], std::stod(recorded()[field]));
    EXPECT_EQ(tasks[0]["now"], tasks[0]["learned"]);
    EXPECT_EQ(tasks[0]["same_data"], true);
  }
  EXPECT_EQ(text("matrix.csv"), read_text(golden + "/matrix.csv"));
}

TEST_P(OldRun, predict_names_the_recorded_classes) {
  std::vector<std::string> lines,
      words{"predict", "--device", "cpu", "--backbone", dir / "backbone.safetensors"};
  words.insert(words.end(), {"--task", run + "/tasks/learned.safetensors"});
  std::istringstream predictions(text("predictions.csv"));
  std::string line;
  std::getline(predictions, line);
  while (std::getline(predictions, line)) {
    lines.push_back(line);
    words.push_back(dir.path() +
                    line.substr(line.find("/data/"), line.rfind(".ppm") + 4 - line.find("/data/")));
  }
  ASSERT_EQ(lines.size(), 12);
  const Json images = json_of(words)["images"];
  for (std::size_t i = 0; i < lines.size(); ++i) {
    const std::string guess = images[i]["predictions"][0]["class"];
    const std::string field = guess.find(',') == std::string::npos ? guess : "\"" + guess + "\"";
    EXPECT_NE(lines[i].find("," + field + ",0."), std::string::npos) << lines[i] << ": " << guess;
  }
}

TEST_P(OldRun, the_begun_task_goes_on_and_the_learned_one_stays) {
  const std::string log = text("log/begun.csv"), results = text("results.csv");
  const Json state = json_of({"info", run + "/state/begun.state"})["files"][0]["metadata"];
  const Json before = Json::parse(state["state"].get<std::string>());
  ASSERT_EQ(before["best_val"], 1);
  const Json tasks = json_of(train())["tasks"];
  EXPECT_EQ(tasks[0]["status"], "resumed");
  EXPECT_EQ(tasks[0]["best_epoch"], before["best_epoch"]) << "no later epoch can be better";
  EXPECT_EQ(tasks[1]["status"], "finished before");
  EXPECT_EQ(text("tasks/learned.safetensors"), read_text(golden + "/tasks/learned.safetensors"));
  EXPECT_EQ(text("log/learned.csv"), read_text(golden + "/log/learned.csv"));
  EXPECT_TRUE(text("log/begun.csv").starts_with(log));
  EXPECT_GT(text("log/begun.csv").size(), log.size());
  EXPECT_TRUE(text("results.csv").starts_with(results + "begun,"));
  EXPECT_FALSE(exists(run + "/state/begun.state"));
}

TEST_P(OldRun, report_shows_it) {
  const Json json = json_of({"report", run, "--html", dir / "page.html", "--require-no-forgetting"});
  EXPECT_EQ(json["runs"][0]["method"], method);
  EXPECT_EQ(json["tasks"][0]["name"], "learned");
  EXPECT_EQ(json["tasks"][0]["accuracies"][0], std::stod(recorded()[8]));
  EXPECT_NE(read_text(dir / "page.html").find("green, mostly"), std::string::npos);
}

// Makes tests/golden/run with this clr. Run it only if old files are refused on purpose:
//   test_apps --gtest_also_run_disabled_tests --gtest_filter='*OldRun.DISABLED_make/*'
TEST_P(OldRun, DISABLED_make) {
  fs::remove_all(run);
  ASSERT_EQ(clr(train({"--tasks", "learned"})).status, 0);
  ASSERT_EQ(clr(eval()).status, 0);
  setenv("REPRISE_SAVE_SECONDS", "0", 1);
  {
    Running begun(train());
    ASSERT_TRUE(wait_for_lines(run + "/log/begun.csv", 7));
    std::this_thread::sleep_for(std::chrono::milliseconds(5));  // to the middle of an epoch
    begun.send(SIGTERM);
    ASSERT_EQ(begun.wait(), 128 + SIGTERM);
  }
  unsetenv("REPRISE_SAVE_SECONDS");
  fs::remove_all(golden);
  for (const auto& entry : fs::recursive_directory_iterator(run)) {
    if (!entry.is_regular_file() || entry.path().extension() == ".lock") continue;
    const fs::path to = golden / fs::relative(entry.path(), run);
    std::string bytes = read_text(entry.path());
    if (to.extension() == ".json" || to.extension() == ".csv") {  // remove this machine's paths
      bytes = std::regex_replace(bytes, std::regex(dir.path()), "/example");
      bytes = std::regex_replace(bytes, std::regex(CLR_BINARY), "clr");
    }
    fs::create_directories(to.parent_path());
    write_text(to, bytes);
  }
}

}  // namespace
}  // namespace reprise::test
