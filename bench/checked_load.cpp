// Load whose every answer is checked: what the benches of swaps, isolation and overload send
// (bench/harness/plane.py).
//   checked_load CONFIG.json      prints the outcome as one JSON line
// CONFIG: port, path, token; bodies: a file with member `bodies`; closed | rate; connections,
// pipeline; warmup_ms, duration_ms, timeout_ms, slice_ms, start_at_ns; golden: files of `http_plane
// pack`, whose probabilities an answer's bundle must have given. Beside the outcome of
// heddle::loadgen: `mixed` (the answer's score is not its bundle's for that row), `backwards` (the
// route version fell on a connection), `unread` (an answer of status 200 without these members),
// `versions` (different route versions seen).
#include <charconv>
#include <cstdio>
#include <map>
#include <set>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "loadgen/load.hpp"
#include "loadgen/report.hpp"

namespace heddle {
namespace {

/// The text after `"name":` in an answer of the data plane; empty when it is not there.
std::string_view after(std::string_view text, std::string_view member) {
  const std::size_t at = text.find(member);
  return at == std::string_view::npos ? std::string_view{} : text.substr(at + member.size());
}

/// Holds each answer against what its bundle gives for its row, and a connection's route versions
/// against each other.
class Judge {
 public:
  Result<void> learn(const std::string& path) {
    HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
    HEDDLE_ASSIGN_OR_RETURN(const auto value, doc::parse_json(text));
    for (const doc::Value& bundle : value.as_array()) {
      auto& scores = golden_[bundle.string_or("digest")];
      for (const doc::Value& p : bundle.find("probabilities")->as_array())
        scores.push_back(static_cast<float>(p.as_double()));
    }
    return {};
  }

  bool judge(const loadgen::Answer& answer) {
    if (answer.status != 200) return true;  // counted by its status
    std::string_view digest = after(answer.text, R"("bundle":")");
    digest = digest.substr(0, digest.find('"'));
    const std::string_view version_text = after(answer.text, R"("route_version":)");
    const std::string_view probability_text = after(answer.text, R"("probability":)");
    std::uint64_t version = 0;
    float probability = 0;
    if (std::from_chars(version_text.data(), version_text.data() + version_text.size(), version)
                .ec != std::errc{} ||
        std::from_chars(probability_text.data(), probability_text.data() + probability_text.size(),
                        probability)
                .ec != std::errc{}) {
      ++unread;
      return false;
    }
    bool right = true;
    if (!golden_.empty()) {
      const auto known = golden_.find(digest);
      if (known == golden_.end() || answer.body >= known->second.size() ||
          known->second[answer.body] != probability) {
        ++mixed;
        right = false;
      }
    }
    if (version != newest_) {
      newest_ = version;
      versions.insert(version);
    }
    if (answer.connection >= last_.size()) last_.resize(answer.connection + 1);
    Last& last = last_[answer.connection];
    if (last.incarnation == answer.incarnation && version < last.version) {
      ++backwards;
      right = false;
    }
    last = {answer.incarnation, version};
    return right;
  }

  std::uint64_t mixed = 0;
  std::uint64_t backwards = 0;
  std::uint64_t unread = 0;
  std::set<std::uint64_t> versions;

 private:
  struct Last {
    std::uint64_t incarnation = 0;
    std::uint64_t version = 0;
  };
  std::map<std::string, std::vector<float>, std::less<>> golden_;
  std::vector<Last> last_;
  std::uint64_t newest_ = 0;
};

Result<void> run(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  HEDDLE_ASSIGN_OR_RETURN(const auto config, doc::parse_json(text));
  loadgen::Options options;
  options.target.port = static_cast<int>(config.int_or("port"));
  options.target.path = config.string_or("path");
  options.target.headers = {{"Content-Type", "application/json"},
                            {"Authorization", "Bearer " + config.string_or("token")}};
  HEDDLE_ASSIGN_OR_RETURN(const std::string bodies_text, read_file(config.string_or("bodies")));
  HEDDLE_ASSIGN_OR_RETURN(const auto bodies, doc::parse_json(bodies_text));
  for (const doc::Value& body : bodies.find("bodies")->as_array())
    options.target.bodies.push_back(body.as_string());
  options.closed = config.bool_or("closed");
  options.rate = config.double_or("rate", 1000);
  options.connections = static_cast<std::size_t>(config.int_or("connections", 8));
  options.pipeline = static_cast<std::size_t>(config.int_or("pipeline", 1));
  options.warmup_ns = config.int_or("warmup_ms", 1000) * 1'000'000;
  options.duration_ns = config.int_or("duration_ms", 4000) * 1'000'000;
  options.timeout_ns = config.int_or("timeout_ms", 10'000) * 1'000'000;
  options.slice_ns = config.int_or("slice_ms") * 1'000'000;
  options.start_at_ns = config.int_or("start_at_ns");
  Judge judge;
  if (const auto* golden = config.find("golden"); golden != nullptr) {
    for (const doc::Value& file : golden->as_array()) HEDDLE_TRY(judge.learn(file.as_string()));
  }
  options.inspect = [&](const loadgen::Answer& answer) { return judge.judge(answer); };
  HEDDLE_ASSIGN_OR_RETURN(const auto outcome, loadgen::run(options));
  doc::Value value = loadgen::to_value(options, outcome);
  value.set("failed", outcome.failed());
  value.set("mixed", judge.mixed);
  value.set("backwards", judge.backwards);
  value.set("unread", judge.unread);
  value.set("versions", judge.versions.size());
  fmt::print("{}\n", doc::to_json(value));
  return {};
}

}  // namespace
}  // namespace heddle

int main(int argc, char** argv) {
  const auto done = argc == 2
                        ? heddle::run(argv[1])
                        : heddle::Result<void>(heddle::Error{heddle::ErrorKind::kInvalid, "usage",
                                                             "checked_load CONFIG.json",
                                                             "see the head of checked_load.cpp"});
  if (!done.ok()) fmt::print(stderr, "{}\n", done.error().str());
  return done.ok() ? 0 : 1;
}
