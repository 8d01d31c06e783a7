// The backbone's identity.
#include "data/weights/identity.h"

#include <gtest/gtest.h>

#include "engine/base/error.h"

namespace reprise::data {
namespace {

TEST(Identity, IsTheHashOfTheDocumentedBytes) {
  // sha256(b"reprise backbone 1\n"
  //        + pack("<Q", 1) + b"a" + pack("<Q", 3) + b"i64" + pack("<Q", 0) + pack("<q", -2)
  //        + pack("<Q", 1) + b"b" + pack("<Q", 3) + b"f32" + pack("<QQQ", 2, 1, 2) + pack("<ff", 1, 2.5))
  const NamedTensor a{"a", full({}, -2, DType::i64)}, b{"b", tensor({1, 2}, {1.0f, 2.5f})};
  EXPECT_EQ(backbone_identity({b, a}), "bba0d3d5698d397fa04256c3da9c5dcb2520501c4ae3bfcf090a8dba73ccf59e");
  EXPECT_EQ(backbone_identity({a, b}), backbone_identity({b, a}));
}

TEST(Identity, DependsOnEverything) {
  const std::string base = backbone_identity({{"a", ones({2, 3})}});
  EXPECT_NE(backbone_identity({{"b", ones({2, 3})}}), base);
  EXPECT_NE(backbone_identity({{"a", ones({3, 2})}}), base);
  EXPECT_NE(backbone_identity({{"a", zeros({2, 3})}}), base);
  EXPECT_NE(backbone_identity({{"a", ones({2, 3}, DType::f64)}}), base);
  EXPECT_THROW(backbone_identity({{"a", ones({1})}, {"a", ones({1})}}), Error);
}

}  // namespace
}  // namespace reprise::data
