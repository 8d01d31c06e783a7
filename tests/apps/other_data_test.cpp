// clr eval, predict, report and map on data that are or are not those learned from. The tasks' heads are
// made so that an image's colour is its predicted class: every accuracy is counted by hand. All tests run
// twice, with the classes of the task files in two orders: only their names may matter.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/run_network.h"
#include "apps/clr/learn/task_file.h"
#include "data/loader/image_store.h"
#include "data/sets/find_tasks.h"
#include "tests/apps/figures.h"
#include "tests/apps/support.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using words = std::vector<std::string>;

const words colours = {"blue", "green", "red"};

// So many images of a colour, in a class's folder of a split.
struct Images {
  std::string folder, colour;
  int count;
};

std::uint8_t pixel(const std::string& colour, int shade, int variant, int channel) {
  const bool bright = colours[static_cast<std::size_t>(2 - channel)] == colour;
  return static_cast<std::uint8_t>(shade + (bright ? 120 : 0) + variant);
}

void write_images(const std::string& task, int shade, const std::vector<Images>& all) {
  for (const Images& images : all) {
    fs::create_directories(task + "/" + images.folder);
    for (int i = 0; i < images.count; ++i) {
      std::string bytes = "P6\n8 8\n255\n";
      for (int p = 0; p < 8 * 8 * 3; ++p)
        bytes += static_cast<char>(pixel(images.colour, shade, i % 8, p % 3));
      std::string name = images.colour;
      name += std::to_string(i) + ".ppm";
      write_text(task + "/" + images.folder + "/" + name, bytes);
    }
  }
}

