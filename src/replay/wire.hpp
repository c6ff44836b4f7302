#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "replay/recording.hpp"

namespace heddle::replay {

/// One request as it was cut from the recording: rows of one source, in order of event time.
struct Batch {
  std::int64_t request = 0;
  int source = 0;
  Micros event_time = 0;  ///< of its last row
  std::vector<std::int64_t> rows;
};

struct DueLabel {
  std::int64_t request = 0;
  std::int32_t index = 0;
  stats::Label label{};
  Micros event_time = 0;  ///< when it becomes known
};

/// The bodies of the data plane's plain-rows API. Each replaces what is in `out`. `run`: `run_id`
/// of the replay.
void write_predict(const Recording& recording, const Batch& batch, std::string_view run,
                   std::string_view source, std::string& out);
void write_labels(std::span<const DueLabel> labels, std::string_view run, std::string& out);
void write_tick(Micros event_time, std::string& out);

/// The error that an answer of `status` tells of, with the service's own id and hint where it gave
/// them.
[[nodiscard]] Error read_error(int status, std::string_view body);
/// How many labels an answer says were refused.
[[nodiscard]] std::int64_t read_refused(std::string_view body);

/// Reads answers to predict requests; keeps its memory. Confined to one thread.
class AnswerReader {
 public:
  AnswerReader();
  ~AnswerReader();

  struct Answer {
    std::string_view bundle;  ///< empty when no row was served
    std::string_view slot;
    /// One a row: the probability of a binary service, the value of a regression, of several
    /// classes the probability of the label; NaN: refused.
    std::vector<float> predictions;
  };
  /// kCorrupt when it is not an answer to a request of `rows` rows. The result lives until the next
  /// call.
  [[nodiscard]] Result<const Answer*> read(std::string_view body, std::size_t rows);

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
  Answer answer_;
};

}  // namespace heddle::replay
