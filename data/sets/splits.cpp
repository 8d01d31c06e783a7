#include "data/sets/splits.h"

#include <algorithm>
#include <set>

#include "data/sets/names.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

bool is_capital(char c) {
  return c >= 'A' && c <= 'Z';
}

char small(char c) {
  return is_capital(c) ? static_cast<char>(c - 'A' + 'a') : c;
}

// Returns the split that a word in the name means: "train2017", "images_val", "testA".
Split looks_like(std::string_view name) {
  std::string word;
  for (std::size_t i = 0; i <= name.size(); ++i) {
    const char c = i < name.size() ? small(name[i]) : ' ';
    const bool begins = i < name.size() && is_capital(name[i]) && i > 0 && !is_capital(name[i - 1]);
    if (c < 'a' || c > 'z' || begins) {
      if (word == "validate") return Split::val;
      if (word == "evaluation") return Split::test;
      if (const Split split = split_named(word); split != Split::none) return split;
      word.clear();
    }
    if (c >= 'a' && c <= 'z') word += c;
  }
  return split_named(name);
}

std::string reading_of(const std::vector<std::string>& names) {
  constexpr const char* words[] = {"no split", "train", "val", "test"};
  constexpr std::size_t most = 20;
  std::string text = "\nread as";
  for (std::size_t i = 0; i < std::min(most, names.size()); ++i)
    text += fmt::format("\n  {:<14}  {}", "'" + shown(names[i]) + "'",
                        words[static_cast<int>(split_named(names[i]))]);
  if (names.size() > most) text += fmt::format("\n  …             ({} in all)", names.size());
  return text +
         "\nSplits are called train (training), val (valid, validation, dev) and test (testing, eval), in "
         "any "
         "case, with or without _set, and nothing else lies beside them: rename them, or move what is no "
         "split";
}

}  // namespace

Split split_named(std::string_view name) {
  std::string word;
  for (const char c : name) word += small(c);
  if (word.ends_with(".txt")) word.resize(word.size() - 4);
  const std::size_t size = word.size();
  if (word.ends_with("set")) word.resize(word.size() - 3);
  if (word.size() + 3 == size && !word.empty() &&
      std::string_view("_- .").find(word.back()) != std::string::npos)
    word.pop_back();
  if (word == "train" || word == "training") return Split::train;
  if (word == "val" || word == "valid" || word == "validation" || word == "dev") return Split::val;
  return word == "test" || word == "testing" || word == "eval" ? Split::test : Split::none;
}

Splits take_splits(const std::vector<std::string>& names, const std::string& where) {
  Splits splits;
  for (const std::string& name : names) {
    const Split split = split_named(name);
    if (split == Split::none) continue;
    std::string& place = split == Split::train ? splits.train
                         : split == Split::val ? splits.val
                                               : splits.test;
    REPRISE_CHECK(place.empty(), "data: two for one split, {} and {}\n  {}{}", shown(place), shown(name),
                  where, reading_of(names));
    place = name;
  }
  REPRISE_CHECK(!splits.train.empty(), "data: splits, but none to train on\n  {}{}", where,
                reading_of(names));
  return splits;
}

std::optional<Splits> divide(const std::vector<std::string>& folders, const std::string& path,
                             const std::function<bool(const std::string&)>& holds_images) {
  // Names that mean a split, and names that look like one. Of the latter, `kinds` has every split,
  // and `inside` those of folders that hold no images; `named_inside`: one of these means a split.
  std::size_t named = 0, alike = 0;
  std::set<Split> kinds, inside;
  bool named_inside = false;
  for (const std::string& name : folders) {
    const Split split = looks_like(name);
    if (split == Split::none) continue;
    const bool is_named = split_named(name) != Split::none, is_inside = !holds_images(name);
    ++alike, named += is_named;
    kinds.insert(split);
    if (is_inside) inside.insert(split);
    named_inside |= is_named && is_inside;
  }
  if (folders.empty() || alike == 0) return {};
  if (named == folders.size()) return take_splits(folders, "folder  " + path);
  const bool all_alike = alike == folders.size() && kinds.size() > 1;
  REPRISE_CHECK(!named_inside && inside.size() < 2 && !all_alike,
                "data: the folders look like splits, but not every one can be read as one\n  folder  {}{}",
                path, reading_of(folders));
  return {};
}

}  // namespace reprise::data