// The parameter: whether the task files hold their classes in the reverse order.
class OtherData : public testing::TestWithParam<bool> {
 protected:
  static void SetUpTestSuite() {
    dir = new TempDir;
    write_tiny_backbone(*dir / "backbone.safetensors");
    // In test 5 of 8 images have the colour of their folder; in stones' val 20 of 32.
    write_images(*dir / "data/colours", 20,
                 {{"train/blue", "blue", 4},
                  {"train/green", "green", 4},
                  {"train/red", "red", 4},
                  {"val/blue", "blue", 16},
                  {"val/green", "green", 8},
                  {"val/red", "blue", 8},
                  {"test/blue", "blue", 2},
                  {"test/blue", "red", 1},
                  {"test/green", "green", 1},
                  {"test/red", "red", 2},
                  {"test/red", "green", 2}});
    write_images(*dir / "data/stones", 100,
                 {{"train/green", "green", 4},
                  {"train/red", "red", 4},
                  {"val/green", "green", 16},
                  {"val/red", "red", 4},
                  {"val/red", "green", 12}});
    const Outcome o = clr({"train", "--backbone", *dir / "backbone.safetensors", "--data", *dir / "data",
                           "--run", *dir / "run0", "--device", "cpu", "--size", "8", "--epochs", "0",
                           "--method", "linear", "--quiet"});
    ASSERT_EQ(o.status, 0) << o.err;
    fs::copy(*dir / "run0", *dir / "run1", fs::copy_options::recursive);
    for (const bool reversed : {false, true})
      for (const auto& [task, shade] : {std::pair("colours", 20), {"stones", 100}})
        teach(*dir / (reversed ? "run1" : "run0") + "/tasks/" + task + ".safetensors", shade, reversed);
  }
  static void TearDownTestSuite() {
    delete dir;
    dir = nullptr;
  }
  // Gives the task a head that answers with the nearest of its classes' colours, and accuracies that
  // it is said to have learned.
  static void teach(const std::string& path, int shade, bool reversed) {
    clr::TaskFile file = clr::read_task_file(path);
    if (reversed) std::reverse(file.classes.begin(), file.classes.end());
    const std::int64_t n = std::ssize(file.classes);
    Tensor images = empty({n, 8, 8, 3}, DType::u8);
    for (std::int64_t i = 0; i < images.numel(); ++i)
      images.mutable_data<std::uint8_t>()[i] =
          pixel(file.classes[static_cast<std::size_t>(i / 192)], shade, 3, static_cast<int>(i % 3));
    const clr::Backbone backbone =
        clr::load_backbone(*dir / "backbone.safetensors", "auto", cpu_device, DType::f32);
    const Tensor f = clr::outputs_of(*clr::restore_network(backbone, file), images).features;
    const std::int64_t width = f.dim(1);
    const auto distance = [&](std::int64_t a, std::int64_t b) {
      double sum = 0;
      for (std::int64_t k = 0; k < width; ++k)
        sum +=
            std::pow(static_cast<double>(f.data<float>()[a * width + k] - f.data<float>()[b * width + k]), 2);
      return sum;
    };
    double least = HUGE_VAL;
    for (std::int64_t a = 0; a < n; ++a)
      for (std::int64_t b = 0; b < a; ++b) least = std::min(least, distance(a, b));
    // A class's logit is -|f - f_c|² / least, but for what all classes share.
    for (auto& [name, tensor] : file.tensors)
      for (std::int64_t c = 0; c < n; ++c) {
        double squares = 0;
        for (std::int64_t k = 0; k < width; ++k) {
          const double x = static_cast<double>(f.data<float>()[c * width + k]);
          squares += x * x;
          if (name == "linear.weight")
            tensor.mutable_data<float>()[c * width + k] = static_cast<float>(2 * x / least);
        }
        if (name == "linear.bias") tensor.mutable_data<float>()[c] = static_cast<float>(-squares / least);
      }
    if (reversed)  // as if it had been learned so
      for (auto& [split, digest] : file.data_digests) {
        const data::Task task = data::find_tasks(*dir / "data", {.tasks = {file.task}}).at(0);
        std::vector<data::Sample> samples = split == "train" ? task.train
                                            : split == "val" ? task.val
                                                             : task.test;
        for (data::Sample& sample : samples) sample.label = static_cast<int>(n) - 1 - sample.label;
        data::ImageStore store(samples, 8, "");
        store.load();
        digest = store.digest();
      }
    file.val_accuracy = n == 3 ? 0.875 : 0.5;
    if (n == 3) file.test_accuracy = 0.75;
    clr::write_task_file(path, file);
  }
  // The folder of data/colours in another form, beside data/stones as it was.
  static std::string other_data(const std::vector<Images>& images) {
    const std::string other = *dir / "other";
    fs::remove_all(other);
    write_images(other + "/colours", 20, images);
    fs::create_directory_symlink(*dir / "data/stones", other + "/stones");
    return other;
  }
  static Outcome run_clr(words arguments, const words& more) {
    arguments.insert(arguments.end(), more.begin(), more.end());
    return test::clr(arguments);
  }
  Outcome eval(const std::string& data, const words& more = {}) const {
    return run_clr({"eval", "--run", run, "--device", "cpu", "--quiet", "--data", data}, more);
  }
  static json parsed(const Outcome& o, int status = 0) {
    EXPECT_EQ(o.status, status) << o.err;
    return json::parse(o.out, nullptr, false);
  }
  std::string text(const std::string& file) const { return read_text(run + "/" + file); }
  const std::string run = *dir / (GetParam() ? "run1" : "run0");
  static TempDir* dir;
};
TempDir* OtherData::dir = nullptr;
INSTANTIATE_TEST_SUITE_P(, OtherData, testing::Bool(),
                         [](const auto& p) { return std::string(p.param ? "reversed" : "sorted"); });

