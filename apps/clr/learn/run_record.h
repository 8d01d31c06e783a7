// What a run folder's run.json says: what was trained, on which backbone, from which data, by which calls.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "apps/clr/learn/json.h"

namespace reprise::clr {

struct RecordedBackbone {
  std::string path;  // as it lay when the run began; empty where there is none
  std::string copy;  // its file's name beside run.json, if it was copied
  std::string file_sha256, identity, arch;
  std::int64_t parameters = 0, bytes = 0;
};

struct RecordedTask {
  std::string name;
  std::int64_t classes = 0, train_images = 0, val_images = 0, test_images = 0;
  std::map<std::string, std::string> digests;  // "train", "val", "test"
};

// One call of a command that trained. A text that was not recorded is empty.
struct Invocation {
  std::vector<std::string> argv;
  std::string version, compiler, flags, device, instruction_set, winograd, bf16_order, decoders;
  bool tf32 = false;
  int threads = 0;
  std::string data, init, order;  // the folder of images; the files of --init and --order, empty for none
  bool clip_grey16 = false, follow_links = false;  // of data::SetOptions
  std::string started, ended, how;                 // UTC; "done", "interrupted" or "failed"
};

struct RunRecord {
  RecordedBackbone backbone;
  std::string recipe;               // JSON: see recipe.h; an old one may lack fields
  std::vector<RecordedTask> tasks;  // in the order they were added
  std::vector<Invocation> invocations;
  const RecordedTask* find(const std::string& task) const;
};

// Throws Error where the file is damaged or of another version, naming the part. The data, --init and --order
// of calls by an older clr, which did not record them, are taken from their command lines. A call's field of
// another type counts as absent.
RunRecord read_run_record(const std::string& path);
// Keeps what the file at `path` has beyond the record, as a newer clr may have written it.
void write_run_record(const std::string& path, const RunRecord& record);
// The backbone of that file, whatever else is damaged; nothing is set where the file says nothing.
RecordedBackbone read_recorded_backbone(const std::string& path);

// The members by name; a task without its name.
Json to_json(const RecordedBackbone& backbone);
Json to_json(const RecordedTask& task);

}  // namespace reprise::clr
