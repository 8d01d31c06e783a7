#include "data/sets/walk.h"

#include <algorithm>
#include <array>
#include <filesystem>

#include "data/io/file.h"
#include "data/limits.h"
#include "data/sets/files.h"
#include "engine/base/check.h"
#include "engine/base/utf8.h"

namespace reprise::data {
namespace {

namespace fs = std::filesystem;

std::string lower_case(std::string text) {
  for (char& c : text)
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  return text;
}

bool has_image_extension(const std::string& name) {
  static constexpr std::array<std::string_view, 11> known = {".jpg", ".jpeg", ".png", ".bmp",  ".gif", ".ppm",
                                                             ".pgm", ".webp", ".tif", ".tiff", ".jfif"};
  const std::string extension = lower_case(fs::path(name).extension().string());
  return std::find(known.begin(), known.end(), extension) != known.end();
}

bool encloses(const std::string& outer, const std::string& inner) {
  return inner == outer || outer == "/" || inner.starts_with(outer + "/");
}

}  // namespace

bool is_skipped_name(const std::string& name) {
  static const std::set<std::string> names = {"desktop.ini",
                                              "thumbs.db",
                                              "ehthumbs.db",
                                              "ehthumbs_vista.db",
                                              "$recycle.bin",
                                              "system volume information",  // Windows
                                              "__macosx",
                                              "icon\r",
                                              "temporary items",
                                              "network trash folder",  // macOS
                                              "@eadir",
                                              "#recycle",
                                              "#snapshot",
                                              "@__thumb",
                                              "@recycle",
                                              "@recently-snapshot",  // disk stations
                                              "lost+found"};
  const std::string small = lower_case(name);
  // Windows allows no colon in a name; some systems write U+F03A for it.
  return name.starts_with('.') || names.contains(small) || small.ends_with(":zone.identifier") ||
         small.ends_with("\xEF\x80\xBAzone.identifier");
}

Listing list_folder(const std::string& path) {
  Listing listing;
  for (const std::string& name : names_in(path)) {
    std::error_code ignored;  // a broken link is a file that cannot be read
    (is_skipped_name(name)                          ? listing.skipped
     : fs::is_directory(path + "/" + name, ignored) ? listing.folders
                                                    : listing.files)
        .push_back(name);
  }
  for (auto* names : {&listing.folders, &listing.files, &listing.skipped})
    std::sort(names->begin(), names->end());
  return listing;
}

std::string canonical(const std::string& path) {
  std::error_code error;
  const fs::path real = fs::canonical(path, error);
  REPRISE_CHECK(!error, "data: the folder cannot be opened: {}\n  folder  {}", error.message(), path);
  return real.string();
}

ClassFiles Walker::walk(const std::string& folder) {
  ClassFiles found;
  walk(folder, "", 0, found);
  std::sort(found.images.begin(), found.images.end());
  return found;
}

void Walker::walk(const std::string& folder, const std::string& below, int depth, ClassFiles& found) {
  if (depth > limits::folder_nesting) {
    found.unreadable.push_back(
        {folder, fmt::format("folders nested deeper than {}", limits::folder_nesting)});
    return;
  }
  Listing listing;
  try {
    listing = list_folder(folder);
  } catch (const Error& e) {
    found.unreadable.push_back({folder, e.what()});
    return;
  }
  files_ += std::ssize(listing.files) + std::ssize(listing.skipped);
  REPRISE_CHECK(files_ <= max_files_, "data: more than {} files in one task\n  folder  {}", max_files_,
                folder);
  if (depth == 0) found.folders = listing.folders;
  for (const std::string& name : listing.skipped) found.skipped.push_back(folder + "/" + name);
  for (const std::string& name : listing.files) {
    const std::string path = folder + "/" + name;
    std::string reason = why_no_image(path);
    if (reason.empty())
      found.images.push_back(below + name);
    else
      found.unreadable.push_back({path, std::move(reason)});
  }
  const std::string here = canonical(folder);
  for (const std::string& name : listing.folders) {
    const std::string path = folder + "/" + name, real = canonical(path);
    if (encloses(real, here))
      found.notes.push_back(
          fmt::format("the link {} leads back to a folder around it; not followed", escaped(path)));
    else if (!visited_.insert(real).second)
      found.notes.push_back(
          fmt::format("the link {} leads to a folder that is read already; not followed", escaped(path)));
    else
      walk(path, below + name + "/", depth + 1, found);
  }
}

bool holds_images(const std::string& folder) {
  const Listing listing = list_folder(folder);
  return std::any_of(listing.files.begin(), listing.files.end(), [&](const std::string& name) {
    return has_image_extension(name) || why_no_image(folder + "/" + name).empty();
  });
}

}  // namespace reprise::data
