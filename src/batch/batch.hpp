#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/digest.hpp"
#include "base/result.hpp"
#include "doc/value.hpp"
#include "score/plan.hpp"
#include "table/input.hpp"
#include "upstream/joiner.hpp"
#include "watch/baseline.hpp"

namespace heddle::batch {

/// What stands among the rules of a row that the model's runtime did not answer, as in the journal.
inline constexpr std::string_view kNoAnswer = "no-answer";

struct Options {
  table::Input input;                  ///< files of rows, and how they are written
  std::string output;                  ///< Parquet or CSV: the served rows
  std::string refused{};               ///< where the refused rows go; empty: `refused_path(output)`
  std::vector<std::string> columns{};  ///< of the input, carried into `output`; empty: all
  std::string slot{};                  ///< for people and the profile
  unsigned threads = 1;                ///< that score; the bytes written do not depend on it
  const watch::Baseline* baseline = nullptr;  ///< what to hold the inputs against; nullptr: nothing
  /// Of the `upstream` fields that the input lacks, by the plan's contract: they are further
  /// columns of it. Borrowed; nullptr: there are none.
  const upstream::Joiner* joiner = nullptr;
  std::map<std::string, Digest> joined{};  ///< the sources that it reads, for the profile
  bool accepts = false;                    ///< a person accepts the rows, whatever rules they break
  bool keeps_duplicates = false;  ///< rows of requests: the contract's `deduplicate` is not of them
  /// Of the input: where a text in it names `deduplicate`, a row of another file stands for this
  /// one, as long as the contract has the rule. Empty: there is no such column.
  std::string duplicates_column{};
  /// Of the input: the texts that the served rows have in it are kept in the report. Empty: of
  /// none.
  std::string id_column{};
  std::function<void(std::int64_t rows)> progress{};  ///< after each chunk, on the calling thread
};

/// What came of a file. Nothing of it is visible until `publish`.
struct Report {
  std::int64_t rows = 0;
  std::int64_t served = 0;
  std::int64_t refused = 0;     ///< rows that are not served, those without an answer too
  std::int64_t unanswered = 0;  ///< of them: the contract takes them, and the runtime is silent
  std::int64_t warned = 0;      ///< served rows that broke a rule
  std::map<std::string, std::int64_t>
      rules{};  ///< rows that broke each rule; those that none broke are not here
  std::map<std::string, std::int64_t> repaired{};  ///< values that each repair changed, likewise
  Digest input{};                                  ///< of the file's bytes
  Digest output{};
  Digest refused_output{};
  std::vector<std::string> served_ids{};  ///< `Options::id_column` of each served row
  std::vector<std::string>
      left_out{};  ///< columns that OUT does not carry, as no column of it can hold their type
  std::string written{};  ///< how the text of the input is written, where that is not usual
  std::vector<std::string> absent{};    ///< fields of the contract that the file has no column for
  std::vector<std::string> computed{};  ///< `upstream` fields among its columns that were joined
  doc::Value profile{};  ///< `heddle.batch/1` (docs/score.md): counts and histograms, no row values
  double seconds = 0;    ///< reading, scoring and writing; not the digest of the input
  std::function<Result<void>()> publish{};  ///< both files appear, the refused one first; once.
                                            ///< Dropped uncalled: neither does
};

/// What is said of the rows of one of `Report::rules`: that they break it, or had no answer.
[[nodiscard]] std::string rule_in_words(const std::string& rule, std::int64_t rows);

/// `out.parquet` -> `out.refused.parquet`.
[[nodiscard]] std::string refused_path(const std::string& output);

/// Scores every row of a file by `plan`, a chunk after the other: memory is bounded by a chunk. The
/// same bits as the endpoint gives for the same row, and the same bytes for the same file. Served
/// rows: the columns carried, then what is answered, `validation` (rules it broke, comma-separated;
/// null for none), where the contract has repairs `repairs` (those made to the row, likewise) and
/// `bundle`. Answers: `probability`; `label` and `probabilities.CLASS` of each
/// class, with an interval `set` (a JSON list of classes); `value`, with an interval `lower` and
/// `upper`. Refused rows: every column that was read, as it came, then `validation`,
/// `repairs` and `bundle`; also those that another row stands for (`deduplicate`) and those that a
/// runtime did not answer (`kNoAnswer`), which have no prediction to write. A cell of CSV is
/// what the contract's type makes of its text, else the contract refuses it. kUnprocessable
/// `score-contract-mismatch` when the file cannot be of this contract: a required field has no
/// column, or a number's column holds text. kConflict `score-input-changed` when the file was
/// written to meanwhile.
[[nodiscard]] Result<Report> score_file(const score::Plan& plan, const Options& options);

}  // namespace heddle::batch
