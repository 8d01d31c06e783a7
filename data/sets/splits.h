// How people name the splits of a data set, as folders and as lists.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/export.h"

namespace reprise::data {

enum class Split { none, train, val, test };

// Returns the split that a folder's or list's name means: train, training; val, valid, validation,
// dev; test, testing, eval. The case is free, "set" may follow ("Test_set", "trainset"), and a list
// ends with ".txt".
REPRISE_API Split split_named(std::string_view name);

// The names of the splits that are there; empty where there is none.
struct Splits {
  std::string train, val, test;
};

// Takes every name that means a split. Error where two mean the same one, or none is the training
// split. `where` begins the message's second line: "folder  DIR".
Splits take_splits(const std::vector<std::string>& names, const std::string& where);

// Returns the splits into which the inner folders divide the folder at `path`; nothing where they
// are classes or tasks. They are splits where every name means one. A name that means none beside
// them makes them classes, if `holds_images` is true of each that means one: a class may be called
// train. Error where they look like splits and cannot be read so: "train2017" beside "val2017",
// "annotations" beside a "train" with class folders, two of one split, no training split.
std::optional<Splits> divide(const std::vector<std::string>& folders, const std::string& path,
                             const std::function<bool(const std::string& name)>& holds_images);

}  // namespace reprise::data
