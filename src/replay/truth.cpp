#include "replay/truth.hpp"

#include <cerrno>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "base/file.hpp"
#include "doc/json.hpp"
#include "replay/replayer.hpp"

namespace heddle::replay {
namespace {

/// Reads the fixed form that `TruthWriter` gives, from left to right.
class Line {
 public:
  explicit Line(std::string_view text) : rest_(text) {}

  bool expect(std::string_view literal) {
    if (!rest_.starts_with(literal)) return false;
    rest_.remove_prefix(literal.size());
    return true;
  }
  template <class T>
  bool number(T& out) {
    const auto [end, error] = std::from_chars(rest_.data(), rest_.data() + rest_.size(), out);
    if (error != std::errc{}) return false;
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return true;
  }
  bool label(std::optional<stats::Label>& out) {
    if (expect("null")) return true;
    if (expect("true")) return out.emplace(true), true;
    if (expect("false")) return out.emplace(false), true;
    double value = 0;
    if (!rest_.starts_with('"')) return number(value) && (out.emplace(value), true);
    return word(out);
  }
  /// `literal` and the number behind it.
  template <class T>
  bool member(std::string_view literal, T& out) {
    return expect(literal) && number(out);
  }
  bool until(char stop, std::string_view& out) {
    const std::size_t at = rest_.find(stop);
    if (at == std::string_view::npos) return false;
    out = rest_.substr(0, at);
    rest_.remove_prefix(at);
    return true;
  }
  bool names(std::vector<std::string>& out) {
    if (!expect("[")) return false;
    if (expect("]")) return true;
    do {
      std::string_view name;
      if (!expect("\"") || !until('"', name) || !expect("\"")) return false;
      out.emplace_back(name);
    } while (expect(","));
    return expect("]");
  }

 private:
  bool word(std::optional<stats::Label>& out) {
    // The string ends at the first quote that is not escaped.
    std::size_t end = 1;
    while (end < rest_.size() && rest_[end] != '"') end += rest_[end] == '\\' ? 2 : 1;
    if (end >= rest_.size()) return false;
    const auto text = doc::parse_json(rest_.substr(0, end + 1));
    if (!text.ok() || !text->is_string()) return false;
    out.emplace(text->as_string());
    rest_.remove_prefix(end + 1);
    return true;
  }

  std::string_view rest_;
};

bool read_first_line(Line line, std::vector<std::string>& faults) {
  return line.expect("{\"schema\":\"heddle.truth/2\",\"faults\":") && line.names(faults) &&
         // One bit each in a row.
         faults.size() <= kMostFaults;
}

/// The id is `<run>-<request>#<index>`.
bool read_row_id(Line& line, TruthRow& row) {
  std::string_view run;
  return line.expect("{\"id\":\"") && line.until('-', run) && line.member("-", row.request) &&
         line.member("#", row.index);
}

/// Sets the bit of each fault that is named; false when one is unknown.
bool set_faults(const std::vector<std::string>& names, const std::vector<std::string>& known,
                TruthRow& row) {
  for (const std::string& name : names) {
    FaultBits bits = 0;
    for (std::size_t i = 0; i < known.size(); ++i) {
      if (known[i] == name) bits |= FaultBits{1} << i;
    }
    // A fault that the first line does not name.
    if (bits == 0) return false;
    row.faults |= bits;
  }
  return true;
}

bool read_row(Line line, const std::vector<std::string>& known, TruthRow& row) {
  std::vector<std::string> names;
  return read_row_id(line, row) && line.member("\",\"row\":", row.recorded) &&
         line.member(",\"time\":", row.event_time) && line.member(",\"source\":", row.source) &&
         line.expect(",\"label\":") && line.label(row.label) && line.expect(",\"faults\":") &&
         line.names(names) && line.expect("}") && set_faults(names, known, row);
}

std::string label_text(const std::optional<stats::Label>& label) {
  if (!label) return "null";
  return doc::to_json(std::visit([](const auto& value) { return doc::Value(value); }, *label));
}

void append_names(const std::vector<std::string>& names, FaultBits bits, std::string& out) {
  out.push_back('[');
  bool first = true;
  for (std::size_t i = 0; i < names.size(); ++i) {
    if ((bits >> i & 1u) == 0) continue;
    if (!first) out.push_back(',');
    first = false;
    fmt::format_to(std::back_inserter(out), "\"{}\"", names[i]);
  }
  out.push_back(']');
}

}  // namespace

TruthWriter::TruthWriter(std::FILE* file, std::string path, std::vector<std::string> names)
    : file_(file), path_(std::move(path)), names_(std::move(names)) {}
TruthWriter::TruthWriter(TruthWriter&& other) noexcept
    : file_(std::exchange(other.file_, nullptr)),
      path_(std::move(other.path_)),
      names_(std::move(other.names_)) {}
TruthWriter::~TruthWriter() {
  if (file_ != nullptr) std::fclose(file_);
}

Result<TruthWriter> TruthWriter::open(const std::string& path,
                                      std::span<const spec::Fault> faults) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) {
    return Error{ErrorKind::kIo, "replay-truth",
                 fmt::format("cannot write `{}`: {}", path, std::strerror(errno)),
                 "check the folder and the space on the disk"};
  }
  std::vector<std::string> names;
  for (const spec::Fault& fault : faults) names.push_back(fault.identity.name);
  TruthWriter writer(file, path, std::move(names));
  writer.line_ = "{\"schema\":\"heddle.truth/2\",\"faults\":";
  append_names(writer.names_, ~FaultBits{0}, writer.line_);
  writer.line_ += "}\n";
  std::fwrite(writer.line_.data(), 1, writer.line_.size(), file);
  return writer;
}

void TruthWriter::add(std::string_view run, const TruthRow& row) {
  line_.clear();
  fmt::format_to(std::back_inserter(line_),
                 "{{\"id\":\"{}#{}\",\"row\":{},\"time\":{},\"source\":{},\"label\":{},\"faults\":",
                 request_id(run, row.request), row.index, row.recorded, row.event_time, row.source,
                 label_text(row.label));
  append_names(names_, row.faults, line_);
  line_ += "}\n";
  std::fwrite(line_.data(), 1, line_.size(), file_);
}

Result<void> TruthWriter::finish() {
  // Asked once: every write before left its failure there.
  const bool bad = std::ferror(file_) != 0;
  const bool closed = std::fclose(std::exchange(file_, nullptr)) == 0;
  if (bad || !closed) {
    return Error{ErrorKind::kIo, "replay-truth",
                 fmt::format("`{}` could not be written whole", path_),
                 "check the space on the disk"};
  }
  return {};
}

Result<Truth> read_truth(const std::string& path) {
  HEDDLE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  Truth truth;
  std::size_t at = 0;
  std::int64_t number = 0;
  while (at < text.size()) {
    const std::size_t end = std::min(text.find('\n', at), text.size());
    const Line line(std::string_view(text).substr(at, end - at));
    // Also past the end, where the last line has no newline.
    at = end + 1;
    ++number;
    const bool good = number == 1 ? read_first_line(line, truth.faults)
                                  : read_row(line, truth.faults, truth.rows.emplace_back());
    if (!good) {
      return Error{ErrorKind::kCorrupt, "replay-truth-line",
                   fmt::format("line {} of `{}` is not a line of truth", number, path),
                   "run the replay again"};
    }
  }
  return truth;
}

}  // namespace heddle::replay
