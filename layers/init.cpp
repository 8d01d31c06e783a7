#include "layers/init.h"

#include <cmath>
#include <vector>

#include "engine/core/random.h"

namespace reprise::layers {

void draw(Tensor& tensor, Init init, Fans fans, const InitStreams& streams, const std::string& name) {
  RandomStream stream(streams.seed, "init/" + streams.prefix + name);
  const auto fan = static_cast<double>(init == Init::kaiming_normal_fan_out ? fans.out : fans.in);
  const double bound = 1 / std::sqrt(fan), deviation = std::sqrt(2 / fan);
  std::vector<float> values(static_cast<std::size_t>(tensor.numel()));
  for (float& v : values)
    v = static_cast<float>(init == Init::kaiming_uniform ? stream.uniform(-bound, bound)
                                                         : deviation * stream.normal());
  copy_into(
      tensor,
      reprise::tensor(tensor.shape(), std::span<const float>(values)).to(tensor.dtype()).to(tensor.device()));
}

}  // namespace reprise::layers