TEST_P(OtherData, eval_counts_and_every_output_says_the_same) {
  const json j = parsed(eval(*dir / "data", {"--json"}));
  const auto task = [](const char* name, const char* split, double learned, double now) {
    return json{{"name", name},
                {"split", split},
                {"learned", learned},
                {"now", now},
                {"forgetting", learned - now},
                {"same_data", true}};
  };
  EXPECT_EQ(j, (json{{"tasks", {task("colours", "test", 0.75, 0.625), task("stones", "val", 0.5, 0.625)}},
                     {"learned", 0.625},
                     {"now", 0.625},
                     {"forgetting", 0.0},
                     {"acc", 0.625},
                     {"bwt", -0.125},
                     {"fwt", nullptr},
                     {"average_so_far", {0.75, 0.625}},
                     {"absent", json::array()}}));
  EXPECT_EQ(text("matrix.csv"),
            "after_task,task,split,accuracy\ncolours,colours,test,0.75\nstones,colours,test,0.625\n"
            "stones,stones,val,0.625\n");
  const Outcome o = eval(*dir / "data");
  const Rows rows = printed_rows(o.out);
  ASSERT_EQ(rows.size(), 7u) << o.out;
  EXPECT_EQ(rows[1], (Cells{"colours", "test", "3", "75.0 %", "75.0 %", "62.5 %", "12.5 %"}));
  EXPECT_EQ(rows[2], (Cells{"stones", "val *", "2", "50.0 %", "62.5 %", "62.5 %", "-12.5 %"}));
  EXPECT_EQ(rows[4], (Cells{"average", "62.5 %", "62.5 %", "0.0 %"}));
  EXPECT_SAYS(rows[5][0], "this split also chose the epoch");
  EXPECT_SAYS(rows[6][0], "ACC 62.5 %, BWT -12.5 %; FWT is undefined");
  // predictions.csv: each image once, its folder, its colour, and predict's answer.
  const Rows lines = csv_cells(text("predictions.csv"));
  ASSERT_EQ(lines.size(), 1u + 8 + 32);
  EXPECT_EQ(lines[0], (Cells{"task", "split", "class", "predicted", "probability", "path"}));
  for (const std::string name : {"colours", "stones"}) {
    words paths;
    Rows own;
    for (const Cells& line : lines)
      if (line[0] == name) own.push_back(line), paths.push_back(line[5]);
    const json images = parsed(
        run_clr({"predict", "--json", "--device", "cpu", "--task", run + "/tasks/" + name + ".safetensors"},
                paths))["images"];
    ASSERT_EQ(images.size(), own.size());
    for (std::size_t i = 0; i < own.size(); ++i) {
      const fs::path path = own[i][5];
      EXPECT_EQ(own[i][1], name == "colours" ? "test" : "val");
      EXPECT_EQ(own[i][2], path.parent_path().filename());
      EXPECT_TRUE(path.filename().string().starts_with(own[i][3])) << path << " " << own[i][3];
      EXPECT_EQ(images[i]["path"], own[i][5]);
      EXPECT_EQ(images[i]["predictions"][0]["class"], own[i][3]);
      EXPECT_NEAR(images[i]["predictions"][0]["probability"].get<double>(), std::stod(own[i][4]), 5e-7);
    }
    std::sort(paths.begin(), paths.end());
    EXPECT_EQ(std::unique(paths.begin(), paths.end()), paths.end());
  }
}

