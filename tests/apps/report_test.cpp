// The report as a page: valid and self-contained, for any names of tasks and classes.
#include <fmt/format.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <set>

#include "apps/clr/report/html.h"
#include "apps/clr/report/page.h"
#include "apps/clr/report/style.h"
#include "apps/clr/report/thumbnails.h"
#include "engine/base/check.h"
#include "tests/apps/figures.h"
#include "tests/apps/reported.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

// Returns what is wrong with the page as HTML, or "". It knows only what our writer may write.
std::string faults_of(const std::string& page) {
  static const std::set<std::string> voids{"meta", "img", "br"};
  std::vector<std::string> open;
  std::set<std::string> ids, targets;
  std::string faults;
  int heading = 0;
  const auto fault = [&](const std::string& what) { faults += what + "\n"; };
  if (!page.starts_with("<!DOCTYPE html>\n<html lang=\"en\">")) fault("no doctype or language");
  for (std::size_t at = page.find('<', 1); at != std::string::npos; at = page.find('<', at + 1)) {
    const std::size_t end = page.find('>', at);
    if (end == std::string::npos) return faults + "a tag without an end";
    const std::string tag = page.substr(at + 1, end - at - 1);
    if (tag[0] == '/') {
      if (open.empty() || open.back() != tag.substr(1))
        return faults + "</" + tag.substr(1) + "> closes " + (open.empty() ? "nothing" : open.back());
      open.pop_back();
      continue;
    }
    const std::string name = tag.substr(0, tag.find_first_of(" /"));
    if (const int level = name.size() == 2 && name[0] == 'h'                  ? name[1] - '0'
                          : tag.find("aria-level=\"3\"") != std::string::npos ? 3
                                                                              : 0;
        level > 0 && level < 7) {
      if (level > heading + 1) fault(fmt::format("heading {} behind {}", level, heading));
      heading = level;
    }
    if (name == "script" || name == "link" || name == "iframe") fault("<" + name + ">");
    if (std::count(tag.begin(), tag.end(), '"') % 2 != 0) fault("quotes in <" + tag + ">");
    if (const auto id = tag.find(" id=\""); id != std::string::npos)
      if (!ids.insert(tag.substr(id + 5, tag.find('"', id + 5) - id - 5)).second)
        fault("an id twice in <" + tag + ">");
    if (const auto href = tag.find(" href=\"#"); href != std::string::npos)
      targets.insert(tag.substr(href + 8, tag.find('"', href + 8) - href - 8));
    if (tag.find(" on") != std::string::npos) fault("a handler in <" + tag + ">");
    if (!tag.ends_with("/") && !voids.contains(name)) open.push_back(name);
  }
  if (!open.empty()) fault("<" + open.back() + "> is open at the end");
  for (const auto& target : targets)
    if (!ids.contains(target)) fault("no element #" + target);
  for (std::size_t at = page.find("://"); at != std::string::npos; at = page.find("://", at + 1))
    if (page.compare(at - 4, 21, "http://www.w3.org/200") != 0)
      fault("an address: " + page.substr(at - 8, 40));
  return faults;
}

TEST(Html, escapes_text_attributes_and_bytes_that_are_no_text) {
  Html html;
  html.leaf("p", {{"title", "a\"b<c"}}, "1 < 2 & 'three' \x01 \xff \xC3\xA9 \xC0\xAF \xED\xA0\x80");
  EXPECT_EQ(html.markup(),
            "<p title=\"a&quot;b&lt;c\">1 &lt; 2 &amp; &#39;three&#39; \uFFFD \uFFFD \u00e9 \uFFFD\uFFFD "
            "\uFFFD\uFFFD\uFFFD</p>\n");
  EXPECT_THROW(html.close(), InternalError) << "nothing is open";
  html.open("section");
  EXPECT_THROW(html.markup(), InternalError);
}

TEST(Html, base64_as_the_standard_has_it) {  // RFC 4648
  for (const auto& [bytes, text] : {std::pair{"", ""},
                                    {"f", "Zg=="},
                                    {"fo", "Zm8="},
                                    {"foo", "Zm9v"},
                                    {"foob", "Zm9vYg=="},
                                    {"foobar", "Zm9vYmFy"}})
    EXPECT_EQ(base64(bytes), text);
}

