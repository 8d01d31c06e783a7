// Files that clr writes and reads again: somebody may have changed them in between.
#include "apps/clr/learn/recipe.h"
#include "apps/clr/learn/run_folder.h"
#include "apps/clr/learn/state.h"
#include "apps/clr/learn/task_file.h"
#include "apps/clr/learn/task_log.h"
#include "data/loader/order.h"
#include "tests/fuzz/targets.h"

namespace reprise::fuzz {
namespace {

using namespace reprise::clr;

void task_file(Bytes bytes) {
  read_task_file(file_of(bytes, "task.safetensors"));
}

void state_file(Bytes bytes) {
  load_state(file_of(bytes, "task.state"), {});
}

void run_json(Bytes bytes) {
  file_of(bytes, "run/run.json");
  const RunFolder folder(scratch_folder() + "/run");
  const RunRecord record = folder.record();
  folder.check_same(record.backbone, record.recipe);
  complete_recipe(record.recipe, "run");
  folder.finished_tasks();
  folder.rebuild_results();
}

void log_file(Bytes bytes) {
  read_task_log(file_of(bytes, "log.csv"));
  csv_fields({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

void order_file(Bytes bytes) {
  data::read_order_file(file_of(bytes, "order.txt"), 7);
}

}  // namespace

std::vector<Target> file_targets() {
  return {{"task_file", "", task_file},
          {"state_file", "", state_file},
          {"run_json", "", run_json},
          {"log_file", "", log_file},
          {"order_file", "", order_file}};
}

}  // namespace reprise::fuzz
