// What the report's page says of one task: curves, confusions, pictures, filters.
#include <gtest/gtest.h>

#include <cmath>

#include "apps/clr/report/thumbnails.h"
#include "engine/base/check.h"
#include "tests/apps/figures.h"
#include "tests/apps/reported.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

// What stands below a task's pictures.
Cells pictures(const std::string& page, const std::string& heading) {
  Cells said;
  for (const Element& e : elements_of(between(page, heading, "</ul>")))
    if (e.name == "span" && e.at("class") != "absent") said.push_back(e.text);
  return said;
}

TEST(ReportPage, a_task_s_curves_are_faint_for_training_and_strong_for_validation) {
  const std::string page = report_page({run_of("clr", {task_called("pets", {"cat", "dog"})})});
  std::vector<double> widths;
  for (const Element& e : elements_of(picture_called(page, "Learning curves of pets. clr: 3 epochs")))
    if (e.is("polyline")) widths.push_back(e.number("stroke-width"));
  EXPECT_EQ(widths, (std::vector<double>{1, 2}));
}

TEST(ReportPage, a_task_s_matrix_and_pictures) {
  ReportedTask task = task_called("pets", {"cat", "dog"});
  task.guesses.clear();
  for (int i = 0; i < 13; ++i)
    task.guesses.push_back({"cat", i == 1 ? "dog" : "cat", "/nowhere", (50 + i) / 100.});
  // Predictions of other classes, from before the data were changed.
  task.guesses.push_back({"cat", "cow", "/nowhere", 0.5});
  task.guesses.push_back({"cow", "dog", "/nowhere", 0.5});
  const std::string page = report_page({run_of("clr", {task})});
  Cells shares;
  for (const Element& e : elements_of(picture_called(page, "Confusion matrix of pets")))
    if (e.name == "text" && e.at("text-anchor") == "middle") shares.push_back(e.text);
  EXPECT_EQ(shares, (Cells{"92", "8"}));
  // Six of all 15, evenly.
  EXPECT_EQ(pictures(page, "Some images, and what they were taken for"),
            (Cells{"✓ cat", "50 %", "✓ cat", "52 %", "✓ cat", "54 %", "✓ cat", "56 %", "✓ cat", "58 %",
                   "✓ cat", "60 %"}));
}

TEST(ReportPage, a_task_s_section_puts_the_most_frequent_and_the_surest_first) {
  ReportedTask task = task_called("wide", {});
  for (int i = 0; i < 21; ++i) task.file.classes.push_back("c" + std::to_string(i));
  task.guesses.clear();
  const auto guess = [&](const char* truth, const char* taken, double probability, int times) {
    for (int i = 0; i < times; ++i) task.guesses.push_back({truth, taken, "/nowhere", probability});
  };
  guess("c1", "c1", 0.99, 1);
  guess("c2", "c3", 0.25, 1);
  guess("c1", "c5", 0.75, 3);
  guess("c20", "c0", 0.5, 2);
  const auto channels_of = [](const std::string& shown) {
    Cells channels;
    for (const Element& e : elements_of(picture_called(shown, "Filters of layer1.0.conv1</title>")))
      if (e.name == "text") channels.push_back(e.text);
    return channels;
  };
  EXPECT_EQ(channels_of(report_page({run_of("clr", {task})})), (Cells{"0", "1", "2"})) << "two are as far";
  task.filters[0].weight.mutable_data<float>()[9 + 4] = 3;  // of the second channel, 2 from the identity
  const std::string page = report_page({run_of("clr", {task})});
  EXPECT_SAYS(page, "21 classes are too many for a matrix");
  EXPECT_EQ(html_rows(between(page, "21 classes are too many", "</table>")),
            (Rows{{"is", "was taken for", "images"},
                  {"c1", "c5", "3 of 4"},
                  {"c20", "c0", "2 of 2"},
                  {"c2", "c3", "1 of 1"}}));
  EXPECT_EQ(pictures(page, "The surest of 6 mistakes"),
            (Cells{"✗ c5", "75 %, is c1", "✗ c5", "75 %, is c1", "✗ c5", "75 %, is c1", "✗ c0",
                   "50 %, is c20", "✗ c0", "50 %, is c20", "✗ c3", "25 %, is c2"}));
  EXPECT_EQ(pictures(page, "Some images, and what they were taken for"),
            (Cells{"✓ c1", "99 %", "✗ c3", "25 %, is c2", "✗ c5", "75 %, is c1", "✗ c5", "75 %, is c1",
                   "✗ c5", "75 %, is c1", "✗ c0", "50 %, is c20"}));
  // The channels' taps are -0.5, 3 and 1.5: 1.5, 2 and 0.5 from the identity.
  EXPECT_EQ(channels_of(page), (Cells{"1", "0", "2"}));
  EXPECT_SAYS(page, "layer1.0.conv1: the 3 of 3 filters that moved most");
  std::vector<std::string> fills;
  for (const Element& e : elements_of(picture_called(page, "Filters of layer1.0.conv1, less the identity")))
    if (e.name == "rect" && e.at("fill-opacity") == "1.00") fills.push_back(e.at("fill"));
  EXPECT_EQ(fills, (Cells{"var(--positive)", "var(--negative)", "var(--positive)"}));
  const std::string differences = picture_called(page, "Filters of layer1.0.conv1, less the identity");
  EXPECT_EQ(differences.find("<text"), std::string::npos) << "the numbers stand above";
  // One class less fits into a matrix, and no mistake is told.
  task.file.classes.pop_back();
  std::erase_if(task.guesses, [](const Guess& g) { return g.truth != g.guess; });
  const std::string fits = report_page({run_of("clr", {task})});
  EXPECT_SAYS(fits, "Confusion matrix of wide");
  EXPECT_SAYS(fits, "No mistake in 1 images.");
}

