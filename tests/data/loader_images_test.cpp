// Images in one call, and the error that lists the files that cannot be read.
#include "data/loader/load_images.h"

#include <gtest/gtest.h>

#include <cstdlib>

#include "data/loader/image_store.h"
#include "tests/data/temporary_folder.h"
#include "tests/engine/expect_error.h"

namespace reprise::data {
namespace {

using reprise::testing::expect_error;

TEST(LoadImages, FilesBecomeOneTensor) {
  TemporaryFolder dir;
  dir.image("a.ppm", 7, 2, 2);
  dir.image("b.ppm", 20, 5, 4);
  const Tensor images = load_images({dir.path("b.ppm"), dir.path("a.ppm")}, 2);
  EXPECT_EQ(images.shape(), (Shape{2, 2, 2, 3}));
  for (int i = 0; i < 12; ++i) EXPECT_EQ(images.rows(1, 2).data<std::uint8_t>()[i], 7 + i);
  EXPECT_EQ(load_images({}, 2).shape(), (Shape{0, 2, 2, 3}));
}

TEST(LoadImages, AFolderOfClassFoldersIsATask) {
  TemporaryFolder dir;
  for (int i = 0; i < 20; ++i) dir.image((i % 2 == 0 ? "cat/" : "dog/") + std::to_string(i) + ".ppm", i);
  dir.write("dog/broken.ppm", "P6\n5 4\n255\ncut");
  expect_error([&] { load_task(dir.path(), 2); }, "data: 1 files cannot be read", "dog/broken.ppm: ");
  const LoadedTask task = load_task(dir.path(), 2, {.skip_bad = true});
  EXPECT_EQ(task.classes, (std::vector<std::string>{"cat", "dog"}));
  EXPECT_EQ(task.train.images.shape(), (Shape{18, 2, 2, 3}));
  EXPECT_EQ(task.train.labels.shape(), Shape{18});
  EXPECT_EQ(task.val.images.dim(0), 2);
  EXPECT_EQ(task.val.labels.data<std::int64_t>()[1], 1);
  EXPECT_EQ(task.test.images.dim(0), 0);
}

TEST(LoadImages, SeveralTasksAreAnError) {
  TemporaryFolder dir;
  for (const std::string task : {"pets", "birds"})
    for (const std::string c : {"/a", "/b"})
      for (const std::string i : {"/0.ppm", "/1.ppm"}) dir.image(task + c + i);
  expect_error([&] { load_task(dir.path(), 2); }, "expected one task, found 2", "SetOptions::tasks",
               dir.path());
  EXPECT_EQ(load_task(dir.path(), 2, {.tasks = {"birds"}}).train.images.dim(0), 2);
}

TEST(LoadImages, AnImageThatIsNotThereIsNoInternalError) {
  TemporaryFolder dir;
  dir.image("good.ppm");
  dir.write("bad\n.ppm", "P6\n5 4\n255\ncut");
  ImageStore store(
      {{dir.path("good.ppm"), "", 0}, {dir.path("bad\n.ppm"), "", 0}, {dir.path("none.ppm"), "", 0}}, 2, {});
  const std::vector<std::int64_t> bad{0, 1};
  expect_error([&] { store.batch(bad); }, "the images are not loaded; call load() first", "good.ppm");
  EXPECT_EQ(store.load().size(), 2u);
  EXPECT_EQ(store.batch(std::vector<std::int64_t>{0}).dim(0), 1);
  expect_error([&] { store.batch(bad); }, "data: 2 files cannot be read", "/bad\\x0A.ppm: ", "/none.ppm: ");
  expect_error([&] { store.digest(); }, "2 files cannot be read");
}

TEST(LoadImages, ACacheFileInSeveralParts) {
  TemporaryFolder dir;
  dir.image("a.ppm", 7, 1, 1);
  dir.image("b.ppm", 20, 1, 1);
  dir.image("c.ppm", 40, 1, 1);
  constexpr int size = 3345;  // one image a part of 64 MiB
  ::setenv("REPRISE_CACHE_MB", "0", 1);
  ImageStore store({{dir.path("a.ppm"), "", 0}, {dir.path("b.ppm"), "", 0}}, size, dir.path("cache"));
  EXPECT_TRUE(store.load().empty());
  ::unsetenv("REPRISE_CACHE_MB");
  for (const std::int64_t i : {0, 1}) {
    const Tensor image = store.batch(std::vector<std::int64_t>{i});
    const int value = i == 0 ? 7 : 20;
    EXPECT_EQ(image.data<std::uint8_t>()[0], value);
    EXPECT_EQ(image.data<std::uint8_t>()[image.numel() - 1], value + 2);
  }
  ImageStore other({{dir.path("a.ppm"), "", 0}, {dir.path("c.ppm"), "", 0}}, size, dir.path("cache"));
  other.adopt(store);
  EXPECT_TRUE(other.in_cache_file());
  EXPECT_EQ(other.missing(), 1);
}

TEST(LoadImages, AStoreTakesOverImagesOfTheSameKindOnly) {
  TemporaryFolder dir;
  dir.image("a.ppm");
  const std::vector<Sample> samples{{dir.path("a.ppm"), "", 0}};
  ImageStore loaded(samples, 2, ""), larger(samples, 3, ""), clipped(samples, 2, "", Grey16::clip),
      same(samples, 2, "");
  EXPECT_TRUE(loaded.load().empty());
  for (ImageStore* other : {&larger, &clipped}) EXPECT_THROW(other->adopt(loaded), InternalError);
  same.adopt(loaded);
  EXPECT_EQ(same.missing(), 0);
  EXPECT_FALSE(same.in_cache_file());
}

TEST(LoadImages, TheProgressEndsAtTheNumberOfImages) {
  TemporaryFolder dir;
  dir.image("a.ppm");
  const std::vector<Sample> samples{{dir.path("a.ppm"), "", 0}, {dir.path("none.ppm"), "", 0}};
  ::setenv("REPRISE_CACHE_MB", "0", 1);
  for (int i = 0; i < 2; ++i) {  // the second time, a cache file exists
    std::vector<std::int64_t> calls;
    ImageStore store(samples, 2, dir.path("cache"));
    EXPECT_EQ(
        store.load([&](std::int64_t done, std::int64_t total) {
               calls.insert(calls.end(), {done, total});
             })
            .size(),
        1U);
    EXPECT_EQ(calls, (std::vector<std::int64_t>{1, 2, 2, 2}));
  }
  ::unsetenv("REPRISE_CACHE_MB");
}

}  // namespace
}  // namespace reprise::data
