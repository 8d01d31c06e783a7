#include "engine/autograd/autograd.h"

#include <algorithm>
#include <atomic>
#include <iterator>
#include <map>
#include <optional>

#include "engine/autograd/record.h"
#include "engine/base/check.h"
#include "engine/kernels/run.h"

namespace reprise {

// One recorded op. Ids grow as ops run, so descending ids visit every consumer before its producer.
struct Node {
  std::uint64_t id;
  std::string op, layer;  // layer: the innermost "layer" scope when the op ran, for messages
  struct Edge {
    std::shared_ptr<AutogradMeta> meta;  // null if no gradient is wanted
    Shape shape;
  };
  std::vector<Edge> inputs;
  BackwardFunction backward;  // empty once it has been used
  ~Node();
};

struct AutogradMeta {
  bool leaf = false, retained = false;
  Tensor grad;                 // a leaf's gradient, or a result's that retains it
  std::shared_ptr<Node> node;  // the op that computed a result; null for a leaf
};

// Frees a long chain in a loop: recursive destructors would exhaust the stack.
Node::~Node() {
  std::vector<Edge> chain = std::move(inputs);
  while (!chain.empty()) {
    const std::shared_ptr<AutogradMeta> meta = std::move(chain.back().meta);
    chain.pop_back();
    if (!meta || meta.use_count() > 1 || !meta->node || meta->node.use_count() > 1) continue;
    std::move(meta->node->inputs.begin(), meta->node->inputs.end(), std::back_inserter(chain));
    meta->node->inputs.clear();
  }
}

namespace {

thread_local bool recording = true;
std::atomic<std::uint64_t> last_id{0};

// Adds the gradients of two uses of a tensor, into new memory.
// An op that can add in place instead takes the sum so far (Needs::take_sum).
Tensor sum_of(const Tensor& a, const Tensor& b) {
  Tensor y = empty(a.shape(), a.dtype(), a.device());
  run(kernels::binary, y.device(), y.dtype(), BinaryArgs{BinaryOp::add, Broadcast::none}, a.view(), b.view(),
      y.mut_view());
  return y;
}

}  // namespace

Tensor Needs::take_sum(std::size_t i) const {
  Tensor* sum = sums_[i];
  return sum != nullptr && sum->defined() && sum->is_sole_owner() ? std::exchange(*sum, Tensor()) : Tensor();
}
void Needs::push_back(bool wanted, Tensor* sum) {
  wanted_.push_back(wanted);
  sums_.push_back(sum);
}

void set_requires_grad(const Tensor& leaf, bool on) {
  auto& meta = leaf.autograd_meta();
  REPRISE_CHECK(!meta || meta->leaf, "set_requires_grad: this tensor is the result of an op, not a leaf");
  REPRISE_CHECK(!on || is_floating(leaf.dtype()), "set_requires_grad: a tensor of {} has no gradient",
                name_of(leaf.dtype()));
  REPRISE_CHECK(!on || !leaf.is_sealed(), "set_requires_grad: these weights are sealed (frozen for good)");
  if (!on) {
    meta = nullptr;
  } else if (!meta) {
    meta = std::make_shared<AutogradMeta>();
    meta->leaf = true;
  }
}

bool requires_grad(const Tensor& t) {
  return t.defined() && t.autograd_meta() != nullptr;
}
bool is_leaf(const Tensor& t) {
  return requires_grad(t) && t.autograd_meta()->leaf;
}
Tensor grad(const Tensor& leaf) {
  return requires_grad(leaf) ? leaf.autograd_meta()->grad : Tensor();
}
void clear_grad(const Tensor& leaf) {
  if (requires_grad(leaf)) leaf.autograd_meta()->grad = Tensor();
}
void retain_grad(const Tensor& result) {
  if (requires_grad(result)) result.autograd_meta()->retained = true;
}

NoGrad::NoGrad() : saved_(recording) {
  recording = false;
}
NoGrad::~NoGrad() {
  recording = saved_;
}
bool grad_enabled() {
  return recording;
}

namespace {
// In strict mode, of the bytes of a tensor on the host; else 0.
std::size_t hash_of(const Tensor& t) {
  if (!is_strict() || t.is_sealed() || !t.device().is_host() || !t.is_written()) return 0;
  return std::hash<std::string_view>{}({reinterpret_cast<const char*>(t.raw_bytes().data()), t.bytes()});
}
}  // namespace

Saved::Saved(const Tensor& t, std::string name) : name_(std::move(name)) {
  if (!t.defined()) return;
  tensor_ = t.detach();
  version_ = t.version();
  hash_ = hash_of(tensor_);
}

const Tensor& Saved::get() const {
  if (!tensor_.defined()) return tensor_;
  REPRISE_CHECK(tensor_.version() == version_ && (hash_ == 0 || hash_ == hash_of(tensor_)),
                "backward: a tensor that was saved has changed since; write to a clone(), or after "
                "backward{}\n  saved   {}  {}",
                tensor_.version() == version_ ? " (a pointer of mutable_data was used late)" : "", name_,
                describe(tensor_));
  return tensor_;
}

bool any_requires_grad(const std::vector<Tensor>& inputs) {
  if (!recording) return false;
  for (const Tensor& t : inputs)
    if (requires_grad(t)) return true;
  return false;
}
bool any_requires_grad(std::initializer_list<Tensor> inputs) {
  return any_requires_grad(std::vector<Tensor>(inputs));
}

void record(const std::string& op, const std::vector<Tensor>& inputs, const Tensor& output,
            BackwardFunction backward) {
  if (!any_requires_grad(inputs)) return;
  auto node = std::make_shared<Node>();
  node->id = ++last_id;
  node->op = op;
  node->layer = error_context_of("layer");
  node->backward = std::move(backward);
  for (const Tensor& t : inputs)
    node->inputs.push_back(t.defined() ? Node::Edge{t.autograd_meta(), t.shape()} : Node::Edge{});
  auto meta = std::make_shared<AutogradMeta>();
  meta->node = std::move(node);
  output.autograd_meta() = std::move(meta);
}

void record_no_gradient(const std::string& op, const std::vector<Tensor>& inputs) {
  REPRISE_CHECK(!any_requires_grad(inputs), "{}: this op has no gradient, and an input wants one", op);
}

void backward(const Tensor& root, const Tensor& root_gradient) {
  REPRISE_CHECK(requires_grad(root),
                "backward: nothing that led to {} wants a gradient; call set_requires_grad on a parameter "
                "before the forward, unfreeze the module, and run the forward outside of NoGrad",
                describe(root));
  REPRISE_CHECK(root_gradient.defined() || root.numel() == 1,
                "backward: {} does not have one element; pass its gradient as root_gradient", describe(root));
  REPRISE_CHECK(!root_gradient.defined() ||
                    (root_gradient.shape() == root.shape() && root_gradient.dtype() == root.dtype()),
                "backward: the gradient {} does not fit {}", describe(root_gradient), describe(root));
  const NoGrad no_grad;
  std::map<std::uint64_t, std::pair<std::shared_ptr<AutogradMeta>, Tensor>> pending;  // by node id
  const auto deliver = [&](const std::shared_ptr<AutogradMeta>& meta, const Tensor& g) {
    Tensor& sum = meta->leaf ? meta->grad : pending[meta->node->id].second;
    sum = sum.defined() ? sum_of(sum, g) : g;
    if (!meta->leaf) pending[meta->node->id].first = meta;
  };
  deliver(root.autograd_meta(), root_gradient.defined()
                                    ? root_gradient.detach()
                                    : ones(root.shape(), root.dtype(), ref_device).to(root.device()));

  while (!pending.empty()) {
    const auto last = std::prev(pending.end());
    const auto [meta, dy] = std::move(last->second);
    pending.erase(last);
    Node& node = *meta->node;
    REPRISE_CHECK(
        node.backward != nullptr,
        "backward: the record of '{}' was freed by an earlier backward; run the forward again, or add "
        "the losses and call backward once",
        node.op);
    if (meta->retained) meta->grad = dy;
    std::optional<ErrorScope> layer;
    if (!node.layer.empty()) layer.emplace("layer", node.layer);
    Needs needs;
    for (const Node::Edge& e : node.inputs) {
      const auto sum = e.meta != nullptr && !e.meta->leaf ? pending.find(e.meta->node->id) : pending.end();
      needs.push_back(e.meta != nullptr, sum != pending.end() ? &sum->second.second : nullptr);
    }
    const std::vector<Tensor> grads = std::exchange(node.backward, nullptr)(dy, needs);
    REPRISE_INVARIANT(grads.size() == needs.size(), "{} returned {} gradients for {} inputs", node.op,
                      grads.size(), needs.size());
    for (std::size_t i = 0; i < needs.size(); ++i) {
      if (!needs[i]) continue;
      REPRISE_INVARIANT(grads[i].defined() && grads[i].shape() == node.inputs[i].shape,
                        "{}: the gradient of input {} is {}, expected {}", node.op, i, describe(grads[i]),
                        to_string(node.inputs[i].shape));
      deliver(node.inputs[i].meta, grads[i]);
    }
  }
}

std::vector<TapeOp> tape(const Tensor& root) {
  using Kind = TapeOp::Input::Kind;
  std::vector<TapeOp> ops;
  std::map<std::uint64_t, std::shared_ptr<Node>, std::greater<>> pending;
  std::map<const AutogradMeta*, std::uint64_t> leaves;
  if (requires_grad(root) && root.autograd_meta()->node)
    pending[root.autograd_meta()->node->id] = root.autograd_meta()->node;
  while (!pending.empty()) {
    const std::shared_ptr<Node> node = pending.begin()->second;
    pending.erase(pending.begin());
    TapeOp op{node->id, node->op, node->layer, {}};
    for (const Node::Edge& e : node->inputs) {
      if (!e.meta) {
        op.inputs.push_back({Kind::constant, 0, e.shape});
      } else if (e.meta->leaf) {
        op.inputs.push_back(
            {Kind::leaf, leaves.emplace(e.meta.get(), leaves.size() + 1).first->second, e.shape});
      } else {
        op.inputs.push_back({Kind::result, e.meta->node->id, e.shape});
        pending[e.meta->node->id] = e.meta->node;
      }
    }
    ops.push_back(std::move(op));
  }
  return ops;
}

std::string describe_tape(const Tensor& root) {
  if (!requires_grad(root)) return "(no record)\n";
  std::string text;
  for (const TapeOp& op : tape(root)) {
    text += fmt::format("#{:<3} {:<14} <-", op.id, op.op);
    for (const TapeOp::Input& i : op.inputs) {
      if (i.kind == TapeOp::Input::Kind::result)
        text += fmt::format(" #{}{}", i.id, to_string(i.shape));
      else
        text +=
            fmt::format(" {}{}", i.kind == TapeOp::Input::Kind::leaf ? "leaf" : "const", to_string(i.shape));
    }
    text += "\n";
  }
  return text;
}

}  // namespace reprise