TEST(ReportPage, filters_of_the_layer_that_moved_most_and_of_the_first) {
  ReportedTask task = task_called("moved", {"a", "b"});
  const Tensor filters = task.filters[0].weight;
  const auto drawn = [&](double first, double second, double third) {
    task.filters = {{"conv1", filters, first}, {"conv2", filters, second}, {"conv3", filters, third}};
    const std::string page = report_page({run_of("clr", {task})});
    std::string layers;
    for (const std::string layer : {"conv1", "conv2", "conv3"})
      if (page.find(layer + ": the 3 of 3 filters that moved most") != std::string::npos) layers += layer[4];
    return layers;
  };
  EXPECT_EQ(drawn(1, 3, 2), "12");
  EXPECT_EQ(drawn(3, 2, 1), "1");
  EXPECT_EQ(drawn(0, 0, 0), "1") << "with --epochs 0 no filter moved";
  EXPECT_EQ(drawn(1, 2, 2), "12");
}

// 20 tasks at most have pictures of full size.
TEST(ReportPage, pictures_are_smaller_where_there_are_many) {
  const TempDir dir;
  write_image(dir / "image.ppm", 8, 0, 1);
  for (const int count : {20, 21}) {
    std::vector<ReportedTask> tasks;
    for (int i = 0; i < count; ++i) tasks.push_back(task_called("t" + std::to_string(i), {"x", "y"}));
    tasks[0].guesses[0].path = dir / "image.ppm";
    const std::string page = report_page({run_of("clr", tasks)});
    for (const int size : {48, 64})
      EXPECT_EQ(page.find(thumbnail(dir / "image.ppm", size)) != std::string::npos,
                (size == 64) == (count == 20))
          << count << " " << size;
  }
}

// Among equals the first stays the first, everywhere.
TEST(ReportPage, a_task_s_lists_are_cut_and_keep_the_order_of_equals) {
  EXPECT_EQ(pictures(report_page({run_of("clr", {task_called("pets", {"a", "b", "c"})})}), "The surest of 6"),
            (Cells{"✗ b", "50 %, is a", "✗ c", "50 %, is a", "✗ a", "50 %, is b", "✗ c", "50 %, is b", "✗ a",
                   "50 %, is c", "✗ b", "50 %, is c"}));
  std::vector<std::string> classes;
  for (int i = 0; i < 21; ++i) classes.push_back("c" + std::to_string(i));
  ReportedTask wide = task_called("wide", classes);
  wide.filters[0].weight = zeros({12, 3, 3});
  const std::string page = report_page({run_of("clr", {wide})});
  Rows most{{"is", "was taken for", "images"}};
  for (int i = 1; i <= 12; ++i) most.push_back({"c0", "c" + std::to_string(i), "1 of 21"});
  EXPECT_EQ(html_rows(between(page, "21 classes are too many", "</table>")), most);
  EXPECT_SAYS(page, "layer1.0.conv1: the 10 of 12 filters that moved most");
  EXPECT_THROW(
      {
        Html html;
        write_task_section(html, "absent", {run_of("clr", {wide})}, {});
      },
      InternalError);
}

// 240 pictures of either kind in all, one to six in a section.
TEST(ReportPage, has_fewer_pictures_of_each_task_where_there_are_many) {
  const auto shown = [](int tasks, int runs) {
    std::vector<ReportedTask> all;
    for (int i = 0; i < tasks; ++i) all.push_back(task_called("t" + std::to_string(i), {"x", "y", "z"}));
    for (ReportedTask& task : all) task.log.clear(), task.filters.clear();
    std::vector<ReportedRun> list;
    for (int r = 0; r < runs; ++r) list.push_back(run_of("m" + std::to_string(r), all));
    const std::string page = report_page(list);
    const auto some = pictures(page, "Some images"), surest = pictures(page, "The surest of 6 mistakes");
    EXPECT_EQ(some.size(), surest.size());
    return surest.size() / 2;
  };
  for (const auto& [tasks, runs, each] :
       {std::tuple(1, 1, 6u), {40, 1, 6u}, {48, 1, 5u}, {40, 2, 3u}, {241, 1, 1u}})
    EXPECT_EQ(shown(tasks, runs), each) << tasks << " " << runs;
}

TEST(LearnedFilters, are_square_single_channel_filters_of_odd_size_in_f32) {
  const Tensor good = ones({2, 1, 3, 3});
  const auto found = learned_filters({{"a.reprogram.weight", good},
                                      {"b.depthwise.weight", good},
                                      {"c.reprogram.weight", good.to(DType::f64)},
                                      {"d.reprogram.weight", ones({2, 1, 3})},
                                      {"e.reprogram.weight", ones({2, 2, 3, 3})},
                                      {"f.reprogram.weight", ones({2, 1, 3, 5})},
                                      {"g.reprogram.weight", ones({2, 1, 2, 2})}});
  ASSERT_EQ(found.size(), 1u);
  EXPECT_EQ(found[0].layer, "a");
  EXPECT_EQ(found[0].weight.shape(), (Shape{2, 3, 3}));
  EXPECT_DOUBLE_EQ(found[0].distance, std::sqrt(8.)) << "the centre is the identity's";
}

}  // namespace
}  // namespace reprise::test
