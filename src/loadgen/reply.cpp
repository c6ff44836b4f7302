#include "loadgen/reply.hpp"

#include <algorithm>
#include <charconv>

namespace heddle::loadgen {

bool ReplyReader::read_head(std::string_view head) {
  if (!head.starts_with("HTTP/1.") || head.size() < 12 || head[8] != ' ') return false;
  if (const auto read = std::from_chars(head.data() + 9, head.data() + 12, status_);
      read.ec != std::errc{} || read.ptr != head.data() + 12)
    return false;
  if (status_ < 100) return false;
  keep_alive_ = head[7] == '1';
  has_length_ = chunked_ = false;
  length_ = 0;
  std::size_t at = head.find("\r\n");
  while (at != std::string_view::npos) {
    at += 2;
    const std::size_t next = head.find("\r\n", at);
    const std::string_view line =
        head.substr(at, next == std::string_view::npos ? next : next - at);
    at = next;
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos) return false;
    const std::string_view name = line.substr(0, colon);
    // Three names matter: their lengths tell most other headers apart before anything is compared.
    if (colon != 14 && colon != 17 && colon != 10) continue;
    std::string_view value = line.substr(colon + 1);
    while (value.starts_with(' ') || value.starts_with('\t')) value.remove_prefix(1);
    while (value.ends_with(' ') || value.ends_with('\t')) value.remove_suffix(1);
    if (net::same_token(name, "content-length")) {
      const auto read = std::from_chars(value.data(), value.data() + value.size(), length_);
      if (read.ec != std::errc{} || read.ptr != value.data() + value.size() || has_length_)
        return false;
      has_length_ = true;
    } else if (net::same_token(name, "transfer-encoding")) {
      if (!net::same_token(value, "chunked")) return false;
      chunked_ = true;
    } else if (net::same_token(name, "connection")) {
      if (net::same_token(value, "close"))
        keep_alive_ = false;
      else if (net::same_token(value, "keep-alive"))
        keep_alive_ = true;
    }
  }
  return !(chunked_ && has_length_);
}

ReplyReader::State ReplyReader::read(char* data, std::size_t size, bool ended, Reply& out,
                                     std::size_t& consumed) {
  while (body_at_ == 0) {
    const std::string_view bytes(data, size);
    const std::size_t end = bytes.find("\r\n\r\n", std::max(at_, searched_));
    if (end == std::string_view::npos) {
      searched_ = size > 3 ? size - 3 : 0;
      return ended || size - at_ > kMostHead ? State::kBad : State::kNeedMore;
    }
    if (!read_head(bytes.substr(at_, end - at_))) return State::kBad;
    if (status_ >= 100 && status_ < 200) {
      at_ = searched_ = end + 4;
      continue;
    }
    body_at_ = end + 4;
    if (status_ == 204 || status_ == 304) {
      has_length_ = true;
      chunked_ = false;
      length_ = 0;
    }
    if (length_ > kMostBody) return State::kBad;
  }
  std::size_t body = 0;
  if (chunked_) {
    switch (chunks_.read(data + body_at_, size - body_at_, kMostBody)) {
      case net::ChunkedReader::State::kNeedMore: return ended ? State::kBad : State::kNeedMore;
      case net::ChunkedReader::State::kDone: break;
      default: return State::kBad;
    }
    body = chunks_.body_bytes();
    consumed = body_at_ + chunks_.consumed();
  } else if (has_length_) {
    if (size < body_at_ + length_) return ended ? State::kBad : State::kNeedMore;
    body = length_;
    consumed = body_at_ + length_;
  } else {  // ends with the connection
    if (size - body_at_ > kMostBody) return State::kBad;
    if (!ended) return State::kNeedMore;
    keep_alive_ = false;
    body = size - body_at_;
    consumed = size;
  }
  out = {status_, std::string_view(data + at_, body_at_ - 4 - at_),
         std::string_view(data + body_at_, body), keep_alive_};
  *this = ReplyReader{};
  return State::kDone;
}

}  // namespace heddle::loadgen
