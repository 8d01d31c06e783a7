#include "apps/clr/learn/run_network.h"

#include <algorithm>

#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/ops/images.h"

namespace reprise::clr {

void check_images(const Tensor& images) {
  REPRISE_CHECK(images.dtype() == DType::u8 && images.rank() == 4 && images.dim(3) == 3 && images.numel() > 0,
                "images: expected u8 [N, H, W, 3], got {} {}", name_of(images.dtype()),
                to_string(images.shape()));
}

Tensor normalised(layers::Network& network, const Tensor& images) {
  check_images(images);
  return ops::normalize_images(images.to(network.head().weight.device()), network.image_dtype());
}

void Gathered::add(const Tensor& part) {
  parts_.push_back(part.detach());
  rows_ += part.dim(0);
}

Tensor Gathered::joined() const {
  REPRISE_INVARIANT(!parts_.empty(), "nothing was gathered");
  Tensor all = reprise::empty(parts_[0].shape().with(0, rows_), parts_[0].dtype(), parts_[0].device());
  std::int64_t at = 0;
  for (const Tensor& part : parts_) {
    Tensor rows = all.rows(at, at + part.dim(0));
    copy_into(rows, part);
    at += part.dim(0);
  }
  return all;
}

void thaw(layers::Network& network) {
  for (const layers::Entry& e : network.named_tensors()) {
    *e.tensor = e.tensor->clone();
    if (!e.is_buffer) set_requires_grad(*e.tensor);
  }
}

Outputs outputs_of(layers::Network& network, const Tensor& images) {
  const EvaluationMode mode(network);
  const NoGrad no_grad;
  Gathered features, logits;
  for (std::int64_t at = 0; at < images.dim(0); at += eval_batch) {
    const Tensor part = images.rows(at, std::min(at + eval_batch, images.dim(0)));
    features.add(network.features(normalised(network, part)));
    logits.add(network.head()(features.last()));
  }
  return {features.joined(), logits.joined()};
}

}  // namespace reprise::clr
