// The numbers of clr map and clr eval --map: counted from what clr predict answers, image by image, and
// the same in JSON, tables, CSV files and on the page.
#include "tests/apps/other_data.h"

namespace reprise::test {
namespace {

class MapNumbers : public OtherData {};
INSTANTIATE_TEST_SUITE_P(, MapNumbers, testing::Bool(),
                         [](const auto& p) { return std::string(p.param ? "reversed" : "sorted"); });

TEST_P(MapNumbers, say_the_same_everywhere) {
  const words map_command{"map", "--run", run, "--device", "cpu", "--quiet", "--data", *dir / "data"};
  // Labels are taken by name: the class without images is named.
  const Outcome none =
      test::clr({"map", "--run", run, "--device", "cpu", "--data",
                 other_data({{"train/blue", "blue", 2}, {"train/red", "red", 2}, {"val/red", "red", 20}})});
  EXPECT_EQ(none.status, 1);
  EXPECT_SAYS(none.err, "task colours: class 'green' has no training image");
  const Outcome others = test::clr({"map", "--run", run, "--device", "cpu", "--data",
                                    other_data({{"train/blue", "blue", 2},
                                                {"train/green", "green", 2},
                                                {"train/red", "red", 3},
                                                {"val/red", "red", 20}})});
  EXPECT_EQ(others.status, 0);
  EXPECT_SAYS(others.err, "task colours: other training images than it learned from");
  // The map's digest has the labels of the data, whose classes are sorted.
  EXPECT_EQ(others.err.find("task stones: other") != std::string::npos, GetParam());
  EXPECT_SAYS(others.err, "colours: 7 training and 20 validation images");
  for (const char* file : {"/taskmap.safetensors", "/taskmap-calibration.safetensors"})
    fs::remove(run + file);
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
                           "--refuse", "0.05",  "--shortlist", "2"};
  const Outcome text_out = eval(*dir / "data", eval_options);
  words with_json = eval_options;
  with_json.emplace_back("--json");
  const json j = parsed(eval(*dir / "data", with_json)), evaluated = j["map"];
  const json images = parsed(test::clr({"predict", "--json", "--run", run, "--device", "cpu", "--refuse", "1",
                                        "--shortlist", "2", *dir / "known"}))["images"];
  const json kept = parsed(test::clr({"predict", "--json", "--run", run, "--device", "cpu", "--refuse",
                                      "0.05", "--shortlist", "2", *dir / "known"}))["images"];
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
  std::map<std::string, json> classes_of;
  for (const std::string task : {"colours", "stones"})
    classes_of[task] = parsed(test::clr(
        {"info", run + "/tasks/" + task + ".safetensors", "--json"}))["files"][0]["task"]["classes"];
  // predict: the same in three forms. With two tasks both answer, and their probabilities add up.
  const words infer{"predict",  "--run", run,           "--device", "cpu",         "--quiet",
                    "--refuse", "0.05",  "--shortlist", "2",        *dir / "known"};
  const Rows as_csv = csv_cells(run_clr(infer, {"--csv"}).out),
             as_table = printed_rows(run_clr(infer, {}).out);
  EXPECT_EQ(as_csv.at(0), (Cells{"image", "task", "task_probability", "class", "class_probability"}));
  EXPECT_EQ(as_table.at(0), (Cells{"image", "task", "probability", "class", "probability"}));
  ASSERT_EQ(as_csv.size(), 21u);
  ASSERT_EQ(as_table.size(), 21u);
  for (std::size_t i = 0; i < 20; ++i) {
    const json &all = images[i], &some = kept[i], &first = all["answers"][0], &second = all["answers"][1];
    const std::string path = all["path"];
    EXPECT_EQ(some["path"], path);
    EXPECT_NEAR(first["task_probability"].get<double>() + second["task_probability"].get<double>(), 1, 1e-12);
    EXPECT_EQ(all["distance"], std::min(first["distance"], second["distance"]));
    EXPECT_EQ(all["nearest"], first["distance"] <= second["distance"] ? first["task"] : second["task"]);
    EXPECT_EQ(first["distance"]<second["distance"], first["task_probability"]> second["task_probability"]);
    for (const json* a : {&first, &second}) {
      const json& classes = classes_of[(*a)["task"]];
      EXPECT_EQ((*a)["class"], classes[(*a)["label"].get<std::size_t>()]);
      EXPECT_GT((*a)["class_probability"], 0.5 / static_cast<double>(classes.size()));
    }
    EXPECT_EQ(some["known"], !some["answers"].empty());
    if (some["answers"].empty()) {
      EXPECT_EQ(as_csv[1 + i], (Cells{path, "", "", "", ""}));
      EXPECT_EQ(as_table[1 + i], (Cells{path, "none of the learned tasks"}));
      continue;
    }
    const json& a = some["answers"][0];
    EXPECT_EQ(as_table[1 + i], (Cells{path, a["task"], shown_share(a["task_probability"]), a["class"],
                                      shown_share(a["class_probability"])}));
    const Cells& line = as_csv[1 + i];
    EXPECT_EQ((Cells{line.at(0), line.at(1), line.at(3)}), (Cells{path, a["task"], a["class"]}));
    EXPECT_EQ(std::stod(line[2]), a["task_probability"].get<double>());
    EXPECT_EQ(std::stod(line.at(4)), a["class_probability"].get<double>());
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
  EXPECT_EQ(evaluated["refuse"], 0.05);
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
                  " refused at --refuse 0.05; AUROC 0.500; ");
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
      wanted.push_back(std::to_string(std::lrint(100 * std::stod(confusions[i][2]) / (i < 3 ? 12 : 8))));
  EXPECT_EQ(shares, wanted);
  for (const char* file :
       {"taskmap.safetensors", "taskmap-calibration.safetensors", "taskmap.csv", "taskmap-confusions.csv"})
    fs::remove(fs::path(run) / file);
}

}  // namespace
}  // namespace reprise::test
