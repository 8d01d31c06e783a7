// What optimizers have in common, and the optimizers. They do what PyTorch's do, in the same order.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/kernels/args.h"

namespace reprise::optim {

// Updates parameters in place from the gradients that backward left in them. A parameter without a gradient
// is left alone, and its step is not counted.
class REPRISE_API Optimizer {
 public:
  // Every parameter must require a gradient. The optimizer holds handles: a parameter that is replaced later
  // (moved, converted) is no longer the one it updates.
  Optimizer(std::vector<Tensor> parameters, double lr, std::vector<std::string> buffer_names);
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  void step();
  void zero_grad();  // the gradients become undefined
  double lr() const { return lr_; }
  void set_lr(double lr);

  std::int64_t updates() const;  // of the parameter that had most

  // What a resume needs, as copies: "steps" (i64, one count a parameter) and for parameter i, counted from 0,
  // "<i>.<buffer>" of its shape. The learning rate is the schedule's.
  std::map<std::string, Tensor> state() const;
  // Error where a tensor is missing, extra, or of another shape or dtype; then nothing has changed.
  void load_state(const std::map<std::string, Tensor>& state);

 protected:
  struct Slot {
    Tensor parameter;
    std::vector<Tensor> buffers;  // zeros at first, in the order of buffer_names
    std::int64_t steps = 0;       // this one counted
  };
  virtual void update(Slot& slot, const Tensor& gradient) = 0;

 private:
  std::vector<Slot> slots_;
  std::vector<std::string> buffer_names_;
  double lr_;
};

// Stochastic gradient descent. buffer "momentum" where momentum is not 0.
struct SgdOptions {
  double lr = 1e-2, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;  // needs momentum, and dampening 0
};
class REPRISE_API Sgd : public Optimizer {
 public:
  explicit Sgd(std::vector<Tensor> parameters, const SgdOptions& options = {});

 private:
  void update(Slot& slot, const Tensor& gradient) override;
  SgdOptions options_;
};

// Adam, with the weight decay added to the gradient. Buffers "m" and "v".
struct AdamOptions {
  double lr = 1e-3, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weight_decay = 0;
};
class REPRISE_API Adam : public Optimizer {
 public:
  explicit Adam(std::vector<Tensor> parameters, const AdamOptions& options = {})
      : Adam(std::move(parameters), options, false) {}

 protected:
  Adam(std::vector<Tensor> parameters, const AdamOptions& options, bool decoupled);

 private:
  void update(Slot& slot, const Tensor& gradient) override;
  AdamOptions options_;
  bool decoupled_;
};

// Adam, with the weight decay acting on the weight itself. PyTorch's default for it is 0.01, ours 0 like
// Adam's.
class REPRISE_API AdamW : public Adam {
 public:
  explicit AdamW(std::vector<Tensor> parameters, const AdamOptions& options = {})
      : Adam(std::move(parameters), options, true) {}
};

}  // namespace reprise::optim
