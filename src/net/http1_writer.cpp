#include "net/http1_writer.hpp"

#include <charconv>
#include <ctime>

#include <fmt/format.h>

namespace heddle::net {

void Http1Writer::set_second(std::int64_t second) {
  if (second == second_) return;
  second_ = second;
  const std::time_t time = second;
  std::tm parts{};
  ::gmtime_r(&time, &parts);
  char text[64];
  // The C locale's names: nothing of this process sets another one.
  const std::size_t n =
      std::strftime(text, sizeof text, "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &parts);
  date_.assign(text, n);
  for (KeptHead& kept : kept_heads_) kept.status = 0;
}

void Http1Writer::write(const Response& response, bool closing, bool head_only, std::string& out) {
  KeptHead& kept = kept_heads_[response.status == 200 ? 0 : 1];
  if (kept.status != response.status || kept.type != response.content_type) {
    kept.status = response.status;
    kept.type = response.content_type;
    kept.text =
        fmt::format("HTTP/1.1 {} {}\r\n{}", response.status, status_text(response.status), date_);
    if (response.status != 204)
      kept.text += fmt::format("Content-Type: {}\r\nContent-Length: ", response.content_type);
  }
  out.append(kept.text);
  if (response.status != 204) {
    char digits[24];
    out.append(digits, static_cast<std::size_t>(
                           std::to_chars(digits, digits + sizeof digits, response.body.size()).ptr -
                           digits));
    out.append("\r\n");
  }
  out.append(response.headers);
  out.append(closing ? "Connection: close\r\n\r\n" : "\r\n");
  if (!head_only && response.status != 204) out.append(response.body);
}

}  // namespace heddle::net
