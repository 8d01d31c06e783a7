// The content of run.json, and of the record that every process leaves: on which backbone and with
// which recipe was trained, from which data, by which calls.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "apps/clr/learn/json.h"

namespace reprise::clr {

struct RecordedBackbone {
  std::string path;  // the weight file when the run began; empty if the method has no backbone
  std::string copy;  // name of the copy beside run.json (--copy-backbone); empty: none
  std::string file_sha256, identity, arch;
  std::int64_t parameters = 0, bytes = 0;
};

struct RecordedTask {
  std::string name;
  std::int64_t classes = 0, train_images = 0, val_images = 0, test_images = 0;
  std::map<std::string, std::string> digests;  // "train", "val", "test"
};

// One call of a command that trains. A text that was not recorded is empty.
struct Invocation {
  std::string host, job;  // the machine's name; the batch system's number of the job
  std::int64_t pid = 0;
  std::vector<std::string> tasks;  // that this call began to learn, in this order
  std::vector<std::string> argv;
  std::string version, compiler, flags, device, instruction_set, winograd, bf16_order, decoders;
  bool tf32 = false;
  int threads = 0;
  std::string data, init, order;  // paths given as --data, --init and --order; empty: not given
  bool clip_grey16 = false, follow_links = false;  // of data::SetOptions
  std::string started, ended, how;                 // times in UTC; how: "done", "interrupted" or "failed"
  std::string signal;                              // the one that interrupted it: "SIGTERM"
};

struct RunRecord {
  RecordedBackbone backbone;
  std::string recipe;               // JSON text (see recipe.h); an old one may lack fields
  std::vector<RecordedTask> tasks;  // only of an older clr, whose task files do not hold these facts
  // The call that began the run, and what an older clr
  // recorded. RunFolder::record adds the processes' own records.
  std::vector<Invocation> invocations;
};

// Reads run.json. Throws an Error that names the part which is damaged or of another version.
// A call's field of another type counts as absent. Calls by an older clr did not record --data,
// --init and --order: these are taken from the recorded command line.
RunRecord read_run_record(const std::string& path);
// Returns the content of run.json.
std::string text_of(const RunRecord& record);
// Read and write a process's own record; reading returns nothing if the file is damaged.
std::optional<Invocation> read_invocation(const std::string& path);
std::string text_of(const Invocation& invocation);
// Reads only the backbone, whatever else is damaged;
// its members stay empty if the file is missing or says nothing.
RecordedBackbone read_recorded_backbone(const std::string& path);

// Return the members by name; the task's name is left out.
Json to_json(const RecordedBackbone& backbone);
Json to_json(const RecordedTask& task);

}  // namespace reprise::clr
