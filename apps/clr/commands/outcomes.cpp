// How the tasks of a session ended, for its caller.
#include <nlohmann/json.hpp>

#include "apps/clr/learn/session.h"
#include "apps/clr/learn/table.h"

namespace reprise::clr {

void print_outcomes(const std::vector<TaskOutcome>& outcomes, bool json) {
  if (json) {
    Json tasks = Json::array();
    for (const auto& o : outcomes) {
      Json task = {{"name", o.task}, {"status", o.status}};
      if (o.val_accuracy) task["val_accuracy"] = *o.val_accuracy;
      if (o.test_accuracy) task["test_accuracy"] = *o.test_accuracy;
      if (o.best_epoch) task["best_epoch"] = *o.best_epoch;
      tasks.push_back(task);
    }
    print_json({{"tasks", tasks}});
    return;
  }
  Table table({"task", "status", "best epoch", "val", "test"}, {true, true, false, false, false});
  const auto shown = [](const std::optional<double>& value) { return value ? percent(*value) : "-"; };
  for (const auto& o : outcomes)
    table.row({o.task, o.status, o.best_epoch ? std::to_string(*o.best_epoch) : "-", shown(o.val_accuracy),
               shown(o.test_accuracy)});
  print(table.text());
}

}  // namespace reprise::clr