TEST(ReportPage, one_task) {
  const std::string page = report_page({run_of("clr", {task_called("pets", {"cat", "dog"})})});
  EXPECT_EQ(faults_of(page), "");
  for (const char* text : {"1 task on one resnet20", "75.0 %", "50.0 %", "Forgotten with clr: 25.0 %",
                           "image not found", "layer1.0.conv1", "480 / 48,000 = 1.00 %",
                           "clr train --data &#39;my images&#39;", "The surest of 2 mistakes"})
    EXPECT_NE(page.find(text), std::string::npos) << text;
}

// Headings and legends name the runs where there are several.
TEST(ReportPage, says_which_run_it_is_about) {
  const auto two = [](const std::string& method) {
    return run_of(method, {task_called("a", {"x", "y"}), task_called("b", {"x", "y"})});
  };
  const auto texts = [](const std::string& markup, const std::string& tag, const std::string& kind = {}) {
    Cells said;
    for (const Element& e : elements_of(markup))
      if (e.is(tag, kind)) said.push_back(e.text);
    return said;
  };
  const std::string task = report_page({run_of("clr", {task_called("a", {"x", "y"})})}),
                    run = report_page({two("clr")}), runs = report_page({two("clr"), two("linear")});
  for (const auto& [page, labels, title, heading, folds] :
       {std::tuple(&task, Cells{}, "clr report: 1 task", "The task", Cells{"open"}),
        {&run, Cells{}, "clr report: 2 tasks", "Task by task", Cells{"", ""}},
        {&runs, Cells{"clr", "linear"}, "clr report: 2 tasks", "Task by task", Cells{"", ""}}}) {
    EXPECT_EQ(texts(*page, "title")[0], title);
    EXPECT_SAYS(*page, "<h2>" + std::string(heading) + "</h2>");
    EXPECT_SAYS(*page, "<style>" + std::string(report_style) + "</style>");
    for (const char* section : {"<h2>Remembering", "<h2>Where it comes from"})
      EXPECT_EQ(texts(between(*page, section, "</section>"), "h3"), labels) << section;
    EXPECT_EQ(texts(between(*page, "id=\"task1\"", "</details>"), "h4", "run"), labels);
    Cells open;
    for (std::size_t t = 1; t <= folds.size(); ++t)
      open.push_back(page->find(fmt::format("<details open id=\"task{}\"", t)) != page->npos ? "open" : "");
    EXPECT_EQ(open, folds);
  }
  for (const char* section : {"<h2>Accuracy</h2>", "<h2>Learning curves"}) {
    Cells legend;
    for (const Element& e : elements_of(between(between(runs, section, "</section>"), "legend", "</ul>")))
      if (e.name == "span" || e.name == "circle" || e.name == "rect" || e.name == "line")
        legend.push_back(e.name == "span" ? e.text : e.name);
    EXPECT_EQ(legend, (Cells{"circle", "clr", "rect", "linear", "line", "chance"})) << section;
  }
  EXPECT_THROW(report_page({}), InternalError);
}

TEST(ReportPage, says_where_a_run_comes_from) {
  ReportedRun run = run_of("clr", {task_called("a", {"x", "y"})});
  run.record.backbone.parameters = 12345;
  run.record.backbone.file_sha256 = "5678";
  run.record.recipe = R"({"batch": 4, "init": "", "method": "clr"})";
  Invocation& last = run.record.invocations.emplace_back();
  last.version = "1", last.compiler = "gcc", last.flags = "-O2", last.device = "cpu", last.threads = 3;
  last.instruction_set = "avx2", last.winograd = "on", last.decoders = "own", last.ended = "later";
  run.record.invocations[0].started = "once", run.record.invocations[0].decoders = "another";
  const auto facts = [&] {
    Cells said;
    for (const Element& e : elements_of(between(report_page({run}), "Where it comes from", "</dl>")))
      if (e.name == "dt" || e.name == "dd") said.push_back(e.text);
    return said;
  };
  Cells expected{"run",
                 "runs/clr",
                 "backbone",
                 "resnet20, 12,345 parameters",
                 "backbone&#39;s identity",
                 "abcd",
                 "SHA-256 of its file",
                 "5678",
                 "recipe",
                 "batch 4, method clr",
                 "program",
                 "clr 1, gcc, -O2",
                 "computed on",
                 "cpu, instruction set avx2, 3 threads, Winograd on, bf16 order -",
                 "image decoders",
                 "own",
                 "begun, ended",
                 "once, later"};
  EXPECT_EQ(facts(), expected);
  last.bf16_order = "pairs";
  expected[13].replace(expected[13].size() - 1, 1, "pairs");
  EXPECT_EQ(facts(), expected);
}

