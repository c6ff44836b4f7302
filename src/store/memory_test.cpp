// The doubles that tests of other modules put in the place of an adapter keep the port's promises
// too.
#include "store/memory_fixture.hpp"

#include <gtest/gtest.h>

#include <map>

#include "store/objects_conformance.hpp"
#include "store/state_conformance.hpp"

namespace heddle::store {
namespace {

/// A state that is opened again has what it had.
class Reopened final : public State {
 public:
  explicit Reopened(const std::string& directory) : state_(all()[directory]) {}
  Result<void> write(const std::function<Result<void>(Txn&)>& body) override {
    return state_.write(body);
  }
  Result<void> read(const std::function<Result<void>(Txn&)>& body) override {
    return state_.read(body);
  }
  Result<void> usable() const override { return state_.usable(); }

 private:
  static std::map<std::string, fixture::MemoryState>& all() {
    static std::map<std::string, fixture::MemoryState> states;
    return states;
  }
  fixture::MemoryState& state_;
};

}  // namespace

INSTANTIATE_TEST_SUITE_P(Memory, StateConformance,
                         testing::Values([](const std::string& directory) {
                           return std::make_unique<Reopened>(directory);
                         }));

INSTANTIATE_TEST_SUITE_P(
    Memory, ObjectsConformance,
    testing::Values(ObjectsAdapter{
        [](const std::string&) { return std::make_unique<fixture::MemoryObjects>(); },
        [](Objects& objects, const std::string&, const Digest& digest, std::string_view bytes) {
          dynamic_cast<fixture::MemoryObjects&>(objects).damage(digest, bytes);
        }}));

}  // namespace heddle::store