TEST_P(OtherData, the_report_counts_as_eval_does) {
  ASSERT_EQ(eval(*dir / "data").status, 0);
  const json j = parsed(test::clr({"report", run, "--json", "--html", *dir / "page.html"}));
  const auto row = [](const char* name, int classes, const char* split, double accuracy) {
    return json{{"name", name},
                {"classes", classes},
                {"split", split},
                {"chance", 1.0 / classes},
                {"accuracies", {accuracy}}};
  };
  EXPECT_EQ(j["tasks"], (json{row("colours", 3, "test", 0.75), row("stones", 2, "val", 0.5)}));
  EXPECT_EQ(j["tasks_in_all_runs"], 2);
  EXPECT_NEAR(j["chance"].get<double>(), 5.0 / 12, 1e-15);
  // Of 269,072 numbers of the body, and 1,376 of running statistics; a head has 65 for each class.
  const int body = 269072, statistics = 1376, heads = 5 * 65;
  EXPECT_EQ(j["runs"], (json{{{"run", run},
                              {"method", "linear"},
                              {"average", 0.625},
                              {"forgetting", 0.0},
                              {"tasks", 2},
                              {"task_bytes", 4 * heads},
                              {"network_bytes", 4 * (2 * (body + statistics) + heads)},
                              {"task_parameters", heads},
                              {"network_parameters", 2 * body + heads}}}));
  const Rows rows = printed_rows(test::clr({"report", run}).out);
  ASSERT_EQ(rows.size(), 9u);
  EXPECT_EQ(rows[0], (Cells{"task", "classes", "split", "chance", "linear"}));
  EXPECT_EQ(rows[1], (Cells{"colours", "3", "test", "33.3 %", "75.0 %"}));
  EXPECT_EQ(rows[2], (Cells{"stones", "2", "val", "50.0 %", "50.0 %"}));
  EXPECT_EQ(rows[4], (Cells{"average of 2", "41.7 %", "62.5 %"}));
  EXPECT_EQ(rows[5], (Cells{"forgetting", "0.0 %"}));
  EXPECT_EQ(rows[6], (Cells{"a task's own tensors", "650 B"}));
  EXPECT_EQ(rows[7], (Cells{"the whole network", "1.0 MiB"}));
  EXPECT_EQ(rows[8], (Cells{"ratio", "0.06 %"}));
  // The page: the same numbers, and the classes' confusions.
  const std::string page = read_text(*dir / "page.html");
  EXPECT_SAYS(
      page, "Accuracy, mean of 2 tasks: linear 62.5 %; guessing gives 41.7 %. Forgotten with linear: 0.0 %.");
  EXPECT_SAYS(page, "ACC 62.5 %, BWT -12.5 %. FWT is undefined");
  EXPECT_SAYS(page, "Average so far, after each task: 75.0 %, 62.5 %.");
  const Rows accuracy = html_rows(between(page, "<h2>Accuracy</h2>", "</table>"));
  ASSERT_EQ(accuracy.size(), 4u);
  EXPECT_EQ(accuracy[1], (Cells{"colours", "3", "33.3 %", "75.0 %", ""}));
  EXPECT_EQ(accuracy[2], (Cells{"stones", "2", "50.0 %", "50.0 %", ""}));
  EXPECT_EQ(accuracy[3], (Cells{"mean of 2", "", "41.7 %", "62.5 %", ""}));
  const Rows cost = html_rows(between(page, "<h2>What a task costs</h2>", "</table>"));
  ASSERT_EQ(cost.size(), 2u);
  EXPECT_EQ(cost[1],
            (Cells{"linear", "0", "0", "0", "0", "162", "650 B", "1.0 MiB", "650 / 1,082,442 = 0.06 %"}));
  // Only what was measured: learned, and after the last task.
  const auto numbers = [](const std::string& picture) {
    Cells said;
    for (const Element& e : elements_of(picture))
      if (e.name == "text" && e.at("text-anchor") == "middle") said.push_back(e.text);
    return said;
  };
  EXPECT_EQ(numbers(between(page, "<title>Accuracy matrix of linear</title>", "</svg>") + "<p>"),
            (Cells{"75", "·", "62", "62"}));
  const bool reversed = GetParam();
  const std::string confusion = picture_called(page, "Confusion matrix of colours</title>");
  EXPECT_SAYS(page, "How many percent of each class&#39;s test images");
  EXPECT_EQ(numbers(confusion),
            reversed ? (Cells{"50", "50", "100", "33", "67"}) : (Cells{"67", "33", "100", "50", "50"}));
  // x - 143 is a multiple of 34 in each column, y - 99 of 22 in each row.
  std::vector<std::pair<int, int>> places;
  for (const Element& e : elements_of(confusion))
    if (e.name == "text" && e.at("text-anchor") == "middle")
      places.emplace_back(static_cast<int>(e.number("y") - 99) / 22,
                          static_cast<int>(e.number("x") - 143) / 34);
  EXPECT_EQ(places, reversed ? (std::vector<std::pair<int, int>>{{0, 0}, {0, 1}, {1, 1}, {2, 0}, {2, 2}})
                             : (std::vector<std::pair<int, int>>{{0, 0}, {0, 2}, {1, 1}, {2, 1}, {2, 2}}));
  EXPECT_SAYS(page, "12 images to learn from, 32 to choose the epoch, 8 to test.");
  EXPECT_SAYS(page, "8 images to learn from, 32 to choose the epoch, 0 to test.");
  EXPECT_SAYS(page, "The surest of 3 mistakes");
  EXPECT_SAYS(page, "The surest of 12 mistakes");
  EXPECT_SAYS(page, "3 classes · linear 75.0 %");
  EXPECT_SAYS(test::clr({"report", run, "--require-no-forgetting"}).err, "forgot up to 12.500 % of a task");
}

TEST_P(OtherData, the_report_compares_the_split_that_eval_evaluated) {
  for (const auto& [split, forgetting] :
       {std::pair("val", json((0.125 - 0.125) / 2)), {"train", json(nullptr)}}) {
    const json evaluated = parsed(eval(*dir / "data", {"--split", split, "--json"}));
    EXPECT_EQ(evaluated["forgetting"], forgetting) << split;
    EXPECT_EQ(parsed(test::clr({"report", run, "--json"}))["runs"][0]["forgetting"], forgetting) << split;
  }
  EXPECT_SAYS(test::clr({"report", run}).out, "(no eval)");
  EXPECT_SAYS(test::clr({"report", run, "--require-no-forgetting"}).err, "run clr eval");
}