TEST(ReportPage, names_are_text_and_nothing_else) {
  const std::string hostile = "<script>alert(\"1\")</script>' onload='x";
  const std::string page =
      report_page({run_of("clr", {task_called(hostile, {"</svg><img src=x>", "a&b", "\"quoted\""})})});
  EXPECT_EQ(faults_of(page), "");
  EXPECT_EQ(page.find("<script"), std::string::npos);
  EXPECT_NE(page.find("&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;"), std::string::npos);
}

TEST(ReportPage, several_runs_that_learned_different_tasks) {
  const std::string page =
      report_page({run_of("clr", {task_called("a", {"x", "y"}), task_called("b", {"x", "y"})}),
                   run_of("linear", {task_called("b", {"x", "y"}), task_called("c", {"x", "y"})})});
  EXPECT_EQ(faults_of(page), "");
  EXPECT_NE(page.find("3 tasks on one"), std::string::npos);
  EXPECT_NE(page.find("mean of 1"), std::string::npos);  // only b is in both
  std::size_t curves = 0;
  for (const Element& e : elements_of(picture_called(page, "Validation accuracy of b")))
    if (e.is("polyline")) {
      ++curves;
      EXPECT_EQ(e.number("stroke-width"), 2) << "drawn as if it mattered less";
    }
  EXPECT_EQ(curves, 2u);
  // More runs than styles.
  std::vector<ReportedRun> many;
  for (int i = 0; i < 9; ++i)
    many.push_back(run_of("method " + std::to_string(i), {task_called("a", {"x", "y"})}));
  EXPECT_EQ(faults_of(report_page(many)), "");
}

TEST(ReportPage, many_tasks_and_many_classes) {
  std::vector<ReportedTask> tasks;
  for (int i = 0; i < 107; ++i) tasks.push_back(task_called("task " + std::to_string(i), {"x", "y", "z"}));
  std::vector<std::string> classes;
  for (int i = 0; i < 40; ++i) classes.push_back("class " + std::to_string(i));
  tasks.push_back(task_called("wide", classes));
  const std::string page = report_page({run_of("clr", std::move(tasks))});
  EXPECT_EQ(faults_of(page), "");
  EXPECT_NE(page.find("40 classes are too many for a matrix"), std::string::npos);
  EXPECT_LT(page.size(), std::size_t{4} << 20);
}

TEST(ReportPage, every_command_that_made_a_run_is_there_once) {
  ReportedRun run = run_of("clr", {task_called("a", {"x", "y"})});
  run.record.invocations.push_back(run.record.invocations[0]);  // resumed: the same command
  run.record.invocations.emplace_back().argv = {"clr", "train", "--tasks", "b"};
  run.record.invocations.emplace_back();  // of a clr that did not record it
  const std::string page = report_page({run});
  EXPECT_SAYS(page, "<pre>clr train --data &#39;my images&#39;\nclr train --tasks b</pre>");
}

TEST(ReportPage, says_what_is_missing) {
  ReportedTask task = task_called("bare", {"x", "y"});
  task.log.clear(), task.guesses.clear(), task.filters.clear();
  task.accuracy = task.file.val_accuracy = task.learned = task.now = std::nullopt;
  const std::string page = report_page({run_of("linear", {task})});
  EXPECT_EQ(faults_of(page), "");
  EXPECT_NE(page.find("Not measured: clr eval"), std::string::npos);
  EXPECT_SAYS(page, "<p class=\"lead\"></p>");
  EXPECT_NE(page.find("No predictions: clr eval"), std::string::npos);
}

