#include "apps/clr/commands/training.h"

#include <string_view>

namespace reprise::clr {
namespace {

// Returns the largest value of an option that must be at least 1 but has the default 0 ("choose for
// me"); 0 for any other option.
int most_of(std::string_view field) {
  return field == "size" ? 8192 : field == "lr-step" ? 1000000 : field == "steps" ? 1 << 30 : 0;
}

}  // namespace

void add_recipe_options(Command c, Recipe& recipe,
                        std::initializer_list<std::pair<const char*, const char*>> options) {
  const auto fields = recipe_fields();
  for (const auto& [name, help] : options) {
    const auto field = std::ranges::find(fields, std::string_view(name), &RecipeField::name);
    REPRISE_INVARIANT(field != fields.end(), "a recipe has no field {}", name);
    const int most = most_of(name);
    std::visit(
        [&, option = fmt::format("--{}", name), text = std::string(help)](auto member) {
          auto& value = recipe.*member;
          const Option made = c.add_option(option, value, text);
          if (most > 0) made.range(1, most);
          if (most == 0 || value != std::remove_reference_t<decltype(value)>{}) made.shows_default();
        },
        field->member);
  }
}

void add_split_options(Command c, double& val_fraction, std::int64_t& max_images, bool& skip_bad) {
  c.add_option("--val-fraction", val_fraction, "share of each class to validate on, if there is no val split")
      .check([](const std::string& text) {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        return *end == '\0' && value > 0 && value < 1 ? std::string()
                                                      : "expected a number between 0 and 1, got " + text;
      })
      .shows_default();
  c.add_option("--max-images", max_images, "at most so many training images a task, equally per class")
      .range(1, 1 << 30);
  c.add_flag("--skip-bad", skip_bad, "leave out files that cannot be read");
}

void add_follow_links(Command c, bool& follow_links) {
  c.add_flag("--follow-links", follow_links,
             "also read a database's images where links lead out of its folder, as to another disk");
}

void add_tasks_option(Command c, std::vector<std::string>& tasks) {
  c.add_names(
      "--tasks", tasks,
      "only these tasks, by name or id, in this order, separated by commas (\\, is a comma in a name); "
      "paper53: the paper's");
}

void complete(Recipe& recipe, const Common& common) {
  recipe.device = name_of(common.resolved_device().kind);
  recipe.dtype = name_of(common.resolved_dtype());
  recipe.seed = common.seed;
  check(recipe);
}

void print_outcomes(const std::vector<TaskOutcome>& outcomes, Common& common) {
  if (std::ranges::count(outcomes, not_readable, &TaskOutcome::status) > 0) common.exit_status = 1;
  if (common.json) {
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