TEST_P(OtherData, classes_are_known_by_name) {
  struct Case {
    std::string what;
    std::vector<Images> images;
    words options;
    std::string split;
    json learned;
    double now;
  };
  const std::vector<Images> no_green = {{"train/blue", "blue", 3},
                                        {"train/red", "red", 3},
                                        {"test/blue", "blue", 2},
                                        {"test/red", "red", 2},
                                        {"test/red", "blue", 1}};
  const std::vector<Images> undivided = {{"blue", "red", 4}, {"green", "green", 4}, {"red", "red", 4}};
  const std::vector<Case> cases = {
      {"a class is missing", no_green, {}, "test", 0.75, 4.0 / 5},
      {"and validation images come from train", no_green, {"--split", "val"}, "val", 0.875, 1},
      {"a class is missing in test only",
       {{"train/blue", "blue", 1},
        {"train/green", "green", 1},
        {"train/red", "red", 1},
        {"test/red", "red", 3},
        {"test/blue", "green", 1}},
       {},
       "test",
       0.75,
       3.0 / 4},
      {"no test split", undivided, {}, "val", 0.875, 2.0 / 3},
      {"one by choice", undivided, {"--split", "train"}, "train", nullptr, 6.0 / 9},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    words options = c.options;
    const std::string data = other_data(c.images);
    const bool as_table = c.split != "test";
    const Cells row = as_table ? printed_rows(eval(data, options).out).at(1) : Cells();
    options.emplace_back("--json");
    const json j = parsed(eval(data, options)), task = j["tasks"][0];
    EXPECT_EQ(task["name"], "colours");
    EXPECT_EQ(task["split"], c.split);
    EXPECT_EQ(task["learned"], c.learned);
    EXPECT_NEAR(task["now"].get<double>(), c.now, 1e-15);
    EXPECT_EQ(task["same_data"], false);
    EXPECT_EQ(j["tasks"][1]["same_data"], true);
    if (c.learned.is_null()) {
      EXPECT_TRUE(task["forgetting"].is_null() && j["forgetting"].is_null() && j["bwt"].is_null());
      EXPECT_TRUE(j["average_so_far"][0].is_null());
      EXPECT_EQ(text("matrix.csv").find("colours,colours,"), std::string::npos);
    } else {
      EXPECT_NEAR(task["forgetting"].get<double>(), c.learned.get<double>() - c.now, 1e-15);
    }
    if (!as_table) continue;
    const std::string learned = c.learned.is_null() ? "-" : shown_share(c.learned);
    EXPECT_EQ(row, (Cells{"colours", c.split == "val" ? "val *" : c.split, "3", learned, learned,
                          shown_share(c.now),
                          c.learned.is_null() ? "-" : shown_share(c.learned.get<double>() - c.now),
                          "other data than learned from"}));
  }
}

TEST_P(OtherData, what_was_never_learned_is_refused_and_nothing_is_written) {
  ASSERT_EQ(eval(*dir / "data").status, 0);
  const std::string matrix = text("matrix.csv"), predictions = text("predictions.csv");
  const auto refused = [&](const std::vector<Images>& images, const words& options, const std::string& said) {
    const Outcome o = eval(other_data(images), options);
    EXPECT_EQ(o.status, 1);
    EXPECT_EQ(o.out, "");
    EXPECT_SAYS(o.err, said);
    EXPECT_EQ(text("matrix.csv"), matrix);
    EXPECT_EQ(text("predictions.csv"), predictions);
  };
  refused({{"amber", "red", 2}, {"blue", "blue", 2}, {"green", "green", 2}, {"red", "red", 2}}, {},
          "task colours: the data have a class 'amber' that was never learned");
  refused({{"train/blue", "blue", 2}, {"train/red", "red", 2}, {"test/amber", "red", 1}}, {},
          "class 'amber' has images here but is not in train/");
  refused({{"blue", "blue", 2}, {"red", "red", 2}}, {"--split", "test"}, "no images in its split 'test'");
}

