// Folders as a data set sees them: names in the order of their bytes, without what systems leave behind.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "data/sets/task.h"
#include "engine/base/export.h"

namespace reprise::data {

// Dot-files, __MACOSX and Thumbs.db.
REPRISE_API bool is_skipped_name(const std::string& name);

// The names in a folder, sorted by bytes, links followed. Error if it cannot be listed.
struct Listing {
  std::vector<std::string> folders, files;  // files: all that is not a folder, broken links too
};
REPRISE_API Listing list_folder(const std::string& path);

// The folder's real path, links resolved.
REPRISE_API std::string canonical(const std::string& path);

// What lies in a class's folder and the folders in it.
struct ClassFiles {
  std::vector<std::string> images;  // paths below the folder, sorted by bytes
  std::vector<Unreadable> unreadable;
  std::vector<std::string> notes;  // links that were not followed
};

// Walks folders, each real folder once in the walker's life, never into a folder that encloses it; files are
// told apart by their content. Counts files and throws Error above `max_files`.
class REPRISE_API Walker {
 public:
  explicit Walker(std::int64_t max_files) : max_files_(max_files) {}
  // Folders that a link elsewhere must not lead into; false where it was marked before.
  bool mark(const std::string& folder) { return visited_.insert(canonical(folder)).second; }
  ClassFiles walk(const std::string& folder);

 private:
  void walk(const std::string& folder, const std::string& below, int depth, ClassFiles& found);
  std::int64_t max_files_, files_ = 0;
  std::set<std::string> visited_;
};

// Whether an image lies directly in the folder: a file that is one, or by its name should be.
REPRISE_API bool holds_images(const std::string& folder);

}  // namespace reprise::data
