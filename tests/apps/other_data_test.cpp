// clr eval, report and predict on data that are or are not those learned from. All tests run twice,
// with the classes of the task files in two orders: only their names may matter.
#include "tests/apps/other_data.h"

namespace reprise::test {
namespace {

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

TEST_P(OtherData, the_report_lays_two_runs_beside_each_other) {
  const std::string worse = *dir / "worse";
  fs::remove_all(worse);
  fs::copy(run, worse, fs::copy_options::recursive);
  fs::remove(worse + "/matrix.csv");
  clr::TaskFile file = clr::read_task_file(worse + "/tasks/stones.safetensors");
  file.val_accuracy = 0.25;
  clr::write_task_file(worse + "/tasks/stones.safetensors", file);
  const json j = parsed(test::clr({"report", run, worse, "--json", "--require-better"}));
  EXPECT_EQ(j["tasks"][0]["accuracies"], json({0.75, 0.75}));
  EXPECT_EQ(j["tasks"][1]["accuracies"], json({0.5, 0.25}));
  EXPECT_EQ(j["runs"][0]["average"], 0.625);
  EXPECT_EQ(j["runs"][1]["average"], 0.5);
  EXPECT_TRUE(j["runs"][1]["forgetting"].is_null());
  const std::string better = "linear (" + run + ")", less = "linear (" + worse + ")";
  const Rows rows = printed_rows(test::clr({"report", run, worse}).out);
  EXPECT_EQ(rows.at(0), (Cells{"task", "classes", "split", "chance", better, less}));
  EXPECT_EQ(rows.at(2), (Cells{"stones", "2", "val", "50.0 %", "50.0 %", "25.0 %"}));
  EXPECT_EQ(rows.at(4), (Cells{"average of 2", "41.7 %", "62.5 %", "50.0 %"}));
  for (const auto& [second, said] :
       {std::pair(run, less + " with 50.0 % is not above " + better + " with 62.5 %"),
        {worse, less + " with 50.0 % is not above " + less + " with 50.0 %"}}) {
    const Outcome refused = test::clr({"report", worse, second, "--require-better"});
    EXPECT_EQ(refused.status, 1);
    EXPECT_SAYS(refused.err, said);
  }
}

TEST_P(OtherData, the_report_compares_the_split_that_eval_evaluated) {
  for (const auto& [split, forgetting] :
       {std::pair("val", json((0.125 - 0.125) / 2)), {"train", json(nullptr)}}) {
    const json evaluated = parsed(eval(*dir / "data", {"--split", split, "--json"}));
    EXPECT_EQ(evaluated["forgetting"], forgetting) << split;
    EXPECT_EQ(parsed(test::clr({"report", run, "--json"}))["runs"][0]["forgetting"], forgetting) << split;
  }
  EXPECT_EQ(eval(*dir / "data", {"--split", "train"}).out.find("optimistic"), std::string::npos);
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

TEST_P(OtherData, eval_leaves_out_only_what_it_may) {
  const std::string data = other_data({{"train/blue", "blue", 1},
                                       {"train/red", "red", 1},
                                       {"test/blue", "blue", 2},
                                       {"test/red", "blue", 1}});
  write_text(data + "/colours/test/red/broken.ppm", "P6\n8 8\n255\nshort");
  const Outcome broken = eval(data);
  EXPECT_EQ(broken.status, 1);
  EXPECT_SAYS(broken.err, "broken.ppm");
  EXPECT_SAYS(broken.err, "task colours: 1 files cannot be read");
  // A run that leaves out what cannot be read.
  const std::string record = text("run.json"), no = "\"skip-bad\": false";
  ASSERT_NE(record.find(no), std::string::npos);
  write_text(run + "/run.json",
             std::string(record).replace(record.find(no), no.size(), "\"skip-bad\": true"));
  const json j = parsed(eval(data, {"--json"}));
  write_text(run + "/run.json", record);
  EXPECT_NEAR(j["tasks"][0]["now"].get<double>(), 2.0 / 3, 1e-15);
  // A task that is absent is named; the others are evaluated.
  fs::remove_all(data + "/colours");
  const json rest = parsed(eval(data, {"--json"}), 1);
  EXPECT_EQ(rest["absent"], json({"colours"}));
  ASSERT_EQ(rest["tasks"].size(), 1u);
  EXPECT_EQ(rest["tasks"][0]["name"], "stones");
  EXPECT_EQ(rest["acc"], 0.625);
  EXPECT_TRUE(rest["bwt"].is_null());
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
  // A list names the images relative to its folder; it may begin with a byte order mark.
  std::string list = "\xEF\xBB\xBF";
  for (const json& image : j["images"])
    list += fs::relative(image["path"].get<std::string>(), dir->path()).string() + "\r\n# nothing\n\n";
  write_text(*dir / "list.txt", list);
  const words by_list{"predict", "--device", "cpu", "--task", task, "--csv", "--list", *dir / "list.txt"};
  EXPECT_EQ(csv_cells(test::clr(by_list).out), got);
  write_text(*dir / "list.txt", "# nothing\n");
  const Outcome nothing = test::clr(by_list);
  EXPECT_EQ(nothing.status, 1);
  EXPECT_SAYS(nothing.err, "no image on this list");
  const Rows one = csv_cells(run_clr(command, {"--csv", "--top", "1"}).out);
  ASSERT_EQ(one.size(), 9u);
  for (std::size_t i = 1; i < one.size(); ++i) EXPECT_EQ(one[i], got[3 * i - 2]);
}

}  // namespace
}  // namespace reprise::test
