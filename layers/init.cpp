#include "layers/init.h"

#include <cmath>
#include <vector>

#include "engine/base/random.h"
#include "layers/torch_sequence.h"

namespace reprise::layers {

double kaiming_deviation(Init init, Fans fans) {
  return std::sqrt(2 / static_cast<double>(init == Init::kaiming_normal_fan_out ? fans.out : fans.in));
}

void sample(Tensor& tensor, FileLayout layout, Init init, Fans fans, const InitStreams& streams,
            const std::string& name) {
  if (streams.torch != nullptr) return streams.torch->sample(tensor, layout, init, fans);
  RandomStream stream(streams.seed, "init/" + streams.prefix + name);
  const double bound = 1 / std::sqrt(static_cast<double>(fans.in));
  const double deviation = kaiming_deviation(init, fans);
  const bool uniform = init == Init::kaiming_uniform || init == Init::bias;
  std::vector<float> values(static_cast<std::size_t>(tensor.numel()));
  for (float& v : values)
    v = static_cast<float>(uniform ? stream.uniform(-bound, bound) : deviation * stream.normal());
  copy_into(
      tensor,
      reprise::tensor(tensor.shape(), std::span<const float>(values)).to(tensor.dtype()).to(tensor.device()));
}

void skip_samples(std::int64_t numel, const InitStreams& streams) {
  if (streams.torch != nullptr) streams.torch->skip(numel);
}

}  // namespace reprise::layers
