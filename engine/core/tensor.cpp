#include "engine/core/tensor.h"

#include <bit>
#include <cmath>
#include <cstring>

#include "engine/base/check.h"
#include "engine/base/gpu.h"
#include "engine/base/random.h"
#include "engine/core/storage.h"

namespace reprise {

struct Tensor::Impl {
  Shape shape;
  DType dtype = DType::f32;
  std::shared_ptr<Storage> storage;
  std::size_t offset = 0;  // in bytes
  std::shared_ptr<AutogradMeta> autograd;
};

namespace {

template <class F>
decltype(auto) with_type(DType d, F&& f) {
  switch (d) {
    case DType::f32:
      return f(float{});
    case DType::f64:
      return f(double{});
    case DType::bf16:
      return f(BFloat16{});
    case DType::u8:
      return f(std::uint8_t{});
    case DType::i64:
      return f(std::int64_t{});
  }
  throw InternalError("dtype");
}

template <class T>
double as_double(T v) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return static_cast<double>(to_float(v));
  else
    return static_cast<double>(v);
}

template <class T>
T from_double(double v) {
  if constexpr (std::is_same_v<T, BFloat16>)
    return to_bfloat16(static_cast<float>(v));
  else
    return static_cast<T>(v);
}

template <class T>
Tensor from_values(const Shape& shape, std::span<const T> values, Device device) {
  REPRISE_CHECK(static_cast<std::int64_t>(values.size()) == shape.numel(),
                "tensor: {} values do not fill the shape {}", values.size(), to_string(shape));
  Tensor t = empty(shape, dtype_of<T>, device);
  if (values.empty()) return t;
  const MutView to = t.mut_view();
  if (device.is_host())
    std::memcpy(to.ptr, values.data(), values.size_bytes());
  else
    gpu::copy_in(device.index, to.ptr, values.data(), values.size_bytes());
  return t;
}

}  // namespace

double View::value(std::int64_t i) const {
  return with_type(dtype, [&](auto zero) { return as_double(data<decltype(zero)>()[i]); });
}

const Tensor::Impl& Tensor::impl() const {
  REPRISE_CHECK(impl_ != nullptr,
                "tensor: an undefined tensor was used: it never got a value, or it was moved from; assign "
                "the result of an op, zeros() or tensor() first");
  return *impl_;
}
const Shape& Tensor::shape() const {
  return impl().shape;
}
DType Tensor::dtype() const {
  return impl().dtype;
}
Device Tensor::device() const {
  return impl().storage->device();
}
bool Tensor::is_sealed() const {
  return impl().storage->is_sealed();
}
std::uint64_t Tensor::version() const {
  return impl().storage->version();
}
bool Tensor::is_written() const {
  return is_sealed() || version() != 0 || numel() == 0;
}
const std::shared_ptr<Storage>& Tensor::storage() const {
  return impl().storage;
}
bool Tensor::is_sole_owner() const {
  return impl_.use_count() == 1 && impl().storage.use_count() == 1;
}
std::shared_ptr<AutogradMeta>& Tensor::autograd_meta() const {
  impl();
  return impl_->autograd;
}

const void* Tensor::raw(DType expected) const {
  const Impl& i = impl();
  REPRISE_CHECK(i.dtype == expected, "tensor: the elements are {}, not {}", name_of(i.dtype),
                name_of(expected));
  REPRISE_CHECK(device().is_host(), "tensor: the elements are on {}; copy them to the host first",
                to_string(device()));
  return i.storage->data() + i.offset;
}

void* Tensor::mutable_raw(DType expected) {
  raw(expected);
  return impl_->storage->mutable_data() + impl_->offset;
}

std::span<const std::byte> Tensor::raw_bytes() const {
  REPRISE_CHECK(is_written(), "tensor: the bytes of {} were never written", describe(*this));
  REPRISE_CHECK(device().is_host(), "tensor: the bytes are on {}; copy them to the host first",
                to_string(device()));
  return {impl().storage->data() + impl().offset, bytes()};
}

double Tensor::item() const {
  REPRISE_CHECK(numel() == 1, "item: expected one element, got {}", to_string(shape()));
  if (!device().is_host()) return to(cpu_device).item();
  return with_type(dtype(), [&](auto zero) { return as_double(*data<decltype(zero)>()); });
}

Tensor Tensor::detach() const {
  auto i = std::make_shared<Impl>(impl());
  i->autograd = nullptr;
  return Tensor(i);
}

Tensor Tensor::viewed_as(const Shape& shape) const {
  REPRISE_CHECK(shape.numel() == numel(), "reshape: {} does not have as many elements as {}",
                to_string(shape), to_string(this->shape()));
  Tensor t = detach();
  t.impl_->shape = shape;
  return t;
}

Tensor Tensor::rows(std::int64_t begin, std::int64_t end) const {
  REPRISE_CHECK(rank() >= 1 && 0 <= begin && begin <= end && end <= dim(0),
                "slice: rows [{}, {}) are not in {}", begin, end, to_string(shape()));
  Tensor t = detach();
  const std::size_t row = dim(0) == 0 ? 0 : bytes() / static_cast<std::size_t>(dim(0));
  t.impl_->offset += row * static_cast<std::size_t>(begin);
  t.impl_->shape = shape().with(0, end - begin);
  return t;
}

