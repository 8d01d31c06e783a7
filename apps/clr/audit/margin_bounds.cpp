#include "apps/clr/audit/margin_bounds.h"

#include <algorithm>
#include <cmath>

#include "apps/clr/learn/run_network.h"
#include "engine/autograd/autograd.h"
#include "engine/base/check.h"
#include "engine/base/error.h"
#include "engine/base/parallel.h"

namespace reprise::clr {
namespace {

using Kind = ops::ErrorTerm::Kind;
using Rows = std::vector<std::vector<double>>;

double unit(Kind kind) {
  return kind == Kind::bf16 ? 0x1p-8 : 0x1p-24;
}

// Calls f with a pointer to the elements, of either dtype.
template <class F>
void with_elements(Tensor& t, F f) {
  t.dtype() == DType::f64 ? f(t.mutable_data<double>()) : f(t.mutable_data<float>());
}
template <class F>
void with_elements(const Tensor& t, F f) {
  t.dtype() == DType::f64 ? f(t.data<double>()) : f(t.data<float>());
}

Rows rows_of(const Tensor& t) {
  Rows rows(static_cast<std::size_t>(t.dim(0)), std::vector<double>(static_cast<std::size_t>(t.dim(1))));
  for (std::int64_t i = 0; i < t.numel(); ++i)
    rows[static_cast<std::size_t>(i / t.dim(1))][static_cast<std::size_t>(i % t.dim(1))] = t.view().value(i);
  return rows;
}

std::int64_t largest(const std::vector<double>& row) {
  return std::max_element(row.begin(), row.end()) - row.begin();
}

// Returns the other classes of a row of logits, the nearest first.
std::vector<std::int64_t> rivals_of(const std::vector<double>& row, std::int64_t label) {
  std::vector<std::int64_t> others;
  for (std::int64_t j = 0; j < static_cast<std::int64_t>(row.size()); ++j)
    if (j != label) others.push_back(j);
  std::stable_sort(others.begin(), others.end(), [&](std::int64_t a, std::int64_t b) {
    return row[static_cast<std::size_t>(a)] > row[static_cast<std::size_t>(b)];
  });
  return others;
}

// Throws Error if the record has an op that told nothing: its errors would be missing in every sum.
void check_all_told(const Tensor& logits, std::map<std::string, std::int64_t> told) {
  for (const TapeOp& op : tape(logits))
    REPRISE_CHECK(--told[op.op] >= 0,
                  "audit margin: the op {} says no bound of its rounding errors (engine/ops/error_bound.h), "
                  "so the margins of this network have none\n  layer   {}",
                  op.op, op.layer);
}

Bound total(const std::vector<Bound>& parts) {
  Bound sum;
  for (const Bound& b : parts) sum.worst += b.worst, sum.probable += b.probable, sum.root += b.root;
  sum.root = std::sqrt(sum.root);  // of the parts it is the square
  return sum;
}

}  // namespace

MarginBounds::MarginBounds(layers::Network& network, const MarginOptions& options)
    : network_(network), o_(options) {
  network_.set_requires_grad(false);
  network_.train(false);
}

// The first forward fills told_; the later ones only its y, and with `moves` the terms again.
void MarginBounds::forward(const Tensor& images, bool moves) {
  const bool first = told_.empty();
  std::size_t at = 0;
  std::map<std::string, std::int64_t> counts;
  const ops::ErrorBounds bounds(
      [&](std::string_view op, const Tensor& y, const ops::ErrorBounds::Terms& terms) {
        ++counts[std::string(op)];
        if (!first && (at == told_.size() || told_[at].op != op)) return;  // an exact op
        ops::ErrorTerms made = first || moves ? terms() : ops::ErrorTerms();
        if (!o_.bf16) std::erase_if(made, [](const ops::ErrorTerm& t) { return t.kind == Kind::bf16; });
        if (first && made.empty()) return;
        if (first) told_.push_back({error_context_of("layer"), std::string(op), {}, {}, {}});
        Told& t = told_[at++];
        t.y = y;
        retain_grad(y);
        if (first || moves) t.terms = std::move(made);
        if (!moves || !t.shift.defined()) return;
        with_elements(t.y, [&](auto* to) {
      const auto* by = t.shift.data<std::remove_reference_t<decltype(*to)>>();
      for (std::int64_t i = 0; i < y.numel(); ++i) to[i] -= by[i];
    });
  });
  const Tensor x = normalised(network_, images);
  set_requires_grad(x);
  logits_ = network_(x);
  check_all_told(logits_, std::move(counts));
}

std::vector<std::vector<Bound>> MarginBounds::backward(const Labels& labels, const Labels& rivals) {
  Tensor seed = zeros(logits_.shape(), logits_.dtype(), logits_.device());
  with_elements(seed, [&](auto* to) {
    for (std::size_t i = 0; i < labels.size(); ++i) {
      const std::int64_t row = static_cast<std::int64_t>(i) * seed.dim(1);
      to[row + labels[i]] = 1, to[row + rivals[i]] = -1;
    }
  });
  reprise::backward(logits_, seed);
  std::vector<std::vector<Bound>> all(labels.size(), std::vector<Bound>(told_.size()));
  parallel_for(static_cast<std::int64_t>(labels.size()), 1, [&](std::int64_t image, std::int64_t) {
    for (std::size_t t = 0; t < told_.size(); ++t)
      all[static_cast<std::size_t>(image)][t] = bound(told_[t], image);
  });
  return all;
}

// Sums |dmargin / dy| times y's local bound over an image's outputs of one op; root is squared.
Bound MarginBounds::bound(const Told& told, std::int64_t image) const {
  const std::int64_t n = told.y.numel() / told.y.dim(0), begin = image * n;
  const Tensor gradient = grad(told.y);
  Bound sums[3];  // of every form, the direct one, Winograd's
  if (!gradient.defined()) return {};
  for (const ops::ErrorTerm& term : told.terms) {
    double line = 0, squares = 0;
    with_elements(gradient, [&](const auto* g) {
      const auto* size = term.magnitude.data<std::remove_cvref_t<decltype(*g)>>();
      for (std::int64_t i = begin; i < begin + n; ++i) {
        const double part = std::abs(static_cast<double>(g[i]) * static_cast<double>(size[i]));
        line += part, squares += part * part;
      }
    });
    const double u = unit(term.kind), n_u = term.roundings * u,
                 root = o_.lambda * std::sqrt(term.roundings) * u;
    Bound& b = sums[term.kind == Kind::direct ? 1 : term.kind == Kind::winograd ? 2 : 0];
    b.worst += n_u * line, b.probable += std::min(n_u, root) * line, b.root += root * root * squares;
  }
  return {sums[0].worst + std::max(sums[1].worst, sums[2].worst),
          sums[0].probable + std::max(sums[1].probable, sums[2].probable),
          sums[0].root + std::max(sums[1].root, sums[2].root)};
}

// Of a convolution takes Winograd's terms where it has any.
void MarginBounds::set_shifts() {
  for (Told& t : told_) {
    const Tensor gradient = grad(t.y);
    if (!gradient.defined()) continue;
    const bool winograd = t.terms.front().kind == Kind::winograd;
    t.shift = zeros(t.y.shape(), t.y.dtype(), t.y.device());
    with_elements(t.shift, [&](auto* to) {
      using T = std::remove_reference_t<decltype(*to)>;
      const T* g = gradient.data<T>();
      for (const ops::ErrorTerm& term : t.terms) {
        if (winograd && term.kind == Kind::direct) continue;
        const T scale = static_cast<T>(term.roundings * unit(term.kind)), *size = term.magnitude.data<T>();
        for (std::int64_t i = 0; i < t.y.numel(); ++i) to[i] += g[i] < 0 ? -scale * size[i] : scale * size[i];
      }
    });
  }
}

std::vector<ImageMargin> MarginBounds::examine(const Tensor& images) {
  told_.clear();
  forward(images, false);
  const Rows rows = rows_of(logits_);
  std::vector<ImageMargin> all(rows.size());
  std::vector<Labels> rivals;
  Labels labels, nearest, now;
  for (std::size_t i = 0; i < rows.size(); ++i) {
    labels.push_back(largest(rows[i]));
    rivals.push_back(rivals_of(rows[i], labels[i]));
    REPRISE_CHECK(!rivals[i].empty(), "audit margin: a task of one class has no margins");
    nearest.push_back(rivals[i][0]);
    all[i].label = labels[i], all[i].logits = rows[i];
    all[i].worst = all[i].probable = all[i].root = true;
  }
  const auto margin = [](const std::vector<double>& row, std::int64_t label, std::int64_t rival) {
    return row[static_cast<std::size_t>(label)] - row[static_cast<std::size_t>(rival)];
  };
  std::vector<double> largest_bound(rows.size(), 0), first_bound(rows.size(), 0);
  std::vector<bool> open(rows.size(), true);
  for (std::size_t k = 0; std::find(open.begin(), open.end(), true) != open.end(); ++k) {
    if (k > 0) forward(images, false);
    now = nearest;
    for (std::size_t i = 0; i < rows.size(); ++i)
      if (open[i]) now[i] = rivals[i][k];
    const auto parts = backward(labels, now);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      if (!open[i]) continue;
      ImageMargin& m = all[i];
      const Bound b = total(parts[i]);
      const double distance = margin(rows[i], labels[i], now[i]), own = 1 + o_.own_error;
      if (m.passes++ == 0 || distance * m.bound.worst < m.margin * b.worst)
        m.rival = now[i], m.margin = distance, m.bound = b;
      m.worst &= distance > own * b.worst, m.probable &= distance > own * b.probable;
      m.root &= distance > own * b.root;
      largest_bound[i] = std::max(largest_bound[i], b.worst);
      open[i] =
          m.root && k + 1 < rivals[i].size() &&
          (o_.settled == 0 || margin(rows[i], labels[i], rivals[i][k + 1]) <= o_.settled * largest_bound[i]);
      if (k > 0) continue;
      first_bound[i] = b.worst;
      for (std::size_t t = 0; t < told_.size(); ++t)
        layers_[{told_[t].layer, told_[t].op}] += parts[i][t].worst;
    }
    if (k == 0 && o_.second) set_shifts();
  }
  if (o_.second) {
    forward(images, true);
    const Rows moved = rows_of(logits_);
    const auto parts = backward(labels, nearest);
    for (std::size_t i = 0; i < rows.size(); ++i) {
      const double before = margin(rows[i], labels[i], nearest[i]);
      all[i].fall = (before - margin(moved[i], labels[i], nearest[i])) / first_bound[i];
      all[i].moved_bound = total(parts[i]).worst / first_bound[i];
    }
  }
  return all;
}

}  // namespace reprise::clr
