#include <cstdio>

#include "engine/autograd/autograd.h"
#include "engine/ops/ops.h"
#include "layers/network.h"

int main() {
  reprise::Tensor x = reprise::tensor({3}, {1, 2, 3});
  reprise::set_requires_grad(x);
  reprise::backward(reprise::ops::sum(x * x));
  std::printf("d(x*x)/dx at 3 is %g\n", static_cast<double>(reprise::grad(x).data<float>()[2]));
  const auto net = reprise::layers::make_network("resnet20", 10);
  return reprise::grad(x).data<float>()[2] == 6 && net != nullptr ? 0 : 1;
}
