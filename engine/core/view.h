// What a kernel gets: a pointer with shape and dtype, owning nothing.
#pragma once

#include "engine/base/export.h"
#include "engine/core/dtype.h"
#include "engine/core/shape.h"

namespace reprise {

class Storage;

// Read-only, contiguous. `sealed` is the storage where it is sealed (its derived forms may be used), else
// null. A default View stands for an absent optional operand (`v.ptr == nullptr`).
struct View {
  const void* ptr = nullptr;
  Shape shape{};
  DType dtype = DType::f32;
  const Storage* sealed = nullptr;

  template <class T>
  const T* data() const {
    return static_cast<const T*>(ptr);
  }
  explicit operator bool() const { return ptr != nullptr; }
  std::int64_t dim(int i) const { return shape[i]; }
  std::int64_t numel() const { return shape.numel(); }
  // Element i as a double, of any dtype, in host memory.
  REPRISE_API double value(std::int64_t i) const;
};

// Writable, contiguous; a kernel fills all of it. Converts to a View of the same elements.
struct MutView {
  void* ptr = nullptr;
  Shape shape{};
  DType dtype = DType::f32;

  operator View() const { return {ptr, shape, dtype}; }  // NOLINT: implicit on purpose
  template <class T>
  T* data() const {
    return static_cast<T*>(ptr);
  }
  explicit operator bool() const { return ptr != nullptr; }
  std::int64_t dim(int i) const { return shape[i]; }
  std::int64_t numel() const { return shape.numel(); }
};

}  // namespace reprise
