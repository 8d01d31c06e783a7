// A tensor: a handle on shape, dtype, device and shared storage. Always contiguous, row-major.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/base/export.h"
#include "engine/core/device.h"
#include "engine/core/dtype.h"
#include "engine/core/shape.h"
#include "engine/core/view.h"

namespace reprise {

class Storage;
struct AutogradMeta;  // engine/autograd

class REPRISE_API Tensor {
 public:
  Tensor() = default;  // undefined: stands for "none"
  bool defined() const { return impl_ != nullptr; }

  const Shape& shape() const;
  std::int64_t dim(int i) const { return shape()[i]; }  // -1 is the innermost
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return shape().numel(); }
  DType dtype() const;
  Device device() const;
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype()); }

  // The elements, for host devices. T must match the dtype; mutable_data counts as a change (version) and
  // throws on sealed memory.
  template <class T>
  const T* data() const {
    return static_cast<const T*>(raw(dtype_of<T>));
  }
  template <class T>
  T* mutable_data() {
    return static_cast<T*>(mutable_raw(dtype_of<T>));
  }
  template <class T>
  std::span<const T> values() const {
    return {data<T>(), static_cast<std::size_t>(numel())};
  }
  std::span<const std::byte> raw_bytes() const;
  double item() const;  // the value of a tensor of one element, of any dtype

  // A copy of the elements, outside any gradient.
  Tensor clone() const;
  // The same storage, outside any gradient.
  Tensor detach() const;
  // The same storage with another shape of as many elements; the rows [begin, end) of the leading dimension.
  // Both outside any gradient: ops::reshape and ops::slice are the differentiable ones.
  Tensor viewed_as(const Shape& shape) const;
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  // A copy there, or of that dtype; this tensor itself where nothing changes. Outside any gradient.
  Tensor to(Device device) const;
  Tensor to(DType dtype) const;

  // For frozen weights: a copy in read-only memory (see Storage::sealed_copy).
  Tensor sealed_copy() const;
  bool is_sealed() const;

  View view() const;
  MutView mut_view();  // counts as a change, throws on sealed memory
  std::uint64_t version() const;
  const std::shared_ptr<Storage>& storage() const;
  // Whether no other tensor shares this one's memory, not even a copy of this handle.
  bool is_sole_owner() const;

  // The gradient's side; use the functions of engine/autograd.
  std::shared_ptr<AutogradMeta>& autograd_meta() const;

 private:
  friend REPRISE_API Tensor empty(const Shape& shape, DType dtype, Device device);
  struct Impl;
  explicit Tensor(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}
  const Impl& impl() const;
  const void* raw(DType expected) const;
  void* mutable_raw(DType expected);

  std::shared_ptr<Impl> impl_;
};

// New tensors.
REPRISE_API Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = cpu_device);
REPRISE_API Tensor full(const Shape& shape, double value, DType dtype = DType::f32,
                        Device device = cpu_device);
REPRISE_API Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = cpu_device);
REPRISE_API Tensor ones(const Shape& shape, DType dtype = DType::f32, Device device = cpu_device);
// The values in row-major order; their number must be shape.numel().
REPRISE_API Tensor tensor(const Shape& shape, std::span<const float> values, Device device = cpu_device);
REPRISE_API Tensor tensor(const Shape& shape, std::span<const double> values, Device device = cpu_device);
REPRISE_API Tensor tensor(const Shape& shape, std::span<const std::int64_t> values,
                          Device device = cpu_device);
REPRISE_API Tensor tensor(const Shape& shape, std::span<const std::uint8_t> values,
                          Device device = cpu_device);
inline Tensor tensor(const Shape& shape, std::initializer_list<float> values, Device device = cpu_device) {
  return tensor(shape, std::span<const float>(values.begin(), values.size()), device);
}
// Copies the elements of `from` over those of `to` (same shape and dtype); an in-place change of `to`.
REPRISE_API void copy_into(Tensor& to, const Tensor& from);

// "[32, 16, 8, 8]  f32 cpu", for messages; "(none)" where undefined.
REPRISE_API std::string describe(const Tensor& t);

// bf16 <-> f32, round to nearest even; NaN stays NaN.
REPRISE_API BFloat16 to_bfloat16(float value);
REPRISE_API float to_float(BFloat16 value);

}  // namespace reprise