TEST_P(OtherData, predict_says_the_same_as_table_csv_and_json) {
  const std::string folder = *dir / "data/colours/test", task = run + "/tasks/colours.safetensors";
  const words command{"predict", "--device", "cpu", "--quiet", "--task", task, folder};
  const json j = parsed(run_clr(command, {"--json"}));
  EXPECT_EQ(j["task"], "colours");
  EXPECT_EQ(j["method"], "linear");
  const json classes = parsed(test::clr({"info", task, "--json"}))["files"][0]["task"]["classes"];
  Rows csv{{"image", "rank", "class", "probability"}}, table;
  for (const json& image : j["images"]) {
    const std::string path = image["path"];
    EXPECT_TRUE(path.starts_with(folder + "/")) << path;
    ASSERT_EQ(image["predictions"].size(), 3u);
    double sum = 0, before = 1;
    for (std::size_t rank = 0; rank < 3; ++rank) {
      const json& p = image["predictions"][rank];
      const double probability = p["probability"];
      EXPECT_EQ(p["class"], classes[p["label"].get<std::size_t>()]);
      EXPECT_LE(probability, before);
      before = probability, sum += probability;
      csv.push_back({path, std::to_string(rank + 1), p["class"], p["probability"].dump()});
      table.push_back({p["class"], shown_share(probability, 2)});
      if (rank == 0) table.back().insert(table.back().begin(), path);
    }
    EXPECT_NEAR(sum, 1, 1e-6);
    EXPECT_TRUE(
        fs::path(path).filename().string().starts_with(image["predictions"][0]["class"].get<std::string>()));
  }
  EXPECT_EQ(j["images"].size(), 8u);
  const Rows got = csv_cells(run_clr(command, {"--csv"}).out);
  ASSERT_EQ(got.size(), csv.size());
  for (std::size_t i = 0; i < csv.size(); ++i) {
    EXPECT_EQ(Cells(got[i].begin(), got[i].begin() + 3), Cells(csv[i].begin(), csv[i].begin() + 3));
    if (i > 0) {
      EXPECT_EQ(std::stod(got[i][3]), std::stod(csv[i][3]));
    }
  }
  Rows printed = printed_rows(run_clr(command, {}).out);
  EXPECT_EQ(printed.at(0), (Cells{"image", "class", "probability"}));
  printed.erase(printed.begin());
  EXPECT_EQ(printed, table);
  const Rows one = csv_cells(run_clr(command, {"--csv", "--top", "1"}).out);
  ASSERT_EQ(one.size(), 9u);
  for (std::size_t i = 1; i < one.size(); ++i) EXPECT_EQ(one[i], got[3 * i - 2]);
}