TEST(ReportPage, remembering_in_a_matrix_or_in_a_sentence) {
  const auto page_of = [](int tasks, double now) {
    std::vector<ReportedTask> all;
    for (int i = 0; i < tasks; ++i) {
      all.push_back(task_called("t" + std::to_string(i), {"x", "y"}));
      all.back().now = i == 0 ? now : 0.75;
    }
    return report_page({run_of("clr", all)});
  };
  EXPECT_SAYS(page_of(1, 0.75), "After the last of 1 task every one is as accurate as when it was learned.");
  EXPECT_SAYS(page_of(1, 0.5), "ACC 50.0 %, BWT –.");
  EXPECT_SAYS(page_of(2, 0.75), "Accuracy matrix of clr");
  EXPECT_EQ(page_of(2, 0.75).find("After the last of"), std::string::npos);
  const std::string few = page_of(14, 0.75), many = page_of(15, 0.75);
  EXPECT_SAYS(few, "Accuracy matrix of clr");
  EXPECT_EQ(few.find("After the last"), std::string::npos);
  EXPECT_EQ(many.find("Accuracy matrix"), std::string::npos);
  EXPECT_SAYS(many, "After the last of 15 tasks every one is as accurate as when it was learned.");
  EXPECT_SAYS(page_of(15, 0.9),
              "After the last of 15 tasks the accuracy is lower by -1.0 % on average; no task changed by "
              "more than 15.0 %.");
  EXPECT_SAYS(page_of(3, 0.25), "ACC 58.3 %, BWT -25.0 %.");
}

TEST(ReportPage, margins_as_audit_margin_found_them) {
  ReportedRun run = run_of("clr", {task_called("a", {"x", "y"}), task_called("b", {"x", "y"})});
  run.tasks[0].file.file_sha256 = run.tasks[1].file.file_sha256 = "12";
  const std::string task =
      R"({"task": "a", "sha256": "12", "certified": {"images": 8, "worst": 2, "probable": 6},
    "median_margin": 0.5, "median_worst": 0.25, "layers": [{"layer": "conv1", "share": 0.75}, {"layer": "z", "share": 0.25}]})";
  const std::string variants =
      R"("variants": [{"variant": "slow", "largest_of_probable": 0.125, "though_certified": 3},
    {"variant": "fast", "largest_of_probable": 0.25, "though_certified": 0}])";
  run.margins = R"({"bounds": "f32", "lambda": 4.5, "tasks": [)" + task + "], " + variants + "}";
  const std::string page = report_page({run});
  EXPECT_EQ(faults_of(page), "");
  EXPECT_SAYS(page, "what rounding in f32 can move it by");
  EXPECT_SAYS(page, "(lambda 4.5)");
  EXPECT_EQ(html_rows(between(page, "Could rounding change an answer?", "</table>")),
            (Rows{{"task", "images", "certified", "probably", "median margin", "median bound",
                   "most of the bound from"},
                  {"a", "8", "25.0 %", "75.0 %", "0.5", "0.25", "conv1 (75.0 %)"}}));
  EXPECT_EQ(page.find("Left out"), std::string::npos);
  const auto labels = [](const std::vector<ReportedRun>& runs) {
    Cells said;
    for (const Element& e : elements_of(between(report_page(runs), "Could rounding change", "</section>")))
      if (e.name == "h3") said.push_back(e.text);
    return said;
  };
  EXPECT_EQ(labels({run}), Cells{}) << "of one run, the page's title says it";
  EXPECT_EQ(labels({run, run_of("linear", run.tasks)}), (Cells{"clr"})) << "only one has margins";
  Cells said;
  std::vector<double> widths;
  for (const Element& e : elements_of(picture_called(page, "Changes of margins"))) {
    if (e.name == "text") said.push_back(e.text);
    if (e.name == "rect") widths.push_back(e.number("width"));
  }
  EXPECT_EQ(said, (Cells{"slow", "1.2e-01, 3 changed", "fast", "2.5e-01, 0 changed"}));
  ASSERT_EQ(widths.size(), 2u);
  EXPECT_EQ(widths[1], 2 * widths[0]);
  run.tasks[0].file.file_sha256 = "other";
  const std::string anew = report_page({run});
  EXPECT_SAYS(anew, "have changed since clr audit margin: 1.");
  EXPECT_EQ(html_rows(between(anew, "Could rounding change an answer?", "</table>")).size(), 1u);
  EXPECT_EQ(anew.find("Changes of margins"), std::string::npos);
}

