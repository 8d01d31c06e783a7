// Writes the zip form of torch.save: a pickle of an OrderedDict and one entry for each storage.
#include <limits>
#include <set>

#include "data/io/file.h"
#include "data/weights/element_type.h"
#include "data/weights/weight_file.h"
#include "data/weights/zip.h"
#include "engine/base/check.h"

namespace reprise::data {
namespace {

// Pickle protocol 2, without a memo: every value is written where it is used.
class PickleWriter {
 public:
  PickleWriter() { raw("\x80\x02"); }

  void raw(std::string_view opcodes) { text_ += opcodes; }
  void global(std::string_view module, std::string_view name) {
    text_ += fmt::format("c{}\n{}\n", module, name);
  }
  void text(std::string_view s) {
    REPRISE_CHECK(s.size() <= std::numeric_limits<std::uint32_t>::max(), "pth: a name of {} bytes", s.size());
    raw("X");
    number(static_cast<std::uint32_t>(s.size()));
    raw(s);
  }
  void integer(std::int64_t n) {
    if (n >= std::numeric_limits<std::int32_t>::min() && n <= std::numeric_limits<std::int32_t>::max()) {
      raw("J");
      number(static_cast<std::int32_t>(n));
    } else {
      raw("\x8a\x08");
      number(n);
    }
  }
  void tuple(std::span<const std::int64_t> numbers) {
    raw("(");
    for (std::int64_t n : numbers) integer(n);
    raw("t");
  }
  void empty_ordered_dict() {
    global("collections", "OrderedDict");
    raw(")R");
  }
  const std::string& bytes() const { return text_; }

 private:
  template <class T>
  void number(T value) {
    text_.append(reinterpret_cast<const char*>(&value), sizeof(T));
  }
  std::string text_;
};

void pickle_tensor(PickleWriter& out, const Tensor& tensor, const std::string& key) {
  const auto dims = tensor.shape().dims();
  std::vector<std::int64_t> strides(dims.size(), 1);
  for (std::size_t i = strides.size(); i-- > 1;)
    strides[i - 1] = strides[i] * std::max<std::int64_t>(dims[i], 1);
  out.global("torch._utils", "_rebuild_tensor_v2");
  out.raw("((");
  out.text("storage");
  out.global("torch", info_of(element_type_of(tensor.dtype())).torch);
  out.text(key);
  out.text("cpu");
  out.integer(tensor.numel());
  out.raw("tQ");
  out.integer(0);
  out.tuple(dims);
  out.tuple(strides);
  out.raw("\x89");  // requires_grad is False
  out.empty_ordered_dict();
  out.raw("tR");
}

}  // namespace

std::vector<std::byte> to_pth(const std::vector<NamedTensor>& tensors) {
  PickleWriter pickle;
  pickle.empty_ordered_dict();
  pickle.raw("(");
  std::set<std::string_view> names;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const auto& [name, tensor] = tensors[i];
    REPRISE_CHECK(names.insert(name).second, "pth: {}: the name comes twice", name);
    pickle.text(name);
    pickle_tensor(pickle, tensor, std::to_string(i));
  }
  pickle.raw("u.");
  ZipWriter zip;
  zip.add("archive/data.pkl", pickle.bytes());
  zip.add("archive/byteorder", std::string_view("little"));
  for (std::size_t i = 0; i < tensors.size(); ++i)
    zip.add("archive/data/" + std::to_string(i), tensors[i].tensor.raw_bytes());
  zip.add("archive/version", std::string_view("3\n"));
  return zip.finish();
}

void write_pth(const std::string& path, const std::vector<NamedTensor>& tensors) {
  write_file_atomically(path, to_pth(tensors));
}

}  // namespace reprise::data
