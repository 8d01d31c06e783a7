// Defines the rows of the table. A listed function that nobody wrote is a link error.
#include "engine/kernels/table.h"

#include "engine/kernels/kernels.h"

namespace reprise::kernels {
namespace {

using f32 = float;
using f64 = double;
using bf16 = BFloat16;

template <class... T>
struct Types {};

template <class Signature, class Ref, class Cpu, class Cuda>
constexpr Kernel<Signature> make_kernel(const char* name, const char* signature, Ref ref, Cpu cpu,
                                        Cuda cuda) {
  Kernel<Signature> k{name, signature, {}};
  ref(k.function[0]);
  cpu(k.function[1]);
  cuda(k.function[2]);
  return k;
}

// Fills one row's pointers for the listed types.
template <class F, class Pick, class... T>
constexpr void fill([[maybe_unused]] F (&row)[dtype_count], [[maybe_unused]] Pick pick, Types<T...>) {
  ((row[static_cast<int>(dtype_of<T>)] = pick.template operator()<T>()), ...);
}

#define REPRISE_TYPES_ref(...) Types<__VA_ARGS__>
#define REPRISE_TYPES_cpu(...) Types<__VA_ARGS__>
#if defined(REPRISE_WITH_CUDA)
#define REPRISE_TYPES_cuda(...) Types<__VA_ARGS__>
#else
#define REPRISE_TYPES_cuda(...) Types<>
#endif

}  // namespace

#define KERNEL(name_, REF, CPU, CUDA, SIGNATURE)                                     \
  constinit const Kernel<void SIGNATURE> name_ = make_kernel<void SIGNATURE>(        \
      #name_, #SIGNATURE,                                                            \
      [](auto& row) {                                                                \
        fill(                                                                        \
            row, []<class T>() { return &ref::name_<T>; }, REPRISE_TYPES_##REF{});   \
      },                                                                             \
      [](auto& row) {                                                                \
        fill(                                                                        \
            row, []<class T>() { return &cpu::name_<T>; }, REPRISE_TYPES_##CPU{});   \
      },                                                                             \
      [](auto& row) {                                                                \
        fill(                                                                        \
            row, []<class T>() { return &cuda::name_<T>; }, REPRISE_TYPES_##CUDA{}); \
      });
#include "engine/kernels/kernels.def"
#undef KERNEL

}  // namespace reprise::kernels