TEST(ReportPage, confusions_of_two_to_fourteen_tasks) {
  const TempDir dir;
  ReportedRun run = run_of("clr", {task_called("t0", {"x", "y"})});
  run.path = dir.path();
  const auto shares = [&](int tasks, int missing) {
    std::string map = "task,split,images,1,2,3,4,5,6,7,8\n", confusions = "task,inferred,images\n";
    for (int i = 0; i < tasks; ++i) map += fmt::format("t{},val,4,1,1,1,1,1,1,1,1\n", i);
    for (int i = 0; i < tasks * tasks - missing; ++i)
      confusions += fmt::format("t{},t{},{}\n", i / tasks, i % tasks, i + 1);
    write_text(dir / "taskmap.csv", map);
    write_text(dir / "taskmap-confusions.csv", confusions);
    const std::string page = report_page({run});
    EXPECT_EQ(faults_of(page), "");
    EXPECT_SAYS(page, "Without being told the task");
    Cells said;
    for (const Element& e : elements_of(picture_called(page, "Confusions of tasks in clr</title>")))
      if (e.name == "text" && e.at("text-anchor") == "middle") said.push_back(e.text);
    return said;
  };
  EXPECT_EQ(shares(1, 0), Cells{}) << "no other task";
  EXPECT_EQ(shares(2, 0), (Cells{"25", "50", "75", "100"}));
  EXPECT_EQ(shares(2, 1), Cells{}) << "a file without its end";
  EXPECT_EQ(shares(14, 0).size(), 196u);
  EXPECT_EQ(shares(15, 0), Cells{});
}

TEST(ReportPage, of_a_real_run_passes_the_validator) {
  const TempDir dir;
  write_tiny_backbone(dir / "backbone.safetensors");
  for (const std::string task : {"one", "t&<o"}) write_task(dir / "data", task, 4);
  const std::vector<std::string> method_options{"--size", "8",        "--epochs", "2",      "--batch",
                                                "4",      "--device", "cpu",      "--quiet"};
  for (const std::string method : {"clr", "linear"}) {
    std::vector<std::string> train{"train",      "--backbone", dir / "backbone.safetensors",
                                   "--data",     dir / "data", "--run",
                                   dir / method, "--method",   method};
    train.insert(train.end(), method_options.begin(), method_options.end());
    ASSERT_EQ(clr(train).status, 0);
    ASSERT_EQ(clr({"eval", "--run", dir / method, "--data", dir / "data"}).status, 0);
  }
  const Outcome o = clr({"report", dir / "clr", dir / "linear", "--html", dir / "report.html"});
  ASSERT_EQ(o.status, 0) << o.err;
  const std::string page = read_text(dir / "report.html");
  EXPECT_EQ(faults_of(page), "");
  EXPECT_NE(page.find("data:image/png;base64,iVBORw0KGgo"), std::string::npos);
  EXPECT_EQ(page.find("No predictions"), std::string::npos);
  // Equal input gives an equal page.
  ASSERT_EQ(clr({"report", dir / "clr", dir / "linear", "--html", dir / "again.html"}).status, 0);
  EXPECT_EQ(read_text(dir / "again.html"), page);
  for (const char* task : {"one", "t&<o"})
    std::filesystem::remove(dir / ("linear/tasks/" + std::string(task) + ".safetensors"));
  const Outcome none = clr({"report", dir / "clr", dir / "linear", "--html", dir / "none.html"});
  EXPECT_EQ(none.status, 1);
  EXPECT_SAYS(none.err, dir / "linear: no task has been learned here yet");
  if (std::system("command -v tidy >/dev/null 2>&1") != 0)
    GTEST_SKIP() << "there is no tidy (HTML Tidy) here";
  EXPECT_EQ(std::system(("tidy -q -e '" + (dir / "report.html") + "'").c_str()), 0);
}

}  // namespace
}  // namespace reprise::test
