#pragma once

#include <cstdlib>
#include <new>

namespace heddle::fixture {
/// What the calling thread has allocated with `new` so far.
inline thread_local std::size_t allocations = 0;
}  // namespace heddle::fixture

// The whole program's: in one source of a test binary only. GCC takes the halves for a mismatch
// when it inlines one of them.
#pragma GCC diagnostic ignored "-Wmismatched-new-delete"
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  ++heddle::fixture::allocations;
  return std::malloc(size == 0 ? 1 : size);
}
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
