// What the commands that train share: the recipe's options, and the table of how each task ended.
#pragma once

#include <initializer_list>
#include <utility>

#include "apps/clr/commands/command.h"
#include "apps/clr/learn/session.h"

namespace reprise::clr {

// The help of --data.
inline constexpr const char* data_help =
    "class folders, a list of images, or the folder of a SKILL/DCT database";

// Adds options for fields of the recipe. Each pair: the field's name, and the option's help.
void add_recipe_options(Command command, Recipe& recipe,
                        std::initializer_list<std::pair<const char*, const char*>> options);
// Adds --val-fraction, --max-images and --skip-bad, for a Recipe or for data::SetOptions.
void add_split_options(Command command, double& val_fraction, std::int64_t& max_images, bool& skip_bad);
// Adds --follow-links, and --tasks with the help that every command gives.
void add_follow_links(Command command, bool& follow_links);
void add_tasks_option(Command command, std::vector<std::string>& tasks);

// Copies device, dtype and seed from the common options into the recipe, then checks every value.
// Throws as Common::resolved_device does, and BadValue for a value that is out of range.
void complete(Recipe& recipe, const Common& common);

// Prints how each task ended: a table, or one JSON object, on standard
// output. Sets the exit status 1 if the images of a task could not be read.
void print_outcomes(const std::vector<TaskOutcome>& outcomes, Common& common);

}  // namespace reprise::clr
