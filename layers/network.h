// A classification network: a body that computes features, and a linear head that computes logits.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/linear.h"
#include "layers/module.h"

namespace reprise::layers {

// Maps normalised images (N,H,W,3) to logits (N,classes).
// The constructor of a derived class makes the head as a child and sets head_.
class REPRISE_API Network : public Module {
 public:
  Tensor forward(const Tensor& x) override { return head()(features(x)); }
  // Computes the head's input: pooled features (N,F).
  virtual Tensor features(const Tensor& x) = 0;
  Linear& head() { return *head_; }
  const Linear& head() const { return *head_; }
  virtual const std::string& arch() const = 0;          // the architecture's name, such as "resnet18"
  virtual int default_size() const = 0;                 // the usual height and width of its images
  virtual int default_classes() const { return 1000; }  // the classes of the published weights

  std::string head_name() const { return head().path(); }  // such as "fc"
  int classes() const { return static_cast<int>(head().weight.dim(0)); }
  // Gives the head new parameters for `classes` classes (Linear::resize).
  void replace_head(int classes, const InitStreams& streams) { head().resize(classes, streams); }

  // Returns the backbone's parameters and buffers:
  // all tensors except the head's and the reprogramming layers'.
  std::vector<ConstEntry> body() const;
  std::string_view type() const override { return arch(); }

 protected:
  Linear* head_ = nullptr;
};

// Builds a network of a known architecture. Its weights have no values until they are loaded
// (load_state_dict) or sampled (initialize). Throws Error, with the list of known names, for any other
// `arch`.
REPRISE_API std::unique_ptr<Network> make_network(const std::string& arch, int classes);
REPRISE_API std::vector<std::string> known_architectures();

// Guesses the architecture from the names of a file's tensors and their shapes in the file's
// layout. A file may lack blocks, as long as one architecture fits best; else the result is empty.
REPRISE_API std::optional<std::string> guess_architecture(const std::map<std::string, Shape>& file_shapes);

}  // namespace reprise::layers
