// A whole classification network: a body that computes features, and a head.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "layers/linear.h"
#include "layers/module.h"

namespace reprise::layers {

// Images come in normalised, (N,H,W,3); logits go out, (N,classes). The constructor of a derived class makes
// the head, as a child, and sets head_.
class REPRISE_API Network : public Module {
 public:
  Tensor forward(const Tensor& x) override { return head()(features(x)); }
  // What the head sees: pooled, (N,F).
  virtual Tensor features(const Tensor& x) = 0;
  Linear& head() { return *head_; }
  const Linear& head() const { return *head_; }
  virtual const std::string& arch() const = 0;  // "resnet18"
  virtual int default_size() const = 0;         // height and width that it was made for
  virtual int default_classes() const { return 1000; }

  std::string head_name() const { return head().path(); }  // "fc" or "linear"
  int classes() const { return static_cast<int>(head().weight.dim(0)); }
  void replace_head(int classes, const InitStreams& streams) { head().resize(classes, streams); }

  // The backbone's tensors, buffers among them: everything but the head and reprogramming layers.
  std::vector<ConstEntry> body() const;
  std::string_view type() const override { return arch(); }

 protected:
  Linear* head_ = nullptr;
};

// A network of a known architecture, its parameters zeros until they are loaded or drawn (initialize). Error,
// with the list, for another name.
REPRISE_API std::unique_ptr<Network> make_network(const std::string& arch, int classes);
REPRISE_API std::vector<std::string> known_architectures();

// The architecture whose tensors these are, from names and shapes in the file layout. A file may lack tensors
// of some stage, as long as only one architecture is left.
REPRISE_API std::optional<std::string> guess_architecture(const std::map<std::string, Shape>& file_shapes);

}  // namespace reprise::layers
