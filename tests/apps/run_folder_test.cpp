// What a run folder knows: run.json, the processes' records, locks; and which tasks a process takes.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <thread>

#include "apps/clr/learn/errors.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/run_record.h"
#include "apps/clr/learn/shard.h"
#include "tests/apps/train_support.h"

namespace reprise::test {
namespace {

using namespace reprise::clr;

Invocation call_of(const std::string& host, int pid) {
  Invocation call;
  call.host = host;
  call.pid = pid;
  return call;
}

TEST(RunFolder, a_lock_has_one_owner) {
  const TempDir dir;
  auto first = FileLock::try_lock(dir / "lock");
  ASSERT_TRUE(first);
  EXPECT_FALSE(FileLock::try_lock(dir / "lock"));
  first->remove();
  EXPECT_FALSE(exists(dir / "lock"));
  EXPECT_TRUE(FileLock::try_lock(dir / "lock"));
  // A program that starts without standard input gives its number to the first file that it opens.
  const int input = dup(0);
  close(0);
  {
    auto held = FileLock::try_lock(dir / "lock");
    EXPECT_TRUE(held);
    EXPECT_FALSE(FileLock::try_lock(dir / "lock"));
  }
  auto next = FileLock::try_lock(dir / "lock");
  EXPECT_TRUE(next);
  if (next) next->remove();
  EXPECT_EQ(fcntl(0, F_GETFD), -1) << "the lock's file is still open";
  dup2(input, 0);
  close(input);
}

TEST(RunFolder, a_lock_may_be_waited_for) {
  const TempDir dir;
  std::atomic<bool> is_free = false, was_free = false;
  std::thread waiting;
  {
    const auto first = FileLock::try_lock(dir / "lock");
    waiting = std::thread([&] {
      const FileLock second = FileLock::wait(dir / "lock");
      was_free = is_free.load();
    });
    usleep(20'000);
    is_free = true;
  }
  waiting.join();
  EXPECT_TRUE(was_free);
}

TEST(RunFolder, names_that_are_no_file_names) {
  const RunFolder folder("run");
  EXPECT_EQ(folder.task_file("a b"), "run/tasks/a b.safetensors");
  EXPECT_EQ(folder.task_file("../x"), "run/tasks/%2E.%2Fx.safetensors");
  EXPECT_NE(folder.task_file("%2E."), folder.task_file(".."));
}

TEST(RunRecord, paths_of_any_bytes_read_back_and_the_file_is_utf8) {
  const TempDir dir;
  const std::string path = dir / "run.json", odd = "/da\xE9ta/a\\b\n\\xE9";
  RunRecord record;
  record.recipe = "{}";
  record.backbone.path = odd;
  Invocation& call = record.invocations.emplace_back();
  call.argv = {"clr", "train", "--data=" + odd};
  call.data = odd;
  call.started = "2026-01-31T12:00:00Z";
  call.tasks = {"back\\slash"};
  write_text(path, text_of(record));
  const auto json = nlohmann::json::parse(read_text(path));  // throws where it is not UTF-8
  EXPECT_EQ(json["invocations"][0]["data"], "/da\\xE9ta/a\\\\b\n\\\\xE9");
  const RunRecord read = read_run_record(path);
  EXPECT_EQ(read.backbone.path, odd);
  EXPECT_EQ(read.invocations.at(0).data, odd);
  EXPECT_EQ(read.invocations[0].argv.at(2), "--data=" + odd);
  EXPECT_EQ(read.invocations[0].tasks, call.tasks);
  EXPECT_EQ(text_of(read), text_of(record));
  write_text(path, text_of(call));
  EXPECT_EQ(read_invocation(path)->data, odd);
  for (const char* none : {"{", "[]", R"({"host": 3})", R"({"tasks": "x", "how": []})"}) {
    write_text(path, none);
    EXPECT_FALSE(read_invocation(path)) << none;
  }
  // A record of an older clr, whose names are not escaped.
  write_text(
      path,
      R"({"format": "reprise run 1", "backbone": {}, "recipe": {}, "tasks": {"a\\b": {}}, "invocations": []})");
  ASSERT_EQ(read_run_record(path).tasks.size(), 1u);
  EXPECT_EQ(read_run_record(path).tasks[0].name, "a\\b");
}

// Nothing but the file's bytes is read, whatever lies in memory after them.
TEST(RunRecord, a_file_of_any_length_is_read) {
  const TempDir dir;
  Invocation written = call_of("here", 7);
  written.started = "2026-01-01T00:00:00Z";
  for (std::string text = text_of(written); text.size() % 64 != 0; text += ' ') {
    write_text(dir / "p.json", text);
    const auto call = read_invocation(dir / "p.json");
    ASSERT_TRUE(call) << text.size();
    EXPECT_EQ(call->host, "here");
  }
  for (const char* none : {"7", "[]", "\"backbone\"", "{}", "null"}) {
    write_text(dir / "run.json", none);
    EXPECT_EQ(read_recorded_backbone(dir / "run.json").path, "") << none;
  }
}

TEST(RunRecord, what_is_damaged_is_named) {
  const TempDir dir;
  RunRecord record;
  record.recipe = "{}";
  const nlohmann::json whole = nlohmann::json::parse(text_of(record));
  const auto said = [&](const nlohmann::json& json) -> std::string {
    write_text(dir / "run.json", json.dump());
    try {
      read_run_record(dir / "run.json");
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_EQ(said(whole), "");
  for (const char* key : {"backbone", "recipe", "invocations"}) {
    nlohmann::json without = whole, wrong = whole;
    without.erase(key);
    wrong[key] = 7;
    EXPECT_SAYS(said(without), std::string("damaged: no ") + key);
    EXPECT_SAYS(said(wrong), std::string("damaged: its ") + key);
  }
  for (const auto& format : {nlohmann::json("reprise run 9"), nlohmann::json(3)}) {
    nlohmann::json other = whole;
    other["format"] = format;
    EXPECT_SAYS(said(other), "it may be of another version of clr");
  }
  EXPECT_SAYS(said("text"), "it may be of another version of clr");
  nlohmann::json part = whole;
  part["backbone"]["arch"] = 3;
  EXPECT_SAYS(said(part), "damaged: its backbone");
  part = whole;
  part["invocations"].push_back("clr train");
  EXPECT_SAYS(said(part), "damaged: its invocations");
  nlohmann::json unknown = whole;
  unknown["recipe"] = {{"lr", "much"}};
  EXPECT_SAYS(said(unknown), "damaged: its recipe");
  nlohmann::json older = whole;
  older["format"] = "reprise run 1";
  EXPECT_SAYS(said(older), "damaged: no tasks");
  older["tasks"] = nlohmann::json::array();
  EXPECT_SAYS(said(older), "damaged: its tasks");
  older["tasks"] = {{"a", 3}};
  EXPECT_SAYS(said(older), "damaged: its task a");
}

TEST(RunRecord, of_an_older_clr_is_read_from_its_command_lines) {
  const TempDir dir;
  write_text(dir / "run.json",
             R"({"format": "reprise run 1", "backbone": {}, "recipe": {"lr": 1}, "tasks": {},
    "invocations": [{"argv": ["clr", "reproduce", "--data=images", "--order", "o.txt"]},
                    {"argv": ["clr", "train", "--data", "old"], "data": "/new", "init": "/i"}]})");
  const RunRecord record = read_run_record(dir / "run.json");
  EXPECT_EQ(record.recipe, R"({"lr":1})");
  ASSERT_EQ(record.invocations.size(), 2u);
  EXPECT_EQ(record.invocations[0].data, "images");
  EXPECT_EQ(record.invocations[0].order, "o.txt");
  EXPECT_TRUE(record.invocations[0].clip_grey16);
  EXPECT_EQ(record.invocations[1].data, "/new");
  EXPECT_EQ(record.invocations[1].init, "/i");
  EXPECT_FALSE(record.invocations[1].clip_grey16);
}

TEST(RunRecord, what_was_not_recorded_was_not_given) {
  const TempDir dir;
  const auto read = [&](const std::string& argv) {
    write_text(dir / "p.json", R"({"started": "2020", "argv": )" + argv + "}");
    return read_invocation(dir / "p.json").value();
  };
  for (const char* argv : {"[]", R"(["clr"])", R"(["clr", "train", "--data"])"}) {
    const Invocation call = read(argv);
    EXPECT_EQ(call.data, "") << argv;
    EXPECT_FALSE(call.clip_grey16 || call.follow_links || call.tf32) << argv;
    EXPECT_EQ(call.threads, 0) << argv;
  }
  EXPECT_TRUE(read(R"(["clr", "reproduce"])").clip_grey16);
}

TEST(RunFolder, a_call_ends_though_the_folder_is_another) {
  const TempDir dir;
  RunFolder folder(dir / "run");
  folder.begin({}, "{}", call_of("here", 7));
  std::filesystem::remove_all(dir / "run");
  folder.end("done");
  EXPECT_FALSE(folder.exists());
}

TEST(RunFolder, a_begun_folder_refuses_another_recipe_and_a_restart_removes_only_its_own_files) {
  for (const bool copied : {false, true}) {
    const TempDir dir;
    Invocation call = call_of("here", 7);
    if (copied) call.argv = {"clr", "train", "--copy-backbone"};
    RunFolder folder(dir / "run"), other(dir / "run");
    RecordedBackbone backbone;
    backbone.path = "/data/r20.pth";
    folder.begin(backbone, R"({"lr":1})", call);
    EXPECT_SAYS(error_of([&] { other.begin(backbone, R"({"lr":2})", call); }), "begun with another --lr");
    write_text(dir / "run/backbone.pth", "");
    folder.restart();
    EXPECT_EQ(exists(dir / "run/backbone.pth"), !copied);
    EXPECT_FALSE(exists(dir / "run/run.json"));
  }
}

TEST(RunFolder, every_process_writes_its_own_record_and_run_json_never_changes) {
  const TempDir dir;
  RunFolder first(dir / "run"), second(dir / "run"), third(dir / "run");
  first.begin({}, "{}", call_of("one", 7));
  const std::string run = read_text(dir / "run/run.json");
  second.begin({}, "{}", call_of("two", 7));
  EXPECT_EQ(second.check_same({}, "{}").host, "one") << "who began the folder";
  third.begin({}, "{}", call_of("one", 7));  // another process with the same id
  second.add_task("a");
  first.add_task("b/c");
  first.end("interrupted", "SIGTERM");
  second.end("done");
  EXPECT_EQ(read_text(dir / "run/run.json"), run);
  for (const std::string name : {"one-7", "two-7", "one-7-2"})
    EXPECT_TRUE(exists(dir / ("run/log/process-" + name + ".json"))) << name;
  const RunRecord record = first.record();
  ASSERT_EQ(record.invocations.size(), 3u) << "the first stands in run.json and in log/";
  int interrupted = 0;
  for (const Invocation& call : record.invocations) interrupted += call.signal == "SIGTERM";
  EXPECT_EQ(interrupted, 1);
  EXPECT_TRUE(first.finished_tasks().empty());
  for (const std::string task : {"b/c", "a", "50%", ".x"}) write_text(first.task_file(task), "");
  std::vector<std::string> names = first.finished_tasks();
  ASSERT_EQ(names.size(), 4u) << "also those that no record names";
  EXPECT_EQ((std::vector<std::string>{names[2], names[3]}), (std::vector<std::string>{".x", "50%"}));
  for (const char* odd : {"%", "9%2", "%2"}) {  // no file of this program
    write_text(dir / ("run/tasks/" + std::string(odd) + ".safetensors"), "");
    EXPECT_FALSE(exists(first.task_file(odd))) << odd;
  }
  EXPECT_EQ(first.finished_tasks(), names);
  write_text(dir / "run/log/process-two-7.json", "{");
  EXPECT_EQ(first.record().invocations.size(), 2u);
}

TEST(Shard, parts_are_balanced_and_every_process_has_the_same_plan) {
  const auto shards = plan_shards({3, 9, 4, 4, 10, 1}, 3);
  EXPECT_EQ(shards, (std::vector<std::vector<std::size_t>>{{4}, {1, 5}, {2, 3, 0}}));
  EXPECT_EQ(plan_shards({1, 1}, 4)[3].size(), 0u);
  data::Task task;
  task.train.resize(100);
  task.val.resize(20);
  EXPECT_DOUBLE_EQ(work_of(task), 107);
}

TEST(Shard, auto_takes_the_place_from_the_launcher) {
  const auto place = [](std::map<std::string, std::string> values) {
    const Variables set(std::move(values));
    const Shard shard = shard_of("auto");
    return std::pair(static_cast<int>(shard.index), shard.count);
  };
  const std::map<std::string, std::string> array{{"SLURM_ARRAY_TASK_ID", "7"},
                                                 {"SLURM_ARRAY_TASK_MIN", "1"},
                                                 {"SLURM_ARRAY_TASK_MAX", "9"},
                                                 {"SLURM_ARRAY_TASK_STEP", "2"},
                                                 {"SLURM_ARRAY_TASK_COUNT", "5"}};
  EXPECT_EQ(place(array), std::pair(3, 5));
  auto both = array;
  both["SLURM_PROCID"] = "1";
  EXPECT_EQ(place(both), std::pair(3, 5)) << "a batch script has a rank but is in no step";
  both["SLURM_STEP_NUM_TASKS"] = "4";
  EXPECT_EQ(place(both), std::pair(13, 20));
  both["OMPI_COMM_WORLD_RANK"] = "0";
  both["OMPI_COMM_WORLD_SIZE"] = "2";
  EXPECT_EQ(place(both), std::pair(6, 10)) << "mpirun's helpers run in a step of their own";
  EXPECT_EQ(place({{"PMI_RANK", "2"}, {"PMI_SIZE", "3"}}), std::pair(2, 3));
  auto gaps = array;
  gaps["SLURM_ARRAY_TASK_COUNT"] = "3";
  EXPECT_NE(error_of([&] { place(gaps); }).find("gaps"), std::string::npos);
  EXPECT_NE(error_of([&] { place({}); }).find("Slurm"), std::string::npos);
  for (const auto& [name, value] : {std::pair("SLURM_ARRAY_TASK_ID", "11"),
                                    {"SLURM_ARRAY_TASK_ID", "-5"},
                                    {"SLURM_ARRAY_TASK_ID", "2"},
                                    {"SLURM_ARRAY_TASK_ID", "abc"},
                                    {"SLURM_ARRAY_TASK_MAX", "0"},
                                    {"SLURM_ARRAY_TASK_MAX", "2147483647"},
                                    {"SLURM_ARRAY_TASK_MAX", "99999999999999999999"},
                                    {"SLURM_ARRAY_TASK_MIN", "8"}}) {
    auto wrong = array;
    wrong[name] = value;
    EXPECT_FALSE(error_of([&] { place(wrong); }).empty()) << name << " " << value;
  }
  auto half = array;
  half.erase("SLURM_ARRAY_TASK_MIN");
  EXPECT_FALSE(error_of([&] { place(half); }).empty());
  auto many = array;
  many["PMI_RANK"] = "1";
  many["PMI_SIZE"] = "2000000000";
  EXPECT_NE(error_of([&] { place(many); }).find("too many"), std::string::npos);
  for (const auto& [id, index] : {std::pair("1", 0), {"9", 4}}) {  // the array's ends
    auto end = array;
    end["SLURM_ARRAY_TASK_ID"] = id;
    EXPECT_EQ(place(end), std::pair(index, 5));
  }
  for (const char* rank : {"3", "-1"})  // none of three
    EXPECT_FALSE(error_of([&] { place({{"PMI_RANK", rank}, {"PMI_SIZE", "3"}}); }).empty()) << rank;
  many = array;
  many["SLURM_ARRAY_TASK_MIN"] = "0";
  many["SLURM_ARRAY_TASK_MAX"] = "1023";
  many["SLURM_ARRAY_TASK_STEP"] = "1";
  many["SLURM_ARRAY_TASK_COUNT"] = "1024";
  many["PMI_RANK"] = "1023";
  many["PMI_SIZE"] = "1024";
  EXPECT_EQ(place(many), std::pair(7 * 1024 + 1023, 1 << 20));
  many["PMI_SIZE"] = "1025";
  EXPECT_SAYS(error_of([&] { place(many); }), "1024 x 1025 processes are too many");
}

TEST(Shard, texts_name_one_of_1048576_parts_at_most) {
  EXPECT_EQ(shard_of("3/8").index, 2u);
  EXPECT_EQ(shard_of("1048576/1048576").count, 1 << 20);
  for (const std::string text : {"", "3", "0/8", "9/8", "3/8x", "/", "-1/2", "1/2/3", "1/1048577"})
    EXPECT_FALSE(error_of([&] { shard_of(text); }).empty()) << text;
}

TEST(Shard, a_rank_on_this_machine_is_of_the_first_variable_that_holds_one) {
  EXPECT_EQ(local_rank(), 0);
  const Variables local(std::map<std::string, std::string>{{"SLURM_LOCALID", "3"}});
  EXPECT_EQ(local_rank(), 3);
  for (const auto& [value, rank] : {std::pair("0", 0), {"2", 2}, {"-1", 3}, {"first", 3}}) {
    const Variables first(std::map<std::string, std::string>{{"OMPI_COMM_WORLD_LOCAL_RANK", value}});
    EXPECT_EQ(local_rank(), rank) << value;
  }
}

}  // namespace
}  // namespace reprise::test
