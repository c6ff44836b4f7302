#include "loadgen/reply.hpp"

#include <algorithm>
#include <charconv>

namespace heddle::loadgen {
namespace {

std::string_view without_spaces(std::string_view text) {
  while (text.starts_with(' ') || text.starts_with('\t')) text.remove_prefix(1);
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
  return text;
}

}  // namespace

bool ReplyReader::read_status(std::string_view head) {
  // `HTTP/1.1 200` has twelve characters.
  if (!head.starts_with("HTTP/1.") || head.size() < 12 || head[8] != ' ') return false;
  const auto read = std::from_chars(head.data() + 9, head.data() + 12, status_);
  if (read.ec != std::errc{} || read.ptr != head.data() + 12) return false;
  // 1.1 keeps the connection unless a header says otherwise, 1.0 does not (RFC 9112, 9.3).
  keep_alive_ = head[7] == '1';
  return status_ >= 100;
}

bool ReplyReader::read_length(std::string_view value) {
  // A second length is refused, even one that is the same.
  if (has_length_) return false;
  const auto read = std::from_chars(value.data(), value.data() + value.size(), length_);
  has_length_ = read.ec == std::errc{} && read.ptr == value.data() + value.size();
  return has_length_;
}

bool ReplyReader::read_header(std::string_view line) {
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return false;
  const std::string_view name = line.substr(0, colon);
  // Three names matter: their lengths tell most other headers apart before anything is compared.
  if (colon != 14 && colon != 17 && colon != 10) return true;
  const std::string_view value = without_spaces(line.substr(colon + 1));
  if (net::same_token(name, "content-length")) return read_length(value);
  if (net::same_token(name, "transfer-encoding"))
    return chunked_ = net::same_token(value, "chunked");
  if (net::same_token(name, "connection")) {
    if (net::same_token(value, "close")) keep_alive_ = false;
    if (net::same_token(value, "keep-alive")) keep_alive_ = true;
  }
  return true;
}

bool ReplyReader::read_head(std::string_view head) {
  if (!read_status(head)) return false;
  has_length_ = chunked_ = false;
  length_ = 0;
  std::size_t at = head.find("\r\n");
  while (at != std::string_view::npos) {
    at += 2;
    const std::size_t next = head.find("\r\n", at);
    if (!read_header(head.substr(at, next == std::string_view::npos ? next : next - at)))
      return false;
    at = next;
  }
  // Both would leave open where the body ends (RFC 9112, 6.3).
  return !(chunked_ && has_length_);
}

/// 204 and 304 have no body, whatever their headers say of one.
void ReplyReader::drop_body_of_status() {
  if (status_ != 204 && status_ != 304) return;
  has_length_ = true;
  chunked_ = false;
  length_ = 0;
}

/// kDone: `body_at_` and the framing are known.
ReplyReader::State ReplyReader::find_head(std::string_view bytes, bool ended) {
  while (body_at_ == 0) {
    const std::size_t end = bytes.find("\r\n\r\n", std::max(at_, searched_));
    if (end == std::string_view::npos) {
      // The beginning of the blank line may have come already.
      searched_ = bytes.size() > 3 ? bytes.size() - 3 : 0;
      return ended || bytes.size() - at_ > kMostHead ? State::kBad : State::kNeedMore;
    }
    if (!read_head(bytes.substr(at_, end - at_))) return State::kBad;
    if (status_ < 200) {  // an interim answer: the real one follows
      at_ = searched_ = end + 4;
      continue;
    }
    body_at_ = end + 4;
    drop_body_of_status();
    if (length_ > kMostBody) return State::kBad;
  }
  return State::kDone;
}

/// kDone: the body is whole, decoded, and `body` bytes long.
ReplyReader::State ReplyReader::find_body(char* data, std::size_t size, bool ended,
                                          std::size_t& body, std::size_t& consumed) {
  const State unfinished = ended ? State::kBad : State::kNeedMore;
  if (chunked_) {
    switch (chunks_.read(data + body_at_, size - body_at_, kMostBody)) {
      case net::ChunkedReader::State::kNeedMore: return unfinished;
      case net::ChunkedReader::State::kDone: break;
      default: return State::kBad;
    }
    body = chunks_.body_bytes();
    consumed = body_at_ + chunks_.consumed();
    return State::kDone;
  }
  if (has_length_) {
    if (size < body_at_ + length_) return unfinished;
    body = length_;
    consumed = body_at_ + length_;
    return State::kDone;
  }
  // It ends with the connection.
  if (size - body_at_ > kMostBody) return State::kBad;
  if (!ended) return State::kNeedMore;
  keep_alive_ = false;
  body = size - body_at_;
  consumed = size;
  return State::kDone;
}

ReplyReader::State ReplyReader::read(char* data, std::size_t size, bool ended, Reply& out,
                                     std::size_t& consumed) {
  State state = find_head({data, size}, ended);
  if (state != State::kDone) return state;
  std::size_t body = 0;
  state = find_body(data, size, ended, body, consumed);
  if (state != State::kDone) return state;
  out = {status_, std::string_view(data + at_, body_at_ - 4 - at_),
         std::string_view(data + body_at_, body), keep_alive_};
  *this = ReplyReader{};
  return State::kDone;
}

}  // namespace heddle::loadgen
