// Views: the operands of a kernel. A view is a pointer with shape and dtype, and owns nothing.
#pragma once

#include <span>

#include "engine/base/export.h"
#include "engine/core/dtype.h"
#include "engine/core/shape.h"

namespace reprise {

class Storage;

// A read-only, contiguous operand; an absent one is a default View (`ptr == nullptr`). If the
// view covers all of a sealed storage, `sealed` is that storage, where kernels keep derived forms.
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
  // Returns element i, of any dtype, as a double. The memory must be the host's.
  REPRISE_API double value(std::int64_t i) const;
};

// A writable, contiguous operand, which a kernel fills completely. Converts to a View of it.
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

// Lists of operands, for kernels that take many tensors in one call.
using Views = std::span<const View>;
using MutViews = std::span<const MutView>;

}  // namespace reprise
