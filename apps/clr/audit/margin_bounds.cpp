#include "apps/clr/audit/margin_bounds.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "apps/clr/commands/signals.h"
#include "apps/clr/learn/run_network.h"
#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/parallel.h"
#include "engine/ops/error_bound.h"

namespace reprise::clr {
namespace {

using Kind = ops::ErrorTerm::Kind;
using Labels = std::vector<std::int64_t>;

bool is_bf16(const ops::ErrorTerm& term) {
  return term.kind == Kind::bf16;
}

double unit(const ops::ErrorTerm& term) {
  return is_bf16(term) ? 0x1p-8 : 0x1p-24;
}

// Calls f with a pointer to the elements, of either dtype.
template <class F>
void with_elements(Tensor& t, F f) {
  t.dtype() == DType::f64 ? f(t.mutable_data<double>()) : f(t.mutable_data<float>());
}

// Throws Error if the record has an op that told nothing: its errors would be missing in every sum.
void check_all_told(const Tensor& logits, std::map<std::string, std::int64_t> told) {
  for (const TapeOp& op : tape(logits))
    REPRISE_CHECK(--told[op.op] >= 0,
                  "audit margin: the op {} says no bound of its rounding errors (engine/ops/error_bound.h), "
                  "so the margins of this network have none\n  layer   {}",
                  op.op, op.layer);
}

std::size_t at(std::int64_t index) {
  return static_cast<std::size_t>(index);
}

double margin(const Tensor& scores, std::size_t image, std::int64_t label, std::int64_t rival) {
  const std::int64_t row = static_cast<std::int64_t>(image) * scores.dim(1);
  return scores.view().value(row + label) - scores.view().value(row + rival);
}

// An op that rounds.
struct Told {
  std::string layer, op;
  Tensor y;
  ops::ErrorTerms terms;
};

// Sums |gradient| times the bound over n outputs: of row `row` of the gradient and row `image` of the
// terms. `probable` is squared, without lambda.
MarginBound weighed(const Tensor& gradient, const ops::ErrorTerms& terms, std::int64_t n, std::int64_t row,
                    std::int64_t image) {
  const std::int64_t from = row * n, begin = image * n;
  MarginBound sums[3];  // of every form, the direct one, Winograd's
  if (!gradient.defined()) return {};
  const auto add = [&](const auto* g, const ops::ErrorTerm& term) {
    const auto* size = term.magnitude.data<std::remove_cvref_t<decltype(*g)>>();
    double line = 0, squares = 0;
    for (std::int64_t i = 0; i < n; ++i) {
      const double part = std::abs(static_cast<double>(g[from + i]) * static_cast<double>(size[begin + i]));
      line += part, squares += part * part;
    }
    const double u = unit(term);
    MarginBound& b = sums[term.kind == Kind::direct ? 1 : term.kind == Kind::winograd ? 2 : 0];
    b.worst += term.roundings * u * line, b.probable += term.roundings * u * u * squares;
  };
  for (const ops::ErrorTerm& term : terms)
    gradient.dtype() == DType::f64 ? add(gradient.data<double>(), term) : add(gradient.data<float>(), term);
  return {sums[0].worst + std::max(sums[1].worst, sums[2].worst),
          sums[0].probable + std::max(sums[1].probable, sums[2].probable)};
}

MarginBound total(const std::vector<MarginBound>& parts, double lambda) {
  MarginBound sum;
  for (const MarginBound& b : parts) sum.worst += b.worst, sum.probable += b.probable;
  return {sum.worst, lambda * std::sqrt(sum.probable)};
}

// A batch of images and the ops that round on their way to the logits.
class Batch {
 public:
  Batch(layers::Network& network, const Tensor& images, const MarginOptions& o)
      : network_(network), images_(images), o_(o) {}
  std::vector<ImageMargin> examine(std::map<std::string, double>& layers);

