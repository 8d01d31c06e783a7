// How a task is learned: everything that decides the resulting bits, besides data and backbone.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "apps/clr/learn/json.h"
#include "data/sets/find_tasks.h"

namespace reprise::clr {

// The defaults are the original program's.
struct Recipe {
  std::string method = "clr";
  int size = 0;  // of the images, in pixels; 0: what the backbone records
  int epochs = 60;
  int batch = 32;
  double lr = 1e-3;
  int lr_step = 0;  // epochs between two decays; 0: max(1, epochs / 3)
  double gamma = 0.1;
  std::string penalty = "l2";  // "l1", "l2", "l12", "none"
  double lambda = 1e-5;
  int patience = 21;  // stop when the best epoch is more than so many epochs old
  std::string optimizer = "adam";
  double momentum = 0.9;          // of sgd
  double weight_decay = 0;        // of either
  std::string schedule = "step";  // "step", "cosine"
  double val_fraction = 0.1;
  std::int64_t max_images = 0;  // training images of a task; 0: all
  bool skip_bad = false;
  std::int64_t steps = 0;  // at most so many steps a task; 0: no limit
  std::uint64_t seed = 0;
  std::string rng = "streams";  // "streams": this project's named ones; "torch": PyTorch's sequence
  std::string device = "cpu", dtype = "f32";  // the device's kind
  std::string init_sha256, order_sha256;      // of the files given; empty: none

  int decay_every() const { return lr_step > 0 ? lr_step : (epochs / 3 > 1 ? epochs / 3 : 1); }
};

// One value of a recipe, in the order in which files and messages have them.
struct RecipeField {
  const char* name;  // of the option, and in files
  std::variant<std::string Recipe::*, int Recipe::*, std::int64_t Recipe::*, std::uint64_t Recipe::*,
               double Recipe::*, bool Recipe::*>
      member;
  const char* expected = nullptr;  // the range or the possible words, for a person; null: any value will do
  double low = 0, high = 0;        // of a number
  bool (*written)(const Recipe&) = nullptr;  // whether files have it; null: always
};
std::span<const RecipeField> recipe_fields();

// The values by name, those only that matter for the method of training. Files keep this as JSON text.
Json to_json(const Recipe& recipe);
std::string recipe_text(const Recipe& recipe);
// The way back. Throws Error, naming the value, if one is missing, of another kind, out of range or unknown.
// A partial recipe may lack any of them, which then have their defaults, and hold others and any number.
Recipe complete_recipe(const std::string& recorded, const std::string& where);
Recipe partial_recipe(const std::string& recorded, const std::string& where);
// Names and values of a recorded recipe as a person reads them.
std::vector<std::pair<std::string, std::string>> recorded_fields(const std::string& recorded);

// Throws BadValue for the first value that is out of range.
void check(const Recipe& recipe);
// Throws Error naming the first option in which they differ. `where` is the run folder.
void check_same_recipe(const std::string& recorded, const std::string& wanted, const std::string& where);
// How the recipe's data are split.
data::SetOptions sets_of(const Recipe& recipe);

}  // namespace reprise::clr
