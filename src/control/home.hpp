#pragma once

#include <string>

namespace heddle::control {

/// Where a project keeps what is not in git: the paths under `<project>/.heddle`, in one place. A
/// value type.
class Home {
 public:
  explicit Home(std::string root) : root_(std::move(root)), dir_(root_ + "/.heddle") {}

  [[nodiscard]] const std::string& root() const noexcept { return root_; }
  [[nodiscard]] const std::string& dir() const noexcept { return dir_; }
  [[nodiscard]] std::string lock() const { return dir_ + "/lock"; }
  [[nodiscard]] std::string supervisor_lock() const { return dir_ + "/supervisor.lock"; }
  [[nodiscard]] std::string data_plane_lock() const { return dir_ + "/data-plane.lock"; }
  [[nodiscard]] std::string socket() const { return dir_ + "/control.sock"; }
  [[nodiscard]] std::string data_sockets() const { return dir_ + "/data"; }
  /// Of the data plane of one service: how its owner stops it (docs/http.md).
  [[nodiscard]] std::string data_socket(const std::string& service) const {
    return data_sockets() + "/" + service + ".sock";
  }
  [[nodiscard]] std::string reserve() const { return dir_ + "/reserve"; }
  /// What a caller of `socket` must know to be the owner; readable by the owner alone.
  [[nodiscard]] std::string owner_secret() const { return dir_ + "/keys/owner.secret"; }
  [[nodiscard]] std::string applied() const { return dir_ + "/applied.json"; }
  [[nodiscard]] std::string state() const { return dir_ + "/state.db"; }
  [[nodiscard]] std::string objects() const { return dir_ + "/objects"; }
  [[nodiscard]] std::string ledger_key() const { return dir_ + "/keys/ledger.key"; }
  [[nodiscard]] std::string control_key() const { return dir_ + "/keys/control.key"; }
  [[nodiscard]] std::string control_public_key() const { return dir_ + "/keys/control.pub"; }
  [[nodiscard]] std::string spool(const std::string& replica) const {
    return dir_ + "/spool/" + replica;
  }
  [[nodiscard]] std::string access(const std::string& service) const {
    return dir_ + "/access/" + service;
  }
  [[nodiscard]] std::string routes() const { return dir_ + "/routes"; }
  [[nodiscard]] std::string route(const std::string& service) const {
    return routes() + "/" + service + ".json";
  }
  [[nodiscard]] std::string runs() const { return dir_ + "/runs"; }
  [[nodiscard]] std::string comparison(const std::string& service) const {
    return runs() + "/compare/" + service;
  }
  [[nodiscard]] std::string tokens() const { return dir_ + "/tokens"; }
  [[nodiscard]] std::string token(const std::string& account) const {
    return tokens() + "/" + account;
  }

 private:
  std::string root_;
  std::string dir_;
};

}  // namespace heddle::control
