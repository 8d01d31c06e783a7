// Tasks with one image of each class, of which nothing validates: training, logs, evaluation, orders.
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>

#include "apps/clr/learn/task_file.h"
#include "apps/clr/learn/task_log.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

class NoValidation : public testing::Test {
 protected:
  static constexpr int classes = 9;
  NoValidation() {
    write_tiny_backbone(dir / "backbone.safetensors");
    write_images("few", classes);
  }
  void write_images(const std::string& task, int n) const {
    for (int i = 0; i < n; ++i) {
      const std::string folder = dir / ("data/" + task + "/c" + std::to_string(i));
      std::filesystem::create_directories(folder);
      write_image(folder + "/0.ppm", 8, i, static_cast<std::uint64_t>(i));
    }
  }
  Outcome train(Words more = {}) const {
    Words words{"train",     "--backbone", dir / "backbone.safetensors",
                "--data",    dir / "data", "--run",
                dir / "run", "--size",     "8",
                "--epochs",  "3",          "--batch",
                "4",         "--device",   "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return clr(words);
  }
  Outcome eval(Words more = {}) const {
    Words words{"eval", "--run", dir / "run", "--data", dir / "data", "--device", "cpu"};
    words.insert(words.end(), more.begin(), more.end());
    return clr(words);
  }
  const TempDir dir;
};

TEST_F(NoValidation, the_last_epoch_is_kept_and_no_accuracy_is_invented) {
  const Outcome o = train({"--json"});
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_EQ(json::parse(o.out)["tasks"],
            json::parse(R"([{"name": "few", "status": "learned", "best_epoch": 3}])"));
  EXPECT_SAYS(o.err, "class 'c0' has one image: it trains, nothing of it validates");
  const reprise::clr::TaskFile file = reprise::clr::read_task_file(dir / "run/tasks/few.safetensors");
  EXPECT_EQ(file.best_epoch, 3);
  EXPECT_EQ(file.val_accuracy, std::nullopt);
  EXPECT_EQ(file.test_accuracy, std::nullopt);
  EXPECT_EQ(file.images, (std::map<std::string, std::int64_t>{{"train", classes}, {"val", 0}, {"test", 0}}));
  EXPECT_EQ(file.data_digests.size(), 1u);
  const auto log = reprise::clr::read_task_log(dir / "run/log/few.csv");
  ASSERT_EQ(log.epochs.size(), 3u);
  for (const auto& epoch : log.epochs) EXPECT_FALSE(epoch.val_loss || epoch.val_accuracy);
  EXPECT_EQ(file.train_accuracy, log.epochs.back().train_accuracy);
  const auto row = reprise::clr::csv_rows(dir / "run/results.csv", 14).at(0);
  EXPECT_EQ((Words(row.begin(), row.begin() + 9)), (Words{"few", "clr", "9", "9", "0", "3", "3", "", ""}));
  const double seconds = std::stod(row[12]);
  EXPECT_NEAR(seconds, log.seconds(), 1e-3);
  EXPECT_NEAR(std::stod(row[13]), 3 * classes / seconds, 0.06 + 0.002 / seconds * std::stod(row[13]));
  // The training images are all there is to evaluate on, and nothing to compare them with.
  const json evaluated = json::parse(eval({"--json"}).out), task = evaluated["tasks"][0];
  EXPECT_EQ(task["split"], "train");
  EXPECT_EQ(task["learned"], json());
  EXPECT_EQ(task["forgetting"], json());
  EXPECT_EQ(task["same_data"], true);
  EXPECT_EQ(evaluated["learned"], json());
  EXPECT_EQ(evaluated["now"], task["now"]);
  EXPECT_EQ(clr({"report", dir / "run", "--json"}).status, 0);
  EXPECT_EQ(eval({"--split", "val"}).status, 1);
  // A table has dashes where there is no number.
  const std::string table = train().out;
  EXPECT_SAYS(table, "finished before");
  EXPECT_EQ(std::count(table.begin(), table.end(), '-') >= 2, true) << table;
}

TEST_F(NoValidation, a_test_split_is_evaluated_but_decides_nothing) {
  std::filesystem::remove_all(dir / "data/few");
  write_images("few/train", 3);
  write_images("few/test", 2);
  ASSERT_EQ(train().status, 0);
  const reprise::clr::TaskFile file = reprise::clr::read_task_file(dir / "run/tasks/few.safetensors");
  EXPECT_EQ(file.best_epoch, 3);
  EXPECT_EQ(file.val_accuracy, std::nullopt);
  EXPECT_EQ(file.images, (std::map<std::string, std::int64_t>{{"train", 3}, {"val", 0}, {"test", 2}}));
  const json task = json::parse(eval({"--json"}).out)["tasks"][0];
  EXPECT_EQ(task["split"], "test");
  EXPECT_EQ(task["learned"], *file.test_accuracy);
  EXPECT_EQ(task["forgetting"], 0.0);
}

// The generator samples nothing for a validation loader that is not there.
TEST_F(NoValidation, every_epochs_order_is_that_of_pytorch_and_can_be_listed) {
  for (const std::string rng : {"torch", "streams"}) {
    SCOPED_TRACE(rng);
    ASSERT_EQ(train({"--rng", rng, "--seed", "6", "--restart", "--log-steps", dir / "steps.csv"}).status, 0);
    std::vector<std::string> files, trained(3);
    const auto lines_of = [&](Words more) {
      Words words{"tasks", "--data", dir / "data", "--list", "few", "--seed", "6"};
      words.insert(words.end(), more.begin(), more.end());
      const Outcome o = clr(words);
      EXPECT_EQ(o.status, 0) << o.err;
      std::vector<std::string> lines;
      std::istringstream in(o.out);
      for (std::string line; std::getline(in, line);) lines.push_back(line);
      return lines;
    };
    files = lines_of({});
    ASSERT_EQ(files.size(), static_cast<std::size_t>(classes)) << "no line is of a validation image";
    const auto steps = reprise::clr::csv_rows(dir / "steps.csv", 4);
    ASSERT_EQ(steps.size(), 9u);
    std::vector<std::vector<std::string>> orders;
    for (std::size_t epoch = 0; epoch < 3; ++epoch) {
      std::vector<std::string> expected;
      for (std::size_t step = 0; step < 3; ++step) {
        std::istringstream images(steps[3 * epoch + step][3]);
        for (std::size_t i = 0; images >> i;) expected.push_back(files.at(i));
      }
      Words words{"--epoch", std::to_string(epoch), "--rng", rng};
      if (rng == "torch") words.insert(words.end(), {"--backbone", dir / "backbone.safetensors"});
      EXPECT_EQ(lines_of(words), expected) << "epoch " << epoch;
      for (const auto& before : orders) EXPECT_NE(before, expected);
      orders.push_back(expected);
    }
  }
}

}  // namespace
}  // namespace reprise::test
