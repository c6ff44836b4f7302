#pragma once

// A control plane over what a test of one service has. For tests only.
#include <memory>
#include <utility>

#include "control/operations.hpp"
#include "control/service_fixture.hpp"

namespace heddle::control::fixture {

class CoreTest : public ServiceTest {
 protected:
  /// Closes the fixture's service; state, objects, ledger, policy and outbox are the core's from
  /// here on. Its services are not open yet.
  void make_core() {
    control_.reset();
    wiring_.clock = &clock_;
    core_ = std::make_unique<Control::Core>(home_->root(), wiring_);
    core_->running = core_->project = project_;
    core_->state = std::move(state_);
    core_->objects = std::move(objects_);
    core_->ledger = std::move(ledger_);
    core_->policy = std::move(policy_);
    core_->outbox = std::move(outbox_);
    core_->control_key = key_;
    core_->parts = {
        &core_->home, &core_->running,     core_->state.get(),  core_->objects.get(), nullptr,
        nullptr,      core_->policy.get(), core_->outbox.get(), &core_->control_key,  ""};
  }

  Wiring wiring_;
  std::unique_ptr<Control::Core> core_;
};

}  // namespace heddle::control::fixture