 private:
  // Runs the network on some of the images; with `still`, moves each output against its gradient there.
  void forward(const Labels& images, const std::vector<Told>* still = nullptr);
  std::vector<std::vector<MarginBound>> backward(const Labels& images, const Labels& labels,
                                                 const Labels& rivals);
  void second_order(const Labels& labels, const Labels& nearest, std::vector<ImageMargin>& all);
  layers::Network& network_;
  const Tensor images_;
  const MarginOptions& o_;
  Tensor logits_;
  std::vector<Told> told_;
};

// Moves y by its bound. Of a convolution takes Winograd's terms where it has any; they come first.
void move_against(const Told& still, Tensor y) {
  const Tensor gradient = grad(still.y);
  if (!gradient.defined()) return;
  const bool winograd = still.terms.front().kind == Kind::winograd;
  with_elements(y, [&](auto* to) {
    using T = std::remove_reference_t<decltype(*to)>;
    const T* g = gradient.data<T>();
    for (const ops::ErrorTerm& term : still.terms) {
      if (winograd && term.kind == Kind::direct) continue;
      const T scale = static_cast<T>(term.roundings * unit(term)), *size = term.magnitude.data<T>();
      for (std::int64_t i = 0; i < y.numel(); ++i) to[i] -= std::copysign(scale * size[i], g[i]);
    }
  });
}

// The first forward fills told_; later ones only its y and, with `still`, the terms again.
void Batch::forward(const Labels& images, const std::vector<Told>* still) {
  const bool first = told_.empty();
  std::size_t next = 0;
  std::map<std::string, std::int64_t> counts;
  const auto listen = [&](std::string_view op, const Tensor& y, const ops::ErrorBounds::Terms& terms) {
    ++counts[std::string(op)];
    if (!first && (next == told_.size() || told_[next].op != op)) return;  // an exact op
    ops::ErrorTerms made = first || still != nullptr ? terms() : ops::ErrorTerms();
    if (!o_.bf16) std::erase_if(made, is_bf16);
    if (first && made.empty()) return;
    if (first) told_.push_back({error_context_of("layer"), std::string(op), {}, {}});
    Told& t = told_[next++];
    t.y = y;
    retain_grad(y);
    if (first || still != nullptr) t.terms = std::move(made);
    if (still != nullptr) move_against((*still)[next - 1], y);
  };
  const ops::ErrorBounds bounds(listen);
  Gathered chosen;
  for (const std::int64_t i : images) chosen.add(images_.rows(i, i + 1));
  const Tensor x = normalised(network_, chosen.joined());
  set_requires_grad(x);
  logits_ = network_(x);
  check_all_told(logits_, std::move(counts));
}

// Returns, by image and op, the op's part in the bound of the margin label - rival; `probable` squared.
// The images are those of the last forward.
std::vector<std::vector<MarginBound>> Batch::backward(const Labels& images, const Labels& labels,
                                                      const Labels& rivals) {
  Tensor seed = zeros(logits_.shape(), logits_.dtype(), logits_.device());
  with_elements(seed, [&](auto* to) {
    for (std::size_t i = 0; i < labels.size(); ++i, to += seed.dim(1)) to[labels[i]] = 1, to[rivals[i]] = -1;
  });
  reprise::backward(logits_, seed);
  std::vector<std::vector<MarginBound>> all(images.size());
  parallel_for(logits_.dim(0), 1, [&](std::int64_t row, std::int64_t) {
    for (const Told& t : told_)
      all[at(row)].push_back(weighed(grad(t.y), t.terms, t.y.numel() / t.y.dim(0), row, images[at(row)]));
  });
  return all;
}

// Call it after the backward for the nearest class; leaves the terms as they were.
void Batch::second_order(const Labels& labels, const Labels& nearest, std::vector<ImageMargin>& all) {
  const std::vector<Told> still = told_;
  Labels every(labels.size());
  std::iota(every.begin(), every.end(), 0);
  forward(every, &still);
  const auto parts = backward(every, labels, nearest);
  for (std::size_t i = 0; i < all.size(); ++i) {
    all[i].fall = (all[i].margin - margin(logits_, i, labels[i], nearest[i])) / all[i].bound.worst;
    all[i].moved_bound = total(parts[i], o_.lambda).worst / all[i].bound.worst;
  }
  told_ = still;
}

std::vector<ImageMargin> Batch::examine(std::map<std::string, double>& layers) {
  constexpr double settled = 8;
  Labels open(at(images_.dim(0)));  // the images that have a further class to examine
  std::iota(open.begin(), open.end(), 0);
  forward(open);
  const Tensor scores = logits_;
  const std::size_t classes = at(scores.dim(1));
  REPRISE_CHECK(classes > 1, "audit margin: a task of one class has no margins");
  std::vector<ImageMargin> all(open.size());
  std::vector<Labels> order(open.size(), Labels(classes));  // the nearest class first
  std::vector<double> largest(open.size(), 0);
  for (std::size_t i = 0; i < all.size(); ++i) {
    std::iota(order[i].begin(), order[i].end(), 0);
    std::stable_sort(order[i].begin(), order[i].end(),
                     [&](std::int64_t a, std::int64_t b) { return margin(scores, i, a, b) > 0; });
    all[i].label = order[i][0];
  }
  for (std::size_t k = 1; !open.empty(); ++k) {
    Labels of, against, next;
    for (const std::int64_t i : open) of.push_back(order[at(i)][0]), against.push_back(order[at(i)][k]);
    if (k > 1) forward(open);
    const auto parts = backward(open, of, against);
    for (std::size_t j = 0; j < open.size(); ++j) {
      const std::size_t i = at(open[j]);
      ImageMargin& m = all[i];
      const MarginBound b = total(parts[j], o_.lambda);
      const double distance = margin(scores, i, of[j], against[j]), times = o_.exact ? 1 : 2;
      if (m.examined++ == 0 || distance * m.bound.worst < m.margin * b.worst)
        m.rival = against[j], m.margin = distance, m.bound = b;
      m.worst &= distance > times * b.worst, m.probable &= distance > times * b.probable;
      largest[i] = std::max(largest[i], b.worst);
      if (m.probable && k + 1 < classes &&
          (o_.every || margin(scores, i, of[j], order[i][k + 1]) <= settled * largest[i]))
        next.push_back(open[j]);
      for (std::size_t t = 0; k == 1 && t < told_.size(); ++t)
        layers[told_[t].layer + (told_[t].layer.empty() ? "" : " ") + told_[t].op] += parts[j][t].worst;
    }
    if (k == 1 && o_.second) second_order(of, against, all);
    open = next;
  }
  return all;
}

}  // namespace

std::vector<ImageMargin> bound_margins(layers::Network& network, const Tensor& images,
                                       const MarginOptions& options, std::map<std::string, double>& layers) {
  network.set_requires_grad(false);
  network.train(false);
  const std::int64_t batch = std::clamp<std::int64_t>((1 << 18) / (images.dim(1) * images.dim(2)), 2, 32);
  std::vector<ImageMargin> all;
  for (std::int64_t at = 0; at < images.dim(0); at += batch) {
    stop_if_requested();
    const Tensor part = images.rows(at, std::min(at + batch, images.dim(0)));
    for (ImageMargin& m : Batch(network, part, options).examine(layers)) all.push_back(std::move(m));
  }
  return all;
}

MarginBound bound_loss(const std::function<void()>& step, double lambda) {
  std::vector<Told> told;
  {
    const ops::ErrorBounds bounds(
        [&](std::string_view op, const Tensor& y, const ops::ErrorBounds::Terms& terms) {
          if (op == "normalize_images") set_requires_grad(y);
          retain_grad(y);
          told.push_back({"", std::string(op), y, terms()});
        });
    step();
  }
  std::vector<MarginBound> parts;
  for (Told& t : told) {
    std::erase_if(t.terms, is_bf16);
    parts.push_back(weighed(grad(t.y), t.terms, t.y.numel(), 0, 0));
  }
  return total(parts, lambda);
}

}  // namespace reprise::clr
