// A tensor and a gradient: shows what ops record while they
// run, and what backward does with the record.
#include <cmath>
#include <cstdio>

#include "apps/tour/tape_picture.h"
#include "engine/autograd/autograd.h"
#include "engine/base/error.h"
#include "engine/ops/ops.h"

using namespace reprise;

namespace {

// Returns f(w) = mean(tanh(x w^T + b)^2), a scalar, for x (3
// points, 2 numbers each), w (4 units, 2 inputs) and b (4).
Tensor f(const Tensor& x, const Tensor& w, const Tensor& b) {
  const Tensor hidden = ops::tanh(ops::linear(x, w, b));
  return ops::mean(hidden * hidden);
}

}  // namespace

int main() try {
  const Tensor x = tensor({3, 2}, {0.5f, -1, 2, 0.25f, -0.75f, 1});
  Tensor w = tensor({4, 2}, {0.1f, 0.2f, -0.3f, 0.4f, 0.5f, -0.6f, 0.7f, 0.8f});
  const Tensor b = zeros({4});
  std::printf("x  %s\nw  %s\n\n", describe(x).c_str(), describe(w).c_str());

  // Marks a leaf: from here on, every op that uses w is recorded.
  set_requires_grad(w);
  const Tensor loss = f(x, w, b);
  std::printf("f = %.6f\n\nThe tape, last op first. `hidden` is used twice, so two edges lead to tanh:\n%s\n",
              loss.item(), describe_tape(loss).c_str());
  tour::draw_tape_dot(loss, "tape.dot");
  tour::draw_tape_svg(loss, "tape.svg");

  // Backward walks the tape from its end. On the way it frees what the ops saved for it.
  backward(loss);
  const Tensor gradient = grad(w);

  // The same by differences: moves one weight up and down, and sees how f changes.
  std::printf("df/dw     by backward   by differences\n");
  double worst = 0;
  const float step = 1e-2f;
  for (std::int64_t i = 0; i < w.numel(); ++i) {
    const NoGrad nothing_to_record;
    float& weight = w.mutable_data<float>()[i];
    const float before = weight;
    weight = before + step;
    const double up = f(x, w, b).item();
    weight = before - step;
    const double down = f(x, w, b).item();
    weight = before;
    const double numeric = (up - down) / (2 * static_cast<double>(step));
    const auto exact = static_cast<double>(gradient.data<float>()[i]);
    std::printf("w[%lld,%lld]   %11.6f   %11.6f\n", static_cast<long long>(i / 2),
                static_cast<long long>(i % 2), exact, numeric);
    worst = std::max(worst, std::abs(exact - numeric));
  }
  std::printf("\nlargest difference %.1e\n", worst);

  // A step against the gradient makes f smaller.
  Tensor moved = (w.detach() - 0.5 * gradient);
  std::printf("after one step downhill f = %.6f\n", f(x, moved, b).item());
  std::printf("drawn: tape.dot, tape.svg\n");
  return worst < 1e-4 && f(x, moved, b).item() < loss.item() ? 0 : 1;
} catch (const Error& error) {  // for example a picture that cannot be written
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
