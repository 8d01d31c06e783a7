// Decoded images: in memory or in a cache file, the same pixels for any number of threads.
#include "data/loader/image_store.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>

#include "data/image/image.h"
#include "data/image/resize.h"
#include "data/loader/check_readable.h"
#include "engine/base/parallel.h"
#include "engine/base/sha256.h"
#include "tests/data/temporary_folder.h"

namespace reprise::data {
namespace {

namespace fs = std::filesystem;
using Indices = std::vector<std::int64_t>;

// Sets an environment variable while it lives.
class Env {
 public:
  Env(const char* name, const char* value) : name_(name) { ::setenv(name, value, 1); }
  ~Env() { ::unsetenv(name_); }

 private:
  const char* name_;
};

struct Threads {
  explicit Threads(int n) { set_thread_count(n); }
  ~Threads() { set_thread_count(0); }
};

std::vector<Sample> make_samples(const TemporaryFolder& dir, int n) {
  std::vector<Sample> samples;
  for (int i = 0; i < n; ++i) {
    const std::string file = "c/" + std::to_string(i) + ".ppm";
    dir.image(file, 7 * i, 5 + i % 3, 4);
    samples.push_back({dir.path(file), file, i % 2});
  }
  return samples;
}

Indices all_of(const ImageStore& store) {
  Indices indices;
  for (std::int64_t i = 0; i < store.count(); ++i) indices.push_back(i);
  return indices;
}

std::vector<std::uint8_t> pixels(const ImageStore& store, const Indices& indices) {
  const Tensor batch = store.batch(indices);
  return {batch.values<std::uint8_t>().begin(), batch.values<std::uint8_t>().end()};
}

Image read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  const std::string bytes(std::istreambuf_iterator<char>(file), {});
  return decode_image(std::as_bytes(std::span(bytes)));
}

std::vector<fs::path> files_in(const std::string& folder) {
  std::vector<fs::path> files;
  if (fs::exists(folder))
    for (const auto& entry : fs::directory_iterator(folder)) files.push_back(entry.path());
  return files;
}

TEST(ImageStore, HoldsDecodedResizedImages) {
  TemporaryFolder dir;
  ImageStore store(make_samples(dir, 5), 4, "");
  std::vector<std::int64_t> steps;
  EXPECT_EQ(store.missing(), 5);
  EXPECT_TRUE(store
                  .load([&](std::int64_t done, std::int64_t total) {
                    steps.push_back(done);
                    EXPECT_EQ(total, 5);
                  })
                  .empty());
  EXPECT_EQ(steps, (Indices{1, 2, 3, 4, 5}));
  EXPECT_EQ(store.missing(), 0);
  EXPECT_EQ(store.decoded(), 5);
  EXPECT_FALSE(store.in_cache_file());
  const Tensor batch = store.batch(Indices{4, 1, 1});
  EXPECT_EQ(batch.shape(), (Shape{3, 4, 4, 3}));
  EXPECT_EQ(batch.dtype(), DType::u8);
  std::vector<std::uint8_t> expected;
  for (const int i : {4, 1, 1}) {
    const Image image = resize_bilinear(read(dir.path("c/" + std::to_string(i) + ".ppm")), 4, 4);
    expected.insert(expected.end(), image.rgb.begin(), image.rgb.end());
  }
  EXPECT_EQ(pixels(store, {4, 1, 1}), expected);
  const Tensor labels = store.batch_labels(Indices{4, 1, 1});
  EXPECT_EQ(Indices(labels.values<std::int64_t>().begin(), labels.values<std::int64_t>().end()),
            (Indices{0, 1, 1}));
  EXPECT_EQ(store.labels(), (Indices{0, 1, 0, 1, 0}));
  EXPECT_EQ(store.batch(Indices{}).shape(), (Shape{0, 4, 4, 3}));
  for (const std::int64_t bad : {-1, 5})
    EXPECT_NE(message_of([&] {
                store.batch(Indices{0, bad});
              }).find("image " + std::to_string(bad)),
              std::string::npos);
  EXPECT_TRUE(store.load().empty());  // all images are decoded already
  EXPECT_EQ(store.decoded(), 5);
}

TEST(ImageStore, TheDigestIsOverLabelsAndPixels) {
  TemporaryFolder dir;
  auto samples = make_samples(dir, 3);
  ImageStore store(samples, 4, "");
  store.load();
  Sha256 hash;
  for (std::int64_t i = 0; i < 3; ++i) {
    const char label[8] = {static_cast<char>(i % 2)};
    hash.update(std::string_view(label, 8));
    const auto image = pixels(store, {i});
    Sha256 inner;
    inner.update(std::as_bytes(std::span(image)));
    const auto digest = inner.digest();
    hash.update(std::as_bytes(std::span(digest)));
  }
  EXPECT_EQ(store.digest(), hash.hex());
  const auto digest_of = [&] {
    ImageStore other(samples, 4, "");
    other.load();
    return other.digest();
  };
  EXPECT_EQ(digest_of(), store.digest());
  samples[1].label = 0;
  EXPECT_NE(digest_of(), store.digest());
  samples[1].label = 1;
  std::swap(samples[0], samples[2]);  // equal labels, other pixels
  EXPECT_NE(digest_of(), store.digest());
}

TEST(ImageStore, AnyNumberOfThreadsAndTheCacheFileGiveTheSame) {
  TemporaryFolder dir;
  const auto samples = make_samples(dir, 41);
  std::map<std::string, std::vector<std::uint8_t>> results;
  for (const int threads : {1, 2, 3})
    for (const char* limit : {"4096", "0"}) {
      const Threads scope(threads);
      const Env env("REPRISE_CACHE_MB", limit);
      const std::string cache = dir.path("cache" + std::to_string(threads));
      ImageStore store(samples, 6, cache);
      EXPECT_TRUE(store.load().empty());
      EXPECT_EQ(store.in_cache_file(), limit[0] == '0');
      EXPECT_EQ(files_in(cache).size(), limit[0] == '0' ? 1u : 0u);
      results[store.digest()] = pixels(store, all_of(store));
    }
  EXPECT_EQ(results.size(), 1u);
}

TEST(ImageStore, ReusesACacheFileOfTheSameContents) {
  TemporaryFolder dir;
  const Env env("REPRISE_CACHE_MB", "0");
  auto samples = make_samples(dir, 9);
  const std::string cache = dir.path("run/cache");
  ImageStore first(samples, 6, cache);
  first.load();
  EXPECT_EQ(first.decoded(), 9);
  std::int64_t last = 0;
  ImageStore second(samples, 6, cache);
  second.load([&](std::int64_t done, std::int64_t) { last = done; });
  EXPECT_EQ(second.decoded(), 0);
  EXPECT_EQ(last, 9);
  EXPECT_EQ(second.digest(), first.digest());
  EXPECT_EQ(pixels(second, all_of(second)), pixels(first, all_of(first)));
  EXPECT_EQ(files_in(cache).size(), 1u);
  ImageStore larger(samples, 7, cache);
  larger.load();
  EXPECT_EQ(larger.decoded(), 9);
  dir.image("c/3.ppm", 99);
  ImageStore changed(samples, 6, cache);
  changed.load();
  EXPECT_EQ(changed.decoded(), 9);
  EXPECT_NE(changed.digest(), first.digest());
  EXPECT_EQ(files_in(cache).size(), 3u);
  EXPECT_EQ(first.digest(), second.digest());  // a mapped file stays readable
}

TEST(ImageStore, ACacheFileIsOfOneKindOf16BitGrey) {
  TemporaryFolder dir;
  const Env env("REPRISE_CACHE_MB", "0");
  dir.write("grey.pgm", "P5 1 1 65535\n00");
  for (const auto& [grey16, pixel] :
       {std::pair(Grey16::scale, 48), {Grey16::clip, 255}, {Grey16::scale, 48}}) {
    ImageStore store({{dir.path("grey.pgm"), "", 0}}, 1, dir.path("cache"), grey16);
    EXPECT_TRUE(store.load().empty());
    EXPECT_EQ(int{pixels(store, {0})[0]}, pixel);
  }
  EXPECT_EQ(files_in(dir.path("cache")).size(), 2u);
}

TEST(ImageStore, ADamagedCacheFileIsBuiltAnew) {
  TemporaryFolder dir;
  const Env env("REPRISE_CACHE_MB", "0");
  const auto samples = make_samples(dir, 4);
  const std::string cache = dir.path("cache");
  std::string digest, good;
  {
    ImageStore store(samples, 6, cache);
    store.load();
    digest = store.digest();
  }
  const std::string file = files_in(cache).at(0).string();
  {
    std::ifstream in(file, std::ios::binary);
    good.assign(std::istreambuf_iterator<char>(in), {});
  }
  const auto damage = [&](std::string bytes) {
    fs::remove(file);
    std::ofstream(file, std::ios::binary) << bytes;
    ImageStore store(samples, 6, cache);
    EXPECT_TRUE(store.load().empty());
    EXPECT_EQ(store.decoded(), 4);
    EXPECT_EQ(store.digest(), digest);
    ImageStore again(samples, 6, cache);
    EXPECT_TRUE(again.load().empty());
    EXPECT_EQ(again.decoded(), 0);
    EXPECT_EQ(again.digest(), digest);
  };
  damage("");
  damage(good.substr(0, good.size() - 1));
  damage(good + "x");
  const std::size_t row = 6 * 6 * 3;
  for (const std::size_t at : {std::size_t{0}, row * 4 - 1, row * 4 + 5, good.size() - 88, good.size() - 75,
                               good.size() - 40, good.size() - 1}) {
    std::string bytes = good;
    bytes[at] = static_cast<char>(bytes[at] ^ 1);
    damage(bytes);
  }
}

TEST(ImageStore, SaysWhereACacheFileCannotBe) {
  TemporaryFolder dir;
  const Env env("REPRISE_CACHE_MB", "0");
  const auto samples = make_samples(dir, 3);
  {
    const std::string temporary = dir.path("temporary");
    fs::create_directory(temporary);
    const Env place("TMPDIR", temporary.c_str());
    ImageStore store(samples, 6, "");
    EXPECT_TRUE(store.load().empty() && store.in_cache_file());
    EXPECT_TRUE(fs::is_empty(temporary)) << "its space is free when the store is gone";
    EXPECT_EQ(store.batch(std::vector<std::int64_t>{0}).dim(1), 6);
    const Env absent("TMPDIR", dir.path("absent").c_str());
    EXPECT_NE(message_of([&] { ImageStore(samples, 6, "").load(); }).find("REPRISE_CACHE_DIR"),
              std::string::npos);
  }
  dir.write("file", "x");
  EXPECT_NE(message_of([&] { ImageStore(samples, 6, dir.path("file/cache")).load(); }).find("cannot be made"),
            std::string::npos);
  const std::string elsewhere = dir.path("elsewhere");
  const Env set("REPRISE_CACHE_DIR", elsewhere.c_str());
  ImageStore store(samples, 6, dir.path("cache"));
  store.load();
  EXPECT_EQ(files_in(elsewhere).size(), 1u);
  EXPECT_FALSE(fs::exists(dir.path("cache")));
}

TEST(ImageStore, StoresShareTheLimit) {
  TemporaryFolder dir;
  const Env env("REPRISE_CACHE_MB", "1");
  const auto samples = make_samples(dir, 3);  // 3 images of 400x400x3 are 1.37 MiB, two 0.92
  const std::vector<Sample> two(samples.begin(), samples.begin() + 2),
      one(samples.begin() + 2, samples.end());
  const auto in_file = [&](const std::vector<Sample>& some, ImageStore& store) {
    EXPECT_TRUE(store.load().empty()) << some.size();
    return store.in_cache_file();
  };
  {
    ImageStore first(two, 400, dir.path("cache")), second(one, 400, dir.path("cache"));
    EXPECT_FALSE(in_file(two, first));
    EXPECT_TRUE(in_file(one, second));
  }
  ImageStore third(one, 400, dir.path("cache"));
  EXPECT_FALSE(in_file(one, third));  // the others returned their share
}

TEST(ImageStore, ListsWhatCannotBeDecoded) {
  TemporaryFolder dir;
  auto samples = make_samples(dir, 6);
  dir.write("c/1.ppm", "P6\n5 4\n255\ncut");
  dir.write("c/4.ppm", "");
  fs::remove(samples[5].path);
  for (const char* limit : {"4096", "0", "0"}) {  // the last time, a cache file exists
    const Env env("REPRISE_CACHE_MB", limit);
    ImageStore store(samples, 6, dir.path("cache"));
    const auto bad = store.load();
    ASSERT_EQ(bad.size(), 3u);
    EXPECT_EQ(bad[0].path, samples[1].path);
    EXPECT_FALSE(bad[0].reason.empty());
    EXPECT_NE(bad[1].reason.find("empty"), std::string::npos) << bad[1].reason;
    EXPECT_EQ(bad[2].reason, "no such file");
    EXPECT_EQ(store.missing(), 3);
    EXPECT_NO_THROW(store.batch(Indices{0, 2, 3}));
    EXPECT_THROW(store.batch(Indices{1}), std::exception);
  }
}

TEST(ImageStore, AnExceptionOfTheProgressEndsTheLoading) {
  TemporaryFolder dir;
  const auto samples = make_samples(dir, 20);
  for (const char* limit : {"4096", "0"}) {
    const Env env("REPRISE_CACHE_MB", limit);
    ImageStore store(samples, 6, dir.path("cache"));
    int calls = 0;
    EXPECT_THROW(store.load([&](std::int64_t done, std::int64_t) {
      ++calls;
      if (done == 3) throw std::runtime_error("enough");
    }),
                 std::runtime_error);
    EXPECT_EQ(calls, 3);
    EXPECT_TRUE(files_in(dir.path("cache")).empty());
    EXPECT_TRUE(store.load().empty());  // load() may be called again
    EXPECT_EQ(store.missing(), 0);
  }
}

TEST(ImageStore, RefusesSizesOutOfRange) {
  for (const int size : {0, -1, 5000})
    EXPECT_NE(message_of([&] { ImageStore({}, size, ""); }).find(std::to_string(size)), std::string::npos);
}

TEST(CheckReadable, ListsAndStopsOrSkips) {
  TemporaryFolder dir;
  for (int i = 0; i < 12; ++i)
    for (const std::string c : {"a", "b", "z"}) dir.image(c + "/" + std::to_string(i) + ".ppm", i);
  for (int i = 0; i < 12; ++i) dir.write("broken/" + std::to_string(i) + ".ppm", "P6\n5 4\n255\ncut");
  SetOptions options;
  const Task found = find_tasks(dir.path(), options).at(0);
  // One validation image, one training image.
  const std::string val = found.val[0].path, train = found.train[0].path;
  for (const std::string& path : {val, train}) std::ofstream(path) << "P6\n5 4\n255\ncut";

  Task listed = found, listed_too = found;
  check_readable(listed, options, 6, "");
  check_readable(listed_too, options);
  EXPECT_EQ(listed.unreadable.size(), 14u);
  EXPECT_EQ(listed.unreadable, listed_too.unreadable);
  EXPECT_EQ(listed.classes.size(), 4u);

  options.skip_bad = true;
  Task kept = found, kept_too = found;
  std::int64_t last_done = 0, last_total = 0;
  const TaskImages images = check_readable(kept, options, 6, "", [&](std::int64_t done, std::int64_t total) {
    last_done = done;
    last_total = total;
  });
  check_readable(kept_too, options);
  EXPECT_EQ(last_done, last_total);
  EXPECT_EQ(kept.unreadable.size(), 14u);
  EXPECT_EQ(kept.classes, (std::vector<std::string>{"a", "b", "z"}));
  EXPECT_EQ(kept.train.size() + kept.val.size(), 34u);
  EXPECT_EQ(kept.val.size(), 3u);
  EXPECT_EQ(kept_too.train.size(), kept.train.size());
  EXPECT_EQ(kept_too.unreadable, kept.unreadable);
  // The new splits have the right images, and none was decoded twice.
  EXPECT_EQ(images.train->missing() + images.val->missing() + images.test->missing(), 0);
  EXPECT_EQ(images.train->decoded() + images.val->decoded() + images.test->decoded(), 0);
  EXPECT_EQ(images.train->count(), static_cast<std::int64_t>(kept.train.size()));
  for (const ImageStore* store : {images.train.get(), images.val.get()})
    for (std::int64_t i = 0; i < store->count(); ++i) {
      const Sample& s = store->samples()[static_cast<std::size_t>(i)];
      EXPECT_EQ(pixels(*store, {i}), resize_bilinear(read(s.path), 6, 6).rgb) << s.relative;
      EXPECT_EQ(kept.classes[static_cast<std::size_t>(s.label)] + "/", s.relative.substr(0, 2));
    }
}

TEST(CheckReadable, ProgressCountsTheImagesOfAllSplits) {
  TemporaryFolder dir;
  for (int i = 0; i < 6; ++i)
    for (const std::string c : {"a", "b"}) dir.image(c + "/" + std::to_string(i) + ".ppm", i);
  Task task = find_tasks(dir.path(), {}).at(0);
  for (; task.test.size() < 3; task.train.pop_back()) task.test.push_back(task.train.back());
  ASSERT_FALSE(task.val.empty());
  for (const bool decode : {true, false}) {
    std::int64_t last = 0;
    const auto progress = [&](std::int64_t done, std::int64_t total) {
      EXPECT_GE(done, last);
      EXPECT_EQ(total, 12);
      last = done;
    };
    if (decode)
      check_readable(task, {}, 6, "", progress);
    else
      check_readable(task, {}, progress);
    EXPECT_EQ(last, 12);
  }
}

TEST(CheckReadable, WhatTakesABadImagesPlaceIsCheckedToo) {
  TemporaryFolder dir;
  for (int i = 0; i < 12; ++i)
    for (const std::string c : {"a", "b"}) dir.image(c + "/" + std::to_string(i) + ".ppm", i);
  SetOptions options;
  options.skip_bad = true;
  options.max_images = 4;
  Task task = find_tasks(dir.path(), options).at(0);
  const Task before = task;
  // All of class a except two images: splits are recomputed until two good images are found.
  std::size_t good = 0;
  for (const auto* split : {&before.spare, &before.train, &before.val})
    for (const Sample& s : *split)
      if (s.label == 0 && ++good > 2) std::ofstream(s.path) << "P6\n5 4\n255\ncut";
  const TaskImages images = check_readable(task, options, 6, "");
  EXPECT_EQ(task.unreadable.size(), 10u);
  EXPECT_EQ(images.train->count(), 3);
  EXPECT_EQ(images.val->count(), 2);
  EXPECT_EQ(images.train->missing() + images.val->missing(), 0);
}

TEST(CheckReadable, ATaskThatLosesItsClassesIsAnError) {
  TemporaryFolder dir;
  for (const std::string c : {"a", "b"}) dir.write(c + "/x.ppm", "P6\n5 4\n255\ncut");
  dir.image("a/y.ppm");
  SetOptions options;
  options.skip_bad = true;
  Task task = find_tasks(dir.path(), options).at(0);
  EXPECT_NE(message_of([&] { check_readable(task, options, 6, ""); }).find("at least two classes"),
            std::string::npos);
}

}  // namespace
}  // namespace reprise::data
