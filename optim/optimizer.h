// Optimizers: SGD, Adam and AdamW, with PyTorch's operations in PyTorch's order.
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

// Updates parameters in place from the gradients that backward accumulated in them. step() skips a
// parameter without a gradient and does not count the step for it; if none has one, it throws Error.
class REPRISE_API Optimizer {
 public:
  // Throws Error if there is no parameter, or one does not require a gradient. The optimizer keeps handles to the
  // tensors: it does not follow a parameter that is replaced later (Module::to).
  // For every parameter and every name in `buffer_names` it keeps a buffer of zeros of equal shape.
  Optimizer(std::vector<Tensor> parameters, double lr, std::vector<std::string> buffer_names);
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  void step();       // makes one update with the current learning rate
  void zero_grad();  // makes the gradients undefined
  double lr() const { return lr_; }
  void set_lr(double lr);  // throws Error unless lr is finite and not negative

  // Returns the number of updates of the parameter that had most.
  std::int64_t updates() const;

  // Returns copies of what a resume needs: "steps" (i64, one count per parameter) and,
  // for parameter i from 0, its buffers as "<i>.<buffer name>". The learning rate is not included.
  std::map<std::string, Tensor> state() const;
  // Restores what state() returned.
  // Throws Error, and changes nothing, if a tensor is missing, extra, or of another shape or dtype.
  void load_state(const std::map<std::string, Tensor>& state);

 protected:
  struct Slot {
    Tensor parameter;
    std::vector<Tensor> buffers;  // in the order of buffer_names
    std::int64_t steps = 0;       // updates made, including the current one
  };
  // Updates one parameter and its buffers from its gradient.
  virtual void update(Slot& slot, const Tensor& gradient) = 0;

 private:
  std::vector<Slot> slots_;
  std::vector<std::string> buffer_names_;
  double lr_;
};

// Stochastic gradient descent. It keeps the buffer "momentum" if momentum is not 0.
// The constructor throws Error for options that are out of range or exclude each other.
struct SgdOptions {
  double lr = 1e-2, momentum = 0, dampening = 0, weight_decay = 0;
  bool nesterov = false;  // requires momentum > 0 and dampening 0
};
class REPRISE_API Sgd : public Optimizer {
 public:
  explicit Sgd(std::vector<Tensor> parameters, const SgdOptions& options = {});

 private:
  void update(Slot& slot, const Tensor& gradient) override;
  SgdOptions options_;
};

// Adam (Kingma and Ba, 2015), with the weight decay added to the gradient.
// It keeps the buffers "m" and "v", the running means of the gradient and of its square.
// Throws Error unless 0 <= beta1, beta2 < 1 and eps and weight_decay are at least 0.
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

// AdamW (Loshchilov and Hutter, 2019): Adam with the weight decay applied to the weight itself. The
// default decay is 0, as for Adam; PyTorch's is 0.01.
class REPRISE_API AdamW : public Adam {
 public:
  explicit AdamW(std::vector<Tensor> parameters, const AdamOptions& options = {})
      : Adam(std::move(parameters), options, true) {}
};

}  // namespace reprise::optim
