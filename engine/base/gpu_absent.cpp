// gpu.h in a build without CUDA: there is no GPU, and each call that needs one says so.
#if !defined(REPRISE_WITH_CUDA)

#include "engine/base/check.h"
#include "engine/base/gpu.h"

namespace reprise::gpu {
namespace {

[[noreturn]] void absent(int index) {
  throw_error(
      "cuda:{}: this build has no CUDA backend; configure with -DREPRISE_CUDA=ON, or use the device cpu",
      index);
}

}  // namespace

int count() {
  return 0;
}
void require(int index) {
  absent(index);
}
std::string describe(int index) {
  absent(index);
}
void synchronize(int index) {
  absent(index);
}
bool chooses_by_shape() {
  return false;
}
std::int64_t launches() {
  return 0;
}
void select(int index) {
  absent(index);
}
std::byte* allocate(int index, std::size_t) {
  absent(index);
}
void release(int, std::byte*) noexcept {}
Room room(int index) {
  absent(index);
}
void copy_in(int index, void*, const void*, std::size_t) {
  absent(index);
}
void copy_out(int index, void*, const void*, std::size_t) {
  absent(index);
}
void copy_within(int index, void*, const void*, std::size_t) {
  absent(index);
}
void fill(int index, void*, std::uint8_t, std::size_t) {
  absent(index);
}
std::byte* seal(int index, const void*, std::size_t) {
  absent(index);
}
void release_sealed(int, std::byte*) noexcept {}
Graph::Graph(int index) : index_(index) {
  absent(index);
}
Graph::~Graph() = default;
void Graph::finish() {
  absent(index_);
}
void Graph::replay() {
  absent(index_);
}

}  // namespace reprise::gpu

#endif
