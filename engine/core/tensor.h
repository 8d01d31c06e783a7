// A tensor is a handle on shape, dtype, device and shared storage; its elements are contiguous,
// row-major. Copies of a handle see the same elements and the same gradient.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <type_traits>
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
  Tensor() = default;  // undefined, which means "none": its shape, dtype and elements throw Error
  bool defined() const { return impl_ != nullptr; }

  const Shape& shape() const;
  std::int64_t dim(int i) const { return shape()[i]; }  // -1 is the innermost
  int rank() const { return shape().rank(); }
  std::int64_t numel() const { return shape().numel(); }
  DType dtype() const;
  Device device() const;
  std::size_t bytes() const { return static_cast<std::size_t>(numel()) * size_of(dtype()); }

  // Return the elements, which live as long as the storage. Throw Error if T does not match the
  // dtype or the tensor is on a GPU. mutable_data increments the version; Error if sealed. Write
  // before the next op uses the tensor: only a new call of mutable_data shows backward a change
  // (REPRISE_STRICT=1 finds a late write).
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
  std::span<const std::byte> raw_bytes() const;  // throws Error on a GPU
  double item() const;  // the only element, of any dtype and device; throws Error unless there is one

  // The functions from clone() to sealed_copy() record no gradient.
  // Returns a copy of the elements on the same device.
  Tensor clone() const;
  // Returns a tensor on the same storage that no gradient flows through.
  Tensor detach() const;
  // Return a tensor on the same storage: with another shape of as many elements, or only the rows
  // [begin, end) of the leading dimension. Throw Error if shape or range does not fit.
  // ops::reshape and ops::slice do the same and record gradients.
  Tensor viewed_as(const Shape& shape) const;
  Tensor rows(std::int64_t begin, std::int64_t end) const;
  // Return a copy on another device or in another dtype; if nothing changes, this tensor itself.
  Tensor to(Device device) const;
  Tensor to(DType dtype) const;

  // Returns a copy in read-only memory, for frozen weights (see Storage::sealed_copy).
  Tensor sealed_copy() const;
  bool is_sealed() const;

  // Return a kernel's operand, which does not keep the storage alive. An undefined tensor gives an
  // empty view. mut_view increments the version, and throws Error if the memory is sealed.
  View view() const;
  MutView mut_view();
  std::uint64_t version() const;  // counts the requests to write to the storage
  // Returns whether the elements have values: false between empty() and the first request to write.
  // Ops refuse an operand without values.
  bool is_written() const;
  const std::shared_ptr<Storage>& storage() const;
  // Returns whether nothing else holds this memory, not even a copy of this handle.
  bool is_sole_owner() const;

  // For engine/autograd only; everyone else uses its functions.
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

// Return new tensors; empty() leaves the elements uninitialised. Throw Error if memory is short
// or the device does not exist.
REPRISE_API Tensor empty(const Shape& shape, DType dtype = DType::f32, Device device = cpu_device);
REPRISE_API Tensor full(const Shape& shape, double value, DType dtype = DType::f32,
                        Device device = cpu_device);
REPRISE_API Tensor zeros(const Shape& shape, DType dtype = DType::f32, Device device = cpu_device);
REPRISE_API Tensor ones(const Shape& shape, DType dtype = DType::f32, Device device = cpu_device);
// Return a tensor of these values, in row-major order. Throw Error unless there are shape.numel().
REPRISE_API Tensor tensor(const Shape& shape, std::span<const float> values, Device device = cpu_device);
REPRISE_API Tensor tensor(const Shape& shape, std::span<const double> values, Device device = cpu_device);
REPRISE_API Tensor tensor(const Shape& shape, std::span<const std::int64_t> values,
                          Device device = cpu_device);
REPRISE_API Tensor tensor(const Shape& shape, std::span<const std::uint8_t> values,
                          Device device = cpu_device);
// tensor({2}, {0.5, 1}) is f32; tensor<std::int64_t>({3}, {0, 1, 2}) is i64, as labels are.
template <class T = float>
Tensor tensor(const Shape& shape, std::initializer_list<std::type_identity_t<T>> values,
              Device device = cpu_device) {
  return tensor(shape, std::span<const T>(values.begin(), values.size()), device);
}
// Returns f32 samples of the normal distribution, mean 0 and variance 1, from the stream (seed, "randn").
REPRISE_API Tensor randn(const Shape& shape, std::uint64_t seed, Device device = cpu_device);
// Copies the elements of `from` over those of `to`, in place and between any two devices.
// Throws Error if shapes or dtypes differ, or `to` is sealed.
REPRISE_API void copy_into(Tensor& to, const Tensor& from);

// Returns the text for messages: "[32, 16, 8, 8]  f32 cpu", or "(none)" if undefined.
REPRISE_API std::string describe(const Tensor& t);

// Convert between f32 and bf16. Rounds to nearest, ties to even; NaN stays NaN.
REPRISE_API BFloat16 to_bfloat16(float value);
REPRISE_API float to_float(BFloat16 value);

}  // namespace reprise
