#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "net/admission.hpp"
#include "net/byte_budget.hpp"
#include "net/connections.hpp"
#include "net/poller.hpp"
#include "net/server.hpp"
#include "net/tls.hpp"

namespace heddle::net {

enum class ListenerKind : std::uint8_t { kHttp, kUnix, kGrpc };
inline constexpr std::array kListenerKinds{ListenerKind::kHttp, ListenerKind::kUnix,
                                           ListenerKind::kGrpc};

/// A listening socket, or none. Closes it, and removes the file of a Unix socket unless a successor
/// has the socket too.
class Listener {
 public:
  Listener() = default;
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener() { close(); }

  void use(int fd) noexcept { fd_ = fd; }
  void remove_at_end(std::string file) { file_ = std::move(file); }
  void hand_over() { file_.clear(); }
  void close();
  [[nodiscard]] bool open() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int fd() const noexcept { return fd_; }

 private:
  int fd_ = -1;
  std::string file_;
};

/// Lets clients in, and chooses who goes for them where there is no room: the listeners, their TLS,
/// the limits of connections, addresses, handshakes and open files. One thread, but for the counts.
class Acceptor {
 public:
  struct Hooks {
    std::function<void(std::unique_ptr<Connection>)> admitted;
    std::function<void(Connection&)> close;
  };
  /// All of them outlive it. Listeners are known to `poller` by `first_tag` and what follows.
  Acceptor(const HttpServer::Options& options, const Poller& poller, std::uint64_t first_tag,
           Connections& connections, Admission& admission, ByteBudget& budget, Hooks hooks);

  [[nodiscard]] Result<void> open();
  [[nodiscard]] Result<void> load_tls();
  void accept_all(ListenerKind kind);
  void set_accepting(bool on);
  /// A connection ended: those that wait in the kernel's queue may come.
  void there_is_room();
  /// Those that were chosen to go are chosen anew.
  void forget_choices() { leaving_.clear(); }
  /// Whoever is in the kernel's queue comes still, unless a successor has the same queue; then
  /// nobody does.
  void end();
  [[nodiscard]] std::vector<ListenerFd> hand_over();

  [[nodiscard]] int http_port() const noexcept { return http_port_; }
  [[nodiscard]] int grpc_port() const noexcept { return grpc_port_; }
  [[nodiscard]] HttpServer::ClosedForRoom closed_for_room() const noexcept {
    return {closed_for_all_, closed_for_address_, closed_for_handshake_, refused_for_room_};
  }

 private:
  static constexpr std::size_t kKinds = kListenerKinds.size();
  /// Whose connections are looked through when there is no room: an address's, or these. No address
  /// has these numbers.
  enum Among : std::uint64_t { kAll, kHandshakes };
  /// Those that go first when there is no room, chosen for many at once; forgotten at each sweep.
  struct Leaving {
    std::vector<Candidate> next;  ///< the first one at the end
    bool none = false;            ///< nobody can be closed
  };

  [[nodiscard]] Listener& of(ListenerKind kind) {
    return listeners_[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] bool& waits(ListenerKind kind) {
    return waits_for_room_[static_cast<std::size_t>(kind)];
  }
  [[nodiscard]] Result<void> adopt_listeners();
  [[nodiscard]] Result<void> listen();
  void ask_for_new(ListenerKind kind);
  void wait_for_room(ListenerKind kind);
  [[nodiscard]] int accept_one(ListenerKind kind, std::uint64_t& address, bool& more);
  /// After accept failed: whether to go on with the next one.
  [[nodiscard]] bool goes_on_after(int error, Connection* leaves, ListenerKind kind);
  void close_for_room(Connection* leaves);
  /// Where there is none, one that has less claim to stay is closed; false: none is.
  [[nodiscard]] bool make_room_for_handshake();
  [[nodiscard]] bool make_room_for_address(std::uint64_t address);
  void admit(int fd, std::uint64_t address, ListenerKind kind);
  /// The one to close for a new one; nullptr: each of them is being answered.
  [[nodiscard]] Connection* first_to_go(std::uint64_t among);
  void choose_leaving(std::uint64_t among, Leaving& leaving);

  const HttpServer::Options& options_;
  const Poller& poller_;
  std::uint64_t first_tag_;
  Connections& connections_;
  Admission& admission_;
  ByteBudget& budget_;
  Hooks hooks_;
  std::array<Listener, kKinds> listeners_;
  std::array<bool, kKinds> waits_for_room_{};  ///< new ones wait in the kernel's queue
  bool accepting_ = true;
  bool handed_over_ = false;
  int http_port_ = 0;
  int grpc_port_ = 0;
  int first_kept_fd_;  ///< descriptors from here on are not for clients
  TlsContext http_tls_;
  TlsContext grpc_tls_;
  std::unordered_map<std::uint64_t, Leaving> leaving_;  ///< by address, or by `Among`
  /// As `HttpServer::ClosedForRoom`; written by the loop alone.
  std::atomic<std::uint64_t> closed_for_all_{0}, closed_for_address_{0}, closed_for_handshake_{0},
      refused_for_room_{0};
};

}  // namespace heddle::net