Tensor Tensor::clone() const {
  Tensor t = empty(shape(), dtype(), device());
  if (is_written()) copy_into(t, *this);
  return t;
}

Tensor Tensor::to(Device target) const {
  if (device() == target) return *this;
  Tensor t = empty(shape(), dtype(), target);
  if (is_written()) copy_into(t, *this);
  return t;
}

Tensor Tensor::to(DType target) const {
  if (dtype() == target) return *this;
  if (!device().is_host()) return to(cpu_device).to(target).to(device());
  Tensor t = empty(shape(), target, device());
  if (!is_written()) return t;
  with_type(dtype(), [&](auto from) {
    with_type(target, [&](auto to) {
      const auto* source = data<decltype(from)>();
      auto* destination = t.mutable_data<decltype(to)>();
      for (std::int64_t i = 0; i < numel(); ++i)
        destination[i] = from_double<decltype(to)>(as_double(source[i]));
    });
  });
  return t;
}

Tensor Tensor::sealed_copy() const {
  auto i = std::make_shared<Impl>(impl());
  i->autograd = nullptr;
  i->offset = 0;
  i->storage = Storage::sealed_copy({impl().storage->data() + impl().offset, bytes()}, device());
  return Tensor(i);
}

View Tensor::view() const {
  if (!defined()) return {};
  const bool whole = is_sealed() && impl().offset == 0 && bytes() == storage()->bytes();
  return {impl().storage->data() + impl().offset, shape(), dtype(), whole ? storage().get() : nullptr};
}

MutView Tensor::mut_view() {
  if (!defined()) return {};
  return {impl_->storage->mutable_data() + impl_->offset, shape(), dtype()};
}

Tensor empty(const Shape& shape, DType dtype, Device device) {
  auto i = std::make_shared<Tensor::Impl>();
  i->shape = shape;
  i->dtype = dtype;
  i->storage = Storage::allocate(static_cast<std::size_t>(shape.numel()) * size_of(dtype), device);
  return Tensor(i);
}

Tensor full(const Shape& shape, double value, DType dtype, Device device) {
  if (!device.is_host() && value == 0) {  // zero is zero bytes in every dtype
    Tensor t = empty(shape, dtype, device);
    if (t.numel() != 0) gpu::fill(device.index, t.mut_view().ptr, 0, t.bytes());
    return t;
  }
  if (!device.is_host()) return full(shape, value, dtype, cpu_device).to(device);
  Tensor t = empty(shape, dtype, device);
  with_type(dtype, [&](auto zero) {
    using T = decltype(zero);
    std::fill_n(t.mutable_data<T>(), t.numel(), from_double<T>(value));
  });
  return t;
}
Tensor zeros(const Shape& shape, DType dtype, Device device) {
  return full(shape, 0, dtype, device);
}
Tensor ones(const Shape& shape, DType dtype, Device device) {
  return full(shape, 1, dtype, device);
}

Tensor tensor(const Shape& shape, std::span<const float> v, Device d) {
  return from_values(shape, v, d);
}
Tensor tensor(const Shape& shape, std::span<const double> v, Device d) {
  return from_values(shape, v, d);
}
Tensor tensor(const Shape& shape, std::span<const std::int64_t> v, Device d) {
  return from_values(shape, v, d);
}
Tensor tensor(const Shape& shape, std::span<const std::uint8_t> v, Device d) {
  return from_values(shape, v, d);
}

Tensor randn(const Shape& shape, std::uint64_t seed, Device device) {
  RandomStream stream(seed, "randn");
  std::vector<float> values(static_cast<std::size_t>(shape.numel()));
  for (float& v : values) v = static_cast<float>(stream.normal());
  return tensor(shape, values, device);
}

void copy_into(Tensor& to, const Tensor& from) {
  REPRISE_CHECK(to.shape() == from.shape() && to.dtype() == from.dtype(), "copy: {} does not fit into {}",
                describe(from), describe(to));
  if (to.numel() == 0) return;
  const Device there = to.device(), here = from.device();
  void* const target = to.mut_view().ptr;
  const void* const source = from.view().ptr;
  if (there.is_host() && here.is_host())
    std::memmove(target, source, to.bytes());
  else if (here.is_host())
    gpu::copy_in(there.index, target, source, to.bytes());
  else if (there.is_host())
    gpu::copy_out(here.index, target, source, to.bytes());
  else if (there == here)
    gpu::copy_within(here.index, target, source, to.bytes());
  else
    copy_into(to, from.to(cpu_device));
}

std::string describe(const Tensor& t) {
  if (!t.defined()) return "(none)";
  return fmt::format("{}  {} {}", to_string(t.shape()), name_of(t.dtype()), to_string(t.device()));
}

BFloat16 to_bfloat16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  if (std::isnan(value)) return {static_cast<std::uint16_t>((bits >> 16) | 0x40)};
  return {static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16)};
}
float to_float(BFloat16 value) {
  return std::bit_cast<float>(static_cast<std::uint32_t>(value.bits) << 16);
}

}  // namespace reprise
