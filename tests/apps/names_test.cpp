// Names as people and systems make them: what the program prints, writes and refuses.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "apps/clr/learn/run_record.h"
#include "apps/clr/learn/table.h"
#include "apps/clr/learn/task_log.h"
#include "data/weights/weight_file.h"
#include "engine/base/utf8.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;

#define EXPECT_SAYS(text, part) \
  EXPECT_NE((text).find(part), std::string::npos) << "expected '" << (part) << "' in: " << (text)

// Text of several lines that can do nothing to a terminal.
bool is_harmless(const std::string& text) {
  return escaped(text, keep_lines) == text;
}

class Names : public testing::Test {
 protected:
  void SetUp() override {
    write_tiny_backbone(dir / "backbone.safetensors");
    write_task(dir / "data", "pets");
  }
  std::string add_image(const std::string& name) const {
    const std::string path = dir / ("data/pets/class0/" + name);
    fs::copy_file(dir / "data/pets/class0/0.ppm", path);
    return path;
  }
  Outcome train(const std::string& data, std::vector<std::string> more = {}) const {
    std::vector<std::string> arguments{"train",     "--backbone", dir / "backbone.safetensors",
                                       "--data",    data,         "--run",
                                       dir / "run", "--device",   "cpu",
                                       "--size",    "8",          "--epochs",
                                       "1"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return clr(arguments);
  }
  const TempDir dir;
};

const std::vector<std::string> odd_names = {"caf\xE9.ppm",         "back\\slash.ppm",
                                            "\x1B[31mred.ppm",     "two\nlines\t.ppm",
                                            "\xE2\x80\xAEgpj.ppm", "comma, \"quote\".ppm"};

TEST_F(Names, lists_of_images_are_printed_escaped_and_as_json) {
  std::vector<std::string> paths;
  for (const std::string& name : odd_names) paths.push_back(add_image(name));
  const std::vector<std::string> command{"tasks", "--data", dir / "data", "--list", "pets"};
  const Outcome plain = clr(command);
  ASSERT_EQ(plain.status, 0) << plain.err;
  EXPECT_TRUE(is_harmless(plain.out));
  EXPECT_EQ(std::count(plain.out.begin(), plain.out.end(), '\n'), 24);
  auto with_json = command;
  with_json.push_back("--json");
  const json all = json::parse(clr(with_json).out);
  EXPECT_EQ(all["task"], "pets");
  ASSERT_EQ(all["images"].size(), 24u);
  std::string lines;
  std::vector<std::string> found;
  for (const json& image : all["images"]) {
    const std::string path = unescaped(image["path"].get<std::string>());
    EXPECT_TRUE(exists(path)) << image["path"];
    found.push_back(path);
    lines += image["split"].get<std::string>() + "\t" + std::to_string(image["label"].get<int>()) + "\t" +
             image["class"].get<std::string>() + "\t" + escaped(path) + "\n";
  }
  EXPECT_EQ(lines, plain.out);
  for (const std::string& path : paths)
    EXPECT_EQ(std::count(found.begin(), found.end(), path), 1) << escaped(path);
  with_json.insert(with_json.end(), {"--epoch", "1"});
  const json epoch = json::parse(clr(with_json).out);
  EXPECT_EQ(epoch["epoch"], 1);
  EXPECT_LT(epoch["images"].size(), 24u);
}

TEST_F(Names, what_cannot_be_read_and_what_is_skipped_stand_in_the_json) {
  write_text(dir / "data/pets/class0/caf\xE9.ppm", "no image");
  write_text(dir / "data/pets/class0/desktop.ini", "x");
  fs::create_directories(dir / "data/pets/@eaDir");
  const Outcome o = clr({"tasks", "--data", dir / "data", "--json"});
  ASSERT_EQ(o.status, 0) << o.err;
  EXPECT_SAYS(o.err, "class0/caf\\xE9.ppm: ");
  EXPECT_TRUE(is_harmless(o.err));
  const json task = json::parse(o.out)["tasks"][0];
  EXPECT_EQ(task["unreadable"][0]["path"], dir / "data/pets/class0/caf\\xE9.ppm");
  EXPECT_EQ(task["skipped"], (json{dir / "data/pets/@eaDir", dir / "data/pets/class0/desktop.ini"}));
}

TEST_F(Names, files_of_a_run_are_utf8_and_read_back) {
  for (const std::string& name : odd_names) add_image(name);
  const std::string data = dir / "d\xE9\\ata";
  fs::rename(dir / "data", data);
  const Outcome learned = train(data);
  ASSERT_EQ(learned.status, 0) << learned.err;
  EXPECT_EQ(train(data).status, 0);
  const Outcome o =
      clr({"eval", "--run", dir / "run", "--data", data, "--split", "train", "--device", "cpu", "--json"});
  ASSERT_EQ(o.status, 0) << o.err;
  for (const std::string file : {"predictions.csv", "results.csv", "matrix.csv", "run.json"})
    EXPECT_TRUE(is_harmless(read_text(dir / ("run/" + file)))) << file;
  EXPECT_EQ(reprise::clr::read_run_record(dir / "run/run.json").invocations.at(0).data, data);
  const auto rows = reprise::clr::csv_rows(dir / "run/predictions.csv", 6);
  EXPECT_GT(rows.size(), 15u);
  for (const auto& row : rows) EXPECT_TRUE(exists(row[5])) << escaped(row[5]);
  ASSERT_EQ(clr({"report", dir / "run", "--html", dir / "page.html"}).status, 0);
  EXPECT_EQ(read_text(dir / "page.html").find("image not found"), std::string::npos);
}

TEST_F(Names, a_comma_in_a_task_s_name) {
  write_task(dir / "data", "red, ripe");
  write_task(dir / "data", "a\\b");
  const auto tasks = [&](const std::string& chosen) {
    return clr({"tasks", "--data", dir / "data", "--tasks", chosen, "--json"});
  };
  const auto names = [&](const std::string& chosen) {
    const Outcome o = tasks(chosen);
    EXPECT_EQ(o.status, 0) << o.err;
    std::vector<std::string> found;
    const json all = json::parse(o.out);
    for (const json& task : all["tasks"]) found.push_back(unescaped(task["name"].get<std::string>()));
    return found;
  };
  using Found = std::vector<std::string>;
  EXPECT_EQ(names("red\\, ripe"), Found{"red, ripe"});
  EXPECT_EQ(names("pets,red\\, ripe"), (Found{"pets", "red, ripe"}));
  EXPECT_EQ(names("a\\\\b,pets"), (Found{"a\\b", "pets"}));
  EXPECT_EQ(names("a\\b"), Found{"a\\b"});
  const Outcome divided = tasks("red, ripe");
  EXPECT_EQ(divided.status, 1);
  EXPECT_SAYS(divided.err, "no task 'red', ' ripe'");
  EXPECT_SAYS(divided.err, "red\\, ripe");  // as --tasks takes it
  EXPECT_SAYS(divided.err, "Write \\, for a comma");
}

TEST_F(Names, a_task_whose_name_no_file_can_have_stops_before_the_run_begins) {
  write_task(dir / "data", std::string(244, 'z'));
  for (const Outcome& o :
       {clr({"tasks", "--data", dir / "data"}), train(dir / "data", {"--dry-run"}), train(dir / "data")}) {
    EXPECT_EQ(o.status, 1);
    EXPECT_SAYS(o.err, "cannot name a task: it has 244 bytes");
    EXPECT_EQ(o.err.find("unexpected"), std::string::npos) << o.err;
  }
  EXPECT_FALSE(exists(dir / "run"));
  const Outcome run = clr({"train", "--backbone", dir / "backbone.safetensors", "--data", dir / "data",
                           "--tasks", "pets", "--run", dir / std::string(300, 'r'), "--device", "cpu"});
  EXPECT_EQ(run.status, 1);
  EXPECT_EQ(run.err.find("unexpected"), std::string::npos) << run.err;
}

TEST_F(Names, another_unicode_form_at_evaluation) {
  fs::rename(dir / "data/pets/class0", dir / "data/pets/\xC3\x84pfel");
  ASSERT_EQ(train(dir / "data").status, 0);
  fs::rename(dir / "data/pets/\xC3\x84pfel", dir / "data/pets/A\xCC\x88pfel");
  const Outcome o = clr({"eval", "--run", dir / "run", "--data", dir / "data", "--device", "cpu"});
  EXPECT_EQ(o.status, 1);
  EXPECT_SAYS(o.err, "that was never learned");
  EXPECT_SAYS(o.err, "(\\xC3\\x84pfel)");
  EXPECT_SAYS(o.err, "(A\\xCC\\x88pfel)");
  // The same of a task's name.
  const std::string composed = "\xC3\xB6l", decomposed = "o\xCC\x88l";
  fs::rename(dir / "data/pets", dir / ("data/" + composed));
  ASSERT_EQ(train(dir / "data").status, 0);
  fs::rename(dir / ("data/" + composed), dir / ("data/" + decomposed));
  const Outcome absent = clr({"eval", "--run", dir / "run", "--data", dir / "data", "--device", "cpu"});
  EXPECT_EQ(absent.status, 1);
  EXPECT_SAYS(absent.err, "(\\xC3\\xB6l)");
  EXPECT_SAYS(absent.err, "(o\\xCC\\x88l)");
  const Outcome again = train(dir / "data");
  EXPECT_SAYS(again.err, "is new here");
  EXPECT_SAYS(again.err, "(o\\xCC\\x88l)");
}

TEST_F(Names, nothing_from_a_file_reaches_the_terminal_raw) {
  data::write_safetensors(dir / "w.safetensors", {{"\x1B]0;owned\x07\nline", zeros({2})}},
                          {{"who\x1B", "\x1B[2J\nx"}});
  for (const bool as_json : {false, true}) {
    std::vector<std::string> command{"info", dir / "w.safetensors", dir / "abs\x1B\xE9nt.pth"};
    if (as_json) command.push_back("--json");
    const Outcome o = clr(command);
    EXPECT_EQ(o.status, 1);
    EXPECT_TRUE(is_harmless(o.out)) << escaped(o.out);
    EXPECT_TRUE(is_harmless(o.err)) << escaped(o.err);
    EXPECT_SAYS(o.err, "abs\\x1B\\xE9nt.pth");
    EXPECT_SAYS(o.out, as_json ? "\\\\x1B]0;owned\\\\x07\\nline" : "\\x1B]0;owned\\x07\\x0Aline");
    if (as_json) {
      EXPECT_EQ(json::parse(o.out)["files"].size(), 1u);
    }
  }
  clr::Table table({"name", "n"});
  table.row({"a\nb\x1B", "1"});
  EXPECT_EQ(table.text(), "name        n\na\\x0Ab\\x1B  1\n");
}

TEST_F(Names, every_command_that_reads_data_follows_links_if_told) {
  for (const std::string command : {"train", "eval", "tasks", "pretrain", "reproduce"})
    EXPECT_SAYS(clr({command, "--help"}).out, "--follow-links");
}

}  // namespace
}  // namespace reprise::test