TEST_P(OtherData, the_map_and_its_evaluation_say_the_same_everywhere) {
  const words map_command{"map", "--run", run, "--device", "cpu", "--quiet", "--data", *dir / "data"};
  // Labels are taken by name: the class without images is named.
  const Outcome none =
      test::clr({"map", "--run", run, "--device", "cpu", "--data",
                 other_data({{"train/blue", "blue", 2}, {"train/red", "red", 2}, {"val/red", "red", 20}})});
  EXPECT_EQ(none.status, 1);
  EXPECT_SAYS(none.err, "task colours: class 'green' has no training image");
  const Outcome made = run_clr(map_command, {});
  ASSERT_EQ(made.status, 0) << made.err;
  const json map = parsed(run_clr(map_command, {"--json"}));
  const Rows rows = printed_rows(made.out);
  ASSERT_EQ(rows.size(), 6u) << made.out;
  ASSERT_EQ(map["tasks"].size(), 2u);
  for (const std::size_t t : {0u, 1u}) {
    const json& task = map["tasks"][t];
    EXPECT_EQ(task["name"], t == 0 ? "colours" : "stones");
    EXPECT_EQ(task["classes"], t == 0 ? 3 : 2);
    EXPECT_EQ(task["train_images"], t == 0 ? 12 : 8);
    EXPECT_EQ(task["calibrating"], t == 0 ? 32 : 16) << "half of val, where no test split is";
    const double nearest = task["nearest"].get<double>() * (t == 0 ? 32 : 16);
    EXPECT_NEAR(nearest, std::round(nearest), 1e-9);
    EXPECT_EQ(rows[1 + t],
              (Cells{task["name"], task["classes"].dump(), task["train_images"].dump(),
                     task["calibrating"].dump(), shown_share(task["nearest"]), shown_count(task["bytes"])}));
  }
  EXPECT_EQ(rows[4], (Cells{"all tasks share", shown_count(map["run_bytes"])}));
  EXPECT_GT(map["temperature"], 0);
  EXPECT_EQ(map["absent"], json::array());

  // Of all training images nothing is halved. The unknown images are the known ones.
  fs::create_directories(*dir / "known");
  for (const char* task : {"colours", "stones"})
    fs::copy(*dir / "data/" + task + "/train", *dir / "known/" + task,
             fs::copy_options::recursive | fs::copy_options::overwrite_existing);
  const words eval_options{"--split",  "train", "--map",       "--unknown", *dir / "known",
                           "--refuse", "0.5",   "--shortlist", "2"};
  const Outcome text_out = eval(*dir / "data", eval_options);
  words with_json = eval_options;
  with_json.emplace_back("--json");
  const json j = parsed(eval(*dir / "data", with_json)), evaluated = j["map"];
  const json images = parsed(test::clr({"predict", "--json", "--run", run, "--device", "cpu", "--refuse", "1",
                                        "--shortlist", "2", *dir / "known"}))["images"];
  const json kept = parsed(test::clr({"predict", "--json", "--run", run, "--device", "cpu", "--refuse", "0.5",
                                      "--shortlist", "2", *dir / "known"}))["images"];
  ASSERT_EQ(images.size(), 20u);
  // The entropy of each task's answer to an image, as a share of that of equal probabilities.
  std::map<std::string, std::map<std::string, double>> entropy;
  for (const char* task : {"colours", "stones"}) {
    const json told = parsed(test::clr({"predict", "--json", "--device", "cpu", "--task",
                                        run + "/tasks/" + task + ".safetensors", *dir / "known"}));
    for (const json& image : told["images"])
      for (const json& p : image["predictions"]) {
        const double x = p["probability"], classes = static_cast<double>(image["predictions"].size());
        if (x > 0) entropy[image["path"]][task] -= x * std::log(x) / std::log(classes);
      }
  }
  const words columns{"told",      "untold",  "task_right", "in_first_three",
                      "same_name", "refused", "colour",     "entropy"};
  const Rows csv = csv_cells(text("taskmap.csv"));
  ASSERT_EQ(csv.size(), 3u);
  std::map<std::string, double> macro, micro;
  std::int64_t refused = 0;
  for (const std::size_t t : {0u, 1u}) {
    const json& task = evaluated["tasks"][t];
    const std::string name = task["name"];
    EXPECT_EQ(name, map["tasks"][t]["name"]);
    EXPECT_EQ(task["split"], "train");
    EXPECT_EQ(task["images"], map["tasks"][t]["train_images"]);
    std::map<std::string, int> counted{{"told", 0}};
    std::map<std::string, std::int64_t> inferred{{"colours", 0}, {"stones", 0}};
    for (std::size_t i = 0; i < images.size(); ++i) {
      const fs::path path = images[i]["path"].get<std::string>();
      if (path.parent_path().parent_path().filename() != name) continue;
      const json& answer = images[i]["answers"][0];
      const bool right = answer["class"] == path.parent_path().filename().string();
      const bool own = answer["task"] == name;
      counted["told"] += 1;  // an image's colour is its folder's in train
      counted["untold"] += own && right;
      counted["task_right"] += images[i]["nearest"] == name;
      counted["in_first_three"] += 1;  // there are two tasks
      counted["same_name"] += !own && right;
      counted["refused"] += kept[i]["known"] == false;
      const auto& own_entropy = entropy[images[i]["path"]];
      counted["entropy"] += (own_entropy.at("stones") < own_entropy.at("colours")) == (name == "stones");
      ++inferred[images[i]["nearest"]];
    }
    refused += counted["refused"];
    EXPECT_EQ(task["inferred"], json(inferred));
    ASSERT_EQ(csv[1 + t].size(), 11u);
    EXPECT_EQ(Cells(csv[1 + t].begin(), csv[1 + t].begin() + 3),
              (Cells{name, "train", task["images"].dump()}));
    for (std::size_t c = 0; c < columns.size(); ++c) {
      const double share = task[columns[c]], n = task["images"];
      EXPECT_EQ(csv[0][3 + c], columns[c]);
      EXPECT_EQ(std::stod(csv[1 + t][3 + c]), share) << columns[c];
      if (counted.contains(columns[c])) {
        EXPECT_NEAR(share * n, counted[columns[c]], 1e-9) << name << " " << columns[c];
      }
      EXPECT_NEAR(share * n, std::round(share * n), 1e-9) << columns[c];
      EXPECT_TRUE(share >= 0 && share <= 1) << columns[c];
      macro[columns[c]] += share / 2, micro[columns[c]] += share * n / 20;
    }
  }
  EXPECT_GT(evaluated["macro"]["colour"], 0.9) << "the tasks' shades differ";
  for (const std::string& c : columns) {
    EXPECT_NEAR(evaluated["macro"][c].get<double>(), macro[c], 1e-12) << c;
    EXPECT_NEAR(evaluated["micro"][c].get<double>(), micro[c], 1e-12) << c;
  }
  EXPECT_EQ(evaluated["shortlist"], 2);
  EXPECT_EQ(evaluated["refuse"], 0.5);
  EXPECT_EQ(evaluated["unknown"]["images"], 20);
  EXPECT_EQ(evaluated["unknown"]["refused"], refused);
  EXPECT_EQ(evaluated["unknown"]["auroc"], 0.5) << "the unknown are the known";
  EXPECT_GE(evaluated["unknown"]["false_acceptance_at_95"], 0.95);
  // The table, and the confusions beside it.
  const Rows printed = printed_rows(text_out.out.substr(text_out.out.find("without being told")));
  const auto cells = [&](Cells begin, const json& shares) {
    for (const std::string& c : columns) begin.push_back(shown_share(shares[c]));
    return begin;
  };
  EXPECT_EQ(printed.at(1), cells({"colours", "train", "12"}, evaluated["tasks"][0]));
  EXPECT_EQ(printed.at(2), cells({"stones", "train", "8"}, evaluated["tasks"][1]));
  EXPECT_EQ(printed.at(4), cells({"mean over tasks"}, evaluated["macro"]));
  EXPECT_EQ(printed.at(5), cells({"mean over images"}, evaluated["micro"]));
  EXPECT_EQ(printed.at(7), (Cells{"from \\ taken for", "colours", "stones"}));
  Rows confusions{{"task", "inferred", "images"}};
  for (const std::size_t t : {0u, 1u}) {
    const json& inferred = evaluated["tasks"][t]["inferred"];
    Cells line{evaluated["tasks"][t]["name"]};
    for (const char* to : {"colours", "stones"}) {
      line.push_back(inferred[to] == 0 ? "." : inferred[to].dump());
      confusions.push_back({evaluated["tasks"][t]["name"], to, inferred[to].dump()});
    }
    EXPECT_EQ(printed.at(8 + t), line);
  }
  EXPECT_EQ(csv_cells(text("taskmap-confusions.csv")), confusions);
  EXPECT_SAYS(text_out.out,
              "20 images of no learned task: " + shown_share(static_cast<double>(refused) / 20) +
                  " refused at --refuse 0.5; AUROC 0.500; ");
  // The page shows them, too.
  ASSERT_EQ(test::clr({"report", run, "--html", *dir / "page.html"}).status, 0);
  const std::string page = read_text(*dir / "page.html");
  const Rows shown = html_rows(between(page, "<h2>Without being told the task</h2>", "</table>"));
  ASSERT_EQ(shown.size(), 3u);
  for (const std::size_t t : {0u, 1u}) EXPECT_EQ(shown[1 + t], printed.at(1 + t));
  Cells shares, wanted;
  for (const Element& e : elements_of(picture_called(page, "Confusions of tasks in linear</title>")))
    if (e.name == "text" && e.at("text-anchor") == "middle") shares.push_back(e.text);
  for (std::size_t i = 1; i < confusions.size(); ++i)
    if (confusions[i][2] != "0")
      wanted.push_back(std::to_string(std::lround(100 * std::stod(confusions[i][2]) / (i < 3 ? 12 : 8))));
  EXPECT_EQ(shares, wanted);
  for (const char* file :
       {"taskmap.safetensors", "taskmap-calibration.safetensors", "taskmap.csv", "taskmap-confusions.csv"})
    fs::remove(fs::path(run) / file);
}

}  // namespace
}  // namespace reprise::test
