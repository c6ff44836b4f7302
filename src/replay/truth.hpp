#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.hpp"
#include "base/result.hpp"
#include "replay/recording.hpp"

namespace heddle::replay {

/// What was true of one sent row. The system under test never sees it.
struct TruthRow {
  std::int64_t recorded = 0;  ///< row of the recording
  std::int64_t request = 0;
  std::int32_t index = 0;  ///< within the request
  Micros event_time = 0;
  std::uint8_t source = 0;
  std::optional<stats::Label> label{};  ///< empty: nobody knows
  FaultBits faults = 0;                 ///< bit i: fault i of the header touched it
};

struct Truth {
  std::vector<std::string> faults;  ///< names, in order of the bits
  std::vector<TruthRow> rows;       ///< in order of sending
};

/// Writes the truth beside the traffic: JSON lines, first a header
/// `{"schema":"heddle.truth/2","faults":[...]}`, then one line a row,
/// `{"id":"r1.3a9dd880-00000000#0","row":0,"time":...,"source":2,"label":true,"faults":["a"]}`;
/// `label` is what the target is, true or false, a string or a number, and null where nobody knows.
/// Confined to one thread.
class TruthWriter {
 public:
  [[nodiscard]] static Result<TruthWriter> open(const std::string& path,
                                                std::span<const spec::Fault> faults);
  TruthWriter(TruthWriter&& other) noexcept;
  TruthWriter& operator=(TruthWriter&&) = delete;
  ~TruthWriter();
  void add(std::string_view run, const TruthRow& row);
  [[nodiscard]] Result<void> finish();

 private:
  TruthWriter(std::FILE* file, std::string path, std::vector<std::string> names);
  std::FILE* file_;
  std::string path_;
  std::vector<std::string> names_;
  std::string line_;
};

/// kCorrupt with the line when the file is not what `TruthWriter` writes.
[[nodiscard]] Result<Truth> read_truth(const std::string& path);

}  // namespace heddle::replay
