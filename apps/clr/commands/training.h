// What the commands that train share: options, the recipe's missing values, and how tasks ended.
#pragma once

#include <initializer_list>
#include <utility>

#include "apps/clr/commands/command.h"
#include "apps/clr/learn/session.h"

namespace reprise::clr {

// What --data takes.
inline constexpr const char* data_help =
    "class folders, a list of images, or the folder of a SKILL/DCT database";

// Adds options for fields of the recipe: each a field's name, and what the help says.
void add_recipe_options(CLI::App& command, Recipe& recipe,
                        std::initializer_list<std::pair<const char*, const char*>> options);
// Adds --val-fraction, --max-images and --skip-bad, for a Recipe or for data::SetOptions.
void add_split_options(CLI::App& command, double& val_fraction, std::int64_t& max_images, bool& skip_bad);
// Adds --follow-links, and --tasks with the help that every command gives.
void add_follow_links(CLI::App& command, bool& follow_links);
void add_tasks_option(CLI::App& command, std::vector<std::string>& tasks);

// Puts in what the common options say and checks the whole.
void complete(Recipe& recipe, const Common& common);

// Prints a table, or one JSON object, on standard output.
void print_outcomes(const std::vector<TaskOutcome>& outcomes, bool json);

}  // namespace reprise::clr
