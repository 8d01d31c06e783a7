// Folders as a data set sees them: names in the order of their bytes, without what systems leave
// there.
#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "data/sets/task.h"
#include "engine/base/export.h"

namespace reprise::data {

// Returns whether systems and programs leave files or folders of this name among a user's own:
// names that begin with a dot, desktop.ini, Thumbs.db, lost+found, @eaDir,
// photo.jpg:Zone.Identifier and their like.
REPRISE_API bool is_skipped_name(const std::string& name);

// What lies in a folder, each list sorted by bytes. A link is what it leads to.
struct Listing {
  std::vector<std::string> folders;
  std::vector<std::string> files;    // everything that is not a folder, broken links too
  std::vector<std::string> skipped;  // names that is_skipped_name is true of
};
// Lists a folder. Error where the system refuses.
REPRISE_API Listing list_folder(const std::string& path);

// Returns the folder's real path, links resolved. Error where there is none.
REPRISE_API std::string canonical(const std::string& path);

// What lies in a class's folder and in the folders inside it.
struct ClassFiles {
  std::vector<std::string> images;   // paths below the class's folder, sorted by bytes
  std::vector<std::string> folders;  // names of the folders directly inside it
  std::vector<std::string> skipped;  // whole paths
  std::vector<Unreadable> unreadable;
  std::vector<std::string> notes;  // links that were not followed
};

// Collects the files of class folders and tells images by their content. Enters a real folder once
// in the walker's life, and never one that encloses the folder it stands in. Error above
// `max_files` files.
class REPRISE_API Walker {
 public:
  explicit Walker(std::int64_t max_files) : max_files_(max_files) {}
  // Marks a folder that no link may lead into later. Returns false where it was marked before.
  bool mark(const std::string& folder) { return visited_.insert(canonical(folder)).second; }
  ClassFiles walk(const std::string& folder);

 private:
  void walk(const std::string& folder, const std::string& below, int depth, ClassFiles& found);
  std::int64_t max_files_, files_ = 0;
  std::set<std::string> visited_;
};

// Returns whether an image lies directly in the folder: a file that is one, or whose name says so.
REPRISE_API bool holds_images(const std::string& folder);

}  // namespace reprise::data
