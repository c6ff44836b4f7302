#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "net/admission.hpp"
#include "net/grpc.hpp"

struct nghttp2_session;

namespace heddle::net {

/// gRPC over one HTTP/2 connection (RFC 9113, grpc/doc/PROTOCOL-HTTP2.md), server side, without any
/// I/O: bytes go in, calls come out, replies go in, bytes come out. Everything it holds is bounded:
/// streams, header lists, messages, unread output, and what a client may make it do for nothing
/// (resets, pings, settings, window updates, empty frames). Owned by its connection; one thread.
class H2Session {
 public:
  struct Options {
    std::size_t message_bytes = 4 << 20;
    std::size_t header_bytes = 16 << 10;
    std::size_t headers = 64;
    std::size_t streams = 100;
    std::int64_t read_timeout_ms = 10'000;
    std::int64_t idle_timeout_ms = 60'000;
    std::int64_t bytes_per_second = 0;  ///< of a message, after its first second; 0: any
    const std::vector<std::string>* streaming =
        nullptr;  ///< methods that take many messages; outlives the session
    std::function<std::string(std::string_view authority)>
        refuse_host{};  ///< why a call to this host is refused; empty: it is not
    std::function<bool(const GrpcCall&)>
        inflate_for{};  ///< whether a compressed message of this call is inflated; none: all are.
                        ///< Others are handled as empty
  };
  /// Answers one message into the reply, or returns true: the reply comes by `reply`. `request`
  /// names the message then.
  using Handler =
      std::function<bool(std::int32_t stream, std::uint64_t request, GrpcCall&, GrpcReply&)>;

  H2Session(const Options& options, Handler handler, std::int64_t now_ns);
  ~H2Session();
  H2Session(const H2Session&) = delete;
  H2Session& operator=(const H2Session&) = delete;

  /// Calls the handler for each message that became whole. False: the connection ends once what
  /// `produce` still gives is sent.
  [[nodiscard]] bool receive(std::string_view bytes, std::int64_t now_ns);
  /// Appends output until `out` has `up_to` bytes or there is none. Calls no handler.
  void produce(std::string& out, std::size_t up_to);
  /// Messages that waited for output to leave are handled. Call when `backlog()`.
  void resume(std::int64_t now_ns);
  [[nodiscard]] bool backlog() const noexcept { return !resumable_.empty(); }

  [[nodiscard]] bool waiting(std::int32_t stream, std::uint64_t request) const;
  void reply(std::int32_t stream, std::uint64_t request, GrpcReply reply, std::int64_t now_ns);

  /// Ends streams whose time is over; about ten times a second. False: the connection itself has
  /// been idle for too long.
  [[nodiscard]] bool sweep(std::int64_t now_ns);
  /// Tells the client to open no further streams here; the second call, a while later, says which
  /// one was the last.
  void go_away();
  /// Nothing is left to do and the other side knows.
  [[nodiscard]] bool finished() const;
  [[nodiscard]] std::size_t streams() const noexcept { return open_; }
  /// What would be lost if the connection were closed now, apart from output it does not take.
  [[nodiscard]] Use use() const noexcept;
  [[nodiscard]] std::int64_t idle_since() const noexcept { return idle_since_; }
  [[nodiscard]] std::size_t buffered() const noexcept {
    return buffered_;
  }  ///< bytes of messages, in and out
  /// Ends the largest half-read message: there is no memory for it.
  void shed();

 private:
  struct Stream;
  struct Callbacks;
  Stream* find(std::int32_t id) const;
  Stream* begin(std::int32_t id);
  void forget(Stream& stream);
  void headers_done(Stream& stream);
  void frame_of_call(std::int32_t id, bool is_head, bool is_last);
  void pump(Stream& stream);
  [[nodiscard]] bool take_message(Stream& stream);
  [[nodiscard]] bool refuses_frame(Stream& stream, const char* frame, std::size_t have);
  void drop_taken_input(Stream& stream);
  void end_of_input(Stream& stream);
  [[nodiscard]] bool inflate(Stream& stream, GrpcCall& call, std::string_view& message);
  void sweep(Stream& stream);
  [[nodiscard]] bool is_past_deadline(const Stream& stream) const;
  [[nodiscard]] bool is_late(const Stream& stream) const;
  bool handle(Stream& stream, std::string_view message, bool compressed);
  void send(Stream& stream, const GrpcReply& reply);
  void fail(Stream& stream, GrpcStatus status, std::string_view message,
            bool tell_encodings = false);
  void end(Stream& stream, int status, std::string_view message, bool tell_encodings = false);
  void refuse(Stream& stream, std::string_view http_status);
  void consume(Stream& stream);
  /// The client did what costs us and gains nobody, worth so many quarters of its credit.
  void charge_abuse(int quarters);
  void sent(Stream& stream, std::size_t bytes) const;
  void account(Stream& stream);

  Options options_;
  Handler handler_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Stream>> streams_;  ///< open ones
  std::vector<std::unique_ptr<Stream>> spare_;
  std::vector<std::int32_t> resumable_;
  std::size_t open_ = 0;
  std::size_t buffered_ = 0;
  std::uint64_t requests_ = 0;
  std::int64_t now_ = 0;
  std::int64_t idle_since_ = 0;
  double credit_ = 0;  ///< what the client may still do for nothing
  std::int64_t credit_at_ = 0;
  bool gone_ = false;  ///< ENHANCE_YOUR_CALM or a protocol error was sent
  int going_ = 0;      ///< calls of `go_away`
  GrpcReply reply_;
  std::string inflated_;
  std::vector<Header> metadata_;
};

}  // namespace heddle::net
