// Optimizers: SGD, Adam and AdamW, with PyTorch's operations in PyTorch's order.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/core/tensor.h"
#include "engine/ops/optimizer_steps.h"

namespace reprise::optim {

// Updates parameters in place from the gradients that backward accumulated in them. step() skips a
// parameter without a gradient and does not count the step for it; if none has one, it throws Error.
class REPRISE_API Optimizer {
 public:
  // Throws Error if there is no parameter, or one does not require a gradient. The optimizer keeps
  // handles to the tensors: it does not follow a parameter that is replaced later (Module::to).
  // For every parameter and every name in `buffer_names` it keeps a buffer of zeros of equal shape.
  Optimizer(std::vector<Tensor> parameters, double lr, std::vector<std::string> buffer_names);
  virtual ~Optimizer();
  Optimizer(const Optimizer&) = delete;
  Optimizer& operator=(const Optimizer&) = delete;

  void step();  // makes one update with the current learning rate
  // step() in two halves, for a caller that captures the second. begin_step() counts the step and
  // uploads its rates. finish_step() only runs kernels. Both throw Error unless every parameter takes
  // part in every step.
  void begin_step();
  void finish_step();
  void zero_grad();  // makes the gradients undefined
  // Penalises these parameters: step() minimises the loss + lambda * the sum of their norms. The loss
  // needs no term for that. Throws Error if a tensor is not a parameter of this optimizer.
  void penalise(const std::vector<Tensor>& parameters, NormKind kind, double lambda);
  // Computes the penalised parameters' norms for the next step(), and returns their sum, on their
  // device; undefined if none is penalised. A step() without this call computes the norms itself.
  Tensor norms();

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
  // Returns the `rates` of update number `step`, from 1 (ops/optimizer_steps.h).
  virtual Tensor rates(std::int64_t step) const = 0;
  // Updates parameters and their buffers from their gradients.
  virtual void update(std::vector<ops::Update>& updates, const Tensor& rates) = 0;
  const PenaltyArgs& penalty() const { return penalty_; }

 private:
  struct Slot {
    ops::Update state;       // its gradient is undefined except during step()
    std::int64_t steps = 0;  // updates made
    bool penalised = false;
  };
  std::vector<Slot> slots_;
  PenaltyArgs penalty_;
  Tensor norm_sum_;  // undefined once a step has used the norms
  Tensor rates_;     // written by begin_step()
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
  Tensor rates(std::int64_t step) const override;
  void update(std::vector<ops::Update>& updates, const Tensor& rates) override;
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
  Tensor rates(std::int64_t step) const override;
  void update(std::vector<ops::Update>& updates, const Tensor& rates) override;
  AdamArgs args() const;
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
