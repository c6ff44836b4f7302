#include "net/http1_session.hpp"

namespace heddle::net {
namespace {

constexpr std::size_t kSlack = 8192;

}  // namespace

Http1Session::State Http1Session::read_head_of(InBuffer& in, const Bounds& bounds, Names names,
                                               RequestHead& head, std::vector<Header>& headers,
                                               Refusal& refusal) {
  if (!partial_head_.worth_reading(in.view(), bounds.header_bytes)) return State::kNeedMore;
  std::string_view reason;
  switch (read_head(in.view(), bounds.header_bytes, bounds.headers, head, headers, reason)) {
    case HeadResult::kNeedMore: partial_head_.was_read(in.size()); return State::kNeedMore;
    case HeadResult::kBad: refusal = {400, "http-malformed", reason}; return State::kRefused;
    case HeadResult::kTooLarge:
      refusal = {431, "http-head-too-large", reason};
      return State::kRefused;
    case HeadResult::kUnsupported: refusal = {505, "http-version", reason}; return State::kRefused;
    case HeadResult::kComplete: break;
  }
  if (head.content_length.value_or(0) > bounds.body_bytes) {
    refusal = {413, "http-too-large", "a body over the limit"};
    return State::kRefused;
  }
  if (names.hosts != nullptr && !names.hosts->allow(head.host, names.socket))
    return State::kForeignHost;
  return State::kWhole;
}

Http1Session::State Http1Session::read(InBuffer& in, const Bounds& bounds, Names names,
                                       Incoming& incoming, std::vector<Header>& headers,
                                       Refusal& refusal) {
  if (!head_known_) {
    const RequestHead& head = incoming.head;
    const State state = read_head_of(in, bounds, names, incoming.head, headers, refusal);
    if (state != State::kWhole) return state;
    head_known_ = true;
    partial_head_.reset();
    body_at_ = head.bytes;
    chunked_ = head.chunked;
    content_length_ = head.content_length.value_or(0);
    chunks_.reset();
    if (head.expect_continue && in.size() == head.bytes && (chunked_ || content_length_ > 0))
      return State::kContinue;
  }
  const State state = read_body(in, bounds, incoming, refusal);
  if (state == State::kWhole && incoming.head.bytes == 0) {
    // It came in parts and the buffer may have moved: read again, cheaply.
    std::string_view reason;
    (void)read_head(in.view(), bounds.header_bytes, bounds.headers, incoming.head, headers, reason);
  }
  return state;
}

Http1Session::State Http1Session::read_body(InBuffer& in, const Bounds& bounds, Incoming& incoming,
                                            Refusal& refusal) {
  if (!chunked_) {
    incoming.bytes = body_at_ + static_cast<std::size_t>(content_length_);
    // The buffer grows with what came, not with what was announced.
    if (in.size() < incoming.bytes) return State::kNeedMore;
    incoming.body = {in.begin() + body_at_, static_cast<std::size_t>(content_length_)};
    return State::kWhole;
  }
  char* at = in.begin() + body_at_;
  switch (chunks_.read(at, in.size() - body_at_, bounds.body_bytes)) {
    case ChunkedReader::State::kNeedMore:
      // Tiny chunks cost more than they carry; the cost is bounded too.
      if (in.size() <= bounds.header_bytes + 2 * bounds.body_bytes + kSlack)
        return State::kNeedMore;
      refusal = {413, "http-too-large", "a body over the limit"};
      return State::kRefused;
    case ChunkedReader::State::kBad:
      refusal = {400, "http-malformed", "a malformed chunk"};
      return State::kRefused;
    case ChunkedReader::State::kTooLarge:
      refusal = {413, "http-too-large", "a body over the limit"};
      return State::kRefused;
    case ChunkedReader::State::kDone: break;
  }
  incoming.bytes = body_at_ + chunks_.consumed();
  incoming.body = {at, chunks_.body_bytes()};
  return State::kWhole;
}

}  // namespace heddle::net
