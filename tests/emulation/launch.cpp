#include "tests/emulation/launch.h"

#include <ucontext.h>
#include <csetjmp>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <vector>

#include "tests/emulation/graph.h"

dim3 blockIdx(0, 0, 0), threadIdx(0, 0, 0), blockDim, gridDim;

namespace reprise::emulation {
namespace {

std::mutex one_kernel;

[[noreturn]] void give_up(const char* why) {
  std::fprintf(stderr, "emulation: %s\n", why);
  std::abort();
}

// A fiber runs the threads of one place in the block, one per block.
// setcontext enters it the first time, longjmp after that.
struct Fiber {
  ucontext_t context{};
  std::jmp_buf place{};
  std::vector<char> stack = std::vector<char>(64 << 10);
  bool started = false, done = false;
};
std::vector<std::unique_ptr<Fiber>> fibers;
Fiber* running = nullptr;
std::jmp_buf scheduler;
const std::function<void()>* body = nullptr;

void leave() {
  Fiber* self = running;
  if (_setjmp(self->place) == 0) _longjmp(scheduler, 1);
}

void fiber_main() {
  for (;;) {
    (*body)();
    running->done = true;
    leave();
  }
}

void resume(Fiber* fiber) {
  running = fiber;
  if (_setjmp(scheduler) != 0) return;
  if (running->started) _longjmp(running->place, 1);
  running->started = true;
  setcontext(&running->context);
}

void prepare(std::size_t count) {
  while (fibers.size() < count) {
    auto f = std::make_unique<Fiber>();
    getcontext(&f->context);
    f->context.uc_stack.ss_sp = f->stack.data();
    f->context.uc_stack.ss_size = f->stack.size();
    makecontext(&f->context, fiber_main, 0);
    fibers.push_back(std::move(f));
  }
}

Order chosen = Order::forwards;

// Calls f(i) with `index` set to the i-th one, for each i of [0, size), in the chosen order.
template <class F>
void each(dim3 size, dim3& index, F f) {
  constexpr std::size_t warp = 32;
  const std::size_t count = std::size_t{size.x} * size.y * size.z, warps = count / warp;
  for (std::size_t turn = 0; turn < count; ++turn) {
    std::size_t i = turn;
    if (chosen == Order::backwards) i = count - 1 - turn;
    if (chosen == Order::interleaved && turn < warps * warp) i = turn % warps * warp + turn / warps;
    index = dim3(static_cast<unsigned>(i % size.x), static_cast<unsigned>(i / size.x % size.y),
                 static_cast<unsigned>(i / size.x / size.y));
    f(i);
  }
}

// Runs the threads of a block, all of them from one barrier to the next, until all are done.
void run_block() {
  const std::size_t count = std::size_t{blockDim.x} * blockDim.y * blockDim.z;
  for (std::size_t i = 0; i < count; ++i) fibers[i]->done = false;
  for (bool any_left = true; any_left;) {
    std::size_t done = 0;
    each(blockDim, threadIdx, [&](std::size_t i) {
      resume(fibers[i].get());
      done += fibers[i]->done ? 1 : 0;
    });
    if (done != 0 && done != count) give_up("some threads ended while others wait at __syncthreads()");
    any_left = done == 0;
  }
}

void check_limits(dim3 grid, dim3 block) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.x > 0x7fffffffu || grid.y > 65535 || grid.z > 65535)
    give_up("a grid that a GPU would refuse");
  if (block.x * block.y * block.z == 0 || block.x * block.y * block.z > 1024 || block.z > 64)
    give_up("a block that a GPU would refuse");
}

}  // namespace

void set_order(Order order) {
  chosen = order;
}

void launch(dim3 grid, dim3 block, const std::function<void()>& thread) {
  if (captured([=] { launch(grid, block, thread); })) return;
  const std::lock_guard lock(one_kernel);
  const DeviceAccess access;
  check_limits(grid, block);
  gridDim = grid;
  blockDim = block;
  each(grid, blockIdx, [&](std::size_t) { each(block, threadIdx, [&](std::size_t) { thread(); }); });
}

void launch_blocks(dim3 grid, dim3 block, const std::function<void()>& thread) {
  if (captured([=] { launch_blocks(grid, block, thread); })) return;
  const std::lock_guard lock(one_kernel);
  const DeviceAccess access;
  check_limits(grid, block);
  gridDim = grid;
  blockDim = block;
  prepare(std::size_t{block.x} * block.y * block.z);
  body = &thread;
  each(grid, blockIdx, [](std::size_t) { run_block(); });
}

}  // namespace reprise::emulation

void __syncthreads() {
  reprise::emulation::leave();
}
