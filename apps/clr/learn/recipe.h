// The recipe: every choice that decides the resulting bits, besides the data and the backbone.
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

// The defaults are the original's.
struct Recipe {
  std::string method = "clr";
  int size = 0;  // image height and width in pixels; 0: what the backbone records
  int epochs = 60;
  int batch = 32;
  double lr = 1e-3;
  int lr_step = 0;  // epochs between two decays; 0: max(1, epochs / 3)
  double gamma = 0.1;
  std::string penalty = "l2";  // "l1", "l2", "l12", "none"
  double lambda = 1e-5;
  int patience = 21;  // training stops when the best epoch is more than so many epochs old
  std::string optimizer = "adam";
  double momentum = 0.9;          // for sgd only
  double weight_decay = 0;        // for adam and sgd
  std::string schedule = "step";  // "step", "cosine"
  double val_fraction = 0.1;
  std::int64_t max_images = 0;  // training images of a task; 0: all
  bool skip_bad = false;        // leave out images that cannot be read
  std::int64_t steps = 0;       // at most so many steps a task; 0: no limit
  std::uint64_t seed = 0;
  std::string rng = "streams";  // "streams": this project's named streams; "torch": PyTorch's sequence
  std::string device = "cpu", dtype = "f32";  // device: the kind only
  std::string init_sha256, order_sha256;      // of the files of --init and --order; empty: none

  int decay_every() const { return lr_step > 0 ? lr_step : (epochs / 3 > 1 ? epochs / 3 : 1); }
};

// A field of the recipe: its name, member, range, and when files hold it.
struct RecipeField {
  const char* name;  // the option's name without dashes, also the key in files
  std::variant<std::string Recipe::*, int Recipe::*, std::int64_t Recipe::*, std::uint64_t Recipe::*,
               double Recipe::*, bool Recipe::*>
      member;
  const char* expected = nullptr;  // the range, or "one of …", for a person; null: any value is allowed
  double low = 0, high = 0;        // the allowed range of a number
  bool (*written)(const Recipe&) = nullptr;  // whether files hold the field; null: always
};
// Returns all fields, in the order in which files and messages list them.
std::span<const RecipeField> recipe_fields();

// Return the recipe's values by name (without those that `written` rules out) as JSON and as JSON
// text on one line. Files hold the text.
Json to_json(const Recipe& recipe);
std::string recipe_text(const Recipe& recipe);
// Read such a text back; `where` names the file in messages. complete_recipe throws an Error that
// names the value which is missing, of another type, out of range or unknown to this version.
// partial_recipe throws only for another type: a missing value keeps its default, an unknown one is
// ignored, a range is not checked.
Recipe complete_recipe(const std::string& recorded, const std::string& where);
Recipe partial_recipe(const std::string& recorded, const std::string& where);
// Returns names and values of a recorded recipe as text for a person.
std::vector<std::pair<std::string, std::string>> recorded_fields(const std::string& recorded);

// Throws BadValue for the first value that is out of range.
void check(const Recipe& recipe);
// Compares two recipes as JSON text. Throws an Error that names the first option in which they
// differ. `where` is the run folder, for the message.
void check_same_recipe(const std::string& recorded, const std::string& wanted, const std::string& where);
// Returns the recipe's options for finding and splitting a task's images.
data::SetOptions sets_of(const Recipe& recipe);

}  // namespace reprise::clr
