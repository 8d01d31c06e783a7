#include "data/weights/identity.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/sha256.h"

namespace reprise::data {
namespace {

void add_number(Sha256& hash, std::uint64_t value) {
  hash.update(std::as_bytes(std::span(&value, 1)));
}
void add_text(Sha256& hash, std::string_view text) {
  add_number(hash, text.size());
  hash.update(text);
}

}  // namespace

std::string backbone_identity(const std::vector<NamedTensor>& body) {
  std::vector<const NamedTensor*> order;
  for (const NamedTensor& t : body) order.push_back(&t);
  std::sort(order.begin(), order.end(),
            [](const NamedTensor* a, const NamedTensor* b) { return a->name < b->name; });
  Sha256 hash;
  hash.update("reprise backbone 1\n");
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto& [name, tensor] = *order[i];
    REPRISE_CHECK(i == 0 || order[i - 1]->name != name, "backbone identity: {} comes twice", name);
    REPRISE_CHECK(tensor.device().is_host(), "backbone identity: {} is on {}; it is taken on the host", name,
                  to_string(tensor.device()));
    add_text(hash, name);
    add_text(hash, name_of(tensor.dtype()));
    add_number(hash, static_cast<std::uint64_t>(tensor.rank()));
    for (std::int64_t d : tensor.shape().dims()) add_number(hash, static_cast<std::uint64_t>(d));
    hash.update(tensor.raw_bytes());
  }
  return hash.hex();
}

}  // namespace reprise::data
